"""The objects that the platform reads and writes, as their definitions have them: LwM2M core, appendix E, and
the OMA registry. What a payload does not say of its values, their types do: TLV and text have none.

    0 Security              4 Connectivity Monitoring   9 Software Management      19 BinaryAppDataContainer
    1 Server   3 Device     5 Firmware Update           10 Cellular Connectivity
"""

from __future__ import annotations

from collections.abc import Mapping

from headgate.wire.links import RegisteredObjects
from headgate.wire.resources import RESOURCE_DEPTH, Path
from headgate.wire.values import DataType

STRING, INTEGER, UNSIGNED, FLOAT, BOOLEAN, OPAQUE, TIME, OBJLNK = (
    DataType.STRING,
    DataType.INTEGER,
    DataType.UNSIGNED,
    DataType.FLOAT,
    DataType.BOOLEAN,
    DataType.OPAQUE,
    DataType.TIME,
    DataType.OBJLNK,
)

SECURITY: Mapping[int, DataType] = {
    0: STRING,  # server URI
    1: BOOLEAN,  # bootstrap server
    2: INTEGER,  # security mode
    3: OPAQUE,  # public key or identity
    4: OPAQUE,  # server public key
    5: OPAQUE,  # secret key
    6: INTEGER,  # SMS security mode
    7: OPAQUE,  # SMS binding key parameters
    8: OPAQUE,  # SMS binding secret keys
    9: STRING,  # server SMS number
    10: INTEGER,  # short server ID
    11: INTEGER,  # client hold-off time, s
    12: INTEGER,  # bootstrap account timeout, s
    13: UNSIGNED,  # matching type
    14: STRING,  # SNI
    15: UNSIGNED,  # certificate usage
    16: UNSIGNED,  # TLS-DTLS cipher suite, multiple
    17: OBJLNK,  # OSCORE
}
SERVER: Mapping[int, DataType] = {
    0: INTEGER,  # short server ID
    1: INTEGER,  # lifetime, s
    2: INTEGER,  # default minimum period, s
    3: INTEGER,  # default maximum period, s
    5: INTEGER,  # disable timeout, s
    6: BOOLEAN,  # notification storing
    7: STRING,  # binding
    10: OBJLNK,  # APN link
    11: UNSIGNED,  # TLS-DTLS alert code
    12: TIME,  # last bootstrapped
    13: UNSIGNED,  # registration priority order
    14: UNSIGNED,  # initial registration delay, s
    15: BOOLEAN,  # registration failure block
    16: BOOLEAN,  # bootstrap on registration failure
    17: UNSIGNED,  # communication retry count
    18: UNSIGNED,  # communication retry timer, s
    19: UNSIGNED,  # communication sequence delay timer, s
    20: UNSIGNED,  # communication sequence retry count
    21: BOOLEAN,  # trigger
    22: STRING,  # preferred transport
    23: BOOLEAN,  # mute send
    24: OBJLNK,  # alternate APN links, multiple
    25: UNSIGNED,  # supported server versions, multiple
    26: INTEGER,  # default notification mode
    27: INTEGER,  # profile ID hash algorithm
}
DEVICE: Mapping[int, DataType] = {
    0: STRING,  # manufacturer
    1: STRING,  # model number
    2: STRING,  # serial number
    3: STRING,  # firmware version
    6: INTEGER,  # available power sources, multiple
    7: INTEGER,  # power source voltage, mV, multiple
    8: INTEGER,  # power source current, mA, multiple
    9: INTEGER,  # battery level, %
    10: INTEGER,  # memory free, KB
    11: INTEGER,  # error code, multiple
    13: TIME,  # current time
    14: STRING,  # UTC offset
    15: STRING,  # timezone
    16: STRING,  # supported binding and modes
    17: STRING,  # device type
    18: STRING,  # hardware version
    19: STRING,  # software version
    20: INTEGER,  # battery status
    21: INTEGER,  # memory total, KB
    22: OBJLNK,  # external device info, multiple
}
CONNECTIVITY_MONITORING: Mapping[int, DataType] = {
    0: INTEGER,  # network bearer
    1: INTEGER,  # available network bearers, multiple
    2: INTEGER,  # radio signal strength, dBm
    3: INTEGER,  # link quality
    4: STRING,  # IP addresses, multiple
    5: STRING,  # router IP addresses, multiple
    6: INTEGER,  # link utilization, %
    7: STRING,  # APN, multiple
    8: INTEGER,  # cell ID
    9: INTEGER,  # SMNC
    10: INTEGER,  # SMCC
    11: INTEGER,  # signal SNR, dB
    12: INTEGER,  # LAC
    13: INTEGER,  # coverage enhancement level
}
FIRMWARE_UPDATE: Mapping[int, DataType] = {
    0: OPAQUE,  # package
    1: STRING,  # package URI
    3: INTEGER,  # state
    5: INTEGER,  # update result
    6: STRING,  # package name
    7: STRING,  # package version
    8: INTEGER,  # protocol support, multiple
    9: INTEGER,  # delivery method
    11: INTEGER,  # severity
    12: TIME,  # last state change
    13: UNSIGNED,  # maximum defer period, s
    14: BOOLEAN,  # automatic upgrade at download
}
SOFTWARE_MANAGEMENT: Mapping[int, DataType] = {
    0: STRING,  # package name
    1: STRING,  # package version
    2: OPAQUE,  # package
    3: STRING,  # package URI
    5: OBJLNK,  # checkpoint
    7: INTEGER,  # update state
    8: BOOLEAN,  # update supported objects
    9: INTEGER,  # update result
    12: BOOLEAN,  # activation state
    13: OBJLNK,  # package settings
    14: STRING,  # user name
    15: STRING,  # password
    16: INTEGER,  # status reason
    17: OBJLNK,  # software component link, multiple
    18: INTEGER,  # software component tree length
}
CELLULAR_CONNECTIVITY: Mapping[int, DataType] = {
    0: STRING,  # SMSC address
    1: INTEGER,  # disable radio period, min
    2: STRING,  # module activation code
    3: OBJLNK,  # vendor specific extensions
    4: INTEGER,  # PSM timer, s
    5: INTEGER,  # active timer, s
    6: INTEGER,  # PLMN rate control
    7: OPAQUE,  # eDRX parameters for Iu mode
    8: OPAQUE,  # eDRX parameters for WB-S1 mode
    9: OPAQUE,  # eDRX parameters for NB-S1 mode
    10: OPAQUE,  # eDRX parameters for A/Gb mode
    11: OBJLNK,  # activated profile names, multiple
}
BINARY_APP_DATA: Mapping[int, DataType] = {
    0: OPAQUE,  # data, multiple
    1: INTEGER,  # data priority
    2: TIME,  # data creation time
    3: STRING,  # data description
    4: STRING,  # data format
    5: INTEGER,  # app ID
}

