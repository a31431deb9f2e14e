"""SenML as LwM2M uses it: JSON (110) and CBOR (112), and as SenML-ETCH (320, 322). RFC 8428; RFC 8790;
LwM2M 1.1 core, 7.4.

A pack is an array of records. A base field (bn, bt, bv) holds for its record and all after it, until it comes
again; a name is the base name and the record's own, one after the other, and here always a path.

    field   JSON   CBOR       value of                  field       JSON   CBOR
    v       v      2          numbers and times         base name   bn     -2
    vs      vs     3          strings                   base time   bt     -3
    vb      vb     4          booleans                  base value  bv     -5
    vd      vd     8          opaque, base64url         name        n      0
    vlo     vlo    "vlo"      object links "3:0"        time        t      6

Units, sums and labels that nobody knows are ignored, as the RFC says, unless a label ends with "_".

    >>> pack = b'[{"bn":"/4/0/","n":"2","v":-98},{"n":"8","v":187654321}]'
    >>> decode_json(pack, Path(4, 0))
    Resources({'/4/0/2': -98, '/4/0/8': 187654321})
    >>> encode_json(Resources({(19, 0, 0): b"ping"}), Path(19, 0, 0))
    b'[{"bn":"/19/0/0","vd":"cGluZw"}]'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

from headgate.errors import FormatError
from headgate.wire import bounded_cbor, bounded_json
from headgate.wire.records import Record, base_name, latest, record_of, rest_of_name
from headgate.wire.resources import Path, Resources, refuse_others, typed_below
from headgate.wire.values import (
    ITEMS_MAX,
    ObjectLink,
    Time,
    TypeLookup,
    Value,
    base64_read,
    base64url_write,
    untyped,
)

VERSION_MAX = 10  # RFC 8428 section 4.4
NUMBER = (int, float)
FIELD_TYPES: dict[object, tuple[type, ...]] = {
    "bver": (int,),
    "bn": (str,),
    "bt": NUMBER,
    "bv": NUMBER,
    "n": (str,),
    "t": NUMBER,
    "v": NUMBER,
    "vs": (str,),
    "vb": (bool,),
    "vd": (bytes,),
    "vlo": (str,),
}
VALUE_FIELDS = ("v", "vs", "vd", "vb", "vlo")
JSON_LABELS: dict[object, str] = {}  # a label is its field's name
CBOR_LABELS: dict[object, str] = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -5: "bv",
    0: "n",
    2: "v",
    3: "vs",
    4: "vb",
    6: "t",
    8: "vd",
}  # RFC 8428 table 4; of the vlo of LwM2M there is no number
CBOR_NUMBERS = {name: label for label, name in CBOR_LABELS.items() if isinstance(label, int)}

Fields = dict[str, Any]  # of one record, by the names of JSON; the types are those of FIELD_TYPES


# -- reading --


def decode_json(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """The latest values in a pack of SenML JSON, all below `base`. Raises FormatError."""
    return latest(records_json(payload, base, type_of))


def decode_cbor(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """The latest values in a pack of SenML CBOR, all below `base`. Raises FormatError."""
    return latest(records_cbor(payload, base, type_of))


def records_json(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> list[Record]:
    """Every value in a pack of SenML JSON with its time: what a device measured while it slept, say."""
    return records(pack_json(payload), base, type_of)


def records_cbor(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> list[Record]:
    """Every value in a pack of SenML CBOR with its time."""
    return records(pack_cbor(payload), base, type_of)


def paths_json(payload: bytes) -> list[Path]:
    """The paths that a Read-Composite or Observe-Composite asks for: records without values."""
    return paths(pack_json(payload))


def paths_cbor(payload: bytes) -> list[Path]:
    """The same in SenML CBOR."""
    return paths(pack_cbor(payload))


def pack_json(payload: bytes) -> list[Fields]:
    """The records of a JSON pack. An empty payload has none: so some clients write no instances."""
    return pack_of(bounded_json.read(payload), JSON_LABELS) if payload else []


def pack_cbor(payload: bytes) -> list[Fields]:
    """The records of a CBOR pack."""
    return pack_of(bounded_cbor.read(payload), CBOR_LABELS) if payload else []


def pack_of(document: object, labels: Mapping[object, str]) -> list[Fields]:
    """What `document` holds, if it is a list of records."""
    if not isinstance(document, list):
        raise FormatError("a SenML pack is an array")
    if len(document) > ITEMS_MAX:
        raise FormatError(f"a SenML pack of {len(document)} records, more than {ITEMS_MAX}")
    return [fields_of(record, labels) for record in document]


def fields_of(record: object, labels: Mapping[object, str]) -> Fields:
    """The fields of a record that mean something here, each of its right type."""
    if not isinstance(record, dict):
        raise FormatError("a SenML record is a map")
    fields: Fields = {}
    for label, value in record.items():
        name = labels.get(label, label)
        if name not in FIELD_TYPES:
            if isinstance(name, str) and name.endswith("_"):
                raise FormatError(f"the SenML label {name[:24]!r} asks to be understood, and is not")
            continue
        if name == "vd" and labels is JSON_LABELS and isinstance(value, str):
            value = base64_read(value)
        if type(value) not in FIELD_TYPES[name]:
            wanted = " or ".join(each.__name__ for each in FIELD_TYPES[name])
            raise FormatError(f"the SenML field {name}: {wanted} wanted, not {type(value).__name__}")
        if name in fields:
            raise FormatError(f"the SenML field {name} comes twice in one record")
        fields[name] = value
    if fields.get("bver", VERSION_MAX) > VERSION_MAX:
        raise FormatError(f"SenML of version {fields['bver']}, more than {VERSION_MAX}")
    return fields


def resolved(pack: Iterable[Fields]) -> Iterator[tuple[str, int | float, Fields]]:
    """Each record with its whole name and time, and with the base value in it. RFC 8428 section 4.6.

    A record that has nothing but base fields only sets them.
    """
    base_name = ""
    base_time: int | float = 0
    base_value: int | float = 0
    for fields in pack:
        base_name = fields.get("bn", base_name)
        base_time = fields.get("bt", base_time)
        base_value = fields.get("bv", base_value)
        if all(name in ("bn", "bt", "bv", "bver") for name in fields):
            continue
        time_s = base_time + fields.get("t", 0)
        if base_value and "v" in fields:
            fields["v"] += base_value
        if not isfinite(time_s) or not isfinite(fields.get("v", 0)):
            raise FormatError("a base time or value and a record's own are too large together")
        yield base_name + fields.get("n", ""), time_s, fields


def records(pack: Iterable[Fields], base: Path, type_of: TypeLookup) -> list[Record]:
    """The records that have to do with resources: all of them, and all below `base`."""
    found = [
        record_of(Path.parse(name), the_value(fields), time_s, type_of)
        for name, time_s, fields in resolved(pack)
    ]
    refuse_others((record.path for record in found), base)
    return found


def the_value(fields: Fields) -> Value:
    """The one value of a record. RFC 8428 section 4.2."""
    found = [name for name in VALUE_FIELDS if name in fields]
    if len(found) != 1:
        raise FormatError(f"a SenML record has one value, not {' and '.join(found) or 'none'}")
    value: Value = fields[found[0]]
    return ObjectLink.parse(value) if found[0] == "vlo" and isinstance(value, str) else value


def paths(pack: list[Fields]) -> list[Path]:
    """The names of records that have neither value nor time."""
    if any(name in fields for fields in pack for name in (*VALUE_FIELDS, "t", "bt")):
        raise FormatError("a list of paths has neither values nor times")
    return [Path.parse(name) for name, _, _ in resolved(pack)]


# -- writing --


def encode_json(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """A pack of SenML JSON with all of `resources`, named from `base` on. Raises FormatError."""
    pack = written(resources, base, type_of)
    for fields in pack:
        if "vd" in fields:
            fields["vd"] = base64url_write(fields["vd"])
    return bounded_json.write([*pack])


def encode_cbor(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """A pack of SenML CBOR with all of `resources`, named from `base` on. Raises FormatError.

    >>> encode_cbor(Resources({(0, 0, 3): bytes.fromhex("ABCDEF")}), Path(0, 0, 3)).hex()
    '81a221662f302f302f330843abcdef'
    """
    return write_cbor(written(resources, base, type_of))


def encode_paths_json(paths: Iterable[Path]) -> bytes:
    """The records of a Read-Composite or Observe-Composite: names, no values.

    >>> encode_paths_json([Path(4, 0, 2), Path(5)])
    b'[{"n":"/4/0/2"},{"n":"/5"}]'
    """
    return bounded_json.write([{"n": str(path)} for path in paths])


def encode_paths_cbor(paths: Iterable[Path]) -> bytes:
    """The same in SenML CBOR."""
    return write_cbor([{"n": str(path)} for path in paths])


def written(resources: Resources, base: Path, type_of: TypeLookup) -> list[Fields]:
    """The records for `resources`: base name, name, value. There are readers that want this order.

    Below the root there is no base name, and each name is a whole path.
    """
    pack: list[Fields] = []
    for path, value in typed_below(resources, base, type_of):
        fields: Fields = {"bn": base_name(resources, base)} if base and not pack else {}
        if path != base:
            fields["n"] = rest_of_name(path, base) if base else str(path)
        if type(value) is Time:
            fields["v"] = value.unix_s
        elif type(value) is ObjectLink:
            fields["vlo"] = str(value)
        else:
            fields[FIELD_OF[type(value)]] = value
        pack.append(fields)
    return pack


FIELD_OF: dict[type, str] = {int: "v", float: "v", str: "vs", bool: "vb", bytes: "vd"}


def write_cbor(pack: Iterable[Fields]) -> bytes:
    """The records with the labels of CBOR."""
    return bounded_cbor.write(
        [{CBOR_NUMBERS.get(name, name): value for name, value in fields.items()} for fields in pack]
    )
