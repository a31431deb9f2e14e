"""The rows that lead to a slot, the same for all negotiations: online, its version, its radio, its turn.

A negotiation adds the state that its version leads to, and the one that a slot leads to. Events that it alone
knows are `own`: here they prove that the device is there, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from headgate.upgrade.events import (
    ABSENCES,
    BEGINNINGS,
    DOWNLOADS,
    EXECUTE_ANSWERS,
    RADIO_ANSWERS,
    SHARED_EVENTS,
    SLOTS,
    VERSION_ANSWERS,
    Activated,
    CellRefused,
    CellReported,
    CommandReset,
    CommandUnanswered,
    Conflicted,
    DeadlinePassed,
    DeviceHeard,
    DeviceRegistered,
    Effect,
    Event,
    RadioRefused,
    RadioReported,
    ReadCell,
    ReadRadio,
    SlotGranted,
    SlotRevoked,
    Uplink,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.radio import Measurement, RadioClass, cell_of
from headgate.upgrade.rows import ASKED, CANCELLABLE, Entries, Events, these, uplinks
from headgate.upgrade.table import Deadline, Failed, Move, Row, Since, Stage, choice, fail, go, stay
from headgate.upgrade.task import Mark, State, Task

NO_ENTRIES: Entries = {}


def opening(
    *,
    own: Events,
    ask_version: tuple[Effect, ...],
    version_at: str,
    version_refused: Failure,
    radio_step: int,
    identified: State,
    admitted: State,
    asides: Entries = NO_ENTRIES,
    while_asking: Entries = NO_ENTRIES,
) -> dict[State, Row]:
    """From CREATED to the slot: `identified` is entered with the version, `admitted` with a slot to use.

    `radio_step` is the published step that asks for the radio. `asides` are further entries wherever an
    uplink does not lead on, `while_asking` further ones of QUERY_VERSION; they do not leave their state.
    """

    @choice(identified, State.DONE_SAME, Failure.PACKAGE_TYPE)
    def version_reported(task: Task, event: VersionReported, now: float) -> Move:
        version, plan = event.version, task.plan
        if version == plan.target_version:
            if Mark.NOTIFIED_BEFORE in task.marks:
                return go(identified, version=version)  # it may say so since it was told, and only therefore
            note = "current version is the same as the target version"
            return go(State.DONE_SAME, version=version, detail=Detail(at=version_at, code=version, note=note))
        if plan.source_versions and version not in plan.source_versions:
            detail = Detail(at=version_at, code=version, note="not among the package's source versions")
            return fail(Failure.PACKAGE_TYPE, detail, version=version)
        return go(identified, version=version)

    def in_line(task: Task, radio: Measurement, now: float) -> Move:
        return go(State.WAIT_SLOT, radio=radio, measured_s=now, waiting_s=now, queued_s=now)

    def used(task: Task, now: float) -> Move:
        """The device is awake and has its slot: measure again what is old, else begin."""
        old = now - task.measured_s > task.plan.timers.measurement_s
        return go(State.REQUERY_RADIO if old else admitted)

    @choice(State.WAIT_AWAKE, State.REQUERY_RADIO, admitted)
    def granted(task: Task, event: SlotGranted, now: float) -> Move:
        return used(task, now) if event.awake else go(State.WAIT_AWAKE)

    @choice(State.REQUERY_RADIO, admitted)
    def awake(task: Task, event: Event, now: float) -> Move:
        return used(task, now)

    @choice(State.WAIT_SLOT)
    def revoked(task: Task, event: SlotRevoked, now: float) -> Move:
        return go(State.WAIT_SLOT, queued_s=now)

    def in_place(task: Task, radio: Measurement, now: float) -> Move:
        """A slot is of one cell and class. A device found in another waits there, with its seniority."""
        was = task.radio
        same = was is not None and (was.cell, was.radio_class) == (radio.cell, radio.radio_class)
        return go(admitted if same else State.WAIT_SLOT, radio=radio, measured_s=now)

    events = SHARED_EVENTS | own
    silent = frozenset(event for event in own if not issubclass(event, Uplink))
    anywhere = these(own, DeviceHeard, DeviceRegistered, CommandUnanswered, DOWNLOADS, EXECUTE_ANSWERS)
    waiting = Deadline(timer="online_s", since=Since.WAITING, passed=Failed(Failure.ONLINE_TIMEOUT))
    return {
        State.CREATED: Row(
            step=1,
            waits="its campaign's turn",
            on={**CANCELLABLE, Activated: State.WAIT_ONLINE, Conflicted: Failed(Failure.TASK_CONFLICT)},
            ignored=these(
                anywhere, ABSENCES, SLOTS, VERSION_ANSWERS, RADIO_ANSWERS, CommandReset, DeadlinePassed
            ),
        ),
        State.WAIT_ONLINE: Row(
            step=3,
            waits="the device's next uplink",
            deadline=Deadline(timer="online_s", passed=Failed(Failure.ONLINE_TIMEOUT)),
            on={**CANCELLABLE, **uplinks(events, State.QUERY_VERSION)},
            ignored=these(silent, BEGINNINGS, ABSENCES, SLOTS, CommandUnanswered),
        ),
        State.QUERY_VERSION: Row(
            step=4,
            waits="the device's version",
            at=version_at,
            enter=ask_version,
            deadline=Deadline(timer="version_s", passed=Failed(Failure.VERSION_TIMEOUT)),
            on={
                **ASKED,
                **asides,
                **while_asking,
                VersionReported: version_reported,
                VersionRefused: Failed(version_refused),
            },
            ignored=these(anywhere, BEGINNINGS, SLOTS, RADIO_ANSWERS) - {*asides, *while_asking},
        ),
        **measuring(
            State.QUERY_RADIO,
            State.QUERY_CELL,
            step=radio_step,
            complete=in_line,
            leads=(State.WAIT_SLOT,),
            asides=asides,
            ignored=these(anywhere, BEGINNINGS, SLOTS, VERSION_ANSWERS),
        ),
        State.WAIT_SLOT: Row(
            step=radio_step + 2,
            waits="a slot of its cell",
            deadline=waiting,
            on={**CANCELLABLE, **asides, SlotGranted: granted},
            ignored=these(
                anywhere, BEGINNINGS, ABSENCES, VERSION_ANSWERS, RADIO_ANSWERS, CommandReset, SlotRevoked
            )
            - asides.keys(),
        ),
        State.WAIT_AWAKE: Row(
            step=radio_step + 2,
            waits="the device's next uplink, its slot being kept",
            deadline=waiting,
            on={**CANCELLABLE, **uplinks(events, awake), SlotRevoked: revoked},
            ignored=these(silent, BEGINNINGS, ABSENCES, CommandUnanswered, SlotGranted),
        ),
        **measuring(
            State.REQUERY_RADIO,
            State.REQUERY_CELL,
            step=radio_step,
            complete=in_place,
            leads=(admitted, State.WAIT_SLOT),
            asides=asides,
            ignored=these(anywhere, BEGINNINGS, SLOTS, VERSION_ANSWERS),
        ),
    }


def measuring(
    signal: State,
    cell_alone: State,
    *,
    step: int,
    complete: Callable[[Task, Measurement, float], Move],
    leads: tuple[State, ...],
    asides: Entries,
    ignored: Events,
) -> dict[State, Row]:
    """Two rows: all of object 4, and where that is not complete the cell ID by itself, within one T_radio.

    The cell ID is asked for even where object 4 showed one already.
    """

    def known(task: Task, radio: Measurement) -> Measurement | None:
        """What is not complete does not replace what a slot is held by."""
        return task.radio if task.state.holds_slot else radio

    @choice(*leads, cell_alone)
    def reported(task: Task, event: RadioReported, now: float) -> Move:
        if event.radio.radio_class is None:
            return go(cell_alone, radio=known(task, event.radio))
        return complete(task, event.radio, now)

    @choice(*leads, stays=True)
    def reported_late(task: Task, event: RadioReported, now: float) -> Move:
        """The answer took longer than its half of T_radio, and is still the better one."""
        if event.radio.radio_class is None:
            return stay(radio=known(task, event.radio))
        return complete(task, event.radio, now)

    @choice(*leads, Failure.CELL_ID_TIMEOUT)
    def cell_reported(task: Task, event: CellReported, now: float) -> Move:
        network = task.radio or Measurement()
        cell = cell_of(event.cell_id, smcc=network.smcc, smnc=network.smnc)
        if cell is None:
            detail = Detail(at="4/0/8", code=str(event.cell_id), note="the device does not know its cell")
            return fail(Failure.CELL_ID_TIMEOUT, detail)
        radio = Measurement(cell=cell, radio_class=RadioClass.UNKNOWN, smcc=network.smcc, smnc=network.smnc)
        return complete(task, radio, now)

    return {
        signal: Row(
            step=step,
            waits="signal strength and cell",
            at="4/0",
            enter=(ReadRadio(),),
            stage=Stage.RADIO,
            deadline=Deadline(timer="radio_s", share=0.5, passed=cell_alone),
            on={**ASKED, **asides, RadioReported: reported, RadioRefused: cell_alone},
            ignored=these(ignored, CellReported, CellRefused) - asides.keys(),
        ),
        cell_alone: Row(
            step=step + 2,
            waits="the cell ID",
            at="4/0/8",
            enter=(ReadCell(),),
            stage=Stage.RADIO,
            deadline=Deadline(timer="radio_s", since=Since.STAGE, passed=Failed(Failure.CELL_ID_TIMEOUT)),
            on={
                **ASKED,
                **asides,
                RadioReported: reported_late,
                CellReported: cell_reported,
                CellRefused: Failed(Failure.CELL_ID_TIMEOUT),
            },
            ignored=these(ignored, RadioRefused) - asides.keys(),
        ),
    }
