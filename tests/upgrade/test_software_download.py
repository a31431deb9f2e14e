"""Segments, execute, result and reports, over PCP, as scripts. Protocol 3.2 and its notes; traps 19 to 35."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.upgrade.events import (
    CommandReset,
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    ExecuteAccepted,
    ExecuteRefused,
    RegistrationExpired,
    TaskCancelled,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object19 import (
    ConfirmDownload,
    ConfirmUpgrade,
    DataObserved,
    EnsureSubscription,
    ExecuteDeclined,
    ExecuteUpgrade,
    NotificationAccepted,
    NotificationDeclined,
    NotifyVersion,
    QueryVersion,
    QuestionDelivered,
    SubscribeData,
    UpgradeReported,
)
from headgate.upgrade.task import Mark, State
from negotiations import OLD, SOFTWARE_PLAN, TARGET, Script
from pcp_lines import ASK, DONE, DOWNLOADED, NO_SEGMENT, NO_TASK, OVER, TELL, segment, served

# -- step 11: segments --


@pytest.mark.parametrize("state", [State.NOTIFY, State.COMPARE, State.WAIT_START, State.DOWNLOADING])
@pytest.mark.parametrize(
    ("asked", "result"),
    [(segment(0, OLD), NO_TASK), (segment(3), NO_SEGMENT), (segment(65535), NO_SEGMENT)],
)
def test_what_cannot_be_served_is_said_so_and_is_no_beginning(software, state, asked, result):
    """80 for another version, 81 past the end; never a byte of another package."""
    software.reach(state).device(asked).server(served(asked.segment_index, result)).stands(state)


@pytest.mark.parametrize("state", [State.EXECUTE, State.UPDATING])
@pytest.mark.parametrize("index", [0, 2])
def test_a_device_that_lost_its_progress_is_served_again(software, state, index):
    """Note (b): from the bound package, without a change of state."""
    before = software.reach(state).task
    software.device(segment(index)).server(served(index))
    assert software.task is before


def test_repeated_requests_change_nothing(software):
    """Copies of a request are answered alike: the caller keeps one answer in flight (traps 19, 34, 35)."""
    software.reach(State.DOWNLOADING).device(segment(1)).server(served(1))
    before = software.task
    for _ in range(5):
        software.device(segment(1)).server(served(1))
    software.device(segment(0)).server(served(0))
    assert software.task is before


def test_a_stalled_download_is_woken(software):
    """Nothing asked for 5 min, and another uplink: 20 once more (section 1.10)."""
    software.reach(State.DOWNLOADING).clock(200).device(segment(1)).server(served(1))
    software.clock(299).device(DeviceHeard())
    software.clock(1).device(DeviceHeard()).server(SubscribeData(), NotifyVersion())
    software.device(DataObserved(), NotificationAccepted()).clock(299).device(DeviceHeard())
    software.clock(1).device(DeviceHeard()).server(SubscribeData(), NotifyVersion())
    software.stands(State.DOWNLOADING)


def test_a_device_that_is_woken_may_decline(software):
    """20 was answered after all."""
    software.reach(State.DOWNLOADING).device(NotificationDeclined(result=4)).server(*OVER)
    software.ends(State.FAILED, Failure.UPDATE_FAILED, "PCP 20: 04 (low battery)")


def test_t_download_counts_from_the_answer_to_20(software):
    """Not from the first segment."""
    software.reach(State.WAIT_START).clock(100).device(segment(0)).server(served(0))
    software.deadline(3500).server(*OVER).ends(State.FAILED, Failure.DOWNLOADED_TIMEOUT)


def test_segments_that_still_flow_do_not_move_t_download(software):
    """Note (c): the documented budget."""
    software.reach(State.DOWNLOADING).clock(3599).device(segment(1)).server(served(1))
    software.deadline(1).server(*OVER).ends(State.FAILED, Failure.DOWNLOADED_TIMEOUT)


def test_progress_moves_its_own_clock_and_repetitions_do_not(software):
    """no_progress_s in the place of T_download."""
    plan = replace(SOFTWARE_PLAN, timers=replace(SOFTWARE_PLAN.timers, no_progress_s=600.0))
    script = Script(plan).reach(State.DOWNLOADING).clock(500).device(segment(1)).server(served(1))
    script.clock(500).device(segment(1)).server(served(1)).device(segment(0)).server(served(0))
    script.clock(50).device(DownloadProgressed())
    script.deadline(600).server(*OVER).ends(State.FAILED, Failure.DOWNLOADED_TIMEOUT)


def test_a_native_download_that_progresses_is_not_woken(software):
    """The edge tells of progress."""
    software.reach(State.DOWNLOADING).clock(299).device(DownloadProgressed()).clock(299)
    software.device(DeviceHeard()).clock(1).device(DeviceHeard()).server(SubscribeData(), NotifyVersion())


# -- step 12: execute --


def test_the_end_of_waiting_is_no_refusal(software):
    """23 with 06, unasked: then 22 once more, which is answered, and 23 again (section 1.10)."""
    software.reach(State.EXECUTE).device(ExecuteDeclined(result=6)).stands(State.EXECUTE)
    software.device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade())
    software.device(ExecuteAccepted()).stands(State.UPDATING)


@pytest.mark.parametrize("result", [1, 4, 6, 0x7F])
@pytest.mark.parametrize(
    "state", [State.QUERY_VERSION, State.WAIT_SLOT, State.NOTIFY, State.DOWNLOADING, State.UPDATING]
)
def test_a_23_outside_execute_is_ignored(software, state, result):
    """It answers nothing: a device that is tired of waiting for a segment sends it too."""
    before = software.reach(state).task
    software.device(ExecuteDeclined(result=result))
    assert software.task is before


@pytest.mark.parametrize("state", [State.NOTIFY, State.DOWNLOADING])
def test_a_00_outside_execute_is_ignored_too(software, state):
    """Nobody said 23."""
    software.reach(state).device(ExecuteAccepted()).stands(state)


def test_22_is_answered_again_and_23_said_again(software):
    """It is repeated until 23 arrives (trap 34)."""
    software.reach(State.EXECUTE)
    for _ in range(3):
        software.clock(2).device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade())
    software.stands(State.EXECUTE)


def test_24_before_the_answer_to_23_is_the_end(software):
    """It counts as the answer."""
    software.reach(State.EXECUTE).device(DONE).server(ConfirmUpgrade(), *OVER).ends(State.SUCCESS)


def test_an_execute_that_coap_refuses(software):
    """The device answered the command by an error."""
    software.reach(State.EXECUTE).device(ExecuteRefused(code="5.00")).server(*OVER)
    software.ends(State.FAILED, Failure.NOT_ONLINE, "PCP 23: 5.00")


def test_a_register_in_execute_repeats_23_only_when_it_is_due(software):
    """It may be through already: 24 will tell."""
    software.reach(State.EXECUTE).device(QuestionDelivered())
    software.clock(10).device(DeviceRegistered()).server(EnsureSubscription())
    software.clock(20).device(DeviceRegistered()).server(EnsureSubscription(), ExecuteUpgrade())
    assert Mark.REGISTERED in software.task.marks


# -- step 13: no answer to 23, and a Register --


def returned(script):
    """Its answer and its 24 were lost; it came back, and T_up_start passes."""
    script.reach(State.EXECUTE).device(QuestionDelivered()).clock(40)
    script.device(DeviceRegistered()).server(EnsureSubscription(), ExecuteUpgrade())
    script.device(DataObserved(), QuestionDelivered())
    return script.deadline(140).server(EnsureSubscription(), QueryVersion()).stands(State.CHECK_EXECUTE)


def test_a_device_that_returned_without_a_word_is_asked_what_it_runs(software):
    """The older generation says the answer to 23, and 24, once each: by NON both may be lost."""
    returned(software).device(QuestionDelivered(), VersionReported(version=TARGET)).server(*OVER)
    software.ends(State.SUCCESS)


def test_a_device_that_returned_as_it_was(software):
    """The published cause of EXECUTE; what it runs is the detail."""
    returned(software).device(VersionReported(version=OLD)).server(*OVER)
    software.ends(State.FAILED, Failure.UPDATE_START_TIMEOUT, "PCP 19: V1.0")


def test_a_device_that_returned_and_says_nothing_more(software):
    """The question is repeated like others; refusals are no answer."""
    returned(software).device(QuestionDelivered(), VersionRefused(code="7F"))
    software.clock(30).device(DeviceHeard()).server(QueryVersion())
    software.deadline(150).server(*OVER).ends(State.FAILED, Failure.UPDATE_START_TIMEOUT)


def test_a_device_that_says_22_after_its_register_has_not_updated(software):
    """The newer generation would name the target version from 20 on (trap 33), so 19 is not asked."""
    software.reach(State.EXECUTE).device(DeviceRegistered()).server(EnsureSubscription())
    software.device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade())
    software.deadline(180).server(*OVER).ends(State.FAILED, Failure.UPDATE_START_TIMEOUT)


@pytest.mark.parametrize(
    ("said", "answered", "state", "failure"),
    [
        (DONE, (ConfirmUpgrade(), *OVER), State.SUCCESS, None),
        (ExecuteAccepted(), (), State.UPDATING, None),
        (ExecuteDeclined(result=4), OVER, State.FAILED, Failure.UPDATE_FAILED),
        (DOWNLOADED, (ConfirmDownload(),), State.CHECK_EXECUTE, None),
        (segment(0), (served(0),), State.CHECK_EXECUTE, None),
        (DeviceRegistered(), (EnsureSubscription(), QueryVersion()), State.CHECK_EXECUTE, None),
    ],
)
def test_what_a_device_says_instead(software, said, answered, state, failure):
    """A late answer or report counts; what it asks is answered."""
    returned(software).device(said).server(*answered).stands(state, failure=failure)


# -- steps 13 to 15: the result --


def test_22_while_updating(software):
    """Before a Register its answer was lost; after one it has lost its power, and waits for 23."""
    software.reach(State.UPDATING).device(DOWNLOADED).server(ConfirmDownload())
    software.device(DeviceRegistered()).server(EnsureSubscription())
    software.device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade()).stands(State.UPDATING)
    software.device(ExecuteAccepted()).stands(State.UPDATING)


@pytest.mark.parametrize("state", [State.EXECUTE, State.UPDATING])
def test_success_with_another_version_is_none(software, state):
    """Two statements that contradict each other."""
    software.reach(state).device(UpgradeReported(result=0, version=OLD)).server(ConfirmUpgrade(), *OVER)
    software.ends(State.FAILED, Failure.UPDATE_FAILED, "PCP 24: 00 (version V1.0)")


def check(script, *, registered):
    """T_update passes without a report."""
    script.reach(State.UPDATING)
    if registered:
        script.device(DeviceRegistered()).server(EnsureSubscription())
    return script.deadline(1800).server(QueryVersion()).stands(State.CHECK)


def test_after_t_update_the_version_decides(software):
    """19 is proof where a Register came since 23."""
    check(software, registered=True).device(VersionReported(version=TARGET)).server(*OVER)
    software.ends(State.SUCCESS)


def test_without_a_register_the_target_version_proves_nothing(software):
    """Some devices name it from 20 on (trap 33)."""
    check(software, registered=False).device(VersionReported(version=TARGET)).server(*OVER)
    software.ends(State.FAILED, Failure.RESULT_TIMEOUT, "PCP 19: V1.1")


def test_a_register_during_the_check_counts(software):
    """And is followed by the question once more."""
    check(software, registered=False).device(DeviceRegistered()).server(EnsureSubscription(), QueryVersion())
    software.device(VersionReported(version=TARGET)).server(*OVER).ends(State.SUCCESS)


def test_another_version_after_t_update(software):
    """The device returned, and is not upgraded."""
    check(software, registered=True).device(VersionReported(version=OLD)).server(*OVER)
    software.ends(State.FAILED, Failure.RESULT_TIMEOUT, "PCP 19: V1.0")


def test_no_version_after_t_update(software):
    """Nothing is known."""
    check(software, registered=True).deadline(180).server(*OVER)
    software.ends(State.FAILED, Failure.CHECK_TIMEOUT, "PCP 19: no answer")


@pytest.mark.parametrize("code", ["7F", "4.04"])
def test_a_version_that_is_refused_after_t_update(software, code):
    """No answer, and why."""
    check(software, registered=True).device(VersionRefused(code=code)).deadline().server(*OVER)
    software.ends(State.FAILED, Failure.CHECK_TIMEOUT, f"PCP 19: {code}")


def test_a_late_report_is_better_than_a_version(software):
    """24 in the check."""
    check(software, registered=False).device(DONE).server(ConfirmUpgrade(), *OVER).ends(State.SUCCESS)


def test_the_check_is_repeated_like_other_questions(software):
    """At other uplinks, after 30 s; the last time with a new observation."""
    check(software, registered=True).device(QuestionDelivered())
    software.clock(30).device(DeviceHeard()).server(QueryVersion()).device(QuestionDelivered())
    software.clock(30).device(DeviceHeard()).server(SubscribeData(), QueryVersion())
    software.device(QuestionDelivered()).clock(60).device(DeviceHeard())


def test_the_check_serves_and_confirms_but_does_not_begin_again(software):
    """T_update is over: an upgrade that began now would be nobody's."""
    check(software, registered=True).device(segment(0)).server(served(0))
    software.device(DOWNLOADED).server(ConfirmDownload()).stands(State.CHECK)


