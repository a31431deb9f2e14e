"""Values of resources, as strategies: trees of paths whose resource IDs tell the types of their values."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from headgate.wire.resources import Path, Resources
from headgate.wire.values import DataType, ObjectLink, Time, Value

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300)
UINT64 = st.integers(0, 2**64 - 1) | st.integers(0, 300)
IDS = st.integers(0, 20) | st.sampled_from([255, 256, 65534, 65535]) | st.integers(0, 65535)

TYPES = tuple(DataType)

VALUES: dict[DataType, st.SearchStrategy[Value]] = {
    DataType.STRING: st.text(max_size=20),
    DataType.INTEGER: INT64,
    DataType.UNSIGNED: UINT64,
    DataType.FLOAT: st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(width=32, allow_nan=False, allow_infinity=False),
    DataType.BOOLEAN: st.booleans(),
    DataType.OPAQUE: st.binary(max_size=20) | st.binary(min_size=250, max_size=260),
    DataType.TIME: st.builds(Time, INT64),
    DataType.OBJLNK: st.builds(ObjectLink, IDS, IDS),
    DataType.CORELNK: st.just("</3/0>;dim=2"),
}


def type_of(object: int, resource: int) -> DataType:
    """The type of any resource: each of the nine in turn."""
    return TYPES[resource % len(TYPES)]


def shape(resources: Resources) -> dict[tuple[int, ...], tuple[type, Value, float]]:
    """The values with what equality passes over: 1, 1.0 and True are different, and so is a zero's sign."""
    return {
        path: (type(value), value, math.copysign(1, value) if isinstance(value, float) else 0)
        for path, value in resources.items()
    }


@st.composite
def bases(draw, min_depth=0, max_depth=4):
    """Paths to ask for."""
    return Path(*draw(st.lists(IDS, min_size=min_depth, max_size=max_depth)))


@st.composite
def resources(draw, base: Path):
    """Resources at `base` and below."""
    values: dict[tuple[int, ...], Value] = {}
    for _ in range(1 if len(base) > 2 else draw(st.integers(0, 4))):
        resource = tuple(base[i] if i < len(base) else draw(IDS) for i in range(3))
        some = VALUES[type_of(*resource[::2])]
        if any(path[:3] == resource for path in values):
            continue
        if len(base) == 4:
            values[tuple(base)] = draw(some)
        elif draw(st.booleans()):
            values |= {(*resource, id): draw(some) for id in draw(st.lists(IDS, max_size=3, unique=True))}
        else:
            values[resource] = draw(some)
    return Resources(values)


@st.composite
def asked(draw, min_depth=0):
    """A path, and resources at it or below it."""
    base = draw(bases(min_depth))
    return base, draw(resources(base))


@st.composite
def single(draw):
    """The path of a resource or resource instance, and its value alone."""
    base = draw(bases(3))
    return base, Resources({base: draw(VALUES[type_of(*base[:3:2])])})
