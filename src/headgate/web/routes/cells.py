"""Cells: who holds their slots, and who waits for one.

The numbers and the order are the orchestrator's own: a fleet has a million tasks, and few of them stand in
one cell. What is told of a task is what the store says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import select

from headgate.store.database import Database
from headgate.store.tables import tasks
from headgate.upgrade.admission import Occupancy
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.task import State
from headgate.web.access import Scope
from headgate.web.office import Office
from headgate.web.paging import Limit, Page
from headgate.web.routes.tasks import CellName, cell_of
from headgate.web.table import Route

PATH = "/cells"


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

    position: int = Field(description="From 1. Who is kept from the line by a pause is not in it.")
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


def in_order(
    occupancy: Iterable[Occupancy], *, after: Cell | None = None, limit: int
) -> list[tuple[Cell, list[Occupancy]]]:
    """Cells in order, behind one of them, each with its classes in order."""
    by_cell: dict[Cell, list[Occupancy]] = {}
    for each in occupancy:
        by_cell.setdefault(each.cell, []).append(each)
    behind = [cell for cell in by_cell if after is None or known(cell) > known(after)]
    chosen = sorted(behind, key=known)[:limit]
    return [(cell, sorted(by_cell[cell], key=lambda each: each.radio_class)) for cell in chosen]


def known(cell: Cell) -> tuple[int, int, int]:
    """The cell, as it is compared. A network that is not named sorts before those that are."""
    return (
        cell.cell_id,
        -1 if cell.smcc is None else cell.smcc,
        -1 if cell.smnc is None else cell.smnc,
    )


def tasks_of(database: Database, task_ids: Sequence[str]) -> list[dict[str, Any]]:
    """These tasks, in this order; without those that are not stored yet. Blocking."""
    with database.reading() as reader:
        rows = {
            row.id: dict(row._mapping)
            for row in reader.execute(select(tasks).where(tasks.c.id.in_(task_ids)))
        }
    return [rows[id] for id in task_ids if id in rows]


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
        after = None if wanted.after is None else cell_of(wanted.after)
        found = in_order(self._office.desk.occupancy(), after=after, limit=wanted.limit + 1)
        items = [CellSlots(cell=str(cell), classes=self._slots(by)) for cell, by in found[: wanted.limit]]
        return Page(items=items, next=items[-1].cell if len(found) > wanted.limit else None)

    async def show_cell(self, cell: CellName, limit: Limit = 100) -> CellDetail:
        """A cell: its limits, who holds its slots, and the line, each up to `limit`."""
        desk, reader = self._office.desk, self._office.reader
        named = cell_of(cell)
        slots = [each for each in desk.occupancy() if each.cell == named]
        stand = desk.standing(named, limit)
        holders = await reader.call(tasks_of, reader.database, stand.holders)
        line = await reader.call(tasks_of, reader.database, stand.waiting)
        places: Counter[str] = Counter()
        queue = []
        for row in line:
            places[row["radio_class"]] += 1
            queue.append(
                Waiting(
                    position=places[row["radio_class"]],
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
            classes=self._slots(slots),
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

    def _slots(self, occupancy: Iterable[Occupancy]) -> list[Slots]:
        """All classes, those without anybody too: their limits hold."""
        limits = self._office.desk.limits
        by_class = {each.radio_class: each for each in occupancy}
        return [
            Slots(
                radio_class=each,
                limit=limits.of(each),
                held=by_class[each].held if each in by_class else 0,
                waiting=by_class[each].waiting if each in by_class else 0,
            )
            for each in RadioClass
        ]
