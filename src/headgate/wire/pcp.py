r"""PCP frames, and how one is told from ordinary data. "PCP Introduction" and "PCP Message Identification".

     0        2         3         4          6          8
    +--------+---------+---------+----------+----------+------
    | FF FE  | version | message | check    | data     | data
    |        | 01      | code    | code     | length   |
    +--------+---------+---------+----------+----------+------

All numbers are big-endian. The high nibble of the version is reserved: sent as 0, not looked at. The check
code (`headgate.wire.crc`) is that of the whole frame with its own two bytes zero.

    >>> from headgate.wire.pcp_messages import VersionQuery
    >>> encode(VersionQuery()).hex()
    'fffe01134c9a0000'
    >>> identify(bytes.fromhex("FFFE01138DE300110056302E39000000000000000000000000")).message
    VersionAnswer(result=0, version='V0.9')
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum

from headgate.errors import FormatError
from headgate.wire.crc import check_code
from headgate.wire.formats import unwrap
from headgate.wire.pcp_messages import (
    MESSAGES,
    WORD_MAX,
    Message,
    MessageCode,
    Sender,
)
from headgate.wire.resources import Path

START = b"\xff\xfe"
VERSION = 1
VERSION_BITS = 0x0F
HEADER = struct.Struct(">2sBBHH")
HEADER_SIZE = 8
FRAME_SIZE_MAX = HEADER_SIZE + WORD_MAX
CODES = frozenset(MessageCode)

UPLINK = Path(19, 0, 0)
"""Observed: what the device has to say comes as notifications of it."""
DOWNLINK = Path(19, 1, 0)
"""Written: what is said to the device."""


def frame(message_code: int, data: bytes) -> bytes:
    """A whole frame. Raises FormatError where the data is longer than its length field can say."""
    if len(data) > WORD_MAX:
        raise FormatError(f"a frame has at most {WORD_MAX} data bytes, not {len(data)}")
    written = bytearray(HEADER.pack(START, VERSION, message_code, 0, len(data)) + data)
    written[4:6] = check_code(written).to_bytes(2, "big")
    return bytes(written)


def encode(message: Message) -> bytes:
    """The frame of a message. Raises FormatError where a field does not fit."""
    return frame(message.code, message.data())


class Step(IntEnum):
    """The seven published steps of identification, in their order; the first that fails decides.

    CONTENT is not one of them: the payload is a PCP frame, but its data zone is not that of its message.
    """

    PRODUCT = 1
    """The product supports software upgrades,"""
    PROTOCOL = 2
    """and over PCP."""
    START = 3
    VERSION = 4
    MESSAGE_CODE = 5
    CHECK_CODE = 6
    LENGTH = 7
    CONTENT = 8


@dataclass(frozen=True, slots=True)
class Identification:
    """What a payload is: a message, or the step at which it proved to be none."""

    message: Message | None
    failed: Step | None = None

    @property
    def ordinary(self) -> bool:
        """Whether it is data of the application. It is never answered by an error."""
        return self.failed is not None and self.failed is not Step.CONTENT

    @property
    def suspect(self) -> bool:
        """Whether it is ordinary data by the rules, and most likely a damaged frame."""
        return self.failed in SUSPECT


SUSPECT = frozenset({Step.CHECK_CODE, Step.LENGTH})
FAILED = {step: Identification(None, step) for step in Step}


def identify(
    payload: bytes, sender: Sender = Sender.DEVICE, *, upgradable: bool = True, over_pcp: bool = True
) -> Identification:
    r"""The seven steps, in order. Never raises.

    A payload that ends inside the header fails at the first field that is not there, the check code at last.

        >>> identify(b"\x00").failed.name
        'START'
        >>> damaged = bytes.fromhex("FFFE01134C9B0000")
        >>> identify(damaged, Sender.PLATFORM).failed.name, identify(damaged, Sender.PLATFORM).suspect
        ('CHECK_CODE', True)
    """
    if not upgradable:
        return FAILED[Step.PRODUCT]
    if not over_pcp:
        return FAILED[Step.PROTOCOL]
    if payload[:2] != START:
        return FAILED[Step.START]
    if len(payload) < 3 or payload[2] & VERSION_BITS != VERSION:
        return FAILED[Step.VERSION]
    if len(payload) < 4 or payload[3] not in CODES:
        return FAILED[Step.MESSAGE_CODE]
    if len(payload) < HEADER_SIZE or frame_check_code(payload) != int.from_bytes(payload[4:6], "big"):
        return FAILED[Step.CHECK_CODE]
    if len(payload) - HEADER_SIZE != int.from_bytes(payload[6:8], "big"):
        return FAILED[Step.LENGTH]
    try:
        return Identification(MESSAGES[sender, payload[3]].parse(payload[HEADER_SIZE:]))
    except FormatError:
        return FAILED[Step.CONTENT]


def frame_check_code(payload: bytes) -> int:
    """The check code that a frame should have: its own field counts as zero."""
    return check_code(payload[6:], check_code(payload[:4] + b"\0\0"))


def identify_uplink(
    content_format: int | None, payload: bytes, *, upgradable: bool = True, over_pcp: bool = True
) -> tuple[Identification, ...]:
    r"""What a notification of 19/0/0 holds, whatever it is wrapped in. Never raises.

    >>> identify_uplink(11542, b"\xc8\x00\x09" + bytes.fromhex("FFFE0117B725000100"))[0].message
    ExecuteAnswer(result=0)
    """
    frames = unwrap(content_format, payload, UPLINK) if upgradable and over_pcp else (payload,)
    return tuple(identify(each, upgradable=upgradable, over_pcp=over_pcp) for each in frames)


def count(found: Identification, counts: Counter[str]) -> None:
    """Counts what came: `pcp_messages`, `pcp_ordinary`, `pcp_suspect`, `pcp_malformed`."""
    if found.message is not None:
        name = "pcp_messages"
    elif found.suspect:
        name = "pcp_suspect"
    else:
        name = "pcp_ordinary" if found.ordinary else "pcp_malformed"
    counts[name] += 1
