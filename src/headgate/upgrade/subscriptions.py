"""The observations of 19/0/0: under which tokens a device may speak, and whether it has one to speak by.

They belong to devices, not to tasks: reports come late, and from before a reboot, and are owed answers.

Invariants
 1. A token here is alive in the LwM2M server, and has its row.
 2. A device has TOKENS_MAX at most; the newest is last.
 3. `stands` says that an observation was made since the device's last Register, and not ended since.
 4. Who is neither registered nor in a task has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.lwm2m.server import LwM2mServer

from collections.abc import Mapping
from functools import partial
from typing import Any

from headgate.store import tables
from headgate.upgrade.turns import Gathering
from headgate.wire.pcp import UPLINK

TOKENS_MAX = 4
NOT_MADE_S = 0.0
"""`made_s` of a token that was drawn for an Observe and not heard of since: see `Pending.drawn`."""


class Subscribed:
    """One device."""

    __slots__ = ("stands", "task_id", "tokens")

    def __init__(self) -> None:
        self.tokens: list[bytes] = []
        self.stands = False
        self.task_id: str | None = None
        """The last software task of it, as far as observations were made for it."""


class Subscriptions:
    """All devices that were observed."""

    def __init__(self, lwm2m: LwM2mServer, gathering: Gathering) -> None:
        self._lwm2m = lwm2m
        self._gathering = gathering
        self._devices: dict[str, Subscribed] = {}

    # -- what may be asked --

    def tokens(self, endpoint: str) -> tuple[bytes, ...]:
        """By which the device may speak, the newest last."""
        device = self._devices.get(endpoint)
        return () if device is None else tuple(device.tokens)

    def stands(self, endpoint: str) -> bool:
        """Whether it need not be observed anew."""
        device = self._devices.get(endpoint)
        return device is not None and device.stands

    def task_id(self, endpoint: str) -> str | None:
        """The software task of it that is known of, over or not."""
        device = self._devices.get(endpoint)
        return None if device is None else device.task_id

    # -- what happens --

    def observed(self, endpoint: str, token: bytes, task_id: str | None, now: float) -> None:
        """The device took an Observe, on behalf of a task or of nobody in particular."""
        device = self._devices.setdefault(endpoint, Subscribed())
        device.stands = True
        device.task_id = task_id or device.task_id
        device.tokens.append(token)
        self._gathering.put(
            tables.observations,
            {
                "token": token,
                "endpoint": endpoint,
                "path": str(UPLINK),
                "task_id": device.task_id,
                "made_s": now,
            },
        )
        while len(device.tokens) > TOKENS_MAX:
            self._forget(device.tokens.pop(0))

    def registered(self, endpoint: str) -> None:
        """A new Register: nothing is observed any more, and what was may still be used."""
        device = self._devices.get(endpoint)
        if device is not None:
            device.stands = False

    def ended(self, endpoint: str, token: bytes) -> None:
        """The device says that it was the last notification."""
        device = self._devices.get(endpoint)
        if device is not None and device.tokens[-1] == token:
            device.stands = False

    def forget(self, endpoint: str) -> None:
        """The device is gone, and no task waits for it."""
        device = self._devices.pop(endpoint, None)
        for token in device.tokens if device is not None else ():
            self._forget(token)

    def _forget(self, token: bytes) -> None:
        self._gathering.delete(tables.observations, (token,))
        self._gathering.act(partial(self._lwm2m.forget, token))

    # -- after a restart --

    def restore(self, row: Mapping[str, Any], now: float) -> None:
        """An observation that an earlier process made; those of a device come oldest first."""
        endpoint, token = row["endpoint"], row["token"]
        registration = self._lwm2m.registration(endpoint)
        device = self._devices.setdefault(endpoint, Subscribed())
        device.tokens.append(token)
        device.task_id = row["task_id"]
        device.stands = registration is not None and row["made_s"] >= registration.registered_s
        self._lwm2m.remember(endpoint, UPLINK, token, now)
