"""SenML as LwM2M uses it: RFC 8428, LwM2M 1.1 core, 7.4."""

from __future__ import annotations

import json
import math

import cbor2
import pytest

from headgate.errors import FormatError
from headgate.wire import senml
from headgate.wire.records import ABSOLUTE_FROM_S
from headgate.wire.resources import ROOT, Path, Resources
from headgate.wire.senml import decode_cbor, decode_json, encode_cbor, encode_json
from headgate.wire.values import ITEMS_MAX, DataType, ObjectLink, Time
from vectors import load

PUBLISHED = load("senml.json")
RADIO = Path(4, 0)


def pack_of(*records) -> bytes:
    """A pack of SenML JSON."""
    return json.dumps(records).encode()


def only(data_type):
    """A lookup that knows one type."""
    return lambda object, resource: data_type


# -- RFC 8428 --


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["name"])
def test_published_pack(vector):
    """Names, times and values of every record after resolving (section 4.6). The names are no paths."""
    if "hex" in vector:
        pack = senml.pack_cbor(bytes.fromhex(vector["hex"]))
    else:
        pack = senml.pack_json(vector["json"].encode())
    records = list(senml.resolved(pack))
    assert len(records) == len(vector["resolved"])
    for (name, time_s, fields), expected in zip(records, vector["resolved"], strict=True):
        assert name == expected["n"]
        assert math.isclose(time_s, expected["t"], rel_tol=0, abs_tol=1e-6)
        (field,) = expected.keys() - {"n", "t"}
        value = bytes.fromhex(expected[field]) if field == "vd" else expected[field]
        assert (senml.the_value(fields), field in fields) == (value, True)


def test_published_names_are_no_paths():
    """Read as LwM2M they are refused, not misread."""
    with pytest.raises(FormatError, match="a path is"):
        decode_json(PUBLISHED[0]["json"].encode(), ROOT)


def test_base_name_and_name_are_one_after_the_other():
    """Section 4.5.1: nothing comes between them, so a base name may end in the middle of an ID."""
    pack = pack_of({"bn": "/4/0/1", "n": "1", "v": 9}, {"v": 7}, {"bn": "/4", "n": "/0/2", "v": -98})
    assert decode_json(pack, RADIO) == {(4, 0, 1): 7, (4, 0, 2): -98, (4, 0, 11): 9}


def test_a_base_name_holds_until_the_next():
    """Section 4.1; also where a record does nothing but set it."""
    pack = pack_of(
        {"bn": "/4/0/"},
        {"n": "2", "v": 1},
        {"n": "8", "v": 2},
        {"bn": "/4/1/", "n": "2", "v": 3},
        {"n": "8", "v": 4},
    )
    assert decode_json(pack, Path(4)) == {(4, 0, 2): 1, (4, 0, 8): 2, (4, 1, 2): 3, (4, 1, 8): 4}


def test_a_base_value_is_added():
    """Section 4.5.5: to numbers, of this record and all after it, until the next."""
    pack = pack_of(
        {"bn": "/4/0/", "bv": -100, "n": "2", "v": 2},
        {"n": "3", "v": -5},
        {"n": "4/0", "vs": "10.0.0.7"},
        {"bv": 0, "n": "8", "v": 7},
    )
    assert decode_json(pack, RADIO) == {
        (4, 0, 2): -98,
        (4, 0, 3): -105,
        (4, 0, 4, 0): "10.0.0.7",
        (4, 0, 8): 7,
    }


def test_times_are_added_and_the_latest_value_counts():
    """Section 4.5.3; whatever the order in the pack."""
    pack = pack_of(
        {"bn": "/4/0/", "bt": 1700000000, "n": "2", "v": -98},
        {"n": "2", "t": 60.5, "v": -97},
        {"n": "2", "t": -60, "v": -99},
        {"bt": 1600000000, "n": "8", "v": 7},
    )
    assert decode_json(pack, RADIO) == {(4, 0, 2): -97, (4, 0, 8): 7}
    assert [record.time_s for record in senml.records_json(pack, RADIO)] == [
        1700000000,
        1700000060.5,
        1699999940,
        1600000000,
    ]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((None, None), "comes twice"),
        ((0, None), "comes twice"),
        ((-5, -5.0), "comes twice"),
        ((1700000000, 1700000000), "comes twice"),
        ((-5, 1700000000), "a relative and an absolute time"),
        ((ABSOLUTE_FROM_S, ABSOLUTE_FROM_S - 1), "a relative and an absolute time"),
    ],
)
def test_two_values_without_an_order_are_refused(times, message):
    """Nothing says which of them holds."""
    records = [{"n": "/4/0/2", "v": 1, **({} if time is None else {"t": time})} for time in times]
    with pytest.raises(FormatError, match=f"^/4/0/2 comes.*{message.removeprefix('comes ')}"):
        decode_json(pack_of(*records), RADIO)


