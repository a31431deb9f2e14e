"""Plain text, Content-Format 0 (1541 before LwM2M 1.0): the value of one resource. LwM2M 1.1 core, 7.4.

Numbers in decimal, Booleans 0 and 1, times in seconds since 1970, object links as "3:0", opaque in base64. A
resource of unknown type has a string.

    >>> decode(b"-98", Path(4, 0, 2), lambda object, resource: DataType.INTEGER)
    Resources({'/4/0/2': -98})
    >>> encode(Resources({(5, 0, 1): "coap://[2001:db8::1]/Zm9v"}), Path(5, 0, 1))
    b'coap://[2001:db8::1]/Zm9v'
"""

from __future__ import annotations

import re
from decimal import Decimal

from headgate.errors import FormatError
from headgate.wire.resources import Path, Resources, single_place, single_value
from headgate.wire.values import (
    DataType,
    ObjectLink,
    Time,
    TypeLookup,
    Value,
    base64_read,
    base64_write,
    typed,
    untyped,
    utf8,
)

INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
FLOAT = re.compile(r"-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)


def decode(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """The one value that `payload` writes, at `base`. Raises FormatError."""
    path = single_place(base)
    try:
        return Resources({path: parse_value(utf8(payload), type_of(path[0], path[2]))})
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None


def parse_value(text: str, data_type: DataType | None) -> Value:
    """The value that `text` writes."""
    if data_type is None or data_type is DataType.STRING or data_type is DataType.CORELNK:
        return text
    if data_type is DataType.OPAQUE:
        return base64_read(text)
    if data_type is DataType.BOOLEAN:
        if text in ("0", "1"):
            return text == "1"
    elif data_type is DataType.OBJLNK:
        return ObjectLink.parse(text)
    elif data_type is DataType.FLOAT:
        if FLOAT.fullmatch(text) is not None:
            return float(text)
    elif INTEGER.fullmatch(text) is not None:
        return typed(int(text), data_type)
    raise FormatError(f"{data_type.value} wanted, not {text[:24]!r}")


def encode(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """The text of the one value in `resources`, which is that of `base`. Raises FormatError."""
    value = single_value(resources, base, type_of)
    if type(value) is bytes:
        return base64_write(value).encode()
    if type(value) is bool:
        return b"1" if value else b"0"
    if type(value) is float:
        return f"{Decimal(repr(value)):f}".encode()  # all digits: the standard has no exponent
    return str(value.unix_s if type(value) is Time else value).encode()
