"""Cells: how full each is, and who waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headgate.upgrade.admission import Occupancy
from headgate.upgrade.radio import Cell
from headgate.web.console.pages import Context, Question, View
from headgate.web.office import Office
from headgate.web.problems import Problem
from headgate.web.routes.cells import CellRoutes
from headgate.web.routes.tasks import cell_of

PAGE = 60
LISTED = 50


class CellPages:
    """The grid, and one."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._cells = CellRoutes(office)

    def views(self) -> list[View]:
        """The pages."""
        return [
            View(path="/cells", template="cells.html", context=self._grid, live=True),
            View(path="/cells/{cell}", template="cell.html", context=self._show, live=True),
        ]

    async def _grid(self, question: Question) -> Context:
        after = question.said("after")
        occupancy = self._office.desk.occupancy()
        page = grid(occupancy, after=None if after is None else cell_of(after), limit=PAGE + 1)
        return {
            "cells": page[:PAGE],
            "next": page[PAGE - 1]["cell"] if len(page) > PAGE else None,
            "count": len({each.cell for each in occupancy}),
            "held": sum(each.held for each in occupancy),
            "waiting": sum(each.waiting for each in occupancy),
            "scope": self._office.desk.limits.scope.value,
        }

    async def _show(self, question: Question) -> Context:
        try:
            cell = await self._cells.show_cell(question.params["cell"], limit=LISTED)
        except Problem as problem:
            raise Problem(404, f"There is no such cell: {problem.detail}.") from problem
        return {"cell": cell, "listed": LISTED, "now": self._office.desk.now()}


def order(cell: Cell) -> tuple[int, int, int]:
    """Cells in the order of the API."""
    return (
        cell.cell_id,
        -1 if cell.smcc is None else cell.smcc,
        -1 if cell.smnc is None else cell.smnc,
    )


def grid(occupancy: Iterable[Occupancy], *, after: Cell | None, limit: int) -> list[dict[str, Any]]:
    """Cells with their classes, behind one of them."""
    by_cell: dict[Cell, list[Occupancy]] = {}
    for each in occupancy:
        by_cell.setdefault(each.cell, []).append(each)
    cells = sorted(by_cell, key=order)
    if after is not None:
        cells = [cell for cell in cells if order(cell) > order(after)]
    return [
        {"cell": str(cell), "classes": sorted(by_cell[cell], key=lambda each: each.radio_class)}
        for cell in cells[:limit]
    ]
