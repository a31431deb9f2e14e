"""PCP frames against every published one, both ways, and against whatever else may come."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.wire import coap, pcp_messages
from headgate.wire.pcp import (
    DOWNLINK,
    HEADER_SIZE,
    UPLINK,
    Step,
    count,
    encode,
    frame,
    identify,
    identify_uplink,
)
from headgate.wire.pcp_messages import (
    MESSAGES,
    DownloadReport,
    ExecuteRequest,
    MessageCode,
    NotificationAnswer,
    ResultCode,
    SegmentAnswer,
    SegmentRequest,
    Sender,
    UpgradeReport,
    VersionAnswer,
    VersionNotification,
    VersionQuery,
    meaning,
    version_field,
    version_text,
)
from reference import crc as reference
from vectors import load

PUBLISHED = load("pcp.json")
FRAMES = [bytes.fromhex(each["hex"]) for each in PUBLISHED["messages"]]


def by_meaning(entry):
    """Test id of a vector."""
    return entry["meaning"]


def message_of(vector):
    """The message that a vector's fields describe."""
    fields = dict(vector["fields"])
    if "segment" in fields:
        fields["segment"] = bytes.fromhex(fields["segment"])
    return getattr(pcp_messages, vector["message"])(**fields)


# -- published frames --


@pytest.mark.parametrize("vector", PUBLISHED["messages"], ids=by_meaning)
def test_published_frames_both_ways(vector):
    """PCP Introduction, worked examples, captures and computed ones: byte for byte."""
    payload, message = bytes.fromhex(vector["hex"]), message_of(vector)
    found = identify(payload, Sender(vector["sender"]))
    assert (found.message, found.failed) == (message, None)
    assert encode(message) == payload
    assert message.sender is Sender(vector["sender"])


@pytest.mark.parametrize("vector", PUBLISHED["not_messages"], ids=by_meaning)
def test_published_frames_that_are_no_messages(vector):
    """The step at which each fails."""
    found = identify(bytes.fromhex(vector["hex"]), Sender(vector["sender"]))
    assert (found.message, found.failed) == (None, Step[vector["step"]])


@pytest.mark.parametrize("vector", PUBLISHED["not_reproducing"], ids=by_meaning)
def test_published_frames_that_do_not_reproduce(vector):
    """Documented, and wrong as printed: we write the correct one, and take the printed one for no message."""
    printed, correct = bytes.fromhex(vector["printed"]), bytes.fromhex(vector["correct"])
    assert identify(printed, Sender(vector["sender"])).suspect
    found = identify(correct, Sender(vector["sender"]))
    assert found.message is not None
    assert encode(found.message) == correct


@pytest.mark.parametrize("vector", PUBLISHED["carriage"], ids=by_meaning)
def test_published_coap_messages_both_ways(vector):
    """Frames travel bare, by notifications of 19/0/0 and writes to 19/1/0, Content-Format 42."""
    code = {"GET": 1, "PUT": 3, "": 0, "2.04": 0x44, "2.05": 0x45}[vector["code"]]
    message = coap.Message(
        type=vector["type"],
        code=code,
        message_id=int(vector["message_id"], 16),
        token=bytes.fromhex(vector["token"]),
        options=[(number, bytes.fromhex(value)) for number, value in vector["options"]],
        payload=bytes.fromhex(vector["payload"]),
    )
    assert message.encode().hex().upper() == vector["hex"]
    parsed = coap.Message.parse(bytes.fromhex(vector["hex"]))
    assert parsed == message
    if parsed.payload:
        assert (
            identify(parsed.payload, Sender.DEVICE if code == 0x45 else Sender.PLATFORM).message is not None
        )


def test_the_paths_of_object_19():
    """LwM2M API reference: 19/0/0 observed, 19/1/0 written."""
    assert (str(UPLINK), str(DOWNLINK)) == ("/19/0/0", "/19/1/0")


@pytest.mark.parametrize("vector", PUBLISHED["wrapped"], ids=by_meaning)
def test_frames_are_unwrapped(vector):
    """Strict clients wrap what they notify, and some tell the wrong Content-Format (trap 20)."""
    (found,) = identify_uplink(vector["content_format"], bytes.fromhex(vector["hex"]))
    assert found.message == VersionAnswer(result=0, version="V0.9")


def test_two_instances_are_two_frames():
    """The resource is a multiple one for OMA."""
    frames = encode(DownloadReport(result=0)), encode(NotificationAnswer(result=0))
    payload = b"".join(b"\x48" + bytes([index, 9]) + each for index, each in enumerate(frames))
    payload = b"\x88\x00" + bytes([len(payload)]) + payload
    found = identify_uplink(11542, payload)
    assert [each.message for each in found] == [DownloadReport(result=0), NotificationAnswer(result=0)]


# -- the seven steps --


