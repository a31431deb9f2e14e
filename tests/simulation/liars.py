"""Devices that say anything: right answers, wrong ones, and what no device would say, all from one seed.

A liar is registered and knows its tokens, so what it says gets as far as what an honest device says. It plays
along often enough that its tasks reach every state, and lies in each.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import cbor2

from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.numbers import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    EMPTY,
    ETAG,
    GET,
    LOCATION_PATH,
    NON,
    OBSERVE,
    POST,
    PUT,
    REQUEST_LAST,
    RST,
    URI_PATH,
    URI_QUERY,
)
from headgate.wire.pcp import encode, frame
from headgate.wire.pcp_messages import (
    DownloadReport,
    ExecuteAnswer,
    NotificationAnswer,
    SegmentRequest,
    UpgradeReport,
    VersionAnswer,
)

Remote = tuple[bytes, bytes]
Say = Callable[[Remote, bytes], None]

OLD, TARGET = "V1.0", "V2.0"
HEARD_MAX = 8  # requests and datagrams that a liar has in mind
CONTENT, CHANGED, DELETE = 0x45, 0x44, 4

NUMBERS = (0, 1, 2, 3, 4, 8, 10, 11, 255, -1, -98, 1 << 31, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, 10**20)
TEXTS = (
    "",
    OLD,
    TARGET,
    "V1\0x",
    "V2.0\0\0",
    "\u20ac" * 300,
    "x" * 900,
    "\\x00",
    "0x1A",
    "1e400",
    "nan",
    "-inf",
    "٣",
)
FLOATS = (0.5, float("nan"), float("inf"), -1e308, 5e-324)
RADIO = {2: -98, 8: 0x1A2B, 9: 0, 10: 460, 11: 9}
ERRORS = (0x80, 0x84, 0x85, 0x86, 0x82, 0x8F, 0x88, 0x8D, 0xA0, 0xA3, 0x5F, 0x9F)
FORMATS = (None, 0, 40, 42, 60, 110, 112, 320, 1541, 1542, 11542, 11543, 11544, 65535)
LINKS = (
    b"</1/0>,</3/0>,</4/0>,</5/0>,</19/0>,</19/1>",
    b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11544",</3/0>,</4/0>,</5>;ver=1.1,</5/0>,</19/0>,</19/1>',
    b"</" + b"r" * 255 + b'>;rt="oma.lwm2m",</' + b"r" * 255 + b"/5/0>",
    b'</a/b/c/d>;rt="oma.lwm2m"',
    b'</a/b/c/d/e>;rt="oma.lwm2m"',
    b'</%00%ff>;rt="oma.lwm2m"',
    b'</%2F//>;rt="oma.lwm2m",</%2F//3/0>',
    b"</5/0>" + b",</65535/65535>" * 60,
    b"<",
    b"",
)
QUERIES = (
    b"lt=300",
    b"lt=0",
    b"lt=1",
    b"lt=9999999999",
    b"lwm2m=1.0",
    b"lwm2m=1.1",
    b"lwm2m=1.2",
    b"b=U",
    b"b=UQ",
    b"Q",
    b"sms=\xff",
    b"sms=+4912345",
)


def options_of(message: Message, number: int) -> list[bytes]:
    """The values of an option."""
    return [value for each, value in message.options if each == number]


def uint(number: int) -> bytes:
    """The shortest value of a uint option."""
    return number.to_bytes((number.bit_length() + 7) // 8)


class Liar:
    """One of them."""

    def __init__(self, endpoint: str, chance: random.Random, say: Say) -> None:
        self.endpoint = endpoint
        self.chance = chance
        self._say = say
        self._ports = 0
        self._message_id = chance.getrandbits(16)
        self._heard: deque[Message] = deque(maxlen=HEARD_MAX)
        self._said: deque[bytes] = deque(maxlen=HEARD_MAX)
        self._tokens: deque[tuple[bytes, tuple[bytes, ...]]] = deque(maxlen=HEARD_MAX)
        self._locations: deque[bytes] = deque([b"nowhere"], maxlen=3)
        self._uris: deque[str] = deque(["x"], maxlen=3)
        self._fresh = False
        """Whether a request waits for its first answer."""
        self._honesty = 1.0
        self._version, self._state, self._result = OLD, 0, 0

    def hear(self, datagram: bytes) -> None:
        """The server said something."""
        message = Message.parse(datagram)
        self._heard.append(message)
        if EMPTY < message.code <= REQUEST_LAST:
            self._fresh = True
        locations = options_of(message, LOCATION_PATH)
        if locations:
            self._locations.append(locations[-1])
        if message.code == GET and options_of(message, OBSERVE) == [b""]:
            self._tokens.append((message.token, tuple(options_of(message, URI_PATH))))
        if message.code == PUT and message.payload.startswith(b"coap://"):
            self._uris.append(message.payload.decode())
            self._state = 2
        if message.code == POST and options_of(message, URI_PATH)[-1:] == [b"2"]:
            self._version, self._state, self._result = TARGET, 0, 1

    def act(self) -> None:
        """Do something."""
        if self.chance.random() < 0.02:
            self._honesty = self.chance.choice((0.4, 0.9, 1.0))
            self._version, self._state, self._result = OLD, 0, 0
        if self._fresh and self.chance.random() < 0.9:
            self._answer()
        elif self.chance.random() < 0.4:
            self._notify()
        else:
            acts = (self._answer, self._register, self._update, self._download, self._send_values)
            self.chance.choice((*acts, self._repeat, self._acknowledge))()

    def _lies(self, often: float) -> bool:
        """Whether to lie now: so often by one who only lies."""
        return self.chance.random() < often * (1.0 - self._honesty)

    # -- what it does --

    def _register(self) -> None:
        if self.chance.random() < 0.3:
            self._ports += 1
        queries = [b"ep=" + self.endpoint.encode(), *self.chance.sample(QUERIES, 3)]
        links = self.chance.choice(LINKS) if self._lies(0.8) else LINKS[0]
        self._ask(POST, [b"rd"], queries, links, format=40)

    def _update(self) -> None:
        queries = self.chance.sample(QUERIES, self.chance.randrange(3))
        code = DELETE if self._lies(0.2) else self.chance.choice((POST, PUT))
        payload = self.chance.choice(LINKS) if self.chance.random() < 0.2 else b""
        self._ask(code, [b"rd", self.chance.choice(self._locations)], queries, payload)

    def _send_values(self) -> None:
        format = self.chance.choice(FORMATS)
        self._ask(POST, [b"dp"], [], self._payload(format, (b"3", b"0", b"3")), format=format)

    def _download(self) -> None:
        path = self.chance.choice(self._uris).removeprefix("coap://").split("/")[1:]
        block = Block(self.chance.randrange(20), False, 5)
        options = [(URI_PATH, each.encode()) for each in path] + [(BLOCK2, block.encode())]
        self._message(CON, GET, self.chance.randbytes(2), options)

    def _ask(
        self, code: int, path: list[bytes], queries: list[bytes], payload: bytes, format: int | None = None
    ) -> None:
        options = [(URI_PATH, each) for each in path] + [(URI_QUERY, each) for each in queries]
        options += [] if format is None else [(CONTENT_FORMAT, uint(format))]
        if self.chance.random() < 0.05:
            options.append((BLOCK1, self.chance.randbytes(self.chance.randrange(4))))
        self._message(self.chance.choice((CON, CON, NON)), code, self._token(), options, payload)

    def _answer(self) -> None:
        asked = [each for each in self._heard if EMPTY < each.code <= REQUEST_LAST]
        if not asked:
            return
        self._fresh = False
        request = asked[-1] if not self._lies(0.2) else self.chance.choice(asked)
        path = tuple(options_of(request, URI_PATH))
        accept = options_of(request, ACCEPT)
        format = int.from_bytes(accept[0]) if accept and not self._lies(0.2) else self.chance.choice(FORMATS)
        code, options, payload = CHANGED, [], b""
        if request.code == GET:
            code, payload = CONTENT, self._payload(format, path)
            options = [] if format is None else [(CONTENT_FORMAT, uint(format))]
            if options_of(request, OBSERVE) and not self._lies(0.1):
                options.append((OBSERVE, uint(self.chance.randrange(1 << 24))))
        if self._lies(0.2):
            code = self.chance.choice(ERRORS)
        if self._lies(0.2):
            options.append(
                (self.chance.choice((BLOCK1, BLOCK2)), self.chance.randbytes(self.chance.randrange(4)))
            )
        asked_block = options_of(request, BLOCK2)
        if asked_block and self.chance.random() < 0.8:
            wanted = Block.parse(asked_block[0])
            options = [*options, (BLOCK2, Block(wanted.num, wanted.num < 5, wanted.szx).encode())]
            payload = b"x" * wanted.size_bytes
        if self._lies(0.1):
            options.append((ETAG, self.chance.randbytes(2)))
        if self.chance.random() < 0.7:
            self._message(ACK, code, request.token, options, payload, message_id=request.message_id)
        else:
            self._message(self.chance.choice((CON, NON)), code, request.token, options, payload)

    def _notify(self) -> None:
        if not self._tokens:
            return
        token, path = self._tokens[-1] if not self._lies(0.3) else self.chance.choice(self._tokens)
        format = self.chance.choice(FORMATS)
        options = [] if format is None else [(CONTENT_FORMAT, uint(format))]
        if not self._lies(0.2):
            options.append((OBSERVE, uint(self.chance.randrange(1 << 24))))
        if self._lies(0.1):
            options.append((BLOCK2, Block(0, True, 2).encode()))
        code = self.chance.choice((*ERRORS, CHANGED)) if self._lies(0.2) else CONTENT
        payload = self._payload(format, path)
        if self._lies(0.1):
            token = self.chance.randbytes(8)
        self._message(self.chance.choice((CON, CON, NON)), code, token, options, payload)

    def _repeat(self) -> None:
        if self._said:
            self._send(self.chance.choice(self._said))

    def _acknowledge(self) -> None:
        if self._heard:
            type = ACK if self.chance.random() < 0.7 else RST
            self._message(type, EMPTY, b"", [], message_id=self.chance.choice(self._heard).message_id)

    # -- what it says --

    def _payload(self, format: int | None, path: tuple[bytes, ...]) -> bytes:
        """A value of the resource at `path`, right or not, written as `format` has it or not."""
        ids = tuple(int(each) for each in path[-3:] if each.isdigit())
        if ids[:1] == (19,):
            return self._frame()
        honest = not self._lies(0.7)
        if ids == (4, 0) and honest:
            return b"".join(
                bytes([0xC4, number]) + value.to_bytes(4, "big", signed=True)
                for number, value in RADIO.items()
            )
        value: int | float | str = self.chance.choice((*NUMBERS, *TEXTS, *FLOATS))
        if honest:
            known: dict[tuple[int, ...], int | str] = {
                (3, 0, 3): self._version,
                (4, 0, 8): 0x1A2B,
                (5, 0, 3): self._state,
                (5, 0, 5): self._result,
                (5, 0, 7): self._version,
            }
            value = known.get(ids, 0)
        return self._written(value, format, ids)

    def _written(self, value: int | float | str, format: int | None, ids: tuple[int, ...]) -> bytes:
        name = "/" + "/".join(map(str, ids))
        plain = str(value).encode()
        if format in (110, 320):
            key = "vs" if isinstance(value, str) else "v"
            return f'[{{"n":"{name}","{key}":{value!r}}}]'.replace("'", '"').encode()
        if format == 11543:
            key = "sv" if isinstance(value, str) else "v"
            return f'{{"bn":"{name}","e":[{{"{key}":{value!r}}}]}}'.replace("'", '"').encode()
        if format in (112, 322):
            return cbor2.dumps([{-2: name, 3 if isinstance(value, str) else 2: value}])
        if format == 60:
            return cbor2.dumps(value)
        if format == 11544:
            return cbor2.dumps({ids: value})
        if format == 11542 and ids:
            data = plain
            if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
                data = value.to_bytes(8, "big", signed=True)
            return bytes([0xD0]) + bytes([ids[-1] & 0xFF]) + len(data).to_bytes(2, "big") + data
        return plain

    def _frame(self) -> bytes:
        chance = self.chance
        if self._lies(0.2):
            return frame(chance.randrange(19, 25), chance.randbytes(chance.randrange(20)))
        if self._lies(0.2):
            return chance.randbytes(chance.randrange(40))
        result = chance.randrange(256) if self._lies(0.5) else 0
        version = chance.choice((OLD, TARGET, TARGET, "", "V1\\x00x"))
        written = encode(
            chance.choice(
                (
                    VersionAnswer(result=result, version=version),
                    NotificationAnswer(result=result),
                    SegmentRequest(target_version=version, segment_index=chance.choice((0, 1, 7, 8, 65535))),
                    DownloadReport(result=result),
                    ExecuteAnswer(result=result),
                    UpgradeReport(result=result, version=version),
                )
            )
        )
        return written[:-1] if self._lies(0.1) else written

    def _token(self) -> bytes:
        return self.chance.randbytes(self.chance.randrange(9))

    def _message(
        self,
        type: int,
        code: int,
        token: bytes,
        options: list[tuple[int, bytes]],
        payload: bytes = b"",
        *,
        message_id: int | None = None,
    ) -> None:
        if message_id is None:
            self._message_id = message_id = (self._message_id + 1) & 0xFFFF
        if code and self._lies(0.06):
            options = [*options, (self.chance.choice((9, 23, 27, 60, 65001)), self.chance.randbytes(2))]
        message = Message(
            type=type, code=code, message_id=message_id, token=token, options=options, payload=payload
        )
        datagram = bytearray(message.encode())
        if self._lies(0.06):
            datagram[self.chance.randrange(len(datagram))] = self.chance.randrange(256)
        self._said.append(bytes(datagram))
        self._send(bytes(datagram))

    def _send(self, datagram: bytes) -> None:
        if self.chance.random() < 0.02:
            self._ports += 1
        self._say((f"{self.endpoint} 0 {self._ports}".encode(), b"ours"), datagram)
