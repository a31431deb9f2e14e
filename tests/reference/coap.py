"""CoAP messages the slow way: RFC 7252 sections 3 to 5, RFC 8974 section 2.1.

A datagram is cut from the left into named pieces, each by one small function that returns what it read and
what is left. Nothing here is fast, and nothing here is shared with the codec it judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

CON, NON, ACK, RST = range(4)
TOKEN_LENGTH_LIMIT = 64  # RFC 8974 allows 65804; Headgate takes no more than this


class Option(NamedTuple):
    """One row of the option table: RFC 7252 section 5.10, and the RFC named beside it."""

    name: str
    shortest: int
    longest: int
    repeatable: bool = False
    supported: bool = True


# Whether an option is *critical* is no column: odd numbers are (RFC 7252 section 5.4.6).
# `supported` is about critical options only: a critical one we cannot process must be refused.
OPTIONS = {
    1: Option("If-Match", 0, 8, repeatable=True),
    3: Option("Uri-Host", 1, 255),
    4: Option("ETag", 1, 8, repeatable=True),
    5: Option("If-None-Match", 0, 0),
    6: Option("Observe", 0, 3),  # RFC 7641
    7: Option("Uri-Port", 0, 2),
    8: Option("Location-Path", 0, 255, repeatable=True),
    9: Option("OSCORE", 0, 255, supported=False),  # RFC 8613
    11: Option("Uri-Path", 0, 255, repeatable=True),
    12: Option("Content-Format", 0, 2),
    14: Option("Max-Age", 0, 4),
    15: Option("Uri-Query", 0, 255, repeatable=True),
    16: Option("Hop-Limit", 1, 1),  # RFC 8768
    17: Option("Accept", 0, 2),
    19: Option("Q-Block1", 0, 3, supported=False),  # RFC 9177
    20: Option("Location-Query", 0, 255, repeatable=True),
    23: Option("Block2", 0, 3),  # RFC 7959
    27: Option("Block1", 0, 3),  # RFC 7959
    28: Option("Size2", 0, 4),  # RFC 7959
    31: Option("Q-Block2", 0, 3, repeatable=True, supported=False),  # RFC 9177
    35: Option("Proxy-Uri", 1, 1034),
    39: Option("Proxy-Scheme", 1, 255),
    60: Option("Size1", 0, 4),
    252: Option("Echo", 1, 40),  # RFC 9175
    258: Option("No-Response", 0, 1),  # RFC 7967
    292: Option("Request-Tag", 0, 8, repeatable=True),  # RFC 9175
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as values. `options` are (number, value) pairs in the order of the wire."""

    type: int
    code: int
    message_id: int
    token: bytes = b""
    options: tuple[tuple[int, bytes], ...] = ()
    payload: bytes = b""


@dataclass
class RefusedError(Exception):
    """Not a message. What could be read is kept, so that a Reset can be addressed."""

    reason: str
    type: int | None = field(default=None, kw_only=True)
    message_id: int | None = field(default=None, kw_only=True)
    token: bytes | None = field(default=None, kw_only=True)

    @property
    def reply(self) -> str:
        """`reset` for a Confirmable message with a format error (section 4.2), else `silence`.

        Section 3: a message of another version is ignored silently. What has no whole header has no message
        id to reset. Section 4.3: a NON is dropped; sections 4.2 and 4.3: ACK and RST are never answered.
        """
        return "reset" if self.type == CON else "silence"


class FormatError(Exception):
    """A message format error, wherever in the datagram it is."""


def parse(datagram: bytes) -> Message:
    """The message in `datagram`; raises RefusedError."""
    if len(datagram) < 4:
        raise RefusedError("no whole header")
    first, code, high, low = datagram[:4]
    bits = f"{first:08b}"
    version, type, tkl = int(bits[:2], 2), int(bits[2:4], 2), int(bits[4:], 2)
    if version != 1:
        raise RefusedError("another version")
    message_id = 256 * high + low

    token = None
    try:
        token, rest = cut_token(tkl, datagram[4:])
        check_code(type, code, has_more=len(datagram) > 4)
        options, payload = cut_options(rest)
    except FormatError as error:
        raise RefusedError(str(error), type=type, message_id=message_id, token=token) from None
    return Message(type=type, code=code, message_id=message_id, token=token, options=options, payload=payload)


