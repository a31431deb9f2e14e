"""Whether the server works, for those who watch over it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from starlette.responses import Response

from headgate.web.access import Scope
from headgate.web.metrics import CONTENT_TYPE
from headgate.web.office import Office
from headgate.web.problems import Problem
from headgate.web.table import Route


class Health(BaseModel):
    """It works."""

    status: Literal["ok"] = "ok"


class HealthRoutes:
    """The rows of those who watch."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        text: dict[int | str, dict[str, Any]] = {
            200: {
                "description": "In the text format of Prometheus.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        }
        return [
            Route(method="GET", path="/healthz", call=self.healthy, scope=None, answers=Health),
            Route(method="GET", path="/readyz", call=self.ready, scope=None, answers=Health),
            Route(
                method="GET",
                path="/metrics",
                call=self.show_metrics,
                scope=Scope.READ,
                responses=text,
                response_class=Response,
            ),
        ]

    async def healthy(self) -> Health:
        """Whether the process answers. It is of no use to restart one that does."""
        return Health()

    async def ready(self) -> Health:
        """Whether it does what it is there for: 503 while nothing can be stored, or no package served."""
        if self._office.desk.failing() is not None:
            raise Problem(503, "it cannot store or serve just now: its log says why", name="not-ready")
        return Health()

    async def show_metrics(self) -> Response:
        """Counters since the start, and what is there now, for Prometheus."""
        return Response(self._office.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
