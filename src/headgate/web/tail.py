"""The end of the event log, for all who follow it.

A viewer has a place in the log and nothing else: no queue grows for one who is slow. Whoever is near the end
is told from memory, where each event was made into text once; whoever is further behind reads the log, page
by page, until he has caught up. That is also how one resumes after hours.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.errors import StoreError
from headgate.store import tables
from headgate.web.problems import Problem
from headgate.web.reading import Reader

PAGE = 500
EVERY_S = 0.1  # the log is read no more often: what happens meanwhile is read together
AGAIN_S = 1.0  # after it could not be read
FAILED = "failed: "  # begins what is told of a task that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One event, as it is sent."""

    id: int
    endpoint: str
    campaign_id: str | None
    data: bytes


def line_of(row: Mapping[str, Any]) -> Line:
    r"""An event of the log as a message of text/event-stream.

    >>> event = {"id": 7, "endpoint": "e", "campaign_id": None, "what": "registered"}
    >>> line_of(event).data
    b'id: 7\ndata: {"id":7,"endpoint":"e","campaign_id":null,"what":"registered"}\n\n'
    """
    said = json.dumps(dict(row), separators=(",", ":"))  # ASCII, and no line feed in it
    data = f"id: {row['id']}\ndata: {said}\n\n".encode()
    return Line(id=row["id"], endpoint=row["endpoint"], campaign_id=row["campaign_id"], data=data)


class Tail:
    """The newest events. `run` reads them; who follows asks for what is behind a place."""

    def __init__(self, reader: Reader, *, kept: int) -> None:
        self._reader = reader
        self._kept = kept
        self._lines: list[Line] = []
        self._ids: list[int] = []
        self._from = 0  # everything behind this place is in memory
        self.newest = 0
        """The place up to which the log was read."""
        self._due = asyncio.Event()
        self._more = asyncio.Event()
        self.unreadable = 0
        """How often the log could not be read."""
        self.failed = 0
        """Tasks that ended by a failure since the start."""
        self.ended = False

    async def start(self) -> None:
        """Begin at the end that the log has now."""
        rows = await self._reader.rows(tables.events, limit=1, newest_first=True)
        self._from = self.newest = rows[0]["id"] if rows else 0

    def told(self) -> None:
        """Something was added to the log."""
        self._due.set()

    async def run(self) -> None:
        """Read what is added, until cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                while await self._read() == PAGE:
                    pass
            except (StoreError, Problem):
                self.unreadable += 1
                self._due.set()
                await asyncio.sleep(AGAIN_S)
            await asyncio.sleep(EVERY_S)

    async def _read(self) -> int:
        rows = await self._reader.rows(tables.events, after=(self.newest,), limit=PAGE)
        if rows:
            self._lines += map(line_of, rows)
            self._ids += [row["id"] for row in rows]
            self.failed += sum(row["what"].startswith(FAILED) for row in rows)
            self.newest = self._ids[-1]
            if len(self._ids) > 2 * self._kept:  # half of it at once: cheaper than one by one
                self._from = self._ids[-self._kept - 1]
                del self._lines[: -self._kept], self._ids[: -self._kept]
            more, self._more = self._more, asyncio.Event()
            more.set()
        return len(rows)

    def end(self) -> None:
        """Nothing is told any more."""
        self.ended = True
        self._more.set()

    async def wait(self, place: int, seconds: float) -> None:
        """Wait until there is something behind that place, or for so long."""
        if place < self.newest or self.ended:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._more.wait()
        except TimeoutError:
            return

    async def after(self, place: int) -> Sequence[Line]:
        """Some of what is behind a place, in order; nothing where that is the end. Raises StoreError."""
        if place >= self._from:
            at = bisect_right(self._ids, place)
            return self._lines[at : at + PAGE]
        return [line_of(row) for row in await self._reader.rows(tables.events, after=(place,), limit=PAGE)]
