"""Every path through the firmware table, as scripts. Protocol 3.3 and its notes; traps 16 to 43."""

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
from headgate.upgrade.object5 import (
    CancelObservation,
    CancelUpdate,
    ClearRefused,
    ClearUri,
    ExecuteUpdate,
    GrantDownload,
    ObservationEnded,
    ObserveRefused,
    ObserveState,
    PackageRefused,
    PackageReported,
    ReadPackage,
    ReadResult,
    ReadState,
    ReadVersion,
    ResultRefused,
    ResultReported,
    StateObserved,
    StateRefused,
    StateReported,
    UriAccepted,
    UriCleared,
    UriRefused,
    WithdrawDownload,
    WriteUri,
)
from headgate.upgrade.task import State
from negotiations import OLD, PLAN, TARGET, URI, Script, radio

GRANT_AND_WRITE = (GrantDownload(), WriteUri(uri=URI))
WRITE_TLV = (GrantDownload(), WriteUri(uri=URI, tlv=True))
UNDO = (CancelObservation(), WithdrawDownload(), AnnounceOutcome())
UNDO_OBSERVATION = (CancelObservation(), AnnounceOutcome())

IDLE, DOWNLOADING, DOWNLOADED, UPDATING = (StateReported(state=state) for state in range(4))


def succeeds(script):
    """Steps 15 and 16."""
    script.server(CancelObservation()).stands(State.UNOBSERVE)
    script.device(ObservationEnded()).server(WithdrawDownload(), AnnounceOutcome()).ends(State.SUCCESS)


# -- the whole way --


def test_a_device_is_upgraded(script):
    """Steps 1 to 16, with a device that does everything as it should."""
    script.house(Activated())
    script.device(DeviceHeard()).server(ReadVersion())
    script.device(VersionReported(version=OLD)).server(ReadRadio())
    script.device(RadioReported(radio=radio()))
    script.house(SlotGranted(awake=True)).server(ObserveState())
    script.device(StateObserved(state=0)).server(*GRANT_AND_WRITE)
    script.device(UriAccepted()).stands(State.WAIT_START)
    script.device(DOWNLOADING).stands(State.DOWNLOADING)
    script.device(DownloadStarted(), DownloadProgressed()).clock(900)
    script.device(DOWNLOADED).server(ExecuteUpdate())
    script.device(ExecuteAccepted()).stands(State.UPDATING)
    script.device(UPDATING).clock(120)
    script.device(DeviceRegistered()).server(ObserveState(), ReadResult())
    script.device(StateObserved(state=0), ResultReported(result=1))
    succeeds(script)


def test_a_liteos_device_is_upgraded(script):
    """It tells Idle by the old token after its reboot, has Result 0 at first, and then 1."""
    script.reach(State.UPDATING).device(UPDATING).clock(60)
    script.device(DeviceRegistered()).server(ObserveState(), ReadResult())
    script.device(ResultReported(result=0)).server(ReadVersion())
    script.device(StateObserved(state=0), VersionReported(version=OLD)).stands(State.WAIT_RESULT)
    script.clock(20).device(IDLE).server(ReadResult())  # the notification that was waited for
    script.device(ResultReported(result=1))
    succeeds(script)


# -- step 9: the observation, and the first reset --


@pytest.mark.parametrize("state", [1, 2, 3])
def test_a_device_that_is_not_idle_is_reset_first(script, state):
    """Empty URI, then the URI (trap 43)."""
    script.reach(State.OBSERVE).device(StateObserved(state=state)).server(ClearUri())
    script.device(UriCleared()).server(*GRANT_AND_WRITE)


def test_a_state_by_an_older_observation_does_not_count(script):
    """Without an acknowledged observation of now, some devices start nothing."""
    script.reach(State.OBSERVE).device(IDLE, DOWNLOADED, StateRefused(code="4.04")).stands(State.OBSERVE)


@pytest.mark.parametrize("code", ["4.04", "4.05", "5.00"])
def test_a_device_that_cannot_be_observed(script, code):
    """No object 5, or no observation of it."""
    script.reach(State.OBSERVE).device(ObserveRefused(code=code)).server(*UNDO_OBSERVATION)
    script.ends(State.FAILED, Failure.NOT_ONLINE, f"5/0/3: {code}")


