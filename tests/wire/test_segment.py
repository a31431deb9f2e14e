"""PCP message 21, request and answer. "PCP Introduction"; identification in "PCP Message Identification"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.wire.segment import _py_segment_answer as segment_answer
from headgate.wire.segment import _py_segment_request as segment_request
from reference import segments as reference
from vectors import load

FRAMES = load("pcp_check_code.json")["frames"]
BY_MEANING = {vector["meaning"]: bytes.fromhex(vector["hex"]) for vector in FRAMES}
G4 = BY_MEANING["G4: 21 request V1.0 segment 0"]
versions = st.binary(min_size=1, max_size=16).filter(lambda version: version[-1] != 0)


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_published_requests(segment):
    """G4 and its neighbours, byte for byte, both ways."""
    [frame] = [
        frame
        for meaning, frame in BY_MEANING.items()
        if meaning.endswith(f"21 request V1.0 segment {segment}")
    ]
    assert segment_request(frame) == (b"V1.0", segment)
    assert reference.request(b"V1.0", segment) == frame


def test_published_answer():
    """G5: the last segment is short, never padded."""
    assert (
        segment_answer(0, b"HELLO, IoT SOTA!") == BY_MEANING["G5: 21 answer 00, segment 0, HELLO, IoT SOTA!"]
    )


@pytest.mark.parametrize("vector", FRAMES, ids=lambda vector: vector["meaning"])
def test_nothing_else_is_a_segment_request(vector):
    """All other published frames are valid, and for somebody else."""
    frame = bytes.fromhex(vector["hex"])
    assert (segment_request(frame) is not None) == ("21 request" in vector["meaning"])


@given(version=versions, segment=st.integers(0, 65535))
def test_every_request_is_read(version, segment):
    """Any version of 1 to 16 bytes, terminated or not, and any segment."""
    assert segment_request(reference.request(version, segment)) == (version, segment)


@given(segment=st.integers(0, 65535), data=st.binary(min_size=1, max_size=500))
def test_every_answer_is_the_reference_answer(segment, data):
    """The check code is taken over the whole frame."""
    assert segment_answer(segment, data) == reference.answer(segment, data)


@pytest.mark.parametrize("bit", range(8 * len(G4)))
def test_one_wrong_bit_makes_it_business_data(bit):
    """Only the reserved half of the version byte may differ, with a check code to match: section 1.8."""
    damaged = bytearray(G4)
    damaged[bit // 8] ^= 0x80 >> bit % 8
    assert segment_request(bytes(damaged)) is None
    assert reference.asked(bytes(damaged)) is None


@pytest.mark.parametrize("reserved", range(16))
def test_reserved_bits_are_not_looked_at(reserved):
    """The high half of the version byte is reserved: ignored on receipt."""
    frame = bytearray(G4)
    frame[2] |= reserved << 4
    frame[4:6] = reference.frame_check_code(bytes(frame)).to_bytes(2, "big")
    assert segment_request(bytes(frame)) == reference.asked(bytes(frame)) == (b"V1.0", 0)


@pytest.mark.parametrize("low", [0, *range(2, 16)])
def test_another_protocol_version_is_not_ours(low):
    """Identification step 4, the check code being right."""
    frame = bytearray(G4)
    frame[2] = low
    frame[4:6] = reference.frame_check_code(bytes(frame)).to_bytes(2, "big")
    assert segment_request(bytes(frame)) is None


@given(length=st.integers(0, 40), said=st.integers(0, 40))
def test_length_is_right(length, said):
    """Identification step 7: as many bytes as the header says, and 18 of them."""
    frame = bytes.fromhex("FFFE01150000") + said.to_bytes(2, "big") + bytes(length)
    frame = frame[:4] + reference.frame_check_code(frame).to_bytes(2, "big") + frame[6:]
    assert (segment_request(frame) is not None) == (length == said == 18)


@given(st.binary(max_size=40))
def test_any_bytes(data):
    """Whatever it is, the reference says the same; an empty payload too."""
    assert segment_request(data) == reference.asked(data)


@pytest.mark.parametrize("length", [0, 501])
def test_a_segment_has_1_to_500_bytes(length):
    """As many as a product may choose, and a last one of one byte at least."""
    with pytest.raises(ValueError, match=r"1\.\.500"):
        segment_answer(0, bytes(length))
