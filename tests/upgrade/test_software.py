"""Every path through the software table, as scripts. Protocol 3.2 and its notes, 1.10; traps 19 to 36."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.upgrade.events import (
    Activated,
    AnnounceOutcome,
    CommandReset,
    CommandUnanswered,
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    ExecuteAccepted,
    ExecuteRefused,
    RadioReported,
    ReadRadio,
    RegistrationExpired,
    SlotGranted,
    TaskCancelled,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object19 import (
    AnswerSegment,
    ConfirmDownload,
    ConfirmUpgrade,
    DataObserved,
    DownloadReported,
    EnsureSubscription,
    ExecuteDeclined,
    ExecuteUpgrade,
    FrameDelivered,
    GrantSegments,
    NotificationAccepted,
    NotificationDeclined,
    NotificationRefused,
    NotifyVersion,
    QueryVersion,
    SegmentRequested,
    SubscribeData,
    SubscriptionRefused,
    UpgradeReported,
    WithdrawSegments,
)
from headgate.upgrade.task import Mark, State
from negotiations import OLD, SOFTWARE_PLAN, TARGET, Script, radio

ASK = (EnsureSubscription(), QueryVersion())
TELL = (EnsureSubscription(), GrantSegments(), NotifyVersion())
OVER = (WithdrawSegments(), AnnounceOutcome())
NO_TASK, NO_SEGMENT = 0x80, 0x81
DOWNLOADED = DownloadReported(result=0)
DONE = UpgradeReported(result=0, version=TARGET)


def segment(index, version=TARGET):
    """21."""
    return SegmentRequested(version=version, segment_index=index)


def served(index, result=0):
    """Its answer."""
    return AnswerSegment(segment_index=index, result=result)


def to_slot(script):
    """Steps 1 to 9."""
    script.house(Activated()).device(DeviceHeard()).server(*ASK)
    script.device(FrameDelivered(), VersionReported(version=OLD)).server(SubscribeData())
    script.device(DataObserved()).server(ReadRadio())
    script.device(RadioReported(radio=radio())).stands(State.WAIT_SLOT)
    return script.house(SlotGranted(awake=True)).server(*TELL)


# -- the whole way --


def test_a_device_is_upgraded(software):
    """Steps 1 to 15: the generation that answers 20."""
    to_slot(software).device(FrameDelivered(), NotificationAccepted()).stands(State.WAIT_START)
    for index in range(3):
        software.device(segment(index)).server(served(index)).device(FrameDelivered())
    software.stands(State.DOWNLOADING)
    software.device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade()).stands(State.EXECUTE)
    software.device(ExecuteAccepted()).stands(State.UPDATING)
    software.clock(40).device(DeviceRegistered()).server(EnsureSubscription())
    software.device(DONE).server(ConfirmUpgrade(), *OVER).ends(State.SUCCESS)


def test_the_older_generation_goes_straight_to_21(software):
    """A segment request is as good as the answer to 20, and is answered (section 1.5)."""
    to_slot(software).device(segment(0)).server(served(0)).stands(State.DOWNLOADING)
    software.device(segment(1)).server(served(1)).device(segment(2)).server(served(2))
    software.device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade())
    software.device(DONE).server(ConfirmUpgrade(), *OVER).ends(State.SUCCESS)


@pytest.mark.parametrize("state", [State.NOTIFY, State.WAIT_START, State.COMPARE, State.DOWNLOADING])
def test_a_device_that_holds_every_segment_says_22_at_once(software, state):
    """Same version, same check code: nothing to download."""
    software.reach(state).device(DOWNLOADED).server(ConfirmDownload(), ExecuteUpgrade())
    software.stands(State.EXECUTE)


@pytest.mark.parametrize("event", [DownloadStarted(), DownloadProgressed()])
@pytest.mark.parametrize("state", [State.NOTIFY, State.WAIT_START, State.COMPARE])
def test_segments_that_are_served_natively_begin_a_download_too(software, state, event):
    """The edge tells of the first; nobody asks for an answer."""
    software.reach(state).device(event).stands(State.DOWNLOADING)


def test_a_device_on_the_target_version_is_left_alone(software):
    """Step 5."""
    software.reach(State.QUERY_VERSION).device(VersionReported(version=TARGET)).server(AnnounceOutcome())
    software.ends(State.DONE_SAME, detail="PCP 19: V1.1 (current version is the same as the target version)")


# -- step 4: what 19 proves --


def test_a_retried_task_does_not_believe_19(software):
    """After an earlier 20 some devices name the target version, upgraded or not (trap 33)."""
    script = Script(SOFTWARE_PLAN, notified_before=True).reach(State.QUERY_VERSION)
    script.device(VersionReported(version=TARGET)).server(SubscribeData()).stands(State.SUBSCRIBE)
    script.device(DataObserved()).server(ReadRadio()).device(RadioReported(radio=radio()))
    script.house(SlotGranted(awake=True)).server(*TELL)
    script.device(NotificationDeclined(result=3)).server(QueryVersion())
    script.device(VersionReported(version=TARGET)).server(*OVER).ends(State.DONE_SAME)


def test_a_retried_task_of_a_device_in_mid_download_goes_on(software):
    """It names the target version, and has half of the package: 20 makes it go on."""
    script = Script(SOFTWARE_PLAN, notified_before=True).reach(State.QUERY_VERSION)
    script.device(VersionReported(version=TARGET)).server(SubscribeData()).device(DataObserved())
    script.server(ReadRadio()).device(RadioReported(radio=radio()))
    script.house(SlotGranted(awake=True)).server(*TELL)
    script.device(segment(2)).server(served(2)).stands(State.DOWNLOADING)


@pytest.mark.parametrize("code", ["01", "7F", "4.04", "5.03"])
def test_a_version_that_is_refused(software, code):
    """By PCP or by CoAP: not online."""
    software.reach(State.QUERY_VERSION).device(VersionRefused(code=code)).server(AnnounceOutcome())
    software.ends(State.FAILED, Failure.NOT_ONLINE, f"PCP 19: {code}")


# -- step 6: subscribe --


@pytest.mark.parametrize("answer", [SubscriptionRefused(code="4.05"), CommandReset(command="19/0/0")])
def test_the_observation_of_the_registration_will_do(software, answer):
    """It brought the version, so it delivers."""
    software.reach(State.SUBSCRIBE).device(answer).server(ReadRadio()).stands(State.QUERY_RADIO)


def test_a_subscription_that_is_not_answered_will_do_too(software):
    """The step is nominal; the same observation stands."""
    software.reach(State.SUBSCRIBE).deadline(180).server(ReadRadio())


@pytest.mark.parametrize(
    ("answer", "detail"),
    [(SubscriptionRefused(code="4.05"), "19/0/0: 4.05"), (CommandReset(), "19/0/0: RST")],
)
def test_without_any_observation_the_device_is_not_online(software, answer, detail):
    """A new Register ended the one that brought the version."""
    software.reach(State.SUBSCRIBE).device(DeviceRegistered()).server(SubscribeData())
    software.device(answer).server(AnnounceOutcome()).ends(State.FAILED, Failure.NOT_ONLINE, detail)


def test_without_any_observation_time_is_limited(software):
    """The same in silence."""
    software.reach(State.SUBSCRIBE).device(DeviceRegistered()).server(SubscribeData())
    software.deadline(180).server(AnnounceOutcome()).ends(State.FAILED, Failure.NOT_ONLINE)


# -- after every Register: observe again (trap 36) --


OBSERVED_AGAIN = {
    State.QUERY_VERSION: (EnsureSubscription(), QueryVersion()),
    State.SUBSCRIBE: (SubscribeData(),),
    State.QUERY_RADIO: (EnsureSubscription(),),
    State.QUERY_CELL: (EnsureSubscription(),),
    State.WAIT_SLOT: (EnsureSubscription(),),
    State.WAIT_AWAKE: TELL,
    State.NOTIFY: (EnsureSubscription(), NotifyVersion()),
    State.COMPARE: (EnsureSubscription(), QueryVersion()),
    State.WAIT_START: (EnsureSubscription(), NotifyVersion()),
    State.DOWNLOADING: (EnsureSubscription(), NotifyVersion()),
    State.EXECUTE: (EnsureSubscription(),),
    State.UPDATING: (EnsureSubscription(),),
}


@pytest.mark.parametrize("state", OBSERVED_AGAIN)
def test_a_new_register_is_followed_by_an_observation(software, state):
    """And where a question is open, by that: the device has rebooted, and may have lost it."""
    software.reach(state).device(DeviceRegistered()).server(*OBSERVED_AGAIN[state])
    assert software.task.state is (State.NOTIFY if state is State.WAIT_AWAKE else state)


def test_a_device_that_lost_its_power_resumes_where_it_says(software):
    """At any segment; the generation that keeps nothing starts again at 0."""
    for resumed in range(3):
        script = Script(SOFTWARE_PLAN).reach(State.DOWNLOADING)
        script.device(segment(1)).server(served(1))
        script.device(DeviceRegistered()).server(EnsureSubscription(), NotifyVersion())
        script.device(NotificationAccepted()).device(segment(resumed)).server(served(resumed))
        script.stands(State.DOWNLOADING)


# -- questions are repeated --


REPEATED = {
    State.QUERY_VERSION: QueryVersion(),
    State.NOTIFY: NotifyVersion(),
    State.WAIT_START: NotifyVersion(),
    State.COMPARE: QueryVersion(),
    State.EXECUTE: ExecuteUpgrade(),
}


@pytest.mark.parametrize("state", REPEATED)
def test_a_question_is_repeated_at_another_uplink_after_30_s(software, state):
    """Three transmissions at most, 30 s apart, within the timer of the step (section 1.10)."""
    question = REPEATED[state]
    software.reach(state)
    deadline_s = software.task.deadline_s
    software.clock(29).device(DeviceHeard()).clock(1).device(DeviceHeard()).server(question)
    software.clock(29).device(DeviceHeard()).clock(1).device(DeviceHeard()).server(question)
    software.clock(60).device(DeviceHeard()).device(DeviceHeard()).stands(state, deadline_s=deadline_s)


@pytest.mark.parametrize("state", REPEATED)
def test_silence_draws_no_repetition(software, state):
    """Nobody is there to hear it; nor is the delivery of a frame a reason, its answer is on its way."""
    software.reach(state).clock(100).device(FrameDelivered(), CommandUnanswered()).stands(state)


def test_each_state_has_its_own_repetitions(software):
    """What one used up, the next has again."""
    software.reach(State.NOTIFY)
    for _ in range(2):
        software.clock(30).device(DeviceHeard()).server(NotifyVersion())
    software.device(NotificationAccepted())
    for _ in range(2):
        software.clock(30).device(DeviceHeard()).server(NotifyVersion())
    software.clock(40).device(DeviceHeard()).stands(State.WAIT_START)


def test_registers_do_not_repeat_a_question_without_end(software):
    """They count like other uplinks."""
    software.reach(State.NOTIFY)
    for _ in range(2):
        software.device(DeviceRegistered()).server(EnsureSubscription(), NotifyVersion())
    software.device(DeviceRegistered()).server(EnsureSubscription())


# -- step 10: the notification --


def test_a_device_that_has_the_newest_version_is_asked_for_it(software):
    """03, then 19: the target version."""
    software.reach(State.NOTIFY).device(NotificationDeclined(result=3)).server(QueryVersion())
    software.device(VersionReported(version=TARGET)).server(*OVER)
    software.ends(State.DONE_SAME, detail="PCP 20: 03 (current version is the same as the target version)")


def test_a_newest_version_that_is_another(software):
    """03, then 19: not the target version."""
    software.reach(State.COMPARE).device(VersionReported(version=OLD)).server(*OVER)
    software.ends(State.FAILED, Failure.UPDATE_FAILED, "PCP 20: 03 (already newest, but version V1.0)")


@pytest.mark.parametrize("state", [State.NOTIFY])
@pytest.mark.parametrize("code", ["4.04", "4.15", "5.00"])
def test_a_notification_that_coap_refuses(software, state, code):
    """The device answered the command by an error (section 3.1)."""
    software.reach(state).device(NotificationRefused(code=code)).server(*OVER)
    software.ends(State.FAILED, Failure.NOT_ONLINE, f"PCP 20: {code}")


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
    software.clock(299).device(DeviceHeard()).clock(1).device(DeviceHeard()).server(NotifyVersion())
    software.device(NotificationAccepted()).clock(299).device(DeviceHeard())
    software.clock(1).device(DeviceHeard()).server(NotifyVersion()).stands(State.DOWNLOADING)


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
    software.device(DeviceHeard()).clock(1).device(DeviceHeard()).server(NotifyVersion())


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
    software.reach(State.EXECUTE).clock(10).device(DeviceRegistered()).server(EnsureSubscription())
    software.clock(20).device(DeviceRegistered()).server(EnsureSubscription(), ExecuteUpgrade())
    assert Mark.REGISTERED in software.task.marks


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
    """At other uplinks, after 30 s."""
    check(software, registered=True).clock(30).device(DeviceHeard()).server(QueryVersion())
    software.clock(30).device(DeviceHeard()).server(QueryVersion()).clock(60).device(DeviceHeard())


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
