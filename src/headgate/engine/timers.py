"""What is due when: a binary heap of deadlines, cancelled lazily.

A wheel would give O(1) instead of O(log n), but wants a granularity and work per tick; here most deadlines
are cancelled or moved later long before they come, and both cost nothing but an assignment. Pushing later
deadlines than those already there, as fresh timeouts mostly are, takes a comparison or two.

Invariants

1. A waiting item (due_s < NEVER) has an entry in the heap at or before its due time: entry_s <= due_s.
2. Other entries are stale: at most as many as there are waiting items, and STALE_MIN. Past that the heap is
   built anew from the waiting ones, which is paid for by the changes that made the others stale.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

NEVER = math.inf
STALE_MIN = 1024  # entries of the heap that may be stale however few items wait


class Timed:
    """Something that may be waiting for a time. One deadline each."""

    __slots__ = ("due_s", "entry_number", "entry_s")

    def __init__(self) -> None:
        self.due_s = NEVER
        self.entry_s = NEVER
        self.entry_number = 0


class Timers:
    """The deadlines of any number of items."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._number = 0
        self._waiting = 0

    def __len__(self) -> int:
        """Items that wait."""
        return self._waiting

    @property
    def entries(self) -> int:
        """Entries kept for them, stale ones included: see invariant 2."""
        return len(self._heap)

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
        """When the first item is due; None when nothing waits."""
        heap = self._heap
        while heap:
            entry_s, number, item = heap[0]
            if number == item.entry_number and item.due_s == entry_s:
                return entry_s
            self._retire()
        return None

    def take_due(self, now: float) -> Timed | None:
        """The earliest item that is due at `now`, which does not wait any longer; None when there is none.

        One at a time: what is done about one item may cancel the next.
        """
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, number, item = heap[0]
            is_due = number == item.entry_number and item.due_s <= now
            if is_due:
                item.due_s = NEVER
                self._waiting -= 1
            self._retire()
            if is_due:
                return item
        return None

    def _push(self, item: Timed) -> None:
        self._number += 1
        item.entry_s = item.due_s
        item.entry_number = self._number
        heapq.heappush(self._heap, (item.entry_s, self._number, item))

    def _retire(self) -> None:
        """Drop the first entry; an item that waits for a later time gets another."""
        _, number, item = heapq.heappop(self._heap)
        if number == item.entry_number:
            item.entry_s = NEVER
            if item.due_s < NEVER:
                self._push(item)

    def _bound(self) -> None:
        if len(self._heap) > 2 * self._waiting + STALE_MIN:
            waiting = []
            for _, number, item in self._heap:
                if number == item.entry_number:
                    item.entry_s = item.due_s
                    if item.due_s < NEVER:
                        waiting.append((item.due_s, number, item))
            heapq.heapify(waiting)
            self._heap = waiting
