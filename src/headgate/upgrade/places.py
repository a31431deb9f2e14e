"""The places of tasks in the lines for slots, and who is kept out of them.

Tasks of a campaign that is paused, or outside its windows, are given no slot. They do not stand in line
meanwhile, so that nobody waits behind them: they are *withheld*, and return to where they stood, since a line
is ordered by when its tasks came.

A task that is withheld is past no deadline: the time for which it may wait for a slot counts anew from when
its campaign went on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from headgate.engine.timers import Timers
from headgate.upgrade.admission import Admission
from headgate.upgrade.askers import Active, Roster, Running
from headgate.upgrade.task import State, evolved


class Places:
    """All tasks that wait for a slot or hold one."""

    def __init__(self, admission: Admission, roster: Roster, timers: Timers) -> None:
        self._admission = admission
        self._roster = roster
        self._timers = timers

    def restore(self, actives: Iterable[Active]) -> None:
        """Settle all tasks of a restart, before any other."""
        self._admission.restore(active.task for active in actives if self._has_place(active))

    def settle(self, active: Active) -> None:
        """Give the task the place that it says it has."""
        if self._has_place(active):
            self._admission.settle(active.task)
        else:
            self._admission.leave(active.task_id)

    def _has_place(self, active: Active) -> bool:
        """Whether nobody keeps the task from its place; who stands in line is noted, and who is withheld."""
        running, task = active.running, active.task
        if task.state is not State.WAIT_SLOT:
            running.lined.pop(task.id, None)
            return True
        if running.may_begin and not running.withheld:
            running.lined[task.id] = active
            return True
        self._note_withheld(active)  # behind those who are being let in
        return False

    def withhold(self, active: Active) -> None:
        """Take a task out of its line, or from the slot that it was just given."""
        self._admission.leave(active.task_id)
        self._note_withheld(active)

    def _note_withheld(self, active: Active) -> None:
        active.running.lined.pop(active.task_id, None)
        heappush(active.running.withheld, (active.task.queued_s, active.task_id))

    def lined(self, running: Running) -> Iterator[Active]:
        """Those of a campaign that stand in line, one by one, as long as they shall not."""
        while running.lined and not running.may_begin:
            yield next(iter(running.lined.values()))

    def withheld(self, running: Running) -> Iterator[Active]:
        """Those who may return, in the order in which they stood, as long as they may."""
        while running.withheld and running.may_begin:
            _, task_id = heappop(running.withheld)
            active = self._roster.askers.get(task_id)
            if isinstance(active, Active) and active.state is State.WAIT_SLOT:
                yield active

    def release(self, active: Active, now: float) -> None:
        """Let a task into its line again."""
        active.running.lined[active.task_id] = active
        self._admission.settle(active.task)
        self._timers.set(active, waits_until(active))

    def count_anew(self, active: Active) -> None:
        """It is given a slot. What it waited before its campaign went on counts for its use no more."""
        task, released_s = active.task, active.running.campaign.released_s
        if released_s is not None and task.waiting_s < released_s:
            active.task = evolved(task, {"waiting_s": released_s})

    def patient(self, active: Active, now: float) -> bool:
        """Whether a task that is due may wait on: the time that its campaign lost does not count."""
        if active.task.state is not State.WAIT_SLOT:
            return False
        if not active.running.may_begin and active.task_id in active.running.lined:
            self.withhold(active)
        if active.task_id not in active.running.lined:
            return True  # and is due again when it is released
        until_s = waits_until(active)
        if until_s <= now:
            return False
        self._timers.set(active, until_s)
        return True


def waits_until(active: Active) -> float:
    """Until when a task waits for a slot: its own time, or from when its campaign went on."""
    task, released_s = active.task, active.running.campaign.released_s
    assert task.deadline_s is not None
    if released_s is None:
        return task.deadline_s
    return max(task.deadline_s, released_s + task.plan.timers.online_s)
