"""PCP results to causes, in each message that carries one: protocol 3.6. And effects and events as frames."""

from __future__ import annotations

import pytest

from headgate.upgrade.events import Activated, AnnounceOutcome, DeviceHeard
from headgate.upgrade.failure import Failure
from headgate.upgrade.object19 import (
    ANSWERS,
    AnswerSegment,
    ConfirmDownload,
    ConfirmUpgrade,
    DownloadReported,
    ExecuteDeclined,
    ExecuteUpgrade,
    NotificationDeclined,
    NotifyVersion,
    QueryVersion,
    SubscribeData,
    UpgradeReported,
    WithdrawSegments,
    event_of,
    message_of,
)
from headgate.upgrade.software_choices import outside
from headgate.upgrade.task import State
from headgate.wire.pcp import encode, frame, identify
from headgate.wire.pcp_messages import SegmentAnswer, Sender
from negotiations import OLD, SEGMENT, SOFTWARE_PLAN, TARGET, Script

FAILED, LOST = Failure.UPDATE_FAILED, Failure.CONNECTION_LOST
CAUSES = {
    0x01: (FAILED, "in use"),
    0x02: (LOST, "poor signal"),
    0x04: (FAILED, "low battery"),
    0x05: (Failure.STORAGE, "not enough space"),
    0x06: (LOST, "download timeout"),
    0x07: (Failure.INTEGRITY, "package check failed"),
    0x08: (Failure.PACKAGE_TYPE, "unsupported package"),
    0x09: (Failure.MEMORY, "not enough memory"),
    0x0A: (FAILED, "installing failed"),
    0x7F: (FAILED, "internal error"),
    0x80: (FAILED, "no such task"),
    0x42: (FAILED, "unknown code"),
    0xFF: (FAILED, "unknown code"),
}
OVER = (WithdrawSegments(), AnnounceOutcome())
FRAMES = {
    20: lambda result: bytes([result]),
    22: lambda result: bytes([result]),
    23: lambda result: bytes([result]),
    24: lambda result: bytes([result]) + b"V1.1".ljust(16, b"\0"),
}


def told(code, result):
    """The event of a frame, as it would come."""
    message = identify(frame(code, FRAMES[code](result))).message
    assert message is not None
    return event_of(message)


def ends(script, code, result, *answers):
    """The device says it in a frame; this is answered, and the task is over."""
    cause, note = CAUSES.get(result, (FAILED, "already newest"))
    script.device(told(code, result)).server(*answers, *OVER)
    script.ends(State.FAILED, cause, f"PCP {code}: {result:02X} ({note})")


@pytest.mark.parametrize("result", CAUSES)
@pytest.mark.parametrize("state", [State.NOTIFY, State.WAIT_START, State.DOWNLOADING])
def test_20(software, state, result):
    """A refusal of the notification."""
    ends(software.reach(state), 20, result)


def test_20_with_03_while_it_downloads(software):
    """It was asked for its version before, and had another."""
    ends(software.reach(State.DOWNLOADING), 20, 3)


@pytest.mark.parametrize("result", [*CAUSES, 0x03])
@pytest.mark.parametrize(
    "state",
    [State.NOTIFY, State.COMPARE, State.WAIT_START, State.DOWNLOADING, State.EXECUTE, State.UPDATING],
)
def test_22(software, state, result):
    """A download that failed; the report is answered 00 all the same."""
    ends(software.reach(state), 22, result, ConfirmDownload())


@pytest.mark.parametrize("result", [result for result in CAUSES if result != 0x06])
def test_23(software, result):
    """A refusal to upgrade; 06 is none."""
    ends(software.reach(State.EXECUTE), 23, result)


@pytest.mark.parametrize("result", [*CAUSES, 0x03])
@pytest.mark.parametrize("state", [State.EXECUTE, State.UPDATING])
def test_24(software, state, result):
    """An upgrade that failed; 08 comes from devices that verify late."""
    ends(software.reach(state), 24, result, ConfirmUpgrade())


