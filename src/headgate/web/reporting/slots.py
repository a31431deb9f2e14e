"""How full the busiest cells of a campaign were: from the lines of the event log, in their order.

A line is written when a task joins the line of its cell, when it is given a slot, and when it ends; between
the last two it holds one. What a sweep over them keeps is who holds a slot just now, not the whole campaign.

The log keeps its newest lines: where those of the campaign's beginning are gone, who was given a slot before
is not known, and the report says from when on it knows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, func, literal, or_, select, tuple_

from headgate.store.tables import events, tasks
from headgate.upgrade import TABLES
from headgate.upgrade.campaign import Campaign
from headgate.upgrade.negotiator import ENDS
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.task import State
from headgate.web.reporting.axis import Axis
from headgate.web.reporting.counting import slices

CELLS_MAX = 12
SOUGHT_MAX = 20_000
"""Tasks whose lines are looked up and put in order. For more the log is read through, in its order."""
LINES = 2_000  # of the log, in memory at once
MARGIN_S = 60.0  # a clock that was set
GIVEN, LINED, OVER = "given", "lined", "over"
GRANTED = "SlotGranted"
FAILED = "failed: "
REPORTED = re.compile(r"RadioReported cell ([0-9A-F-]+), class ([012U]),")

SMCC = func.coalesce(tasks.c.smcc, -1)
SMNC = func.coalesce(tasks.c.smnc, -1)

Group = tuple[str, RadioClass]


class Busy(NamedTuple):
    """A cell, and how many tasks of the campaign were in it."""

    cell: Cell
    tasks: int


@dataclass(slots=True)
class Held:
    """The slots of a class in a cell that the campaign held."""

    axis: Axis
    most: list[int] = field(init=False)
    """At once, in each bin."""
    given: int = 0
    held_s: float = 0.0
    """Slots times seconds."""
    now: int = 0
    _at_s: float = 0.0
    _filled: int = 0

    def __post_init__(self) -> None:
        self.most = [0] * self.axis.bins

    def change(self, at_s: float, by: int) -> None:
        """A slot was given, or taken back."""
        self.until(at_s)
        self.now += by
        self.given += max(by, 0)
        self.most[self._filled] = max(self.most[self._filled], self.now)

    def until(self, at_s: float) -> None:
        """What is held now was held until then."""
        index = self.axis.place(at_s)
        while self._filled < index:
            self._filled += 1
            self.most[self._filled] = self.now
        self.held_s += self.now * max(at_s - self._at_s, 0.0)
        self._at_s = at_s


@dataclass(frozen=True, slots=True)
class Occupied:
    """The busiest cells, and who held what in them."""

    cells: Sequence[Busy]
    all_cells: int
    """In how many the campaign has had tasks."""
    held: Mapping[Group, Held]
    since_s: float | None
    """From when on the log says it; None where it says all of it."""


def occupied(reader: Connection, campaign: Campaign, axis: Axis, end_s: float) -> Occupied:
    """How full the busiest cells were. Blocking, for as long as the log of that time is long."""
    cells, count = busiest(reader, campaign)
    oldest = reader.execute(select(events.c.id, events.c.at_s).order_by(events.c.id).limit(1)).first()
    since_s = None
    if oldest is None:
        since_s = end_s
    elif oldest.id > 1 and oldest.at_s > campaign.created_s:
        since_s = oldest.at_s
    named = frozenset(str(each.cell) for each in cells)
    held = swept(lines(reader, campaign, cells, end_s), named, axis, end_s) if cells else {}
    return Occupied(cells, count, held, since_s)


def busiest(reader: Connection, campaign: Campaign) -> tuple[list[Busy], int]:
    """The cells with the most tasks, and how many cells there are. Blocking."""
    place = (tasks.c.cell_id, SMCC, SMNC)
    counts: Counter[tuple[int, int, int]] = Counter()
    for _, ours in slices(reader, campaign):
        query = select(*place, func.count()).where(ours, tasks.c.cell_id.is_not(None), tasks.c.waiting_s > 0)
        for *where, count in reader.execution_options(yield_per=LINES).execute(query.group_by(*place)):
            counts[tuple(where)] += count
    found = nsmallest(CELLS_MAX, counts.items(), key=lambda each: (-each[1], each[0]))
    return [Busy(cell_of(*where), count) for where, count in found], len(counts)


def cell_of(cell_id: int, smcc: int, smnc: int) -> Cell:
    """The cell of columns in which -1 stands for null."""
    return Cell(cell_id, None if smcc < 0 else smcc, None if smnc < 0 else smnc)


def lines(reader: Connection, campaign: Campaign, cells: Sequence[Busy], end_s: float) -> Iterable[Any]:
    """What the log tells of slots in these cells, in order: when, which task, what, and where. Blocking."""
    row = TABLES[campaign.plan.kind].rows[State.WAIT_SLOT]
    lined = events.c.what == f"waiting for {row.waits}"
    over = or_(events.c.what.in_(ENDS.values()), func.substr(events.c.what, 1, len(FAILED)) == FAILED)
    given = func.substr(events.c.detail, 1, len(GRANTED)) == GRANTED
    there = [
        (each.cell_id, -1 if each.smcc is None else each.smcc, -1 if each.smnc is None else each.smnc)
        for each, _ in cells
    ]
    its_task = [tasks.c.id == events.c.task_id]
    if sum(each.tasks for each in cells) <= SOUGHT_MAX:
        its_task += [tasks.c.campaign_id == campaign.id, tasks.c.endpoint == events.c.endpoint]
    query = (
        select(
            events.c.at_s,
            events.c.task_id,
            case((over, OVER), (lined, LINED), else_=GIVEN).label("kind"),
            case((lined, events.c.detail), else_=literal("")).label("detail"),
            tasks.c.cell_id,
            tasks.c.smcc,
            tasks.c.smnc,
            tasks.c.radio_class,
        )
        .join(tasks, and_(*its_task))
        .where(
            events.c.campaign_id == campaign.id,
            events.c.id >= first_id(reader, campaign.created_s - MARGIN_S),
            events.c.id <= first_id(reader, end_s + MARGIN_S),
            or_(over, lined, given),
            tasks.c.radio_class.is_not(None),
            tuple_(tasks.c.cell_id, SMCC, SMNC).in_(there),
        )
        .order_by(events.c.id)
    )
    with reader.execution_options(yield_per=LINES).execute(query) as result:
        yield from result


def first_id(reader: Connection, at_s: float) -> int:
    """The number of the first line that was written then or later, found by halving: they are in order."""
    # One by one: SQLite takes the two from the ends of its tree, both at once from a walk through all of it.
    low, high = (reader.scalar(select(each(events.c.id))) for each in (func.min, func.max))
    if low is None or high is None:
        return 0
    high += 1
    while low < high:
        middle = (low + high) // 2
        query = select(events.c.id, events.c.at_s).where(events.c.id >= middle).order_by(events.c.id).limit(1)
        found = reader.execute(query).one()
        if found.at_s < at_s:
            low = found.id + 1
        else:
            high = middle
    return int(low)


def swept(rows: Iterable[Any], cells: frozenset[str], axis: Axis, end_s: float) -> dict[Group, Held]:
    """Who held what, from lines in order. A device that came to another cell is counted where it stood."""
    holds: dict[str, Group] = {}
    elsewhere: dict[str, Group] = {}  # who stood in line in another cell or class than in the end
    held: dict[Group, Held] = {}
    groups: dict[tuple[Any, ...], Group] = {}  # by the columns that say so, since they are few
    for at_s, task_id, kind, detail, *columns in rows:
        left = None
        if kind != GIVEN:
            left = holds.pop(task_id, None)
        if left is not None:
            held[left].change(at_s, -1)
        if kind == OVER:
            elsewhere.pop(task_id, None)
            continue
        place = tuple(columns)
        last = groups.get(place)
        if last is None:
            last = groups[place] = (str(Cell(*place[:3])), RadioClass(place[3]))
        if kind == LINED:
            said = REPORTED.match(detail)
            if said is not None:  # else it stands where it stood
                elsewhere[task_id] = (said[1], RadioClass(said[2]))
                if elsewhere[task_id] == last:
                    del elsewhere[task_id]
            continue
        group = elsewhere.get(task_id, last)
        if group[0] in cells and task_id not in holds:
            holds[task_id] = group
            if group not in held:
                held[group] = Held(axis)
            held[group].change(at_s, 1)
    for each in held.values():
        each.until(end_s)
    return held
