"""Content-Formats, their published payloads, and what no payload may do. LwM2M 1.1 core, 7.4."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.wire import formats
from headgate.wire.formats import ContentFormat, decode, decode_paths, encode, encode_paths, records, unwrap
from headgate.wire.records import Record
from headgate.wire.resources import ROOT, Path, Resources
from headgate.wire.values import DataType, ObjectLink, Time
from trees import IDS, asked, bases, shape, single, type_of
from vectors import load

PUBLISHED = load("lwm2m_formats.json")
PAYLOADS = PUBLISHED["payloads"]
VALUED = [each for each in ContentFormat if each != ContentFormat.LINK_FORMAT]
ANY_VALUES = [110, 112, 11543, 11544]  # of any object
DISTINCT = [0, 42, 60, 11542, *ANY_VALUES]  # the other numbers are other names of these
FRAME = bytes.fromhex("FFFE01138DE300110056302E39000000000000000000000000")  # PCP: the answer to message 19
OBJECT = Path(3)
DATA = Path(19, 0, 0)


def published_type(object, resource):
    """The data types of the resources in the published payloads."""
    name = PUBLISHED["types"].get(f"{object}/{resource}")
    return None if name is None else DataType(name)


def payload_of(vector) -> bytes:
    """The bytes of a vector."""
    return bytes.fromhex(vector["hex"]) if "hex" in vector else vector["text"].encode()


def value_of(written):
    """A value of a vector: what JSON has no type for is an object with one member."""
    match written:
        case {"time": unix_s}:
            return Time(unix_s)
        case {"objlnk": link}:
            return ObjectLink.parse(link)
        case {"opaque": data}:
            return bytes.fromhex(data)
    return written


# -- Published payloads --


@pytest.mark.parametrize("vector", PAYLOADS, ids=lambda vector: vector["name"])
def test_published_payload(vector):
    """Every value of every published payload, and where there is no other way to write them, every byte."""
    base = Path.parse(vector["base"])
    expected = Resources({Path.parse(path): value_of(value) for path, value in vector["values"].items()})
    found = decode(vector["content_format"], payload_of(vector), base, published_type)
    assert shape(found) == shape(expected)
    written = encode(vector["content_format"], expected, base, published_type)
    assert (written == payload_of(vector)) == vector["canonical"]
    assert shape(decode(vector["content_format"], written, base, published_type)) == shape(expected)


def test_every_format_has_a_published_payload():
    """None is left to round trips alone but the numbers that are only other names."""
    covered = {vector["content_format"] for vector in PAYLOADS}
    assert set(VALUED) - covered == {
        ContentFormat.SENML_ETCH_CBOR,
        ContentFormat.OLD_TEXT,
        ContentFormat.OLD_OPAQUE,
    }


# -- Round trips --


@pytest.mark.parametrize("content_format", ANY_VALUES)
@given(tree=asked())
def test_any_resources_come_back(content_format, tree):
    """What is encoded is decoded to the same values of the same types."""
    base, resources = tree
    payload = encode(content_format, resources, base, type_of)
    assert shape(decode(content_format, payload, base, type_of)) == shape(resources)


@given(tree=asked(min_depth=1))
def test_resources_of_one_object_come_back(tree):
    """TLV has no object IDs: the payload is of one object."""
    base, resources = tree
    payload = encode(11542, resources, base, type_of)
    assert shape(decode(11542, payload, base, type_of)) == shape(resources)


@pytest.mark.parametrize("content_format", [0, 60])
@given(tree=single())
def test_a_single_value_comes_back(content_format, tree):
    """Text and CBOR carry one value of any type."""
    base, resources = tree
    payload = encode(content_format, resources, base, type_of)
    assert shape(decode(content_format, payload, base, type_of)) == shape(resources)


@given(tree=single())
def test_opaque_carries_bytes_and_nothing_else(tree):
    """Content-Format 42 is the payload itself."""
    base, resources = tree
    if isinstance(resources[base], bytes):
        assert encode(42, resources, base) == resources[base]
        assert decode(42, resources[base], base) == resources
    else:
        with pytest.raises(FormatError, match="bytes are wanted"):
            encode(42, resources, base, type_of)


@pytest.mark.parametrize("content_format", [60, 110, 112])
@given(tree=single())
def test_formats_with_types_need_no_lookup(content_format, tree):
    """SenML and CBOR say what a value is; SenML has no times, CBOR no object links, and both no Unsigned."""
    base, resources = tree
    value = resources[base]
    lost = isinstance(value, ObjectLink) if content_format == 60 else isinstance(value, Time)
    found = decode(content_format, encode(content_format, resources, base), base)
    if lost:
        assert found[base] == (str(value) if content_format == 60 else value.unix_s)
    else:
        assert shape(found) == shape(resources)


# -- Hostile payloads --

BYTES = st.binary(max_size=40)
MUTATED = st.tuples(
    st.sampled_from(PAYLOADS),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255), st.sampled_from("xid")), max_size=4),
    st.integers(0, 3),
)


def mutate(payload: bytes, edits, cut: int) -> bytes:
    """`payload` with bytes exchanged, inserted and deleted, and its end cut off."""
    data = bytearray(payload)
    for place, byte, edit in edits:
        at = place % (len(data) + 1)
        if edit == "i":
            data.insert(at, byte)
        elif at < len(data):
            data[at : at + 1] = bytes([byte]) if edit == "x" else b""
    return bytes(data[: len(data) - cut])


def is_decoded_or_refused(content_format, payload, base, lookup):
    """FormatError is the only exception; what was decoded can be encoded, and is the same then."""
    try:
        found = decode(content_format, payload, base, lookup)
    except FormatError:
        return
    assert all(path[: len(base)] == base for path in found)
    again = encode(content_format, found, base, lookup)
    assert shape(decode(content_format, again, base, lookup)) == shape(found)


@pytest.mark.parametrize("content_format", DISTINCT)
@given(payload=BYTES, base=bases())
def test_no_bytes_raise_anything_else(content_format, payload, base):
    """Whatever a device sends, the answer is values or a FormatError."""
    for lookup in (type_of, lambda object, resource: None):
        is_decoded_or_refused(content_format, payload, base, lookup)


@given(mutated=MUTATED)
def test_no_damaged_payload_raises_anything_else(mutated):
    """The same for payloads that are nearly right, with the paths and types they were made for."""
    vector, edits, cut = mutated
    base = Path.parse(vector["base"])
    payload = mutate(payload_of(vector), edits, cut)
    for lookup in (published_type, lambda object, resource: None):
        is_decoded_or_refused(vector["content_format"], payload, base, lookup)


@pytest.mark.parametrize(
    ("content_format", "base", "payload"),
    [
        (11542, OBJECT, b"".join(b"\x20" + bytes([i >> 8, i & 255]) for i in range(5000))),  # no resources
        (11542, OBJECT, b"".join(b"\xe0" + bytes([i >> 8, i & 255]) for i in range(5000))),
        (110, OBJECT, b"[" * 100_000),
        (110, OBJECT, b'{"a":' * 100_000),
        (110, OBJECT, b"[" + b"{}," * 100_000 + b"{}]"),
        (110, OBJECT, b'[{"n":"/3/0/9","v":' + b"9" * 100_000 + b"}]"),
        (110, OBJECT, b'["' + b"\\" * 100_001),
        (112, OBJECT, b"\x81" * 100_000),
        (112, OBJECT, b"\x9f" * 100_000),
        (112, OBJECT, b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        (112, OBJECT, b"\x9f" + b"\x80" * 100_000 + b"\xff"),
        (112, OBJECT, b"\x5f" + b"\x40" * 100_000 + b"\xff"),
        (11544, OBJECT, b"\xa1\x03" * 100_000),
        (11544, OBJECT, b"\xa1" * 100_000),
        (60, DATA, b"\xc1" * 100_000),
        (60, DATA, b"\xc4\x82\x1b\x7f\xff\xff\xff\xff\xff\xff\xff\x01"),  # 10 ** (2 ** 63 - 1)
        (60, DATA, b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        (11543, OBJECT, b'{"e":[' + b"{}," * 100_000 + b"{}]}"),
        (11543, OBJECT, b'{"e":' * 100_000),
    ],
)
def test_bombs_are_refused(content_format, base, payload):
    """Depth, count, and lengths that nothing follows are bounded before anything is built from them."""
    for wanted in (None, DataType.INTEGER, DataType.FLOAT):
        with pytest.raises(FormatError):
            decode(content_format, payload, base, lambda object, resource, wanted=wanted: wanted)


# -- Dispatch --


@pytest.mark.parametrize("content_format", [-1, 40, 41, 50, 111, 65000])
def test_other_content_formats_are_refused(content_format):
    """Link-format has no values; JSON and XML are not LwM2M's."""
    with pytest.raises(FormatError, match=f"Content-Format {content_format}"):
        decode(content_format, b"", Path(3, 0))
    with pytest.raises(FormatError, match=f"Content-Format {content_format}"):
        encode(content_format, Resources(), Path(3, 0))


