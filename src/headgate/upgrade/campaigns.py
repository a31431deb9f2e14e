"""Campaigns that are not through: made, ended, and gone on with after a restart.

`attempts` makes and begins their tasks, `course` says when; here is what holds the two together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from headgate.engine.timers import Timers
from headgate.store import tables
from headgate.upgrade.askers import Active, Roster, Running
from headgate.upgrade.attempts import Attempts, Failed
from headgate.upgrade.campaign import Campaign, CampaignState, checked_endpoints
from headgate.upgrade.course import Course, check_start
from headgate.upgrade.events import TaskCancelled
from headgate.upgrade.lists import packed, unpacked
from headgate.upgrade.negotiator import Downloads, Negotiator
from headgate.upgrade.questions import Questions
from headgate.upgrade.stages import Stage
from headgate.upgrade.turns import Gathering
from headgate.upgrade.works import Works

PASSED_MAX = 500  # tasks of other campaigns: some 50 us


def own_of(running: Running, active: deque[Active]) -> Iterator[Active | None]:
    """Those of a campaign, each let go of as it is taken, and not all of them at once at the end.

    None stands for PASSED_MAX others, so that a piece of work does not look through all there are.
    """
    passed = 0
    while active:
        each = active.popleft()
        if each.running is running:
            yield each
        else:
            passed += 1
            if passed % PASSED_MAX == 0:
                yield None


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
        self._gathering = gathering
        self._roster = roster
        self._timers = timers
        self._works = Works(self._worked)
        self.attempts = Attempts(
            negotiator=negotiator,
            downloads=downloads,
            gathering=gathering,
            questions=questions,
            roster=roster,
            works=self._works,
            awake=awake,
        )
        self.course = Course(
            attempts=self.attempts,
            negotiator=negotiator,
            gathering=gathering,
            timers=timers,
            works=self._works,
        )

    @property
    def working(self) -> bool:
        """Whether there is work to go on with."""
        return self._works.any

    def work(self, count: int, now: float) -> None:
        """Go on, with at most so many tasks."""
        self._works.some(count, now)

    def _worked(self, running: Running, now: float) -> None:
        """Something was done for a campaign: tasks may have ended meanwhile, perhaps its last."""
        self.settle(now)
        self._through(running, now)

    # -- making --

    def start(
        self, campaign: Campaign, endpoints: Iterable[str], now: float, kept: bytes | None = None
    ) -> None:
        """Make a task for each device, and then let them begin. ValueError: a device comes twice.

        The list is stored with the campaign's row; `kept` is it where it is packed already.
        """
        assert campaign.state is CampaignState.CREATING
        if campaign.id in self._roster.running:
            raise ValueError(f"campaign {campaign.id} exists already")
        listed = checked_endpoints(endpoints)
        check_start(campaign.start_s, now)
        if not campaign.stages:
            campaign = campaign.evolved(stages=(Stage(devices=len(listed)),))
        assert sum(stage.devices for stage in campaign.stages) == len(listed)
        running = self._roster.running[campaign.id] = Running(campaign)
        self.course.put(running)
        kept = packed(listed) if kept is None else kept
        self._gathering.put(tables.campaign_lists, {"campaign_id": campaign.id, "packed": kept})
        self.course.log(running, now, "created", f"{campaign.name}: {len(listed)} devices")
        self._make(running, listed, 0)

    def _make(self, running: Running, endpoints: Iterable[str], first: int) -> None:
        self.attempts.make_all(running, endpoints, first, lambda at: self._made(running, at))

    def _made(self, running: Running, now: float) -> None:
        """All are there: the campaign may begin."""
        if not running.campaign.state.terminal:
            self.course.put(running, started_s=now)
            self._gathering.delete(tables.campaign_lists, (running.campaign.id,))
            self.course.look(running, now)

    def restore(self, running: Running, created: list[Active], kept: bytes | None, now: float) -> None:
        """Go on with a campaign after a restart; `created` are its tasks that have not begun.

        `kept` is the list of its devices where its tasks are not all made. They are made in the order of the
        list and stored in that order, so those that are missing are the last; how many there are the
        counters say. A campaign of an earlier version has no list.
        """
        campaign = running.campaign
        for active in created:
            running.waiting[active.stage].append(active)
        if campaign.state is CampaignState.STOPPED:
            self._cancel_all(running, "the operator who stopped the campaign")
            return
        if not campaign.made:
            if kept is None:
                self.stop(running, "a restart, since not all of its tasks had been made", now)
                return
            first = running.counts.devices
            self._make(running, unpacked(kept, first), first)
            return
        if running.may_begin and campaign.windows.each:  # it may have opened while nobody was there
            self.course.put(running, released_s=now)
        self.course.look(running, now)
        self.course.watch(running, now)
        self._works.do(running, (), lambda each, at: None)  # it may be through, and not have been told

    # -- ending --

    def stop(self, running: Running, by: str, now: float) -> None:
        """Cancel all its tasks, and make no more."""
        if running.campaign.state.terminal:
            return
        revision = running.campaign.revision + 1
        self.course.put(running, state=CampaignState.STOPPED, hold=None, reason="", revision=revision)
        self.course.log(running, now, "stopped", f"by {by}" if by else "")
        if not running.campaign.made:
            self._gathering.delete(tables.campaign_lists, (running.campaign.id,))
        running.may_begin = False
        for retrial in running.retrials.values():
            self._gathering.delete(tables.effects, (retrial.id,))
        running.retrials.clear()
        self._timers.cancel(running)
        self._cancel_all(running, by)

    def _cancel_all(self, running: Running, by: str) -> None:
        own = own_of(running, deque(self._roster.tasks()))
        self._works.do(running, own, lambda each, at: self._cancel(each, by, at))

    def _cancel(self, active: Active | None, by: str, now: float) -> None:
        if active is not None and not active.task.state.terminal:
            self._negotiator.happens(active, TaskCancelled(by=by), now)

    def settle(self, now: float) -> None:
        """Take the tasks that have ended since: some are to be tried again, some were the last of a batch."""
        ended, self._negotiator.ended = self._negotiator.ended, []
        for active in ended:
            self.attempts.failed(active, now)
        for running in {id(active.running): active.running for active in ended}.values():
            self.course.watch(running, now)
            self._through(running, now)

    def _through(self, running: Running, now: float) -> None:
        """When a batch is through: those that failed may be tried again, else the next stage begins."""
        campaign = running.campaign
        if running.busy or campaign.id not in self._roster.running:
            return
        if campaign.state is CampaignState.STOPPED:
            if not running.unfinished:
                self._end(running, now)
            return
        if running.under_way or not campaign.stage:
            return
        if running.retrials:
            undated = [each for each in running.retrials.values() if each.due_s is None]
            if undated:
                self.attempts.date(running, undated, now)
            else:
                running.retrial_s = min(each.due_s or 0.0 for each in running.retrials.values())
                self.course.look(running, now)
        elif campaign.stage == len(campaign.stages):
            self._end(running, now)
        else:
            self.course.through(running, now)

    def _end(self, running: Running, now: float) -> None:
        state = running.campaign.state
        ended = state if state is CampaignState.STOPPED else CampaignState.ENDED
        self.course.put(running, state=ended, ended_s=now, hold=None, reason="")
        self.course.log(running, now, "ended", "")
        running.may_begin = False
        self._timers.cancel(running)
        del self._roster.running[running.campaign.id]

    # -- what operators decide --

    def resume(self, running: Running, by: str, now: float) -> None:
        """Go on with one that is paused."""
        self.course.resume(running, by, now)
        self._through(running, now)

    def retry(
        self, running: Running, failed: list[Failed], by: str, now: float, done: Callable[[float], None]
    ) -> None:
        """Try these again: failed last attempts of a campaign, which may have ended."""
        campaign = running.campaign
        if campaign.ended_s is not None:
            assert campaign.state is CampaignState.ENDED
            self._roster.running[campaign.id] = running
            self.course.put(running, state=CampaignState.RUNNING, ended_s=None)

        def made(now: float) -> None:
            said = f"{len(failed)} devices" + (f" by {by}" if by else "")
            self.course.log(running, now, "retried", said)
            done(now)

        self.attempts.retry(running, failed, made)
        self.course.look(running, now)
