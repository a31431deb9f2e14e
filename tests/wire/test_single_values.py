"""Formats for one value: text (0), opaque (42) and CBOR (60). LwM2M 1.1 core, 7.4."""

from __future__ import annotations

import cbor2
import pytest

from headgate.errors import FormatError
from headgate.wire import opaque, single_cbor, text
from headgate.wire.resources import Path, Resources
from headgate.wire.values import DataType, ObjectLink, Time

PATH = Path(3, 0, 13)


def only(data_type):
    """A lookup that knows one type."""
    return lambda object, resource: data_type


@pytest.mark.parametrize(
    ("data_type", "payload", "value"),
    [
        (DataType.INTEGER, b"-98", -98),
        (DataType.INTEGER, b"-9223372036854775808", -(2**63)),
        (DataType.UNSIGNED, b"18446744073709551615", 2**64 - 1),
        (DataType.FLOAT, b"-1.5", -1.5),
        (DataType.FLOAT, b"0.1", 0.1),
        (DataType.FLOAT, b"100000000000000000000000", 1e23),
        (DataType.FLOAT, b"0.000000000001", 1e-12),
        (DataType.BOOLEAN, b"0", False),
        (DataType.BOOLEAN, b"1", True),
        (DataType.STRING, b"", ""),
        (DataType.STRING, "Größe".encode(), "Größe"),
        (DataType.CORELNK, b"</3/0>", "</3/0>"),
        (DataType.OPAQUE, b"AQIDBAU=", b"\1\2\3\4\5"),
        (DataType.TIME, b"1367491215", Time(1367491215)),
        (DataType.OBJLNK, b"66:65535", ObjectLink(66, 65535)),
        (None, b"-98", "-98"),
    ],
)
def test_text_by_types(data_type, payload, value):
    """Both ways. Without a type it is a string."""
    found = text.decode(payload, PATH, only(data_type))[PATH]
    assert (found, type(found)) == (value, type(value))
    assert text.encode(Resources({PATH: value}), PATH, only(data_type)) == payload


@pytest.mark.parametrize(
    ("data_type", "payload", "value"),
    [
        (DataType.FLOAT, b"5", 5.0),
        (DataType.FLOAT, b"1.5e2", 150.0),
        (DataType.FLOAT, b"-1E-2", -0.01),
        (DataType.INTEGER, b"007", 7),
        (DataType.OPAQUE, b"AQIDBAU", b"\1\2\3\4\5"),
    ],
)
def test_text_in_other_spellings(data_type, payload, value):
    """Read, not written."""
    assert text.decode(payload, PATH, only(data_type))[PATH] == value


@pytest.mark.parametrize(
    ("data_type", "payload"),
    [
        *(
            (DataType.INTEGER, data)
            for data in (b"", b"+1", b"1.0", b" 1", b"1\n", b"1\0", b"0x1", b"1_0", b"--1")
        ),
        *((DataType.INTEGER, data) for data in ("٣".encode(), b"9223372036854775808", b"9" * 100_000)),
        *((DataType.UNSIGNED, data) for data in (b"-1", b"18446744073709551616")),
        *((DataType.TIME, data) for data in (b"", b"1.5", b"now")),
        *(
            (DataType.FLOAT, data)
            for data in (b"", b".5", b"5.", b"inf", b"nan", b"1e999", b"1_0.0", b"1e", b"9" * 500)
        ),
        *((DataType.FLOAT, data) for data in (b"1e100000", b"0" * 100_000)),
        *((DataType.BOOLEAN, data) for data in (b"", b"2", b"true", b"00", b"1\n")),
        *((DataType.STRING, data) for data in (b"\xff", b"\xed\xa0\x80")),
        *((DataType.OPAQUE, data) for data in (b"A", b"AQ=", b"!", b"\xff")),
        *((DataType.OBJLNK, data) for data in (b"", b"3", b"3:0:1", b"65536:0")),
    ],
)
def test_text_that_is_no_value_is_refused(data_type, payload):
    """Nothing is stripped, rounded or guessed; and the message begins with the path."""
    with pytest.raises(FormatError, match=r"^/3/0/13: "):
        text.decode(payload, PATH, only(data_type))


@pytest.mark.parametrize("value", [1e300, 5e-324, 1.7976931348623157e308, -0.0, 0.1 + 0.2])
def test_floats_in_text_have_no_exponent(value):
    """LwM2M 1.1 core, appendix C: decimal; all digits that the value needs."""
    written = text.encode(Resources({PATH: value}), PATH)
    assert b"e" not in written.lower()
    assert text.decode(written, PATH, only(DataType.FLOAT))[PATH] == value


def test_opaque_is_for_opaque_resources():
    """Where the type is known to be another, somebody is mistaken."""
    assert opaque.decode(b"\xff\xfe", PATH, only(DataType.OPAQUE)) == {PATH: b"\xff\xfe"}
    assert opaque.decode(b"", PATH) == {PATH: b""}
    with pytest.raises(FormatError, match="Time wanted"):
        opaque.decode(b"\xff\xfe", PATH, only(DataType.TIME))
    with pytest.raises(FormatError, match="bytes are wanted"):
        opaque.encode(Resources({PATH: "x"}), PATH)


@pytest.mark.parametrize(
    ("data_type", "item", "value"),
    [
        (DataType.INTEGER, -98, -98),
        (DataType.FLOAT, 5, 5.0),
        (DataType.BOOLEAN, True, True),
        (DataType.STRING, "x", "x"),
        (DataType.OPAQUE, b"x", b"x"),
        (DataType.TIME, 5, Time(5)),
        (DataType.TIME, cbor2.CBORTag(1, 5), Time(5)),
        (DataType.OBJLNK, "3:0", ObjectLink(3, 0)),
        (None, cbor2.CBORTag(1, 5), Time(5)),
        (None, "3:0", "3:0"),
    ],
)
def test_cbor_by_types(data_type, item, value):
    """One item; times may have their tag or not."""
    found = single_cbor.decode(cbor2.dumps(item), PATH, only(data_type))[PATH]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (None, "not NoneType"),
        ([1], "not list"),
        ({1: 2}, "not dict"),
        ("x", "Time wanted, not str 'x'"),
        (1.5, "Time wanted, not float '1.5'"),
    ],
)
def test_cbor_that_is_no_value_is_refused(item, message):
    """Neither null nor several; and the message begins with the path."""
    with pytest.raises(FormatError, match=f"^/3/0/13: .*{message}"):
        single_cbor.decode(cbor2.dumps(item), PATH, only(DataType.TIME))
