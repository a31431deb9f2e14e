"""One CBOR item, Content-Format 60: the value of one resource. LwM2M 1.1 core, 7.4.

Times carry the tag for seconds since 1970; object links are strings like "3:0".

    >>> decode(bytes.fromhex("3861"), Path(4, 0, 2))
    Resources({'/4/0/2': -98})
"""

from __future__ import annotations

from headgate.errors import FormatError
from headgate.wire import bounded_cbor
from headgate.wire.resources import Path, Resources, single_place, single_value, typed_at
from headgate.wire.values import ObjectLink, TypeLookup, untyped


def decode(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """The one value that `payload` is, at `base`. Raises FormatError."""
    path = single_place(base)
    value = bounded_cbor.read(payload)
    if value is None or isinstance(value, list | dict):
        raise FormatError(f"{path}: a single value is wanted, not {type(value).__name__}")
    return Resources({path: typed_at(path, value, type_of)})


def encode(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """The one value in `resources`, which is that of `base`. Raises FormatError."""
    value = single_value(resources, base, type_of)
    return bounded_cbor.write(str(value) if isinstance(value, ObjectLink) else value)
