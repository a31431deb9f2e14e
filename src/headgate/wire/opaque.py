r"""Bare bytes, Content-Format 42 (1544 before LwM2M 1.0): one opaque resource. LwM2M 1.1 core, 7.4.

>>> decode(b"\xff\xfe\x01", Path(19, 0, 0))
Resources({'/19/0/0': b'\xff\xfe\x01'})
"""

from __future__ import annotations

from headgate.errors import FormatError
from headgate.wire.resources import Path, Resources, single_place, single_value, typed_at
from headgate.wire.values import TypeLookup, untyped


def decode(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """`payload` itself as the value of `base`. Raises FormatError where that is no opaque resource."""
    path = single_place(base)
    return Resources({path: typed_at(path, payload, type_of)})


def encode(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """The one value in `resources`, which is that of `base`. Raises FormatError."""
    value = single_value(resources, base, type_of)
    if type(value) is not bytes:
        raise FormatError(f"{base}: bytes are wanted, not {type(value).__name__}")
    return value
