"""API and console: built once from the desk and the bounds; ASGI, on whatever loop runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from headgate.web.access import FIRST, FailedLogins, Scope, Tokens, new_secret
from headgate.web.bounds import Bounds
from headgate.web.console.sessions import CODE_S
from headgate.web.console.site import LIVE_PATH, Site
from headgate.web.desk import Desk
from headgate.web.forecasting import Forecasts
from headgate.web.gate import Gate
from headgate.web.history import History, Sample
from headgate.web.metrics import Metrics
from headgate.web.office import Office
from headgate.web.openapi import document
from headgate.web.problems import handle
from headgate.web.reading import Reader
from headgate.web.repeats import Repeats
from headgate.web.reporting.turn import Turn
from headgate.web.routes import (
    campaigns,
    cells,
    devices,
    events,
    health,
    hooks,
    operations,
    packages,
    reports,
    tasks,
    tokens,
)
from headgate.web.settings import WebSettings
from headgate.web.table import Route, add, understand_names
from headgate.web.tail import Tail
from headgate.web.upload import Uploads

PREFIX = "/api/v1"
FORM_BYTES = 2 << 20  # what a package's form may have beside the file

Keep = Callable[[str], None]


class Web:
    """API and console between `start` and `close`. `asgi` is what a web server runs."""

    def __init__(self, desk: Desk, settings: WebSettings | None = None) -> None:
        self.settings = settings = settings or WebSettings()
        reader = Reader(desk.database, threads=settings.read_threads, waiting_max=settings.reads_waiting_max)
        failed = FailedLogins(most=settings.failed_logins_max)
        self._office = Office(
            desk=desk,
            settings=settings,
            reader=reader,
            tokens=Tokens(desk, tokens_max=settings.tokens_max),
            repeats=Repeats(desk, reader),
            uploads=Uploads(desk.received, most=settings.uploads_max),
            tail=Tail(reader, kept=settings.events_kept),
            metrics=Metrics(desk.figures, desk.now),
            history=History(self._sample),
            forecasts=Forecasts(desk, reader),
            report_turn=Turn(),
        )
        self._running: list[asyncio.Task[None]] = []
        api = self._built(failed)
        self._site = Site(self._office, failed, self._counted, api.openapi)
        self.asgi: ASGIApp = self._bounded(Split(api, self._site.asgi))

    async def start(self) -> None:
        """Read what the store knows of tokens and events. Raises StoreError."""
        await self._office.tokens.restore(self._office.reader)
        await self._office.tail.start()
        loop = asyncio.get_running_loop()
        self._running = [
            loop.create_task(each) for each in (self._office.tail.run(), self._office.history.run())
        ]
        self._site.start()

    async def first_token(self, keep: Keep) -> bool:
        """Where there is no token, make one for an admin; `keep` takes it before it is good for anything."""
        if len(self._office.tokens):
            return False
        secret = new_secret()
        await asyncio.to_thread(keep, secret)
        await self._office.tokens.add(FIRST, Scope.ADMIN, secret)
        return True

    def login_code(self, lasts_s: float = CODE_S) -> str:
        """A code that logs one into the console, once, within that time."""
        return self._site.sessions.code(lasts_s)

    def told(self) -> None:
        """Events were stored."""
        self._office.tail.told()

    def end(self) -> None:
        """Let those go who follow the events, or a page."""
        self._office.tail.end()
        self._site.live.end()

    async def close(self) -> None:
        """Let go of threads; nobody asks any more."""
        self.end()
        for each in self._running:
            each.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._site.close()
        self._office.reader.close()
        self._office.uploads.close()

    # -- building --

    def table(self) -> list[Route]:
        """Everything that can be asked for."""
        office = self._office
        campaigned = campaigns.CampaignRoutes(office)
        return [
            *packages.PackageRoutes(office).table(),
            *campaigned.table(),
            *reports.ReportRoutes(office, campaigned).table(),
            *operations.CampaignOperations(office, campaigned).table(),
            *tasks.TaskRoutes(office).table(),
            *devices.DeviceRoutes(office).table(),
            *cells.CellRoutes(office).table(),
            *events.EventRoutes(office).table(),
            *hooks.HookRoutes(office).table(),
            *tokens.TokenRoutes(office).table(),
            *health.HealthRoutes(office).table(),
        ]

    def _built(self, failed: FailedLogins) -> FastAPI:
        office = self._office
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
            failed,
            office.desk.now,
            self._counted,
        )
        router = APIRouter(prefix=PREFIX)
        understand_names()
        for route in self.table():
            add(router, route, gate)
        app.include_router(router)
        document(app)
        return app

    def _bounded(self, app: ASGIApp) -> ASGIApp:
        settings = self.settings
        package_bytes = settings.package_bytes_max + FORM_BYTES
        return Bounds(
            app,
            requests_max=settings.requests_max,
            body_bytes_max=settings.body_bytes_max,
            body_bytes_of={("POST", path + packages.PATH): package_bytes for path in (PREFIX, "")},
            unbounded=lambda path: path == PREFIX + events.PATH or path.startswith(LIVE_PATH + "/"),
            idle_s=settings.body_idle_s,
            count=self._counted,
        )

    def _sample(self) -> Sample:
        edge = self._office.desk.figures().edge
        return Sample(
            at_s=asyncio.get_running_loop().time(),
            blocks=edge.blocks,
            bytes=edge.payload_bytes,
            downloads=edge.last_blocks,
            failures=self._office.tail.failed,
        )

    def _counted(self, what: str) -> None:
        self._office.metrics.web[what] += 1


class Split:
    """What is under `/api/` is asked of the API, everything else of the console."""

    def __init__(self, api: ASGIApp, console: ASGIApp) -> None:
        self._api = api
        self._console = console

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer."""
        ours = scope["type"] == "http" and not scope["path"].startswith("/api/")
        await (self._console if ours else self._api)(scope, receive, send)
