"""The air between device and cell: how long a datagram takes, whether it arrives, what the device hears.

The figures are those of NB-IoT: a round trip of a second in good coverage, of several in deep coverage (3GPP
designed for 10 s). Times are in the device's seconds; who runs devices faster divides them all alike.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

UP = 0
DOWN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How datagrams fare at one place: log-normal latency each way, loss each way."""

    latency_s: float
    """The median."""
    spread: float = 0.4
    """The standard deviation of the latency's logarithm."""
    latency_max_s: float = 10.0
    loss: float = 0.0


NEAR = Coverage(latency_s=0.0, spread=0.0)  # no radio at all
GOOD = Coverage(latency_s=0.35, spread=0.35, loss=0.005)
MEDIUM = Coverage(latency_s=0.9, spread=0.45, loss=0.02)
DEEP = Coverage(latency_s=2.5, spread=0.5, loss=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """What befalls the datagrams of a whole fleet."""

    loss: float | None = None
    """Replaces the coverage's."""
    duplicate: float = 0.0
    reorder: float = 0.0
    """The share that does not keep its place in the queue of its direction."""
    latency: bool = True
    """Whether the coverage's latency is modelled; loss, copies and disorder are in any case."""


class Link:
    """One device's way to its server and back. Each direction keeps its order, but for the reordered."""

    __slots__ = ("_coverage", "_last_s", "_loss", "_rng", "_settings", "lost", "sent")

    def __init__(self, coverage: Coverage, rng: random.Random, settings: LinkSettings | None = None) -> None:
        self._coverage = coverage
        self._rng = rng
        self._settings = settings or LinkSettings()
        self._loss = coverage.loss if self._settings.loss is None else self._settings.loss
        self._last_s = [-math.inf, -math.inf]
        self.sent = 0
        self.lost = 0

    def arrivals(self, direction: int, now: float) -> tuple[float, ...]:
        """When the copies of a datagram sent now arrive: none where it is lost, two where it is doubled."""
        self.sent += 1
        if self._loss and self._rng.random() < self._loss:
            self.lost += 1
            return ()
        first = self._arrival(direction, now)
        if self._settings.duplicate and self._rng.random() < self._settings.duplicate:
            return (first, self._arrival(direction, now))
        return (first,)

    def _arrival(self, direction: int, now: float) -> float:
        arrival = now + self._latency_s()
        if self._settings.reorder and self._rng.random() < self._settings.reorder:
            return arrival + self._latency_s()  # later than its turn, and holds up nobody
        arrival = max(arrival, self._last_s[direction])
        self._last_s[direction] = arrival
        return arrival

    def _latency_s(self) -> float:
        coverage = self._coverage
        if coverage.latency_s == 0.0 or not self._settings.latency:
            return 0.0
        latency_s = coverage.latency_s * math.exp(coverage.spread * self._rng.gauss(0.0, 1.0))
        return min(latency_s, coverage.latency_max_s)


# -- what a device says of it: object 4 --


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a device reports of its radio, as it reports it: None for a resource that it has not.

    `radio_class` is what a server makes of it by the usual thresholds: "0", "1", "2", or "U" where only the
    cell is told.
    """

    cell_id: int | None = None
    smcc: int | None = 460
    smnc: int | None = 0
    rsrp: int | None = -90
    sinr: int | None = 12
    radio_class: str = "0"


UNKNOWN_CLASS = "U"
COVERAGES = {"0": GOOD, "1": MEDIUM, "2": DEEP, "U": MEDIUM}
RSRP_DBM = {"0": (-111, -80), "1": (-121, -113), "2": (-131, -123)}
SINR_DB = {"0": (8, 25), "1": (-2, 6), "2": (-12, -4)}
TENTHS_FROM_DB = 7  # a SINR in tenths is told from one in dB only beyond 60


def conditions(
    rng: random.Random, radio_class: str, cell_id: int, *, quirks: float = 0.0, smnc: int = 0
) -> Conditions:
    """What a device of this class in this cell reports; a share `quirks` tells it in another way.

    The other ways are RSRP without its sign, RSRP in tenths, and SINR in tenths.
    """
    if radio_class == UNKNOWN_CLASS:
        rsrp = rng.randint(*RSRP_DBM["1"])
        return Conditions(cell_id=cell_id, smnc=smnc, rsrp=rsrp, sinr=None, radio_class=UNKNOWN_CLASS)
    rsrp, sinr = rng.randint(*RSRP_DBM[radio_class]), rng.randint(*SINR_DB[radio_class])
    if rng.random() < quirks:
        rsrp = rng.choice((-rsrp, rsrp * 10))
        if abs(sinr) >= TENTHS_FROM_DB:
            sinr *= 10
    return Conditions(cell_id=cell_id, smnc=smnc, rsrp=rsrp, sinr=sinr, radio_class=radio_class)
