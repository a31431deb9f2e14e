"""LwM2M TLV: LwM2M 1.1 core, 7.4."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.wire.resources import ROOT, Path, Resources
from headgate.wire.tlv import (
    MULTIPLE_RESOURCE,
    OBJECT_INSTANCE,
    RESOURCE,
    RESOURCE_INSTANCE,
    decode,
    encode,
    items,
)
from headgate.wire.values import ITEMS_MAX, DataType, ObjectLink, Time
from reference import tlv as reference
from trees import IDS

KINDS = {
    OBJECT_INSTANCE: "object instance",
    RESOURCE_INSTANCE: "resource instance",
    MULTIPLE_RESOURCE: "multiple resource",
    RESOURCE: "resource",
}
RESOURCE_PATH = Path(3, 0, 1)


def only(data_type):
    """A lookup that knows one type."""
    return lambda object, resource: data_type


def value(data_type, data: bytes):
    """What `data` is as the value of a resource of this type."""
    return decode(resource(1, data), RESOURCE_PATH, only(data_type))[RESOURCE_PATH]


def written(data_type, value) -> bytes:
    """The bytes of `value`, without the head."""
    ((_, _, data),) = items(encode(Resources({RESOURCE_PATH: value}), RESOURCE_PATH, only(data_type)))
    return data


def tlv(kind: str, identifier: int, *inner: bytes) -> bytes:
    """A TLV with the widest fields there are, which are as legal as the shortest."""
    return reference.write(reference.Tlv(kind, identifier, b"".join(inner)), 2, 3)


def resource(identifier: int, data: bytes = b"x") -> bytes:
    """A resource with a value."""
    return tlv("resource", identifier, data)


# -- Heads --


@pytest.mark.parametrize("identifier_bytes", [1, 2])
@pytest.mark.parametrize("length_bytes", [0, 1, 2, 3])
@pytest.mark.parametrize("length", [0, 1, 7])
@pytest.mark.parametrize("kind", KINDS.values())
def test_every_width_of_every_field_is_read(identifier_bytes, length_bytes, length, kind):
    """Shorter would do; longer is what simple writers write."""
    one = reference.Tlv(kind, 200, bytes(range(length)))
    ((found, identifier, data),) = items(reference.write(one, identifier_bytes, length_bytes))
    assert (KINDS[found], identifier, data) == one


@pytest.mark.parametrize(
    ("identifier", "length", "head"),
    [
        (0, 0, "C000"),
        (255, 7, "C7FF"),
        (256, 7, "E70100"),
        (65535, 8, "E8FFFF08"),
        (5, 8, "C80508"),
        (5, 255, "C805FF"),
        (5, 256, "D0050100"),
        (5, 65535, "D005FFFF"),
        (5, 65536, "D805010000"),
        (300, 65536, "F8012C010000"),
    ],
)
def test_heads_are_written_as_short_as_can_be(identifier, length, head):
    """The ends of each range of identifier and length."""
    path = Path(3, 0, identifier)
    payload = encode(Resources({path: bytes(length)}), Path(3, 0))
    assert payload == bytes.fromhex(head) + bytes(length)
    assert decode(payload, path)[path] == bytes(length)


def test_several_objects_cannot_be_written():
    """TLV has no object IDs, so the request's path must have one."""
    with pytest.raises(FormatError, match="no object IDs"):
        encode(Resources({(3, 0, 9): 1}), ROOT)


def test_a_value_of_2_to_the_24_bytes_cannot_be_written():
    """The length has three bytes."""
    with pytest.raises(FormatError, match="at most 16777215 bytes, not 16777216"):
        encode(Resources({(5, 0, 0): bytes(1 << 24)}), Path(5, 0))


@pytest.mark.parametrize(
    "payload", ["C0", "E0", "E001", "C1 00", "C8 00", "C800 02 AA", "D000 00", "D80000 00", "C80005 00"]
)
def test_a_head_or_value_cut_off_is_refused(payload):
    """Wherever the payload ends."""
    with pytest.raises(FormatError, match=r"inside the head|after the payload"):
        decode(bytes.fromhex(payload), Path(3, 0))


TLVS = st.builds(
    lambda kind, identifier, value, wide, length_bytes: reference.write(
        reference.Tlv(kind, identifier, value),
        2 if wide or identifier > 255 else 1,
        max(length_bytes, 0 if len(value) < 8 else 1 if len(value) < 256 else 2),
    ),
    st.sampled_from(list(KINDS.values())),
    IDS,
    st.binary(max_size=12) | st.binary(min_size=250, max_size=260),
    st.booleans(),
    st.integers(0, 3),
)