def test_the_steps_are_taken_in_their_order():
    """PCP Message Identification: the first that fails decides, whatever else is wrong."""
    good = bytearray(encode(SegmentRequest(target_version="V1.0", segment_index=7)))
    assert identify(bytes(good)).failed is None
    broken: list[tuple[Step, int, int]] = [
        (Step.LENGTH, 7, 0x13),
        (Step.CHECK_CODE, 5, good[5] ^ 1),
        (Step.MESSAGE_CODE, 3, 18),
        (Step.VERSION, 2, 0x02),
        (Step.START, 1, 0xFF),
    ]
    for step, at, value in broken:
        good[at] = value
        if step is Step.LENGTH:  # right check code, wrong length
            good[4:6] = b"\0\0"
            good[4:6] = reference.check_code(bytes(good)).to_bytes(2, "big")
        assert identify(bytes(good)).failed is step
    assert identify(bytes(good), over_pcp=False).failed is Step.PROTOCOL
    assert identify(bytes(good), over_pcp=False, upgradable=False).failed is Step.PRODUCT


@pytest.mark.parametrize("size", range(HEADER_SIZE))
def test_what_ends_inside_the_header_is_ordinary(size):
    """Fewer than 8 bytes are no frame: it fails at the first field that is not there."""
    found = identify(FRAMES[1][:size])
    assert found.ordinary
    expected = {0: Step.START, 1: Step.START, 2: Step.VERSION, 3: Step.MESSAGE_CODE}
    assert found.failed is expected.get(size, Step.CHECK_CODE)


def test_the_first_answer_of_an_observation_is_no_message():
    """Public clients answer the Observe by a single byte 00 (trap 20)."""
    (found,) = identify_uplink(42, b"\x00")
    assert found.failed is Step.START
    assert not found.suspect


@pytest.mark.parametrize("nibble", range(16))
def test_the_reserved_nibble_is_not_looked_at(nibble):
    """The high nibble of the version byte is reserved."""
    payload = bytearray(FRAMES[0])
    payload[2] = nibble << 4 | 1
    payload[4:6] = b"\0\0"
    payload[4:6] = reference.check_code(bytes(payload)).to_bytes(2, "big")
    assert identify(bytes(payload), Sender.PLATFORM).message == VersionQuery()


@pytest.mark.parametrize("payload", FRAMES, ids=lambda payload: payload.hex()[:24])
def test_a_check_code_that_differs_in_one_bit_is_business_data(payload):
    """Not answered by an error, and counted: it most likely was a frame."""
    counts: Counter[str] = Counter()
    for bit in range(16):
        damaged = bytearray(payload)
        damaged[4 + bit // 8] ^= 1 << bit % 8
        for sender in Sender:
            found = identify(bytes(damaged), sender)
            assert (found.message, found.failed, found.ordinary) == (None, Step.CHECK_CODE, True)
            count(found, counts)
    assert counts == {"pcp_suspect": 32}


def test_what_comes_is_counted():
    """Messages, ordinary data, suspects, and frames whose data zone is not that of their message."""
    counts: Counter[str] = Counter()
    for payload in (FRAMES[1], b"21.5", FRAMES[1] + b"\0", bytes.fromhex("FFFE0114E51F0000")):
        count(identify(payload), counts)
    assert counts == dict.fromkeys(("pcp_messages", "pcp_ordinary", "pcp_suspect", "pcp_malformed"), 1)


def test_a_malformed_frame_is_no_ordinary_data():
    """All seven steps pass: the application has no use for it."""
    found = identify(bytes.fromhex("FFFE0114E51F0000"))
    assert (found.ordinary, found.suspect, found.failed) == (False, False, Step.CONTENT)


# -- fields --


def test_every_code_has_a_message_from_either_side():
    """Strict question and answer; who sends a frame decides which it is."""
    assert set(MESSAGES) == {(sender, code) for sender in Sender for code in MessageCode}


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("V1.0", b"V1.0" + bytes(12)),
        ("0123456789ABCDEF", b"0123456789ABCDEF"),
        ("", bytes(16)),
        ("V1\\x00X", b"V1\0X" + bytes(12)),
        ("\\xe7\\x89\\x88", b"\xe7\x89\x88" + bytes(13)),
        ("a\\x5cb", b"a\\b" + bytes(13)),
        ("a b", b"a b" + bytes(13)),
    ],
)
def test_versions(text, field):
    """Zeros at the end are padding; 16 bytes without any are legal; what is not ASCII is escaped."""
    assert version_text(field) == text
    assert version_field(text) == field


@given(st.binary(max_size=16))
def test_versions_are_one_to_one_with_their_bytes(version):
    """So that comparing texts compares bytes."""
    field = version.ljust(16, b"\0")
    assert version_field(version_text(field)) == field
    assert version_text(field).isprintable()


