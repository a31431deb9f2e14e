"""The CBOR of LwM2M: RFC 8949, against the examples of its appendix A."""

from __future__ import annotations

import math
import resource
from pathlib import Path as File

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.wire.bounded_cbor import CBOR_BYTES_MAX, CBOR_NESTING_MAX, read, write
from headgate.wire.values import Time
from trees import INT64, UINT64, bases
from vectors import load

PUBLISHED = load("cbor.json")
# Tags that cbor2 has a meaning for, among them references, bignums, patterns and messages; and others.
UNWANTED_TAGS = [0, 2, 3, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799]
UNWANTED_TAGS += [6, 24, 32, 65535, 2**64 - 1]

KEYS = st.integers(-20, 70000) | st.text(max_size=4) | bases()
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = INT64 | UINT64 | FLOATS | st.booleans() | st.text(max_size=300) | st.binary(max_size=300)
ITEMS = st.recursive(
    SCALARS | st.none() | st.builds(Time, INT64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
# What cbor2 can write and we do not want, in places where it could matter.
HOSTILE = st.recursive(
    SCALARS | st.floats() | st.just(cbor2.undefined) | st.builds(cbor2.CBORSimpleValue, st.integers(32, 255)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS | st.floats() | st.binary(max_size=3), inner, max_size=3)
        | st.builds(cbor2.CBORTag, st.sampled_from([1, 4, *UNWANTED_TAGS]), inner)
    ),
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


def shape(item):
    """An item with what equality passes over: 1, 1.0 and True, a zero's sign, and the order of keys."""
    if isinstance(item, list):
        return [shape(each) for each in item]
    if isinstance(item, dict):
        return [(type(key), key, shape(value)) for key, value in item.items()]
    return type(item), item, math.copysign(1, item) if isinstance(item, float) else 0


@pytest.mark.parametrize("vector", PUBLISHED["items"], ids=lambda vector: vector["hex"])
def test_published_item(vector):
    """RFC 8949 appendix A, as far as LwM2M has a use for it."""
    assert shape(read(bytes.fromhex(vector["hex"]))) == shape(vector["value"])


@pytest.mark.parametrize("vector", PUBLISHED["items"], ids=lambda vector: vector["hex"])
def test_published_item_is_written(vector):
    """The same bytes, but that lengths are definite and floats have eight bytes."""
    written = write(vector["value"])
    if vector["hex"].startswith(("f9", "fa")):
        assert (written[0], len(written)) == (0xFB, 9)
    elif any(begin in vector["hex"] for begin in ("9f", "bf", "7f")):
        assert len(written) <= len(vector["hex"]) // 2
    else:
        assert written.hex() == vector["hex"]
    assert shape(read(written)) == shape(vector["value"])


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
        "a1 3b ffffffffffffffff 01",
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
    with pytest.raises(FormatError, match=f"nesting depth .{CBOR_NESTING_MAX}. exceeded"):
        read(b"\x81" * (CBOR_NESTING_MAX + 1) + b"\x00")


def test_bytes_are_bounded():
    """And with them items; as many as there may be, and one more."""
    assert len(read(b"\x9f" + b"\x00" * (CBOR_BYTES_MAX - 2) + b"\xff")) == CBOR_BYTES_MAX - 2
    with pytest.raises(FormatError, match=f"more than {CBOR_BYTES_MAX}"):
        read(b"\x9f" + b"\x00" * (CBOR_BYTES_MAX - 1) + b"\xff")


def test_bytes_after_a_long_item_are_seen():
    """Wherever the buffer of cbor2 ends: it reads 4096 bytes at once."""
    item = ["x" * 4000, b"y" * 5000, *range(3000)]
    assert read(write(item)) == item
    with pytest.raises(FormatError, match="1 bytes after"):
        read(write(item) + b"\x00")


@pytest.mark.parametrize("head", ["5b", "7b", "9b", "bb", "81 5b", "a1 9b", "5f 5b", "7f 7b", "c4 9b"])
@pytest.mark.parametrize("length", [2**64 - 1, 2**63 - 1, 2**60, 2**40, 2**32 - 1])
def test_a_length_alone_costs_nothing(head, length, little_memory):
    """A payload of ten bytes can say that it is large."""
    with pytest.raises(FormatError):
        read(bytes.fromhex(head) + length.to_bytes(8, "big"))


@pytest.fixture
def little_memory():
    """256 MiB more than there are now, no matter whether they would be touched."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    size = int(File("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 20), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize("tag", UNWANTED_TAGS)
def test_unwanted_tags_are_refused(tag):
    """Whatever they hold, and before anything is made of it; also in a key."""
    for content in (0, "x", b"", b"\1", [], [1, 2], [b""], {}, None):
        item = cbor2.dumps(cbor2.CBORTag(tag, content))
        for data in (item, b"\x81" + item, b"\xa1" + item + b"\x00", b"\xc1" + item):
            with pytest.raises(FormatError, match=f"CBOR tag {tag}$"):
                read(data)


def test_messages_are_short():
    """They name a key, not all of it."""
    key = write("k" * 1000)
    with pytest.raises(FormatError, match="Duplicate map key") as refusal:
        read(b"\xa2" + key + b"\x00" + key + b"\x00")
    assert len(str(refusal.value)) < 150


@given(item=ITEMS.filter(lambda item: nesting(item) <= CBOR_NESTING_MAX))
@example(item=[2**64 - 1, -(2**63), 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32])
@example(item=[0.5, 1.1, 1e300, 3.5e38, -0.0])
def test_what_is_written_comes_back(item):
    """Values, types, paths as keys, times and the order of keys."""
    assert shape(read(write(item))) == shape(item)


@st.composite
def mutated(draw):
    """An item of which some bytes are others, or cut off."""
    data = bytearray(draw(st.builds(cbor2.dumps, HOSTILE) | st.builds(write, ITEMS)))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(data=st.binary(max_size=24) | mutated())
def test_any_bytes_are_an_item_or_refused(data):
    """No other error; and what is read can be written, and is then read as the same."""
    try:
        item = read(data)
    except FormatError:
        return
    assert shape(read(write(item))) == shape(item)
