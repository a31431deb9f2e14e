"""What a package costs on the air: how long a device of a class downloads it, and in how many bytes.

Where campaigns have measured how fast their devices are, that is used. Where they have not, the figures are
those of protocol 6.7: a round trip of 1 to 2 s on an ordinary NB-IoT link, 3 s where the project reckons
(512 bytes in 3 s are 170 bytes/s), 10 s at the deepest coverage that 3GPP designed for.

A lost message costs the device its ACK_TIMEOUT, and the air the message once more. A request is lost, or its
answer is: with a loss of p each way an exchange fails by q = 1 - (1 - p) ** 2, takes 1 / (1 - q) requests,
and 1 / (1 - p) answers leave the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import Kind

ROUND_TRIP_S: Mapping[RadioClass, float] = {
    RadioClass.CLASS_0: 1.5,
    RadioClass.CLASS_1: 3.0,
    RadioClass.CLASS_2: 10.0,
    RadioClass.UNKNOWN: 3.0,
}
ACK_TIMEOUT_S = 4.0
"""Of devices: what LiteOS and Anjay wait for."""
ASKED = 4
"""Exchanges from the first uplink to the line for a slot: version, observation, radio, cell."""
COMMANDS = 8
"""Exchanges from the slot to the end, beside the download and the update itself."""
UPDATE_S = 120.0
"""From Execute until the device has registered again."""
BLOCK_BYTES = 512

IP_UDP_BYTES = 28  # IPv4 20, UDP 8
HEAD_BYTES = 8  # CoAP: 4, and a token of 4
BLOCK_REQUEST_BYTES = IP_UDP_BYTES + HEAD_BYTES + 4 + 25  # Block2, and a Uri-Path of 2 parts
BLOCK_ANSWER_BYTES = IP_UDP_BYTES + HEAD_BYTES + 9 + 2 + 4 + 1  # ETag, Content-Format, Block2, marker
SEGMENT_REQUEST_BYTES = IP_UDP_BYTES + 12 + 5 + 26  # a notification of PCP 21: 8 + 18 bytes
SEGMENT_ANSWER_BYTES = IP_UDP_BYTES + HEAD_BYTES + 9 + 11  # a Write of 19/1/0, its PCP head
SEGMENT_ACKS_BYTES = 2 * (IP_UDP_BYTES + 4)  # of the notification and of the Write
COMMAND_BYTES = 2 * (IP_UDP_BYTES + HEAD_BYTES + 24)  # question and answer of any other exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the devices of a class are."""

    goodput_bytes_s: float
    """Of the package, from the acknowledged URI or notification to the whole of it."""
    rest_s: float
    """For how long a slot is held beside that."""
    tasks: int = 0
    """By how many of them it was measured; 0 for a default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """Over the air, both ways."""

    payload: float = 0.0
    """Of the package."""
    headers: float = 0.0
    """CoAP, PCP, UDP and IP, of all messages that carry it or ask for it."""
    commands: float = 0.0
    """All other exchanges, with their headers."""
    retransmissions: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.payload + self.headers + self.commands + self.retransmissions

    def times(self, count: float) -> Bytes:
        """Of so many devices."""
        return Bytes(
            payload=self.payload * count,
            headers=self.headers * count,
            commands=self.commands * count,
            retransmissions=self.retransmissions * count,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cargo:
    """What each device downloads."""

    kind: Kind
    size_bytes: int
    segment_size_bytes: int = 0

    @property
    def messages(self) -> int:
        """Blocks or segments; the last one may be short.

        >>> Cargo(kind=Kind.FIRMWARE, size_bytes=1025).messages
        3
        """
        each = BLOCK_BYTES if self.kind is Kind.FIRMWARE else self.segment_size_bytes or BLOCK_BYTES
        return -(-self.size_bytes // each)


def bytes_of(cargo: Cargo, loss: float) -> Bytes:
    """The bytes of one device that is upgraded; `loss` is the share of messages lost each way.

    >>> bytes_of(Cargo(kind=Kind.FIRMWARE, size_bytes=512), 0.0)
    Bytes(payload=512, headers=117, commands=1440, retransmissions=0.0)
    """
    if cargo.kind is Kind.FIRMWARE:
        request, answer = BLOCK_REQUEST_BYTES, BLOCK_ANSWER_BYTES
    else:
        request, answer = SEGMENT_REQUEST_BYTES + SEGMENT_ACKS_BYTES, SEGMENT_ANSWER_BYTES
    count = cargo.messages
    commands = (ASKED + COMMANDS) * COMMAND_BYTES
    up, down = count * request + commands / 2, count * answer + cargo.size_bytes + commands / 2
    arrives = 1.0 - loss
    again = up * (1 / (arrives * arrives) - 1) + down * (1 / arrives - 1)
    return Bytes(
        payload=cargo.size_bytes,
        headers=count * (request + answer),
        commands=commands,
        retransmissions=again,
    )


def exchange_s(radio_class: RadioClass, loss: float) -> float:
    """How long a question and its answer take on average, by the defaults."""
    round_trip_s = ROUND_TRIP_S[radio_class]
    fails = 1 - (1 - loss) ** 2
    return round_trip_s + fails / (1 - fails) * max(ACK_TIMEOUT_S, round_trip_s)


def default_pace(radio_class: RadioClass, loss: float) -> Pace:
    """The pace of a class that nobody has measured.

    >>> round(default_pace(RadioClass.CLASS_1, 0.0).goodput_bytes_s)
    171
    """
    each_s = exchange_s(radio_class, loss)
    return Pace(goodput_bytes_s=BLOCK_BYTES / each_s, rest_s=COMMANDS * each_s + UPDATE_S)
