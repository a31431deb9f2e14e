"""The definitions of the objects that the platform reads: protocol 4.1 and 5.6."""

from __future__ import annotations

import pytest

from headgate.lwm2m.objects import ASSUMED, MULTIPLE, OBJECTS, opaque, single, type_of
from headgate.wire.resources import Path
from headgate.wire.values import DataType

EXECUTABLE = {
    (1, 4),
    (1, 8),
    (1, 9),
    (3, 4),
    (3, 5),
    (3, 12),
    (5, 2),
    (5, 10),
    (9, 4),
    (9, 6),
    (9, 10),
    (9, 11),
}


@pytest.mark.parametrize(
    ("path", "data_type"),
    [
        ("/3/0/3", DataType.STRING),
        ("/3/0/19", DataType.STRING),
        ("/3/0/13", DataType.TIME),
        ("/4/0/2", DataType.INTEGER),
        ("/4/0/8", DataType.INTEGER),
        ("/4/0/11", DataType.INTEGER),
        ("/4/0/4", DataType.STRING),
        ("/5/0/0", DataType.OPAQUE),
        ("/5/0/1", DataType.STRING),
        ("/5/0/3", DataType.INTEGER),
        ("/5/0/5", DataType.INTEGER),
        ("/5/0/13", DataType.UNSIGNED),
        ("/9/0/12", DataType.BOOLEAN),
        ("/10/0/9", DataType.OPAQUE),
        ("/19/0/0", DataType.OPAQUE),
        ("/2/0/0", None),
        ("/3/0/999", None),
    ],
)
def test_types(path, data_type):
    """As the registry has them; None where we know nothing."""
    found = Path.parse(path)
    assert type_of(found[0], found[2]) is data_type


@pytest.mark.parametrize(("object", "resource"), sorted(EXECUTABLE))
def test_what_is_executed_has_no_type(object, resource):
    """It has no value."""
    assert type_of(object, resource) is None


def test_what_has_instances_has_a_type():
    """A multiple-instance resource is a resource that we know."""
    assert all(type_of(*each) is not None for each in MULTIPLE)
    assert set(OBJECTS) == {0, 1, 3, 4, 5, 9, 10, 19}


@pytest.mark.parametrize(
    ("path", "is_single"),
    [
        ("/4", False),
        ("/4/0", False),
        ("/4/0/2", True),
        ("/4/0/1", False),
        ("/4/0/1/0", True),
        ("/19/0/0", True),
    ],
)
def test_single(path, is_single):
    """What text can carry."""
    assert single(Path.parse(path)) is is_single


def test_opaque():
    """Bytes, as a resource or an instance of one."""
    assert opaque(Path(19, 0, 0))
    assert opaque(Path(19, 0, 0, 0))
    assert not opaque(Path(19, 0))
    assert not opaque(Path(5, 0, 3))


def test_assumed_objects():
    """1, 3, 4, 5 and 19, the latter with the instances for either direction."""
    assert [path[0] for path in ASSUMED.paths] == [1, 3, 4, 5, 19, 19]
    assert ASSUMED.instances(19) == (0, 1)
