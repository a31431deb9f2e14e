"""Work on many tasks at once, done in pieces between other things.

A piece is as much as one transaction should carry, and the next begins when that was taken.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from headgate.upgrade.askers import Running


class Work:
    """Something to do for each of many, and once they are all done."""

    __slots__ = ("done", "each", "items")

    def __init__(
        self, items: Iterable[Any], each: Callable[[Any, float], None], done: Callable[[float], None]
    ) -> None:
        self.items: Iterator[Any] = iter(items)
        self.each = each
        self.done = done

    def some(self, count: int, now: float) -> int:
        """Do it for at most `count`; returns for how many it was not needed any more."""
        for item in self.items:
            self.each(item, now)
            count -= 1
            if not count:
                return 0
        self.done(now)
        return count


class Works:
    """All work that there is, in the order in which it came."""

    def __init__(self, ended: Callable[[Running, float], None]) -> None:
        """`ended` is told whenever something was done for a campaign."""
        self._ended = ended
        self._work: deque[Work] = deque()

    @property
    def any(self) -> bool:
        """Whether there is work to go on with."""
        return bool(self._work)

    def some(self, count: int, now: float) -> None:
        """Go on, with at most so many tasks."""
        while self._work and count:
            work = self._work[0]
            count = work.some(count, now)
            if count:
                self._work.popleft()

    def do(
        self,
        running: Running,
        items: Iterable[Any],
        each: Callable[[Any, float], None],
        done: Callable[[float], None] | None = None,
    ) -> None:
        """Work on a campaign, which is not through before that is done."""
        running.busy += 1

        def end(now: float) -> None:
            running.busy -= 1
            if done is not None:
                done(now)
            self._ended(running, now)

        self._work.append(Work(items, each, end))
