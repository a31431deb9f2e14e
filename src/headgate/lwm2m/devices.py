"""The devices that we know, and how we find them: by endpoint name, location and address.

Invariants

1. A device is known while it is registered, while commands wait for it, or while tokens of its observations
   live. A Register finds what a De-register or an expiry left.
2. `_by_location` and `_by_remote` have registered devices only, by what their present registration says: one
   entry each. Of two devices at one address the one that came later is found.
3. A registered device has one deadline, the end of its lifetime and grace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from headgate.engine.deduplication import Handle
from headgate.engine.endpoints import Remote
from headgate.engine.timers import Timed, Timers
from headgate.lwm2m.commands import Command
from headgate.lwm2m.kinds import Kinds
from headgate.lwm2m.registration import Registration

if TYPE_CHECKING:
    from headgate.lwm2m.asked import Asked

NEVER_HEARD_S = float("-inf")


class Owed:
    """What an uplink deserves: an answer (`code`), or else the ACK of its `handle`; and the next command."""

    __slots__ = ("code", "device", "handle", "options", "woke")

    def __init__(
        self,
        device: Device,
        handle: Handle | None,
        code: int = 0,
        options: tuple[tuple[int, bytes], ...] = (),
    ) -> None:
        self.device = device
        self.handle = handle
        self.code = code
        self.options = options
        self.woke = False
        """Whether the device was taken to sleep before this uplink."""


class Device(Timed):
    """What we keep of one device."""

    __slots__ = (
        "awake_s",
        "endpoint",
        "heard_s",
        "owed",
        "queue",
        "registration",
        "silent",
        "tokens",
        "under_way",
    )

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.registration: Registration | None = None
        self.awake_s: float | None = None
        """How long it listens after an uplink; None: as long as all do."""
        self.heard_s = NEVER_HEARD_S
        """When its newest uplink came."""
        self.silent = False
        """Whether an exchange with it was lost since."""
        self.owed: Owed | None = None
        """Its newest uplink, until that is confirmed. Nothing leaves before."""
        self.queue: dict[Command, Asked] | None = None
        """The commands for it, in the order in which they were asked for."""
        self.under_way: Asked | None = None
        """The one whose answer is awaited."""
        self.tokens: list[bytes] | None = None
        """Of its observations, in the order in which they were made."""

    @property
    def bare(self) -> bool:
        """Whether nothing is known of it but its name."""
        return self.registration is None and not self.queue and not self.tokens


class Devices:
    """All of them."""

    def __init__(self, kinds: Kinds, *, grace_s: float) -> None:
        self._kinds = kinds
        self._grace_s = grace_s
        # The grace is the same for all, so the lifetimes' ends are kept and looked at so much later.
        self._lifetimes = Timers()
        self._devices: dict[str, Device] = {}
        self._by_location: dict[str, Device] = {}
        self._by_remote: dict[Remote, Device] = {}

    def __len__(self) -> int:
        """Registered ones."""
        return len(self._by_location)

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    @property
    def known(self) -> int:
        """Registered or not."""
        return len(self._devices)

    def find(self, endpoint: str) -> Device | None:
        """The device of this name."""
        return self._devices.get(endpoint)

    def at_location(self, location: str) -> Device | None:
        """The device that was given this location."""
        return self._by_location.get(location)

    def at_remote(self, remote: Remote) -> Device | None:
        """The device that was heard from this address last."""
        return self._by_remote.get(remote)

    def make(self, endpoint: str) -> Device:
        """The device of this name, new if need be."""
        device = self._devices.get(endpoint)
        if device is None:
            device = self._devices[endpoint] = Device(endpoint)
        return device

    def place(self, device: Device, registration: Registration, *, until_s: float = 0.0) -> None:
        """Let this be its registration, kept until the lifetime and grace are over, or `until_s`."""
        before = device.registration
        if before is None or before.location != registration.location:
            if before is not None:
                del self._by_location[before.location]
            self._by_location[registration.location] = device
        if before is None or before.objects is not registration.objects:
            self._kinds.taken(registration.objects)
            if before is not None:
                self._kinds.left(before.objects)
        if before is None or before.remote != registration.remote:
            if before is not None:
                self._leave_remote(device, before.remote)
            self._by_remote[registration.remote] = device
        device.registration = registration
        ends_s = registration.expires_s
        self._lifetimes.set(device, ends_s if ends_s + self._grace_s >= until_s else until_s - self._grace_s)

    def restore(self, registrations: Iterable[Registration], *, until_s: float) -> None:
        """Place these before any other, each kept `until_s` at least."""
        assert not self._devices, "nobody is known yet"
        ends_s = until_s - self._grace_s

        def placed() -> Iterator[tuple[Device, float]]:
            for registration in registrations:
                device = self._devices[registration.endpoint] = Device(registration.endpoint)
                self._by_location[registration.location] = self._by_remote[registration.remote] = device
                device.registration = registration
                self._kinds.taken(registration.objects)
                yield device, max(registration.expires_s, ends_s)

        self._lifetimes.set_all(placed())

    def alter(self, device: Device, registration: Registration) -> None:
        """The same registration, at another address or with other formats; it lives no longer for that."""
        before = device.registration
        assert before is not None
        if before.remote != registration.remote:
            self._leave_remote(device, before.remote)
            self._by_remote[registration.remote] = device
        device.registration = registration

    def displace(self, device: Device) -> Registration:
        """Let it be registered no more."""
        registration = device.registration
        assert registration is not None
        del self._by_location[registration.location]
        self._leave_remote(device, registration.remote)
        self._kinds.left(registration.objects)
        self._lifetimes.cancel(device)
        device.registration = None
        device.awake_s = None
        self.let_go(device)
        return registration

    def next_end(self) -> float | None:
        """When the first registration ends, its grace included; None when there is none."""
        ends_s = self._lifetimes.next()
        return None if ends_s is None else ends_s + self._grace_s

    def take_ended(self, now: float) -> Device | None:
        """The device whose registration ended longest ago; None when none has. To be displaced."""
        ended = self._lifetimes.take_due(now - self._grace_s)
        assert ended is None or isinstance(ended, Device)
        return ended

    def let_go(self, device: Device) -> None:
        """Forget a device of which nothing is known any more: invariant 1."""
        if device.bare:
            self._devices.pop(device.endpoint, None)

    def _leave_remote(self, device: Device, remote: Remote) -> None:
        if self._by_remote.get(remote) is device:
            del self._by_remote[remote]
