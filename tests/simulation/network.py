"""A network that loses, doubles, delays and reorders datagrams, from one seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from simulation.clock import Clock

Deliver = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What befalls datagrams, each way."""

    loss: float = 0.0
    double: float = 0.0
    """The share that arrives twice, each copy when it likes."""
    delay_s: tuple[float, float] = (0.05, 0.6)
    late: float = 0.0
    """The share that loses its place, and is overtaken."""
    late_s: tuple[float, float] = (1.0, 30.0)


FAIR = Weather()
FOUL = Weather(loss=0.1, double=0.05, delay_s=(0.1, 3.0), late=0.03)


class Network:
    """Carries datagrams between whoever hands them over and whoever is to have them."""

    def __init__(self, clock: Clock, rng: random.Random, weather: Weather) -> None:
        self._clock = clock
        self._rng = rng
        self._last_s: dict[Hashable, float] = {}
        self.weather = weather
        self.counts: Counter[str] = Counter()

    def carry(self, way: Hashable, datagram: bytes, deliver: Deliver) -> None:
        """Call `deliver` never, once or twice, and not before now; what goes the same way keeps its order."""
        self.counts["sent"] += 1
        if self._rng.random() < self.weather.loss:
            self.counts["lost"] += 1
            return
        copies = 1
        if self._rng.random() < self.weather.double:
            self.counts["doubled"] += 1
            copies = 2
        for _ in range(copies):
            self._clock.at(self._arrival_s(way), lambda: deliver(datagram))

    def _arrival_s(self, way: Hashable) -> float:
        arrival_s = self._clock.now + self._rng.uniform(*self.weather.delay_s)
        if self._rng.random() < self.weather.late:
            self.counts["late"] += 1
            return arrival_s + self._rng.uniform(*self.weather.late_s)
        arrival_s = self._last_s[way] = max(arrival_s, self._last_s.get(way, 0.0))
        return arrival_s