def test_states_during_the_reset_are_those_of_before(script):
    """Late notifications must not have an old package executed."""
    script.reach(State.CLEAR_URI).device(DOWNLOADED, IDLE, UPDATING, DownloadProgressed())
    script.stands(State.CLEAR_URI).device(UriCleared()).server(*GRANT_AND_WRITE)
    script.device(DOWNLOADED, DOWNLOADING, IDLE).stands(State.WRITE_URI)


@pytest.mark.parametrize("code", ["4.00", "4.05", "5.00"])
def test_a_reset_that_is_refused(script, code):
    """An error answer to a command, not one of the cases that have a rule."""
    script.reach(State.CLEAR_URI).device(ClearRefused(code=code)).server(*UNDO_OBSERVATION)
    script.ends(State.FAILED, Failure.NOT_ONLINE, f"5/0/1: {code} (the reset was refused)")


@pytest.mark.parametrize("code", ["4.06", "4.15"])
def test_a_reset_in_another_format(script, code):
    """Text, then TLV; and the URI after it in TLV at once."""
    script.reach(State.CLEAR_URI).device(ClearRefused(code=code)).server(ClearUri(tlv=True))
    script.device(UriCleared()).server(*WRITE_TLV)


def test_a_reset_in_no_format(script):
    """Tried twice."""
    script.reach(State.CLEAR_URI).device(ClearRefused(code="4.15")).server(ClearUri(tlv=True))
    script.device(ClearRefused(code="4.15")).server(*UNDO_OBSERVATION)
    script.ends(State.FAILED, Failure.NOT_ONLINE)


# -- the same package again, off by default --

SKIPPING = replace(PLAN, skip_same_package=True)


def test_a_device_that_holds_the_package_is_not_made_to_download_it_again():
    """Same URI, same version: execute."""
    script = Script(SKIPPING).reach(State.OBSERVE).device(StateObserved(state=2)).server(ReadPackage())
    script.stands(State.COMPARE).device(PackageReported(uri=URI, version=TARGET)).server(ExecuteUpdate())


@pytest.mark.parametrize(
    "answer",
    [
        PackageReported(uri=URI, version=OLD),
        PackageReported(uri=URI + "x", version=TARGET),
        PackageRefused(code="4.04"),
    ],
)
def test_a_device_that_holds_another_package_is_reset(answer):
    """Or one that does not tell: 5/0/7 is optional."""
    script = Script(SKIPPING).reach(State.OBSERVE).device(StateObserved(state=2)).server(ReadPackage())
    script.device(DOWNLOADED, answer).server(ClearUri())


@pytest.mark.parametrize("state", [1, 3])
def test_only_a_downloaded_package_can_be_skipped(state):
    """Half a package cannot be executed."""
    Script(SKIPPING).reach(State.OBSERVE).device(StateObserved(state=state)).server(ClearUri())


def test_comparing_counts_against_the_start(script):
    """T_dl_start after the device's uplink, for the observation and for this."""
    script = Script(SKIPPING).reach(State.OBSERVE).clock(100)
    script.device(StateObserved(state=2)).server(ReadPackage()).deadline(80).server(*UNDO_OBSERVATION)
    script.ends(State.FAILED, Failure.DOWNLOAD_START_TIMEOUT)


# -- step 10: the URI and its refusals --


@pytest.mark.parametrize(
    ("code", "failure"), [("4.00", Failure.INVALID_URI), ("4.05", Failure.UPDATE_FAILED)]
)
def test_an_idle_device_that_refuses_the_uri_means_the_uri(script, code, failure):
    """4.00 in State 0 is the URI's fault, 4.05 is a device that cannot update."""
    script.reach(State.WRITE_URI).device(UriRefused(code=code)).server(ReadState())
    script.device(IDLE).server(*UNDO).ends(State.FAILED, failure, f"5/0/1: {code} (in State 0)")


@pytest.mark.parametrize("code", ["4.00", "4.05"])
@pytest.mark.parametrize("state", [1, 2, 3])
def test_a_device_in_another_state_is_reset_once_and_told_again(script, code, state):
    """Anjay answers 4.00 outside Idle, and 4.05 while Updating."""
    script.reach(State.WRITE_URI).device(UriRefused(code=code)).server(ReadState())
    script.device(StateReported(state=state)).server(ClearUri())
    script.device(UriCleared()).server(*GRANT_AND_WRITE)
    script.device(UriAccepted()).stands(State.WAIT_START)