# -- reports of earlier tasks --


EARLY = [State.QUERY_VERSION, State.SUBSCRIBE, State.QUERY_RADIO, State.QUERY_CELL, State.WAIT_SLOT]


@pytest.mark.parametrize("state", EARLY)
def test_what_an_earlier_task_left_is_answered(software, state):
    """22 and 24 are owed an answer; a segment of another version is told that its task is gone."""
    before = software.reach(state).task
    software.device(DOWNLOADED).server(ConfirmDownload(result=NO_TASK))
    software.device(DONE).server(ConfirmUpgrade(result=NO_TASK))
    software.device(segment(5, OLD)).server(served(5, NO_TASK))
    assert software.task is before


@pytest.mark.parametrize("state", EARLY)
def test_a_segment_before_its_turn_is_not_answered(software, state):
    """No slot is held; 80 would make the device forget what it has, and 20 will make it go on."""
    before = software.reach(state).task
    software.device(segment(1))
    assert software.task is before


@pytest.mark.parametrize("state", [State.NOTIFY, State.COMPARE, State.WAIT_START, State.DOWNLOADING])
def test_a_result_before_23_is_not_ours(software, state):
    """It is answered, since it is repeated until it is."""
    software.reach(state).device(DONE).server(ConfirmUpgrade(result=NO_TASK)).stands(state)


