"""The objects of a device: 1 Server, 3 Device, 4 Connectivity Monitoring; 5 and 19 are files of their own.

Values by path, the types of resources, and the links that a Register carries. LwM2M 1.1 core, appendix E.
"""

from __future__ import annotations

from headgate.fleet.profile import Profile
from headgate.wire.links import RegisteredObjects
from headgate.wire.resources import Path
from headgate.wire.values import DataType, Value

SERVER = 1
DEVICE = 3
CONNECTIVITY = 4
FIRMWARE = 5
CONTAINER = 19

LIFETIME = Path(1, 0, 1)
UPDATE_TRIGGER = Path(1, 0, 8)
VERSION = Path(3, 0, 3)
REBOOT = Path(3, 0, 4)
SIGNAL = Path(4, 0, 2)
CELL_ID = Path(4, 0, 8)
PACKAGE = Path(5, 0, 0)
PACKAGE_URI = Path(5, 0, 1)
UPDATE = Path(5, 0, 2)
STATE = Path(5, 0, 3)
RESULT = Path(5, 0, 5)
CANCEL = Path(5, 0, 10)
DATA_UP = Path(19, 0, 0)
DATA_DOWN = Path(19, 1, 0)

EXECUTABLE = frozenset({UPDATE_TRIGGER, REBOOT, UPDATE, CANCEL})

NB_IOT = 7  # 4/0/0
SHORT_SERVER_ID = 1

TYPES: dict[tuple[int, int], DataType] = {
    (1, 0): DataType.INTEGER,
    (1, 1): DataType.INTEGER,
    (1, 6): DataType.BOOLEAN,
    (1, 7): DataType.STRING,
    (3, 0): DataType.STRING,
    (3, 1): DataType.STRING,
    (3, 2): DataType.STRING,
    (3, 3): DataType.STRING,
    (3, 11): DataType.INTEGER,
    (3, 16): DataType.STRING,
    (3, 19): DataType.STRING,
    (4, 0): DataType.INTEGER,
    (4, 1): DataType.INTEGER,
    (4, 2): DataType.INTEGER,
    (4, 4): DataType.STRING,
    (4, 8): DataType.INTEGER,
    (4, 9): DataType.INTEGER,
    (4, 10): DataType.INTEGER,
    (4, 11): DataType.INTEGER,
    (5, 0): DataType.OPAQUE,
    (5, 1): DataType.STRING,
    (5, 3): DataType.INTEGER,
    (5, 5): DataType.INTEGER,
    (5, 6): DataType.STRING,
    (5, 7): DataType.STRING,
    (5, 8): DataType.INTEGER,
    (5, 9): DataType.INTEGER,
    (19, 0): DataType.OPAQUE,
}

Values = dict[tuple[int, ...], Value]


def type_of(object: int, resource: int) -> DataType | None:
    """The data type of a resource that the device has."""
    return TYPES.get((object, resource))


def binding(profile: Profile) -> str:
    """The binding as LwM2M 1.0 writes it (with the queue mode) or 1.1 (without)."""
    return "UQ" if profile.queue_mode and profile.enabler < (1, 1) else "U"


def links(profile: Profile) -> RegisteredObjects:
    """What a Register tells of the device's objects."""
    paths = [Path(1, 0), Path(3, 0), Path(5, 0), Path(19, 0), Path(19, 1)]
    versions = []
    if has_connectivity(profile):
        paths.append(Path(4, 0))
        if profile.radio.sinr is not None:
            versions.append((CONNECTIVITY, (1, 1)))
    if profile.has_cancel:
        versions.append((FIRMWARE, (1, 1)))
    return RegisteredObjects(
        paths=tuple(sorted(paths)),
        root=(profile.root,) if profile.root else (),
        versions=tuple(versions),
        content_formats=tuple(map(int, profile.formats)) if profile.says_formats else (),
    )


def has_connectivity(profile: Profile) -> bool:
    """Whether there is an object 4 at all."""
    return profile.radio.cell_id is not None or profile.radio.rsrp is not None


def server_values(profile: Profile, lifetime_s: int) -> Values:
    """Object 1."""
    return {
        (1, 0, 0): SHORT_SERVER_ID,
        (1, 0, 1): lifetime_s,
        (1, 0, 6): True,
        (1, 0, 7): binding(profile),
    }


def device_values(profile: Profile, version: str) -> Values:
    """Object 3."""
    return {
        (3, 0, 0): profile.manufacturer,
        (3, 0, 1): profile.model,
        (3, 0, 2): profile.endpoint,
        (3, 0, 3): version,
        (3, 0, 11, 0): 0,
        (3, 0, 16): binding(profile),
    }


def connectivity_values(profile: Profile) -> Values:
    """Object 4: what the device has not, is not there."""
    radio = profile.radio
    if not has_connectivity(profile):
        return {}
    values: Values = {(4, 0, 0): NB_IOT, (4, 0, 1, 0): NB_IOT, (4, 0, 4, 0): "10.0.0.7"}
    told: tuple[tuple[int, int | None], ...] = (
        (2, radio.rsrp),
        (8, radio.cell_id),
        (9, radio.smnc),
        (10, radio.smcc),
        (11, radio.sinr),
    )
    values.update({(4, 0, resource): value for resource, value in told if value is not None})
    return values