@pytest.mark.parametrize(
    ("code", "failure"), [("4.00", Failure.INVALID_URI), ("4.05", Failure.UPDATE_FAILED)]
)
def test_there_is_one_reset(script, code, failure):
    """A device that is not Idle after it does not get another."""
    script.reach(State.WRITE_URI).device(UriRefused(code=code)).server(ReadState())
    script.device(DOWNLOADED).server(ClearUri()).device(UriCleared()).server(*GRANT_AND_WRITE)
    script.device(UriRefused(code=code)).server(ReadState()).device(DOWNLOADED).server(*UNDO)
    script.ends(State.FAILED, failure, f"5/0/1: {code} (in State 2)")


def test_the_first_reset_is_not_the_one_after_a_refusal(script):
    """A device that was not Idle at first has its retry still."""
    script.reach(State.CLEAR_URI).device(UriCleared()).server(*GRANT_AND_WRITE)
    script.device(UriRefused(code="4.00")).server(ReadState()).device(DOWNLOADED).server(ClearUri())


@pytest.mark.parametrize("code", ["4.06", "4.15"])
def test_a_format_that_is_refused_is_tried_as_tlv(script, code):
    """Once (trap 30)."""
    script.reach(State.WRITE_URI).device(UriRefused(code=code)).server(*WRITE_TLV)
    script.device(UriAccepted()).stands(State.WAIT_START)


@pytest.mark.parametrize("code", ["4.06", "4.15"])
def test_a_format_that_is_refused_twice_is_a_failed_update(script, code):
    """Neither text nor TLV."""
    script.reach(State.WRITE_URI).device(UriRefused(code="4.15")).server(*WRITE_TLV)
    script.device(UriRefused(code=code)).server(*UNDO)
    script.ends(State.FAILED, Failure.UPDATE_FAILED, f"5/0/1: {code} (as text and as TLV)")


def test_tlv_is_remembered_over_a_reset(script):
    """Format first, then State: the reset and the URI both go as TLV."""
    script.reach(State.WRITE_URI).device(UriRefused(code="4.15")).server(*WRITE_TLV)
    script.device(UriRefused(code="4.00")).server(ReadState()).device(DOWNLOADED).server(ClearUri(tlv=True))
    script.device(UriCleared()).server(*WRITE_TLV)


@pytest.mark.parametrize("code", ["4.01", "4.03", "4.04", "5.00", "5.03"])
def test_other_refusals_of_the_uri(script, code):
    """Error answers that have no rule of their own (section 3.1)."""
    script.reach(State.WRITE_URI).device(UriRefused(code=code)).server(*UNDO)
    script.ends(State.FAILED, Failure.NOT_ONLINE, f"5/0/1: {code}")


@pytest.mark.parametrize("event", [DownloadStarted(), DownloadProgressed()])
@pytest.mark.parametrize("state", [State.WRITE_URI, State.CHECK_URI])
def test_who_asks_for_a_block_has_taken_the_uri(script, state, event):
    """The 2.04 was lost, and what was refused was its repetition."""
    script.reach(state).device(event).stands(State.DOWNLOADING)
    script.device(UriAccepted(), UriRefused(code="4.00")).stands(State.DOWNLOADING)


def test_the_first_writing_was_taken_after_all(script):
    """Its 2.04 comes after the refusal of a repetition."""
    script.reach(State.CHECK_URI).device(UriAccepted()).stands(State.WAIT_START)


def test_a_refuser_that_does_not_tell_its_state(script):
    """An error answer to a command."""
    script.reach(State.CHECK_URI).device(StateRefused(code="4.04")).server(*UNDO)
    script.ends(State.FAILED, Failure.NOT_ONLINE, "5/0/3: 4.04")


def test_writing_the_uri_counts_as_one_stage(script):
    """Reset, URI, refusal, reset, URI: T_dl_start for all of it."""
    script.reach(State.CLEAR_URI).clock(60).device(UriCleared()).server(*GRANT_AND_WRITE)
    script.clock(60).device(UriRefused(code="4.00")).server(ReadState())
    script.clock(30).device(DOWNLOADED).server(ClearUri())
    script.deadline(30).server(*UNDO).ends(State.FAILED, Failure.DOWNLOAD_START_TIMEOUT)


# -- step 11: the download --