@pytest.mark.parametrize(
    ("number", "other"), [(1541, 0), (1542, 11542), (1543, 11543), (1544, 42), (320, 110), (322, 112)]
)
def test_other_names_of_formats(number, other):
    """Numbers of before LwM2M 1.0; and SenML-ETCH, whose records with values are those of SenML."""
    assert formats.CODECS[number] == formats.CODECS[other]


def test_without_content_format_a_resource_is_text_and_more_is_tlv():
    """The defaults of LwM2M 1.0."""
    assert decode(None, b"-98", Path(4, 0, 2), published_type)[4, 0, 2] == -98
    assert decode(None, b"\xc1\x02\x9e", Path(4, 0), published_type)[4, 0, 2] == -98


@pytest.mark.parametrize("content_format", [*ANY_VALUES, 11542])
def test_another_path_than_was_asked_for_is_refused(content_format):
    """An answer to GET 4/0 says nothing of 4/1, and one to GET 4/0/2 nothing of 4/0/8."""
    payload = encode(content_format, Resources({(4, 0, 2): 1}), Path(4))
    assert decode(content_format, payload, Path(4, 0), published_type)[4, 0, 2] == 1
    for base in (Path(4, 1), Path(4, 0, 8), Path(4, 0, 2, 0)):
        with pytest.raises(FormatError, match="was asked for"):
            decode(content_format, payload, base, published_type)
        with pytest.raises(FormatError, match="is not below"):
            encode(content_format, Resources({(4, 0, 2): 1}), base)


