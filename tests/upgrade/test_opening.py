"""From the campaign's start to the slot: published steps 1 to 8, the same for firmware and software."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.upgrade.events import (
    Activated,
    AnnounceOutcome,
    CellRefused,
    CellReported,
    CommandReset,
    CommandUnanswered,
    Conflicted,
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    RadioRefused,
    RadioReported,
    ReadCell,
    ReadRadio,
    RegistrationExpired,
    SlotGranted,
    SlotRevoked,
    TaskCancelled,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object5 import CancelObservation, ObserveState, ReadVersion
from headgate.upgrade.radio import Cell, Measurement, RadioClass
from headgate.upgrade.task import State, Timers
from negotiations import OLD, PLAN, TARGET, Script, radio


def test_a_task_waits_for_its_device_then_asks_version_and_radio(script):
    """Steps 1 to 8, with a device that answers everything."""
    script.house(Activated()).stands(State.WAIT_ONLINE)
    script.clock(60).device(DeviceHeard()).server(ReadVersion())
    script.stands(State.QUERY_VERSION, entered_s=script.now, stage_s=script.now)
    script.device(VersionReported(version=OLD)).server(ReadRadio())
    script.device(RadioReported(radio=radio())).stands(State.WAIT_SLOT, version=OLD, queued_s=script.now)
    script.house(SlotGranted(awake=True)).server(ObserveState())


@pytest.mark.parametrize(
    "uplink", [DeviceHeard(), DeviceRegistered(), CommandReset(), VersionRefused(code="4.04")]
)
def test_any_uplink_is_proof_of_being_online(script, uplink):
    """Register, Update, notification, an answer to somebody else's question (section 3.1)."""
    script.reach(State.WAIT_ONLINE).device(uplink).server(ReadVersion())


@pytest.mark.parametrize("absence", [DeviceDeregistered(), RegistrationExpired()])
def test_a_device_that_is_waited_for_may_go(script, absence):
    """Deregistration in WAIT_ONLINE is not a failure: T_online governs."""
    script.reach(State.WAIT_ONLINE).device(absence).stands(State.WAIT_ONLINE)


def test_device_on_the_target_version_is_left_alone(script):
    """Same version: no upgrade is required (OTA guide, step 5)."""
    script.reach(State.QUERY_VERSION).device(VersionReported(version=TARGET)).server(AnnounceOutcome())
    script.ends(State.DONE_SAME, detail="3/0/3: V1.1 (current version is the same as the target version)")


@pytest.mark.parametrize("version", ["v1.1", "V1.1 ", "V1.10", "1.1", "", "V1.1\0"])
def test_versions_are_compared_byte_for_byte(script, version):
    """No case, no blanks, no ordering: what is not the same is another version."""
    script.reach(State.QUERY_VERSION).device(VersionReported(version=version)).server(ReadRadio())


@pytest.mark.parametrize(("version", "supported"), [("V1.0", True), ("V0.9", False), ("v1.0", False)])
def test_only_named_source_versions_are_upgraded(version, supported):
    """supportSourceVersionList; empty means any."""
    script = Script(replace(PLAN, source_versions=frozenset({"V1.0", "V0.8"}))).reach(State.QUERY_VERSION)
    script.device(VersionReported(version=version))
    if supported:
        script.server(ReadRadio())
    else:
        script.server(AnnounceOutcome())
        detail = f"3/0/3: {version} (not among the package's source versions)"
        script.ends(State.FAILED, Failure.PACKAGE_TYPE, detail)


def test_the_target_version_needs_no_source_version():
    """A device that has it is done, whether or not it may be upgraded from."""
    script = Script(replace(PLAN, source_versions=frozenset({"V1.0"}))).reach(State.QUERY_VERSION)
    script.device(VersionReported(version=TARGET)).server(AnnounceOutcome()).ends(State.DONE_SAME)


@pytest.mark.parametrize(
    "reading",
    [radio(sinr=None), radio(rsrp=None), radio(rsrp=0), radio(cell_id=None), radio(cell_id=0), Measurement()],
)
def test_an_incomplete_reading_leads_to_the_cell_id_alone(script, reading):
    """Step 8: its own GET 4/0/8, even if 4/0 showed a cell ID."""
    script.reach(State.QUERY_RADIO).device(RadioReported(radio=reading)).server(ReadCell())
    script.device(CellReported(cell_id=0x77)).stands(State.WAIT_SLOT)
    assert script.task.radio.radio_class is RadioClass.UNKNOWN
    assert script.task.radio.cell.cell_id == 0x77


def test_object_4_that_cannot_be_read_leads_to_the_cell_id_alone(script):
    """An error code, step 8."""
    script.reach(State.QUERY_RADIO).device(RadioRefused(code="4.05")).server(ReadCell())
    script.device(CellReported(cell_id=0x77)).stands(State.WAIT_SLOT, radio=Measurement(
        cell=Cell(0x77), radio_class=RadioClass.UNKNOWN
    ))  # fmt: skip