# -- absence, cancelling, restarting --


@pytest.mark.parametrize("absence", [DeviceDeregistered(), RegistrationExpired()])
@pytest.mark.parametrize(
    "state", [State.SUBSCRIBE, State.NOTIFY, State.COMPARE, State.WAIT_START, State.DOWNLOADING]
)
def test_a_device_that_leaves_is_not_online(software, state, absence):
    """Until the package is in the device it must stay."""
    software.reach(state).device(absence).server(*software.asked).ends(State.FAILED, Failure.NOT_ONLINE)


@pytest.mark.parametrize("absence", [DeviceDeregistered(), RegistrationExpired()])
@pytest.mark.parametrize("state", [State.WAIT_SLOT, State.EXECUTE, State.UPDATING])
def test_a_device_that_may_leave(software, state, absence):
    """While its turn is waited for, and while it upgrades."""
    software.reach(state).device(absence).stands(state)


@pytest.mark.parametrize("state", [State.QUERY_VERSION, State.NOTIFY, State.COMPARE, State.EXECUTE])
def test_a_question_that_is_reset(software, state):
    """Not online."""
    software.reach(state).device(CommandReset(command="19/1/0")).server(*software.asked)
    software.ends(State.FAILED, Failure.NOT_ONLINE, "19/1/0: RST")


@pytest.mark.parametrize("state", [State.QUERY_VERSION, State.SUBSCRIBE, State.NOTIFY, State.UPDATING])
def test_cancelling_withdraws_the_segments(software, state):
    """PCP has no word for it; 21 is answered by 80 from here on."""
    software.reach(state).house(TaskCancelled(by="anna"))
    software.server(*(OVER if state.holds_slot else OVER[1:])).ends(State.CANCELLED)


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        (State.QUERY_VERSION, ASK),
        (State.SUBSCRIBE, (SubscribeData(),)),
        (State.NOTIFY, TELL),
        (State.WAIT_START, (EnsureSubscription(),)),
        (State.DOWNLOADING, (EnsureSubscription(),)),
        (State.EXECUTE, (ExecuteUpgrade(),)),
        (State.UPDATING, (EnsureSubscription(),)),
    ],
)
def test_what_a_restart_asks_for(software, state, asked):
    """Questions again; where the device speaks, only that it is heard."""
    software.reach(state).restart(*asked)
