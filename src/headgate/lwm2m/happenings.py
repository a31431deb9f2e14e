"""What comes from devices, as LwM2M names it. One uplink gives at most one of these.

What the device is owed for it (an ACK, 2.01, 2.04) leaves when the caller confirms it, after its commit, and
so does the next command for the device. What is never confirmed is never answered: the device repeats it, and
nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headgate.lwm2m.commands import Command, Observe
from headgate.lwm2m.registration import Registration
from headgate.wire.records import Record
from headgate.wire.resources import Path, Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something that a device did, or ceased to do."""

    endpoint: str
    owed: Any = field(default=None, repr=False, compare=False)
    """What `LwM2mServer.confirm` needs to answer it; opaque. None where nothing came."""
    changed: Registration | None = None
    """The registration as it is now, where this told something that a restart must know: another address, a
    content format that works. None where it told nothing new, and where it is said otherwise (`after`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(Happening):
    """A new registration. `before` is the one that it replaces; tokens and queued commands are kept."""

    before: Registration | None
    after: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated(Happening):
    """An Update."""

    before: Registration
    after: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Deregistered(Happening):
    """The device said that it goes."""

    before: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired(Happening):
    """No Update came within the lifetime. No uplink."""

    before: Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(Happening):
    """A Send (POST /dp): values with their times."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(Happening):
    """A notification with the token of an observation, of this registration or an older one."""

    path: Path
    token: bytes
    content_format: int | None
    payload: bytes
    stale: bool
    """Whether a newer one came before it: RFC 7641 section 3.4. Each PCP message counts all the same."""
    ended: bool = False
    """Whether the device says that this was the last: by no Observe option, or an error code. The token is
    alive all the same, until it is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmatched(Happening):
    """A notification whose token nobody knows, from a device that is known. Confirm it, or reject it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Happening):
    """A command was done; what it read, if it reads. Links of a Discover are its payload.

    A Read whose `resources` are None was answered in every content format by what cannot be read.
    """

    command: Command
    resources: Resources | None = None
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed(Happening):
    """An Observe was answered. Without `observing` the device answered as to a Read."""

    command: Observe
    token: bytes
    observing: bool
    content_format: int | None
    payload: bytes
    resources: Resources | None = None
    """None where the payload cannot be read as values."""
    separate: bool = False
    """Whether it came as a message of its own, and not in the ACK: a notification that overtook the answer
    cannot be told from it otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Happening):
    """A command was answered by an error; `code` is the CoAP code, such as "4.04".

    Of a response that is of no use, such as a block that was not asked for, it is the reason in words.
    """

    command: Command
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WasReset(Happening):
    """A command was answered by a Reset."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered(Happening):
    """A command's exchange was lost. It stays queued for the next uplink. No uplink itself."""

    command: Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(Happening):
    """Any other uplink: an answer that nobody waits for any more, ordinary data."""
