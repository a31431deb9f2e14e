"""The seventeen published failure texts, each by a script that ends with it. Protocol 3.4 to 3.6."""

from __future__ import annotations

import pytest

from headgate.upgrade.events import (
    CellRefused,
    Conflicted,
    DeviceDeregistered,
    VersionReported,
)
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.object5 import CAUSES, ResultReported, StateReported, UpdateResult
from headgate.upgrade.task import State
from negotiations import OLD

PLATFORM = {
    "Device Abnormal is not online": lambda script: script.reach(State.OBSERVE).device(DeviceDeregistered()),
    "Task Conflict": lambda script: script.house(Conflicted(other="reboot")),
    "Waiting for the device online timeout": lambda script: script.reach(State.WAIT_ONLINE).deadline(86400),
    "Wait for the device to report upgrade result timeout": lambda script: check(script).device(
        VersionReported(version=OLD)
    ),
    "Waiting for report device firmware version timeout": lambda script: script.reach(
        State.QUERY_VERSION
    ).deadline(180),
    "Waiting for report cellId timeout": lambda script: script.reach(State.QUERY_CELL).device(
        CellRefused(code="4.04")
    ),
    "Updating timeout and query device version for check timeout": lambda script: check(script).deadline(180),
    "Waiting for device downloaded package timeout": lambda script: script.reach(State.DOWNLOADING).deadline(
        3600
    ),
    "Waiting for device start to update timeout": lambda script: script.reach(State.EXECUTE).deadline(180),
    "Waiting for device start download package timeout": lambda script: script.reach(
        State.WAIT_START
    ).deadline(180),
}
DEVICE = {
    "Not enough storage for the new firmware package": 2,
    "Out of memory during downloading process": 3,
    "Connection lost during downloading process": 4,
    "Integrity check failure for new downloaded package": 5,
    "Unsupported package type": 6,
    "Invalid URI": 7,
    "Firmware update failed": 8,
}


def check(script):
    """T_update passes without a word."""
    script.reach(State.UPDATING).deadline(1800)
    script.asked.clear()
    return script


def test_the_texts_are_those_that_are_published():
    """Ten of the platform, seven of devices, no others."""
    assert [failure.value for failure in Failure] == [*PLATFORM, *DEVICE]
    assert [failure.by_device for failure in Failure] == [False] * 10 + [True] * 7


@pytest.mark.parametrize("text", PLATFORM)
def test_a_failure_that_the_platform_finds(script, text):
    """Its text, and a detail that tells what was waited for or said."""
    PLATFORM[text](script).server(*script.asked)
    script.ends(State.FAILED, Failure(text))
    assert str(script.task.detail)


@pytest.mark.parametrize("text", DEVICE)
@pytest.mark.parametrize("state", [State.WAIT_START, State.DOWNLOADING, State.UPDATING, State.READ_RESULT])
def test_a_failure_that_the_device_reports(script, text, state):
    """Results 2 to 8 are the seven texts, one to one, whenever they are told."""
    script.reach(state).device(ResultReported(result=DEVICE[text])).server(*script.asked)
    script.ends(State.FAILED, Failure(text), f"5/0/5: {DEVICE[text]}")


def test_a_failure_that_is_reported_while_its_result_is_waited_for(script):
    """Idle, Result 0, and then the truth."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(*script.asked)
    script.device(VersionReported(version=OLD)).stands(State.WAIT_RESULT)
    script.device(StateReported(state=2)).server(*script.asked)
    script.device(ResultReported(result=8)).server(*script.asked)
    script.ends(State.FAILED, Failure.UPDATE_FAILED, "5/0/5: 8")


@pytest.mark.parametrize(
    ("result", "failure", "detail"),
    [
        (9, Failure.INVALID_URI, "5/0/5: 9 (unsupported protocol)"),
        (10, Failure.UPDATE_FAILED, "5/0/5: 10 (cancelled, not by us)"),
        (12, Failure.UPDATE_FAILED, "5/0/5: 12"),
        (-1, Failure.UPDATE_FAILED, "5/0/5: -1"),
    ],
)
@pytest.mark.parametrize("state", [State.DOWNLOADING, State.UPDATING, State.READ_RESULT])
def test_results_that_have_no_text_of_their_own(script, state, result, failure, detail):
    """Section 3.6; the raw result is kept."""
    script.reach(state).device(ResultReported(result=result)).server(*script.asked)
    script.ends(State.FAILED, failure, detail)


def test_every_result_that_is_a_failure_has_its_cause():
    """All but initial, success and postponement."""
    assert set(UpdateResult) - set(CAUSES) == {
        UpdateResult.INITIAL,
        UpdateResult.SUCCEEDED,
        UpdateResult.DEFERRED,
    }


@pytest.mark.parametrize(
    ("detail", "text"),
    [
        (Detail(at="5/0/1", code="4.00", note="in State 0"), "5/0/1: 4.00 (in State 0)"),
        (Detail(at="5/0/1", code="4.00"), "5/0/1: 4.00"),
        (Detail(at="4/0/8", note="waited 90 s"), "4/0/8 (waited 90 s)"),
        (Detail(code="RST"), "RST"),
        (Detail(note="the device is busy"), "the device is busy"),
        (Detail(), ""),
    ],
)
def test_a_detail_is_one_phrase(detail, text):
    """Where, what, and a note, as far as there are any."""
    assert str(detail) == text
