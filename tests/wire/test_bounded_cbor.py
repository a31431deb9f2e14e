"""The CBOR of LwM2M: RFC 8949, against the RFC's examples and against cbor2."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.wire.bounded_cbor import CBOR_ITEMS_MAX, CBOR_NESTING_MAX, read, write
from headgate.wire.values import Time
from trees import INT64, UINT64, bases
from vectors import load

PUBLISHED = load("cbor.json")

KEYS = st.integers(-20, 70000) | st.text(max_size=4) | bases()
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = INT64 | UINT64 | FLOATS | st.booleans() | st.text(max_size=300) | st.binary(max_size=300)
ITEMS = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
# The same, as far as we write them: no null.
WRITTEN = st.recursive(
    SCALARS | st.builds(Time, INT64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def nesting(item) -> int:
    """How deep it goes, keys and tags counted."""
    if isinstance(item, list):
        return 1 + max(map(nesting, item), default=0)
    if isinstance(item, dict):
        keys = [int(isinstance(key, tuple)) for key in item]
        return 1 + max([*map(nesting, item.values()), *keys], default=0)
    return int(isinstance(item, Time))


def seen_by_cbor2(item):
    """What cbor2 makes of what we read: times are dates, and equality tells types apart."""
    if isinstance(item, list | tuple):
        return [seen_by_cbor2(each) for each in item]
    if isinstance(item, dict):
        return {key: seen_by_cbor2(value) for key, value in item.items()}
    if isinstance(item, Time):
        return Time, item.unix_s
    return type(item), item, math.copysign(1, item) if isinstance(item, float) else 0


def of_cbor2(item):
    """What cbor2 read, in the same terms."""
    if isinstance(item, list | tuple):
        return [of_cbor2(each) for each in item]
    if isinstance(item, dict):
        return {key: of_cbor2(value) for key, value in item.items()}
    if isinstance(item, Decimal):
        whole = item == item.to_integral_value() and item.as_tuple().exponent >= 0
        return of_cbor2(int(item) if whole and -(2**63) <= item < 2**64 else float(item))
    if isinstance(item, datetime.datetime):
        return Time, item.timestamp()
    return type(item), item, math.copysign(1, item) if isinstance(item, float) else 0


@pytest.mark.parametrize("vector", PUBLISHED["items"], ids=lambda vector: vector["hex"])
def test_published_item(vector):
    """RFC 8949 appendix A, as far as LwM2M has a use for it."""
    assert of_cbor2(read(bytes.fromhex(vector["hex"]))) == of_cbor2(vector["value"])


@pytest.mark.parametrize("vector", PUBLISHED["refused"], ids=lambda vector: vector["meaning"])
def test_published_item_that_no_resource_has(vector):
    """RFC 8949 appendix A: what LwM2M has no use for."""
    with pytest.raises(FormatError):
        read(bytes.fromhex(vector["hex"]))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("c11a514b67b0", Time(1363896240)),
        ("c1fb41d452d9ec000000", Time(1363896240)),
        ("c13bffffffff", None),
        ("c120", Time(-1)),
        ("c48221196ab3", 273.15),  # RFC 8949 section 3.4.4
        ("c48200182a", 42),
        ("c482021805", 500),
        ("c48220182d", 4.5),
        ("c4821390131b7fffffffffffffff", None),
        ("5f42010243030405ff", b"\1\2\3\4\5"),
        ("5fff", b""),
        ("7fff", ""),
        ("a0", {}),
        ("bf01020304ff", {1: 2, 3: 4}),
        ("a1830d181a01182a", {(13, 26, 1): 42}),
        ("bf9f0d181aff01ff", {(13, 26): 1}),
    ],
)
def test_tags_and_indefinite_lengths(data, expected):
    """Times, decimal fractions and chunks, as devices write them; None is refused."""
    if expected is None:
        with pytest.raises(FormatError):
            read(bytes.fromhex(data))
    else:
        assert read(bytes.fromhex(data)) == expected
        assert type(read(bytes.fromhex(data))) is type(expected)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "18",
        "19 01",
        "62 61",
        "82 01",
        "a1 01",
        "9f 01",
        "5f 41 01",
        "c1",
        "fa 0000",
        "00 00",  # bytes after the item
        "ff",  # a break without a beginning
        "81 ff",
        "bf 01 ff",  # a key without a value
        "1c",
        "1f",
        "3f",
        "df 00",
        "fc",
        "5f 61 61 ff",  # text inside bytes
        "5f 5f 41 01 ff ff",
        "7f 62 c3 ff",
        "7f 61 c3 61 bc ff",  # a character in two chunks
        "62 c3 28",
        "a2 01 01 01 02",  # a key twice
        "a2 01 01 18 01 02",  # the same in a longer form
        "a2 81 01 01 9f 01 ff 02",
        "a1 f5 01",
        "a1 f9 3c00 01",
        "a1 41 00 01",
        "a1 a0 01",
        "a1 81 81 01 01",
        "a1 81 f5 01",
        "a1 81 1a 00010000 01",
        "a1 85 01 02 03 04 05 01",
        "a1 c1 01 01",
        "c1 61 30",
        "c1 1b 8000000000000000",
        "c4 82 01",
        "c4 80",
        "c4 83 00 01 02",
        "c4 82 f9 3c00 01",
        "c4 82 19 0191 01",  # an exponent of 401
        "c4 82 19 0135 0a",  # 10 ** 310 is no double
        "c4 82 f5 01",
    ],
)
def test_what_is_no_item_is_refused(data):
    """Cut off, not well-formed, twice, or of no use."""
    with pytest.raises(FormatError):
        read(bytes.fromhex(data))


def test_nesting_is_bounded():
    """The deepest that is taken, and one more."""
    assert read(b"\x81" * CBOR_NESTING_MAX + b"\x00")
    with pytest.raises(FormatError, match=f"deeper than {CBOR_NESTING_MAX}"):
        read(b"\x81" * (CBOR_NESTING_MAX + 1) + b"\x00")


def test_items_are_bounded():
    """Chunks count too."""
    assert len(read(b"\x9f" + b"\x00" * (CBOR_ITEMS_MAX - 1) + b"\xff")) == CBOR_ITEMS_MAX - 1
    with pytest.raises(FormatError, match=f"more than {CBOR_ITEMS_MAX}"):
        read(b"\x9f" + b"\x00" * CBOR_ITEMS_MAX + b"\xff")
    with pytest.raises(FormatError):
        read(b"\x5f" + b"\x40" * CBOR_ITEMS_MAX + b"\xff")


@given(item=ITEMS.filter(lambda item: nesting(item) <= CBOR_NESTING_MAX), canonical=st.booleans())
def test_reads_what_cbor2_writes(item, canonical):
    """An independent writer, plain and with its shortest floats."""
    assert seen_by_cbor2(read(cbor2.dumps(item, canonical=canonical))) == seen_by_cbor2(item)


@given(item=WRITTEN.filter(lambda item: nesting(item) <= CBOR_NESTING_MAX))
@example(item=[2**64 - 1, -(2**63), 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32])
@example(item=[0.5, 1.1, 1e300, 3.5e38, -0.0])
def test_what_is_written_comes_back(item):
    """Values, types and the order of keys."""
    assert seen_by_cbor2(read(write(item))) == seen_by_cbor2(item)


@given(item=WRITTEN.filter(lambda item: "Time" not in repr(item)))
def test_cbor2_reads_what_is_written(item):
    """An independent reader; and but for floats and times an independent writer writes the same bytes."""
    assert of_cbor2(cbor2.loads(write(item))) == seen_by_cbor2(item)
    if "." not in repr(item) and "e" not in repr(item):
        assert write(item) == cbor2.dumps(item)


@given(
    data=st.binary(max_size=24)
    | st.builds(cbor2.dumps, ITEMS).flatmap(
        lambda data: st.integers(0, len(data) - 1).flatmap(
            lambda at: st.integers(0, 255).map(lambda byte: data[:at] + bytes([byte]) + data[at + 1 :])
        )
    )
)
def test_agrees_with_cbor2_on_any_bytes(data):
    """What is read at all is what cbor2 reads, but that dates end in the year 9999."""
    try:
        item = read(data)
    except FormatError:
        return
    if "Time" not in repr(item):
        assert of_cbor2(cbor2.loads(data)) == seen_by_cbor2(item)


def test_a_number_too_long_cannot_be_written():
    """No value that a tree holds is; the writer refuses it all the same."""
    with pytest.raises(FormatError, match="64 bits"):
        write(2**64)
