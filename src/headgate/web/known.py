"""What the store knows of a campaign's devices before it starts, for a forecast. All of it blocks.

Counting and choosing is the database's work, in which other threads are not held up: little more comes to us
than a forecast plays.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, and_, case, func, literal, or_, select, true

from headgate.store.database import Database
from headgate.store.tables import campaigns, devices, events, packages, tasks
from headgate.upgrade import TABLES
from headgate.upgrade.admission import Limits, Occupancy
from headgate.upgrade.airtime import Pace
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.sampling import Group, Part, Row
from headgate.upgrade.task import HOLDING, Kind, State

INTERVAL_S = (60.0, 366 * 86_400.0)
"""Lifetimes are taken to be in between."""
ASKED_AT_ONCE = 500
"""Endpoints named in one question."""
CHUNK = 2_000
"""Rows that are made at once, while nobody else runs."""
ENOUGH = 20
"""Devices of a class whose pace is worth more than an assumption."""
LOOKED_AT = 50
"""Of them, at most; each is a question."""
CAMPAIGNS, TASKS = 5, 2_000
"""The newest campaigns that are looked at, and the first tasks of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """When devices report."""

    now_s: float
    interval_s: float | None
    """None: once in their lifetime."""
    online_s: float
    """Within which one that is not registered is taken to come."""

    def row(
        self,
        cell: str | None,
        radio_class: str | None,
        queue_mode: bool | None,
        lifetime_s: int | None,
        heard_s: float | None,
    ) -> Row:
        """A device, of the columns of its row; all are None where it is not registered."""
        known = RadioClass(radio_class) if cell and radio_class else None
        if lifetime_s is None:
            interval_s = self.interval_s or self.online_s
            return Row(cell if known else None, known, False, interval_s, interval_s)
        interval_s = self.interval_s or min(max(float(lifetime_s), INTERVAL_S[0]), INTERVAL_S[1])
        within_s = interval_s
        if self.interval_s is None and heard_s is not None:
            within_s = min(max(heard_s + interval_s - self.now_s, 1.0), interval_s)
        return Row(
            cell if known else None, known, bool(queue_mode), within_s if queue_mode else 0.0, interval_s
        )


COLUMNS = (
    devices.c.cell,
    devices.c.radio_class,
    devices.c.queue_mode,
    devices.c.lifetime_s,
    devices.c.heard_s,
)


class ListedPart:
    """Devices that were read."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self.counts: Mapping[Group | None, int] = Counter(map(group_of, rows))

    def rows(self, cells: Collection[str] | None, *, every: int) -> Sequence[Row]:
        """Those of these cells, or those without a cell; of each `every`, one."""
        if cells is None:
            return [row for row in self._rows if row.cell is None][::every]
        wanted = frozenset(cells)
        return [row for row in self._rows if row.cell in wanted][::every]


class StoredFleet:
    """Devices that are asked for when they are wanted, each stage by a range of endpoints.

    Each question goes through the table once, in its own order: that of the endpoints would look up one row
    after the other all over it, and take ten times as long.
    """

    def __init__(
        self,
        database: Database,
        source: FromClause,
        condition: ColumnElement[bool],
        stage: Any,
        reports: Reports,
    ) -> None:
        """`stage` is the number of a device's stage, as a question to the database."""
        self._database = database
        self._source = source
        self._condition = condition
        self._stage = stage
        self._reports = reports

    def counts(self, stages: int) -> list[Mapping[Group | None, int]]:
        """How many devices of each cell and class there are in each stage."""
        groups = (self._stage.label("stage"), devices.c.cell, devices.c.radio_class)
        query = select(*groups, func.count()).select_from(self._source).where(self._condition)
        found: list[Counter[Group | None]] = [Counter() for _ in range(stages)]
        with self._database.reading() as reader:
            result = reader.execution_options(yield_per=CHUNK).execute(query.group_by(*groups))
            for stage, cell, how, count in result:
                found[stage][(cell, RadioClass(how)) if cell and how else None] += count
        return list(found)

    def rows(self, stage: int, cells: Collection[str] | None, *, every: int) -> Sequence[Row]:
        """Devices of a stage and of these cells, or those without a cell; of each `every`, one."""
        cell, radio_class = devices.c.cell, devices.c.radio_class
        known = and_(cell.is_not(None), cell != "", radio_class.is_not(None), radio_class != "")
        if cells is not None:
            wanted = and_(known, cell.in_(list(cells)))
        else:
            wanted = or_(cell.is_(None), cell == "", radio_class.is_(None), radio_class == "")
        query: Select[Any] = select(*COLUMNS).select_from(self._source)
        query = query.where(self._condition, self._stage == stage, wanted)
        if every > 1:
            numbered = query.add_columns(func.row_number().over().label("number")).subquery()
            query = select(*(numbered.c[column.name] for column in COLUMNS))
            query = query.where(numbered.c.number % every == 0)
        with self._database.reading() as reader:
            result = reader.execution_options(yield_per=CHUNK).execute(query)
            return [self._reports.row(*row) for row in result]


