"""What a campaign would be like: the same admission of devices to cells, in virtual time.

`rehearse` lets made-up tasks go through `Admission` under the campaign's limits, stages and windows, as the
orchestrator does with real ones, and tells how long it took. All times that no scheduler decides are drawn:

    a device reports     at once where it never sleeps, else at some time until its registration ends, and
                         then once in every interval; who does not within T_online has failed
    it is asked          for its version and its radio, before it stands in line
    it holds its slot    for the download and the update, by the pace of its class (`airtime`); one that
                         sleeps when its turn comes keeps the slot until it reports, unless it is revoked

A member may stand for several devices of a cell that is too large to be played whole: it then holds its slot
for as long as all of them would, one after the other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from enum import IntEnum
from heapq import heappop, heappush

from headgate.upgrade.admission import Admission
from headgate.upgrade.airtime import ASKED, exchange_s
from headgate.upgrade.premises import WAITS, Loss, Member, Played, TooManyEvents, Wish, others_of
from headgate.upgrade.radio import Cell, Measurement, RadioClass
from headgate.upgrade.task import Kind, Plan, State, Task, evolved

SPREAD = 0.35
"""Standard deviation of the logarithm of a device's pace, as the simulated radio has it."""
HORIZON_S = 366 * 86_400.0


class What(IntEnum):
    """What happens to a member, or to all: the place of its method in `Rehearsal.run`."""

    ENTERS = 0
    ENDS = 1
    WAKES = 2
    GIVES_UP = 3
    MISSES = 4
    WINDOW = 5
    SILENT = 6


class Stand(IntEnum):
    """Where a member is."""

    BEFORE = 0
    WITHHELD = 1
    LINED = 2
    SLEEPING = 3
    HOLDING = 4
    OVER = 5


