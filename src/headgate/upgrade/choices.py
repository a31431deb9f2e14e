"""The decisions of the firmware negotiation (its table is `firmware.py`) up to Execute; then see `results`.

Above each stands where it may lead. A State is a hint whichever way it came: notifications are lost, merged
and repeated. What ends a task is a result, a version or a deadline.
"""

from __future__ import annotations

from headgate.upgrade.events import (
    AnnounceOutcome,
    CommandUnanswered,
    DeviceRegistered,
    DownloadProgressed,
    Effect,
    Event,
    ExecuteRefused,
    TaskCancelled,
)
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.object5 import (
    CancelObservation,
    CancelUpdate,
    ClearRefused,
    ClearUri,
    ExecuteUpdate,
    GrantDownload,
    ObserveState,
    PackageReported,
    ReadResult,
    ReadState,
    ResultReported,
    StateObserved,
    StateReported,
    UpdateResult,
    UpdateState,
    UriRefused,
    WithdrawDownload,
    WriteUri,
    cause_of,
)
from headgate.upgrade.results import RESULT_FAILURES, through
from headgate.upgrade.rows import cancelled
from headgate.upgrade.table import NOTHING, Move, choice, fail, go, stay
from headgate.upgrade.task import Mark, State, Task

FORMAT_REFUSED = ("4.06", "4.15")
START_POLLS = 3  # occasions to ask within T_dl_start
URI_REFUSED = {"4.00": Failure.INVALID_URI, "4.05": Failure.UPDATE_FAILED}

# -- steps 9 and 10: observe, reset, write --


@choice(State.WRITE_URI, State.COMPARE, State.CLEAR_URI)
def observed(task: Task, event: StateObserved, now: float) -> Move:
    """The device will notify. Only an Idle one is given a URI: others may ignore it, and say 2.04."""
    if event.state == UpdateState.IDLE:
        return go(State.WRITE_URI, state_seen_s=now)
    if event.state == UpdateState.DOWNLOADED and task.plan.skip_same_package:
        return go(State.COMPARE, state_seen_s=now)
    return go(State.CLEAR_URI, state_seen_s=now)


@choice(effects=(ObserveState,), stays=True)
def observe_again(task: Task, event: DeviceRegistered, now: float) -> Move:
    """A new registration knows no observation. The old token stays valid, for devices that use it still."""
    return stay(ObserveState())


@choice(State.EXECUTE, State.CLEAR_URI)
def package_reported(task: Task, event: PackageReported, now: float) -> Move:
    """A URI names one package for ever; the version says that the device knows what it holds."""
    same = event.uri == task.uri and event.version == task.plan.target_version
    return go(State.EXECUTE if same else State.CLEAR_URI)


@choice(State.CLEAR_URI, Failure.NOT_ONLINE)
def clear_refused(task: Task, event: ClearRefused, now: float) -> Move:
    """Who wants TLV for a URI wants it for the empty one."""
    if event.code in FORMAT_REFUSED and Mark.TLV not in task.marks:
        return go(State.CLEAR_URI, marks=task.marks | {Mark.TLV})
    return fail(Failure.NOT_ONLINE, Detail(at="5/0/1", code=event.code, note="the reset was refused"))


@choice(State.CHECK_URI, State.WRITE_URI, Failure.UPDATE_FAILED, Failure.NOT_ONLINE)
def uri_refused(task: Task, event: UriRefused, now: float) -> Move:
    """4.00 and 4.05 may mean the State and not the URI; 4.06 and 4.15 mean the format."""
    if event.code in URI_REFUSED:
        return go(State.CHECK_URI, refused=event.code)
    if event.code not in FORMAT_REFUSED:
        return fail(Failure.NOT_ONLINE, Detail(at="5/0/1", code=event.code))
    if Mark.TLV not in task.marks:
        return go(State.WRITE_URI, marks=task.marks | {Mark.TLV})
    return fail(Failure.UPDATE_FAILED, Detail(at="5/0/1", code=event.code, note="as text and as TLV"))


@choice(State.DOWNLOADING, State.EXECUTE, State.UPDATING, effects=(WriteUri,), stays=True)
def state_of_writer(task: Task, event: StateReported, now: float) -> Move:
    """After a restart: an Idle device has not taken the URI, any other has. What it notifies may be older."""
    if not event.asked:
        return NOTHING
    if event.state == UpdateState.IDLE:
        return stay(*uri_written(task)[1:], state_seen_s=now)
    return taken(event.state, now)


def taken(state: int, now: float) -> Move:
    """The URI was written to an Idle device, and this is what it has become."""
    match state:
        case UpdateState.DOWNLOADED:
            return go(State.EXECUTE, state_seen_s=now)
        case UpdateState.UPDATING:
            return go(State.UPDATING, state_seen_s=now)
    return go(State.DOWNLOADING, state_seen_s=now)


