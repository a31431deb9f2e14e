"""The decisions of the software negotiation (its table is `software.py`): where an event leads, task by task.

Above each stands where it may lead. A device repeats its questions until they are answered, so every answer
may be given again; ours are repeated when the device shows up and has not answered: that is `repeated`.
"""

from __future__ import annotations

from typing import Any

from headgate.upgrade.events import (
    AnnounceOutcome,
    CommandReset,
    DeadlinePassed,
    DeviceRegistered,
    DownloadProgressed,
    Effect,
    Event,
    VersionReported,
)
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.object19 import (
    CAUSES,
    AnswerSegment,
    ConfirmDownload,
    ConfirmUpgrade,
    DownloadReported,
    EnsureSubscription,
    ExecuteDeclined,
    ExecuteUpgrade,
    NotificationDeclined,
    NotifyVersion,
    QuestionDelivered,
    SegmentRequested,
    SubscribeData,
    SubscriptionRefused,
    UpgradeReported,
    WithdrawSegments,
    cause_of,
    code_text,
)
from headgate.upgrade.table import NOTHING, Choice, Move, choice, fail, go, stay
from headgate.upgrade.task import Mark, Reading, State, Task
from headgate.wire.pcp_messages import MessageCode, ResultCode, meaning

RESULT_FAILURES = tuple(dict.fromkeys(CAUSES.values()))

# -- questions, repeated --


def repeated(task: Task, now: float, *effects: Effect, at_once: bool = False) -> Move:
    """The question of the state once more, at most twice, and not within 30 s of when the device had it.

    While it is not there it is still on its way: the command waits, and that is no repetition.

    `at_once`: the device may have lost the question, so nothing is waited for.
    """
    if Mark.DELIVERED not in task.marks:
        return stay(*effects) if at_once else NOTHING
    early = not at_once and now - max(task.entered_s, task.state_seen_s) < task.plan.timers.resend_s
    if early or Mark.RESENT_AGAIN in task.marks:
        return NOTHING
    mark = Mark.RESENT_AGAIN if Mark.RESENT in task.marks else Mark.RESENT
    return stay(*effects, state_seen_s=now, marks=task.marks - {Mark.DELIVERED} | {mark})


@choice(stays=True)
def delivered(task: Task, event: QuestionDelivered, now: float) -> Move:
    """The question of the state is in the device; its answer may take a while."""
    return stay(state_seen_s=now, marks=task.marks | {Mark.DELIVERED})


def again(*effects: Effect) -> Choice:
    """Any other uplink while the answer is waited for.

    Before the second repetition 19/0/0 is observed anew: a device that could not tell us something may have
    ended the observation (RFC 7641, 4.5), and tells us nothing any more.
    """

    @choice(effects=(SubscribeData, *map(type, effects)), stays=True)
    def asked_again(task: Task, event: Event, now: float) -> Move:
        anew = (SubscribeData(),) if Mark.RESENT in task.marks else ()
        return repeated(task, now, *anew, *effects)

    return asked_again


def after_register(*effects: Effect) -> Choice:
    """A new Register while the answer is waited for: no observation stands, and the question may be lost."""

    @choice(effects=(EnsureSubscription, *map(type, effects)), stays=True)
    def asked_after_register(task: Task, event: DeviceRegistered, now: float) -> Move:
        move = repeated(task, now, *effects, at_once=True)
        return Move(None, move.changes, (EnsureSubscription(), *move.effects))

    return asked_after_register


@choice(effects=(EnsureSubscription,), stays=True)
def subscribe_again(task: Task, event: DeviceRegistered, now: float) -> Move:
    """Each new registration begins without observations, and reports come by them."""
    return stay(EnsureSubscription())


# -- what the device asks, outside its time --


def segment_answer(task: Task, event: SegmentRequested) -> AnswerSegment:
    """From the package that is bound to the task, or why not."""
    if event.version != task.plan.target_version:
        return AnswerSegment(segment_index=event.segment_index, result=ResultCode.NO_SUCH_TASK)
    if event.segment_index >= task.plan.segment_count:
        return AnswerSegment(segment_index=event.segment_index, result=ResultCode.NO_SUCH_SEGMENT)
    return AnswerSegment(segment_index=event.segment_index)


