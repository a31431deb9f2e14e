"""Virtual time: what is due happens in order, and a day takes as long as what happens in it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Clock:
    """Actions by their time; those of one time in the order in which they were asked for."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._order = count()
        self._due: list[tuple[float, int, Action]] = []

    def at(self, when_s: float, action: Action) -> None:
        """Do this then; what should have happened already happens next."""
        heapq.heappush(self._due, (max(when_s, self.now), next(self._order), action))

    def after(self, seconds: float, action: Action) -> None:
        """Do this so much later."""
        self.at(self.now + seconds, action)

    def tick(self) -> bool:
        """Do the next thing; False when there is none."""
        if not self._due:
            return False
        self.now, _, action = heapq.heappop(self._due)
        action()
        return True

    def __len__(self) -> int:
        return len(self._due)


class Alarm:
    """Wakes somebody when the first of his timers is due, of which he need only say when that is.

    >>> clock, woken = Clock(0.0), []
    >>> alarm = Alarm(clock, lambda: woken.append(clock.now))
    >>> alarm.set(5.0), alarm.set(3.0), alarm.set(7.0)
    (None, None, None)
    >>> while clock.tick(): pass
    >>> woken
    [7.0]
    """

    def __init__(self, clock: Clock, action: Action) -> None:
        self._clock = clock
        self._action = action
        self._due_s: float | None = None
        self._looks_s: list[float] = []  # when the clock will look, the next one last

    def set(self, due_s: float | None) -> None:
        """The next timer; None for none. What was set before is forgotten."""
        self._due_s = due_s
        if due_s is not None and (not self._looks_s or due_s < self._looks_s[-1]):
            self._looks_s.append(max(due_s, self._clock.now))
            self._clock.at(due_s, self._look)

    def _look(self) -> None:
        self._looks_s.pop()
        due_s = self._due_s
        if due_s is None:
            return
        if due_s > self._clock.now:
            self.set(due_s)
            return
        self._due_s = None
        self._action()