OBJECTS: Mapping[int, Mapping[int, DataType]] = {
    0: SECURITY,
    1: SERVER,
    3: DEVICE,
    4: CONNECTIVITY_MONITORING,
    5: FIRMWARE_UPDATE,
    9: SOFTWARE_MANAGEMENT,
    10: CELLULAR_CONNECTIVITY,
    19: BINARY_APP_DATA,
}

# Resources that have instances. A format for a single value cannot carry them; 19/0 is not among them, since
# clients send it either way.
MULTIPLE: frozenset[tuple[int, int]] = frozenset(
    {(0, 16), (1, 24), (1, 25), (3, 6), (3, 7), (3, 8), (3, 11), (3, 22), (4, 1), (4, 4), (4, 5), (4, 7)}
    | {(5, 8), (9, 17), (10, 11)}
)

# What a client is taken to have that does not say what it has.
ASSUMED = RegisteredObjects(paths=(Path(1, 0), Path(3, 0), Path(4, 0), Path(5, 0), Path(19, 0), Path(19, 1)))


def type_of(object: int, resource: int) -> DataType | None:
    """The data type of a resource; None where it has none (it is executed) or is not known.

    >>> type_of(4, 8)
    <DataType.INTEGER: 'Integer'>
    """
    resources = OBJECTS.get(object)
    return None if resources is None else resources.get(resource)


def single(path: Path) -> bool:
    """Whether a format for a single value can carry what is at `path`."""
    if len(path) == RESOURCE_DEPTH:
        return (path[0], path[2]) not in MULTIPLE
    return len(path) > RESOURCE_DEPTH


def opaque(path: Path) -> bool:
    """Whether `path` is a resource, or an instance of one, whose value is bytes."""
    return len(path) >= RESOURCE_DEPTH and type_of(path[0], path[2]) is OPAQUE
