"""Who may upgrade now: a cell carries only so many, fewer the worse they hear it.

Nothing is kept here that the tasks do not say. A slot is held by a task in a holding state, a place in line
by one in WAIT_SLOT: `settle` takes a task's word for it, and after a restart the tasks rebuild it all. The
orchestrator settles a task whenever it has been stored, then asks `grant` and `silent` until they say None.
Software and firmware tasks are the same to it.

A *line* is the tasks of one cell and class that wait, oldest first. A *pool* is what its holders share:

    scope CLASS    a pool and a line per cell and class, of as many slots as the class allows
    scope CELL     a pool per cell, a line per class. A device takes 1/limit of the cell (class 0: 1/50, class
                   1 and U: 1/10, class 2: all of it), so that no mixture exceeds any of its limits

Who is next in a pool: of its lines' first tasks, the one waiting longest that fits. It may overtake an older
one that does not fit, but none that has waited for `ageing_s`: for that one the pool drains.

Invariants
 1. A task stands in one line, or holds in one pool, or neither.
 2. What a pool has in use is the sum of what its holders take.
 3. A grant never takes a pool beyond its capacity. (One that is beyond it since limits were lowered drains.)
 4. Slots do not lie idle: once `grant` has said None, no first task of a line fits its pool, unless an older
    one that has aged waits for the pool to drain.
 5. A line is served in order. In scope CELL everyone has his turn too: who has aged and is the oldest lets
    nobody pass, and holders end, since every task does.

Each operation takes O(log n) comparisons, n being the tasks of a pool or, for `silent`, the pools.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from heapq import merge, nsmallest
from itertools import islice
from math import lcm
from typing import NamedTuple

from headgate.upgrade.line import Key, Line
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.task import HOLDING, MINUTE_S, State, Task


class Scope(StrEnum):
    """What shares a counter."""

    CLASS = "class"
    CELL = "cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many of a cell may upgrade at once."""

    class_0: int = 50
    class_1: int = 10
    class_2: int = 1
    unknown: int = 10
    """Devices of which only the cell is known."""
    scope: Scope = Scope.CLASS
    ageing_s: float = 10 * MINUTE_S
    """In scope CELL: whoever has waited for this long is not overtaken any more."""
    silent_s: float = 10 * MINUTE_S
    """A sleeping device that has not used its slot for this long goes to the back, if others wait."""

    def __post_init__(self) -> None:
        for radio_class in RadioClass:
            if self.of(radio_class) < 1:
                raise ValueError(
                    f"class {radio_class} has at least 1 slot in a cell, not {self.of(radio_class)}"
                )

    def of(self, radio_class: RadioClass) -> int:
        """The limit of a class."""
        match radio_class:
            case RadioClass.CLASS_0:
                return self.class_0
            case RadioClass.CLASS_1:
                return self.class_1
            case RadioClass.CLASS_2:
                return self.class_2
            case RadioClass.UNKNOWN:
                return self.unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a task stands, for the sentence that explains why it does not move."""

    cell: Cell
    radio_class: RadioClass
    position: int
    """In its line, from 1; 0 for one that holds a slot."""
    waiting: int
    """How many stand in that line."""
    held: int
    """Slots of this cell and class in use."""
    limit: int
    share: float
    """How much of the pool is in use, 1.0 when it is full."""
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """One cell and class that has holders or a line."""

    cell: Cell
    radio_class: RadioClass
    held: int
    limit: int
    waiting: int


class Standing(NamedTuple):
    """The ids of tasks that stand in a cell, each list in the order in which they came."""

    holders: list[str]
    waiting: list[str]


Group = tuple[Cell, RadioClass]


class _Pool:
    """Slots that holders share, and the lines for them."""

    __slots__ = ("asleep", "capacity", "contended", "held", "lines", "used")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self.held: dict[Group, set[Key]] = {}
        self.lines: dict[Group, Line] = {}
        self.asleep = Line()
        """Holders in WAIT_AWAKE, by when they were given their slot."""
        self.contended: Key | None = None
        """The longest sleeper, while others wait."""

    @property
    def empty(self) -> bool:
        return not self.lines and not self.held


class _Stand(NamedTuple):
    """Where a task stands."""

    group: Group
    key: Key
    holds: bool
    asleep: Key | None


class Admission:
    """The slots and lines of all cells."""

    def __init__(self, limits: Limits, tasks: Iterable[Task] = ()) -> None:
        self.limits = limits
        each = {radio_class: limits.of(radio_class) for radio_class in RadioClass}
        whole = lcm(*each.values())
        shared = limits.scope is Scope.CELL
        self._capacity = dict.fromkeys(RadioClass, whole) if shared else each
        self._weight = {c: whole // limit if shared else 1 for c, limit in each.items()}
        self._stands: dict[str, _Stand] = {}
        self._pools: dict[Group | Cell, _Pool] = {}
        self._changed: dict[Group | Cell, None] = {}  # pools in which somebody may have become next
        self._contended = Line()  # the longest sleeper of each pool in which others wait
        self.restore(tasks)

    # -- what the orchestrator calls --

    def restore(self, tasks: Iterable[Task]) -> None:
        """Settle all tasks of a restart, before any other: each line is put in order once."""
        assert not self._stands, "nobody has a place yet"
        waiting: dict[Group, list[Key]] = {}
        for task in tasks:
            stand = self._stand_of(task)
            if stand is None:
                continue
            self._stands[task.id] = stand
            if stand.holds:
                self._hold(self._pool(stand.group), stand)
            else:
                waiting.setdefault(stand.group, []).append(stand.key)
        for group, keys in waiting.items():
            self._pool(group).lines[group] = Line(keys)
        for name, pool in list(self._pools.items()):
            self._touched(name, pool)

    def settle(self, task: Task) -> None:
        """Give the task the place that it says it has. Saying the same again changes nothing."""
        stand = self._stand_of(task)
        was = self._stands.get(task.id)
        if stand == was:
            return
        if was is not None:
            self._leave(task.id, was)
        if stand is not None:
            self._enter(task.id, stand)

    def leave(self, task_id: str) -> None:
        """Let a task stand nowhere until it is settled again; it is then where it stood."""
        stand = self._stands.get(task_id)
        if stand is not None:
            self._leave(task_id, stand)

    def grant(self, now: float) -> str | None:
        """The id of the next task to be given a slot, None when nobody can be.

        The slot counts as held from now on: the task is to be told, stored and settled.
        """
        while self._changed:
            name = next(iter(self._changed))
            pool = self._pools.get(name)
            group = None if pool is None else self._next(pool, now)
            if pool is None or group is None:
                del self._changed[name]
                continue
            key = pool.lines[group].first()
            assert key is not None
            _, task_id = key
            stand = self._stands[task_id]
            self._leave(task_id, stand)
            self._enter(task_id, _Stand(group, key, holds=True, asleep=None))
            assert pool.used <= pool.capacity  # invariant 3
            return task_id
        return None

    def silent(self, now: float) -> str | None:
        """The id of a task that sleeps over its slot while others wait, None when there is none.

        Its slot is to be revoked, stored and settled before this is asked again.
        """
        sleeper = self._contended.first()
        if sleeper is None or now - sleeper[0] < self.limits.silent_s:
            return None
        return sleeper[1]

    def next_silent(self) -> float | None:
        """When to ask `silent` again; None while no sleeper has others wait for its slot."""
        sleeper = self._contended.first()
        return None if sleeper is None else sleeper[0] + self.limits.silent_s

    def explain(self, task_id: str) -> Place | None:
        """Where the task stands; None when it neither waits for a slot nor holds one."""
        stand = self._stands.get(task_id)
        if stand is None:
            return None
        cell, radio_class = stand.group
        pool = self._pools[self._pool_name(stand.group)]
        line = pool.lines.get(stand.group)
        return Place(
            cell=cell,
            radio_class=radio_class,
            position=0 if stand.holds or line is None else line.position(stand.key) + 1,
            waiting=0 if line is None else len(line),
            held=len(pool.held.get(stand.group, ())),
            limit=self.limits.of(radio_class),
            share=pool.used / pool.capacity,
            since_s=stand.key[0],
        )

    def occupancy(self) -> Iterator[Occupancy]:
        """Every cell and class with holders or a line."""
        for pool in self._pools.values():
            for group in pool.held.keys() | pool.lines:
                cell, radio_class = group
                yield Occupancy(
                    cell=cell,
                    radio_class=radio_class,
                    held=len(pool.held.get(group, ())),
                    limit=self.limits.of(radio_class),
                    waiting=len(pool.lines[group]) if group in pool.lines else 0,
                )

    def standing(self, cell: Cell, limit: int) -> Standing:
        """Who holds slots of a cell, and who is next in its lines: the first so many of each."""
        names = {self._pool_name((cell, radio_class)) for radio_class in RadioClass}
        pools = [self._pools[name] for name in names if name in self._pools]
        held = [
            key for pool in pools for group, keys in pool.held.items() if group[0] == cell for key in keys
        ]
        lines = [line for pool in pools for group, line in pool.lines.items() if group[0] == cell]
        return Standing(
            holders=[task_id for _, task_id in nsmallest(limit, held)],
            waiting=[task_id for _, task_id in islice(merge(*lines), limit)],
        )

    # -- how --

    def _stand_of(self, task: Task) -> _Stand | None:
        """Where a task stands by its own account."""
        state = task.state
        holds = state in HOLDING
        if not holds and state is not State.WAIT_SLOT:
            return None
        radio = task.radio
        assert radio is not None, f"{task.id} is in {state} without a measurement"
        cell, radio_class = radio.cell, radio.radio_class
        assert cell is not None, f"{task.id} is in {state} without a cell"
        assert radio_class is not None, f"{task.id} is in {state} without a class"
        asleep = (task.entered_s, task.id) if state is State.WAIT_AWAKE else None
        return _Stand((cell, radio_class), (task.queued_s, task.id), holds, asleep)

    def _pool_name(self, group: Group) -> Group | Cell:
        return group if self.limits.scope is Scope.CLASS else group[0]

    def _pool(self, group: Group) -> _Pool:
        name = self._pool_name(group)
        pool = self._pools.get(name)
        if pool is None:
            pool = self._pools[name] = _Pool(self._capacity[group[1]])
        return pool

    def _enter(self, task_id: str, stand: _Stand) -> None:
        pool = self._pool(stand.group)
        self._stands[task_id] = stand
        if stand.holds:
            self._hold(pool, stand)
        else:
            if stand.group not in pool.lines:
                pool.lines[stand.group] = Line()
            pool.lines[stand.group].add(stand.key)
        self._touched(self._pool_name(stand.group), pool)

    def _hold(self, pool: _Pool, stand: _Stand) -> None:
        pool.used += self._weight[stand.group[1]]
        pool.held.setdefault(stand.group, set()).add(stand.key)
        if stand.asleep is not None:
            pool.asleep.add(stand.asleep)

    def _leave(self, task_id: str, stand: _Stand) -> None:
        name = self._pool_name(stand.group)
        pool = self._pools[name]
        del self._stands[task_id]
        if stand.holds:
            pool.used -= self._weight[stand.group[1]]
            assert pool.used >= 0  # invariant 2
            pool.held[stand.group].remove(stand.key)
            if not pool.held[stand.group]:
                del pool.held[stand.group]
            if stand.asleep is not None:
                pool.asleep.remove(stand.asleep)
        else:
            line = pool.lines[stand.group]
            line.remove(stand.key)
            if not len(line):
                del pool.lines[stand.group]
        self._touched(name, pool)

    def _touched(self, name: Group | Cell, pool: _Pool) -> None:
        """Keep what is known about all pools in step with one of them."""
        contended = pool.asleep.first() if pool.lines else None
        if contended != pool.contended:
            if pool.contended is not None:
                self._contended.remove(pool.contended)
            if contended is not None:
                self._contended.add(contended)
            pool.contended = contended
        if pool.empty:
            del self._pools[name]
        elif pool.lines:
            self._changed[name] = None

    def _next(self, pool: _Pool, now: float) -> Group | None:
        """Whose first task is to be given a slot of this pool. There are at most as many lines as classes."""
        firsts = sorted((line.first(), group) for group, line in pool.lines.items())
        for key, group in firsts:
            assert key is not None
            if pool.used + self._weight[group[1]] <= pool.capacity:
                return group
            if now - key[0] >= self.limits.ageing_s:
                return None
        return None
