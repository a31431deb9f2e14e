"""Cells: how full each is, and who waits."""

from __future__ import annotations

from headgate.web.console.pages import Context, Question, View
from headgate.web.office import Office
from headgate.web.problems import Problem
from headgate.web.routes.cells import CellRoutes, in_order
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
        page = in_order(occupancy, after=None if after is None else cell_of(after), limit=PAGE + 1)
        cells = [{"cell": str(cell), "classes": classes} for cell, classes in page[:PAGE]]
        return {
            "cells": cells,
            "next": cells[-1]["cell"] if len(page) > PAGE else None,
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
