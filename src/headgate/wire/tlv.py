"""LwM2M TLV, Content-Format 11542 (1542 before LwM2M 1.0). LwM2M 1.1 core, 7.4, TLV.

    0  1  2  3  4  5  6  7
    +-----+--+-----+--------+----------------+----------------------+---------
    | kind|id| len | length | identifier     | length               | value
    |     | w|  w  |        | 1 byte, 2 if w | 0 to 3 bytes, by lenw| `length` bytes
    +-----+--+-----+--------+----------------+----------------------+---------

With lenw 0 the length is in the first byte. The value of an object instance is TLVs of its resources, that of
a multiple resource is TLVs of its instances. Nothing says what a value is: 4 bytes may be a number, a string,
a float or a time. Whoever decodes looks up the data type, and gets bytes where it is not known.

The values of GET 4/0 of a device:

    >>> tlv = bytes.fromhex("C10007 8301410007 C1029E C4080B2F60B1 C10B09")
    >>> decode(tlv, Path(4, 0), lambda object, resource: DataType.INTEGER)
    Resources({'/4/0/0': 7, '/4/0/1/0': 7, '/4/0/2': -98, '/4/0/8': 187654321, '/4/0/11': 9})
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import groupby

from headgate.errors import FormatError
from headgate.wire.resources import DEPTH_MAX, Path, Resources, refuse_others, typed_below
from headgate.wire.values import (
    INTEGER_MAX,
    ITEMS_MAX,
    DataType,
    ObjectLink,
    Time,
    TypeLookup,
    Value,
    untyped,
    utf8,
)

# Kinds: bits 7 and 6.
OBJECT_INSTANCE = 0x00
RESOURCE_INSTANCE = 0x40
MULTIPLE_RESOURCE = 0x80
RESOURCE = 0xC0  # "Resource with Value"
KIND_BITS = 0xC0

WIDE_IDENTIFIER = 0x20
LENGTH_WIDTH_SHIFT = 3
LENGTH_WIDTH_BITS = 3
SHORT_LENGTH_MAX = 7
LENGTH_MAX = (1 << 24) - 1
NUMBER_WIDTHS = (1, 2, 4, 8)  # bytes

Item = tuple[int, int, bytes]  # kind, identifier, value


def items(data: bytes) -> Iterator[Item]:
    """The TLVs that `data` consists of, in order, without going into their values."""
    at = 0
    end = len(data)
    count = 0
    try:
        while at < end:
            count += 1
            if count > ITEMS_MAX:
                raise FormatError(f"more than {ITEMS_MAX} TLVs side by side")
            head = data[at]
            if head & WIDE_IDENTIFIER:
                identifier = data[at + 1] << 8 | data[at + 2]
                at += 3
            else:
                identifier = data[at + 1]
                at += 2
            length_width = head >> LENGTH_WIDTH_SHIFT & LENGTH_WIDTH_BITS
            if length_width:
                value_at = at + length_width
                length = int.from_bytes(data[at:value_at], "big")
            else:
                value_at = at
                length = head & SHORT_LENGTH_MAX
            at = value_at + length
            if at > end:
                raise FormatError(f"a TLV of {length} bytes ends {at - end} bytes after the payload")
            yield head & KIND_BITS, identifier, data[value_at:at]
    except IndexError:
        raise FormatError("the payload ends inside the head of a TLV") from None


def decode(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """The values of a payload that answers, or is written to, the path `base`. Raises FormatError.

    Clients differ in how much of the path they repeat. Taken alike: resources with their object instance
    around them or without it (then it is the one of `base`, or 0), and the instances of a resource with or
    without the multiple resource around them. What names anything outside `base` is refused.
    """
    if not base:
        raise FormatError("TLV has no object IDs: a payload for / cannot be in it")
    found = Found(type_of)
    level = 0
    for kind, identifier, value in items(payload):
        if level != LEVELS[kind]:
            if level:
                raise FormatError("object instances, resources and resource instances side by side")
            level = LEVELS[kind]
        if kind == OBJECT_INSTANCE:
            found.put_resources((base[0], identifier), items(value))
        elif kind != RESOURCE_INSTANCE:
            found.put_resource((base[0], base[1] if len(base) > 1 else 0), (kind, identifier, value))
        elif len(base) > 2:
            found.put((*base[:3], identifier), value)
        else:
            raise FormatError(f"{base} was asked for, and a resource instance came without its resource")
    refuse_others(found.values, base)
    return Resources(found.values)


LEVELS = {OBJECT_INSTANCE: 1, RESOURCE: 2, MULTIPLE_RESOURCE: 2, RESOURCE_INSTANCE: 3}


class Found:
    """What was found so far. Nothing is put twice, be it empty."""

    __slots__ = ("containers", "type_of", "values")

    def __init__(self, type_of: TypeLookup) -> None:
        self.values: dict[tuple[int, ...], Value] = {}
        self.containers: set[tuple[int, ...]] = set()  # object instances and multiple resources
        self.type_of = type_of

    def put_resources(self, instance: tuple[int, ...], tlvs: Iterable[Item]) -> None:
        """Add the object instance `instance` with its resources."""
        self.open(instance)
        for tlv in tlvs:
            self.put_resource(instance, tlv)

    def put_resource(self, instance: tuple[int, ...], tlv: Item) -> None:
        """Add one resource of an object instance."""
        kind, identifier, value = tlv
        path = (*instance, identifier)
        if kind == RESOURCE:
            self.put(path, value)
        elif kind == MULTIPLE_RESOURCE:
            self.open(path)
            for inner_kind, inner_identifier, inner_value in items(value):
                if inner_kind != RESOURCE_INSTANCE:
                    raise FormatError(f"{KINDS[inner_kind]} inside the multiple resource {Path(*path)}")
                self.put((*path, inner_identifier), inner_value)
        else:
            raise FormatError(f"{KINDS[kind]} inside the object instance {Path(*instance)}")

    def open(self, path: tuple[int, ...]) -> None:
        """Begin an object instance or a multiple resource."""
        if path in self.containers:
            raise FormatError(f"{Path(*path)} comes twice")
        self.containers.add(path)

    def put(self, path: tuple[int, ...], data: bytes) -> None:
        """Add one value, as the type of its resource has it."""
        if path in self.values:
            raise FormatError(f"{Path(*path)} comes twice")
        if len(self.values) == ITEMS_MAX:
            raise FormatError(f"more than {ITEMS_MAX} values")
        try:
            self.values[path] = parse_value(data, self.type_of(path[0], path[2]))
        except FormatError as error:
            raise FormatError(f"{Path(*path)}: {error}") from None


KINDS = {
    OBJECT_INSTANCE: "an object instance",
    RESOURCE_INSTANCE: "a resource instance",
    MULTIPLE_RESOURCE: "a multiple resource",
    RESOURCE: "a resource",
}


def parse_value(data: bytes, data_type: DataType | None) -> Value:
    """The value that the bytes of one TLV are. LwM2M 1.1 core, appendix C, column TLV."""
    if data_type is None or data_type is DataType.OPAQUE:
        return data
    if data_type is DataType.STRING or data_type is DataType.CORELNK:
        return utf8(data)
    length = len(data)
    if data_type is DataType.BOOLEAN:
        if data == b"\0" or data == b"\1":
            return data == b"\1"
        raise FormatError(f"a Boolean is one byte, 0 or 1, not {data[:8].hex()}")
    if data_type is DataType.FLOAT:
        if length == 4 or length == 8:
            number: float = struct.unpack(">f" if length == 4 else ">d", data)[0]
            return number
        raise FormatError(f"a Float has 4 or 8 bytes, not {length}")
    if data_type is DataType.OBJLNK:
        if length == 4:
            return ObjectLink(data[0] << 8 | data[1], data[2] << 8 | data[3])
        raise FormatError(f"an Objlnk has 4 bytes, not {length}")
    if length not in NUMBER_WIDTHS:
        raise FormatError(f"a number has 1, 2, 4 or 8 bytes, not {length}")
    integer = int.from_bytes(data, "big", signed=data_type is not DataType.UNSIGNED)
    return Time(integer) if data_type is DataType.TIME else integer


def encode(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    r"""The payload that answers, or is written to, `base`: all of `resources`, in the order of their paths.

    Identifiers, lengths and numbers take as few bytes as they need. Raises FormatError.

    >>> encode(Resources({(19, 0, 0, 0): b"\xff\xfe\x01"}), Path(19, 0, 0)).hex()
    '85004300fffe01'
    """
    if not base:
        raise FormatError("TLV has no object IDs: give the path of an object at least")
    tlvs = []
    for path, value in typed_below(resources, base, type_of):
        kind = RESOURCE_INSTANCE if len(path) == DEPTH_MAX else RESOURCE
        tlvs.append((path, item(kind, path[-1], write_value(value, type_of(path[0], path[2])))))
    if len(base) < DEPTH_MAX:
        tlvs = wrapped(tlvs, MULTIPLE_RESOURCE, 3)
    if len(base) == 1:
        tlvs = wrapped(tlvs, OBJECT_INSTANCE, 2)
    return b"".join(tlv for _, tlv in tlvs)


Tlvs = list[tuple[tuple[int, ...], bytes]]  # each with its path


def wrapped(tlvs: Tlvs, kind: int, depth: int) -> Tlvs:
    """The same, what lies deeper than `depth` gathered in TLVs of `kind` at that depth."""
    gathered: Tlvs = []
    for path, group in groupby(tlvs, lambda each: each[0][:depth]):
        inner = list(group)
        if len(inner[0][0]) == depth:
            gathered += inner
        else:
            gathered.append((path, item(kind, path[-1], b"".join(tlv for _, tlv in inner))))
    return gathered


def item(kind: int, identifier: int, value: bytes) -> bytes:
    """One TLV, its head as short as can be."""
    length = len(value)
    if length > LENGTH_MAX:
        raise FormatError(f"a TLV has at most {LENGTH_MAX} bytes, not {length}")
    length_width = 0 if length <= SHORT_LENGTH_MAX else (length.bit_length() + 7) // 8
    identifier_width = 1 if identifier <= 0xFF else 2
    head = (
        kind
        | (WIDE_IDENTIFIER if identifier_width == 2 else 0)
        | (length_width << LENGTH_WIDTH_SHIFT if length_width else length)
    )
    return (
        bytes((head,))
        + identifier.to_bytes(identifier_width, "big")
        + (length.to_bytes(length_width, "big") if length_width else b"")
        + value
    )


def write_value(value: Value, data_type: DataType | None) -> bytes:
    """The bytes of a value, as few as the type has for it."""
    if type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode()
    if type(value) is bool:
        return b"\1" if value else b"\0"
    if type(value) is float:
        return write_float(value)
    if type(value) is ObjectLink:
        return struct.pack(">HH", value.object, value.instance)
    integer = value.unix_s if type(value) is Time else value
    assert type(integer) is int
    signed = data_type is not DataType.UNSIGNED
    if signed and integer > INTEGER_MAX:
        raise FormatError("an integer of 64 bits without a sign has to be known as Unsigned Integer")
    bits = (integer if integer >= 0 else ~integer).bit_length() + signed
    return integer.to_bytes(next(width for width in NUMBER_WIDTHS if bits <= 8 * width), "big", signed=signed)


def write_float(value: float) -> bytes:
    """Four bytes if they hold the value exactly, else eight."""
    try:
        short = struct.pack(">f", value)
    except OverflowError:
        return struct.pack(">d", value)
    return short if struct.unpack(">f", short)[0] == value else struct.pack(">d", value)
