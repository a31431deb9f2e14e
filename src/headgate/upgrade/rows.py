"""The rows that the negotiations share after the slot: the shapes of the update, and the ends.

A negotiation takes them and adds its own: `executing`, `updating` and `checking`, `endings`. What comes
before, from CREATED to the slot, is in `opening.py`.

Who may be absent, and when. Until its slot is used a device may come and go, and T_online waits for it. While
a command waits for its answer, and while the package is downloaded, a device that deregisters, whose
registration expires, or that answers by a Reset or an error is "Abnormal", "not online". Once it was told to
update, its absence is what an update looks like, and timers alone decide.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from headgate.upgrade.events import (
    ABSENCES,
    BEGINNINGS,
    DOWNLOADS,
    EXECUTE_ANSWERS,
    RADIO_ANSWERS,
    SHARED_EVENTS,
    SLOTS,
    VERSION_ANSWERS,
    CommandReset,
    CommandUnanswered,
    DeadlinePassed,
    DeviceHeard,
    DeviceRegistered,
    Effect,
    Event,
    ExecuteAccepted,
    Refusal,
    TaskCancelled,
    Uplink,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.table import (
    Choice,
    Deadline,
    Entering,
    Failed,
    Move,
    Row,
    Since,
    Stage,
    Way,
    choice,
    fail,
    go,
    stay,
)
from headgate.upgrade.task import NOTHING_READ, TERMINAL, Mark, State, Task

Events = frozenset[type[Event]]
Entries = dict[type[Event], Way]


def these(*events: type[Event] | AbstractSet[type[Event]]) -> Events:
    """Events and groups of them, as one group: what a row ignores, in one line."""
    return frozenset().union(*(each if isinstance(each, AbstractSet) else {each} for each in events))


def uplinks(events: Events, way: Way) -> Entries:
    """One entry for everything that proves the device awake."""
    return {event: way for event in events if issubclass(event, Uplink)}


@choice(State.CANCELLED)
def cancelled(task: Task, event: TaskCancelled, now: float) -> Move:
    """An operator's wish is granted in every state."""
    return go(State.CANCELLED, detail=Detail(note=f"cancelled by {event.by}" if event.by else "cancelled"))


CANCELLABLE: Entries = {TaskCancelled: cancelled}
NEEDED: Entries = dict.fromkeys(ABSENCES, Failed(Failure.NOT_ONLINE))
"""Where the device must stay registered."""
ASKED: Entries = {**CANCELLABLE, **NEEDED, CommandReset: Failed(Failure.NOT_ONLINE)}
"""Where a command waits for its answer. Lost, it goes out again at the next uplink: that is no event here."""


# -- the second half: shapes to which a negotiation adds its own entries --

OVER = these(BEGINNINGS, SLOTS, DOWNLOADS, RADIO_ANSWERS)
"""What is past once the package is in the device."""
PAST = these(OVER, ABSENCES, CommandUnanswered)
"""The same while a device that does not answer is expected to be updating."""


def registered(*effects: Effect) -> Choice:
    """A new Register since the device was told to update: noted, and followed by these effects."""

    @choice(effects=tuple(map(type, effects)), stays=True)
    def noted(task: Task, event: DeviceRegistered, now: float) -> Move:
        return stay(*effects, marks=task.marks | {Mark.REGISTERED})

    return noted


NOT_BEGUN = Failed(Failure.UPDATE_START_TIMEOUT)


def executing(
    *,
    step: int,
    at: str,
    enter: tuple[Effect, ...] | Entering,
    on: Entries,
    ignored: Events,
    resume: tuple[Effect, ...] | None = None,
    passed: Way = NOT_BEGUN,
) -> Row:
    """EXECUTE: the accepted command leads to UPDATING. To be added: ExecuteRefused, DeviceRegistered."""
    return Row(
        step=step,
        waits="the device to begin its update",
        at=at,
        enter=enter,
        resume=resume,
        stage=Stage.EXECUTE,
        deadline=Deadline(timer="update_start_s", since=Since.STAGE, passed=passed),
        on={
            **CANCELLABLE,
            CommandReset: Failed(Failure.NOT_ONLINE),
            ExecuteAccepted: State.UPDATING,
            **on,
        },
        ignored=these(ignored, PAST, VERSION_ANSWERS, DeviceHeard) - on.keys(),
    )


def updating(*, step: int, resume: tuple[Effect, ...], on: Entries, ignored: Events) -> Row:
    """UPDATING: nothing is asked, the device goes and returns. To be added: DeviceHeard, DeviceRegistered."""
    return Row(
        step=step,
        waits="the device to update and return",
        resume=resume,
        stage=Stage.UPDATE,
        deadline=Deadline(timer="update_s", since=Since.STAGE, passed=State.CHECK),
        on={**CANCELLABLE, **on},
        ignored=these(ignored, PAST, VERSION_ANSWERS, EXECUTE_ANSWERS, CommandReset),
    )


def checking(
    *,
    step: int,
    at: str,
    enter: tuple[Effect, ...],
    proves: Callable[[Task], bool],
    early: bool,
    on: Entries,
    ignored: Events,
) -> Row:
    """CHECK: the version decides, where `proves` says that it is evidence.

    `early`: it may be entered before T_update is over.

    To be added: DeviceHeard, DeviceRegistered.

    While T_update lasts another version is not yet an answer, only a device that is not through: it is asked
    again when it shows up, and T_check counts from the end of T_update.
    """

    def said(task: Task, code: str) -> Detail:
        result = task.reading.result
        return Detail(at=at, code=code, note="" if result is None else f"Update Result {result}")

    @choice(State.SUCCESS, Failure.RESULT_TIMEOUT, stays=early)
    def version_reported(task: Task, event: VersionReported, now: float) -> Move:
        if event.version == task.plan.target_version and proves(task):
            return go(State.SUCCESS)
        if now < task.stage_s + task.plan.timers.update_s:
            return stay(reading=task.reading.having(version=event.version))
        return fail(Failure.RESULT_TIMEOUT, said(task, event.version))

    @choice(*((Failure.RESULT_TIMEOUT,) if early else ()), Failure.CHECK_TIMEOUT)
    def passed(task: Task, event: DeadlinePassed, now: float) -> Move:
        if task.reading.version is not None:
            return fail(Failure.RESULT_TIMEOUT, said(task, task.reading.version))
        return fail(Failure.CHECK_TIMEOUT, said(task, task.refused or "no answer"))

    @choice(stays=True)
    def refused(task: Task, event: Refusal, now: float) -> Move:
        return stay(refused=event.code)

    @choice(stays=True)
    def reset(task: Task, event: CommandReset, now: float) -> Move:
        return stay(refused="RST")

    return Row(
        step=step,
        waits="the device's version, to decide by",
        at=at,
        enter=enter,
        stage=Stage.UPDATE,
        resets={"reading": NOTHING_READ, "refused": ""},
        deadline=Deadline(timer="check_s", since=Since.UPDATE, passed=passed),
        on={
            **CANCELLABLE,
            VersionReported: version_reported,
            VersionRefused: refused,
            CommandReset: reset,
            **on,
        },
        ignored=these(ignored, PAST, EXECUTE_ANSWERS),
    )


def endings(*, own: Events, step: int, enter: Entering) -> dict[State, Row]:
    """The terminal rows: what was begun is undone, the outcome announced, and nothing happens any more."""
    row = Row(step=step, waits="nothing", enter=enter, ignored=SHARED_EVENTS | own)
    return {state: row for state in State if state in TERMINAL}
