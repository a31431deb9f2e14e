"""A conversation with an LwM2mServer, line by line, in the words of `lockstep`.

    script.register(query=("b=UQ",))                    a device registers, and that is confirmed
    script.ask(Read(path=VERSION))                      the caller's wish
    script.server("CON GET", "3/0/3", accept=0)         the next datagram that leaves; anything else fails
    script.device("ACK 2.05", payload=b"V1.0")          a datagram that arrives
    script.tells(Answered, resources=...)               the next happening
    script.confirm()                                    what was told last is committed
    script.clock(3.0)                                   seconds that pass; timers fire in their order

Fields of a happening are compared as they are. `script.location` is that of the last registration.
"""

from __future__ import annotations

import random
from typing import Any, Self

from headgate.engine.bounds import Bounds
from headgate.lwm2m.commands import Command
from headgate.lwm2m.happenings import Happening, Registered
from headgate.lwm2m.registration import Registration
from headgate.lwm2m.server import LwM2mServer
from headgate.lwm2m.settings import LwM2mSettings
from headgate.wire.resources import Path
from lockstep import Lockstep, line_of

ENDPOINT = "urn:imei:866971030000001"
LINKS = b'</>;rt="oma.lwm2m",</1/0>,</3/0>,</4/0>,</5>;ver=1.1,</5/0>,</19/0>,</19/1>'

LOCATION_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT = 8, 12, 15, 17
VERSION, RADIO, URI, UPDATE, STATE = Path(3, 0, 3), Path(4, 0), Path(5, 0, 1), Path(5, 0, 2), Path(5, 0, 3)
DATA = Path(19, 0, 0)


def uint(number: int) -> bytes:
    """The shortest value of a uint option."""
    return number.to_bytes((number.bit_length() + 7) // 8)


class DeviceLines(Lockstep):
    """The script, and the server it is about."""

    def __init__(
        self,
        *,
        seed: int = 1,
        bounds: Bounds | None = None,
        rng: random.Random | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.lwm2m = LwM2mServer(
            rng=rng or random.Random(seed), settings=LwM2mSettings(**settings), bounds=bounds
        )
        self.exchange: Any = self.lwm2m
        self.endpoint = ENDPOINT
        """Whom the caller's lines are about."""
        self.location = ""

    # -- the device --

    def device(
        self,
        line: str,
        path: str | None = None,
        *,
        query: tuple[str, ...] = (),
        content_format: int | None = None,
        accept: int | None = None,
        **how: Any,
    ) -> Self:
        """A datagram of the device arrives."""
        more = [*how.pop("more", ()), *((URI_QUERY, each.encode()) for each in query)]
        for number, value in ((CONTENT_FORMAT, content_format), (ACCEPT, accept)):
            if value is not None:
                more.append((number, uint(value)))
        return super().device(line, path, more=tuple(more), **how)

    def registers(
        self,
        *,
        endpoint: str = ENDPOINT,
        query: tuple[str, ...] = ("lwm2m=1.0", "b=UQ", "lt=86400"),
        payload: bytes = LINKS,
        content_format: int | None = 40,
        **how: Any,
    ) -> Self:
        """The device asks to be registered."""
        return self.device(
            "CON POST",
            "rd",
            query=(f"ep={endpoint}", *query),
            payload=payload,
            content_format=content_format,
            **how,
        )

    def register(self, **how: Any) -> Self:
        """It registers, and that goes well."""
        self.registers(**how).tells(Registered)
        self.location = self.event.after.location
        return self.confirm().server("ACK 2.01", remote=how.get("remote"))

    def updates(self, **how: Any) -> Self:
        """It sends an Update."""
        return self.device("CON POST", f"rd/{self.location}", **how)

    # -- the caller --

    def ask(self, command: Command, **how: Any) -> Self:
        """A command is wanted."""
        self.lwm2m.ask(self.endpoint, command, now=self.now, **how)
        return self._collect()

    def drop(self, command: Command) -> Self:
        """It is not wanted any more."""
        self.lwm2m.drop(self.endpoint, command, self.now)
        return self._collect()

    def confirm(self, happening: Happening | None = None) -> Self:
        """What was told is committed."""
        self.lwm2m.confirm(happening or self.event, self.now)
        return self._collect()

    def reject(self) -> Self:
        """The notification told last is not wanted."""
        self.lwm2m.reject(self.event, self.now)
        return self._collect()

    def remember(self, path: Path, token: bytes) -> Self:
        """An observation of an earlier process."""
        self.lwm2m.remember(self.endpoint, path, token, self.now)
        return self._collect()

    def forget(self, token: bytes | None = None) -> Self:
        """The token is not wanted any more: that of the event told last, unless said."""
        self.lwm2m.forget(self.event.token if token is None else token, self.now)
        return self._collect()

    def heard(self) -> Self:
        """The device asked for a block."""
        self.lwm2m.heard(self.endpoint, self.now)
        return self._collect()

    # -- what a test may ask --

    @property
    def registration(self) -> Registration:
        """The present one, which there must be."""
        found = self.lwm2m.registration(self.endpoint)
        assert found is not None
        return found

    @property
    def awake(self) -> bool:
        """Whether the device can be sent to."""
        return self.lwm2m.awake(self.endpoint, self.now)

    @property
    def explained(self) -> str:
        """Why the device stands where it stands."""
        return self.lwm2m.explain(self.endpoint, self.now)

    def tells(self, kind: type, **fields: Any) -> Self:
        """The next happening is of this kind and says this."""
        assert self._events, f"nothing happened, but {kind.__name__} should"
        self.event = event = self._events.pop(0)
        assert type(event) is kind, event
        assert event.endpoint == fields.pop("endpoint", self.endpoint)
        for name, value in fields.items():
            assert getattr(event, name) == value, name
        return self

    def said(self, name: str) -> Any:
        """A field or option of the server's last datagram that the script has read."""
        assert self.last is not None
        options = self.last.message.options
        if name == "location":
            return b"/".join(value for number, value in options if number == LOCATION_PATH).decode()
        if name == "numbers":
            return [number for number, _ in options]
        number = {"accept": ACCEPT, "content_format": CONTENT_FORMAT}.get(name)
        if number is None:
            return super().said(name)
        return next((int.from_bytes(value) for each, value in options if each == number), None)

    def says_nothing(self) -> Self:
        """Nothing leaves; what was told may wait."""
        assert [line_of(sent.message) for sent in self._leaving] == []
        return self
