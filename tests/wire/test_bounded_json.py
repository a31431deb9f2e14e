"""The JSON of LwM2M: RFC 8259 within bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.wire.bounded_json import JSON_BYTES_MAX, JSON_NESTING_MAX, read, write

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10)
)
RECORDS = st.dictionaries(st.text(max_size=4), LEAVES, max_size=4)
DOCUMENTS = (
    LEAVES
    | st.lists(RECORDS, max_size=4)
    | st.dictionaries(st.text(max_size=4), st.lists(RECORDS, max_size=2))
)


@given(document=DOCUMENTS)
def test_any_document_comes_back(document):
    """Written without spaces, in UTF-8, and the same to Python's own reader."""
    assert read(write(document)) == document == json.loads(write(document))
    assert read(json.dumps(document, indent=1).encode()) == document


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"[1] 2", "not JSON: Extra data at character 4"),
        (b"\xef\xbb\xbf[]", "not JSON"),
        (b"[\xff]", "not UTF-8 from byte 1 on"),
        ("[1]".encode("utf-16"), "not UTF-8"),
        (b'{"v":1,"v":1}', "comes twice"),
        (b'[{"v":1,"\\u0076":2}]', "comes twice"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "not a double"),
        (b"[-1e999]", "not a double"),
        (b"[123456789012345678901]", "more than 64 bits"),
        (b'["\x00"]', "not JSON"),
        (b"'a'", "not JSON"),
        (b"[01]", "not JSON"),
    ],
)
def test_what_is_no_document_is_refused(payload, message):
    """What Python's reader would take, too."""
    with pytest.raises(FormatError, match=message):
        read(payload)


def test_nesting_is_bounded_wherever_it_hides():
    """Counted before anything is built, and not inside strings."""
    assert read(b"[" * JSON_NESTING_MAX + b"]" * JSON_NESTING_MAX)
    for opener in (b"[", b'{"a":', b'["]]]]",', b'["\\"]]]]",', b"[[],"):
        with pytest.raises(FormatError, match=f"deeper than {JSON_NESTING_MAX}"):
            read(opener * (JSON_NESTING_MAX + 1))
    assert read(b'["[[[[[[[[{{{{{", "\\"[[[[[["]') == ["[[[[[[[[{{{{{", '"[[[[[[']


def test_size_is_bounded():
    """The largest document that is taken, and one byte more."""
    assert read(b'"' + b"a" * (JSON_BYTES_MAX - 2) + b'"')
    with pytest.raises(FormatError, match=f"more than {JSON_BYTES_MAX}"):
        read(b'"' + b"a" * (JSON_BYTES_MAX - 1) + b'"')


@given(payload=st.binary(max_size=30) | st.text('[]{}",:\\0e-nul ', max_size=30).map(str.encode))
def test_no_bytes_raise_anything_else(payload):
    """A document or a FormatError."""
    try:
        document = read(payload)
    except FormatError:
        return
    assert json.loads(payload) == document
