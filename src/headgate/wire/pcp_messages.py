r"""The twelve PCP messages as values: six questions and their answers. "PCP Introduction", message structure.

    code  question                    from      data            answer               from      data
    19    VersionQuery                platform                  VersionAnswer        device    R V
    20    VersionNotification         platform  V S N C         NotificationAnswer   device    R
    21    SegmentRequest              device    V I             SegmentAnswer        platform  R I bytes
    22    DownloadReport              device    R               DownloadAnswer       platform  R
    23    ExecuteRequest              platform                  ExecuteAnswer        device    R
    24    UpgradeReport               device    R V             UpgradeAnswer        platform  R

    R  result, 1 byte                     S  segment size, 2 bytes      N  segment count, 2 bytes
    V  version, 16 bytes                  I  segment index, 2 bytes     C  version check code, 2 bytes

Nothing in a frame says whether it asks or answers: who sends it does. A result is kept as the byte that came;
`meaning` says what is to be made of it. A version is text, one to one with its bytes: printable ASCII as it
is, anything else and the backslash as `\xNN`. So versions can be compared, stored and shown whatever a device
sends.

    >>> SegmentRequest.parse(bytes.fromhex("56312E30000000000000000000000000 0002"))
    SegmentRequest(target_version='V1.0', segment_index=2)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import ClassVar, Self, TypeAlias

from headgate.errors import FormatError

VERSION_SIZE = 16
WORD_MAX = 0xFFFF


class Sender(Enum):
    """Which side of the wire a frame comes from."""

    PLATFORM = "platform"
    DEVICE = "device"


class MessageCode(IntEnum):
    """What a frame is about. 0 to 18 and 25 to 127 are reserved."""

    VERSION = 19
    NOTIFICATION = 20
    SEGMENT = 21
    DOWNLOAD = 22
    EXECUTE = 23
    UPGRADE = 24


class ResultCode(IntEnum):
    """All results that are documented, of whichever message."""

    OK = 0x00
    IN_USE = 0x01
    POOR_SIGNAL = 0x02
    ALREADY_NEWEST = 0x03
    LOW_BATTERY = 0x04
    NOT_ENOUGH_SPACE = 0x05
    DOWNLOAD_TIMEOUT = 0x06
    PACKAGE_CHECK_FAILED = 0x07
    UNSUPPORTED_PACKAGE = 0x08
    NOT_ENOUGH_MEMORY = 0x09
    INSTALLING_FAILED = 0x0A
    INTERNAL_ERROR = 0x7F
    NO_SUCH_TASK = 0x80
    NO_SUCH_SEGMENT = 0x81


def meaning(result: int) -> ResultCode:
    """The documented result; one that nobody knows is an internal error, as FF is over MQTT.

    >>> meaning(0x0A).name, meaning(0xFF).name, meaning(0x42).name
    ('INSTALLING_FAILED', 'INTERNAL_ERROR', 'INTERNAL_ERROR')
    """
    try:
        return ResultCode(result)
    except ValueError:
        return ResultCode.INTERNAL_ERROR


# -- fields --

PLAIN = frozenset(range(0x20, 0x7F)) - {0x5C}
ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def version_text(field: bytes) -> str:
    r"""A version as text; zero bytes at its end are padding. 16 bytes without any are a version too.

    >>> version_text(b"V1.0" + bytes(12)), version_text(b"V1\x00\xff\\"), version_text(bytes(16))
    ('V1.0', 'V1\\x00\\xff\\x5c', '')
    """
    version = field.rstrip(b"\0")
    text = version.decode("latin-1")
    if version.isascii() and text.isprintable() and "\\" not in text:
        return text
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in version
    )


def version_field(text: str) -> bytes:
    r"""The 16 bytes of a version. Raises FormatError where the text is not what `version_text` gives.

    >>> version_field("V1.0").hex()
    '56312e30000000000000000000000000'
    """
    plain = "\\" not in text
    characters = text if plain else ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
    try:
        version = characters.encode("latin-1")
    except UnicodeEncodeError:
        raise FormatError(f"a version is ASCII, not {text!r}") from None
    if len(version) > VERSION_SIZE:
        raise FormatError(f"a version has at most {VERSION_SIZE} bytes, {text!r} has {len(version)}")
    if version_text(version) != text:
        raise FormatError(f"{text!r} is no version that a device could report as it stands")
    return version.ljust(VERSION_SIZE, b"\0")


def number_field(value: int, size: int) -> bytes:
    """An unsigned number, big-endian. Raises FormatError where it does not fit."""
    if not 0 <= value < 1 << 8 * size:
        raise FormatError(f"{value} does not fit into {size} bytes")
    return value.to_bytes(size, "big")


def number(field: bytes) -> int:
    """The same the other way."""
    return int.from_bytes(field, "big")


def sized(data: bytes, size: int, what: str) -> bytes:
    """`data`, which has the size of its message. Raises FormatError."""
    if len(data) != size:
        raise FormatError(f"{what} has {size} data bytes, not {len(data)}")
    return data


# -- messages --


@dataclass(frozen=True, slots=True)
class Empty:
    """A message that is its code."""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the data zone."""
        sized(data, 0, cls.__name__)
        return cls()

    def data(self) -> bytes:
        """The data zone."""
        return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A message that is a result."""

    result: int = ResultCode.OK

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the data zone."""
        return cls(result=sized(data, 1, cls.__name__)[0])

    def data(self) -> bytes:
        """The data zone."""
        return number_field(self.result, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A result and the version that runs.

    With an error as its result it is understood without the version too: a device that cannot tell may not.
    """

    result: int = ResultCode.OK
    version: str

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the data zone."""
        if len(data) == 1 and data[0] != ResultCode.OK:
            return cls(result=data[0], version="")
        sized(data, 1 + VERSION_SIZE, cls.__name__)
        return cls(result=data[0], version=version_text(data[1:]))

    def data(self) -> bytes:
        """The data zone."""
        return number_field(self.result, 1) + version_field(self.version)


class VersionQuery(Empty):
    """19, question: which version the device runs."""

    __slots__ = ()
    code: ClassVar = MessageCode.VERSION
    sender: ClassVar = Sender.PLATFORM


class VersionAnswer(Version):
    """19, answer."""

    __slots__ = ()
    code: ClassVar = MessageCode.VERSION
    sender: ClassVar = Sender.DEVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionNotification:
    """20, question: this version is to be had. The check code tells packages of one version apart."""

    code: ClassVar = MessageCode.NOTIFICATION
    sender: ClassVar = Sender.PLATFORM

    target_version: str
    segment_size: int
    segment_count: int
    version_check_code: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the data zone. Whether the sizes are possible is not looked at."""
        sized(data, VERSION_SIZE + 6, cls.__name__)
        return cls(
            target_version=version_text(data[:16]),
            segment_size=number(data[16:18]),
            segment_count=number(data[18:20]),
            version_check_code=number(data[20:]),
        )

    def data(self) -> bytes:
        """The data zone."""
        return b"".join(
            (
                version_field(self.target_version),
                number_field(self.segment_size, 2),
                number_field(self.segment_count, 2),
                number_field(self.version_check_code, 2),
            )
        )


class NotificationAnswer(Result):
    """20, answer: whether the upgrade is welcome."""

    __slots__ = ()
    code: ClassVar = MessageCode.NOTIFICATION
    sender: ClassVar = Sender.DEVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRequest:
    """21, question: this segment, please. The first has index 0."""

    code: ClassVar = MessageCode.SEGMENT
    sender: ClassVar = Sender.DEVICE

    target_version: str
    segment_index: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the data zone."""
        sized(data, VERSION_SIZE + 2, cls.__name__)
        return cls(target_version=version_text(data[:16]), segment_index=number(data[16:]))

    def data(self) -> bytes:
        """The data zone."""
        return version_field(self.target_version) + number_field(self.segment_index, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentAnswer:
    """21, answer: the segment. An error carries the index too: a single byte is taken for other things."""

    code: ClassVar = MessageCode.SEGMENT
    sender: ClassVar = Sender.PLATFORM

    result: int = ResultCode.OK
    segment_index: int
    segment: bytes = b""

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """From the data zone."""
        if len(data) < 3:
            raise FormatError(f"{cls.__name__} has at least 3 data bytes, not {len(data)}")
        return cls(result=data[0], segment_index=number(data[1:3]), segment=bytes(data[3:]))

    def data(self) -> bytes:
        """The data zone."""
        return number_field(self.result, 1) + number_field(self.segment_index, 2) + self.segment


class DownloadReport(Result):
    """22, question: the package is in the device, or will not be."""

    __slots__ = ()
    code: ClassVar = MessageCode.DOWNLOAD
    sender: ClassVar = Sender.DEVICE


class DownloadAnswer(Result):
    """22, answer."""

    __slots__ = ()
    code: ClassVar = MessageCode.DOWNLOAD
    sender: ClassVar = Sender.PLATFORM


class ExecuteRequest(Empty):
    """23, question: upgrade now."""

    __slots__ = ()
    code: ClassVar = MessageCode.EXECUTE
    sender: ClassVar = Sender.PLATFORM


class ExecuteAnswer(Result):
    """23, answer. Some devices send one, unasked, when they are tired of waiting."""

    __slots__ = ()
    code: ClassVar = MessageCode.EXECUTE
    sender: ClassVar = Sender.DEVICE


class UpgradeReport(Version):
    """24, question: this is what became of the upgrade."""

    __slots__ = ()
    code: ClassVar = MessageCode.UPGRADE
    sender: ClassVar = Sender.DEVICE


class UpgradeAnswer(Result):
    """24, answer."""

    __slots__ = ()
    code: ClassVar = MessageCode.UPGRADE
    sender: ClassVar = Sender.PLATFORM


FromPlatform: TypeAlias = (
    VersionQuery | VersionNotification | SegmentAnswer | DownloadAnswer | ExecuteRequest | UpgradeAnswer
)
FromDevice: TypeAlias = (
    VersionAnswer | NotificationAnswer | SegmentRequest | DownloadReport | ExecuteAnswer | UpgradeReport
)
Message: TypeAlias = FromPlatform | FromDevice

MESSAGES: dict[tuple[Sender, int], type[Message]] = {
    (message.sender, message.code): message
    for message in (
        VersionQuery,
        VersionAnswer,
        VersionNotification,
        NotificationAnswer,
        SegmentRequest,
        SegmentAnswer,
        DownloadReport,
        DownloadAnswer,
        ExecuteRequest,
        ExecuteAnswer,
        UpgradeReport,
        UpgradeAnswer,
    )
}
