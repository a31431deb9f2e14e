"""A registration: what a device said of itself, and where it is. LwM2M 1.1 core, 6.2."""

from __future__ import annotations

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from headgate.engine.endpoints import Remote
from headgate.model import maker
from headgate.wire.links import RegisteredObjects

DEFAULT_LIFETIME_S = 86400
LIFETIME_MAX_S = 10 * 365 * 86400
"""A longer lifetime counts as this, and so does 0, which is without end in LwM2M 1.1."""

Formats = tuple[tuple[str, int | None], ...]
"""What was learned of a device: the Content-Format that worked (None: no Accept), by kind of question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One registration, as of now. An Update makes the next one; equal objects are shared between devices."""

    endpoint: str
    location: str
    """The segment after `rd` of its Location-Path: unguessable, and new with every Register."""
    registered_s: float
    expires_s: float
    """When the lifetime ends unless the device is heard by an Update before."""
    lifetime_s: int = DEFAULT_LIFETIME_S
    version: tuple[int, int] = (1, 0)
    """Of LwM2M, no newer than what we speak."""
    binding: str = "U"
    queue_mode: bool = False
    """Whether it sleeps, and can be sent to only for a while after it was heard."""
    sms: str | None = None
    objects: RegisteredObjects
    remote: Remote
    """Where the newest authenticated message came from."""
    formats: Formats = ()
    """Equal ones are shared too."""

    def evolved(self, **changes: Any) -> Registration:
        """The same with some fields changed."""
        registration = made(_values(self))
        for name, value in changes.items():
            _setters[name](registration, value)
        return registration


made = maker(Registration)
_values = attrgetter(*(field.name for field in fields(Registration)))
_setters = {field.name: getattr(Registration, field.name).__set__ for field in fields(Registration)}
