"""Named values with a time, as the JSON of LwM2M 1.0 and SenML have them, and what is latest among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headgate.errors import FormatError
from headgate.wire.resources import RESOURCE_DEPTH, Path, Resources, typed_at
from headgate.wire.values import TypeLookup, Value

ABSOLUTE_FROM_S = 1 << 28  # a smaller time is relative to now. RFC 8428 section 4.5.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One value that a resource has, or had.

    `time_s` is as in RFC 8428 section 4.5.3: from 2 ** 28 on, seconds since 1970; below that, seconds from
    now, negative in the past. 0 is now, also where the payload gives no time.
    """

    path: Path
    value: Value
    time_s: int | float = 0


def record_of(path: Path, value: Value, time_s: float, type_of: TypeLookup) -> Record:
    """The record of a resource, its value as the resource's type has it. Raises FormatError."""
    if len(path) < RESOURCE_DEPTH:
        raise FormatError(f"{path} is not a resource and has no value itself")
    return Record(path=path, value=typed_at(path, value, type_of), time_s=time_s)


def latest(records: Iterable[Record]) -> Resources:
    """The values that are latest of their paths.

    Raises FormatError where the order cannot be told: a path has two values of one time, or one time is
    relative and the other is not.
    """
    found: dict[tuple[int, ...], Record] = {}
    for record in records:
        other = found.get(record.path)
        if other is not None:
            if other.time_s == record.time_s:
                raise FormatError(f"{record.path} comes twice")
            if (other.time_s < ABSOLUTE_FROM_S) != (record.time_s < ABSOLUTE_FROM_S):
                raise FormatError(f"{record.path} comes with a relative and an absolute time")
            if other.time_s > record.time_s:
                continue
        found[record.path] = record
    return Resources({path: record.value for path, record in found.items()})


def base_name(resources: Resources, base: Path) -> str:
    """What all names begin with: "/3/0/", or "/3/0/9" itself where that is the only resource, or "/"."""
    return str(base) if not base or base in resources else f"{base}/"


def rest_of_name(path: tuple[int, ...], base: Path) -> str:
    """What follows the base name: "9", or nothing where that is the resource itself."""
    return "/".join(map(str, path[len(base) :]))
