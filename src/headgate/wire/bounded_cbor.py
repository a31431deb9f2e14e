"""CBOR, as much of it as LwM2M uses: cbor2 with its strict switches. RFC 8949; RFC 8428 section 6.

A device's bytes decide what is built here, so what nobody has a use for is refused: tags but two (epoch time,
decimal fraction), undefined and other simple values, NaN and infinity, bytes after the item, and keys that
come twice or are neither an integer, nor a string, nor an array of IDs. Indefinite lengths are taken: devices
that stream write them.

    >>> read(bytes.fromhex("A1 83 0D 18 1A 01 18 2A"))
    {Path(13, 26, 1): 42}
    >>> write({Path(13, 26, 1): 42}).hex()
    'a1830d181a01182a'
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import cbor2

from headgate.errors import FormatError
from headgate.wire.resources import Path
from headgate.wire.values import INTEGER_MIN, UNSIGNED_MAX, Time, check

CBOR_BYTES_MAX = 1 << 16  # bounds items, and the time that keys of one hash can cost: a quarter of a second
CBOR_NESTING_MAX = 8  # four maps of LwM2M CBOR, an array as key, a tag and its array: 7
DECIMAL_EXPONENT_MAX = 400  # beyond it a double is 0 or infinite whatever the digits
TAG_EPOCH_TIME = 1
TAG_DECIMAL_FRACTION = 4

Key = int | str | Path
CborValue = int | float | bool | str | bytes | Time | None | list["CborValue"] | dict[Key, "CborValue"]


def read(payload: bytes) -> CborValue:
    """The one data item that `payload` is. Raises FormatError."""
    if len(payload) > CBOR_BYTES_MAX:
        raise FormatError(f"a CBOR item of {len(payload)} bytes, more than {CBOR_BYTES_MAX}")
    stream = BytesIO(payload)
    try:
        value = cbor2.load(
            stream, semantic_decoders=TAGS, max_depth=CBOR_NESTING_MAX, allow_duplicate_keys=False
        )
    except cbor2.CBORDecodeError as error:
        raise FormatError(f"not CBOR for LwM2M: {error.__cause__ or error!s:.100}") from None
    if stream.tell() != len(payload):
        raise FormatError(f"{len(payload) - stream.tell()} bytes after the CBOR item")
    return checked(value)


def checked(value: Any) -> CborValue:
    """What cbor2 read, with paths as keys, if a resource can have all of it."""
    if type(value) is dict:
        return {key_of(key): checked(inner) for key, inner in value.items()}
    if type(value) is list:
        return [checked(each) for each in value]
    return None if value is None else check(value)  # type: ignore[return-value]  # no ObjectLink comes


def key_of(value: Any) -> Key:
    """`value` as the key of a map: a label, an ID or the IDs of a path."""
    if type(value) is tuple:
        return Path(*value)
    if type(value) is int or type(value) is str:
        check(value)
        return value
    raise FormatError(f"a CBOR key is a label or a path, not {type(value).__name__}")


def time_of(value: Any, _immutable: bool) -> Time:
    """The content of the tag for seconds since 1970."""
    return Time(int(value) if type(value) is float and value.is_integer() else value)


def decimal_of(value: Any, _immutable: bool) -> float | int:
    """The content [exponent, mantissa] of a decimal fraction: an integer where it is one of 64 bits."""
    if list(map(type, value)) != [int, int] or abs(value[0]) > DECIMAL_EXPONENT_MAX:
        raise FormatError(f"a decimal fraction is two integers, the first at most {DECIMAL_EXPONENT_MAX}")
    exponent, mantissa = value
    if exponent >= 0 and INTEGER_MIN <= mantissa * 10**exponent <= UNSIGNED_MAX:
        return int(mantissa * 10**exponent)
    return float(f"{mantissa}e{exponent}")


class Tags(dict[int, Callable[[Any, bool], Any]]):
    """What is made of each tag. Those not in here are refused, also those that cbor2 has a meaning for.

    cbor2 makes a CBORDecodeError of whatever is raised here and in the functions; `checked` sees the rest.
    """

    def __missing__(self, tag: int) -> Callable[[Any, bool], Any]:
        raise FormatError(f"CBOR tag {tag}")


TAGS = Tags({TAG_EPOCH_TIME: time_of, TAG_DECIMAL_FRACTION: decimal_of})


def write(value: CborValue) -> bytes:
    """`value`, whose scalars a resource can have, as CBOR: entries in their order, floats in eight bytes."""
    return cbor2.dumps(value, encoders={Time: lambda to, at: to.encode_semantic(TAG_EPOCH_TIME, at.unix_s)})
