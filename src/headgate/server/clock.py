"""The one clock of the process: seconds since the epoch, never back, and never in leaps.

Deadlines are stored as instants, so that they mean the same after a restart: that takes a wall clock. A wall
clock is set by people and by NTP, and a leap of an hour would let every device of a fleet run into its
deadline at once, or none for an hour. So time runs by the kernel's monotonic clock, and is drawn to the wall
clock by running a little faster or slower until they agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

DRAWN_SHARE = 0.05  # how much faster or slower: a leap of an hour is made good in 20 hours


class Time(Protocol):
    """What a Server lives by. Of whoever rehearses, it may pass faster than ours."""

    @property
    def behind_s(self) -> float:
        """How far the wall clock is ahead."""

    def now(self) -> float:
        """Seconds since the epoch, never back."""

    def wait_s(self, until_s: float) -> float:
        """How long the event loop is to wait until then, in its own seconds. It may wake too early."""


class Clock:
    """Call `now`. Begins at what the wall clock says."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self._wall = wall
        self._steady = steady  # goes on while the machine sleeps, as the devices do
        self._steady_s = steady()
        self._now = wall()

    @property
    def behind_s(self) -> float:
        """How far the wall clock is ahead of this one. A restart takes it over at once."""
        return self._wall() - self.now()

    def now(self) -> float:
        """Seconds since the epoch."""
        steady_s = self._steady()
        passed_s = max(0.0, steady_s - self._steady_s)
        self._steady_s = steady_s
        ahead_s = self._wall() - (self._now + passed_s)
        drawn_s = DRAWN_SHARE * passed_s
        self._now += passed_s + min(max(ahead_s, -drawn_s), drawn_s)
        return self._now

    def wait_s(self, until_s: float) -> float:
        """How long from now until then."""
        return max(0.0, until_s - self.now())