@choice(effects=(AnswerSegment,), stays=True)
def segment_too_early(task: Task, event: SegmentRequested, now: float) -> Move:
    """Before its slot: of another version, its task is gone. Of this one, it is told to go on in its turn."""
    answer = segment_answer(task, event)
    return stay(answer) if answer.result == ResultCode.NO_SUCH_TASK else NOTHING


@choice(effects=(AnswerSegment,), stays=True)
def segment_again(task: Task, event: SegmentRequested, now: float) -> Move:
    """After its download: the device lost its progress. It is served, and nothing else changes."""
    return stay(segment_answer(task, event))


@choice(effects=(ConfirmDownload,), stays=True)
def download_of_another_task(task: Task, event: DownloadReported, now: float) -> Move:
    """The device has not been told of this package yet."""
    return stay(ConfirmDownload(result=ResultCode.NO_SUCH_TASK))


@choice(effects=(ConfirmUpgrade,), stays=True)
def upgrade_of_another_task(task: Task, event: UpgradeReported, now: float) -> Move:
    """The device has not been told to upgrade yet."""
    return stay(ConfirmUpgrade(result=ResultCode.NO_SUCH_TASK))


def outside(event: Event, *, known: bool) -> tuple[Effect, ...]:
    """What a device is answered that has no active software task; `known`: it had one.

    For the caller: a task that is over takes no events, and a device that never had one has none.
    """
    result = ResultCode.OK if known else ResultCode.NO_SUCH_TASK
    match event:
        case SegmentRequested(segment_index=segment_index):
            return (AnswerSegment(segment_index=segment_index, result=ResultCode.NO_SUCH_TASK),)
        case DownloadReported():
            return (ConfirmDownload(result=result),)
        case UpgradeReported():
            return (ConfirmUpgrade(result=result),)
    return ()


# -- step 6: subscribe --


@choice(effects=(SubscribeData,), stays=True)
def subscribe_anew(task: Task, event: DeviceRegistered, now: float) -> Move:
    """The observation that brought the version is gone with the old registration."""
    return stay(SubscribeData(), marks=task.marks | {Mark.RENEWED})


@choice(State.QUERY_RADIO, Failure.NOT_ONLINE)
def subscription_refused(task: Task, event: SubscriptionRefused | CommandReset, now: float) -> Move:
    """The version came by the observation made at registration: while that stands it will do."""
    if Mark.RENEWED not in task.marks:
        return go(State.QUERY_RADIO)
    code = event.code if isinstance(event, SubscriptionRefused) else "RST"
    return fail(Failure.NOT_ONLINE, Detail(at="19/0/0", code=code))


@choice(State.QUERY_RADIO, Failure.NOT_ONLINE)
def subscription_unanswered(task: Task, event: DeadlinePassed, now: float) -> Move:
    """The same without a word."""
    if Mark.RENEWED not in task.marks:
        return go(State.QUERY_RADIO)
    return fail(Failure.NOT_ONLINE, Detail(at="19/0/0", note="no answer after a new Register"))


# -- step 10: notify --


def refused(message: MessageCode, result: int, *effects: Effect) -> Move:
    """The task ends by what the device said; that it was heard is said first."""
    failed = fail(*cause_of(message, result))
    return Move(failed.state, failed.changes, effects)


@choice(State.COMPARE, *RESULT_FAILURES)
def declined(task: Task, event: NotificationDeclined, now: float) -> Move:
    """03 says that it runs the newest version already, and may be right."""
    if meaning(event.result) is ResultCode.ALREADY_NEWEST:
        return go(State.COMPARE)
    return refused(MessageCode.NOTIFICATION, event.result)


