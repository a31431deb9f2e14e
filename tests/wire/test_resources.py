"""Paths, values and trees: what all content formats decode to. LwM2M 1.1 core, appendix C."""

from __future__ import annotations

import enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import FormatError, HeadgateError
from headgate.wire.resources import ROOT, Path, Resources
from headgate.wire.values import (
    DataType,
    ObjectLink,
    Time,
    base64_read,
    base64_write,
    base64url_write,
    typed,
    untyped,
)
from trees import IDS, VALUES, asked, bases, shape

MULTIPLE = Resources({(3, 0, 6, 0): 1, (3, 0, 6, 5): 2, (3, 0, 9): 100, (4, 0, 2): -98})


def test_an_error_is_one_of_ours_and_a_value_error():
    """One class for all formats."""
    with pytest.raises(HeadgateError):
        Path.parse("x")
    with pytest.raises(ValueError, match="a path"):
        Path.parse("x")


# -- Paths --


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("/", ()),
        ("", ()),
        ("/3", (3,)),
        ("/3/0", (3, 0)),
        ("/65535/65535/65535/65535", (65535,) * 4),
        ("4/0/2", (4, 0, 2)),
    ],
)
def test_paths_are_read(text, ids):
    """With a slash before them or without."""
    assert Path.parse(text) == ids
    assert str(Path.parse(text)) == "/" + text.removeprefix("/")


@pytest.mark.parametrize(
    "text",
    [
        "//",
        "/3/",
        "3//0",
        "/03",
        "/00",
        "/-1",
        "/+1",
        "/65536",
        "/99999",
        "/3/0/1/2/3",
        "/x",
        "/3\n",
        " /3",
        "/³",
        "/٣",
    ],
)
def test_what_is_no_path_is_refused(text):
    """One path is written in one way."""
    with pytest.raises(FormatError, match="a path is"):
        Path.parse(text)


@pytest.mark.parametrize("ids", [(-1,), (65536,), (1, 2, 3, 4, 5), (True,), (1.0,), ("3",), (None,)])
def test_ids_have_16_bits_and_a_path_at_most_four(ids):
    """Also where a path is made, not read."""
    with pytest.raises(FormatError, match="a path is"):
        Path(*ids)


@given(path=bases())
def test_any_path_comes_back(path):
    """Written and read; and its words are its IDs."""
    assert Path.parse(str(path)) == path
    words = (path.object, path.instance, path.resource, path.resource_instance)
    assert words == (*path, *[None] * (4 - len(path)))
    assert eval(repr(path)) == path
    assert all(path.within(Path(*path[:depth])) for depth in range(len(path) + 1))


def test_within_is_the_path_or_above_it():
    """/3/0 is within /3, /30 is not."""
    assert Path(3, 0).within(Path(3))
    assert Path(3, 0).within(ROOT)
    assert not Path(30).within(Path(3))
    assert not Path(3).within(Path(3, 0))
    assert Path(3).child(0, 9) == Path(3, 0, 9)


# -- Trees --


def test_values_are_found_by_any_tuple_and_kept_in_order():
    """A path is a tuple; the order is that of the IDs, not of their digits."""
    resources = Resources({(4, 0, 10): "b", (4, 0, 9): "a", Path(3, 0, 0): "c"})
    assert list(resources) == [(3, 0, 0), (4, 0, 9), (4, 0, 10)]
    assert all(type(path) is Path for path in resources)
    assert resources[4, 0, 9] == resources[Path(4, 0, 9)] == "a"
    assert resources.get((4, 0, 11)) is None
    assert (4, 0, 10) in resources
    assert len(resources) == 3
    assert repr(resources) == "Resources({'/3/0/0': 'c', '/4/0/9': 'a', '/4/0/10': 'b'})"


def test_trees_are_values():
    """Equal and hashed by what they hold, in whatever order it came; and it cannot be changed."""
    one, other = Resources({(3, 0, 1): 1, (3, 0, 2): 2}), Resources({(3, 0, 2): 2, (3, 0, 1): 1})
    assert one == other == {(3, 0, 1): 1, (3, 0, 2): 2}
    assert hash(one) == hash(other)
    assert one != Resources({(3, 0, 1): 1})
    with pytest.raises(TypeError):
        one[3, 0, 1] = 2
    source = {(3, 0, 1): 1}
    kept = Resources(source)
    source[3, 0, 2] = 2
    assert len(kept) == 1


@pytest.mark.parametrize("path", [(), (3,), (3, 0)])
def test_only_resources_have_values(path):
    """An object or an instance has none itself."""
    with pytest.raises(FormatError, match="holds no value"):
        Resources({path: 1})


def test_a_resource_is_single_or_multiple():
    """Never both, in whatever order."""
    for values in ({(3, 0, 6): 1, (3, 0, 6, 0): 1}, {(3, 0, 6, 0): 1, (3, 0, 6): 1}):
        with pytest.raises(FormatError, match="has a value itself"):
            Resources(values)


def test_parts_of_a_tree():
    """Below a path; and the instances of a resource, be it single or multiple."""
    assert MULTIPLE.under(Path(3, 0, 6)) == {(3, 0, 6, 0): 1, (3, 0, 6, 5): 2}
    assert MULTIPLE.under(ROOT) == MULTIPLE
    assert MULTIPLE.under(Path(5)) == {}
    assert MULTIPLE.instances(Path(3, 0, 6)) == {0: 1, 5: 2}
    assert MULTIPLE.instances(Path(3, 0, 9)) == {0: 100}
    assert MULTIPLE.instances(Path(3, 0, 7)) == {}


