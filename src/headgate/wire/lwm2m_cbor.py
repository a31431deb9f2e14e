"""LwM2M CBOR, Content-Format 11544. LwM2M 1.2 core, 7.4.

Maps inside maps, their keys the IDs of object, instance, resource and resource instance. A key may also be an
array of several IDs, which spares the maps between them. Times carry the tag for seconds since 1970; object
links are strings like "3:0", which only the data type tells from other strings.

    >>> decode(bytes.fromhex("A1 82 04 00 A2 02 38 61 08 1A 0B2F60B1"), Path(4, 0))
    Resources({'/4/0/2': -98, '/4/0/8': 187654321})
"""

from __future__ import annotations

from headgate.errors import FormatError
from headgate.wire import bounded_cbor
from headgate.wire.bounded_cbor import CborValue, Key
from headgate.wire.resources import (
    DEPTH_MAX,
    RESOURCE_DEPTH,
    ROOT,
    Path,
    Resources,
    refuse_others,
    typed_at,
    typed_below,
)
from headgate.wire.values import ITEMS_MAX, ObjectLink, TypeLookup, Value, untyped


def decode(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """The values of a payload, all below `base`. Raises FormatError."""
    values: dict[tuple[int, ...], Value] = {}
    put(values, ROOT, bounded_cbor.read(payload), type_of)
    refuse_others(values, base)
    return Resources(values)


def put(values: dict[tuple[int, ...], Value], path: Path, value: CborValue, type_of: TypeLookup) -> None:
    """Adds the value at `path`, or if it is a map, all that lie below. Each map makes the path longer."""
    if isinstance(value, dict):
        if len(path) == DEPTH_MAX:
            raise FormatError(f"a map at {path}, which has nothing below it")
        for key, inner in value.items():
            ids = (key,) if isinstance(key, int) else key
            if not ids or isinstance(ids, str):
                raise FormatError(f"an ID or a path is the key of LwM2M CBOR, not {key!r:.32}")
            put(values, path.child(*ids), inner, type_of)
    elif value is None or isinstance(value, list):
        raise FormatError(f"{path}: a value is wanted, not {'null' if value is None else 'an array'}")
    elif len(path) < RESOURCE_DEPTH:
        raise FormatError(f"{path} is not a resource and has no value itself")
    elif path in values:
        raise FormatError(f"{path} comes twice")
    elif len(values) == ITEMS_MAX:
        raise FormatError(f"more than {ITEMS_MAX} values")
    else:
        values[path] = typed_at(path, value, type_of)


def encode(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """A payload with all of `resources`: one key for `base`, maps from there on. Raises FormatError.

    >>> encode(Resources({(13, 26, 1): 42, (13, 26, 2): 21}), Path(13, 26)).hex()
    'a1820d181aa201182a0215'
    """
    document: dict[Key, CborValue] = {}
    for path, value in typed_below(resources, base, type_of):
        place = document
        *outer, last = keys(path, base)
        for key in outer:
            inner = place.setdefault(key, {})
            assert isinstance(inner, dict)
            place = inner
        place[last] = str(value) if isinstance(value, ObjectLink) else value
    return bounded_cbor.write(document)


def keys(path: tuple[int, ...], base: Path) -> list[Key]:
    """The keys that lead to `path`: the base's IDs as one, then one for each ID."""
    first: list[Key] = [base[0] if len(base) == 1 else base] if base else []
    return [*first, *path[len(base) :]]
