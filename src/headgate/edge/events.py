"""What an Edge tells of granted downloads, and to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

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


EventQueue = asyncio.Queue[DownloadEvent | None]


class Announcer:
    """Hands each event to every reader, never waiting for one."""

    def __init__(self) -> None:
        # Replaced, never changed: a reader that goes out of use leaves at any moment, also during `announce`.
        self._queues: tuple[EventQueue, ...] = ()
        self._closed = False
        self.lost = 0

    @property
    def listened_to(self) -> bool:
        """Whether anyone reads."""
        return bool(self._queues)

    def announce(self, event: DownloadEvent) -> None:
        """Give `event` to all readers; a reader with a full queue loses its oldest event."""
        for queue in self._queues:
            self._put(queue, event)

    def close(self) -> None:
        """End every reader's iteration after what it has not read yet."""
        if not self._closed:
            self._closed = True
            for queue in self._queues:
                self._put(queue, None)

    def read(self) -> EventReader:
        """Events from this call on, until `close`."""
        queue: EventQueue = asyncio.Queue(EVENTS_WAITING_MAX)
        if self._closed:
            queue.put_nowait(None)
        else:
            self._queues = (*self._queues, queue)
        return EventReader(queue, self._forget)

    def _put(self, queue: EventQueue, event: DownloadEvent | None) -> None:
        if queue.full():
            queue.get_nowait()
            self.lost += 1
        queue.put_nowait(event)

    def _forget(self, queue: EventQueue) -> None:
        self._queues = tuple(other for other in self._queues if other is not queue)


class EventReader:
    """One reader's events. Nothing is kept for it once it is out of use, however little it has read."""

    def __init__(self, queue: EventQueue, forget: Callable[[EventQueue], None]) -> None:
        self._queue = queue
        self._forget = forget

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> DownloadEvent:
        event = await self._queue.get()
        if event is None:
            self._queue.put_nowait(None)  # the end stays the end, for whoever asks again
            raise StopAsyncIteration
        return event

    def __del__(self) -> None:
        self._forget(self._queue)
