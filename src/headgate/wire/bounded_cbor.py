"""CBOR, as much of it as LwM2M uses, read within bounds. RFC 8949; RFC 8428 section 6.

A device's bytes decide what is built here, so the reader is small and refuses what it has no use for: tags
but two (epoch time, decimal fraction), undefined and other simple values, NaN and infinity, bytes after the
item, and keys that come twice or are neither an integer, nor a string, nor an array of IDs. A library for all
of CBOR takes most of these. Indefinite lengths are taken: devices that stream write them.

    >>> read(bytes.fromhex("A1 83 0D 18 1A 01 18 2A"))
    {Path(13, 26, 1): 42}
    >>> write({Path(13, 26, 1): 42}).hex()
    'a1830d181a01182a'
"""

from __future__ import annotations

import struct
from math import isfinite

from headgate.errors import FormatError
from headgate.wire.resources import Path
from headgate.wire.values import INTEGER_MAX, INTEGER_MIN, ITEMS_MAX, UNSIGNED_MAX, Time

CBOR_ITEMS_MAX = 8 * ITEMS_MAX  # data items of one payload, keys and elements counted: a SenML record has 7
CBOR_NESTING_MAX = 8  # four maps of LwM2M CBOR, an array as key, a tag and its array: 7
DECIMAL_EXPONENT_MAX = 400  # beyond it a double is 0 or infinite whatever the digits

# Major types: bits 7 to 5. RFC 8949 section 3.1.
UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
MAJOR_SHIFT = 5
INFO_BITS = 0x1F
ARGUMENT_IN_HEAD_MAX = 23
ARGUMENT_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
INDEFINITE = 31
BREAK = 0xFF
SIMPLE_VALUES = {20: False, 21: True, 22: None}
FLOATS = {25: ">e", 26: ">f", 27: ">d"}
TAG_EPOCH_TIME = 1
TAG_DECIMAL_FRACTION = 4

Key = int | str | Path
CborValue = int | float | bool | str | bytes | Time | None | list["CborValue"] | dict[Key, "CborValue"]


def read(payload: bytes) -> CborValue:
    """The one data item that `payload` is. Raises FormatError."""
    reader = Reader(payload)
    try:
        value = reader.item()
    except IndexError:
        raise FormatError("the payload ends inside a CBOR item") from None
    if reader.at != len(payload):
        raise FormatError(f"{len(payload) - reader.at} bytes after the CBOR item")
    return value


