"""The demo's time: as fast as was asked for, and no faster than the machine can follow.

Server and devices live by the same clock, which passes on the event loop, tick by tick. Whoever is behind
(devices with something due, a commit under way) holds it up: on a slow or busy machine the demo takes longer,
and nobody runs into a deadline because of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TICK_S = 0.001
PASSED_MAX_S = 0.5  # simulated, in one tick: less than a datagram of good coverage needs
BEHIND_MAX_S = 1.0  # simulated: who is further behind is waited for
STEPS_MAX = 4
"""Ticks that follow one another without a pause, each after a turn of the loop: so many are made up for."""
WAIT_MIN_S = 0.0005
FLYING = 160_000.0  # times as fast as ours, when nothing happens any more but deadlines: a day in 0.5 s
FLOWN_MAX_S = 600.0  # simulated, in one tick


class PacedClock:
    """A clock that begins at what the wall clock says, and passes from `start` to `stop`."""

    def __init__(self, speed: float) -> None:
        self.asked = self.speed = speed
        """Seconds that pass in one of ours, at most."""
        self.passed_max_s = PASSED_MAX_S
        self.started_s = self._now = time.time()
        self.ran_s = 0.0
        """How long it has run, in our seconds."""
        self.held_s = 0.0
        """How long of this it was held up."""
        self.flew_from_s: float | None = None
        """When it began to fly, by itself."""
        self.flew_after_s: float | None = None
        self._behind_s: Callable[[], float] = lambda: 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticked_s = 0.0
        self._owed_s = 0.0  # simulated: may pass as soon as the loop has turned
        self._tick: asyncio.Handle | None = None

    def start(self, behind_s: Callable[[], float]) -> None:
        """Let time pass, while `behind_s` says that nobody is far behind."""
        self._behind_s = behind_s
        self._loop = asyncio.get_running_loop()
        self._ticked_s = self._loop.time()
        self._tick = self._loop.call_later(TICK_S, self._passes)

    def stop(self) -> None:
        """Let time stand still."""
        if self._tick is not None:
            self._tick.cancel()

    def fly(self) -> None:
        """Let time fly: nobody is left who could come too late."""
        self.flew_from_s, self.flew_after_s = self._now, self.ran_s
        self.speed, self.passed_max_s = FLYING, FLOWN_MAX_S

    @property
    def flies(self) -> bool:
        """Whether it was let fly."""
        return self.flew_from_s is not None

    @property
    def behind_s(self) -> float:
        """Nobody sets this clock."""
        return 0.0

    @property
    def passed_s(self) -> float:
        """Simulated seconds since the start."""
        return self._now - self.started_s

    @property
    def achieved(self) -> float:
        """The mean speed up to now, or to when it began to fly."""
        passed_s = (self.flew_from_s or self._now) - self.started_s
        return passed_s / (self.flew_after_s or self.ran_s or 1.0)

    def now(self) -> float:
        """Seconds since the epoch, in the simulation."""
        return self._now

    def wait_s(self, until_s: float) -> float:
        """How long it takes until then, if nobody holds it up."""
        wait_s = (until_s - self._now) / self.speed
        return max(wait_s, WAIT_MIN_S) if wait_s > 0.0 else 0.0

    def _passes(self) -> None:
        assert self._loop is not None
        ours_s = self._loop.time()
        elapsed_s, self._ticked_s = ours_s - self._ticked_s, ours_s
        passed_s = 0.0
        if self._behind_s() < BEHIND_MAX_S:
            self._owed_s = min(self._owed_s + elapsed_s * self.speed, STEPS_MAX * self.passed_max_s)
            passed_s = min(self._owed_s, self.passed_max_s)
            self._owed_s -= passed_s
            self._now += passed_s
        else:
            self._owed_s = 0.0
        self.ran_s += elapsed_s
        self.held_s += elapsed_s - passed_s / self.speed
        # A timer of the loop fires up to two milliseconds later, in which more than one tick may be due.
        if self._owed_s > 0.0:
            self._tick = self._loop.call_soon(self._passes)
        else:
            self._tick = self._loop.call_later(TICK_S, self._passes)
