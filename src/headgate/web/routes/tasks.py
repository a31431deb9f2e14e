"""Tasks: one device in one campaign each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, select, true

from headgate.store.database import Database
from headgate.store.tables import tasks
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import CELL_ID_MAX, Cell, RadioClass
from headgate.upgrade.task import State
from headgate.web.access import Scope
from headgate.web.gate import Caller
from headgate.web.office import Office
from headgate.web.paging import Page, Text, looked_to, paged
from headgate.web.problems import Problem, missing
from headgate.web.table import Route

PATH = "/tasks"
CELL = re.compile(r"(?:([0-9]{3})-([0-9]{2,3})-)?([0-9A-Fa-f]{1,8})")
CELL_PATTERN = f"^(?:{CELL.pattern})$"

CellName = Annotated[str, Field(pattern=CELL_PATTERN, description="Such as `460-00-1A2B`.")]


class Task(BaseModel):
    """One device in one campaign, as it stands in the store."""

    id: str
    campaign: str
    endpoint: str
    attempt: int
    state: State
    entered_s: float = Field(description="Since when it is in this state.")
    deadline_s: float | None
    cell: str | None
    radio_class: RadioClass | None
    rsrp_dbm: float | None
    sinr_db: float | None
    version: str | None = Field(description="Before the upgrade.")
    failure: Failure | None
    detail_at: str | None = Field(description="The resource or message that told the cause.")
    detail_code: str | None
    detail_note: str | None
    created_s: float
    ended_s: float | None


def cell_of(text: str) -> Cell:
    """The cell of that name.

    >>> cell_of("460-00-1A2B"), cell_of("1a2b")
    (Cell(cell_id=6699, smcc=460, smnc=0), Cell(cell_id=6699, smcc=None, smnc=None))
    """
    found = CELL.fullmatch(text)
    if found is None:
        raise Problem(422, "a cell is named as 460-00-1A2B or 1A2B")
    smcc, smnc, cell_id = found.groups()
    assert int(cell_id, 16) <= CELL_ID_MAX
    return Cell(int(cell_id, 16), None if smcc is None else int(smcc), None if smnc is None else int(smnc))


def cell_text(row: Mapping[str, Any]) -> str | None:
    """The name of the cell in a row of tasks."""
    return None if row["cell_id"] is None else str(Cell(row["cell_id"], row["smcc"], row["smnc"]))


def task_of(row: Mapping[str, Any]) -> Task:
    """The task of a row."""
    said = {name: row[name] for name in Task.model_fields if name in row}
    said["campaign"] = row["campaign_id"]
    said["cell"] = cell_text(row)
    said["radio_class"] = row["radio_class"] or None
    return Task(**said)


class TaskQuery(BaseModel):
    """Which tasks, and which page of them."""

    campaign: Text | None = None
    endpoint: Text | None = None
    state: State | None = None
    failure: Failure | None = None
    cell: CellName | None = None
    active: bool | None = Field(None, description="Whether it is over is not the same as having failed.")
    after: Text | None = Field(None, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=1000, description="Most items of the page.")


def task_page(database: Database, wanted: TaskQuery) -> tuple[list[dict[str, Any]], str | None]:
    """The tasks that are wanted, by id, and one more; and up to where it was looked. Blocking.

    Tasks of a device are few, and failed ones have an index of their own. Others are looked for among those
    of their campaign, or among those that are active.
    """
    active = wanted.active
    if wanted.state is not None and not wanted.state.terminal and active is None:
        active = True
    found = true() if wanted.after is None else tasks.c.id > wanted.after
    if wanted.campaign is not None:
        found &= tasks.c.campaign_id == wanted.campaign
    elif active is True:
        found &= tasks.c.active.is_(True)
    query = select(tasks).where(found, *chosen(wanted, active)).order_by(tasks.c.id).limit(wanted.limit + 1)
    failed = wanted.campaign is not None and (wanted.failure is not None or wanted.state is State.FAILED)
    looked = None
    with database.reading() as reader:
        if wanted.endpoint is None and not failed:
            looked = looked_to(reader, tasks.c.id, found)
            query = query if looked is None else query.where(tasks.c.id <= looked)
        return [dict(row._mapping) for row in reader.execute(query)], looked


def chosen(wanted: TaskQuery, active: bool | None) -> Iterator[ColumnElement[bool]]:
    """What is asked of the tasks that were found."""
    if active is not None:
        yield tasks.c.active.is_(active)
    if wanted.state is not None:
        yield tasks.c.state == wanted.state.value
    if wanted.state is State.FAILED:
        yield tasks.c.failure.is_not(None)
    if wanted.endpoint is not None:
        yield tasks.c.endpoint == wanted.endpoint
    if wanted.failure is not None:
        yield tasks.c.failure == wanted.failure.value
    if wanted.cell is not None:
        cell = cell_of(wanted.cell)
        yield tasks.c.cell_id == cell.cell_id
        yield tasks.c.smcc.is_not_distinct_from(cell.smcc)
        yield tasks.c.smnc.is_not_distinct_from(cell.smnc)


class TaskRoutes:
    """The rows of tasks."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        one = f"{PATH}/{{task_id}}"
        return [
            Route(method="GET", path=PATH, call=self.list_tasks, scope=Scope.READ, answers=Page[Task]),
            Route(
                method="GET", path=one, call=self.show_task, scope=Scope.READ, answers=Task, problems=(404,)
            ),
            Route(
                method="POST",
                path=f"{one}/cancel",
                call=self.cancel_task,
                scope=Scope.OPERATE,
                answers=Task,
                problems=(404, 409, 507),
            ),
        ]

    async def list_tasks(self, wanted: Annotated[TaskQuery, Query()]) -> Page[Task]:
        """The tasks of a campaign, of a device, in a state, of a cause or in a cell, by id."""
        office = self._office
        rows, looked = await office.reader.call(task_page, office.reader.database, wanted)
        return paged(rows, wanted.limit, task_of, lambda row: str(row["id"]), looked=looked)

    async def show_task(self, task_id: Text) -> Task:
        """One task."""
        row = await self._office.reader.row(tasks, task_id)
        if row is None:
            raise missing(f"task {task_id}")
        return task_of(row)

    async def cancel_task(self, task_id: Text, caller: Caller) -> Task:
        """End a task. Problem 409 where it is over."""
        await self.show_task(task_id)
        if not await self._office.desk.operations.cancel_task(task_id, caller.name):
            raise Problem(409, f"task {task_id} is over already")
        return await self.show_task(task_id)
