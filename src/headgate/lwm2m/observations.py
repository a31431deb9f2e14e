"""The tokens of observations: whose they are, and which notification is the newest. RFC 7641 section 3.

A device has one observation of a path at most, but remembers it through reboots and registrations that end
it for us; so there may be any number of tokens for one path, and each lives until it is forgotten.

Invariants

1. A token is here from the moment its Observe is sent, or it is remembered, until it is forgotten, and it is
   alive in the Exchange as long.
2. `Device.tokens` has the tokens of a device in the order they were made, `observations_max` at most.
"""

from __future__ import annotations

from headgate.engine.exchange import Exchange
from headgate.lwm2m.devices import Device
from headgate.lwm2m.operations import OBSERVE_REGISTER, path_options
from headgate.wire.numbers import GET
from headgate.wire.resources import Path

HALF = 1 << 23  # numbers have 24 bits and go round
FRESH_AFTER_S = 128.0  # what comes so much later is newer, whatever its number


class Observation:
    """One token."""

    __slots__ = ("at_s", "device", "number", "path", "told")

    def __init__(self, device: Device, path: Path) -> None:
        self.device = device
        self.path = path
        self.told = False
        """Whether the caller knows of it, and will say when to forget it."""
        self.number: int | None = None
        """Of the newest notification."""
        self.at_s = 0.0
        """When that came."""

    def newest(self, number: int | None, now: float) -> bool:
        """Note a notification; returns whether none newer came before. RFC 7641 section 3.4."""
        if number is None:
            return True
        if self.number is not None and not is_newer(self.number, self.at_s, number, now):
            return False
        self.number, self.at_s = number, now
        return True


def is_newer(old: int, old_s: float, new: int, new_s: float) -> bool:
    """Whether notification `new`, which came second, was also sent second.

    >>> is_newer(5, 0.0, 6, 1.0), is_newer(5, 0.0, 4, 1.0), is_newer(0xFFFFFF, 0.0, 0, 1.0)
    (True, False, True)
    """
    if new_s > old_s + FRESH_AFTER_S:
        return True
    return (old < new and new - old < HALF) or (old > new and old - new > HALF)


class Observations:
    """All of them."""

    def __init__(self, exchange: Exchange, *, observations_max: int) -> None:
        self._exchange = exchange
        self._max = observations_max
        self._observations: dict[bytes, Observation] = {}

    def __len__(self) -> int:
        """Tokens."""
        return len(self._observations)

    def find(self, token: bytes) -> Observation | None:
        """The observation that has this token."""
        return self._observations.get(token)

    def add(self, device: Device, path: Path, token: bytes) -> None:
        """Know a token that is alive in the Exchange."""
        self._observations[token] = Observation(device, path)
        if device.tokens is None:
            device.tokens = []
        device.tokens.append(token)

    def remember(self, device: Device, path: Path, token: bytes) -> None:
        """Know a token that another process made: the Exchange is to know it too."""
        root = device.registration.objects.root if device.registration is not None else ()
        options = (OBSERVE_REGISTER, *path_options(path, root))
        self._exchange.remember(token, device.endpoint, GET, options)
        self.add(device, path, token)
        self._observations[token].told = True

    def excess(self, device: Device) -> bytes | None:
        """The oldest token of a device that has too many."""
        tokens = device.tokens
        return tokens[0] if tokens is not None and len(tokens) > self._max else None

    def forget(self, token: bytes, now: float) -> None:
        """Let a token die."""
        self._exchange.forget(token, now=now)
        observation = self._observations.pop(token, None)
        if observation is not None:
            device = observation.device
            assert device.tokens is not None, "invariant 2"
            device.tokens.remove(token)
            if not device.tokens:
                device.tokens = None