@pytest.mark.parametrize(
    "text", ["0123456789ABCDEFG", "版本", "a\\b", "\\x41", "V1\0", "\x7f", "é", "V1\\x00"]
)
def test_versions_that_cannot_be_sent_are_refused(text):
    """Too long, not ASCII, or not what a device's bytes would be shown as."""
    with pytest.raises(FormatError):
        version_field(text)


@pytest.mark.parametrize(
    "message",
    [
        NotificationAnswer(result=256),
        SegmentRequest(target_version="V", segment_index=65536),
        SegmentRequest(target_version="V", segment_index=-1),
        VersionNotification(target_version="V", segment_size=1, segment_count=65536, version_check_code=0),
        SegmentAnswer(segment_index=0, segment=bytes(65533)),
    ],
)
def test_what_does_not_fit_is_refused(message):
    """Every field at one above its top."""
    with pytest.raises(FormatError):
        encode(message)


def test_the_largest_frame():
    """The length field is a WORD."""
    message = SegmentAnswer(segment_index=65535, segment=bytes(range(256)) * 255 + bytes(252))
    payload = encode(message)
    assert len(payload) == 8 + 65535
    assert identify(payload, Sender.PLATFORM).message == message


def test_a_full_segment_answer_has_511_bytes():
    """8 of header, 3 of result and index, 500 of package: what modules let through (trap 29)."""
    assert len(encode(SegmentAnswer(segment_index=0, segment=bytes(500)))) == 511


def test_an_error_answer_to_a_segment_request_has_three_data_bytes():
    """One byte alone is taken for 80, or written to flash (trap 32)."""
    for result in (ResultCode.NO_SUCH_TASK, ResultCode.NO_SUCH_SEGMENT):
        assert len(SegmentAnswer(result=result, segment_index=5).data()) == 3


@pytest.mark.parametrize("kind", [VersionAnswer, UpgradeReport])
def test_an_error_needs_no_version(kind):
    """A device that cannot tell its version says so in one byte."""
    assert identify(frame(kind.code, b"\x7f")).message == kind(result=0x7F, version="")
    assert identify(frame(kind.code, b"\x00")).failed is Step.CONTENT


@pytest.mark.parametrize("result", range(256))
def test_every_result_is_taken_in_every_message(result):
    """The raw code is kept, whatever it is; unknown ones and FF mean an internal error."""
    for message in (NotificationAnswer(result=result), UpgradeReport(result=result, version="V1")):
        assert identify(encode(message)).message == message
    documented = {each.value for each in ResultCode}
    assert meaning(result) == (result if result in documented else ResultCode.INTERNAL_ERROR)


# -- whatever comes --

words = st.integers(0, 0xFFFF)
results = st.integers(0, 0xFF)
versions = st.binary(max_size=16).map(lambda version: version_text(version.ljust(16, b"\0")))
FIELDS = {
    "result": results,
    "version": versions,
    "target_version": versions,
    "segment_size": words,
    "segment_count": words,
    "segment_index": words,
    "version_check_code": words,
    "segment": st.binary(max_size=600),
}
any_message = st.sampled_from(sorted(MESSAGES.values(), key=lambda kind: kind.__name__)).flatmap(
    lambda kind: st.builds(kind, **{field.name: FIELDS[field.name] for field in fields(kind)})
)


@given(any_message)
def test_every_message_comes_back(message):
    """Written and read; the check code is the reference's."""
    payload = encode(message)
    assert identify(payload, message.sender).message == message
    assert int.from_bytes(payload[4:6], "big") == reference.check_code(payload[:4] + b"\0\0" + payload[6:])


@given(
    st.sampled_from(sorted(Sender, key=str)), st.sampled_from([None, 0, 42, 60, 110, 112, 11542]), st.data()
)
def test_nothing_that_comes_does_harm(sender, content_format, data):
    """Any bytes, frames cut short, changed or with any data zone: an answer, never an exception."""
    payload = data.draw(
        st.one_of(
            st.binary(max_size=64),
            st.builds(lambda rest: b"\xff\xfe\x01" + rest, st.binary(max_size=64)),
            st.builds(frame, st.integers(0, 255), st.binary(max_size=64)),
            st.builds(lambda each, size: each[:size], st.sampled_from(FRAMES), st.integers(0, 40)),
        )
    )
    found = identify(payload, sender)
    assert (found.message is None) == (found.failed is not None)
    for each in identify_uplink(content_format, payload):
        assert each.message is None or each.message.sender is Sender.DEVICE
        if each.message is not None:
            assert identify(encode(each.message)).message == each.message


def test_data_zones_may_be_shared_by_messages():
    """Equal fields do not make two messages one."""
    assert DownloadReport(result=0) != NotificationAnswer(result=0)
    assert ExecuteRequest() != VersionQuery()
    assert len({DownloadReport(result=0), NotificationAnswer(result=0)}) == 2
