"""A conversation with an Exchange, line by line: what the caller wants, what each side sends, what time does.

    script.request("PUT", "19/1/0", payload=b"?")       the caller's wish
    script.server("CON PUT", "19/1/0", payload=b"?")    the next datagram that leaves; anything else fails
    script.device("ACK 2.04")                           a datagram that arrives
    script.tells(ResponseReceived, late=False)          the next event
    script.clock(3.0)                                   seconds that pass; timers fire in their order

A line says only what matters. What the device does not say of its message follows from what it answers: an
ACK or Reset has the message id of the server's last CON, a response its token. What the server is not said
to send (an id, a token, an option that `server` does not name) is not looked at, except that its ACKs,
Resets and piggybacked responses must carry the id, and its responses the token, of the device's last message.

Datagrams are written and read with the reference codec, not ours.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Self

from datagrams import (
    BLOCK1,
    BLOCK2,
    ETAG,
    OBSERVE,
    SIZE1,
    block_value,
    path_options,
)
from headgate.engine.bounds import Bounds
from headgate.engine.deduplication import Handle
from headgate.engine.exchange import Exchange
from reference import block as block_reference
from reference import coap
from reference.coap import Message

TYPES = ["CON", "NON", "ACK", "RST"]
METHODS = ["", "GET", "POST", "PUT", "DELETE", "FETCH", "PATCH", "iPATCH"]
DEVICE = "device"
ADDRESS = "10.0.0.1:5683"


def code_of(text: str) -> int:
    """The header byte of "GET", "2.05" or "" (Empty)."""
    if text in METHODS:
        return METHODS.index(text)
    code_class, detail = text.split(".")
    return int(code_class) << 5 | int(detail)


def line_of(message: Message) -> str:
    """The type and code of a message, as a script has them: "CON GET", "ACK 2.05", "RST"."""
    code = message.code
    text = METHODS[code] if code < len(METHODS) else f"{code >> 5}.{code & 31:02}"
    return f"{TYPES[message.type]} {text}".strip()


def options_of(
    path: str | None,
    *,
    observe: int | None = None,
    etag: bytes | None = None,
    block1: tuple[int, bool, int] | None = None,
    block2: tuple[int, bool, int] | None = None,
    size1: int | None = None,
    more: tuple[tuple[int, bytes], ...] = (),
) -> tuple[tuple[int, bytes], ...]:
    """Options from what a line says; a block is (NUM, M, SZX)."""
    options = list(path_options(path)) if path else []
    for number, value in ((OBSERVE, observe), (SIZE1, size1)):
        if value is not None:
            options.append((number, value.to_bytes((value.bit_length() + 7) // 8)))
    if etag is not None:
        options.append((ETAG, etag))
    for number, block in ((BLOCK1, block1), (BLOCK2, block2)):
        if block is not None:
            options.append((number, block_value(block[0], block[2], block[1])))
    return tuple(sorted([*options, *more], key=lambda option: option[0]))


class Chance(random.Random):
    """Draws what it is told to draw where a number of bits is wanted: tokens and first message ids."""

    def __init__(self, *drawn: int) -> None:
        super().__init__(1)
        self._drawn = iter(drawn)

    def getrandbits(self, k: int) -> int:
        """The next of them."""
        return next(self._drawn)


@dataclass(frozen=True)
class Sent:
    """A datagram that left."""

    at_s: float
    remote: object
    datagram: bytes

    @property
    def message(self) -> Message:
        """As the reference codec reads it."""
        return coap.parse(self.datagram)


class Lockstep:
    """The script, and the Exchange it is about."""

    def __init__(
        self, bounds: Bounds | None = None, *, seed: int = 1, rng: random.Random | None = None
    ) -> None:
        self.exchange = Exchange(rng=rng or random.Random(seed), bounds=bounds)
        self.now = 1000.0
        self.address = ADDRESS
        """Where the device is, unless a line says otherwise."""
        self.token = b""
        """Of the caller's last request."""
        self.event: Any = None
        """The last event told."""
        self.last: Sent | None = None
        """The last datagram of the server that the script has read."""
        self._leaving: list[Sent] = []
        self._events: list[Any] = []
        self.asked: Sent | None = None
        """The server's last CON that the script has read."""
        self._said: Message | None = None
        self._device_ids = iter(range(0x1000, 0x10000))

    # -- lines --

    def request(
        self, method: str, path: str, *, payload: bytes = b"", device: object = DEVICE, **more: Any
    ) -> Self:
        """The caller asks the device."""
        how = {key: more.pop(key) for key in ("profile", "block_size", "acknowledge_now") if key in more}
        self.token = self.exchange.request(
            device,
            more.pop("remote", self.address),
            code_of(method),
            options_of(path, **more),
            payload,
            now=self.now,
            **how,
        )
        return self._collect()

    def respond(
        self,
        code: str,
        *,
        payload: bytes = b"",
        handle: Handle | None = None,
        device: object = None,
        **more: Any,
    ) -> Self:
        """The caller answers the request told last."""
        self.exchange.respond(
            handle or self.event.handle,
            code_of(code),
            options_of(None, **more),
            payload,
            now=self.now,
            device=device,
        )
        return self._collect()

    def notify(self, handle: Handle, *, payload: bytes = b"", device: object = None, **more: Any) -> Self:
        """The caller notifies an observer of its own."""
        self.exchange.notify(
            handle, code_of("2.05"), options_of(None, **more), payload, now=self.now, device=device
        )
        return self._collect()

    def acknowledge(self, handle: Handle | None = None) -> Self:
        """The caller has committed what the event told last says."""
        self.exchange.acknowledge(handle or self.event.handle)
        return self._collect()

    def reset(self, handle: Handle | None = None) -> Self:
        """The caller does not want it."""
        self.exchange.reset(handle or self.event.handle)
        return self._collect()

    def forget(self, token: bytes | None = None) -> Self:
        """The caller lets a token die: that of its last request, unless said."""
        self.exchange.forget(self.token if token is None else token, now=self.now)
        return self._collect()

    def give_up(self, token: bytes | None = None) -> Self:
        """The caller waits no longer for a request."""
        self.exchange.give_up(self.token if token is None else token, now=self.now)
        return self._collect()

    def repeat(self, token: bytes) -> Self:
        """The caller wants a request to be sent again now."""
        self.exchange.repeat(token, now=self.now)
        return self._collect()

    def cancel(self, token: bytes | None = None) -> Self:
        """The caller ends an observation."""
        self.exchange.cancel(self.token if token is None else token, self.address, now=self.now)
        return self._collect()

    def device(
        self,
        line: str,
        path: str | None = None,
        *,
        message_id: int | None = None,
        token: bytes | None = None,
        payload: bytes = b"",
        remote: object = None,
        **more: Any,
    ) -> Self:
        """A datagram of the device arrives."""
        type_name, _, code_name = line.partition(" ")
        type, code = TYPES.index(type_name), code_of(code_name)
        asked = self.asked
        if message_id is None:
            answers = type >= TYPES.index("ACK")
            message_id = asked.message.message_id if answers else next(self._device_ids)
        if token is None:
            token = b"" if code == 0 else asked.message.token if code > 31 else message_id.to_bytes(2)
        message = Message(
            type=type,
            code=code,
            message_id=message_id,
            token=token,
            options=options_of(path, **more),
            payload=payload,
        )
        self._said = message
        return self.arrives(coap.encode(message), remote)

    def again(self) -> Self:
        """The device's last datagram arrives once more."""
        return self.arrives(coap.encode(self._said))

    def arrives(self, datagram: bytes, remote: object = None) -> Self:
        """Any bytes arrive."""
        self._events += self.exchange.receive(self.address if remote is None else remote, datagram, self.now)
        return self._collect()

    def server(
        self,
        line: str,
        path: str | None = None,
        *,
        payload: bytes | None = None,
        remote: object = None,
        **named: Any,
    ) -> Self:
        """The next datagram that leaves says this."""
        assert self._leaving, f"nothing leaves, but {line} should"
        self.last = sent = self._leaving.pop(0)
        message = sent.message
        assert line_of(message) == line
        assert sent.remote == (self.address if remote is None else remote)
        if path is not None:
            assert [value for number, value in message.options if number == 11] == [
                segment.encode() for segment in path.split("/")
            ]
        if payload is not None:
            assert message.payload == payload
        if message.type == 0:
            self.asked = sent
        else:
            assert message.message_id == self._said.message_id
            assert message.code == 0 or message.token == self._said.token
        for name, value in named.items():
            assert self.said(name) == value, name
        return self

    def leaves(self) -> bytes:
        """The next datagram that leaves, as it is."""
        self.last = self._leaving.pop(0)
        return self.last.datagram

    def server_repeats(self, remote: object = None) -> Self:
        """The server's last CON leaves once more, to the last byte."""
        assert self._leaving, "nothing leaves, but a retransmission should"
        self.last = self._leaving.pop(0)
        assert self.last.datagram == self.asked.datagram
        assert self.last.remote == (self.address if remote is None else remote)
        return self

    def clock(self, seconds: float) -> Self:
        """Time passes; what is due happens when it is due."""
        until = self.now + seconds
        while (due := self.exchange.next_timer()) is not None and due <= until:
            assert due >= self.now
            self.now = due
            self._events += self.exchange.expire(self.now)
            self._collect()
        self.now = until
        self._events += self.exchange.expire(self.now)
        return self._collect()

    def sleep(self, seconds: float) -> Self:
        """Time passes, but nobody looks at the timers until it has."""
        self.now += seconds
        self._events += self.exchange.expire(self.now)
        return self._collect()

    def until_due(self) -> Self:
        """Time passes until something is due, and that happens."""
        return self.clock(self.exchange.next_timer() - self.now)

    def tells(self, kind: type, **fields: Any) -> Self:
        """The next event is of this kind and says this; `payload` and `code` are its message's."""
        assert self._events, f"no event, but {kind.__name__} should come"
        self.event = event = self._events.pop(0)
        assert type(event) is kind, event
        for name, value in fields.items():
            if name == "payload":
                assert event.message.payload == value
            elif name == "code":
                assert event.message.code == code_of(value)
            else:
                assert getattr(event, name) == value, name
        return self

    def quiet(self) -> Self:
        """Nothing leaves, nothing is told."""
        assert [line_of(sent.message) for sent in self._leaving] == []
        assert self._events == []
        return self

    def counts(self, **expected: int) -> Self:
        """The Exchange has counted this; underscores stand for spaces."""
        for name, count in expected.items():
            assert self.exchange.counts[name.replace("_", " ")] == count, name
        return self

    # -- what a test may ask --

    def said(self, name: str) -> Any:
        """A field or option of the server's last datagram that the script has read."""
        assert self.last is not None
        message = self.last.message
        if name in ("message_id", "token"):
            return getattr(message, name)
        numbers = {"observe": 6, "etag": 4, "block1": 27, "block2": 23, "size1": 60}
        value = next((value for number, value in message.options if number == numbers[name]), None)
        if value is None or name == "etag":
            return value
        if name in ("block1", "block2"):
            block = block_reference.parse(value)
            return block.num, block.more, block.szx
        return int.from_bytes(value)

    def _collect(self) -> Self:
        self._leaving += [Sent(self.now, remote, datagram) for remote, datagram in self.exchange.take()]
        return self