@choice(State.CHECK_URI)
def uri_unanswered(task: Task, event: CommandUnanswered, now: float) -> Move:
    """Whether the device took the URI is not known. Told a second time, some would begin a second time."""
    return go(State.CHECK_URI, refused="")


@choice(State.CLEAR_URI, Failure.INVALID_URI, Failure.UPDATE_FAILED, stays=True)
def state_of_refuser(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """An Idle device meant the URI. Any other is reset once and told again."""
    if not task.refused:
        return NOTHING
    if event.state != UpdateState.IDLE and Mark.CLEARED not in task.marks:
        return go(State.CLEAR_URI, marks=task.marks | {Mark.CLEARED}, state_seen_s=now)
    detail = Detail(at="5/0/1", code=task.refused, note=f"in State {event.state}")
    return fail(URI_REFUSED[task.refused], detail)


@choice(
    *(State.WRITE_URI, State.DOWNLOADING, State.EXECUTE, State.UPDATING, State.CLEAR_URI),
    Failure.INVALID_URI,
    Failure.UPDATE_FAILED,
    stays=True,
)
def state_of_unheard(task: Task, event: StateReported, now: float) -> Move:
    """One that did not refuse, but was not heard: Idle it is told once more, any other has taken the URI."""
    if task.refused:
        return state_of_refuser.decide(task, event, now)
    if not event.asked:
        return NOTHING
    if event.state == UpdateState.IDLE:
        return go(State.WRITE_URI, state_seen_s=now)
    return taken(event.state, now)


# -- step 11: the download --


def state_in_download(task: Task, state: int, now: float) -> Move:
    """Idle asks for the reason: a failure, or a State from before the URI was taken."""
    match state:
        case UpdateState.DOWNLOADED:
            return go(State.EXECUTE, state_seen_s=now)
        case UpdateState.UPDATING:  # by itself (5/0/14)
            return go(State.UPDATING, state_seen_s=now)
        case UpdateState.IDLE:
            return stay(ReadResult(), state_seen_s=now)
    return stay(state_seen_s=now)


@choice(State.DOWNLOADING, State.EXECUTE, State.UPDATING, effects=(ReadResult,), stays=True)
def state_before_start(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """Notifications are merged: Downloaded may be the first to be heard of."""
    if event.state == UpdateState.DOWNLOADING:
        return go(State.DOWNLOADING, state_seen_s=now)
    return state_in_download(task, event.state, now)


@choice(State.EXECUTE, State.UPDATING, effects=(ReadResult,), stays=True)
def state_while_downloading(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """Downloaded is the end of the step, and Downloading no news."""
    return state_in_download(task, event.state, now)


@choice(State.UNOBSERVE, *RESULT_FAILURES, stays=True)
def result_by_itself(task: Task, event: ResultReported, now: float) -> Move:
    """While the device downloads or updates: 0 is no result yet, 11 a postponement, 1 says all is done."""
    match event.result:
        case UpdateResult.INITIAL | UpdateResult.DEFERRED:
            return NOTHING
        case UpdateResult.SUCCEEDED:
            return go(State.UNOBSERVE)
    return fail(*cause_of(event.result))


@choice(effects=(ReadState,), stays=True)
def poll(task: Task, event: Event, now: float) -> Move:
    """An uplink, and no State for long: a notification may be lost."""
    if now - task.state_seen_s < task.plan.timers.poll_s:
        return NOTHING
    return stay(ReadState(), state_seen_s=now)


@choice(effects=(ReadState,), stays=True)
def poll_before_start(task: Task, event: Event, now: float) -> Move:
    """As `poll`, but within T_dl_start, which is shorter than poll_s.

    A device may fail before its first block, and what it says of that may be lost, or overtake the answer by
    which it takes the URI.
    """
    timers = task.plan.timers
    quiet_s = min(timers.poll_s, timers.download_start_s / START_POLLS)
    if now - max(task.state_seen_s, task.stage_s) < quiet_s:
        return NOTHING
    return stay(ReadState(), state_seen_s=now)


@choice(effects=(ReadState,), stays=True)
def progressed(task: Task, event: DownloadProgressed, now: float) -> Move:
    """Where no_progress_s is set, that clock starts again."""
    move = poll.decide(task, event, now)
    no_progress_s = task.plan.timers.no_progress_s
    if no_progress_s is None:
        return move
    return stay(*move.effects, deadline_s=now + no_progress_s, **move.changes)


@choice(State.CANCELLED, effects=(CancelUpdate,))
def withdrawn(task: Task, event: TaskCancelled, now: float) -> Move:
    """The device may have the URI or the package: it is told to forget them."""
    return go(State.CANCELLED, CancelUpdate(), **cancelled.decide(task, event, now).changes)


# -- step 12: execute --


@choice(State.UPDATING, State.READ_RESULT, stays=True)
def state_of_executor(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """Execute may be taken though its answer is lost; some devices (5/0/14) do not wait for it."""
    match event.state:
        case UpdateState.UPDATING:
            return go(State.UPDATING, state_seen_s=now)
        case UpdateState.IDLE:
            return through(task, event.state, now)
    return stay(state_seen_s=now)


@choice(State.UPDATING, State.READ_RESULT, effects=(ExecuteUpdate,), stays=True)
def state_read_of_executor(task: Task, event: StateReported, now: float) -> Move:
    """After a restart: asked, and still Downloaded, it has not been told. What it notifies may be older."""
    if event.asked and event.state == UpdateState.DOWNLOADED:
        return stay(*executed(task), state_seen_s=now)
    return state_of_executor.decide(task, event, now)


@choice(State.CHECK_EXECUTE)
def execute_unanswered(task: Task, event: CommandUnanswered, now: float) -> Move:
    """Whether the device took Execute is not known, and it is not told twice."""
    return go(State.CHECK_EXECUTE, refused="")


@choice(State.CHECK_EXECUTE, Failure.NOT_ONLINE)
def execute_refused(task: Task, event: ExecuteRefused, now: float) -> Move:
    """4.xx may mean that the device is not Downloaded, or no longer."""
    if event.code.startswith("4."):
        return go(State.CHECK_EXECUTE, refused=event.code)
    return fail(Failure.NOT_ONLINE, Detail(at="5/0/2", code=event.code))


@choice(State.EXECUTE, State.UPDATING, State.READ_RESULT, stays=True)
def state_before_execute(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """It had not been Downloaded when it refused, so this is no repetition."""
    if event.state == UpdateState.DOWNLOADED:
        return go(State.EXECUTE, state_seen_s=now)
    return state_of_executor.decide(task, event, now)


@choice(
    *(State.EXECUTE, State.WAIT_EXECUTE, State.UPDATING, State.READ_RESULT),
    Failure.UPDATE_FAILED,
    stays=True,
)
def state_of_refusing_executor(task: Task, event: StateObserved | StateReported, now: float) -> Move:
    """Still Downloaded: once more, or again where it did not refuse. Updating or Idle: it went on already.

    Downloading: it leaves that State when the notification of the next is acknowledged, and the
    acknowledgement was lost where Execute was not. It repeats itself before long, unheard as a copy.
    """
    match event.state:
        case UpdateState.UPDATING:
            return go(State.UPDATING, state_seen_s=now)
        case UpdateState.IDLE:
            return through(task, event.state, now)
        case UpdateState.DOWNLOADING if now < task.stage_s + task.plan.timers.read_again_s:
            return go(State.WAIT_EXECUTE, state_seen_s=now)
        case _ if not task.refused:
            current = isinstance(event, StateReported) and event.asked
            if not current or event.state != UpdateState.DOWNLOADED:
                return stay(state_seen_s=now)
            return go(State.EXECUTE, state_seen_s=now)
        case UpdateState.DOWNLOADED if Mark.EXECUTED_AGAIN not in task.marks:
            return go(State.EXECUTE, marks=task.marks | {Mark.EXECUTED_AGAIN}, state_seen_s=now)
    detail = Detail(at="5/0/2", code=task.refused, note=f"in State {event.state}")
    return fail(Failure.UPDATE_FAILED, detail)


# -- effects of entering that depend on the task --


def uri_cleared(task: Task) -> tuple[Effect, ...]:
    """CLEAR_URI."""
    return (ClearUri(tlv=Mark.TLV in task.marks),)


def uri_written(task: Task) -> tuple[Effect, ...]:
    """WRITE_URI: served first, then told."""
    return GrantDownload(), WriteUri(uri=task.uri, tlv=Mark.TLV in task.marks)


def executed(task: Task) -> tuple[Effect, ...]:
    """EXECUTE: who goes on by itself is not told to."""
    return () if task.plan.automatic_upgrade else (ExecuteUpdate(),)


def ended(task: Task) -> tuple[Effect, ...]:
    """A terminal state: undo what was begun, then tell."""
    undone: tuple[Effect, ...] = ()
    if Mark.OBSERVED in task.marks:
        undone += (CancelObservation(),)
    if Mark.GRANTED in task.marks:
        undone += (WithdrawDownload(),)
    return (*undone, AnnounceOutcome())
