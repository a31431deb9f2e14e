"""Campaigns that run: their tasks made, activated, tried again and cancelled, a few at a time.

Work on many tasks at once (a list of 100,000 devices, say) is done in pieces between other things: a piece is
as much as one transaction should carry, and the next begins when that was taken.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headgate.engine.timers import Timers
from headgate.store import tables
from headgate.upgrade import advance
from headgate.upgrade.askers import Active, Retrial, Roster, Running
from headgate.upgrade.campaign import (
    RETRIED,
    Campaign,
    CampaignState,
    campaign_row,
    checked_endpoints,
    failure_counter,
    first_task_id,
    next_task_id,
    state_counter,
)
from headgate.upgrade.events import Activated, Conflicted, DeviceHeard, TaskCancelled
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiator import Downloads, Negotiator
from headgate.upgrade.questions import Questions
from headgate.upgrade.task import Kind, Mark, State, Task
from headgate.upgrade.turns import Gathering, News, Outcome

RETRY = "Retry"  # the effect that a retrial's row names


class Work:
    """Something to do for each of many, and once they are all done."""

    __slots__ = ("done", "each", "items")

    def __init__(
        self, items: Iterable[Any], each: Callable[[Any, float], None], done: Callable[[float], None]
    ) -> None:
        self.items: Iterator[Any] = iter(items)
        self.each = each
        self.done = done

    def some(self, count: int, now: float) -> int:
        """Do it for at most `count`; returns for how many it was not needed any more."""
        for item in self.items:
            self.each(item, now)
            count -= 1
            if not count:
                return 0
        self.done(now)
        return count


class Campaigns:
    """All campaigns that are not through."""

    def __init__(
        self,
        *,
        negotiator: Negotiator,
        downloads: Downloads,
        gathering: Gathering,
        questions: Questions,
        roster: Roster,
        timers: Timers,
        awake: Callable[[str, float], bool],
    ) -> None:
        self._negotiator = negotiator
        self._downloads = downloads
        self._gathering = gathering
        self._questions = questions
        self._roster = roster
        self._timers = timers
        self._awake = awake
        self._work: deque[Work] = deque()
        self.maintained: dict[str, str] = {}
        """Devices that are busy with a maintenance command, and which."""

    @property
    def working(self) -> bool:
        """Whether there is work to go on with."""
        return bool(self._work)

    def work(self, count: int, now: float) -> None:
        """Go on, with at most so many tasks."""
        while self._work and count:
            work = self._work[0]
            count = work.some(count, now)
            if count:
                self._work.popleft()

    # -- making --

    def start(self, campaign: Campaign, endpoints: Iterable[str], now: float) -> None:
        """Make a task for each device, and then let them begin. ValueError: a device comes twice."""
        assert campaign.state is CampaignState.CREATING
        if campaign.id in self._roster.running:
            raise ValueError(f"campaign {campaign.id} exists already")
        listed = checked_endpoints(endpoints)
        running = self._roster.running[campaign.id] = Running(campaign)
        self._put(running)
        self._log(running, now, "created", f"{campaign.name}: {len(listed)} devices")

        def make(item: tuple[int, str], at: float) -> None:
            index, endpoint = item
            self._make(running, first_task_id(campaign.id, index), endpoint, 1, at)

        self._do(running, enumerate(listed), make, lambda at: self._made(running, at))

    def _make(
        self,
        running: Running,
        task_id: str,
        endpoint: str,
        attempt: int,
        now: float,
        *,
        notified_before: bool = False,
    ) -> Active | None:
        """One task. A device has one active task at most: a second one fails at once."""
        if running.campaign.state.terminal:
            return None
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
            self._negotiator.count(active, state_counter(State.CREATED), 1)
            return active
        task, _ = advance(task, Conflicted(other=f"task {other.task_id}"), now)
        active.task = task
        self._negotiator.store(active)
        self._negotiator.count(active, state_counter(State.FAILED), 1)
        self._negotiator.count(active, failure_counter(Failure.TASK_CONFLICT), 1)
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
        self._failed(active, now)
        return None

    def _made(self, running: Running, now: float) -> None:
        """All are there: the campaign runs."""
        if running.campaign.state is CampaignState.CREATING:
            running.campaign = running.campaign.evolved(state=CampaignState.RUNNING, started_s=now)
            self._put(running)
            self._log(running, now, "running", "")
        created = [each for each in self._roster.tasks() if each.running is running and waits(each)]
        self._do(running, created, self._activate)

    def restore(self, running: Running, created: list[Active], now: float) -> None:
        """Go on with a campaign after a restart; `created` are its tasks that have not begun.

        Whoever wanted one whose tasks were not all made has not been told that it exists.
        """
        match running.campaign.state:
            case CampaignState.CREATING:
                self.stop(running, "a restart, since not all of its tasks had been made", now)
            case CampaignState.STOPPED:
                self._cancel_all(running, "the operator who stopped the campaign")
            case _:
                self._do(running, created, self._activate)

    def _activate(self, active: Active, now: float) -> None:
        """One task begins, unless the device is busy. One that is awake just now need not be waited for."""
        if not waits(active):
            return
        busy = self.maintained.get(active.endpoint)
        if busy is not None:
            self._negotiator.happens(active, Conflicted(other=busy), now)
            return
        self._negotiator.happens(active, Activated(), now)
        if self._awake(active.endpoint, now):
            self._negotiator.happens(active, DeviceHeard(), now)

    # -- ending --

    def stop(self, running: Running, by: str, now: float) -> None:
        """Cancel all its tasks, and make no more."""
        if running.campaign.state.terminal:
            return
        running.campaign = running.campaign.evolved(state=CampaignState.STOPPED)
        self._put(running)
        self._log(running, now, "stopped", f"by {by}" if by else "")
        for retrial in running.retrials.values():
            self._gathering.delete(tables.effects, (retrial.id,))
        running.retrials.clear()
        self._cancel_all(running, by)

    def _cancel_all(self, running: Running, by: str) -> None:
        tasks = [each for each in self._roster.tasks() if each.running is running]
        self._do(running, tasks, lambda each, at: self._cancel(each, by, at))

    def _cancel(self, active: Active, by: str, now: float) -> None:
        if not active.task.state.terminal:
            self._negotiator.happens(active, TaskCancelled(by=by), now)

    def settle(self, now: float) -> None:
        """Take the tasks that have ended since: some are to be tried again, some were the last of a batch."""
        ended, self._negotiator.ended = self._negotiator.ended, []
        for active in ended:
            self._failed(active, now)
        for running in {id(active.running): active.running for active in ended}.values():
            self._through(running, now)

    def _failed(self, active: Active, now: float) -> None:
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
            notified=notified(active.task),
        )
        running.retrials[active.task_id] = retrial
        self._put_retrial(running, retrial, now)

    def _through(self, running: Running, now: float) -> None:
        """When a batch is through: those that failed may be tried again, else the campaign is over."""
        if running.busy or running.unfinished:
            return
        if running.retrials:
            undated = [each for each in running.retrials.values() if each.due_s is None]
            if undated:
                self._do(running, undated, lambda each, at: self._date(running, each, now))
            else:
                self._wait(running)
            return
        if running.campaign.ended_s is None:
            state = running.campaign.state
            ended = CampaignState.ENDED if state is CampaignState.RUNNING else state
            running.campaign = running.campaign.evolved(state=ended, ended_s=now)
            self._put(running)
            self._log(running, now, "ended", "")
            self._timers.cancel(running)
            del self._roster.running[running.campaign.id]

    # -- trying again --

    def _date(self, running: Running, retrial: Retrial, through_s: float) -> None:
        """Its interval counts from when the batch was through."""
        if retrial.task_id in running.retrials:
            retrial.due_s = through_s + running.campaign.retry.by_failure[retrial.failure].interval_s
            self._put_retrial(running, retrial, through_s)

    def _wait(self, running: Running) -> None:
        """Until the first of those that are to be tried again."""
        self._timers.set(running, min(each.due_s or 0.0 for each in running.retrials.values()))

    def due(self, running: Running, now: float) -> None:
        """Somebody is to be tried again."""
        due = [each for each in running.retrials.values() if each.due_s is not None and each.due_s <= now]
        self._do(running, due, lambda each, at: self._again(running, each, at))

    def _again(self, running: Running, retrial: Retrial, now: float) -> None:
        if running.retrials.pop(retrial.task_id, None) is None:
            return
        self._gathering.delete(tables.effects, (retrial.id,))
        attempt = retrial.attempt + 1
        running.counters[RETRIED] = running.counters.get(RETRIED, 0) + 1
        self._gathering.add((running.campaign.id, RETRIED), 1)
        task_id = next_task_id(retrial.task_id, attempt)
        active = self._make(
            running, task_id, retrial.endpoint, attempt, now, notified_before=retrial.notified
        )
        if active is not None:
            self._activate(active, now)

    def _do(
        self,
        running: Running,
        items: Iterable[Any],
        each: Callable[[Any, float], None],
        done: Callable[[float], None] | None = None,
    ) -> None:
        """Work on the campaign, which is not through before that is done."""
        running.busy += 1

        def end(now: float) -> None:
            running.busy -= 1
            if done is not None:
                done(now)
            self.settle(now)  # those that ended in this piece may be tried again
            self._through(running, now)

        self._work.append(Work(items, each, end))

    # -- rows --

    def _put(self, running: Running) -> None:
        self._gathering.put(tables.campaigns, campaign_row(running.campaign))

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

    def _log(self, running: Running, now: float, what: str, detail: str) -> None:
        campaign = running.campaign
        self._gathering.log(now, f"campaign {what}", detail, campaign_id=campaign.id)
        news = News(
            what=f"campaign.{what}",
            campaign_id=campaign.id,
            name=campaign.name,
            detail=detail,
            counters=dict(running.counters),
            at_s=now,
        )
        self._gathering.turn.news.append(news)


def waits(active: Active) -> bool:
    """Whether the task was made and has not begun."""
    return active.task.state is State.CREATED


def notified(task: Task) -> bool:
    """Whether the device was told of the version by this task, or by one that it goes back to."""
    return task.plan.kind is Kind.SOFTWARE and not task.marks.isdisjoint({Mark.GRANTED, Mark.NOTIFIED_BEFORE})
