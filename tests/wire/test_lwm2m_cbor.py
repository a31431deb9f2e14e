"""LwM2M CBOR: LwM2M 1.2 core, 7.4."""

from __future__ import annotations

import cbor2
import pytest

from headgate.errors import FormatError
from headgate.wire.lwm2m_cbor import decode, encode
from headgate.wire.resources import ROOT, Path, Resources
from headgate.wire.values import ITEMS_MAX, DataType, ObjectLink, Time


def only(data_type):
    """A lookup that knows one type."""
    return lambda object, resource: data_type


@pytest.mark.parametrize(
    "document",
    [
        {13: {26: {1: 42, 3: {0: 7}}}},
        {(13, 26): {1: 42, 3: {0: 7}}},
        {(13,): {(26,): {(1,): 42, (3,): {(0,): 7}}}},
        {(13, 26, 1): 42, (13, 26, 3, 0): 7},
        {(13, 26, 1): 42, (13, 26): {3: {0: 7}}},
        {(13, 26): {1: 42}, (13, 26, 3): {0: 7}},
        {13: {(26, 1): 42, (26, 3, 0): 7}},
        {13: {26: {1: 42}}, (13, 26): {(3, 0): 7}},
    ],
)
def test_keys_may_be_paths_anywhere(document):
    """Paths are put together from the keys of all maps around a value."""
    expected = {(13, 26, 1): 42, (13, 26, 3, 0): 7}
    assert decode(cbor2.dumps(document), Path(13, 26)) == expected
    assert decode(cbor2.dumps(document), ROOT) == expected


@pytest.mark.parametrize(
    ("resources", "base", "written"),
    [
        ({(13, 26, 1): 42}, Path(13, 26, 1), {(13, 26, 1): 42}),
        ({(13, 26, 1, 2): 42}, Path(13, 26, 1, 2), {(13, 26, 1, 2): 42}),
        ({(13, 26, 3, 0): 7, (13, 26, 3, 9): 8}, Path(13, 26, 3), {(13, 26, 3): {0: 7, 9: 8}}),
        ({(13, 26, 1): 42, (13, 26, 3, 0): 7}, Path(13, 26), {(13, 26): {1: 42, 3: {0: 7}}}),
        ({(13, 26, 1): 42, (13, 27, 1): 43}, Path(13), {13: {26: {1: 42}, 27: {1: 43}}}),
        ({(13, 26, 1): 42, (14, 0, 1): 43}, ROOT, {13: {26: {1: 42}}, 14: {0: {1: 43}}}),
        ({}, Path(3, 0), {}),
    ],
)
def test_the_base_is_one_key(resources, base, written):
    """Then a map for each ID."""
    assert cbor2.loads(encode(Resources(resources), base)) == written


@pytest.mark.parametrize(
    ("value", "data_type", "written"),
    [
        (5, DataType.INTEGER, "05"),
        (2.5, DataType.FLOAT, "fb4004000000000000"),
        (1.1, DataType.FLOAT, "fb3ff199999999999a"),
        (True, DataType.BOOLEAN, "f5"),
        ("test", DataType.STRING, "6474657374"),
        (b"\x11\x22", DataType.OPAQUE, "421122"),
        (ObjectLink(12, 34), DataType.OBJLNK, "6531323a3334"),
        (Time(1367491215), DataType.TIME, "c11a5182428f"),
    ],
)
def test_values_by_their_types(value, data_type, written):
    """The item of each type."""
    payload = bytes.fromhex("a183" + "0d 181a 01" + written)
    assert decode(payload, Path(13, 26, 1), only(data_type)) == {(13, 26, 1): value}
    assert encode(Resources({(13, 26, 1): value}), Path(13, 26, 1), only(data_type)) == payload


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (5, "/ is not a resource"),
        ([1], "not an array"),
        (None, "not null"),
        ({13: {26: 1}}, "/13/26 is not a resource"),
        ({13: {26: {1: None}}}, "/13/26/1: a value is wanted, not null"),
        ({13: {26: {1: [1]}}}, "/13/26/1: a value is wanted, not an array"),
        ({13: {26: [{1: 42}]}}, "/13/26: a value is wanted, not an array"),
        ({13: {26: {1: {2: {3: 4}}}}}, "a map at /13/26/1/2"),
        ({13: {26: {1: {2: {}}}}}, "a map at /13/26/1/2"),
        ({(13, 26, 1, 2, 3): 5}, "a path is"),
        ({(13, 26, 1): {2: 5, (3, 4): 6}}, "a path is"),
        ({(13, 26): {65536: 5}}, "a path is"),
        ({(13, 26, 65536): 5}, "a path is"),
        ({(13, 26, -1): 5}, "a path is"),
        ({13: {"26": {1: 42}}}, "not '26'"),
        ({13: {(): 26}}, r"not Path\(\)"),
        ({(13, 26, 1): 42, (13, 26): {1: 42}}, "/13/26/1 comes twice"),
        ({(13, 26, 1): 42, (13, 26, 1, 0): 42}, "has a value itself"),
        ({(13, 27, 1): 42}, "/13/27/1 came, and /13/26 was asked for"),
        ({(13, 26, 1): 2**64}, "CBOR tag 2"),
    ],
)
def test_what_is_no_payload_is_refused(document, message):
    """Keys that are no path, values that are none, and what was not asked for."""
    with pytest.raises(FormatError, match=message):
        decode(cbor2.dumps(document), Path(13, 26))


def test_values_are_bounded():
    """As many as there may be, and one more."""
    values = dict(enumerate(range(ITEMS_MAX + 1)))
    with pytest.raises(FormatError, match=f"more than {ITEMS_MAX}"):
        decode(cbor2.dumps({(13, 26): values}), Path(13, 26))
    del values[0]
    assert len(decode(cbor2.dumps({(13, 26): values}), Path(13, 26))) == ITEMS_MAX