class Reader:
    """A place in a payload, going forward. An IndexError of its methods means that the payload ended."""

    __slots__ = ("at", "data", "items", "nesting")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.items = 0
        self.nesting = 0

    def item(self) -> CborValue:
        """The data item that begins here; the place moves behind it."""
        self.items += 1
        if self.items > CBOR_ITEMS_MAX:
            raise FormatError(f"more than {CBOR_ITEMS_MAX} CBOR items")
        head = self.data[self.at]
        self.at += 1
        major = head >> MAJOR_SHIFT
        info = head & INFO_BITS
        if major == UNSIGNED:
            return self.argument(info)
        if major == NEGATIVE:
            return negative(self.argument(info))
        if major in (BYTES, TEXT):
            return self.string(major, info)
        if major == SIMPLE:
            return self.simple(info)
        if self.nesting == CBOR_NESTING_MAX:
            raise FormatError(f"CBOR nested deeper than {CBOR_NESTING_MAX}")
        self.nesting += 1
        value: CborValue
        if major == MAP:
            value = self.map(info)
        elif major == ARRAY:
            value = self.array(info)
        else:
            value = self.tagged(self.argument(info))
        self.nesting -= 1
        return value

    def argument(self, info: int) -> int:
        """The number that a head carries: its value, length, count or tag."""
        if info <= ARGUMENT_IN_HEAD_MAX:
            return info
        if info not in ARGUMENT_WIDTHS:
            raise FormatError(f"CBOR additional information {info} here")
        return int.from_bytes(self.take(ARGUMENT_WIDTHS[info]), "big")

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        begin = self.at
        self.at += length
        if self.at > len(self.data):
            raise IndexError
        return self.data[begin : self.at]

    def string(self, major: int, info: int) -> str | bytes:
        """A byte or text string; chunks of an indefinite one are strings of the same kind."""
        if info != INDEFINITE:
            data = self.take(self.argument(info))
            return self.text(data) if major == TEXT else data
        chunks = []
        while (head := self.data[self.at]) != BREAK:
            self.at += 1
            self.items += 1
            if head >> MAJOR_SHIFT != major or head & INFO_BITS == INDEFINITE or self.items > CBOR_ITEMS_MAX:
                raise FormatError("something else than a short string inside a CBOR string")
            chunks.append(self.take(self.argument(head & INFO_BITS)))
        self.at += 1
        if major == BYTES:
            return b"".join(chunks)
        return "".join(map(self.text, chunks))

    def text(self, data: bytes) -> str:
        """The text of a text string."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise FormatError("a CBOR text string is not UTF-8") from None

    def simple(self, info: int) -> float | bool | None:
        """false, true, null or a float."""
        if info in SIMPLE_VALUES:
            return SIMPLE_VALUES[info]
        if info not in FLOATS:
            raise FormatError(f"CBOR simple value {info}")
        number: float = struct.unpack(FLOATS[info], self.take(ARGUMENT_WIDTHS[info]))[0]
        if not isfinite(number):
            raise FormatError(f"a float is finite, not {number}")
        return number

    def more(self, info: int, count: int, done: int) -> bool:
        """Whether an array or map of `count` entries, `done` of them read, goes on."""
        if info != INDEFINITE:
            return done < count
        if self.data[self.at] != BREAK:
            return True
        self.at += 1
        return False

    def array(self, info: int) -> list[CborValue]:
        """The elements of an array."""
        count = 0 if info == INDEFINITE else self.argument(info)
        values: list[CborValue] = []
        while self.more(info, count, len(values)):
            values.append(self.item())
        return values

    def map(self, info: int) -> dict[Key, CborValue]:
        """The entries of a map."""
        count = 0 if info == INDEFINITE else self.argument(info)
        values: dict[Key, CborValue] = {}
        while self.more(info, count, len(values)):
            key = self.key(self.item())
            if key in values:
                raise FormatError(f"the CBOR key {str(key)[:32]!r} comes twice")
            values[key] = self.item()
        return values

    def key(self, value: CborValue) -> Key:
        """`value` as the key of a map: a label, an ID or the IDs of a path."""
        if type(value) is int or type(value) is str:
            return value
        if isinstance(value, list):
            return Path(*(each if type(each) is int else -1 for each in value))  # which refuses -1
        raise FormatError(f"a CBOR key is a label or a path, not {type(value).__name__}")

    def tagged(self, tag: int) -> Time | float | int:
        """A time in seconds, or a decimal fraction [exponent, mantissa]."""
        value = self.item()
        if tag == TAG_EPOCH_TIME:
            if type(value) is float and value.is_integer():
                value = int(value)
            if type(value) is int and value <= INTEGER_MAX:
                return Time(value)
            raise FormatError("a CBOR epoch time is a whole number of seconds in 64 bits")
        if tag == TAG_DECIMAL_FRACTION:
            if isinstance(value, list) and len(value) == 2:
                exponent, mantissa = value
                if type(exponent) is int and type(mantissa) is int and abs(exponent) <= DECIMAL_EXPONENT_MAX:
                    return decimal(exponent, mantissa)
            raise FormatError(f"a decimal fraction is two integers, the first at most {DECIMAL_EXPONENT_MAX}")
        raise FormatError(f"CBOR tag {tag}")


def negative(argument: int) -> int:
    """The integer -1 - argument, which must have 64 bits with its sign."""
    if argument > INTEGER_MAX:
        raise FormatError("a negative integer has at most 64 bits with its sign")
    return -1 - argument


def decimal(exponent: int, mantissa: int) -> float | int:
    """The number mantissa * 10 ** exponent, an integer where it is one of 64 bits."""
    if exponent >= 0:
        whole: int = mantissa * 10**exponent
        if INTEGER_MIN <= whole <= UNSIGNED_MAX:
            return whole
    number = float(f"{mantissa}e{exponent}")
    if not isfinite(number):
        raise FormatError(f"the decimal fraction {mantissa}e{exponent} is not a double")
    return number


def write(value: CborValue) -> bytes:
    """`value` as CBOR, its entries in their order, heads as short as can be.

    Floats take four bytes if these hold them exactly, else eight: not every device reads halves.
    """
    if type(value) is int:
        return head(UNSIGNED, value) if value >= 0 else head(NEGATIVE, -1 - value)
    if type(value) is str:
        data = value.encode()
        return head(TEXT, len(data)) + data
    if type(value) is bytes:
        return head(BYTES, len(value)) + value
    if type(value) is dict:
        return head(MAP, len(value)) + b"".join(write_key(key) + write(each) for key, each in value.items())
    if type(value) is list:
        return head(ARRAY, len(value)) + b"".join(map(write, value))
    if type(value) is bool:
        return b"\xf5" if value else b"\xf4"
    if type(value) is Time:
        return head(TAG, TAG_EPOCH_TIME) + write(value.unix_s)
    assert type(value) is float, value
    try:
        short = struct.pack(">f", value)
    except OverflowError:
        short = b""
    if short and struct.unpack(">f", short)[0] == value:
        return b"\xfa" + short
    return b"\xfb" + struct.pack(">d", value)


def write_key(key: Key) -> bytes:
    """A label, or a path as an array."""
    return head(ARRAY, len(key)) + b"".join(map(write, key)) if isinstance(key, Path) else write(key)


def head(major: int, argument: int) -> bytes:
    """The first bytes of an item."""
    if argument <= ARGUMENT_IN_HEAD_MAX:
        return bytes((major << MAJOR_SHIFT | argument,))
    for info, width in ARGUMENT_WIDTHS.items():
        if argument < 1 << 8 * width:
            return bytes((major << MAJOR_SHIFT | info,)) + argument.to_bytes(width, "big")
    raise FormatError(f"a CBOR argument has at most 64 bits, not {argument.bit_length()}")
