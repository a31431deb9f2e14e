"""TLV the slow way, bit by bit: LwM2M 1.1 core, 7.4, table of the TLV format."""

from __future__ import annotations

from typing import NamedTuple

KINDS = {"00": "object instance", "01": "resource instance", "10": "multiple resource", "11": "resource"}
LENGTH_BYTES = {"00": 0, "01": 1, "10": 2, "11": 3}


class Tlv(NamedTuple):
    """One TLV, its value not looked into."""

    kind: str
    identifier: int
    value: bytes


class RefusedError(Exception):
    """Not a sequence of TLVs."""


def number(data: bytes) -> int:
    """The number that these bytes write, high byte first; none write 0."""
    return sum(byte * 256**place for place, byte in enumerate(reversed(data)))


def take(data: bytes, count: int) -> tuple[bytes, bytes]:
    """The first `count` bytes, and those after them."""
    if len(data) < count:
        raise RefusedError("ends too early")
    return data[:count], data[count:]


def parse(data: bytes) -> list[Tlv]:
    """The TLVs one after the other."""
    tlvs = []
    while data:
        head, data = take(data, 1)
        bits = f"{head[0]:08b}"
        identifier, data = take(data, 1 if bits[2] == "0" else 2)
        length, data = take(data, LENGTH_BYTES[bits[3:5]])
        value, data = take(data, number(length) if bits[3:5] != "00" else int(bits[5:], 2))
        tlvs.append(Tlv(KINDS[bits[:2]], number(identifier), value))
    return tlvs


def write(tlv: Tlv, identifier_bytes: int, length_bytes: int) -> bytes:
    """The TLV with fields of these widths, which must be wide enough."""
    kind = next(bits for bits, name in KINDS.items() if name == tlv.kind)
    width = next(bits for bits, count in LENGTH_BYTES.items() if count == length_bytes)
    short = f"{len(tlv.value):03b}" if length_bytes == 0 else "000"
    head = int(kind + ("0" if identifier_bytes == 1 else "1") + width + short, 2)
    return (
        bytes([head])
        + tlv.identifier.to_bytes(identifier_bytes, "big")
        + (len(tlv.value).to_bytes(length_bytes, "big") if length_bytes else b"")
        + tlv.value
    )