class Rehearsal:
    """One run."""

    def __init__(self, wish: Wish, members: Sequence[Member], rng: random.Random) -> None:
        self._wish = wish
        self._rng = rng
        self._members = [*members, *others_of(wish, members)]
        self._own = len(members)
        self._cells: dict[str, Cell] = {}
        self._radios: dict[tuple[str, RadioClass], Measurement] = {}
        self._admission = Admission(wish.limits)
        cargo = wish.cargo
        plan = Plan(kind=Kind.FIRMWARE, target_version="", pid=bytes(8), size_bytes=cargo.size_bytes)
        self._template = Task.created(id="", endpoint="", plan=plan, now=wish.begin_s)
        self._paces = wish.paces
        self._asking_s = {each: ASKED * exchange_s(each, wish.loss) for each in RadioClass}
        self._heap: list[tuple[float, int, What, int]] = []
        self._pushed = 0
        count = len(self._members)
        self._stand = [Stand.BEFORE] * count
        self._tasks: list[Task | None] = [None] * count
        self._reports_s = [0.0] * count  # one of its reports
        self._heard_s = [0.0] * count
        self._granted_s = [0.0] * count
        self._finish_s = [0.0] * self._own
        self._lost: dict[int, Loss] = {}
        self._withheld: list[tuple[float, int]] = []
        self._released_s = 0.0
        self._may_begin = False
        self._silent_s = math.inf
        self._stages: list[list[int]] = [[] for _ in range(wish.stages)]
        self._begun = 0  # stages
        self._left = 0  # of those that have begun
        self._stages_s: list[float] = []
        for index, member in enumerate(members):
            self._stages[member.stage].append(index)

    def run(self, events_max: int, *, cut: bool) -> Played:
        """To the end of the campaign, or with `cut` as far as it comes. Raises TooManyEvents otherwise."""
        wish = self._wish
        now = wish.begin_s
        self._window_changes(-1, now)
        self._others(now)
        self._go_on(now)
        self._admit(now)
        happens = (
            self._enter,
            self._over,
            self._wake,
            self._give_up,
            self._miss,
            self._window_changes,
            self._silence,
        )
        events = 0
        while self._heap and (self._left or self._begun < len(self._stages)):
            now, _, what, index = heappop(self._heap)
            events += 1
            if events > events_max and not cut:
                raise TooManyEvents
            if events > events_max or now - wish.begin_s > HORIZON_S:
                self._cut_short(now)
                break
            happens[what](index, now)
            self._go_on(now)
            self._admit(now)
        return Played(finish_s=self._finish_s, lost=self._lost, stages_s=self._stages_s, events=events)

    def _cut_short(self, now: float) -> None:
        """Nobody wants to know what comes later."""
        for index in range(self._own):
            if self._stand[index] is not Stand.OVER:
                self._lose(index, Loss.LATE, now)
        self._stages_s += [now - self._wish.begin_s] * (len(self._stages) - len(self._stages_s))

    def _push(self, at_s: float, what: What, index: int) -> None:
        self._pushed += 1
        heappush(self._heap, (at_s, self._pushed, what, index))

    # -- stages and windows --

    def _go_on(self, now: float) -> None:
        """The next stage begins when all that has begun is over, and something may begin."""
        while not self._left:
            if len(self._stages_s) < self._begun:
                self._stages_s.append(now - self._wish.begin_s)
            if self._begun == len(self._stages) or not self._may_begin:
                return
            self._begin(self._stages[self._begun], now)
            self._begun += 1

    def _begin(self, indexes: Iterable[int], now: float) -> None:
        online_s, draw = self._wish.timers.online_s, self._rng.random
        for index in indexes:
            member = self._members[index]
            self._left += 1
            self._reports_s[index] = self._wish.begin_s + draw() * member.within_s
            at_s = self._next_report(index, now) if member.within_s else now
            if at_s - now > online_s:
                self._push(now + online_s, What.MISSES, index)
                continue
            self._heard_s[index] = at_s + self._asking_s[member.radio_class]
            self._push(self._heard_s[index], What.ENTERS, index)

    def _next_report(self, index: int, now: float) -> float:
        """When it reports next, from now on."""
        first_s, interval_s = self._reports_s[index], self._members[index].interval_s
        if first_s >= now:
            return first_s
        return first_s + math.ceil((now - first_s) / interval_s) * interval_s

    def _last_heard_s(self, index: int, now: float) -> float:
        """When it answered, or reported since."""
        first_s, interval_s = self._reports_s[index], self._members[index].interval_s
        if now < first_s:
            return self._heard_s[index]
        return max(self._heard_s[index], first_s + (now - first_s) // interval_s * interval_s)

    def _window_changes(self, index: int, now: float) -> None:
        windows = self._wish.windows
        change_s = windows.next_change(now)
        if change_s is not None:
            self._push(change_s, What.WINDOW, -1)
        was, self._may_begin = self._may_begin, windows.open(now)
        if self._may_begin and not was:
            self._released_s = now
            withheld, self._withheld = self._withheld, []
            for _, index in withheld:
                if self._stand[index] is Stand.WITHHELD:
                    self._line_up(index)
                    self._push(now + self._wish.timers.online_s, What.GIVES_UP, index)
        elif was and not self._may_begin:
            for index in range(self._own):
                if self._stand[index] is Stand.LINED:
                    self._withhold(index)

    # -- one member --

    def _enter(self, index: int, now: float) -> None:
        member = self._members[index]
        self._tasks[index] = evolved(
            self._template,
            {
                "id": f"{index:07d}",
                "state": State.WAIT_SLOT,
                "radio": self._radio(member),
                "entered_s": now,
                "waiting_s": now,
                "queued_s": now,
            },
        )
        if self._may_begin:
            self._line_up(index)
            self._push(now + self._wish.timers.online_s, What.GIVES_UP, index)
        else:
            self._withhold(index)

    def _radio(self, member: Member) -> Measurement:
        radio = self._radios.get((member.cell, member.radio_class))
        if radio is None:
            cell = self._cells.setdefault(member.cell, Cell(len(self._cells) + 1))
            radio = Measurement(cell=cell, radio_class=member.radio_class)
            self._radios[member.cell, member.radio_class] = radio
        return radio

    def _task(self, index: int) -> Task:
        task = self._tasks[index]
        assert task is not None, "it has stood in line"
        return task

    def _line_up(self, index: int) -> None:
        self._stand[index] = Stand.LINED
        self._admission.settle(self._task(index))

    def _withhold(self, index: int) -> None:
        task = self._task(index)
        self._admission.leave(task.id)
        self._stand[index] = Stand.WITHHELD
        heappush(self._withheld, (task.queued_s, index))

    def _admit(self, now: float) -> None:
        """As `Negotiator.admit`: take slots from the silent, give those that are free."""
        admission = self._admission
        while (task_id := admission.silent(now)) is not None:
            index = int(task_id)
            task = evolved(self._task(index), {"state": State.WAIT_SLOT, "entered_s": now, "queued_s": now})
            self._tasks[index] = task
            if self._may_begin:
                self._line_up(index)
            else:
                self._withhold(index)
        while (task_id := admission.grant(now)) is not None:
            index = int(task_id)
            member = self._members[index]
            self._granted_s[index] = now
            if not member.sleeps or now < self._last_heard_s(index, now) + self._wish.awake_s:
                self._use(index, now)
                continue
            self._stand[index] = Stand.SLEEPING
            task = evolved(self._task(index), {"state": State.WAIT_AWAKE, "entered_s": now})
            self._tasks[index] = task
            admission.settle(task)
            self._push(self._next_report(index, now), What.WAKES, index)
        due_s = admission.next_silent()
        if due_s is not None and due_s < self._silent_s:
            self._silent_s = due_s
            self._push(due_s, What.SILENT, -1)

    def _use(self, index: int, now: float) -> None:
        """It is awake and has its slot."""
        member = self._members[index]
        task = self._task(index)
        if self._stand[index] is Stand.SLEEPING:
            self._admission.settle(evolved(task, {"state": State.DOWNLOADING, "entered_s": now}))
        self._stand[index] = Stand.HOLDING
        held_s = self._held_s(index)
        waited = self._granted_s[index] > task.waiting_s
        more_s = (member.stretch - 1) * (held_s + now - self._granted_s[index])
        if index < self._own:
            later_s = self._rng.random() * more_s if waited else 0.0
            self._finish_s[index] = now + held_s + later_s - self._wish.begin_s
        self._push(now + held_s + more_s, What.ENDS, index)

    def _held_s(self, index: int) -> float:
        """For how long it holds its slot, from when it begins to use it."""
        wish, rng = self._wish, self._rng
        pace = self._paces[self._members[index].radio_class]
        spread = SPREAD / math.sqrt(self._members[index].stretch)  # of the mean of so many
        slow = math.exp(rng.gauss(0.0, spread) - spread * spread / 2)
        download_s = wish.cargo.size_bytes / pace.goodput_bytes_s * slow
        if download_s > wish.timers.download_s:
            self._lost[index] = Loss.DOWNLOAD
            return wish.timers.download_s
        held_s = download_s + pace.rest_s * slow
        if wish.failures and rng.random() < wish.failures:
            self._lost[index] = Loss.FAILED
            return held_s * rng.random()
        return held_s

    def _wake(self, index: int, now: float) -> None:
        """It reports."""
        if self._stand[index] is Stand.SLEEPING:
            self._use(index, now)

    def _miss(self, index: int, now: float) -> None:
        """T_online has passed, and it has not reported."""
        self._lose(index, Loss.ONLINE, now)

    def _silence(self, index: int, now: float) -> None:
        """Someone sleeps over a slot, perhaps: `_admit` asks."""
        self._silent_s = math.inf

    def _give_up(self, index: int, now: float) -> None:
        """T_online has passed since it came, or since its campaign went on."""
        stand = self._stand[index]
        if stand is not Stand.LINED and stand is not Stand.SLEEPING:
            return
        task = self._task(index)
        until_s = max(task.waiting_s, self._released_s) + self._wish.timers.online_s
        if now < until_s:
            self._push(until_s, What.GIVES_UP, index)
            return
        self._admission.leave(task.id)
        self._lose(index, Loss.SLOT, now)

    def _lose(self, index: int, loss: Loss, now: float) -> None:
        self._lost[index] = loss
        self._finish_s[index] = now - self._wish.begin_s
        self._tasks[index] = None
        self._stand[index] = Stand.OVER
        self._left -= 1

    def _over(self, index: int, now: float) -> None:
        self._admission.leave(self._task(index).id)
        self._tasks[index] = None
        self._stand[index] = Stand.OVER
        if index < self._own:
            self._left -= 1

    def _others(self, now: float) -> None:
        """Who was there before. Holders are somewhere on their way, and those in line have come first."""
        for index in range(self._own, len(self._members)):
            member = self._members[index]
            self._tasks[index] = evolved(
                self._template,
                {
                    "id": f"{index:07d}",
                    "state": State.WAIT_SLOT if member.stage == WAITS else State.DOWNLOADING,
                    "radio": self._radio(member),
                    "waiting_s": now,
                    "queued_s": now - 1.0,
                },
            )
            self._admission.settle(self._task(index))
            if member.stage != WAITS:
                self._stand[index] = Stand.HOLDING
                self._push(now + self._rng.random() * self._held_s(index), What.ENDS, index)


def rehearse(
    wish: Wish, members: Sequence[Member], rng: random.Random, *, events_max: int = 10**6, cut: bool = True
) -> Played:
    """How the campaign goes once, as far as so many events reach. Raises TooManyEvents where not `cut`."""
    return Rehearsal(wish, members, rng).run(events_max, cut=cut)
