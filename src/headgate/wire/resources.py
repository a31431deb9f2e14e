"""What every content format decodes to and encodes from: values by path. LwM2M core, resource model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Self

from headgate.errors import FormatError
from headgate.wire.values import ID_MAX, TypeLookup, Value, check, typed

DEPTH_MAX = 4  # object, instance, resource, resource instance
RESOURCE_DEPTH = 3


class Path(tuple[int, ...]):
    """Where something is in a device: up to four IDs. A tuple with the words of LwM2M.

    >>> path = Path(3, 0, 6)
    >>> str(path), path.object, path.resource, path.resource_instance
    ('/3/0/6', 3, 6, None)
    >>> Path.parse("/3/0/6") == path == (3, 0, 6)
    True
    """

    __slots__ = ()

    def __new__(cls, *ids: int) -> Self:
        if len(ids) > DEPTH_MAX or not all(type(each) is int and 0 <= each <= ID_MAX for each in ids):
            raise FormatError(f"a path is at most {DEPTH_MAX} IDs of 16 bits, not {str(ids)[:48]}")
        return tuple.__new__(cls, ids)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The path that `text` writes: "/3/0/6"; "/" is the root. The first slash may be missing."""
        if PATH.fullmatch(text) is None:
            raise FormatError(f"a path is at most {DEPTH_MAX} IDs like /3/0/6, not {text[:32]!r}")
        ids = text.strip("/")
        return cls(*map(int, ids.split("/"))) if ids else cls()

    @property
    def object(self) -> int | None:
        """The object ID, None in the root."""
        return self[0] if self else None

    @property
    def instance(self) -> int | None:
        """The object instance ID, None where the path ends before it."""
        return self[1] if len(self) > 1 else None

    @property
    def resource(self) -> int | None:
        """The resource ID, None where the path ends before it."""
        return self[2] if len(self) > 2 else None

    @property
    def resource_instance(self) -> int | None:
        """The resource instance ID, None where the path ends before it."""
        return self[3] if len(self) > 3 else None

    def child(self, *ids: int) -> Self:
        """The path that goes on with `ids` from here."""
        return type(self)(*self, *ids)

    def within(self, base: Path) -> bool:
        """Whether the path is `base` or lies below it."""
        return self[: len(base)] == base

    def __str__(self) -> str:
        return "/" + "/".join(map(str, self))

    def __repr__(self) -> str:
        return f"Path({', '.join(map(str, self))})"


# No ID has a leading zero; more digits than 16 bits have are caught by their value.
PATH = re.compile(r"/?|/?(?:0|[1-9][0-9]{0,4})(?:/(?:0|[1-9][0-9]{0,4})){0,3}", re.ASCII)
ROOT = Path()


class Resources(Mapping[tuple[int, ...], Value]):
    """Values by path, in the order of their paths; it does not change.

    A key names a resource, or an instance of a multiple-instance resource; the same resource is never both.
    Any tuple of IDs finds its value. An object instance without values, or a multiple-instance resource
    without instances, leaves no trace: no content format but TLV can tell it from an absent one.

    >>> radio = Resources({(4, 0, 2): -98, (4, 0, 1, 0): 7})
    >>> radio[4, 0, 2], radio.get((4, 0, 11))
    (-98, None)
    >>> radio
    Resources({'/4/0/1/0': 7, '/4/0/2': -98})
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[tuple[int, ...], Value] = {}) -> None:
        kept: dict[tuple[int, ...], Value] = {}
        for key, value in sorted(values.items()) if len(values) > 1 else values.items():
            path = key if type(key) is Path else Path(*key)
            if len(path) < RESOURCE_DEPTH:
                raise FormatError(f"{path} is not a resource and holds no value itself")
            if len(path) == DEPTH_MAX and path[:RESOURCE_DEPTH] in kept:
                raise FormatError(f"{path} is an instance of a resource that has a value itself")
            kept[path] = check(value)
        self._values = kept

    def __getitem__(self, path: tuple[int, ...]) -> Value:
        return self._values[path]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._values)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        by_name = {str(path): value for path, value in self._values.items()}
        return f"Resources({by_name})"

    def under(self, base: Path) -> Resources:
        """The values at `base` and below it."""
        return Resources({path: value for path, value in self._values.items() if path[: len(base)] == base})

    def instances(self, resource: Path) -> dict[int, Value]:
        """The values of a multiple-instance resource by resource instance ID.

        A value of the resource itself counts as instance 0: clients write 19/0/0 either way.
        """
        if resource in self._values:
            return {0: self._values[resource]}
        return {path[RESOURCE_DEPTH]: value for path, value in self.under(resource).items()}


def typed_at(path: tuple[int, ...], value: Value, type_of: TypeLookup) -> Value:
    """`value` as the type of the resource at `path` has it. Raises FormatError, which names the path."""
    try:
        return typed(value, type_of(path[0], path[2]))
    except FormatError as error:
        raise FormatError(f"{Path(*path)}: {error}") from None


def typed_below(resources: Resources, base: Path, type_of: TypeLookup) -> list[tuple[tuple[int, ...], Value]]:
    """What an encoder writes: all of `resources` as their types have them. Raises FormatError.

    Everything has to be at `base` or below: a payload for one path says nothing of another.
    """
    for path in resources:
        if path[: len(base)] != base:
            raise FormatError(f"{path} is not below {base}")
    return [(path, typed_at(path, value, type_of)) for path, value in resources.items()]


def refuse_others(paths: Iterable[tuple[int, ...]], base: Path) -> None:
    """Refuses what a decoder found of a path that was not asked for."""
    for path in paths:
        if path[: len(base)] != base:
            raise FormatError(f"{Path(*path)} came, and {base} was asked for")


def single_place(base: Path) -> Path:
    """`base`, if it names a resource or an instance of one: what a format for a single value can carry."""
    if len(base) < RESOURCE_DEPTH:
        raise FormatError(f"{base} is not a resource, and the format is for a single value")
    return base


def single_value(resources: Resources, base: Path, type_of: TypeLookup) -> Value:
    """The one value of `resources`, which is that of `base`. Raises FormatError where there are others."""
    if len(resources) != 1 or single_place(base) not in resources:
        raise FormatError(f"the format is for a single value at {base}, not {len(resources)} here or there")
    return typed_at(base, resources[base], type_of)
