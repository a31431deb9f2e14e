"""What a server asks of a device: the operations of LwM2M 1.1 core, 6.3 and 6.4. Values only.

Equal commands are one command: `purpose` tells apart what two askers want alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from headgate.wire.resources import Path
from headgate.wire.values import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One operation on one path."""

    path: Path
    purpose: str = ""
    """Whose command it is, such as a task's id; not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Command):
    """Read an object, instance or resource. The content format is chosen by what is known of the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discover(Command):
    """Ask which instances and resources there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Command):
    """Replace one resource."""

    value: Value
    content_format: int | None = None
    """None: chosen by what is known of the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute(Command):
    """Execute a resource. Without arguments the payload is empty."""

    arguments: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe(Command):
    """Observe a resource under a new token. Older tokens stay known until they are forgotten."""

    accept: int | None = None
    """None: chosen by what is known of the device."""
    token: bytes | None = None
    """Under which it leaves first, where that was drawn and stored before; else, and later: a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelObservation(Command):
    """End an observation: Observe 1 with its token and path."""

    token: bytes
