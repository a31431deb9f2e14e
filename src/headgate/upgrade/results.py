"""The decisions of the firmware negotiation once the device was told to update: did it, and how did it go.

As in `choices`: above each stands where it may lead.
"""

from __future__ import annotations

from headgate.upgrade.events import DeadlinePassed, DeviceRegistered, Event, VersionReported
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.object5 import (
    CAUSES,
    ObserveState,
    ReadResult,
    ReadState,
    ReadVersion,
    ResultReported,
    StateObserved,
    StateReported,
    UpdateResult,
    UpdateState,
    cause_of,
)
from headgate.upgrade.table import NOTHING, Move, choice, fail, go, stay
from headgate.upgrade.task import NOTHING_READ, Mark, Reading, State, Task

RESULT_FAILURES = tuple(dict.fromkeys(CAUSES.values()))


def through(task: Task, state: int, now: float) -> Move:
    """The device may be through with its update, one way or the other: ask for the result."""
    return go(State.READ_RESULT, reading=Reading(state=state), state_seen_s=now)


# -- steps 13 and 14: the update and its result --


@choice(State.READ_RESULT, stays=True)
def state_while_updating(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """Idle after success, Idle or Downloaded after failure; Downloaded also where it has not begun."""
    if event.state in (UpdateState.IDLE, UpdateState.DOWNLOADED):
        return through(task, event.state, now)
    return stay(state_seen_s=now)


@choice(State.READ_RESULT, effects=(ObserveState,))
def returned(task: Task, event: DeviceRegistered, now: float) -> Move:
    """A new Register while updating: the reboot is over."""
    marks = task.marks | {Mark.REGISTERED}
    return go(State.READ_RESULT, ObserveState(), reading=NOTHING_READ, marks=marks)


def result_told(task: Task, result: int) -> Move | None:
    """What a result decides by itself: all but 0."""
    match result:
        case UpdateResult.INITIAL:
            return None
        case UpdateResult.SUCCEEDED:
            return go(State.UNOBSERVE)
        case UpdateResult.DEFERRED:
            return not_through(task)
    return fail(*cause_of(result))


def weighed(task: Task, reading: Reading) -> Move:
    """What is still to be asked; when all is told, and is neither success nor failure, what that means."""
    if reading.result is None:
        return stay(reading=reading)
    if reading.version is None:
        return stay(ReadVersion(), reading=reading)
    if reading.state is None:
        return stay(ReadState(), reading=reading)
    if reading.state != UpdateState.IDLE:
        return not_through(task)
    if Mark.READ_AGAIN not in task.marks:
        return go(State.WAIT_RESULT, reading=reading)
    note = f"State 0, version {reading.version}"
    return fail(Failure.UPDATE_FAILED, Detail(at="5/0/5", code=str(reading.result), note=note))


def not_through(task: Task) -> Move:
    """Wait on, for what T_update leaves. A later return may have its 60 seconds again."""
    return go(State.UPDATING, marks=task.marks - {Mark.READ_AGAIN})


@choice(
    State.UNOBSERVE,
    State.UPDATING,
    State.WAIT_RESULT,
    *RESULT_FAILURES,
    effects=(ReadVersion, ReadState),
    stays=True,
)
def result_read(task: Task, event: ResultReported, now: float) -> Move:
    """Some devices keep 0 for ever: then their version is asked for, and their State."""
    return result_told(task, event.result) or weighed(task, task.reading.having(result=event.result))


@choice(
    State.UNOBSERVE,
    State.UPDATING,
    State.WAIT_RESULT,
    Failure.UPDATE_FAILED,
    effects=(ReadState,),
    stays=True,
)
def version_read(task: Task, event: VersionReported, now: float) -> Move:
    """The target version is a success, whatever the result says."""
    if event.version == task.plan.target_version:
        return go(State.UNOBSERVE)
    return weighed(task, task.reading.having(version=event.version))


@choice(State.UPDATING, State.WAIT_RESULT, Failure.UPDATE_FAILED, stays=True)
def state_read(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """Result 0 is early while Updating, and wrong while Idle. Until the version is told it is kept."""
    reading = task.reading.having(state=event.state)
    return stay(reading=reading) if reading.version is None else weighed(task, reading)


@choice(State.READ_RESULT)
def read_again(task: Task, event: DeadlinePassed, now: float) -> Move:
    """The device told nothing by itself: it is asked a last time."""
    return go(State.READ_RESULT, reading=NOTHING_READ, marks=task.marks | {Mark.READ_AGAIN})


@choice(State.UPDATING, effects=(ReadResult,), stays=True)
def state_while_waiting(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """The notification that was waited for: its result is read, and the wait goes on if that is still 0."""
    match event.state:
        case UpdateState.UPDATING:
            return not_through(task)
        case UpdateState.IDLE | UpdateState.DOWNLOADED:
            return stay(ReadResult())
    return NOTHING


@choice(State.UNOBSERVE, State.UPDATING, *RESULT_FAILURES, stays=True)
def result_while_waiting(task: Task, event: ResultReported, now: float) -> Move:
    """0 is what is known already."""
    return result_told(task, event.result) or NOTHING


@choice(State.UNOBSERVE, stays=True)
def version_while_waiting(task: Task, event: VersionReported, now: float) -> Move:
    """The target version is a success here too."""
    return go(State.UNOBSERVE) if event.version == task.plan.target_version else NOTHING


# -- steps 15 and 16, and the fallback --


@choice(State.SUCCESS)
def unobserved(task: Task, event: Event, now: float) -> Move:
    """Answered, or tried."""
    return go(State.SUCCESS, marks=task.marks - {Mark.OBSERVED})


@choice(effects=(ReadResult, ReadVersion), stays=True)
def state_in_check(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """The device is there and not updating: it is asked again."""
    if event.state in (UpdateState.IDLE, UpdateState.DOWNLOADED):
        return stay(ReadResult(), ReadVersion(), state_seen_s=now)
    return stay(state_seen_s=now)


@choice(State.SUCCESS, stays=True)
def result_in_check(task: Task, event: ResultReported, now: float) -> Move:
    """Success is success; anything else goes beside the version, which decides."""
    if event.result == UpdateResult.SUCCEEDED:
        return go(State.SUCCESS)
    return stay(reading=task.reading.having(result=event.result))
