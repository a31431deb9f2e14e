"""PCP segments the slow way: PCP message 21, protocol of object 19, one answer under way to a device.

A notification under a token that leads to a grant, whose payload is a segment request for the version and a
segment that exist, is acknowledged and answered by a write; the device's response to the write ends its
flight. Everything else is somebody else's. Nothing here is shared with the code it judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reference import coap
from reference.coap import ACK, CON, NON
from reference.crc import frame_check_code

URI_PATH, CONTENT_FORMAT, BLOCK2, BLOCK1 = 11, 12, 23, 27
CHANGED, CONTENT, PUT = 0x44, 0x45, 0x03
TICK_NS = 1 << 24
AHEAD = 1 << 14  # message ids that may be taken ahead of the clock
IDS = 1 << 15  # message ids of segments, from IDS on


@dataclass
class Grant:
    """One device's permission, and what is under way to it."""

    body: bytes
    size: int
    version: bytes
    wait_ticks: int
    answered: int | None = None  # segment of the last answer
    answered_tick: int = 0
    number: int = 0  # of its message id, ever growing
    flying: bool = False


def frame(code: int, data: bytes) -> bytes:
    """A whole PCP frame."""
    start = bytes.fromhex("FFFE01") + bytes([code, 0, 0]) + len(data).to_bytes(2, "big")
    made = start + data
    return made[:4] + frame_check_code(made).to_bytes(2, "big") + made[6:]


def request(version: bytes, segment: int) -> bytes:
    """Message 21 of a device."""
    return frame(21, version.ljust(16, b"\0") + segment.to_bytes(2, "big"))


def answer(segment: int, data: bytes) -> bytes:
    """Message 21 of the platform, result 00."""
    return frame(21, b"\0" + segment.to_bytes(2, "big") + data)


def asked(payload: bytes) -> tuple[bytes, int] | None:
    """(version without padding, segment), when each step of the identification says so."""
    if payload[:2] != b"\xff\xfe" or len(payload) < 8:
        return None
    if payload[2] % 16 != 1 or payload[3] != 21:
        return None
    if int.from_bytes(payload[4:6], "big") != frame_check_code(payload):
        return None
    if int.from_bytes(payload[6:8], "big") != len(payload) - 8 or len(payload) != 26:
        return None
    return payload[8:24].rstrip(b"\0"), int.from_bytes(payload[24:], "big")


def depart(grant: Grant, segment: int, tick: int) -> int | None:
    """The message id of an answer that leaves now; None when none may."""
    if grant.answered is None:
        grant.number = tick
    else:
        tick = max(tick, grant.answered_tick)
        if grant.flying and grant.answered == segment and tick - grant.answered_tick < grant.wait_ticks:
            return None
        if max(grant.number + 1, tick) - tick > AHEAD:
            return None
        grant.number = max(grant.number + 1, tick)
    grant.answered, grant.answered_tick, grant.flying = segment, tick, True
    return IDS + grant.number % IDS


def respond(grants: Mapping[bytes, Grant], datagram: bytes, now_ns: int) -> tuple[str, list[bytes]] | None:
    """(outcome, replies) to a response that concerns segments; None when it is somebody else's."""
    message = coap.parse(datagram)
    numbers = {number for number, _ in message.options}
    if coap.critical(message) or len(message.token) != 8 or message.code <= 31:
        return None
    empty_ack = coap.encode(coap.Message(type=ACK, code=0, message_id=message.message_id))
    wanted = asked(message.payload)
    if message.type in (CON, NON) and message.code in (CHANGED, CONTENT) and wanted is not None:
        grant = grants.get(message.token)
        if grant is None or wanted[0] != grant.version or numbers & {BLOCK1, BLOCK2}:
            return None
        data = grant.body[wanted[1] * grant.size :][: grant.size]
        if not data:
            return None
        message_id = depart(grant, wanted[1], now_ns // TICK_NS)
        if message_id is None:
            if message.type == CON:
                return "segment copy", [empty_ack]
            return "segment copy in NON", []
        write = coap.Message(
            type=CON,
            code=PUT,
            message_id=message_id,
            token=flipped(message.token),
            options=((URI_PATH, b"19"), (URI_PATH, b"1"), (URI_PATH, b"0"), (CONTENT_FORMAT, b"\x2a")),
            payload=answer(wanted[1], data),
        )
        return "segment", [empty_ack] * (message.type == CON) + [coap.encode(write)]
    grant = grants.get(flipped(message.token))
    if grant is None:
        return None
    if message.type != ACK or (message.message_id == IDS + grant.number % IDS and grant.answered is not None):
        grant.flying = False
    if message.type == CON:
        return "separate response", [empty_ack]
    return ("segment written" if message.code < 0x80 else "segment refused"), []


def flipped(token: bytes) -> bytes:
    """The token of a write, from that of its observation, and back."""
    return bytes([token[0] ^ 0x80]) + token[1:]