@pytest.mark.parametrize(
    "start", [DOWNLOADING, DownloadStarted(), DownloadProgressed(), StateObserved(state=1)]
)
def test_state_1_or_a_get_at_the_edge_is_the_start(script, start):
    """Whichever is seen first."""
    script.reach(State.WAIT_START).clock(170).device(start).stands(State.DOWNLOADING).clock(3000)


def test_a_download_that_does_not_start(script):
    """T_dl_start, from the acknowledgement."""
    script.reach(State.WRITE_URI).clock(100).device(UriAccepted()).deadline(180).server(*UNDO)
    detail = "waited 180 s for the device to begin its download"
    script.ends(State.FAILED, Failure.DOWNLOAD_START_TIMEOUT, detail)


def test_a_download_that_does_not_end(script):
    """T_download, from the acknowledgement and not from the start, even while blocks flow (note c)."""
    script.reach(State.WAIT_START).clock(100).device(DOWNLOADING, DownloadProgressed())
    script.deadline(3500).server(*UNDO).ends(State.FAILED, Failure.DOWNLOADED_TIMEOUT)


def test_a_download_may_last_while_it_progresses():
    """Where the operator sets no_progress_timeout (design, decision 4)."""
    timers = replace(PLAN.timers, no_progress_s=600.0, poll_s=1e9)
    script = Script(replace(PLAN, timers=timers)).reach(State.DOWNLOADING)
    for _ in range(20):
        script.clock(590).device(DownloadProgressed())
    script.deadline(600).server(*UNDO).ends(State.FAILED, Failure.DOWNLOADED_TIMEOUT)


def test_a_download_without_any_progress_ends_early_then():
    """The same clock runs from the start."""
    script = Script(replace(PLAN, timers=replace(PLAN.timers, no_progress_s=600.0))).reach(State.DOWNLOADING)
    script.deadline(600).server(*UNDO).ends(State.FAILED, Failure.DOWNLOADED_TIMEOUT)


def test_state_0_asks_for_the_reason(script):
    """The device gave up; the result says why."""
    script.reach(State.DOWNLOADING).device(IDLE).server(ReadResult())
    script.device(ResultReported(result=4)).server(*UNDO)
    script.ends(State.FAILED, Failure.CONNECTION_LOST, "5/0/5: 4")


def test_states_are_merged_to_failure(script):
    """0, 1 and 0 again before anything was notified."""
    script.reach(State.WAIT_START).device(IDLE).server(ReadResult())
    script.device(ResultReported(result=7)).server(*UNDO).ends(State.FAILED, Failure.INVALID_URI)


@pytest.mark.parametrize("state", [State.WAIT_START, State.DOWNLOADING])
@pytest.mark.parametrize("result", [0, 11])
def test_state_0_without_a_reason_waits_on(script, state, result):
    """A State from before the URI was taken, or a device that will resume: the clock decides."""
    deadline_s = script.reach(state).task.deadline_s
    script.device(IDLE).server(ReadResult()).device(ResultReported(result=result))
    script.stands(state, deadline_s=deadline_s)


@pytest.mark.parametrize("state", [State.WAIT_START, State.DOWNLOADING])
def test_state_2_is_downloaded_whatever_was_seen_before(script, state):
    """0 to 2 in one go (trap 16)."""
    script.reach(state).device(DOWNLOADED).server(ExecuteUpdate())


@pytest.mark.parametrize("state", [State.WAIT_START, State.DOWNLOADING])
def test_state_3_is_a_device_that_updates_by_itself(script, state):
    """5/0/14: no Execute."""
    script.reach(state).device(UPDATING).stands(State.UPDATING)


@pytest.mark.parametrize("state", [State.WAIT_START, State.DOWNLOADING])
def test_result_1_is_success_whatever_was_missed(script, state):
    """1 to 0 in one go: downloaded, updated, done."""
    script.reach(state).device(StateObserved(state=0)).server(ReadResult())
    script.device(ResultReported(result=1))
    succeeds(script)


def test_a_download_goes_on_over_a_new_registration(script):
    """Observe again, and go on where it stands (traps 17, 26, 36)."""
    deadline_s = script.reach(State.DOWNLOADING).task.deadline_s
    script.device(DeviceRegistered()).server(ObserveState())
    script.device(StateObserved(state=1)).stands(State.DOWNLOADING, deadline_s=deadline_s)
    script.device(DOWNLOADED).server(ExecuteUpdate())


