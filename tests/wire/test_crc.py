"""The PCP check code against its published frames and against the byte-wise reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.wire.crc import check_code
from reference import crc as reference
from vectors import load

PUBLISHED = load("pcp_check_code.json")

codes = st.integers(0, 0xFFFF)


def check_code_of_frame(frame: bytes) -> int:
    """PCP Introduction: the code is taken over the whole frame with its own two bytes zero."""
    return check_code(frame[:4] + b"\0\0" + frame[6:])


def by_meaning(entry):
    """Test id of a vector."""
    return entry["meaning"] if isinstance(entry, dict) else None


@pytest.mark.parametrize("vector", PUBLISHED["check_values"], ids=by_meaning)
def test_check_values(vector):
    """The values that tell this CRC from every standard one."""
    assert f"{check_code(bytes.fromhex(vector['hex'])):04X}" == vector["check_code"]


@pytest.mark.parametrize("vector", PUBLISHED["frames"], ids=by_meaning)
def test_published_frame_carries_its_check_code(vector):
    """PCP Introduction, bytes 4 and 5 of every frame, high byte first."""
    frame = bytes.fromhex(vector["hex"])
    assert f"{check_code_of_frame(frame):04X}" == frame[4:6].hex().upper()


@pytest.mark.parametrize("vector", PUBLISHED["not_reproducing"], ids=by_meaning)
def test_misprinted_frame_does_not_reproduce(vector):
    """A printed code that belongs to other bytes is not ours; the right one is in the file."""
    frame = bytes.fromhex(vector["hex"])
    assert f"{check_code_of_frame(frame):04X}" == vector["check_code"] != frame[4:6].hex().upper()


def test_one_byte_gives_its_remainder():
    """From 0, one byte leaves its own entry of table F (spot values of the published code)."""
    for byte, remainder in PUBLISHED["remainders"]["values"].items():
        assert f"{check_code(bytes([int(byte)])):04X}" == remainder


def test_leading_zeros_are_invisible():
    """Starting from 0, zero bytes change nothing: the code encodes no length. A weak check, known as such."""
    assert check_code(bytes(100)) == 0
    assert check_code(bytes(13) + b"123456789") == check_code(b"123456789")


@pytest.mark.parametrize("length", range(41))
def test_agrees_at_every_length_around_the_stride(length):
    """Eight bytes a step, and a tail of 0 to 7: every length up to five steps, from two starts."""
    data = bytes(0xA5 ^ 7 * i & 0xFF for i in range(length))
    for start in (0, 0xBEEF):
        assert check_code(data, start) == reference.check_code(data, start)


@given(data=st.binary(max_size=200), start=codes)
def test_agrees_with_the_reference(data, start):
    """The folded tables and the byte-wise definition are one function."""
    assert check_code(data, start) == reference.check_code(data, start)


@given(data=st.binary(max_size=200), start=codes, split=st.integers(0, 200))
def test_a_code_may_be_taken_in_parts(data, start, split):
    """The code of a whole is the code of its end, started with the code of its beginning."""
    assert check_code(data[split:], check_code(data[:split], start)) == check_code(data, start)


@given(data=st.binary(min_size=1, max_size=600), bit=st.integers(0, 4799))
def test_any_flipped_bit_is_seen(data, bit):
    """Each step is invertible, so one wrong bit never goes unnoticed."""
    flipped = bytearray(data)
    flipped[bit // 8 % len(data)] ^= 1 << bit % 8
    assert check_code(bytes(flipped)) != check_code(data)


@given(data=st.binary(max_size=64), offset=st.integers(0, 9))
def test_takes_any_contiguous_buffer_at_any_address(data, offset):
    """bytes, bytearray and memoryview alike; the first byte need not be aligned."""
    shifted = memoryview(bytearray(bytes(offset) + data))[offset:]
    assert check_code(shifted) == check_code(bytearray(data)) == check_code(data)


@pytest.mark.parametrize("start", [-1, 0x10000, 2**32, 2**63 - 1])
def test_start_has_16_bits(start):
    """A start value is a check code; anything wider is a mistake of the caller."""
    with pytest.raises(ValueError, match="16 bits"):
        check_code(b"", start)


def test_scattered_bytes_are_refused():
    """A view with gaps is not one run of bytes."""
    with pytest.raises(BufferError, match="contiguous"):
        check_code(memoryview(b"abcdef")[::2])
    with pytest.raises(TypeError):
        check_code(None)