@given(data=st.binary(max_size=24) | st.lists(TLVS, max_size=4).map(b"".join))
@example(data=b"\xff\xff\xff\x00\x00\x01x")
def test_items_agree_with_the_reference(data):
    """The same TLVs to both, or refused by both."""
    try:
        expected = reference.parse(data)
    except reference.RefusedError:
        with pytest.raises(FormatError):
            list(items(data))
    else:
        assert [(KINDS[kind], identifier, value) for kind, identifier, value in items(data)] == expected


# -- Structure --

INSTANCE = resource(1) + tlv("multiple resource", 2, tlv("resource instance", 7, b"y"))


@pytest.mark.parametrize(
    ("base", "payload", "paths"),
    [
        (Path(3), tlv("object instance", 0, INSTANCE), ["/3/0/1", "/3/0/2/7"]),
        (Path(3), tlv("object instance", 9, INSTANCE), ["/3/9/1", "/3/9/2/7"]),
        (Path(3), INSTANCE, ["/3/0/1", "/3/0/2/7"]),
        (Path(3, 9), INSTANCE, ["/3/9/1", "/3/9/2/7"]),
        (Path(3, 9), tlv("object instance", 9, INSTANCE), ["/3/9/1", "/3/9/2/7"]),
        (Path(3, 9, 1), resource(1), ["/3/9/1"]),
        (Path(3, 9, 1), tlv("object instance", 9, resource(1)), ["/3/9/1"]),
        (Path(3, 9, 2), tlv("multiple resource", 2, tlv("resource instance", 7)), ["/3/9/2/7"]),
        (Path(3, 9, 2), tlv("resource instance", 7), ["/3/9/2/7"]),
        (Path(3, 9, 2, 7), tlv("resource instance", 7), ["/3/9/2/7"]),
        (Path(3, 9, 2, 7), tlv("multiple resource", 2, tlv("resource instance", 7)), ["/3/9/2/7"]),
        (Path(3), b"", []),
        (Path(3, 0, 6), b"", []),
        (Path(3), tlv("object instance", 0), []),
        (Path(3, 0, 6), tlv("multiple resource", 6), []),
    ],
)
def test_the_path_may_be_repeated_or_not(base, payload, paths):
    """Clients differ in it, servers take all of it; nothing in it is ambiguous."""
    assert [str(path) for path in decode(payload, base)] == paths