class StoredPart:
    """One stage of it."""

    def __init__(self, fleet: StoredFleet, stage: int, counts: Mapping[Group | None, int]) -> None:
        self._fleet = fleet
        self._stage = stage
        self.counts = counts

    def rows(self, cells: Collection[str] | None, *, every: int) -> Sequence[Row]:
        """Those of these cells, or those without a cell; of each `every`, one."""
        return self._fleet.rows(self._stage, cells, every=every)


def group_of(row: Row) -> Group | None:
    """Its cell and class."""
    return None if row.cell is None or row.radio_class is None else (row.cell, row.radio_class)


def listed_parts(
    database: Database, endpoints: Sequence[str], stages: Iterable[int], reports: Reports
) -> list[Part]:
    """The stages of a list of endpoints, registered or not."""
    found: dict[str, Row] = {}
    with database.reading() as reader:
        for first in range(0, len(endpoints), ASKED_AT_ONCE):
            names = endpoints[first : first + ASKED_AT_ONCE]
            query = select(devices.c.endpoint, *COLUMNS).where(devices.c.endpoint.in_(names))
            for name, *values in reader.execute(query):
                found[name] = reports.row(*values)
    absent = reports.row(None, None, None, None, None)
    parts: list[Part] = []
    begin = 0
    for count in stages:
        parts.append(ListedPart([found.get(name, absent) for name in endpoints[begin : begin + count]]))
        begin += count
    return parts


def stored_parts(
    database: Database, wanted: Select[Any], stages: Sequence[int], reports: Reports
) -> list[Part]:
    """The stages of what a query of endpoints finds, in its order."""
    (name,) = wanted.selected_columns
    source: FromClause = devices
    condition: ColumnElement[bool] = wanted.whereclause if wanted.whereclause is not None else true()
    if not isinstance(name, Column) or name.table is not devices:
        named = wanted.order_by(None).subquery()
        name, condition = named.c[0], true()
        source = named.outerjoin(devices, devices.c.endpoint == name)
    bounds: list[str] = []
    begin = 0
    with database.reading() as reader:
        for count in stages[:-1]:
            begin += count
            query = select(name).select_from(source).where(condition).order_by(name).offset(begin).limit(1)
            bounds += reader.execute(query).scalars()  # nobody, where devices have gone meanwhile
    stage: Any = literal(len(bounds))
    if bounds:
        stage = case(*((name < bound, number) for number, bound in enumerate(bounds)), else_=len(bounds))
    fleet = StoredFleet(database, source, condition, stage, reports)
    counts = fleet.counts(len(bounds) + 1)
    return [StoredPart(fleet, number, each) for number, each in enumerate(counts)]


