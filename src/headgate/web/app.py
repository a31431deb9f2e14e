"""The application: built once from the desk and the bounds; ASGI, on whatever loop runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from headgate.web.access import FIRST, FailedLogins, Scope, Tokens, new_secret
from headgate.web.bounds import Bounds
from headgate.web.desk import Desk
from headgate.web.gate import Gate
from headgate.web.metrics import Metrics
from headgate.web.office import Office
from headgate.web.openapi import document
from headgate.web.problems import handle
from headgate.web.reading import Reader
from headgate.web.repeats import Repeats
from headgate.web.routes import campaigns, cells, devices, events, health, hooks, packages, tasks, tokens
from headgate.web.settings import WebSettings
from headgate.web.table import Route, add, understand_names
from headgate.web.tail import Tail
from headgate.web.upload import Uploads

PREFIX = "/api/v1"
FORM_BYTES = 2 << 20  # what a package's form may have beside the file

Keep = Callable[[str], None]


class Web:
    """The API between `start` and `close`. `asgi` is what a web server runs."""

    def __init__(self, desk: Desk, settings: WebSettings | None = None) -> None:
        self.settings = settings = settings or WebSettings()
        reader = Reader(desk.database, threads=settings.read_threads, waiting_max=settings.reads_waiting_max)
        self._office = Office(
            desk=desk,
            settings=settings,
            reader=reader,
            tokens=Tokens(desk, tokens_max=settings.tokens_max),
            repeats=Repeats(desk, reader),
            uploads=Uploads(desk.received, most=settings.uploads_max),
            tail=Tail(reader, kept=settings.events_kept),
            metrics=Metrics(desk.figures, desk.now),
        )
        self._reading: asyncio.Task[None] | None = None
        self.asgi: ASGIApp = self._built()

    async def start(self) -> None:
        """Read what the store knows of tokens and events. Raises StoreError."""
        await self._office.tokens.restore(self._office.reader)
        await self._office.tail.start()
        self._reading = asyncio.get_running_loop().create_task(self._office.tail.run())

    async def first_token(self, keep: Keep) -> bool:
        """Where there is no token, make one for an admin; `keep` takes it before it is good for anything."""
        if len(self._office.tokens):
            return False
        secret = new_secret()
        await asyncio.to_thread(keep, secret)
        await self._office.tokens.add(FIRST, Scope.ADMIN, secret)
        return True

    def told(self) -> None:
        """Events were stored."""
        self._office.tail.told()

    def end(self) -> None:
        """Let those go who follow the events."""
        self._office.tail.end()

    async def close(self) -> None:
        """Let go of threads; nobody asks any more."""
        self.end()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._office.reader.close()
        self._office.uploads.close()

    # -- building --

    def table(self) -> list[Route]:
        """Everything that can be asked for."""
        office = self._office
        return [
            *packages.PackageRoutes(office).table(),
            *campaigns.CampaignRoutes(office).table(),
            *tasks.TaskRoutes(office).table(),
            *devices.DeviceRoutes(office).table(),
            *cells.CellRoutes(office).table(),
            *events.EventRoutes(office).table(),
            *hooks.HookRoutes(office).table(),
            *tokens.TokenRoutes(office).table(),
            *health.HealthRoutes(office).table(),
        ]

    def _built(self) -> ASGIApp:
        office, settings = self._office, self.settings
        app = FastAPI(
            title="Headgate",
            version=version("headgate"),
            openapi_url=f"{PREFIX}/openapi.json",
            docs_url=None,  # they would load scripts from elsewhere
            redoc_url=None,
            redirect_slashes=False,
        )
        handle(app)
        gate = Gate(
            office.tokens,
            FailedLogins(most=settings.failed_logins_max),
            office.desk.now,
            self._counted,
        )
        router = APIRouter(prefix=PREFIX)
        understand_names()
        for route in self.table():
            add(router, route, gate)
        app.include_router(router)
        document(app)
        bounds: dict[str, Any] = {
            "requests_max": settings.requests_max,
            "body_bytes_max": settings.body_bytes_max,
            "body_bytes_of": {("POST", PREFIX + packages.PATH): settings.package_bytes_max + FORM_BYTES},
            "unbounded": frozenset({PREFIX + events.PATH}),
            "idle_s": settings.body_idle_s,
            "count": self._counted,
        }
        app.add_middleware(Bounds, **bounds)
        return app

    def _counted(self, what: str) -> None:
        self._office.metrics.web[what] += 1
