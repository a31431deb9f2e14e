"""The object links of registered devices: equal lists once, and long ones not without bound.

A list takes ten times the memory of the datagram that it came in. A fleet has few kinds of devices and so few
lists; who makes up names can make up lists as well.

Invariants

1. `kinds_max` different lists are kept whole at most. Of another one that is kept which an upgrade needs.
2. A list is kept here as long as a registered device has it.
"""

from __future__ import annotations

from headgate.lwm2m.objects import ASSUMED
from headgate.lwm2m.sharing import Sharing
from headgate.wire.links import RegisteredObjects

FORMATS_MAX = 16  # of a list that is not kept whole; LwM2M 1.2 has ten
NEEDED = frozenset({*ASSUMED.paths, *(type(path)(path[0]) for path in ASSUMED.paths)})
NEEDED_OBJECTS = frozenset(path[0] for path in NEEDED)


class Kinds:
    """All lists, with how many devices have each."""

    def __init__(self, sharing: Sharing, *, kinds_max: int, counts: dict[str, int]) -> None:
        self._sharing = sharing
        self._max = kinds_max
        self._counts = counts
        self._kinds: dict[RegisteredObjects, RegisteredObjects] = {}
        self._devices: dict[int, int] = {}  # by the identity of a list

    def __len__(self) -> int:
        """Lists that are kept whole."""
        return len(self._kinds)

    def kept(self, objects: RegisteredObjects) -> RegisteredObjects:
        """What to keep of this list: the equal one that is here, itself while there is room, or less."""
        known = self._kinds.get(objects)
        if known is not None:
            return known
        if len(self._kinds) < self._max:
            return objects
        self._counts["object links shortened"] += 1
        return self._sharing.share(shortened(objects))

    def taken(self, objects: RegisteredObjects) -> None:
        """One more device has what `kept` returned."""
        if id(objects) in self._devices:
            self._devices[id(objects)] += 1
        elif len(self._kinds) < self._max and objects not in self._kinds:
            self._kinds[objects] = objects
            self._devices[id(objects)] = 1

    def left(self, objects: RegisteredObjects) -> None:
        """One device less has it."""
        devices = self._devices.get(id(objects))
        if devices is None:
            return  # it was shortened
        if devices > 1:
            self._devices[id(objects)] = devices - 1
        else:
            del self._devices[id(objects)], self._kinds[objects]


def shortened(objects: RegisteredObjects) -> RegisteredObjects:
    """The part of a list that upgrades go by.

    >>> from headgate.wire.links import parse_objects, write_objects
    >>> write_objects(shortened(parse_objects(b"</3/0>,</5>;ver=1.1,</5/0>,</3303/0>;ver=1.1,</3303/1>")))
    b'</3/0>,</5>;ver=1.1,</5/0>'
    """
    return RegisteredObjects(
        paths=tuple([path for path in objects.paths if path in NEEDED]),
        root=objects.root,
        versions=tuple([each for each in objects.versions if each[0] in NEEDED_OBJECTS]),
        content_formats=objects.content_formats[:FORMATS_MAX],
    )