@pytest.mark.parametrize("content_format", [0, 42, 60])
@pytest.mark.parametrize(
    ("base", "values"),
    [
        (ROOT, {}),
        (Path(3, 0), {(3, 0, 9): b"1"}),
        (Path(3, 0, 9), {}),
        (Path(3, 0, 9), {(3, 0, 10): b"1"}),
        (Path(3, 0, 9), {(3, 0, 9, 0): b"1"}),
        (Path(3, 0, 9), {(3, 0, 9): b"1", (3, 0, 10): b"1"}),
    ],
)
def test_formats_for_one_value_carry_one_value(content_format, base, values):
    """Text, opaque and CBOR have no paths: the request's is the value's."""
    with pytest.raises(FormatError):
        encode(content_format, Resources(values), base)
    if len(base) < 3:
        with pytest.raises(FormatError, match="single value"):
            decode(content_format, b"1", base)


def test_a_wrong_type_names_the_path():
    """The one resource of twenty that the operator has to look at."""
    with pytest.raises(FormatError, match=r"^/4/0/2: a number has 1, 2, 4 or 8 bytes, not 3$"):
        decode(11542, b"\xc3\x02abc", Path(4, 0), published_type)
    with pytest.raises(FormatError, match=r"^/4/0/2: Integer wanted, not str 'x'$"):
        decode(110, b'[{"n":"/4/0/2","vs":"x"}]', Path(4, 0), published_type)


# -- Times and paths --


def test_records_keep_every_time():
    """A Send after a long sleep: decode has the latest, records has all."""
    payload = b'[{"bn":"/4/0/2","bt":1700000000,"v":-98},{"t":60,"v":-97},{"t":-60,"v":-99}]'
    assert decode(110, payload, ROOT, published_type) == {(4, 0, 2): -97}
    assert [(record.time_s, record.value) for record in records(110, payload, ROOT, published_type)] == [
        (1700000000, -98),
        (1700000060, -97),
        (1699999940, -99),
    ]


def test_records_of_formats_without_times_are_of_now():
    """TLV has values only."""
    assert records(11542, b"\xc1\x02\x9e", Path(4, 0), published_type) == [
        Record(path=Path(4, 0, 2), value=-98, time_s=0)
    ]


