"""What an Edge tells of granted downloads, and to whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from headgate.edge.grant import Grant
from headgate.model import Progress

EVENTS_WAITING_MAX = 65536  # per reader; the oldest are dropped and counted


@dataclass(frozen=True, slots=True)
class DownloadEvent:
    """Something happened to the download that `grant` permits; `progress` is as of now."""

    grant: Grant
    progress: Progress


class DownloadStarted(DownloadEvent):
    """The first block of the grant was served."""


class DownloadProgressed(DownloadEvent):
    """Blocks were served since the last look."""


class DownloadCompleted(DownloadEvent):
    """The last block was served, without a gap since `progress.start_bytes`.

    Only the device knows whether it kept the bytes. May come again when the device starts over.
    """


class DownloadStalled(DownloadEvent):
    """No block was served for `stall_after_s` and the last one is still to come. Once per pause."""


class Announcer:
    """Hands each event to every reader, never waiting for one."""

    def __init__(self) -> None:
        self._readers: set[asyncio.Queue[DownloadEvent | None]] = set()
        self.lost = 0

    @property
    def listened_to(self) -> bool:
        """Whether anyone reads."""
        return bool(self._readers)

    def announce(self, event: DownloadEvent) -> None:
        """Give `event` to all readers; a reader with a full queue loses its oldest event."""
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
                self.lost += 1
            queue.put_nowait(event)

    def close(self) -> None:
        """End every reader's iteration after what it has not read yet."""
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
                self.lost += 1
            queue.put_nowait(None)

    def read(self) -> AsyncIterator[DownloadEvent]:
        """Events from this call on, until `close`."""
        queue: asyncio.Queue[DownloadEvent | None] = asyncio.Queue(EVENTS_WAITING_MAX)
        self._readers.add(queue)
        return self._iterate(queue)

    async def _iterate(self, queue: asyncio.Queue[DownloadEvent | None]) -> AsyncIterator[DownloadEvent]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._readers.discard(queue)
