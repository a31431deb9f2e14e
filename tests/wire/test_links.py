"""The CoRE link format: RFC 6690, and the object links of a registration: LwM2M 1.1 core, 6.2.1."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.wire.links import (
    ATTRIBUTES_MAX,
    LINKS_MAX,
    Link,
    RegisteredObjects,
    parse,
    parse_objects,
    write,
    write_objects,
)
from headgate.wire.resources import Path
from trees import IDS
from vectors import load

PUBLISHED = load("links.json")

TARGETS = st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)
ATTRIBUTE_VALUES = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LINKS = st.lists(
    st.builds(Link, TARGETS, st.lists(st.tuples(NAMES, ATTRIBUTE_VALUES), max_size=3).map(tuple)), max_size=4
).map(tuple)
LIKELY = st.lists(
    st.sampled_from(
        ["<", ">", "/", "</3/0>", ",", ";", "=", '"', "\\", "ver=1.1", 'rt="oma.lwm2m"', "ct", " "]
    ),
    max_size=14,
).map("".join)


# -- RFC 6690 --


@pytest.mark.parametrize("vector", PUBLISHED["lists"], ids=lambda vector: vector["name"])
def test_published_list(vector):
    """Targets and attributes of every published list, in their order, and back."""
    links = tuple(
        Link(target, tuple((name, value) for name, value in attributes))
        for target, attributes in vector["links"]
    )
    assert parse(vector["text"]) == links
    assert (write(links) == vector["text"]) == vector["canonical"]
    assert parse(write(links)) == links


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("3/0", 0),
        ("<3/0", 0),
        ("</3/0>,", None),
        ("</3/0>,,</4/0>", 7),
        ("</3/0></4/0>", 6),
        ("</3/0>;", 6),
        ("</3/0>;;a=1", 6),
        ("</3/0>;=1", 6),
        ("</3/0>;a=", 8),
        ('</3/0>;a="b', 8),
        ('</3/0>;a="b\\"', 8),
        ('</3/0>;a="b"c', 12),
        ("</3/0>;a=b<c>", 10),
        ("<a<b>>", 0),
    ],
)
def test_what_is_no_list_is_refused_at_its_place(text, place):
    """The message says where, as whoever wrote the client needs it."""
    with pytest.raises(FormatError, match="last comma" if place is None else f"at character {place},"):
        parse(text)


def test_the_first_of_equal_attributes_counts():
    """RFC 6690 section 3: rt, if and sz must not come twice; a reader keeps the first."""
    link = Link("/5", (("ver", "1.1"), ("hb", None), ("ver", "1.0")))
    assert link.get("ver") == "1.1"
    assert link.get("hb") is None
    assert link.get("rt") is None


def test_links_and_attributes_are_bounded():
    """A list is bounded by what a client may have, with room; beyond it nothing is kept."""
    assert len(parse(",".join(["<>"] * LINKS_MAX))) == LINKS_MAX
    with pytest.raises(FormatError, match=f"more than {LINKS_MAX} links"):
        parse(",".join(["<>"] * (LINKS_MAX + 1)))
    assert len(parse("<>" + ";a" * ATTRIBUTES_MAX)[0].attributes) == ATTRIBUTES_MAX
    with pytest.raises(FormatError, match=f"more than {ATTRIBUTES_MAX} attributes"):
        parse("<>" + ";a" * (ATTRIBUTES_MAX + 1))


@given(links=LINKS)
@example(links=(Link("/a", (("title", '\\"'), ("x", ""), ("y", "1.1"), ("z", "1."))),))
def test_any_links_come_back(links):
    """Whatever is in a quoted string, its end is found again."""
    assert parse(write(links)) == links


@given(text=st.text(max_size=30) | LIKELY)
def test_no_text_raises_anything_else(text):
    """Links or a FormatError; and what was parsed can be written."""
    try:
        links = parse(text)
    except FormatError:
        return
    assert parse(write(links)) == links


# -- Registrations --


@pytest.mark.parametrize("vector", PUBLISHED["registrations"], ids=lambda vector: vector["name"])
def test_published_registration(vector):
    """Root, paths, versions and formats; what nobody understands is ignored."""
    registered = RegisteredObjects(
        paths=tuple(Path.parse(path) for path in vector["paths"]),
        root=tuple(vector["root"]),
        versions=tuple((int(object), tuple(version)) for object, version in vector["versions"].items()),
        content_formats=tuple(vector["content_formats"]),
    )
    assert parse_objects(vector["text"].encode()) == registered
    assert (write_objects(registered) == vector["text"].encode()) == vector["canonical"]
    assert parse_objects(write_objects(registered)) == registered


def test_what_a_registration_tells():
    """Objects with and without instances, versions said and not said."""
    registered = parse_objects(b"</1/0>,</2>,</5>;ver=1.1,</5/0>,</19/1>,</19/0>")
    assert [registered.has(object) for object in (1, 2, 3, 5, 19)] == [True, True, False, True, True]
    assert [registered.instances(object) for object in (1, 2, 3, 19)] == [(0,), (), (), (0, 1)]
    assert [registered.version(object) for object in (1, 5)] == [None, (1, 1)]


def test_the_version_of_an_object_counts_before_that_of_an_instance():
    """Wherever they stand; and the first instance that has one before the others."""
    assert parse_objects(b"</5/0>;ver=1.0,</5>;ver=1.1").version(5) == (1, 1)
    assert parse_objects(b"</5/2>;ver=1.2,</5/1>;ver=1.1,</5/0>").version(5) == (1, 1)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\xff", "not UTF-8"),
        (b"</3/0>;t=\xc3", "not UTF-8"),
        (b'</%FF>;rt="oma.lwm2m"', "not UTF-8"),
        (b"</3/0", "a link"),
        (b"[]", "a link"),
    ],
)
def test_no_list_is_no_registration(payload, message):
    """Only the list itself, and the root in it, have to be right."""
    with pytest.raises(FormatError, match=message):
        parse_objects(payload)


SEGMENTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
REGISTERED = st.builds(
    lambda paths, root, versions, formats: RegisteredObjects(
        paths=tuple(sorted(paths)),
        root=tuple(root),
        versions=tuple(sorted((path[0], versions) for path in {path[:1] for path in paths} if versions)),
        content_formats=tuple(formats),
    ),
    st.sets(st.builds(Path, IDS) | st.builds(Path, IDS, IDS), max_size=6),
    st.lists(SEGMENTS, max_size=2),
    st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99)),
    st.lists(IDS, max_size=3),
)


@given(registered=REGISTERED)
def test_any_registration_comes_back(registered):
    """Whatever the root is called: its characters are escaped."""
    assert parse_objects(write_objects(registered)) == registered


@given(payload=st.binary(max_size=30) | LIKELY.map(str.encode))
def test_no_bytes_raise_anything_else(payload):
    """A registration is the first thing that a stranger sends."""
    try:
        registered = parse_objects(payload)
    except FormatError:
        return
    assert parse_objects(write_objects(registered)).paths == registered.paths
