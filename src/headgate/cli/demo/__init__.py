"""`headgate demo`: a server, a simulated fleet and campaigns of both kinds in one process.

rehearsal    the run: from an empty directory to the last device's end
orders       the campaigns that the operator makes
batch        the bad batch, and the stages of the campaign that pauses itself at it
pauses       what the operator does then, and what must be true of it
pace         the time that server and devices share
contention   what was seen of the cells meanwhile: full, or idle while someone waits
verdict      who ended how, and whether that is how it must be
show         all of it for a person, or line by line
tables       how it ended, for a person
"""

from __future__ import annotations

from headgate.cli.demo.rehearsal import Demo

__all__ = ["Demo"]