@pytest.mark.parametrize(
    ("base", "payload", "message"),
    [
        (ROOT, b"", "no object IDs"),
        (Path(3, 0), tlv("object instance", 1, INSTANCE), "/3/1/1 came, and /3/0 was asked for"),
        (Path(3, 0, 1), resource(2), "/3/0/2 came, and /3/0/1 was asked for"),
        (Path(3, 0, 1), INSTANCE, "/3/0/2/7 came"),
        (Path(3, 0, 1, 0), resource(1), "/3/0/1 came"),
        (Path(3, 0, 1, 0), tlv("resource instance", 1), "/3/0/1/1 came"),
        (Path(3), tlv("resource instance", 1), "without its resource"),
        (Path(3, 0), tlv("resource instance", 1), "without its resource"),
        (Path(3), tlv("object instance", 0) + resource(1), "side by side"),
        (Path(3, 0, 1), resource(1) + tlv("resource instance", 1), "side by side"),
        (
            Path(3),
            tlv("object instance", 0, tlv("object instance", 1)),
            "an object instance inside the object",
        ),
        (
            Path(3),
            tlv("object instance", 0, tlv("resource instance", 1)),
            "a resource instance inside the object",
        ),
        (
            Path(3, 0),
            tlv("multiple resource", 6, resource(1)),
            "a resource inside the multiple resource /3/0/6",
        ),
        (Path(3, 0), tlv("multiple resource", 6, tlv("multiple resource", 1)), "a multiple resource inside"),
        (Path(3, 0), tlv("multiple resource", 6, tlv("object instance", 1)), "an object instance inside"),
        (Path(3, 0), resource(1) * 2, "/3/0/1 comes twice"),
        (Path(3, 0), tlv("multiple resource", 6) * 2, "/3/0/6 comes twice"),
        (Path(3, 0), tlv("multiple resource", 6, tlv("resource instance", 1) * 2), "/3/0/6/1 comes twice"),
        (
            Path(3, 0),
            resource(6) + tlv("multiple resource", 6, tlv("resource instance", 1)),
            "has a value itself",
        ),
        (Path(3), tlv("object instance", 1) * 2, "/3/1 comes twice"),
        (Path(3), b"".join(map(resource, range(ITEMS_MAX + 1))), "more than 4096 TLVs"),
        (
            Path(3),
            b"".join(
                tlv("object instance", i, b"".join(map(resource, range(ITEMS_MAX // 2 + 1))))
                for i in range(2)
            ),
            "more than 4096 values",
        ),
    ],
)
def test_what_cannot_be_is_refused(base, payload, message):
    """TLVs in the wrong place, twice, or too many."""
    with pytest.raises(FormatError, match=message):
        decode(payload, base)


# -- Values --

WIDTHS = [1, 2, 4, 8]


@pytest.mark.parametrize("width", WIDTHS)
def test_integers_have_a_sign_and_unsigned_ones_have_none(width):
    """Both ends of each width."""
    lowest, highest = b"\x80" + bytes(width - 1), b"\x7f" + b"\xff" * (width - 1)
    assert value(DataType.INTEGER, lowest) == -(2 ** (8 * width - 1))
    assert value(DataType.INTEGER, highest) == 2 ** (8 * width - 1) - 1
    assert value(DataType.UNSIGNED, lowest) == 2 ** (8 * width - 1)
    assert value(DataType.UNSIGNED, b"\xff" * width) == 2 ** (8 * width) - 1
    assert value(DataType.TIME, b"\xff" * width) == Time(-1)
    assert value(DataType.INTEGER, bytes(width)) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_integers_are_written_in_the_fewest_of_1_2_4_and_8_bytes(width):
    """The last value that fits, and the first that does not."""
    highest = 2 ** (8 * width - 1) - 1
    assert len(written(DataType.INTEGER, highest)) == len(written(DataType.INTEGER, -highest - 1)) == width
    assert len(written(DataType.UNSIGNED, 2 ** (8 * width) - 1)) == width
    assert len(written(DataType.TIME, Time(highest))) == width
    if width < 8:
        assert len(written(DataType.INTEGER, highest + 1)) == 2 * width
        assert len(written(DataType.UNSIGNED, 2 ** (8 * width))) == 2 * width


def test_an_integer_without_a_sign_has_to_be_known_as_one():
    """Nobody could tell it from a negative one."""
    assert written(DataType.UNSIGNED, 2**64 - 1) == b"\xff" * 8
    with pytest.raises(FormatError, match="known as Unsigned"):
        written(None, 2**63)


@pytest.mark.parametrize(
    ("data_type", "data", "expected"),
    [
        (DataType.STRING, b"", ""),
        (DataType.STRING, "Größe".encode(), "Größe"),
        (DataType.CORELNK, b"</3/0>", "</3/0>"),
        (DataType.BOOLEAN, b"\0", False),
        (DataType.BOOLEAN, b"\1", True),
        (DataType.FLOAT, struct.pack(">f", -1.5), -1.5),
        (DataType.FLOAT, struct.pack(">d", 1.1), 1.1),
        (DataType.OPAQUE, b"\xff\xfe", b"\xff\xfe"),
        (DataType.OPAQUE, b"", b""),
        (DataType.OBJLNK, b"\x00\x42\xff\xff", ObjectLink(66, 65535)),
        (DataType.TIME, b"\x51\x82\x42\x8f", Time(1367491215)),
        (None, b"\x00", b"\x00"),
    ],
)
def test_values_by_their_types(data_type, data, expected):
    """LwM2M 1.1 core, appendix C. Both ways; without a type bytes stay bytes."""
    assert value(data_type, data) == expected
    assert type(value(data_type, data)) is type(expected)
    assert written(data_type, expected) == data


@pytest.mark.parametrize(
    ("data_type", "data"),
    [
        *(
            (kind, bytes(n))
            for kind in (DataType.INTEGER, DataType.UNSIGNED, DataType.TIME)
            for n in (0, 3, 5, 7, 9)
        ),
        *((DataType.FLOAT, bytes(n)) for n in (0, 1, 2, 3, 5, 7, 9)),
        *((DataType.FLOAT, struct.pack(">f", x)) for x in (float("inf"), float("nan"))),
        *((DataType.FLOAT, struct.pack(">d", x)) for x in (float("-inf"), float("nan"))),
        *((DataType.BOOLEAN, data) for data in (b"", b"\2", b"\0\0", b"\0\1", b"1")),
        *((DataType.OBJLNK, bytes(n)) for n in (0, 2, 3, 5, 8)),
        *((DataType.STRING, data) for data in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80")),
    ],
)
def test_values_of_wrong_lengths_and_forms_are_refused(data_type, data):
    """Nothing is padded, cut, rounded or replaced."""
    with pytest.raises(FormatError):
        value(data_type, data)


@pytest.mark.parametrize(
    ("number", "length"),
    [(0.0, 4), (-98.0, 4), (1.1, 8), (3.4028234663852886e38, 4), (3.5e38, 8), (1e-45, 8)],
)
def test_floats_take_four_bytes_where_these_are_exact(number, length):
    """Also beyond the range of four bytes."""
    assert len(written(DataType.FLOAT, number)) == length
    assert value(DataType.FLOAT, written(DataType.FLOAT, number)) == number