def test_what_nobody_knows_is_ignored():
    """Section 4.4: units, sums, update times and labels of other standards."""
    pack = pack_of(
        {
            "bver": 10,
            "bn": "/4/0/",
            "bu": "dBm",
            "bs": 1,
            "n": "2",
            "u": "dBm",
            "v": 1,
            "s": 5,
            "ut": 9,
            "x": [{}],
        }
    )
    assert decode_json(pack, RADIO) == {(4, 0, 2): 1}
    cbor = cbor2.dumps([{-1: 5, -2: "/4/0/", -4: "dBm", 0: "2", 2: 1, 7: 0, 99: [1], "x": 1, (1, 2): 3}])
    assert decode_cbor(cbor, RADIO) == {(4, 0, 2): 1}


def test_labels_of_cbor_may_be_text_but_not_both():
    """Section 6 gives numbers; vlo has none."""
    assert decode_cbor(cbor2.dumps([{"n": "/4/0/2", "v": 1}]), RADIO) == {(4, 0, 2): 1}
    assert decode_cbor(cbor2.dumps([{0: "/4/0/2", "vlo": "3:0"}]), RADIO) == {(4, 0, 2): ObjectLink(3, 0)}
    with pytest.raises(FormatError, match="n comes twice"):
        decode_cbor(cbor2.dumps([{0: "/4/0/2", "n": "/4/0/2", 2: 1}]), RADIO)


# -- LwM2M --


@pytest.mark.parametrize(
    ("field", "value", "data_type", "expected"),
    [
        ("v", 5, None, 5),
        ("v", 5.0, None, 5.0),
        ("v", 5.0, DataType.INTEGER, 5),
        ("v", 5, DataType.FLOAT, 5.0),
        ("v", 1.638435e9, DataType.TIME, Time(1638435000)),
        ("v", 2**64 - 1, DataType.UNSIGNED, 2**64 - 1),
        ("v", 9223372036854775800, DataType.INTEGER, 9223372036854775800),
        ("vs", "é", DataType.STRING, "é"),
        ("vb", True, DataType.BOOLEAN, True),
        ("vlo", "66:1", DataType.OBJLNK, ObjectLink(66, 1)),
        ("vlo", "66:1", None, ObjectLink(66, 1)),
        ("vs", "66:1", DataType.OBJLNK, ObjectLink(66, 1)),
    ],
)
def test_values_by_their_types(field, value, data_type, expected):
    """The same in JSON and CBOR."""
    label = {"v": 2, "vs": 3, "vb": 4}.get(field, field)
    for found in (
        decode_json(pack_of({"n": "/4/0/2", field: value}), RADIO, only(data_type)),
        decode_cbor(cbor2.dumps([{0: "/4/0/2", label: value}]), RADIO, only(data_type)),
    ):
        assert found == {(4, 0, 2): expected}
        assert type(found[4, 0, 2]) is type(expected)


@pytest.mark.parametrize("text", ["q83v", "q83vAQ", "q83vAQ==", "_-8", "/+8=", ""])
def test_data_is_base64_in_json(text):
    """Section 5 wants it URL-safe and without padding; both spellings are read, that one is written."""
    found = decode_json(pack_of({"n": "/0/0/3", "vd": text}), ROOT)
    written = encode_json(found, ROOT)
    assert json.loads(written) == [
        {"n": "/0/0/3", "vd": text.rstrip("=").replace("+", "-").replace("/", "_")}
    ]


@pytest.mark.parametrize("decoder", [decode_json, decode_cbor])
def test_an_empty_payload_has_no_values(decoder):
    """So some clients write a multiple-instance resource that has no instances; others write no records."""
    assert decoder(b"", Path(3, 0, 6)) == {}
    assert decoder(b"[]" if decoder is decode_json else b"\x80", Path(3, 0, 6)) == {}


@pytest.mark.parametrize(
    ("resources", "base", "written"),
    [
        ({(3, 0, 9): 100}, Path(3, 0, 9), [{"bn": "/3/0/9", "v": 100}]),
        ({(3, 0, 9): 100}, Path(3, 0), [{"bn": "/3/0/", "n": "9", "v": 100}]),
        ({(3, 0, 9): 100}, Path(3), [{"bn": "/3/", "n": "0/9", "v": 100}]),
        ({(3, 0, 9): 100}, ROOT, [{"n": "/3/0/9", "v": 100}]),
        (
            {(3, 0, 6, 0): 1, (3, 0, 6, 1): 5},
            Path(3, 0, 6),
            [{"bn": "/3/0/6/", "n": "0", "v": 1}, {"n": "1", "v": 5}],
        ),
        ({(3, 0, 6, 1): 5}, Path(3, 0, 6, 1), [{"bn": "/3/0/6/1", "v": 5}]),
        ({}, Path(3, 0), []),
    ],
)
def test_names_begin_with_what_was_asked_for(resources, base, written):
    """One base name, before name and value: readers that stream want that order. CBOR is alike."""
    payload = encode_json(Resources(resources), base)
    assert json.loads(payload) == written
    assert [list(record) for record in json.loads(payload)] == [list(record) for record in written]
    numbers = {"bn": -2, "n": 0, "v": 2}
    cbor = cbor2.loads(encode_cbor(Resources(resources), base))
    assert cbor == [{numbers[name]: value for name, value in record.items()} for record in written]
    assert [list(record) for record in cbor] == [[numbers[name] for name in record] for record in written]


