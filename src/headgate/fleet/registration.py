"""A device's registration: Register, Update, De-register. LwM2M 1.1 core, 6.2."""

from __future__ import annotations

from typing import Protocol

from headgate.fleet.alarms import Alarms
from headgate.fleet.messaging import Ended, Messaging
from headgate.fleet.objects import binding, links
from headgate.fleet.outcome import Outcome
from headgate.fleet.profile import Profile
from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.formats import ContentFormat
from headgate.wire.links import write_objects
from headgate.wire.numbers import (
    BLOCK1,
    CHANGED,
    CONTENT_FORMAT,
    CONTINUE,
    CREATED,
    DELETE,
    LOCATION_PATH,
    POST,
    URI_PATH,
    URI_QUERY,
)

RETRY_FACTOR_MAX = 16
REFRESHED_AT = 0.9  # of the lifetime, at the latest


def uint(number: int) -> bytes:
    """A uint option's value in its shortest form. RFC 7252 section 3.2."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


class Host(Protocol):
    """Whose registration it is."""

    profile: Profile
    log: Outcome
    alarms: Alarms
    main: Messaging

    def wake(self, now: float) -> None:
        """Something is about to be sent."""

    def registered(self, now: float) -> None:
        """The server has taken a Register."""

    def moves_for_update(self, now: float) -> None:
        """An Update or De-register is about to be sent."""


class Registration:
    """What the device knows of its registration; it begins anew with every boot."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.lifetime_s = host.profile.lifetime_s
        self.location: tuple[str, ...] | None = None
        """The path segments of the registration, None while there is none."""
        self._payload = b""
        self._failures = 0
        self._under_way = False

    def register(self, now: float) -> None:
        """POST /rd with all objects; repeated until it is answered."""
        if self._under_way:
            return
        self._under_way = True
        self._host.wake(now)
        self.location = None
        self._host.alarms.cancel("update")
        self._payload = write_objects(links(self._host.profile))
        self._send(0, now)

    def _send(self, num: int, now: float) -> None:
        """The Register, or its block `num`."""
        profile = self._host.profile
        options = [(URI_PATH, b"rd"), (CONTENT_FORMAT, uint(ContentFormat.LINK_FORMAT)), *self._queries()]
        payload = self._payload
        if profile.register_szx is not None:
            offset, length, more = Block(num, False, profile.register_szx).slice(len(payload))
            options.append((BLOCK1, Block(num, more, profile.register_szx).encode()))
            payload = payload[offset : offset + length]

        def ended(message: Message | None, now: float) -> None:
            if message is not None and message.code == CONTINUE:
                self._send(num + 1, now)
            else:
                self._registered(message, now)

        self._host.main.request(POST, options, payload, now=now, ended=ended)

    def _queries(self) -> list[tuple[int, bytes]]:
        profile = self._host.profile
        queries = [
            f"ep={profile.endpoint}",
            f"lt={self.lifetime_s}",
            f"lwm2m={profile.lwm2m}",
            f"b={binding(profile)}",
        ]
        if profile.queue_mode and profile.enabler >= (1, 1):
            queries.append("Q")
        return [(URI_QUERY, query.encode()) for query in queries]

    def _registered(self, message: Message | None, now: float) -> None:
        self._under_way = False
        if message is None or message.code != CREATED:
            pause_s = self._host.profile.retry_s * min(2**self._failures, RETRY_FACTOR_MAX)
            self._failures += 1
            self._host.alarms.set("register", now + pause_s, self.register)
            return
        self._failures = 0
        self.location = tuple(
            value.decode(errors="replace") for number, value in message.options if number == LOCATION_PATH
        )
        self._host.log.registrations += 1
        self._refresh_later(now)
        self._host.registered(now)

    def _refresh_later(self, now: float) -> None:
        self._host.alarms.set("update", now + self.lifetime_s * REFRESHED_AT, self.update)

    def update(self, now: float) -> None:
        """POST to the registration; one that the server does not know any more begins anew."""
        if self.location is None:
            self.register(now)
            return
        if self._under_way:
            return
        self._under_way = True
        self._host.moves_for_update(now)
        queries = [(URI_QUERY, f"lt={self.lifetime_s}".encode())]

        def ended(message: Message | None, now: float) -> None:
            self._under_way = False
            if message is not None and message.code == CHANGED:
                self._host.log.updates += 1
                self._refresh_later(now)
            else:
                self.register(now)

        self._host.main.request(POST, [*self._path(), *queries], now=now, ended=ended)

    def deregister(self, now: float, ended: Ended) -> None:
        """DELETE the registration; whatever the answer, it is over then."""
        if self.location is None:
            ended(None, now)
            return
        self._host.moves_for_update(now)
        self._host.log.deregistrations += 1
        self._host.main.request(DELETE, self._path(), now=now, ended=ended)
        self.location = None

    def _path(self) -> list[tuple[int, bytes]]:
        assert self.location is not None
        return [(URI_PATH, segment.encode()) for segment in self.location]
