"""JSON read within bounds. RFC 8259; documents of LwM2M 1.0 JSON and of SenML JSON have three levels at most.

Refused: keys that come twice, NaN and infinity (also as a number too large for a double), integers that no
resource can have, deep nesting, and anything after the document.

    >>> read(b'[{"n": "/3/0/9", "v": 100}]')
    [{'n': '/3/0/9', 'v': 100}]
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import NoReturn

from headgate.errors import FormatError
from headgate.wire.values import utf8

JSON_BYTES_MAX = 1 << 18  # parsed, a document takes many times its size
JSON_NESTING_MAX = 4
DIGITS_MAX = 20  # -9223372036854775808 and 18446744073709551615 have 20 characters

JsonValue = int | float | bool | str | None | list["JsonValue"] | dict[str, "JsonValue"]


def read(payload: bytes) -> JsonValue:
    """The document that `payload` is. Raises FormatError."""
    if len(payload) > JSON_BYTES_MAX:
        raise FormatError(f"a JSON document of {len(payload)} bytes, more than {JSON_BYTES_MAX}")
    text = utf8(payload)
    if text.count("[") + text.count("{") > JSON_NESTING_MAX:
        check_nesting(text)
    try:
        value: JsonValue = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"not JSON: {error.msg} at character {error.pos}") from None
    return value


def check_nesting(text: str) -> None:
    """Refuses a document nested deeper than is allowed, before anything is built from it."""
    nesting = 0
    for bracket in BRACKET.findall(STRING.sub("", text)):
        nesting += 1 if bracket in "[{" else -1
        if nesting > JSON_NESTING_MAX:
            raise FormatError(f"JSON nested deeper than {JSON_NESTING_MAX}")


STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
BRACKET = re.compile(r"[\[\]{}]")


def unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    """An object of which no key comes twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise FormatError("a JSON key comes twice")
    return members


def integer(digits: str) -> int:
    """An integer of at most as many digits as 64 bits have."""
    if len(digits) > DIGITS_MAX:
        raise FormatError(f"an integer of {len(digits)} characters, more than 64 bits")
    return int(digits)


def finite(digits: str) -> float:
    """A number that a double can hold."""
    number = float(digits)
    if not isfinite(number):
        raise FormatError(f"the number {digits[:24]} is not a double")
    return number


def refuse(constant: str) -> NoReturn:
    """NaN, Infinity and -Infinity, which Python would take."""
    raise FormatError(f"{constant} is not JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=unique, parse_int=integer, parse_float=finite, parse_constant=refuse
)


def write(value: JsonValue) -> bytes:
    """`value` without spaces, in UTF-8, members in their order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