# -- Refusals --


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"{}", "pack is an array"),
        (b"null", "pack is an array"),
        (b"[1]", "a SenML record is a map"),
        (b'[{"n":"/4/0/2"}]', "one value, not none"),
        (b'[{"n":"/4/0/2","s":1}]', "one value, not none"),
        (b'[{"n":"/4/0/2","v":1,"vs":"x"}]', "one value, not v and vs"),
        (b'[{"n":"/4/0/2","v":null}]', "v: int or float wanted, not NoneType"),
        (b'[{"n":"/4/0/2","v":"1"}]', "v: int or float wanted, not str"),
        (b'[{"n":"/4/0/2","v":true}]', "v: int or float wanted, not bool"),
        (b'[{"n":"/4/0/2","vb":1}]', "vb: bool wanted, not int"),
        (b'[{"n":"/4/0/2","vd":"A"}]', "not base64"),
        (b'[{"n":"/4/0/2","vd":1}]', "vd: bytes wanted, not int"),
        (b'[{"n":"/4/0/2","vlo":"3"}]', "an object link is"),
        (b'[{"n":2,"v":1}]', "n: str wanted, not int"),
        (b'[{"bn":null,"n":"/4/0/2","v":1}]', "bn: str wanted, not NoneType"),
        (b'[{"n":"/4/0/2","v":1,"t":"0"}]', "t: int or float wanted, not str"),
        (b'[{"n":"/4/0/2","v":1,"bver":11}]', "version 11"),
        (b'[{"n":"/4/0/2","v":1,"bver":10.0}]', "bver: int wanted, not float"),
        (b'[{"n":"/4/0/2","v":1,"x_":0}]', "asks to be understood"),
        (b'[{"bn":"/4/0","n":"2","v":1}]', "/4/2 is not a resource|/4/02|a path is"),
        (b'[{"n":"/4/0","v":1}]', "/4/0 is not a resource"),
        (b'[{"v":1}]', "/ is not a resource"),
        (b'[{"n":"/3/0/9","v":1}]', "/3/0/9 came, and /4/0 was asked for"),
        (b'[{"n":"/4/0/1","v":1},{"n":"/4/0/1/0","v":1}]', "has a value itself"),
        (b'[{"n":"/4/0/2","bv":1e308,"v":1e308}]', "too large together"),
        (b'[{"n":"/4/0/2","v":1,"bt":1e308,"t":1e308}]', "too large together"),
        (b'[{"n":"/4/0/2","bv":18446744073709551615,"v":1}]', "at most 64 bits"),
        (b'[{"n":"/4/0/2","vs":"\\ud800"}]', "surrogate"),
    ],
)
def test_what_is_no_pack_is_refused(payload, message):
    """With what is wrong with it."""
    with pytest.raises(FormatError, match=message):
        decode_json(payload, RADIO)


def test_records_are_bounded():
    """As many as there may be, and one more."""
    records = [{"bn": "/4/0/", "n": f"{i}", "v": i} for i in range(ITEMS_MAX + 1)]
    assert len(decode_json(pack_of(*records[:-1]), RADIO)) == ITEMS_MAX
    with pytest.raises(FormatError, match=f"more than {ITEMS_MAX}"):
        decode_json(pack_of(*records), RADIO)


@pytest.mark.parametrize(
    "records",
    [
        [{"n": "/4/0/2", "v": 1}],
        [{"n": "/4/0/2", "t": 1}],
        [{"bt": 1}, {"n": "/4/0/2"}],
        [{"n": "/4/0/2", "vs": ""}],
        [{"n": "x"}],
    ],
)
def test_a_list_of_paths_has_neither_values_nor_times(records):
    """A composite read asks; it does not say."""
    with pytest.raises(FormatError):
        senml.paths_json(pack_of(*records))


def test_a_list_of_paths_may_have_base_names():
    """As any pack."""
    assert senml.paths_json(b'[{"bn":"/4/0/","n":"0"},{"n":"1"},{"bn":"/5"}]') == [
        Path(4, 0, 0),
        Path(4, 0, 1),
    ]
