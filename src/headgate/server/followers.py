"""Who is told what happened, once it is stored. Nobody is waited for: a slow reader loses the oldest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from weakref import WeakSet

WAITING_MAX = 10_000  # events, per follower


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the event log. It was committed before anyone is told."""

    at_s: float
    endpoint: str
    task_id: str | None
    campaign_id: str | None
    step: int | None
    """Of the published flow."""
    what: str
    detail: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Event:
        """The event of a row of the log."""
        return cls(
            at_s=row["at_s"],
            endpoint=row["endpoint"],
            task_id=row["task_id"],
            campaign_id=row["campaign_id"],
            step=row["step"],
            what=row["what"],
            detail=row["detail"],
        )


class Follower:
    """One reader's events: `async for event in follower`. Who lets go of it follows no more."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=WAITING_MAX)
        self._more = asyncio.Event()
        self._ended = False
        self.lost = 0
        """Events that it was too slow for."""

    def tell(self, event: Event) -> None:
        """Put it behind what waits already."""
        self.lost += len(self._waiting) == WAITING_MAX
        self._waiting.append(event)
        self._more.set()

    def end(self) -> None:
        """Nothing will come after what waits."""
        self._ended = True
        self._more.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._waiting.popleft()


class Followers:
    """All that follow, none of them held."""

    def __init__(self) -> None:
        self._followers: WeakSet[Follower] = WeakSet()
        self._ended = False

    def __len__(self) -> int:
        return len(self._followers)

    def follow(self) -> Follower:
        """Everything from now on, until the end."""
        follower = Follower()
        if self._ended:
            follower.end()
        else:
            self._followers.add(follower)
        return follower

    def tell(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Rows of the event log that were just committed."""
        followers = tuple(self._followers)
        if not followers:
            return
        for row in rows:
            event = Event.of(row)
            for follower in followers:
                follower.tell(event)

    def end(self) -> None:
        """The server closes."""
        self._ended = True
        for follower in self._followers:
            follower.end()
        self._followers.clear()
