"""When a device can be reached. LwM2M 1.1 core, 6.5 (queue mode); its window as NB-IoT networks have it.

A device in queue mode is awake for a while after each uplink, by its product for longer or shorter, others
always; neither is when an exchange with it was lost, until it is heard again. All of this follows from what
is kept of the device and from `now`: no timer wakes us when a device falls asleep.
"""

from __future__ import annotations

from datetime import UTC, datetime

from headgate.lwm2m.devices import NEVER_HEARD_S, Device


class Presence:
    """The rules, with the window that they go by."""

    def __init__(self, *, awake_s: float) -> None:
        self._awake_s = awake_s

    def heard(self, device: Device, now: float) -> bool:
        """Note an uplink; returns whether the device was taken to sleep before."""
        slept = not self.awake(device, now)
        device.heard_s = now
        device.silent = False
        return slept

    def lost(self, device: Device) -> None:
        """Note that it did not answer."""
        device.silent = True

    def awake(self, device: Device, now: float) -> bool:
        """Whether something sent now would reach it, as far as can be told."""
        registration = device.registration
        if registration is None or device.silent:
            return False
        return not registration.queue_mode or now < device.heard_s + self._window_s(device)

    def explain(self, device: Device, now: float) -> str:
        """One sentence: where it is, what waits for it, when to expect it."""
        return f"{self._where(device, now)}, {waiting(device)}{expected(device)}"

    def _where(self, device: Device, now: float) -> str:
        registration = device.registration
        if registration is None:
            return "not registered"
        if device.heard_s == NEVER_HEARD_S:
            return "not heard since the start"
        if device.silent:
            return f"does not answer, last heard at {clock(device.heard_s)}"
        if not registration.queue_mode:
            return f"always awake, last heard at {clock(device.heard_s)}"
        if self.awake(device, now):
            return f"awake until {clock(device.heard_s + self._window_s(device), seconds=True)}"
        return f"asleep since {clock(device.heard_s + self._window_s(device))}"

    def _window_s(self, device: Device) -> float:
        return self._awake_s if device.awake_s is None else device.awake_s


def waiting(device: Device) -> str:
    """How many commands there are for it."""
    count = len(device.queue or ())
    if device.owed is not None and count:
        return f"{commands(count)} until its message is stored"
    if device.under_way is not None:
        under_way = f"{name(device)} is under way"
        return f"{under_way}, {commands(count - 1)}" if count > 1 else under_way
    return commands(count) if count else "no command waits"


def commands(count: int) -> str:
    """So many commands wait."""
    return "1 command waits" if count == 1 else f"{count} commands wait"


def name(device: Device) -> str:
    """What is under way: "Read /3/0/3"."""
    assert device.under_way is not None
    command = device.under_way.command
    return f"{type(command).__name__} {command.path}"


def expected(device: Device) -> str:
    """When it has to be heard again."""
    registration = device.registration
    return "" if registration is None else f", expected by {clock(registration.expires_s)}"


def clock(at_s: float, *, seconds: bool = False) -> str:
    """The time of day, UTC; with the date it cannot be mistaken for another day's."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