@choice(State.DONE_SAME, Failure.UPDATE_FAILED)
def newest_version(task: Task, event: VersionReported, now: float) -> Move:
    """Two statements that agree are believed, though 19 alone would prove nothing after 20."""
    code = code_text(ResultCode.ALREADY_NEWEST)
    if event.version == task.plan.target_version:
        note = "current version is the same as the target version"
        return go(State.DONE_SAME, version=event.version, detail=Detail(at="PCP 20", code=code, note=note))
    note = f"already newest, but version {event.version}"
    return fail(Failure.UPDATE_FAILED, Detail(at="PCP 20", code=code, note=note))


@choice(State.DOWNLOADING, effects=(AnswerSegment,), stays=True)
def begun(task: Task, event: SegmentRequested, now: float) -> Move:
    """Who asks for a segment has taken the notification. Who asks for what is not there has not begun."""
    answer = segment_answer(task, event)
    if answer.result != ResultCode.OK:
        return stay(answer)
    return go(State.DOWNLOADING, answer, reading=Reading(segment=event.segment_index), state_seen_s=now)


@choice(State.EXECUTE, *RESULT_FAILURES, effects=(ConfirmDownload,))
def downloaded(task: Task, event: DownloadReported, now: float) -> Move:
    """The end of the download, also where nothing had to be downloaded; it is answered 00 either way."""
    if event.result == ResultCode.OK:
        return go(State.EXECUTE, ConfirmDownload())
    return refused(MessageCode.DOWNLOAD, event.result, ConfirmDownload())


# -- step 11: the download --


@choice(*RESULT_FAILURES)
def declined_in_download(task: Task, event: NotificationDeclined, now: float) -> Move:
    """It was woken, and does not want to go on."""
    return refused(MessageCode.NOTIFICATION, event.result)


def more(task: Task, now: float, **changes: Any) -> dict[str, Any]:
    """More of the package was asked for than before; where no_progress_s is set, that clock starts again."""
    no_progress_s = task.plan.timers.no_progress_s
    if no_progress_s is not None:
        changes["deadline_s"] = now + no_progress_s
    return {**changes, "state_seen_s": now}


@choice(effects=(AnswerSegment,), stays=True)
def segment_requested(task: Task, event: SegmentRequested, now: float) -> Move:
    """Any segment may be asked for, in any order, again; progress is what was not asked for before."""
    answer = segment_answer(task, event)
    highest = task.reading.segment
    if answer.result != ResultCode.OK or (highest is not None and event.segment_index <= highest):
        return stay(answer)
    return stay(answer, **more(task, now, reading=task.reading.having(segment=event.segment_index)))


@choice(stays=True)
def progressed(task: Task, event: DownloadProgressed, now: float) -> Move:
    """The same, where segments are answered natively."""
    return stay(**more(task, now))


@choice(effects=(SubscribeData, NotifyVersion), stays=True)
def wake(task: Task, event: Event, now: float) -> Move:
    """The device is there and has not asked for long: 20 once more is what it goes on by.

    It may have asked and not been heard, and then tell nobody any more: so it is observed anew before.
    """
    if now - max(task.entered_s, task.state_seen_s) < task.plan.timers.poll_s:
        return NOTHING
    return stay(SubscribeData(), NotifyVersion(), state_seen_s=now)


@choice(effects=(EnsureSubscription, NotifyVersion), stays=True)
def wake_after_register(task: Task, event: DeviceRegistered, now: float) -> Move:
    """It has lost its power, and perhaps what it was doing."""
    return stay(EnsureSubscription(), NotifyVersion(), state_seen_s=now)


# -- step 12: execute --


@choice(*RESULT_FAILURES, stays=True)
def execute_declined(task: Task, event: ExecuteDeclined, now: float) -> Move:
    """06 is no refusal: the device is tired of waiting, says 22 once more, and is told again."""
    if meaning(event.result) is ResultCode.DOWNLOAD_TIMEOUT:
        return NOTHING
    return refused(MessageCode.EXECUTE, event.result)


@choice(*RESULT_FAILURES, effects=(ConfirmDownload, ExecuteUpgrade), stays=True)
def downloaded_again(task: Task, event: DownloadReported, now: float) -> Move:
    """It repeats itself until 23 arrives. So it has not updated, whatever it registered for since."""
    if event.result != ResultCode.OK:
        return refused(MessageCode.DOWNLOAD, event.result, ConfirmDownload())
    marks = task.marks - {Mark.REGISTERED, Mark.DELIVERED}
    return stay(ConfirmDownload(), ExecuteUpgrade(), state_seen_s=now, marks=marks)


