"""What is due when: a binary heap of deadlines, cancelled lazily.

A wheel would give O(1) instead of O(log n), but wants a granularity and work per tick; here most deadlines
are cancelled or moved later long before they come, and both cost nothing but an assignment. Pushing later
deadlines than those already there, as fresh timeouts mostly are, takes a comparison or two.

Invariants

1. A waiting item (due_s < NEVER) has an entry in the heap at or before its due time: entry_s <= due_s.
2. Other entries are stale: at most as many as there are waiting items, and STALE_MIN. Past that the heap is
   built anew from the waiting ones, which is paid for by the changes that made the others stale. One of more
   than AT_ONCE_MAX entries is built anew by and by, some with each change: to clear away a million at once
   takes half a second. Until then what is left of the old heap, taken from its end, is a heap still, and
   both are looked at.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

NEVER = math.inf
STALE_MIN = 1024  # entries of the heap that may be stale however few items wait
AT_ONCE_MAX = 4096  # entries that are looked through at once: a millisecond or two
MOVED = 8  # entries of an old heap for each change


class Timed:
    """Something that may be waiting for a time. One deadline each."""

    __slots__ = ("due_s", "entry_number", "entry_s")

    def __init__(self) -> None:
        self.due_s = NEVER
        self.entry_s = NEVER
        self.entry_number = 0


Entry = tuple[float, int, Timed]


class Timers:
    """The deadlines of any number of items."""

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._old: list[Entry] = []  # what is left of the heap before, while it is built anew
        self._number = 0
        self._waiting = 0

    def __len__(self) -> int:
        """Items that wait."""
        return self._waiting

    @property
    def entries(self) -> int:
        """Entries kept for them, stale ones included: see invariant 2."""
        return len(self._heap) + len(self._old)

    def set(self, item: Timed, due_s: float) -> None:
        """Let `item` be due at `due_s`, and at no other time."""
        assert due_s < NEVER
        if item.due_s == NEVER:
            self._waiting += 1
        item.due_s = due_s
        if due_s < item.entry_s:
            self._push(item)
            self._bound()

    def set_all(self, due: Iterable[tuple[Timed, float]]) -> None:
        """The same for many that do not wait yet: the heap is made once, in O(n)."""
        entries = []
        for number, (item, due_s) in enumerate(due, self._number + 1):
            assert item.entry_s == NEVER > due_s
            item.due_s = item.entry_s = due_s
            item.entry_number = number
            entries.append((due_s, number, item))
        self._number += len(entries)
        self._waiting += len(entries)
        self._heap += entries
        heapq.heapify(self._heap)

    def cancel(self, item: Timed) -> None:
        """Let `item` be due never."""
        if item.due_s != NEVER:
            item.due_s = NEVER
            self._waiting -= 1
            self._bound()

    def next(self) -> float | None:
        """When the first item is due; None when nothing waits.

        Before that where more than STALE_MIN others have stale entries at earlier times: ask again then.
        """
        for _ in range(STALE_MIN + 1):
            heap = self._first()
            if not heap:
                return None
            entry_s, number, item = heap[0]
            if number == item.entry_number and item.due_s == entry_s:
                return entry_s
            self._retire(heap)
        heap = self._first()
        return heap[0][0] if heap else None

    def take_due(self, now: float) -> Timed | None:
        """The earliest item that is due at `now`, which does not wait any longer; None when there is none.

        One at a time: what is done about one item may cancel the next.
        """
        while (heap := self._first()) and heap[0][0] <= now:
            _, number, item = heap[0]
            is_due = number == item.entry_number and item.due_s <= now
            if is_due:
                item.due_s = NEVER
                self._waiting -= 1
            self._retire(heap)
            if is_due:
                return item
        return None

    def _first(self) -> list[Entry]:
        """The heap with the earliest entry; an empty one when there is none."""
        heap, old = self._heap, self._old
        return old if old and (not heap or old[0] < heap[0]) else heap

    def _push(self, item: Timed) -> None:
        self._number += 1
        item.entry_s = item.due_s
        item.entry_number = self._number
        heapq.heappush(self._heap, (item.entry_s, self._number, item))

    def _retire(self, heap: list[Entry]) -> None:
        """Drop the first entry; an item that waits for a later time gets another."""
        _, number, item = heapq.heappop(heap)
        if number == item.entry_number:
            item.entry_s = NEVER
            if item.due_s < NEVER:
                self._push(item)

    def _bound(self) -> None:
        if self._old:
            self._move()
        elif len(self._heap) > 2 * self._waiting + STALE_MIN:
            if len(self._heap) > AT_ONCE_MAX:
                self._old, self._heap = self._heap, []
                return
            waiting = []
            for _, number, item in self._heap:
                if number == item.entry_number:
                    item.entry_s = item.due_s
                    if item.due_s < NEVER:
                        waiting.append((item.due_s, number, item))
            heapq.heapify(waiting)
            self._heap = waiting

    def _move(self) -> None:
        """Some of the old entries are dropped, or become new ones."""
        for _ in range(min(MOVED, len(self._old))):
            _, number, item = self._old.pop()
            if number == item.entry_number:
                item.entry_s = item.due_s
                if item.due_s < NEVER:
                    heapq.heappush(self._heap, (item.due_s, number, item))
