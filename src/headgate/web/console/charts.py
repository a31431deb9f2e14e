"""Lines over time, as the shapes of an SVG: the arithmetic; the template draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

WIDTH, HEIGHT = 360.0, 96.0
POINTS_MAX = 180
HEADROOM = 1.05


class Tick(NamedTuple):
    """A line of the grid."""

    y: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One line over time."""

    id: str
    title: str
    unit: str
    now: str
    most: str
    line: str
    """Its points."""
    area: str
    """The same, closed along the bottom."""
    ticks: Sequence[Tick]
    begin: str
    """What the left end says."""


def ceiling(most: float) -> float:
    """A round number above.

    >>> [ceiling(value) for value in (0.0, 0.7, 3.0, 87.0, 1234.0)]
    [1.0, 1.0, 5.0, 100.0, 2000.0]
    """
    step = 1.0
    while True:
        for factor in (1.0, 2.0, 5.0):
            if most <= step * factor:
                return step * factor
        step *= 10


def thinned(values: Sequence[float], most: int) -> list[float]:
    """No more than so many: the mean of neighbours.

    >>> thinned([1, 3, 5, 7], 2), thinned([1, 2], 5)
    ([2.0, 6.0], [1, 2])
    """
    if len(values) <= most:
        return list(values)
    width = -(-len(values) // most)
    pieces = [values[start : start + width] for start in range(0, len(values), width)]
    return [sum(piece) / len(piece) for piece in pieces]


def chart(
    id: str,
    title: str,
    values: Sequence[float],
    *,
    span_s: float,
    step_s: float,
    begin: str,
    unit: str,
    written: Callable[[float], str],
) -> Chart:
    """A chart of values that are `step_s` apart, the newest at the right edge of `span_s`."""
    shown = thinned(values, POINTS_MAX)
    step_s *= len(values) / len(shown) if shown else 1
    top = ceiling(max(shown, default=0.0))
    points = [
        (
            WIDTH - (len(shown) - 1 - place) * step_s / span_s * WIDTH,
            HEIGHT - value / top * HEIGHT / HEADROOM,
        )
        for place, value in enumerate(shown)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    area = f"{points[0][0]:.1f},{HEIGHT:g} {line} {points[-1][0]:.1f},{HEIGHT:g}" if points else ""
    return Chart(
        id=id,
        title=title,
        unit=unit,
        now=written(shown[-1] if shown else 0.0),
        most=written(max(shown, default=0.0)),
        line=line,
        area=area,
        ticks=[
            Tick(y=HEIGHT - part * HEIGHT / HEADROOM, text=written(top * part)) for part in (0.0, 0.5, 1.0)
        ],
        begin=begin,
    )
