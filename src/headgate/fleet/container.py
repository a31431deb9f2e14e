"""Object 19 of a device, BinaryAppDataContainer: the server writes 19/1/0, the device tells 19/0/0.

Here it only carries data. A protocol that rides on it, such as PCP, is another `Container`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from headgate.fleet.alarms import Alarms
from headgate.fleet.messaging import Ended
from headgate.fleet.outcome import Outcome
from headgate.fleet.profile import Profile

INITIAL = b"\x00"  # what the first Observe of 19/0/0 is answered with
ORDINARY = b"\x01metering"  # never begins with FFFE


class Host(Protocol):
    """What a container may use of its device."""

    profile: Profile
    log: Outcome
    alarms: Alarms

    def tell(self, data: bytes, now: float, ended: Ended | None = None) -> bool:
        """Notify 19/0/0 with `data`; False where nobody observes it."""

    def reboot(self, now: float) -> None:
        """Go down and come up again."""

    def power_cut(self, now: float) -> None:
        """The same, without having meant to."""

    def leave(self, now: float, *, goodbye: bool) -> None:
        """Never be heard again."""


class Container(Protocol):
    """What a device does with its data container."""

    def written(self, data: bytes, now: float) -> None:
        """The server wrote 19/1/0; its 2.04 is on its way."""

    def observed(self, now: float) -> None:
        """The server observes 19/0/0; its 2.05 is on its way."""

    def booted(self, now: float) -> None:
        """The device was switched on, or is up again; nothing is registered yet."""

    def registered(self, now: float) -> None:
        """The server took a Register."""

    def ordinary(self) -> bytes:
        """What the device tells when it reports, and nothing else is the matter."""

    @property
    def active(self) -> bool:
        """Whether the device has to stay awake for it."""

    @property
    def version(self) -> str | None:
        """What runs, where it is upgraded by way of its container."""


Make = Callable[[Host], Container]


class DataContainer:
    """Keeps what was written, and tells of a meter."""

    active = False
    version = None

    def __init__(self, host: Host) -> None:
        self.received: list[bytes] = []

    def written(self, data: bytes, now: float) -> None:
        """Data of an application that we do not know."""
        self.received.append(data)

    def observed(self, now: float) -> None:
        """Nothing waited for this."""

    def booted(self, now: float) -> None:
        """Nothing was under way."""

    def registered(self, now: float) -> None:
        """Nothing waited for this."""

    def ordinary(self) -> bytes:
        """The reading of a meter."""
        return ORDINARY