def test_a_device_that_finished_while_it_was_away(script):
    """The new observation's answer says so."""
    script.reach(State.DOWNLOADING).device(DeviceRegistered()).server(ObserveState())
    script.device(StateObserved(state=2)).server(ExecuteUpdate())


@pytest.mark.parametrize("uplink", [DeviceHeard(), DownloadProgressed()])
def test_a_state_is_asked_for_when_none_was_seen_for_five_minutes(script, uplink):
    """And an uplink shows that the device is awake; then not again for five minutes."""
    script.reach(State.DOWNLOADING).clock(299).device(uplink)
    script.clock(1).device(uplink).server(ReadState())
    script.clock(299).device(uplink).clock(1).device(uplink).server(ReadState())
    script.device(DOWNLOADING).clock(299).device(uplink)
    script.clock(1).device(uplink).server(ReadState()).device(DOWNLOADED).server(ExecuteUpdate())


@pytest.mark.parametrize("refusal", [StateRefused(code="5.03"), CommandReset(), ObserveRefused(code="4.04")])
def test_a_poll_that_is_refused_is_no_failure(script, refusal):
    """The step does not wait for it."""
    script.reach(State.DOWNLOADING).device(refusal).stands(State.DOWNLOADING)


# -- step 12: execute --


def test_execute_refused_once_is_tried_again(script):
    """4.xx, and the State is still 2."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(DOWNLOADED).server(ExecuteUpdate()).device(ExecuteAccepted()).stands(State.UPDATING)


def test_execute_refused_twice_is_a_failed_update(script):
    """One repetition."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(DOWNLOADED).server(ExecuteUpdate()).device(ExecuteRefused(code="4.00")).server(ReadState())
    script.device(DOWNLOADED).server(*UNDO)
    script.ends(State.FAILED, Failure.UPDATE_FAILED, "5/0/2: 4.00 (in State 2)")


def test_execute_refused_by_a_device_that_lost_its_package(script):
    """Another State than 0 to 3."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(StateReported(state=4)).server(*UNDO)
    script.ends(State.FAILED, Failure.UPDATE_FAILED, "5/0/2: 4.05 (in State 4)")


def test_execute_refused_by_a_device_that_updates(script):
    """It went on by itself, or took an Execute whose answer was lost."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(UPDATING).stands(State.UPDATING)


def test_execute_refused_by_a_device_that_is_through(script):
    """Idle: the result says how."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(IDLE).server(ReadResult()).device(ResultReported(result=1))
    succeeds(script)


def test_execute_refused_by_a_server_error(script):
    """An error answer without a rule."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="5.00")).server(*UNDO)
    script.ends(State.FAILED, Failure.NOT_ONLINE, "5/0/2: 5.00")


def test_a_late_acceptance_counts(script):
    """Two Executes, two answers, the refusal first."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(ExecuteAccepted()).stands(State.UPDATING)


def test_the_state_of_a_refuser_of_execute_is_refused(script):
    """An error answer to a command."""
    script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.device(StateRefused(code="4.04")).server(*UNDO).ends(State.FAILED, Failure.NOT_ONLINE)


def test_execute_counts_as_one_stage(script):
    """T_up_start for Execute, its refusal and its repetition."""
    script.reach(State.EXECUTE).clock(100).device(ExecuteRefused(code="4.05")).server(ReadState())
    script.clock(50).device(DOWNLOADED).server(ExecuteUpdate())
    script.deadline(30).server(*UNDO).ends(State.FAILED, Failure.UPDATE_START_TIMEOUT)


def test_state_3_is_an_answer_to_execute(script):
    """The 2.04 was lost."""
    script.reach(State.EXECUTE).device(UPDATING).stands(State.UPDATING)


def test_state_0_after_execute_asks_for_the_result(script):
    """The whole update between two reports."""
    script.reach(State.EXECUTE).device(IDLE).server(ReadResult()).device(ResultReported(result=8))
    script.server(*UNDO).ends(State.FAILED, Failure.UPDATE_FAILED, "5/0/5: 8")


def test_execute_over_a_new_registration(script):
    """Observe again: the State tells whether Execute was heard."""
    script.reach(State.EXECUTE).device(DeviceRegistered()).server(ObserveState())
    script.device(StateObserved(state=2)).stands(State.EXECUTE)
    script.device(StateObserved(state=0)).server(ReadResult())


def test_a_device_with_automatic_upgrade_is_not_told_to():
    """5/0/14 is true: in EXECUTE, State 3 is waited for."""
    script = Script(replace(PLAN, automatic_upgrade=True)).reach(State.DOWNLOADING)
    script.device(DOWNLOADED).stands(State.EXECUTE).device(UPDATING).stands(State.UPDATING)


# -- steps 13 and 14: the update and its result --


@pytest.mark.parametrize("state", [0, 2])
def test_state_0_or_2_asks_for_the_result(script, state):
    """Idle after success; Downloaded with Result 8 after failure."""
    script.reach(State.UPDATING).device(StateReported(state=state)).server(ReadResult())


def test_states_1_and_3_are_no_news_while_updating(script):
    """The device is still there."""
    script.reach(State.UPDATING).device(UPDATING, DOWNLOADING, StateObserved(state=3)).stands(State.UPDATING)


def test_the_version_decides_where_the_result_stays_0(script):
    """Some devices never tell a result (trap 23)."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=TARGET))
    succeeds(script)