@choice(effects=(EnsureSubscription, ExecuteUpgrade), stays=True)
def registered_while_executing(task: Task, event: DeviceRegistered, now: float) -> Move:
    """It may be through already, its answer lost: 24 will tell. Or it lost its power before it heard 23."""
    move = repeated(task, now, ExecuteUpgrade())
    marks = move.changes.get("marks", task.marks) | {Mark.REGISTERED}
    return Move(None, {**move.changes, "marks": marks}, (EnsureSubscription(), *move.effects))


@choice(State.CHECK_EXECUTE, Failure.UPDATE_START_TIMEOUT)
def not_begun(task: Task, event: DeadlinePassed, now: float) -> Move:
    """Its answer may be lost, and its report too: the older generation says each of them once.

    Who has registered since 23 and does not say 22 may have updated, and is asked what it runs.
    """
    if Mark.REGISTERED in task.marks:
        return go(State.CHECK_EXECUTE)
    note = f"waited {now - task.entered_s:.0f} s for the device to begin its update"
    return fail(Failure.UPDATE_START_TIMEOUT, Detail(at="PCP 23", note=note))


@choice(State.SUCCESS, Failure.UPDATE_START_TIMEOUT)
def returned_with(task: Task, event: VersionReported, now: float) -> Move:
    """What it runs decides, as in CHECK."""
    if event.version == task.plan.target_version:
        return go(State.SUCCESS)
    return fail(Failure.UPDATE_START_TIMEOUT, Detail(at="PCP 19", code=event.version))


# -- steps 13 and 14: the upgrade and its result --


@choice(State.SUCCESS, *RESULT_FAILURES, effects=(ConfirmUpgrade,))
def upgraded(task: Task, event: UpgradeReported, now: float) -> Move:
    """The end, whatever it is; also where it comes before the answer to 23."""
    if event.result != ResultCode.OK:
        return refused(MessageCode.UPGRADE, event.result, ConfirmUpgrade())
    if event.version == task.plan.target_version:
        return go(State.SUCCESS, ConfirmUpgrade())
    detail = Detail(at="PCP 24", code=code_text(event.result), note=f"version {event.version}")
    return Move(State.FAILED, {"failure": Failure.UPDATE_FAILED, "detail": detail}, (ConfirmUpgrade(),))


@choice(*RESULT_FAILURES, effects=(ConfirmDownload, ExecuteUpgrade), stays=True)
def downloaded_while_updating(task: Task, event: DownloadReported, now: float) -> Move:
    """Before a Register it did not hear our answer. After one it lost its power, and waits for 23 again."""
    if event.result != ResultCode.OK:
        return refused(MessageCode.DOWNLOAD, event.result, ConfirmDownload())
    if Mark.REGISTERED in task.marks:
        return stay(ConfirmDownload(), ExecuteUpgrade())
    return stay(ConfirmDownload())


@choice(*RESULT_FAILURES, effects=(ConfirmDownload,), stays=True)
def downloaded_in_check(task: Task, event: DownloadReported, now: float) -> Move:
    """Too late to be told again: T_update is over, and nobody would see what came of it."""
    if event.result != ResultCode.OK:
        return refused(MessageCode.DOWNLOAD, event.result, ConfirmDownload())
    return stay(ConfirmDownload())


def returned(task: Task) -> bool:
    """Whether 19 proves anything: after 20 some devices name the target version, upgraded or not."""
    return Mark.REGISTERED in task.marks


# -- effects of entering that depend on the task --


def ended(task: Task) -> tuple[Effect, ...]:
    """A terminal state. 19/0/0 stays observed: late reports come by it, and are owed answers."""
    withdrawn: tuple[Effect, ...] = (WithdrawSegments(),) if Mark.GRANTED in task.marks else ()
    return (*withdrawn, AnnounceOutcome())
