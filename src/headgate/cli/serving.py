"""`headgate edge`: files and folders served by one Edge, with a status line for people or for machines."""

from __future__ import annotations

import asyncio
import json
import os
import select
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headgate.cli.ending import told_to_end, within
from headgate.edge import Edge, path_bytes
from headgate.engine.package import Package
from headgate.errors import HeadgateError, PackageError, PathTakenError
from headgate.model import Stats

STATUS_EVERY_S = 1.0
MINUTE = 60  # status intervals that "the last minute" spans
LISTED_MAX = 20  # packages shown to a person at the start; --json lists all


@dataclass(frozen=True, slots=True)
class ServedFile:
    """A file and the path it is served under."""

    path: str
    file: Path


def collect(paths: list[Path], prefix: str) -> list[ServedFile]:
    """The files that these files and folders name, each with its path.

    A folder is walked to its end, without following linked folders; linked files are served, and names
    that start with a dot are passed over. Raises PackageError for what is not there, PathTakenError when
    two files have one path.
    """
    head = prefix.strip("/")
    served: dict[str, ServedFile] = {}
    for given in paths:
        if not given.exists():
            raise PackageError(f"there is no file or folder {given}")
        found = _walk(given) if given.is_dir() else [(given.name, given)]
        for name, file in found:
            path = f"{head}/{name}" if head else name
            path_bytes(path)
            if path in served:
                raise PathTakenError(f"{file} and {served[path].file} would both be served as {path}")
            served[path] = ServedFile(path, file)
    if not served:
        raise PackageError(f"nothing to serve in {', '.join(map(str, paths))}")
    return list(served.values())


def _walk(folder: Path) -> list[tuple[str, Path]]:
    def refuse(error: OSError) -> None:
        raise PackageError(f"cannot read {error.filename}: {error.strerror}") from error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(place, name)
            if not name.startswith(".") and file.is_file():
                found.append((file.relative_to(folder).as_posix(), file))
    return found


class FileServer:
    """One run of `headgate edge`."""

    def __init__(self, files: list[ServedFile], *, json: bool, **edge: Any) -> None:
        """`edge` is what `headgate.Edge` takes."""
        self._files = files
        self._json = json
        try:
            self._edge = Edge(**edge)
        except ValueError as error:
            raise HeadgateError(str(error)) from error
        self._console = Console()
        self._samples: deque[tuple[float, Stats]] = deque(maxlen=MINUTE + 1)

    async def serve(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit code."""
        try:
            publishing = asyncio.create_task(self._publish())
            stop = told_to_end(publishing)  # before there is a socket: whoever sees that may tell it to end
            try:
                packages = await publishing
            except asyncio.CancelledError:
                return 0
            self._sample()  # before the first block, so that it counts
            await self._edge.start()
            self._announce(packages)
            await self._status(stop)
        finally:
            await self._edge.close()
        self._end()
        if self._edge.failure is not None:
            print(f"headgate: a listener failed: {self._edge.failure}", file=sys.stderr)
            return 1
        return 0

    async def _publish(self) -> list[tuple[ServedFile, Package]]:
        self._edge.bind()
        return [(served, await self._edge.publish(served.path, served.file)) for served in self._files]

    # -- for people and for machines --

    def _announce(self, packages: list[tuple[ServedFile, Package]]) -> None:
        base = f"coap://{self._edge.authority}/"
        if self._json:
            listed = [
                {
                    "path": served.path,
                    "uri": base + quote(served.path),
                    "bytes": len(package),
                    "etag": package.etag.hex(),
                    "sha256": package.sha256.hex(),
                }
                for served, package in packages
            ]
            self._line("listening", host=self._edge.host, port=self._edge.port, packages=listed)
            return
        table = Table(
            title=f"serving on UDP port {self._edge.port} of {self._edge.host}", title_justify="left"
        )
        for heading in ("URI", "bytes", "ETag"):
            table.add_column(heading, justify="right" if heading == "bytes" else "left", overflow="fold")
        for served, package in packages[:LISTED_MAX]:
            table.add_row(base + quote(served.path), f"{len(package):,}", package.etag.hex())
        if len(packages) > LISTED_MAX:
            table.caption = f"and {len(packages) - LISTED_MAX:,} more"
        self._console.print(table)

    async def _status(self, stop: asyncio.Event) -> None:
        if self._json or not self._console.is_terminal:
            while self._edge.failure is None and not await within(stop, STATUS_EVERY_S):
                self._sample()
                if self._json and _output_takes_more():
                    self._line("status", **self._rates())
            return
        with Live(self._status_line(), console=self._console, auto_refresh=False, transient=True) as live:
            while self._edge.failure is None and not await within(stop, STATUS_EVERY_S):
                self._sample()
                if _output_takes_more():
                    live.update(self._status_line(), refresh=True)

    def _sample(self) -> None:
        self._samples.append((time.monotonic(), self._edge.stats))

    def _rates(self) -> dict[str, Any]:
        """Rates over the last interval, downloads over the last minute, and all counters."""
        (then_s, then), (now_s, now) = self._samples[-2 if len(self._samples) > 1 else -1], self._samples[-1]
        seconds = max(now_s - then_s, 1e-9)
        return {
            "blocks_per_s": round((now.blocks - then.blocks) / seconds, 1),
            "bytes_per_s": round((now.payload_bytes - then.payload_bytes) / seconds, 1),
            "downloads_last_minute": now.last_blocks - self._samples[0][1].last_blocks,
            "stats": asdict(now),
        }

    def _status_line(self) -> Text:
        rates = self._rates()
        dropped = sum(rates["stats"]["dropped"].values())
        return Text(
            f"{rates['blocks_per_s']:,.0f} blocks/s  {rates['bytes_per_s'] / 1e6:,.2f} MB/s  "
            f"{rates['downloads_last_minute']:,} downloads in the last minute  {dropped:,} dropped  "
            "Ctrl-C ends",
            no_wrap=True,
            overflow="ellipsis",
        )

    def _end(self) -> None:
        if not _output_takes_more():
            return
        stats = self._edge.stats
        if self._json:
            self._line("stopped", stats=asdict(stats))
        else:
            self._console.print(
                f"served {stats.blocks:,} blocks, {stats.payload_bytes:,} bytes, "
                f"{stats.last_blocks:,} downloads to the end"
            )

    def _line(self, event: str, **values: Any) -> None:
        print(json.dumps({"event": event, "time": time.time(), **values}), flush=True)


def _output_takes_more() -> bool:
    """Whether standard output takes a line at once.

    Its reader may have stopped reading, or somebody has pressed Ctrl-S: that must not stop the downloads.
    """
    if sys.stdout is None:  # closed before we began
        return False
    poll = select.poll()
    poll.register(sys.stdout, select.POLLOUT)
    return bool(poll.poll(0))