def occupied(database: Database, limits: Limits) -> list[Occupancy]:
    """Who holds slots now, or stands in line, by cell and class."""
    where = (tasks.c.cell_id, tasks.c.smcc, tasks.c.smnc, tasks.c.radio_class)
    holding = [state.value for state in HOLDING]
    in_line = (tasks.c.state == State.WAIT_SLOT.value).label("waits")
    query = (
        select(*where, in_line, func.count())
        .where(tasks.c.active.is_(True), tasks.c.state.in_([*holding, State.WAIT_SLOT.value]))
        .where(tasks.c.cell_id.is_not(None), tasks.c.radio_class.is_not(None))
        .group_by(*where, in_line)
    )
    counts: dict[tuple[Cell, RadioClass], list[int]] = defaultdict(lambda: [0, 0])
    with database.reading() as reader:
        for cell_id, smcc, smnc, radio_class, waits, count in reader.execute(query):
            if radio_class:
                counts[Cell(cell_id, smcc, smnc), RadioClass(radio_class)][bool(waits)] += count
    return [
        Occupancy(cell=cell, radio_class=each, held=held, limit=limits.of(each), waiting=waiting)
        for (cell, each), (held, waiting) in counts.items()
    ]


# -- how fast devices were --


def paces(database: Database, kind: Kind) -> dict[RadioClass, Pace]:
    """How fast the devices of each class were lately, where enough of them were upgraded."""
    rates: dict[RadioClass, list[float]] = defaultdict(list)
    rests: dict[RadioClass, list[float]] = defaultdict(list)
    for radio_class, size_bytes, download_s, rest_s in measured(database, kind):
        rates[radio_class].append(size_bytes / download_s)
        rests[radio_class].append(rest_s)
    return {
        each: Pace(goodput_bytes_s=median(rates[each]), rest_s=median(rests[each]), tasks=len(rates[each]))
        for each in rates
        if len(rates[each]) >= ENOUGH
    }


def measured(database: Database, kind: Kind) -> Iterator[tuple[RadioClass, int, float, float]]:
    """Class, package, and how long the download and the rest of the slot took, of devices that succeeded."""
    newest = (
        select(campaigns.c.id, packages.c.size_bytes)
        .join(packages, packages.c.pid == campaigns.c.pid)
        .where(campaigns.c.kind == kind.value)
        .order_by(campaigns.c.created_s.desc())
        .limit(CAMPAIGNS)
    )
    taken: Counter[RadioClass] = Counter()
    with database.reading() as reader:
        for campaign_id, size_bytes in reader.execute(newest).all():
            first = select(tasks).where(tasks.c.campaign_id == campaign_id).order_by(tasks.c.id)
            some = first.limit(TASKS).subquery()
            query = select(some.c.id, some.c.endpoint, some.c.radio_class, some.c.ended_s)
            query = query.where(some.c.state == State.SUCCESS.value, some.c.ended_s.is_not(None))
            for task_id, endpoint, how, ended_s in reader.execute(query).all():
                radio_class = RadioClass(how) if how else None
                if radio_class is None or taken[radio_class] >= LOOKED_AT:
                    continue
                log = select(events.c.what, func.min(events.c.at_s)).where(
                    events.c.endpoint == endpoint, events.c.task_id == task_id
                )
                at_s = dict(map(tuple, reader.execute(log.group_by(events.c.what))))
                times = [at_s.get(what) for what in steps(kind)]
                if None in times:
                    continue
                begun_s, asked_s, there_s = (at or 0.0 for at in times)
                if begun_s <= asked_s < there_s <= ended_s:
                    taken[radio_class] += 1
                    download_s = there_s - asked_s
                    yield radio_class, size_bytes, download_s, ended_s - begun_s - download_s


def steps(kind: Kind) -> tuple[str, str, str]:
    """Lines of the event log: a slot is used, the download is begun, it is over."""
    rows = TABLES[kind].rows
    used = State.NOTIFY if kind is Kind.SOFTWARE else State.OBSERVE
    said = [f"waiting for {rows[state].waits}" for state in (used, State.WAIT_START, State.EXECUTE)]
    return said[0], said[1], said[2]