@given(tree=asked())
def test_any_tree_is_made_of_its_items(tree):
    """And each value is as it was."""
    _, resources = tree
    assert shape(Resources(dict(resources.items()))) == shape(resources)


# -- Values --


@pytest.mark.parametrize(
    "value",
    [
        2**64,
        -(2**63) - 1,
        float("nan"),
        float("inf"),
        "\ud800",
        Time(2**63),
        Time(1.5),
        Time(True),
        ObjectLink(65536, 0),
        ObjectLink(0, -1),
        ObjectLink(0, 1.0),
        None,
        [],
        {},
        (1, 2),
        bytearray(b"x"),
        memoryview(b"x"),
        enum.IntEnum("Bearer", "NB_IOT").NB_IOT,
        object(),
    ],
)
def test_what_no_format_can_carry_is_refused(value):
    """Where a tree is made, so that encoding it cannot fail in the middle."""
    with pytest.raises(FormatError):
        Resources({(3, 0, 0): value})


@pytest.mark.parametrize("data_type", DataType)
@given(data=st.data())
def test_a_value_of_the_right_type_stays_as_it_is(data_type, data):
    """For each type of LwM2M."""
    value = data.draw(VALUES[data_type])
    assert typed(value, data_type) is value
    assert typed(value, None) is value


@pytest.mark.parametrize(
    ("value", "wanted", "expected"),
    [
        (5.0, DataType.INTEGER, 5),
        (-5.0, DataType.INTEGER, -5),
        (1e18, DataType.UNSIGNED, 10**18),
        (5, DataType.FLOAT, 5.0),
        (2**64 - 1, DataType.FLOAT, 2.0**64),
        (1638435000, DataType.TIME, Time(1638435000)),
        (1.638435e9, DataType.TIME, Time(1638435000)),
        ("66:0", DataType.OBJLNK, ObjectLink(66, 0)),
    ],
)
def test_a_value_is_converted_where_nothing_is_lost(value, wanted, expected):
    """What JSON and CBOR cannot say themselves."""
    assert typed(value, wanted) == expected
    assert type(typed(value, wanted)) is type(expected)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (5.5, DataType.INTEGER),
        (2**63, DataType.INTEGER),
        (1e19, DataType.INTEGER),
        (-1, DataType.UNSIGNED),
        (1e20, DataType.UNSIGNED),
        (True, DataType.INTEGER),
        (True, DataType.FLOAT),
        ("5", DataType.INTEGER),
        (1, DataType.BOOLEAN),
        (0.5, DataType.TIME),
        (2**63, DataType.TIME),
        (1e300, DataType.TIME),
        (Time(5), DataType.INTEGER),
        (b"x", DataType.STRING),
        ("eA==", DataType.OPAQUE),
        (5, DataType.OBJLNK),
        ("66", DataType.OBJLNK),
        (float("nan"), DataType.FLOAT),
        (2**64, DataType.FLOAT),
    ],
)
def test_a_value_of_another_type_is_refused(value, wanted):
    """A device that sends "5" for an integer has to be seen."""
    with pytest.raises(FormatError):
        typed(value, wanted)


@pytest.mark.parametrize(
    "text", ["", ":", "1:", ":1", "1:2:3", "65536:0", "0:65536", "-1:0", "1 :2", "1:2\n", "٣:0"]
)
def test_what_is_no_object_link_is_refused(text):
    """Two IDs of 16 bits with a colon."""
    with pytest.raises(FormatError, match="an object link is"):
        ObjectLink.parse(text)


@given(object=IDS, instance=IDS)
def test_any_object_link_comes_back(object, instance):
    """Written and read; 65535:65535 is one too, the link to nothing."""
    assert ObjectLink.parse(str(ObjectLink(object, instance))) == ObjectLink(object, instance)


def test_the_empty_lookup_knows_nothing():
    """What a caller without object definitions gives."""
    assert untyped(3, 0) is None


# -- base64 --


@pytest.mark.parametrize(
    ("text", "data"),
    [("", b""), ("_-8=", b"\xff\xef"), ("/+8", b"\xff\xef"), ("/-8=", b"\xff\xef"), ("AQID", b"\1\2\3")],
)
def test_base64_is_read_in_either_alphabet(text, data):
    """RFC 8428 wants one, LwM2M 1.0 the other, and clients mix them up."""
    assert base64_read(text) == data


@pytest.mark.parametrize(
    "text", ["A", "AA=", "AAAA=", "A===", "====", "AA==AA==", "A A=", "AA\n", "AA=A", "é", "!,-$"]
)
def test_what_is_no_base64_is_refused(text):
    """Cut off, padded too much, or with something in it."""
    with pytest.raises(FormatError, match="not base64"):
        base64_read(text)


@given(data=st.binary(max_size=20))
def test_any_bytes_come_back_from_base64(data):
    """In both spellings."""
    assert base64_read(base64_write(data)) == base64_read(base64url_write(data)) == data
    assert "=" not in base64url_write(data)
