"""The last hours of a few counters, in memory: what the console draws.

Two rings, a fine and a coarse one, both bounded. What they hold is what the counters stood at; rates are made
of two of them, so that a missed sample makes a step wider and nothing wrong.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

EVERY_S = 2.0
MINUTE_S = 60.0


class Sample(NamedTuple):
    """What counters stood at. Seconds of any clock that only goes forward."""

    at_s: float
    blocks: int
    bytes: int
    downloads: int
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What happened between two samples."""

    at_s: float
    """Of the later one."""
    blocks_per_s: float
    bytes_per_s: float
    downloads_per_minute: float
    failures_per_minute: float


EMPTY = Sample(0.0, 0, 0, 0, 0)


class Ring:
    """Samples at least so far apart, the newest so many."""

    def __init__(self, *, step_s: float, kept: int) -> None:
        self.step_s = step_s
        self.kept = kept
        self._samples: deque[Sample] = deque(maxlen=kept + 1)

    def take(self, sample: Sample) -> None:
        """Keep it, unless the last one is too near."""
        if not self._samples or sample.at_s - self._samples[-1].at_s >= self.step_s * 0.9:
            self._samples.append(sample)

    def rates(self) -> list[Rates]:
        """From each sample to the next, the oldest first."""
        return [between(*pair) for pair in pairwise(self._samples)]

    def last(self) -> Rates:
        """Between the newest two."""
        if len(self._samples) < 2:
            return between(EMPTY, EMPTY)
        return between(self._samples[-2], self._samples[-1])


def between(earlier: Sample, later: Sample) -> Rates:
    """What happened from one sample to another.

    >>> between(Sample(0.0, 0, 0, 0, 0), Sample(2.0, 100, 51200, 1, 0)).downloads_per_minute
    30.0
    """
    seconds = max(later.at_s - earlier.at_s, 1e-9)
    return Rates(
        at_s=later.at_s,
        blocks_per_s=(later.blocks - earlier.blocks) / seconds,
        bytes_per_s=(later.bytes - earlier.bytes) / seconds,
        downloads_per_minute=(later.downloads - earlier.downloads) / seconds * MINUTE_S,
        failures_per_minute=(later.failures - earlier.failures) / seconds * MINUTE_S,
    )


class History:
    """Ten minutes by two seconds, and a day by minutes."""

    def __init__(self, measure: Callable[[], Sample]) -> None:
        self._measure = measure
        self.minutes = Ring(step_s=EVERY_S, kept=300)
        self.day = Ring(step_s=MINUTE_S, kept=1440)

    def take(self) -> None:
        """Take a sample."""
        sample = self._measure()
        self.minutes.take(sample)
        self.day.take(sample)

    async def run(self) -> None:
        """Take samples until cancelled."""
        while True:
            self.take()
            await asyncio.sleep(EVERY_S)

    def now(self) -> Rates:
        """The newest."""
        return self.minutes.last()

    def of(self, ring: str) -> tuple[Ring, Sequence[Rates]]:
        """The ring of that name, `day` or the fine one, and what it has."""
        chosen = self.day if ring == "day" else self.minutes
        return chosen, chosen.rates()
