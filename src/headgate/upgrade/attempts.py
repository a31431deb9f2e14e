"""Tasks as they are made, begun, and made again for devices that failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from headgate.store import tables
from headgate.upgrade import advance
from headgate.upgrade.askers import Active, Retrial, Roster, Running
from headgate.upgrade.campaign import failure_counter, first_task_id, next_task_id, state_counter
from headgate.upgrade.events import Activated, Conflicted, DeviceHeard
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiator import Downloads, Negotiator
from headgate.upgrade.questions import Questions
from headgate.upgrade.task import Kind, Mark, State, Task
from headgate.upgrade.turns import Gathering, Outcome
from headgate.upgrade.works import Works

RETRY = "Retry"  # the effect that a retrial's row names


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A failed last attempt that an operator wants tried again."""

    task_id: str
    endpoint: str
    attempt: int
    notified: bool
    """Whether the device was told of the version by PCP message 20."""


class Attempts:
    """All tasks of all campaigns, as far as they begin and are repeated."""

    def __init__(
        self,
        *,
        negotiator: Negotiator,
        downloads: Downloads,
        gathering: Gathering,
        questions: Questions,
        roster: Roster,
        works: Works,
        awake: Callable[[str, float], bool],
    ) -> None:
        self._negotiator = negotiator
        self._tally = negotiator.tally
        self._downloads = downloads
        self._gathering = gathering
        self._questions = questions
        self._roster = roster
        self._works = works
        self._awake = awake
        self.maintained: dict[str, str] = {}
        """Devices that are busy with a maintenance command, and which."""

    # -- making --

    def make_all(
        self, running: Running, endpoints: Iterable[str], first: int, made: Callable[[float], None]
    ) -> None:
        """The first attempt of each device, of which `first` is the place in the list of the first one.

        `made` when they are all there.
        """

        def make(item: tuple[int, str], now: float) -> None:
            index, endpoint = item
            self._make(running, first_task_id(running.campaign.id, index), endpoint, 1, now)

        self._works.do(running, enumerate(endpoints, first), make, made)

    def _make(
        self,
        running: Running,
        task_id: str,
        endpoint: str,
        attempt: int,
        now: float,
        *,
        notified_before: bool = False,
    ) -> None:
        """One task. A device has one active task at most: a second one fails at once."""
        if running.campaign.state.terminal:
            return
        plan = running.campaign.plan
        uri = self._downloads.uri(endpoint, plan.pid) if plan.kind is Kind.FIRMWARE else ""
        task = Task.created(
            id=task_id, endpoint=endpoint, plan=plan, now=now, uri=uri, notified_before=notified_before
        )
        active = Active(task, running, attempt, now)
        other = self._roster.active.get(endpoint)
        if other is None:
            self._roster.enter(active)
            self._negotiator.store(active)
            self._tally.add(running, state_counter(State.CREATED), 1)
            running.waiting[active.stage].append(active)
            return
        task, _ = advance(task, Conflicted(other=f"task {other.task_id}"), now)
        active.task = task
        self._negotiator.store(active)
        self._tally.add(running, state_counter(State.FAILED), 1)
        self._tally.add(running, failure_counter(Failure.TASK_CONFLICT), 1)
        self._tally.begun(active)
        self._tally.ended(active)
        campaign_id = running.campaign.id
        self._gathering.log(
            now,
            f"failed: {Failure.TASK_CONFLICT.value}",
            str(task.detail),
            endpoint=endpoint,
            task_id=task_id,
            campaign_id=campaign_id,
            step=1,
        )
        self._gathering.turn.outcomes.append(
            Outcome(
                task_id=task_id,
                campaign_id=campaign_id,
                endpoint=endpoint,
                attempt=attempt,
                state=task.state,
                failure=task.failure,
                detail=task.detail,
                version=None,
                at_s=now,
            )
        )
        self.failed(active, now)

    # -- beginning --

    def begin(self, running: Running) -> None:
        """Let those begin that wait for their stage, if they may."""
        waiting = running.waiting[: running.campaign.stage + 1]
        if running.beginning or not running.may_begin or not any(waiting):
            return
        running.beginning = True

        def begun(now: float) -> None:
            running.beginning = False

        self._works.do(running, self._to_begin(running), self._activate, begun)

    def _to_begin(self, running: Running) -> Iterator[Active]:
        """Those whose stage has begun, for as long as they may begin. More may come meanwhile."""
        found = True
        while found:
            found = False
            for waiting in running.waiting[: running.campaign.stage + 1]:
                while waiting and running.may_begin:
                    found = True
                    yield waiting.popleft()

    def _activate(self, active: Active, now: float) -> None:
        """One task begins, unless the device is busy. One that is awake just now need not be waited for."""
        if active.task.state is not State.CREATED:
            return
        busy = self.maintained.get(active.endpoint)
        if busy is not None:
            self._negotiator.happens(active, Conflicted(other=busy), now)
            return
        self._negotiator.happens(active, Activated(), now)
        if self._awake(active.endpoint, now):
            self._negotiator.happens(active, DeviceHeard(), now)

    # -- trying again --

    def failed(self, active: Active, now: float) -> None:
        """A task has ended: it may be worth another attempt."""
        running, failure = active.running, active.task.failure
        if running.campaign.state.terminal or failure is None:
            return
        if running.campaign.retry.after(failure, active.attempt) is None:
            return
        retrial = Retrial(
            self._questions.new_id(),
            active.task_id,
            active.endpoint,
            active.attempt,
            failure,
            notified=notified(active.task.plan.kind, active.task.marks),
        )
        running.retrials[active.task_id] = retrial
        self._put_retrial(running, retrial, now)

    def date(self, running: Running, undated: list[Retrial], through_s: float) -> None:
        """The batch is through: from here on the intervals count."""

        def date(retrial: Retrial, now: float) -> None:
            if running.retrials.get(retrial.task_id) is not retrial:
                return
            rule = running.campaign.retry.by_failure.get(retrial.failure)
            if rule is None:  # the policy was edited
                self.forget(running, retrial)
                return
            retrial.due_s = through_s + rule.interval_s
            self._put_retrial(running, retrial, through_s)

        self._works.do(running, undated, date)

    def again(self, running: Running, now: float) -> None:
        """Try those again that are due."""
        due = [each for each in running.retrials.values() if each.due_s is not None and each.due_s <= now]

        def again(retrial: Retrial, now: float) -> None:
            if running.retrials.get(retrial.task_id) is retrial:
                self.forget(running, retrial)
                self._next(running, retrial.task_id, retrial.endpoint, retrial.attempt, retrial.notified, now)

        self._works.do(running, due, again, lambda at: self.begin(running))

    def retry(self, running: Running, failed: Iterable[Failed], done: Callable[[float], None]) -> None:
        """Try these again, whatever the policy says. `done` when their tasks are made."""

        def again(each: Failed, now: float) -> None:
            retrial = running.retrials.get(each.task_id)
            if retrial is not None:
                self.forget(running, retrial)
            self._next(running, each.task_id, each.endpoint, each.attempt, each.notified, now)

        def made(now: float) -> None:
            self.begin(running)
            done(now)

        self._works.do(running, failed, again, made)

    def forget(self, running: Running, retrial: Retrial) -> None:
        """It is tried again no more, or by another task now."""
        del running.retrials[retrial.task_id]
        self._gathering.delete(tables.effects, (retrial.id,))

    def _next(
        self, running: Running, task_id: str, endpoint: str, attempt: int, notified: bool, now: float
    ) -> None:
        """The next attempt: its device is under way again, and counted so."""
        if running.campaign.state.terminal:
            return
        self._tally.again(running, running.campaign.stage_of(task_id))
        later = next_task_id(task_id, attempt + 1)
        self._make(running, later, endpoint, attempt + 1, now, notified_before=notified)

    def _put_retrial(self, running: Running, retrial: Retrial, now: float) -> None:
        self._gathering.put(
            tables.effects,
            {
                "id": retrial.id,
                "task_id": retrial.task_id,
                "endpoint": retrial.endpoint,
                "effect": RETRY,
                "arguments": json.dumps(
                    [running.campaign.id, retrial.attempt, retrial.failure.value, retrial.notified]
                ),
                "asked_s": now,
                "due_s": retrial.due_s,
            },
        )


def notified(kind: Kind, marks: frozenset[Mark]) -> bool:
    """Whether the device was told of the version by this task, or by one that it goes back to."""
    return kind is Kind.SOFTWARE and not marks.isdisjoint({Mark.GRANTED, Mark.NOTIFIED_BEFORE})
