"""What one hook is still to be told: what is due, and what waits for what. Sans-IO.

Invariants
 1. What concerns one device (or one campaign as a whole) is told in order: while the first of it is under
    way, or waits to be tried again, the rest of it waits behind. Others do not.
 2. At most `concurrency` attempts are under way. After `PATIENCE` failures in a row the receiver is taken to
    be down: one attempt at a time then asks, after growing pauses, whether it is there again; each time
    another event, the one tried longest ago. A success ends that, and what waited for it is due.
 3. An event is given up when an attempt fails and it was the last one, by number or by the event's age: never
    without having been tried.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass

DAY_S = 86_400.0
PATIENCE = 3  # failures in a row
DOUBLINGS_MAX = 32  # of a pause: far beyond any cap, and no overflow

Key = tuple[str, str]
"""Endpoint, and the campaign where it is that as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often, and for how long, delivery is tried."""

    concurrency: int = 8
    """Attempts under way at a time."""
    backoff_s: float = 5.0
    """After the first failure; doubled by each further one."""
    backoff_max_s: float = 900.0
    attempts_max: int = 300
    """Of one event."""
    dead_after_s: float = 3 * DAY_S
    """Since the event: a failure after this is its last."""

    def pause_s(self, failures: int, rng: random.Random) -> float:
        """How long to wait after so many failures: at random between half of it and all of it."""
        full_s = min(self.backoff_max_s, self.backoff_s * 2.0 ** min(failures - 1, DOUBLINGS_MAX))
        return full_s * (0.5 + 0.5 * rng.random())


@dataclass(slots=True, kw_only=True, eq=False)
class Notice:
    """One row of the outbox."""

    number: int
    event_id: str
    event: str
    key: Key
    body: bytes
    since_s: float
    attempts: int
    """That failed."""
    due_s: float = 0.0

    def __lt__(self, other: Notice) -> bool:
        return (self.due_s, self.number) < (other.due_s, other.number)


class Outgoing:
    """The notices of one hook that are in memory."""

    def __init__(self, patience: Patience, rng: random.Random) -> None:
        self._patience = patience
        self._rng = rng
        self._lines: dict[Key, deque[Notice]] = {}  # the first of a line is under way, or in the heap
        self._heads: list[Notice] = []  # a heap, by when they are due
        self._count = 0
        self._resume_s = 0.0
        self.under_way = 0
        self.failures = 0
        """In a row."""

    def __len__(self) -> int:
        return self._count

    @property
    def down(self) -> bool:
        """Whether the receiver is taken to be down."""
        return self.failures >= PATIENCE

    def clear(self) -> None:
        """Forget all, to be added anew. Nothing is under way."""
        assert not self.under_way
        self._lines.clear()
        self._heads.clear()
        self._count = 0

    def add(self, notice: Notice) -> None:
        """One more, behind what concerns the same."""
        self._count += 1
        line = self._lines.setdefault(notice.key, deque())
        line.append(notice)
        if len(line) == 1:
            heapq.heappush(self._heads, notice)

    def take(self, now: float) -> Notice | None:
        """One that is to be tried now, if there is one: it is under way."""
        next_s = self.next_s()
        if next_s is None or next_s > now:
            return None
        self.under_way += 1
        return heapq.heappop(self._heads)

    def next_s(self) -> float | None:
        """When `take` gives something, perhaps a time that is past; None: not before something happens."""
        if not self._heads or self.under_way >= (1 if self.down else self._patience.concurrency):
            return None
        due_s = self._heads[0].due_s
        return max(due_s, self._resume_s) if self.down else due_s

    def delivered(self, notice: Notice) -> None:
        """The receiver has it."""
        self.failures = 0
        self._over(notice)

    def failed(self, notice: Notice, now: float) -> bool:
        """It has not; True: that was the last attempt, and others pass."""
        patience = self._patience
        notice.attempts += 1
        self.failures += 1
        if self.down:
            self._resume_s = now + patience.pause_s(self.failures - PATIENCE + 1, self._rng)
        if notice.attempts >= patience.attempts_max or now - notice.since_s >= patience.dead_after_s:
            self._over(notice)
            return True
        # While all fails it is not its own failure: it is due when the receiver is there again.
        notice.due_s = now if self.down else now + patience.pause_s(notice.attempts, self._rng)
        self.under_way -= 1
        heapq.heappush(self._heads, notice)
        return False

    def _over(self, notice: Notice) -> None:
        self.under_way -= 1
        self._count -= 1
        line = self._lines[notice.key]
        first = line.popleft()
        assert first is notice, "what concerns one device is told in order"
        if line:
            heapq.heappush(self._heads, line[0])
        else:
            del self._lines[notice.key]
