"""Cells: who holds their slots, and who waits for one. Read from the tasks in the store, which say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Integer, case, func, select, tuple_

from headgate.store.database import Database
from headgate.store.tables import campaigns, tasks
from headgate.upgrade.campaign import campaign_of
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.task import HOLDING, State
from headgate.web.access import Scope
from headgate.web.office import Office
from headgate.web.paging import Limit, Page
from headgate.web.routes.tasks import CellName, cell_of
from headgate.web.table import Route

PATH = "/cells"
HOLD = [state.value for state in HOLDING]
STAND = [*HOLD, State.WAIT_SLOT.value]

# Where a device does not name its network. It sorts before those that are named.
SMCC = func.coalesce(tasks.c.smcc, -1)
SMNC = func.coalesce(tasks.c.smnc, -1)


class Slots(BaseModel):
    """The devices of one radio class in a cell."""

    radio_class: RadioClass
    limit: int
    held: int
    waiting: int


class CellSlots(BaseModel):
    """A cell in which slots are held or waited for."""

    cell: str
    classes: list[Slots]


class Holder(BaseModel):
    """A task that holds a slot."""

    task_id: str
    campaign: str
    endpoint: str
    radio_class: RadioClass
    state: State
    entered_s: float = Field(description="Since when it is in this state.")


class Waiting(BaseModel):
    """A task in the line of its class."""

    position: int = Field(description="From 1; 0 while its campaign keeps it from the line.")
    task_id: str
    campaign: str
    endpoint: str
    radio_class: RadioClass
    queued_s: float
    deadline_s: float | None
    reason: str


class CellDetail(CellSlots):
    """A cell, with those who hold and those who wait: the first of them, where they are many."""

    scope: Literal["class", "cell"] = Field(description="What shares the slots: a class, or the whole cell.")
    holders: list[Holder]
    queue: list[Waiting]


class CellQuery(BaseModel):
    """Which page."""

    after: CellName | None = Field(None, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=1000, description="Most items of the page.")


Counted = list[tuple[Cell, dict[str, tuple[int, int]]]]


def occupied(
    database: Database, *, cell: Cell | None = None, after: Cell | None = None, limit: int
) -> Counted:
    """Cells in order, with how many of each class hold and wait. Blocking."""
    waits = case((tasks.c.state == State.WAIT_SLOT.value, 1), else_=0)
    place = (tasks.c.cell_id, SMCC, SMNC)
    query = (
        select(*place, tasks.c.radio_class, func.count(), func.sum(waits).cast(Integer))
        .where(tasks.c.active.is_(True), tasks.c.state.in_(STAND))
        .group_by(*place, tasks.c.radio_class)
        .order_by(*place, tasks.c.radio_class)
        .limit(limit * len(RadioClass))
    )
    if cell is not None:
        query = query.where(tuple_(*place) == tuple_(*known(cell)))
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(*known(after)))
    found: dict[Cell, dict[str, tuple[int, int]]] = {}
    with database.reading() as reader:
        for cell_id, smcc, smnc, radio_class, count, waiting in reader.execute(query):
            named = Cell(cell_id, None if smcc < 0 else smcc, None if smnc < 0 else smnc)
            found.setdefault(named, {})[radio_class] = (count - waiting, waiting)
    return list(found.items())[:limit]


def standing(database: Database, cell: Cell, *, waiting: bool, limit: int) -> list[dict[str, Any]]:
    """The tasks of a cell that wait, in the order in which they are served, or those that hold. Blocking."""
    states = [State.WAIT_SLOT.value] if waiting else HOLD
    query = (
        select(tasks)
        .where(
            tasks.c.active.is_(True),
            tasks.c.state.in_(states),
            tuple_(tasks.c.cell_id, SMCC, SMNC) == tuple_(*known(cell)),
        )
        .order_by(tasks.c.queued_s, tasks.c.id)
        .limit(limit)
    )
    with database.reading() as reader:
        return [dict(row._mapping) for row in reader.execute(query)]


def withheld(database: Database, campaign_ids: Collection[str], now: float) -> set[str]:
    """Those of these campaigns that are paused, or outside their windows. Blocking."""
    with database.reading() as reader:
        found = reader.execute(select(campaigns).where(campaigns.c.id.in_(campaign_ids)))
        return {row.id for row in found if not campaign_of(dict(row._mapping)).may_begin(now)}


def known(cell: Cell) -> tuple[int, int, int]:
    """The cell, as it is compared."""
    return (
        cell.cell_id,
        -1 if cell.smcc is None else cell.smcc,
        -1 if cell.smnc is None else cell.smnc,
    )


class CellRoutes:
    """The rows of cells."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        one = f"{PATH}/{{cell}}"
        return [
            Route(method="GET", path=PATH, call=self.list_cells, scope=Scope.READ, answers=Page[CellSlots]),
            Route(method="GET", path=one, call=self.show_cell, scope=Scope.READ, answers=CellDetail),
        ]

    async def list_cells(self, wanted: Annotated[CellQuery, Query()]) -> Page[CellSlots]:
        """The cells in which slots are held or waited for, in order."""
        reader = self._office.reader
        after = None if wanted.after is None else cell_of(wanted.after)
        found = await reader.call(occupied, reader.database, after=after, limit=wanted.limit + 1)
        items = [CellSlots(cell=str(cell), classes=self._slots(by)) for cell, by in found[: wanted.limit]]
        return Page(items=items, next=items[-1].cell if len(found) > wanted.limit else None)

    async def show_cell(self, cell: CellName, limit: Limit = 100) -> CellDetail:
        """A cell: its limits, who holds its slots, and the line, each up to `limit`."""
        desk, reader = self._office.desk, self._office.reader
        named = cell_of(cell)
        found = await reader.call(occupied, reader.database, cell=named, limit=1)
        holders = await reader.call(standing, reader.database, named, waiting=False, limit=limit)
        line = await reader.call(standing, reader.database, named, waiting=True, limit=limit)
        kept_out = await reader.call(
            withheld, reader.database, {row["campaign_id"] for row in line}, desk.now()
        )
        places: Counter[str] = Counter()
        queue = []
        for row in line:
            lined = row["campaign_id"] not in kept_out
            places[row["radio_class"]] += lined
            queue.append(
                Waiting(
                    position=places[row["radio_class"]] if lined else 0,
                    task_id=row["id"],
                    campaign=row["campaign_id"],
                    endpoint=row["endpoint"],
                    radio_class=row["radio_class"],
                    queued_s=row["queued_s"],
                    deadline_s=row["deadline_s"],
                    reason=desk.explain(row["endpoint"]),
                )
            )
        return CellDetail(
            cell=str(named),
            classes=self._slots(found[0][1] if found else {}),
            scope=desk.limits.scope.value,
            holders=[
                Holder(
                    task_id=row["id"],
                    campaign=row["campaign_id"],
                    endpoint=row["endpoint"],
                    radio_class=row["radio_class"],
                    state=row["state"],
                    entered_s=row["entered_s"],
                )
                for row in holders
            ],
            queue=queue,
        )

    def _slots(self, by_class: dict[str, tuple[int, int]]) -> list[Slots]:
        """All classes, those without anybody too: their limits hold."""
        limits = self._office.desk.limits
        return [
            Slots(
                radio_class=each,
                limit=limits.of(each),
                held=by_class.get(each.value, (0, 0))[0],
                waiting=by_class.get(each.value, (0, 0))[1],
            )
            for each in RadioClass
        ]