@pytest.mark.parametrize("result", CAUSES)
def test_24_and_22_in_the_check(result):
    """After T_update they are as good as in it."""
    for code, answer in ((24, ConfirmUpgrade()), (22, ConfirmDownload())):
        script = Script(SOFTWARE_PLAN).reach(State.UPDATING).deadline().server(QueryVersion())
        ends(script, code, result, answer)


# -- outside any task --


def test_a_finished_task_answers_nothing_by_itself(software):
    """Invariant 1. `outside` says what the device is owed."""
    software.reach(State.UPDATING).device(UpgradeReported(result=0, version=TARGET))
    software.asked.clear()
    done = software.task
    for event in (SEGMENT, DownloadReported(result=0), UpgradeReported(result=0, version=TARGET)):
        software.device(event)
    assert software.task is done


def test_what_a_device_without_a_task_is_answered():
    """21: 80. 22 and 24: 00 for the last task of the device, 80 where there was none."""
    no_segment = (AnswerSegment(segment_index=0, result=0x80),)
    assert outside(SEGMENT, known=True) == outside(SEGMENT, known=False) == no_segment
    assert outside(DownloadReported(result=5), known=True) == (ConfirmDownload(),)
    assert outside(DownloadReported(result=5), known=False) == (ConfirmDownload(result=0x80),)
    report = UpgradeReported(result=0x0A, version=OLD)
    assert outside(report, known=True) == (ConfirmUpgrade(),)
    assert outside(report, known=False) == (ConfirmUpgrade(result=0x80),)


@pytest.mark.parametrize(
    "event", [DeviceHeard(), Activated(), ExecuteDeclined(result=6), NotificationDeclined(result=1)]
)
def test_nothing_else_is_owed_an_answer(event):
    """Answers are not answered."""
    assert outside(event, known=False) == ()


# -- as frames --

BODY = bytes(index & 0xFF for index in range(1300))


@pytest.mark.parametrize(
    ("effect", "published"),
    [
        (QueryVersion(), "FFFE01134C9A0000"),
        (ExecuteUpgrade(), "FFFE0117CF900000"),
        (ConfirmDownload(), "FFFE0116850E000100"),
        (ConfirmDownload(result=0x80), "FFFE01161486000180"),
        (ConfirmUpgrade(), "FFFE0118AFA1000100"),
        (ConfirmUpgrade(result=0x80), "FFFE01183E29000180"),
        (AnswerSegment(segment_index=0, result=0x80), "FFFE0115626B0003800000"),
        (AnswerSegment(segment_index=1, result=0x81), "FFFE011518E80003810001"),
    ],
)
def test_effects_are_the_published_frames(effect, published):
    """Byte for byte."""
    message = message_of(effect, SOFTWARE_PLAN, BODY)
    assert message is not None
    assert encode(message).hex().upper() == published


def test_the_notification_says_what_the_task_is_bound_to():
    """Version, segment size and count, check code."""
    message = message_of(NotifyVersion(), SOFTWARE_PLAN)
    assert message is not None
    assert encode(message)[8:].hex().upper() == "56312E31" + "00" * 12 + "01F4" + "0003" + "4EA0"


@pytest.mark.parametrize("body", [BODY, memoryview(BODY)])
def test_segments_are_the_package(body):
    """All of it, the last one short and not padded."""
    segments = [message_of(AnswerSegment(segment_index=index), SOFTWARE_PLAN, body) for index in range(3)]
    assert b"".join(each.segment for each in segments) == BODY
    assert [len(each.segment) for each in segments] == [500, 500, 300]
    assert len(encode(segments[0])) == 511
    assert identify(encode(segments[2]), Sender.PLATFORM).message == SegmentAnswer(
        segment_index=2, segment=BODY[1000:]
    )


def test_what_is_no_message():
    """Observing and granting are not said by PCP."""
    assert message_of(SubscribeData(), SOFTWARE_PLAN) is None
    assert message_of(WithdrawSegments(), SOFTWARE_PLAN) is None


def test_answers_are_those_that_the_device_repeats_its_question_for():
    """The caller need not keep them."""
    assert {AnswerSegment, ConfirmDownload, ConfirmUpgrade} == ANSWERS
