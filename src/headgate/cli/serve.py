"""`headgate serve`: one Server until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.text import Text

from headgate.cli.ending import told_to_end, within
from headgate.config import Config, Settings
from headgate.server import Server
from headgate.server.logs import JsonLines

STATUS_EVERY_S = 1.0


def log_to_stderr(config: Config) -> None:
    """The server's log, as the configuration wants it."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonLines() if config.log.format == "json" else plain)
    root = logging.getLogger("headgate")
    root.handlers[:] = [handler]
    root.propagate = False
    root.setLevel(config.log.level.upper())


@dataclass(slots=True)
class Serving:
    """One run of `headgate serve`."""

    settings: Settings

    @property
    def config(self) -> Config:
        """What is set."""
        return self.settings.config

    async def run(self) -> int:
        """Serve until told to stop; the exit code. Raises HeadgateError when it cannot begin."""
        log_to_stderr(self.config)
        server = Server(self.config, own_process=True)
        starting = asyncio.create_task(server.start())
        stop = told_to_end(starting)
        try:
            await starting
        except asyncio.CancelledError:
            return 0
        try:
            if self.config.http.enabled:
                await server.serve_http(self.settings)
            await self._serve(server, stop)
            failure = server.failure
        finally:
            await server.close()
        if failure is not None:
            print(f"headgate: ended by a failure, see the log: {failure!r}", file=sys.stderr)
            return 1
        return 0

    async def _serve(self, server: Server, stop: asyncio.Event) -> None:
        stats = server.stats
        print(
            f"headgate: serving on UDP port {server.port} of {server.host}, data in "
            f"{self.config.store.directory.absolute()}: {stats.devices:,} devices, "
            f"{stats.campaigns:,} campaigns under way, {stats.packages:,} packages",
            flush=True,
        )
        if server.http is not None:
            made = f", its first token is in {server.http.token_file}" if server.http.token_file else ""
            print(f"headgate: API at {server.http.url}/api/v1{made}", flush=True)
            print(f"headgate: console at {server.http.login_url()} (once, within an hour)", flush=True)
        console = Console()
        if not console.is_terminal:
            while server.failure is None and not await within(stop, STATUS_EVERY_S):
                pass  # the log tells what there is to tell
            return
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while server.failure is None and not await within(stop, STATUS_EVERY_S):
                live.update(self._status_line(server), refresh=True)

    def _status_line(self, server: Server) -> Text:
        stats = server.stats
        occupancy = server.occupancy()
        held, waiting = sum(each.held for each in occupancy), sum(each.waiting for each in occupancy)
        store = "" if stats.store_failing_since_s is None else "  STORE FAILS: nothing is issued"
        return Text(
            f"{stats.devices:,} devices  {stats.tasks:,} tasks  {held:,} slots held, {waiting:,} wait  "
            f"{stats.edge.blocks:,} blocks served{store}  Ctrl-C ends",
            no_wrap=True,
            overflow="ellipsis",
        )
