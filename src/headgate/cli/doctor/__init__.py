"""`headgate doctor`: what a server needs of this machine, looked at without changing anything.

findings              what was found of one thing, and what to do about it
kernel, process       what the kernel can do, and what it grants this process
ports, data, database where a server would listen, and where it would keep what a restart must find
"""

from __future__ import annotations