@pytest.mark.parametrize("content_format", [110, 112])
@given(paths=st.lists(st.builds(Path, IDS, IDS), max_size=5))
@example(paths=[ROOT, Path(3), Path(3, 0, 6, 1)])
def test_paths_of_a_composite_come_back(content_format, paths):
    """Read-Composite and Observe-Composite list paths of any depth."""
    payload = encode_paths(content_format, paths)
    assert decode_paths(content_format, payload) == paths
    etch = {110: 320, 112: 322}[content_format]
    assert decode_paths(etch, payload) == paths
    assert encode_paths(etch, paths) == payload


def test_other_formats_have_no_paths():
    """Composite operations are for SenML."""
    with pytest.raises(FormatError, match="no list of paths"):
        decode_paths(11542, b"")
    with pytest.raises(FormatError, match="no list of paths"):
        encode_paths(11542, [ROOT])


# -- Unwrapping --

WRAPPED = {
    "bare": FRAME,
    "TLV, single": b"\xc8\x00\x19" + FRAME,
    "TLV, one instance": b"\x88\x00\x1c\x48\x00\x19" + FRAME,
    "TLV, all of the object instance": b"\x08\x00\x1c\xc8\x00\x19" + FRAME,
    "SenML CBOR": encode(112, Resources({DATA: FRAME}), DATA),
    "SenML CBOR, one instance": encode(112, Resources({(19, 0, 0, 0): FRAME}), DATA),
    "SenML JSON": encode(110, Resources({DATA: FRAME}), DATA),
    "base64": encode(0, Resources({DATA: FRAME}), DATA),
}


@pytest.mark.parametrize("wrapping", WRAPPED)
@pytest.mark.parametrize("content_format", [None, 0, 42, 1541, 1544])
def test_a_frame_is_unwrapped_where_the_content_format_says_nothing(wrapping, content_format):
    """Notifications of 19/0/0 come without Content-Format, with 0 or with 42, whatever is in them."""
    assert unwrap(content_format, WRAPPED[wrapping], DATA) == (FRAME,)


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        *((number, WRAPPED[name]) for number in (11542, 1542) for name in WRAPPED if "TLV" in name),
        (112, WRAPPED["SenML CBOR, one instance"]),
        (110, WRAPPED["SenML JSON"]),
        *((number, encode(number, Resources({DATA: FRAME}), DATA)) for number in (60, 11543, 11544)),
        (11542, FRAME),  # what it says is not what it is
        (112, FRAME),
    ],
)
def test_a_frame_is_unwrapped_by_its_content_format(content_format, payload):
    """And a bare one is taken under any number."""
    assert unwrap(content_format, payload, DATA) == (FRAME,)


@pytest.mark.parametrize("content_format", [11542, 42])
def test_several_instances_are_several_frames(content_format):
    """In the order of their instances: a device that slept has more than one to tell."""
    other = bytes.fromhex("FFFE0116850E000100")
    payload = encode(11542, Resources({(19, 0, 0, 7): FRAME, (19, 0, 0, 2): other}), DATA)
    assert unwrap(content_format, payload, DATA) == (other, FRAME)


@pytest.mark.parametrize(
    ("content_format", "payload"),
    [
        (42, b"\x00"),  # what public clients return to the first Observe
        (42, b""),
        (42, b"\xc1\x00\x07"),  # TLV by chance, no frame inside
        (0, b"21.5"),
        (11542, b"\xc8\x00"),
        (11542, b"\xc8\x01\x19" + FRAME),  # another resource
        (112, b"\xff"),
        (50, b"{}"),
    ],
)
def test_ordinary_data_stays_as_it_is(content_format, payload):
    """It has no form, and no error."""
    assert unwrap(content_format, payload, DATA) == (payload,)


def test_ordinary_data_is_unwrapped_where_the_content_format_says_how():
    """Believed, frame or not."""
    assert unwrap(11542, b"\xc1\x00\x07", DATA) == (b"\x07",)


@given(content_format=st.none() | st.integers(0, 2000) | st.sampled_from(VALUED), payload=BYTES)
def test_unwrapping_never_fails(content_format, payload):
    """At least the payload itself comes out."""
    assert unwrap(content_format, payload, DATA)
