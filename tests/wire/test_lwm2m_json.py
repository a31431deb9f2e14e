"""The JSON of LwM2M 1.0: LwM2M 1.0 core, 6.4."""

from __future__ import annotations

import json

import pytest

from headgate.errors import FormatError
from headgate.wire.lwm2m_json import decode, encode, records
from headgate.wire.resources import ROOT, Path, Resources
from headgate.wire.values import ITEMS_MAX, DataType, ObjectLink, Time

RADIO = Path(4, 0)


def only(data_type):
    """A lookup that knows one type."""
    return lambda object, resource: data_type


@pytest.mark.parametrize(
    ("document", "base"),
    [
        ({"bn": "/4/0/", "e": [{"n": "2", "v": 1}]}, RADIO),
        ({"bn": "4/0/", "e": [{"n": "2", "v": 1}]}, RADIO),
        ({"bn": "/", "e": [{"n": "4/0/2", "v": 1}]}, RADIO),
        ({"bn": "", "e": [{"n": "/4/0/2", "v": 1}]}, RADIO),
        ({"e": [{"n": "/4/0/2", "v": 1}]}, RADIO),
        ({"e": [{"n": "2", "v": 1}]}, RADIO),
        ({"e": [{"n": "0/2", "v": 1}]}, Path(4)),
        ({"e": [{"v": 1}]}, Path(4, 0, 2)),
        ({"e": [{"n": "", "v": 1}]}, Path(4, 0, 2)),
        ({"bn": "/4/0/2", "e": [{"v": 1}]}, Path(4, 0, 2)),
    ],
)
def test_names_with_and_without_base_name(document, base):
    """Clients write all of these for GET 4/0/2 or what is above it."""
    assert decode(json.dumps(document).encode(), base) == {(4, 0, 2): 1}


@pytest.mark.parametrize(
    ("element", "data_type", "value"),
    [
        ({"v": 5}, DataType.INTEGER, 5),
        ({"v": 5.0}, DataType.INTEGER, 5),
        ({"v": 5}, DataType.FLOAT, 5.0),
        ({"v": 1367491215}, DataType.TIME, Time(1367491215)),
        ({"bv": False}, DataType.BOOLEAN, False),
        ({"sv": "AQID"}, DataType.STRING, "AQID"),
        ({"sv": "AQID"}, None, "AQID"),
        ({"sv": "AQID"}, DataType.OPAQUE, b"\1\2\3"),
        ({"ov": "66:0"}, DataType.OBJLNK, ObjectLink(66, 0)),
    ],
)
def test_values_by_their_types(element, data_type, value):
    """Only the type tells base64 from other strings."""
    payload = json.dumps({"bn": "/4/0/2", "e": [element]}).encode()
    found = decode(payload, RADIO, only(data_type))[4, 0, 2]
    assert (found, type(found)) == (value, type(value))
    assert decode(encode(Resources({(4, 0, 2): value}), RADIO), RADIO, only(data_type)) == {(4, 0, 2): value}


def test_historical_values():
    """The temperature example of the standard: three values of one resource, times before a base time."""
    elements = [{"n": "1/2", "v": 22.4, "t": -5}, {"n": "1/2", "v": 22.9, "t": -30}]
    elements.append({"n": "1/2", "v": 24.1, "t": -50})
    payload = json.dumps({"bn": "/72/", "e": elements, "bt": 25462634}).encode()
    assert decode(payload, Path(72)) == {(72, 1, 2): 22.4}
    assert [(record.time_s, record.value) for record in records(payload, Path(72))] == [
        (25462629, 22.4),
        (25462604, 22.9),
        (25462584, 24.1),
    ]


@pytest.mark.parametrize(
    ("resources", "base", "written"),
    [
        ({(3, 0, 9): 100}, Path(3, 0, 9), {"bn": "/3/0/9", "e": [{"v": 100}]}),
        ({(3, 0, 9): 100}, Path(3, 0), {"bn": "/3/0/", "e": [{"n": "9", "v": 100}]}),
        ({(3, 0, 9): 100}, ROOT, {"bn": "/", "e": [{"n": "3/0/9", "v": 100}]}),
        ({(3, 0, 6, 1): 5}, Path(3, 0, 6), {"bn": "/3/0/6/", "e": [{"n": "1", "v": 5}]}),
        ({}, Path(3, 0), {"bn": "/3/0/", "e": []}),
    ],
)
def test_names_begin_with_what_was_asked_for(resources, base, written):
    """One base name for all elements."""
    assert json.loads(encode(Resources(resources), base)) == written


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "not JSON"),
        (b"[]", "is an object with a list of objects"),
        (b"{}", "without the elements"),
        (b'{"e":{}}', "e of LwM2M JSON: list wanted, not dict"),
        (b'{"e":[1]}', "is an object with a list of objects"),
        (b'{"bn":1,"e":[]}', "bn of LwM2M JSON: str wanted, not int"),
        (b'{"e":[{"n":"2"}]}', "one value, not none"),
        (b'{"e":[{"n":"2","v":1,"bv":true}]}', "one value, not v and bv"),
        (b'{"e":[{"n":"2","v":"1"}]}', "v of LwM2M JSON: int or float wanted, not str"),
        (b'{"e":[{"n":"2","v":true}]}', "v of LwM2M JSON: int or float wanted, not bool"),
        (b'{"e":[{"n":"2","ov":"x"}]}', "an object link is"),
        (b'{"e":[{"n":"2","v":1},{"n":"2","v":2}]}', "/4/0/2 comes twice"),
        (b'{"e":[{"n":"2/1/1","v":1}]}', "a path is"),
        (b'{"e":[{"v":1}]}', "/4/0 is not a resource"),
        (b'{"e":[{"n":"/3/0/9","v":1}]}', "/3/0/9 came, and /4/0 was asked for"),
        (b'{"bn":"/4/0","e":[{"n":"2","v":1}]}', "a path is|not a resource"),
        (b'{"bt":1e308,"e":[{"n":"2","v":1,"t":1e308}]}', "too large together"),
    ],
)
def test_what_is_no_payload_is_refused(payload, message):
    """With what is wrong with it."""
    with pytest.raises(FormatError, match=message):
        decode(payload, RADIO)


def test_opaque_values_have_to_be_base64():
    """Where the resource is known to be opaque."""
    with pytest.raises(FormatError, match="not base64"):
        decode(b'{"e":[{"n":"2","sv":"!"}]}', RADIO, only(DataType.OPAQUE))


def test_elements_are_bounded():
    """As many as there may be, and one more."""
    elements = [{"n": f"{i}", "v": i} for i in range(ITEMS_MAX + 1)]
    assert len(decode(json.dumps({"e": elements[:-1]}).encode(), RADIO)) == ITEMS_MAX
    with pytest.raises(FormatError, match=f"more than {ITEMS_MAX}"):
        decode(json.dumps({"e": elements}).encode(), RADIO)
