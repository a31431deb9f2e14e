"""One hook: rows of the outbox come in, attempts go out, and what became of them is stored with a turn.

Invariants
 1. In memory are at most WINDOW_MAX notices. The store has the rest, in their order: `behind` says that there
    are rows beyond `read_through`, which are read when half of the window is through.
 2. A row is read once, unless the hook is read anew: that is done while nothing is under way, and what became
    of the attempts before is stored.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from headgate.errors import StoreError
from headgate.server.clock import Time
from headgate.server.hooks.outgoing import Notice, Outgoing, Patience
from headgate.server.logs import logger
from headgate.upgrade.announcements import Announcements, Hook

WINDOW_MAX = 4_000  # notices of a hook in memory, of about 1 KiB
PAGE_ROWS = 1_000

log = logger()

Row = Mapping[str, Any]
ReadPending = Callable[[str, int, int], Awaitable[Sequence[Row]]]
"""A hook's pending rows behind a number, in their order, at most so many. Raises StoreError."""


class Pumping(Protocol):
    """The part of the pump that is needed."""

    def wake(self) -> None:
        """Something has gathered."""

    async def settled(self) -> None:
        """Wait until it is stored. Raises StoreError."""


class Attempting(Protocol):
    """The part of a `Receiver` that is needed."""

    async def attempt(self, notice: Notice, now: float) -> str | None:
        """None where it was taken, else why not."""

    async def close(self) -> None:
        """Let go of the connections."""


class Teller:
    """Tells one hook, as long as `run` runs."""

    def __init__(
        self,
        hook: Hook,
        receiver: Attempting,
        *,
        announcements: Announcements,
        pump: Pumping,
        read: ReadPending,
        clock: Time,
        patience: Patience,
        retry_s: float,
        rng: random.Random,
    ) -> None:
        """`retry_s`: how soon a store that cannot be read is asked again."""
        self.hook = hook
        self.failing_since_s: float | None = None
        """Since when no attempt has succeeded, None after one that did."""
        self.error: str | None = None
        """Of the last attempt, None where it succeeded."""
        self.delivered_s: float | None = None
        """When the last one succeeded."""
        self._receiver = receiver
        self._announcements = announcements
        self._pump = pump
        self._read = read
        self._clock = clock
        self._retry_s = retry_s
        self._outgoing = Outgoing(patience, rng)
        self._more = asyncio.Event()
        self._newest = 0  # number of the rows that were committed since the start
        self._read_through = 0
        self._behind = True
        self._anew = False

    @property
    def next_s(self) -> float | None:
        """When the next attempt is due, perhaps a time that is past; None: not before something happens."""
        return self._outgoing.next_s()

    def told(self, rows: Sequence[Row]) -> None:
        """Rows of this hook were committed."""
        self._newest = rows[-1]["number"]
        if self._behind or len(self._outgoing) + len(rows) > WINDOW_MAX:
            self._behind = True
        else:
            self._read_through = self._newest
            self._take_in(rows)
        self._more.set()

    def read_anew(self) -> None:
        """Rows that were read have changed."""
        self._anew = True
        self._more.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        try:
            async with asyncio.TaskGroup() as attempts:
                while True:
                    self._more.clear()
                    again_s = await self._refilled()
                    if not self._anew:
                        self._begin(attempts)
                    await self._wait(again_s)
        finally:
            await self._receiver.close()

    def _begin(self, attempts: asyncio.TaskGroup) -> None:
        while (notice := self._outgoing.take(self._clock.now())) is not None:
            attempts.create_task(self._attempt(notice))

    async def _wait(self, again_s: float | None) -> None:
        """Until something is due, or something happens."""
        due = [] if self._anew else [self._outgoing.next_s()]
        times = [time for time in (*due, again_s) if time is not None]
        if not times:
            await self._more.wait()
            return
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._clock.wait_s(min(times)), self._more.set)
        try:
            await self._more.wait()
        finally:
            timer.cancel()

    async def _attempt(self, notice: Notice) -> None:
        error = await self._receiver.attempt(notice, self._clock.now())
        now = self._clock.now()
        if error is None:
            self._outgoing.delivered(notice)
            self._announcements.delivered(self.hook, notice.number, now)
            if self._outgoing.failures == 0 and self.failing_since_s is not None:
                self.failing_since_s = None
            self.delivered_s = now
        else:
            dead = self._outgoing.failed(notice, now)
            self._announcements.failed(
                self.hook, notice.number, attempts=notice.attempts, error=error, dead=dead
            )
            if self.failing_since_s is None:
                self.failing_since_s = now
        self.error = error
        self._pump.wake()
        self._more.set()

    # -- what is in memory --

    async def _refilled(self) -> float | None:
        """Read what there is room for. When to try again, where the store could not be read."""
        try:
            if self._anew and not self._outgoing.under_way:
                await self._pump.settled()
                self._outgoing.clear()
                self._read_through, self._behind, self._anew = 0, True, False
            while not self._anew and self._behind and len(self._outgoing) <= WINDOW_MAX // 2:
                await self._read_some()
        except StoreError as error:
            log.warning("the outbox could not be read; tried again", hook=self.hook.id, reason=str(error))
            return self._clock.now() + self._retry_s
        return None

    async def _read_some(self) -> None:
        newest = self._newest
        rows = await self._read(self.hook.id, self._read_through, PAGE_ROWS)
        self._take_in(rows)
        if rows:
            self._read_through = rows[-1]["number"]
        if len(rows) < PAGE_ROWS and self._newest == newest:
            self._read_through = max(self._read_through, newest)
            self._behind = False

    def _take_in(self, rows: Sequence[Row]) -> None:
        for row in rows:
            endpoint = row["endpoint"]
            notice = Notice(
                number=row["number"],
                event_id=row["event_id"],
                event=row["event"],
                key=(endpoint, "" if endpoint else row["campaign_id"]),
                body=row["body"].encode(),
                since_s=row["since_s"],
                attempts=row["attempts"],
            )
            self._outgoing.add(notice)
