"""The JSON of LwM2M 1.0, Content-Format 11543 (1543 before it). LwM2M 1.0 core, 6.4, JSON.

One object with a base name, a base time and the elements `e`. Each has the rest of its path, perhaps a time,
and one value: v for numbers and times, bv booleans, sv strings and base64 of opaque values, ov object links.
Only the data type tells a string from an opaque value.

    >>> decode(b'{"bn":"/4/0/","e":[{"n":"2","v":-98}]}', Path(4, 0))
    Resources({'/4/0/2': -98})
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from headgate.errors import FormatError
from headgate.wire import bounded_json
from headgate.wire.bounded_json import JsonValue
from headgate.wire.records import Record, base_name, latest, record_of, rest_of_name
from headgate.wire.resources import Path, Resources, refuse_others, typed_below
from headgate.wire.values import (
    ITEMS_MAX,
    DataType,
    ObjectLink,
    Time,
    TypeLookup,
    Value,
    base64_read,
    base64_write,
    untyped,
)

NUMBER = (int, float)
MEMBERS: dict[str, tuple[type, ...]] = {"bn": (str,), "bt": NUMBER, "e": (list,)}
ELEMENT_MEMBERS: dict[str, tuple[type, ...]] = {
    "n": (str,),
    "t": NUMBER,
    "v": NUMBER,
    "bv": (bool,),
    "sv": (str,),
    "ov": (str,),
}
VALUES = ("v", "sv", "bv", "ov")


def decode(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> Resources:
    """The latest values of a payload, all below `base`. Raises FormatError."""
    return latest(records(payload, base, type_of))


def records(payload: bytes, base: Path, type_of: TypeLookup = untyped) -> list[Record]:
    """Every value of a payload with its time.

    Without a base name, a name that begins with a slash is a whole path and any other goes on from `base`.
    """
    document = members(bounded_json.read(payload), MEMBERS)
    if "e" not in document:
        raise FormatError("LwM2M JSON without the elements e")
    if len(document["e"]) > ITEMS_MAX:
        raise FormatError(f"LwM2M JSON of {len(document['e'])} elements, more than {ITEMS_MAX}")
    found = []
    for each in document["e"]:
        element = members(each, ELEMENT_MEMBERS)
        name = element.get("n", "")
        if "bn" in document:
            path = Path.parse(document["bn"] + name)
        elif name.startswith("/"):
            path = Path.parse(name)
        else:
            path = base.child(*Path.parse(name))
        time_s = document.get("bt", 0) + element.get("t", 0)
        if not isfinite(time_s):
            raise FormatError("a base time and an element's own are too large together")
        found.append(record_of(path, the_value(element, path, type_of), time_s, type_of))
    refuse_others((record.path for record in found), base)
    return found


def members(document: object, known: dict[str, tuple[type, ...]]) -> dict[str, Any]:
    """The members of an object that are known, each of its right type; others are ignored."""
    if not isinstance(document, dict):
        raise FormatError("LwM2M JSON is an object with a list of objects")
    found = {name: document[name] for name in known if name in document}
    for name, value in found.items():
        if type(value) not in known[name]:
            wanted = " or ".join(each.__name__ for each in known[name])
            raise FormatError(f"the member {name} of LwM2M JSON: {wanted} wanted, not {type(value).__name__}")
    return found


def the_value(element: dict[str, Any], path: Path, type_of: TypeLookup) -> Value:
    """The one value of an element."""
    found = [name for name in VALUES if name in element]
    if len(found) != 1:
        raise FormatError(f"an element has one value, not {' and '.join(found) or 'none'}")
    value: Value = element[found[0]]
    if isinstance(value, str):
        if found[0] == "ov":
            return ObjectLink.parse(value)
        if len(path) > 2 and type_of(path[0], path[2]) is DataType.OPAQUE:
            return base64_read(value)
    return value


def encode(resources: Resources, base: Path, type_of: TypeLookup = untyped) -> bytes:
    """A payload with all of `resources`, named from `base` on. Raises FormatError.

    >>> encode(Resources({(3, 0, 9): 100}), Path(3, 0, 9))
    b'{"bn":"/3/0/9","e":[{"v":100}]}'
    """
    elements: list[JsonValue] = []
    for path, value in typed_below(resources, base, type_of):
        element: dict[str, JsonValue] = {} if path == base else {"n": rest_of_name(path, base)}
        if type(value) is bool:
            element["bv"] = value
        elif type(value) is str:
            element["sv"] = value
        elif type(value) is bytes:
            element["sv"] = base64_write(value)
        elif type(value) is ObjectLink:
            element["ov"] = str(value)
        elif type(value) is Time:
            element["v"] = value.unix_s
        elif type(value) is int or type(value) is float:
            element["v"] = value
        elements.append(element)
    return bounded_json.write({"bn": base_name(resources, base), "e": elements})