def test_half_of_the_radio_time_is_for_the_signal(script):
    """90 s, then 90 s for the cell ID; T_radio is for both together."""
    script.reach(State.QUERY_RADIO).deadline(90).server(ReadCell())
    script.deadline(90).server(AnnounceOutcome())
    script.ends(State.FAILED, Failure.CELL_ID_TIMEOUT, "4/0/8 (waited 90 s for the cell ID)")


def test_a_quick_refusal_leaves_the_cell_id_the_rest(script):
    """Not half of T_radio, but what is left of it."""
    script.reach(State.QUERY_RADIO).clock(10).device(RadioRefused(code="5.00")).server(ReadCell())
    script.deadline(170).server(AnnounceOutcome()).ends(State.FAILED, Failure.CELL_ID_TIMEOUT)


def test_a_late_complete_reading_is_better_than_a_cell_id(script):
    """Deep coverage: the answer to 4/0 comes while 4/0/8 is asked for (trap 25)."""
    script.reach(State.QUERY_RADIO).deadline(90).server(ReadCell())
    script.device(RadioReported(radio=radio(sinr=None))).stands(State.QUERY_CELL)
    script.device(RadioReported(radio=radio())).stands(State.WAIT_SLOT, radio=radio())


def test_the_cell_id_alone_belongs_to_the_network_that_was_told(script):
    """So that both kinds of device count for the same cell."""
    script.reach(State.QUERY_RADIO).device(RadioReported(radio=radio(sinr=None))).server(ReadCell())
    script.device(CellReported(cell_id=0x1A2B)).stands(State.WAIT_SLOT)
    assert script.task.radio.cell == radio().cell


@pytest.mark.parametrize("cell_id", [0, 0xFFFFFFFF, -1])
def test_a_device_that_does_not_know_its_cell_cannot_be_admitted(script, cell_id):
    """Neither signal nor cell: fail (step 8)."""
    script.reach(State.QUERY_CELL).device(CellReported(cell_id=cell_id)).server(AnnounceOutcome())
    script.ends(State.FAILED, Failure.CELL_ID_TIMEOUT)


def test_a_device_that_refuses_its_cell_id_cannot_be_admitted(script):
    """The code is kept."""
    script.reach(State.QUERY_CELL).device(CellRefused(code="4.04")).server(AnnounceOutcome())
    script.ends(State.FAILED, Failure.CELL_ID_TIMEOUT, "4/0/8: 4.04")


def test_a_sleeping_device_keeps_its_slot_until_it_wakes(script):
    """Its first uplink after the grant is the time for the observation (section 4.5)."""
    script.reach(State.WAIT_SLOT).house(SlotGranted(awake=False)).stands(State.WAIT_AWAKE)
    script.clock(540).device(DeviceDeregistered(), RegistrationExpired(), CommandUnanswered())
    script.stands(State.WAIT_AWAKE).device(DeviceRegistered()).server(ObserveState())
    script.deadline(180).server(CancelObservation(), AnnounceOutcome())  # T_dl_start after that uplink
    script.ends(State.FAILED, Failure.DOWNLOAD_START_TIMEOUT)


def test_a_silent_device_goes_to_the_back(script):
    """Others wait: its slot is taken back, and its place in line is as of now."""
    script.reach(State.WAIT_AWAKE).clock(600).house(SlotRevoked())
    script.stands(State.WAIT_SLOT, queued_s=script.now)
    script.house(SlotGranted(awake=True)).stands(State.OBSERVE).server(ObserveState())


def test_a_slot_in_use_is_not_taken_back(script):
    """The device woke while it was being given up."""
    script.reach(State.OBSERVE).house(SlotRevoked()).stands(State.OBSERVE)


def test_a_slot_is_granted_once(script):
    """A repetition changes nothing; nor does one for a task that does not wait."""
    script.reach(State.WAIT_AWAKE).house(SlotGranted(awake=True)).stands(State.WAIT_AWAKE)


def test_the_wait_for_a_slot_counts_against_a_second_day(script):
    """T_online restarts with the wait, and neither a grant nor its end restarts it again."""
    script.reach(State.WAIT_SLOT).clock(3600).house(SlotGranted(awake=False))
    script.clock(600).house(SlotRevoked()).clock(600).house(SlotGranted(awake=False))
    script.deadline(24 * 3600 - 4800).server(AnnounceOutcome())
    script.ends(State.FAILED, Failure.ONLINE_TIMEOUT)


def test_an_old_measurement_is_made_again_before_the_slot_is_used(script):
    """More than 10 minutes; the same class in the same cell goes on (section 4.5)."""
    script.reach(State.WAIT_SLOT).clock(601).house(SlotGranted(awake=True)).server(ReadRadio())
    script.stands(State.REQUERY_RADIO).device(RadioReported(radio=radio(rsrp=-100)))
    script.server(ObserveState()).stands(State.OBSERVE, measured_s=script.now, radio=radio(rsrp=-100))


def test_a_measurement_of_ten_minutes_is_not_old(script):
    """The bound itself."""
    script.reach(State.WAIT_SLOT).clock(600).house(SlotGranted(awake=True)).server(ObserveState())