def test_result_0_while_updating_is_not_the_end(script):
    """Registered again in the middle: back to UPDATING, with what T_update leaves."""
    script.reach(State.UPDATING).clock(100).device(DeviceRegistered()).server(ObserveState(), ReadResult())
    script.device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).server(ReadState())
    script.clock(100).device(UPDATING).stands(State.UPDATING)
    script.deadline(1600).server(ReadResult(), ReadVersion()).stands(State.CHECK)


def test_state_2_with_result_0_is_a_device_that_has_not_begun(script):
    """A repeated notification of State 2: nothing is decided."""
    script.reach(State.UPDATING).device(DOWNLOADED).server(ReadResult())
    script.device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).stands(State.UPDATING)


def test_result_0_and_idle_is_read_once_more_after_60_s(script):
    """Right after its reboot the LiteOS client shows 0 and 0; then it may still be 1."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).stands(State.WAIT_RESULT)
    script.deadline(60).server(ReadResult()).stands(State.READ_RESULT)
    script.device(ResultReported(result=1))
    succeeds(script)


def test_result_0_and_idle_twice_is_a_failed_update(script):
    """Read once, and once more."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).deadline(60).server(ReadResult())
    script.device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).server(ReadState())
    script.device(IDLE).server(*UNDO)
    script.ends(State.FAILED, Failure.UPDATE_FAILED, "5/0/5: 0 (State 0, version V1.0)")


def test_a_device_that_reboots_twice_has_its_60_s_twice(script):
    """Back in UPDATING, the next return is a new one."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).deadline(60).server(ReadResult())
    script.device(UPDATING, ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).stands(State.UPDATING)
    script.device(IDLE).server(ReadResult()).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).stands(State.WAIT_RESULT)


def test_each_return_is_asked_anew(script):
    """What a device said after its last reboot is not what it says after this one."""
    script.reach(State.UPDATING)
    for state in (UPDATING, IDLE):
        script.device(DeviceRegistered()).server(ObserveState(), ReadResult())
        script.device(ResultReported(result=0)).server(ReadVersion())
        script.device(VersionReported(version=OLD)).server(ReadState()).device(state)
    script.stands(State.WAIT_RESULT)


def test_the_order_of_the_answers_does_not_matter(script):
    """A version that comes by itself, before the result, is weighed with it."""
    script.reach(State.READ_RESULT).device(VersionReported(version=OLD), IDLE)
    script.device(ResultReported(result=0)).stands(State.WAIT_RESULT)


def test_the_target_version_ends_the_wait_for_a_result(script):
    """Whenever it is told."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD), VersionReported(version=OLD), DOWNLOADING)
    script.device(ResultReported(result=0)).stands(State.WAIT_RESULT)
    script.device(VersionReported(version=TARGET))
    succeeds(script)


@pytest.mark.parametrize("state", [State.READ_RESULT, State.WAIT_RESULT])
def test_a_device_that_returns_again_is_observed_again(script, state):
    """A second reboot while its result is read."""
    script.reach(State.READ_RESULT)
    if state is State.WAIT_RESULT:
        script.device(ResultReported(result=0)).server(ReadVersion()).device(VersionReported(version=OLD))
        script.device(DeviceRegistered()).server(ObserveState(), ReadResult())
    else:
        script.device(DeviceRegistered()).server(ObserveState())
    script.stands(state)