def cut(data: bytes, length: int) -> tuple[bytes, bytes]:
    """The first `length` bytes, and what follows them."""
    if len(data) < length:
        raise FormatError(f"{length} bytes wanted, {len(data)} left")
    return data[:length], data[length:]


def cut_extended(nibble: int, data: bytes) -> tuple[int, bytes]:
    """The number of a nibble and its extension bytes: RFC 7252 section 3.1, RFC 8974 section 2.1."""
    if nibble <= 12:
        return nibble, data
    if nibble == 13:
        extension, rest = cut(data, 1)
        return int.from_bytes(extension, "big") + 13, rest
    if nibble == 14:
        extension, rest = cut(data, 2)
        return int.from_bytes(extension, "big") + 269, rest
    raise FormatError("15 is reserved")


def cut_token(tkl: int, data: bytes) -> tuple[bytes, bytes]:
    """The token, and what follows it."""
    length, rest = cut_extended(tkl, data)
    if length > TOKEN_LENGTH_LIMIT:
        raise FormatError("a token longer than our limit")
    return cut(rest, length)


def check_code(type: int, code: int, *, has_more: bool) -> None:
    """Section 3: classes 1, 6 and 7 are reserved. Section 4.1: an Empty message is its header alone.

    Sections 4.2 and 4.3: a Reset is Empty. That other combinations of type and code make no sense (table 1)
    is a question of context, not of format.
    """
    if code >> 5 in (1, 6, 7):
        raise FormatError("reserved class")
    if code == 0 and has_more:
        raise FormatError("an Empty message with more than a header")
    if type == RST and code != 0:
        raise FormatError("a Reset that is not Empty")


def cut_options(data: bytes) -> tuple[tuple[tuple[int, bytes], ...], bytes]:
    """All options, and the payload (empty when there is none)."""
    options: list[tuple[int, bytes]] = []
    number = 0
    while data:
        head, data = cut(data, 1)
        if head == b"\xff":
            if not data:
                raise FormatError("a payload marker, and no payload")
            return tuple(options), data
        delta, data = cut_extended(head[0] // 16, data)
        length, data = cut_extended(head[0] % 16, data)
        value, data = cut(data, length)
        number += delta
        if number > 65535:
            raise FormatError("option numbers have 16 bits")
        options.append((number, value))
    return tuple(options), b""


def critical(message: Message) -> int:
    """Number of the first critical option that cannot be processed, 0 when there is none.

    An option of wrong length is as unknown as an unlisted one (section 5.4.3), and so is each further
    occurrence of an option that may stand once (section 5.4.5).
    """
    for place, (number, value) in enumerate(message.options):
        row = OPTIONS.get(number)
        numbers_before = [earlier for earlier, _ in message.options[:place]]
        processed = (
            row is not None
            and row.supported
            and row.shortest <= len(value) <= row.longest
            and (row.repeatable or number not in numbers_before)
        )
        if number % 2 == 1 and not processed:
            return number
    return 0


def extended(number: int) -> tuple[int, bytes]:
    """The nibble and the extension bytes of `number`: the inverse of `cut_extended`."""
    if number <= 12:
        return number, b""
    if number <= 12 + 256:
        return 13, (number - 13).to_bytes(1, "big")
    return 14, (number - 269).to_bytes(2, "big")


def encode(message: Message) -> bytes:
    """The datagram of `message`; its options in order of number, equal numbers as they stand."""
    tkl, token_extension = extended(len(message.token))
    header = int(f"01{message.type:02b}{tkl:04b}{message.code:08b}{message.message_id:016b}", 2)
    datagram = header.to_bytes(4, "big") + token_extension + message.token
    before = 0
    for number, value in sorted(message.options, key=lambda option: option[0]):
        delta, delta_extension = extended(number - before)
        length, length_extension = extended(len(value))
        datagram += bytes([16 * delta + length]) + delta_extension + length_extension + value
        before = number
    if message.payload:
        datagram += b"\xff" + message.payload
    return datagram
