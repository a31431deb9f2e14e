"""The PCP check code one bit and one byte at a time.

"PCP Introduction" says only "CRC16/CCITT x16+x12+x5+1"; its worked examples come out with the function below,
which makes its remainders most significant bit first and takes its bytes least significant byte first.
"""

from __future__ import annotations


def remainder(byte: int) -> int:
    """What is left of `byte << 8` after eight steps of division by 1 1021 (hexadecimal)."""
    value = byte * 256
    for _ in range(8):
        value *= 2
        if value >= 0x10000:
            value = (value - 0x10000) ^ 0x1021
    return value


REMAINDERS = [remainder(byte) for byte in range(256)]


def check_code(data: bytes, start: int = 0) -> int:
    """The check code of `data`, continuing from `start`."""
    code = start
    for byte in data:
        high, low = divmod(code, 256)
        code = high ^ REMAINDERS[low ^ byte]
    return code


def frame_check_code(frame: bytes) -> int:
    """The check code that a PCP frame should carry: taken over the frame with its own place zeroed."""
    return check_code(frame[:4] + bytes(2) + frame[6:])