def test_a_device_that_updates_again_is_waited_for(script):
    """State 3 after State 0, while a result was waited for."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD)).device(UPDATING).stands(State.UPDATING)


@pytest.mark.parametrize("state", [State.UPDATING, State.READ_RESULT])
def test_a_postponed_update_is_waited_for(script, state):
    """Result 11: stay in UPDATING until T_update (LwM2M 1.1)."""
    script.reach(state).device(ResultReported(result=11)).stands(State.UPDATING)
    script.deadline(1800).server(ReadResult(), ReadVersion())


def test_a_postponement_during_the_wait_for_a_result(script):
    """The same from WAIT_RESULT."""
    script.reach(State.READ_RESULT).device(ResultReported(result=0)).server(ReadVersion())
    script.device(VersionReported(version=OLD), ResultReported(result=11)).stands(State.UPDATING)


@pytest.mark.parametrize("state", [State.UPDATING, State.READ_RESULT])
@pytest.mark.parametrize("result", [0, 1])
def test_a_result_that_the_device_sends_by_itself(script, state, result):
    """1 is the end, 0 is none."""
    script.reach(state).device(ResultReported(result=result))
    if result:
        succeeds(script)
    else:
        script.server(*[ReadVersion()] * (state is State.READ_RESULT)).stands(state)


@pytest.mark.parametrize(
    "refusal",
    [
        ResultRefused(code="4.04"),
        VersionRefused(code="4.05"),
        StateRefused(code="5.03"),
        CommandReset(command="5/0/5"),
    ],
)
def test_an_error_instead_of_a_result_leads_to_the_check(script, refusal):
    """No answer, no result: the version is asked for."""
    script.reach(State.READ_RESULT).device(refusal).server(ReadResult(), ReadVersion()).stands(State.CHECK)


def test_no_result_for_three_minutes_leads_to_the_check(script):
    """READ_RESULT's own timer."""
    script.reach(State.READ_RESULT).deadline(180).server(ReadResult(), ReadVersion()).stands(State.CHECK)


def test_an_update_is_asked_for_its_state_every_five_minutes(script):
    """At an uplink; T_update goes on."""
    script.reach(State.UPDATING).clock(400).device(DeviceHeard()).server(ReadState())
    script.device(UPDATING).clock(100).device(DeviceHeard()).stands(State.UPDATING)


# -- the check --


def check(script):
    """T_update passes without a word."""
    return script.reach(State.UPDATING).deadline(1800).server(ReadResult(), ReadVersion())


def test_the_check_finds_the_target_version(script):
    """Success, though nothing was reported."""
    check(script).device(ResultReported(result=0), VersionReported(version=TARGET)).server(*UNDO)
    script.ends(State.SUCCESS)


def test_the_check_finds_a_success(script):
    """Result 1 is one, before any version."""
    check(script).device(ResultReported(result=1)).server(*UNDO).ends(State.SUCCESS)


def test_the_check_finds_another_version(script):
    """The version decides; the result stands beside it."""
    check(script).device(ResultReported(result=8), VersionReported(version=OLD)).server(*UNDO)
    script.ends(State.FAILED, Failure.RESULT_TIMEOUT, "3/0/3: V1.0 (Update Result 8)")


def test_the_check_finds_nobody(script):
    """T_check."""
    check(script).deadline(180).server(*UNDO)
    script.ends(State.FAILED, Failure.CHECK_TIMEOUT, "3/0/3: no answer")


@pytest.mark.parametrize(
    ("refusal", "code"), [(VersionRefused(code="5.03"), "5.03"), (CommandReset(command="3/0/3"), "RST")]
)
def test_the_check_is_refused(script, refusal, code):
    """An error is no version; the device may still come to itself."""
    check(script).device(refusal).stands(State.CHECK).deadline(180).server(*UNDO)
    script.ends(State.FAILED, Failure.CHECK_TIMEOUT, f"3/0/3: {code}")


@pytest.mark.parametrize("state", [0, 2])
def test_the_check_asks_again_when_the_device_shows_up(script, state):
    """It was rebooting when it was asked."""
    check(script).device(DeviceRegistered()).server(ObserveState(), ReadResult(), ReadVersion())
    script.device(StateObserved(state=state)).server(ReadResult(), ReadVersion())
    script.device(StateReported(state=3)).stands(State.CHECK)
    script.device(VersionReported(version=TARGET)).server(*UNDO).ends(State.SUCCESS)