@pytest.mark.parametrize("found", [radio(rsrp=-125), radio(cell_id=0x77)])
def test_a_device_found_elsewhere_waits_there_with_its_seniority(script, found):
    """Another class or cell is another line; the slot was of the old one."""
    since_s = script.reach(State.WAIT_SLOT).now
    script.clock(700).house(SlotGranted(awake=True)).server(ReadRadio())
    script.device(RadioReported(radio=found))
    script.stands(State.WAIT_SLOT, radio=found, queued_s=since_s, waiting_s=since_s, measured_s=script.now)
    script.clock(60).house(SlotGranted(awake=True)).server(ObserveState())


def test_a_device_measured_again_without_signal_becomes_class_u(script):
    """The cell ID alone, as at first; and that is another class."""
    script.reach(State.WAIT_SLOT).clock(700).house(SlotGranted(awake=True)).server(ReadRadio())
    script.device(RadioReported(radio=radio(sinr=None))).server(ReadCell())
    script.stands(State.REQUERY_CELL, radio=radio())  # what the slot is held by
    script.device(CellReported(cell_id=0x1A2B)).stands(State.WAIT_SLOT)
    assert script.task.radio.radio_class is RadioClass.UNKNOWN


def test_a_class_u_device_measured_again_goes_on(script):
    """It had no SINR before and has none now."""
    script.reach(State.QUERY_CELL).device(CellReported(cell_id=0x77)).clock(700)
    script.house(SlotGranted(awake=True)).server(ReadRadio())
    script.device(RadioRefused(code="4.05")).server(ReadCell())
    script.device(CellReported(cell_id=0x77)).server(ObserveState()).stands(State.OBSERVE)


def test_a_sleeper_is_measured_again_when_it_wakes(script):
    """Its measurement grew old while it slept."""
    script.reach(State.WAIT_AWAKE).clock(700).device(DeviceHeard()).server(ReadRadio())
    script.stands(State.REQUERY_RADIO)


def test_a_device_that_cannot_be_measured_again_ends(script):
    """The same causes as at first."""
    script.reach(State.WAIT_SLOT).clock(700).house(SlotGranted(awake=True)).server(ReadRadio())
    script.deadline(90).server(ReadCell())
    script.device(RadioReported(radio=radio(sinr=None)))
    script.deadline(90).server(AnnounceOutcome()).ends(State.FAILED, Failure.CELL_ID_TIMEOUT)


@pytest.mark.parametrize("state", [State.QUERY_VERSION, State.QUERY_RADIO, State.QUERY_CELL])
def test_a_new_registration_does_not_ask_twice(script, state):
    """The queue is kept over it (trap 17), and so is the deadline."""
    deadline_s = script.reach(state).task.deadline_s
    script.clock(5).device(DeviceRegistered(), DeviceHeard(), CommandUnanswered())
    script.stands(state, deadline_s=deadline_s)


def test_a_busy_device_is_a_conflict(script):
    """At most one active task per device (section 3.1)."""
    script.house(Conflicted(other="log collection")).server(AnnounceOutcome())
    script.ends(State.FAILED, Failure.TASK_CONFLICT, "log collection")


@pytest.mark.parametrize("state", [State.WAIT_ONLINE, State.WAIT_SLOT, State.DOWNLOADING, State.UPDATING])
def test_an_active_task_is_not_the_one_that_conflicts(script, state):
    """The new one fails, and a second activation changes nothing."""
    script.reach(state).house(Conflicted(other="reboot"), Activated()).stands(state)


@pytest.mark.parametrize(
    "state", [State.CREATED, State.WAIT_ONLINE, State.QUERY_VERSION, State.WAIT_SLOT, State.WAIT_AWAKE]
)
def test_cancelled_before_anything_was_begun(script, state):
    """There is nothing to be undone."""
    script.reach(state).house(TaskCancelled(by="anna")).server(AnnounceOutcome())
    script.ends(State.CANCELLED, detail="cancelled by anna")


@pytest.mark.parametrize(
    ("state", "effects"),
    [
        (State.CREATED, ()),
        (State.WAIT_ONLINE, ()),
        (State.QUERY_VERSION, (ReadVersion(),)),
        (State.QUERY_RADIO, (ReadRadio(),)),
        (State.QUERY_CELL, (ReadCell(),)),
        (State.WAIT_SLOT, ()),
        (State.WAIT_AWAKE, ()),
    ],
)
def test_a_restart_asks_again(script, state, effects):
    """What waited for its answer; the deadline is what it was."""
    script.reach(state).restart(*effects)


@pytest.mark.parametrize(
    ("timers", "word"),
    [
        ({"download_s": 0}, "download_s"),
        ({"online_s": -1}, "online_s"),
        ({"check_s": float("nan")}, "check_s"),
        ({"download_s": 60}, "download_start_s"),
        ({"update_s": 60}, "update_start_s"),
        ({"no_progress_s": 0}, "no_progress_s"),
    ],
)
def test_impossible_timers_are_refused(timers, word):
    """Times are above 0, and a start lies within its whole."""
    with pytest.raises(ValueError, match=word):
        Timers(**timers)
