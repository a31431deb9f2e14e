"""Reading options of a message: the first value of a number, a Block, a number."""

from __future__ import annotations

from collections.abc import Container

from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.numbers import OBSERVE

Options = tuple[tuple[int, bytes], ...]

OBSERVE_LENGTH_MAX = 3  # RFC 7641 section 2; a longer one counts as unknown, and is elective


def value_of(options: Options, number: int) -> bytes | None:
    """The first value of option `number`."""
    for each, value in options:
        if each == number:
            return value
    return None


def block_of(message: Message, number: int) -> Block | None:
    """Its Block1 or Block2. Raises BlockError for SZX 7."""
    value = value_of(message.options, number)
    return None if value is None else Block.parse(value)


def uint_of(options: Options, number: int, length_max: int) -> int | None:
    """The first value of a uint option; None when it is longer than it may be, for then it is unknown."""
    value = value_of(options, number)
    return None if value is None or len(value) > length_max else int.from_bytes(value)


def observe_of(options: Options) -> int | None:
    """The Observe option: 0 or 1 in a request, a number of 24 bits in a notification."""
    return uint_of(options, OBSERVE, OBSERVE_LENGTH_MAX)


def without(options: Options, numbers: Container[int]) -> Options:
    """All options but those of `numbers`."""
    return tuple([option for option in options if option[0] not in numbers])


def uint(number: int) -> bytes:
    """The shortest value of a uint option: RFC 7252 section 3.2."""
    return number.to_bytes((number.bit_length() + 7) // 8)