def early_check(script):
    """No answer to READ_RESULT at 180 s: T_update has 1620 s left."""
    return script.reach(State.READ_RESULT).deadline(180).server(ReadResult(), ReadVersion())


def test_an_early_check_waits_for_the_end_of_the_update(script):
    """T_check counts from T_update's end: a device may reboot for longer than three minutes."""
    early_check(script).deadline(1620 + 180).server(*UNDO).ends(State.FAILED, Failure.CHECK_TIMEOUT)


def test_another_version_in_an_early_check_is_no_answer_yet(script):
    """The device is not through; it is asked again, and at the end the answer counts."""
    early_check(script).device(ResultReported(result=0), VersionReported(version=OLD)).stands(State.CHECK)
    script.clock(600).device(DeviceHeard()).server(ReadState())
    script.device(IDLE).server(ReadResult(), ReadVersion())
    script.device(VersionReported(version=OLD))
    script.deadline(1200).server(*UNDO)
    script.ends(State.FAILED, Failure.RESULT_TIMEOUT, "3/0/3: V1.0 (Update Result 0)")


def test_the_target_version_in_an_early_check_is_success(script):
    """Once the device is through."""
    early_check(script).device(VersionReported(version=OLD)).clock(600).device(DeviceRegistered())
    script.server(ObserveState(), ReadResult(), ReadVersion())
    script.device(VersionReported(version=TARGET)).server(*UNDO).ends(State.SUCCESS)


def test_a_version_from_before_is_no_answer_to_the_check(script):
    """It was told while the result was waited for; in the check nobody answers."""
    script.reach(State.READ_RESULT).device(VersionReported(version=OLD))
    script.deadline(180).server(ReadResult(), ReadVersion())
    script.deadline(1620 + 180).server(*UNDO)
    script.ends(State.FAILED, Failure.CHECK_TIMEOUT, "3/0/3: no answer")


# -- steps 15 and 16 --


@pytest.mark.parametrize(
    "end",
    [
        ObservationEnded(),
        CommandReset(command="5/0/3"),
        CommandUnanswered(),
        DeviceRegistered(),
        DeviceDeregistered(),
        RegistrationExpired(),
    ],
)
def test_ending_the_observation_is_best_effort(script, end):
    """Whatever comes of it, the task succeeded."""
    script.reach(State.READ_RESULT).device(ResultReported(result=1)).server(CancelObservation())
    script.device(IDLE, DeviceHeard()).stands(State.UNOBSERVE)
    script.device(end).server(WithdrawDownload(), AnnounceOutcome()).ends(State.SUCCESS)


def test_ending_the_observation_does_not_take_for_ever(script):
    """MAX_TRANSMIT_WAIT: the slot is wanted by others."""
    script.reach(State.READ_RESULT).device(ResultReported(result=1)).server(CancelObservation())
    script.deadline(93).server(WithdrawDownload(), AnnounceOutcome()).ends(State.SUCCESS)


@pytest.mark.parametrize(
    ("state", "undone"),
    [
        (State.OBSERVE, UNDO_OBSERVATION),
        (State.CLEAR_URI, (CancelUpdate(), *UNDO_OBSERVATION)),
        (State.WRITE_URI, (CancelUpdate(), *UNDO)),
        (State.CHECK_URI, (CancelUpdate(), *UNDO)),
        (State.WAIT_START, (CancelUpdate(), *UNDO)),
        (State.DOWNLOADING, (CancelUpdate(), *UNDO)),
        (State.EXECUTE, (CancelUpdate(), *UNDO)),
        (State.UPDATING, UNDO),
        (State.READ_RESULT, UNDO),
    ],
)
def test_cancelled_in_the_middle(script, state, undone):
    """The device is told to forget the package, until it was told to update: then it cannot (4.05)."""
    script.reach(state).house(TaskCancelled()).server(*undone).ends(State.CANCELLED, detail="cancelled")


def test_the_result_of_our_own_cancelling_changes_nothing(script):
    """Result 10 after CancelUpdate (section 3.6)."""
    script.reach(State.DOWNLOADING).house(TaskCancelled()).server(CancelUpdate(), *UNDO)
    script.device(IDLE, ResultReported(result=10), DeviceRegistered()).ends(State.CANCELLED)
