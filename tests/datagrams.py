"""Requests as devices send them, and what comes back: written and read with the reference codec, not ours."""

from __future__ import annotations

from dataclasses import dataclass

from reference import block as reference_block
from reference import coap as reference
from reference.block import Block

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)

IF_MATCH = 1
URI_HOST = 3
ETAG = 4
IF_NONE_MATCH = 5
OBSERVE = 6
URI_PORT = 7
OSCORE = 9
URI_PATH = 11
CONTENT_FORMAT = 12
URI_QUERY = 15
HOP_LIMIT = 16
ACCEPT = 17
Q_BLOCK1 = 19
BLOCK2 = 23
BLOCK1 = 27
SIZE2 = 28
Q_BLOCK2 = 31
PROXY_URI = 35
PROXY_SCHEME = 39
SIZE1 = 60
ECHO = 252
NO_RESPONSE = 258
REQUEST_TAG = 292

DISCOVERY = ".well-known/core"


def block_value(num: int, szx: int, more: bool = False) -> bytes:
    """The shortest value of a Block option; SZX 7 is written too."""
    return reference_block.encode(Block(num, more, szx))


def path_options(path: str | bytes) -> tuple[tuple[int, bytes], ...]:
    """A Uri-Path option per segment."""
    joined = path.encode() if isinstance(path, str) else path
    return tuple((URI_PATH, segment) for segment in joined.split(b"/"))


def request(
    path: str | bytes | None,
    *options: tuple[int, bytes],
    block2: tuple[int, int] | None = None,
    type: int = CON,
    code: int = GET,
    message_id: int = 0x7D34,
    token: bytes = b"\x01\x02\x03\x04",
    payload: bytes = b"",
) -> bytes:
    """A GET of `path` (None: without Uri-Path) with these options, and Block2 from (NUM, SZX)."""
    all_options = options if path is None else path_options(path) + options
    if block2 is not None:
        all_options += ((BLOCK2, block_value(*block2)),)
    return reference.encode(
        reference.Message(
            type=type, code=code, message_id=message_id, token=token, options=all_options, payload=payload
        )
    )


def empty(type: int, message_id: int = 0x7D34) -> bytes:
    """A header alone: a ping, an acknowledgement, a Reset."""
    return reference.encode(reference.Message(type=type, code=0, message_id=message_id))


RESET = empty(RST)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A reply as values; an option that is not there is None."""

    type: int
    code: str
    message_id: int
    token: bytes
    numbers: tuple[int, ...]
    etag: bytes | None
    content_format: int | None
    block2: Block | None
    size2: int | None
    payload: bytes


def read(reply: bytes | None) -> Answer:
    """What a device reads from a reply, which must be a message without unknown critical options."""
    assert reply is not None
    message = reference.parse(reply)
    assert reference.critical(message) == 0
    values = dict(message.options)
    numbers = tuple(number for number, _ in message.options)
    assert len(values) == len(numbers)
    block2 = values.get(BLOCK2)
    return Answer(
        type=message.type,
        code=f"{message.code >> 5}.{message.code & 31:02}",
        message_id=message.message_id,
        token=message.token,
        numbers=numbers,
        etag=values.get(ETAG),
        content_format=number_of(values.get(CONTENT_FORMAT)),
        block2=None if block2 is None else reference_block.parse(block2),
        size2=number_of(values.get(SIZE2)),
        payload=message.payload,
    )


def number_of(value: bytes | None) -> int | None:
    """A uint option, which we always expect in its shortest form."""
    if value is None:
        return None
    assert not value.startswith(b"\0")
    return int.from_bytes(value, "big")
