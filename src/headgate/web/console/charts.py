"""Lines over time, as the shapes of an SVG: the arithmetic; the template draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

WIDTH, HEIGHT = 300.0, 90.0
BINS = 60
HEADROOM = 1.05


class Tick(NamedTuple):
    """A line of the grid."""

    y: float
    text: str


class Point(NamedTuple):
    """What a counter did up to that time."""

    at_s: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One line over time."""

    id: str
    title: str
    unit: str
    width: float
    now: str
    most: str
    line: str
    """Its points."""
    area: str
    """The same, closed along the bottom."""
    ticks: Sequence[Tick]
    begin: str
    """What the left end says."""


def ceiling(most: float, base: int) -> float:
    """A number above that is round to people who count by tens, or by 1024.

    >>> [ceiling(value, 10) for value in (0.0, 0.7, 3.0, 87.0, 1234.0)]
    [1.0, 1.0, 5.0, 100.0, 2000.0]
    >>> ceiling(49_000, 1024), ceiling(3_000_000, 1024)
    (51200.0, 5242880.0)
    """
    unit = 1.0
    while base > 10 and most > unit * base:
        unit *= base
    step = unit
    while True:
        for factor in (1.0, 2.0, 5.0):
            if most <= step * factor:
                return step * factor
        step *= 10


def binned(points: Sequence[Point], width_s: float) -> list[Point]:
    """The mean of each span of time, at its end. Spans do not move, so that a drawn line does not tremble.

    >>> binned([Point(1.0, 2.0), Point(3.0, 4.0), Point(11.0, 5.0)], 10.0)
    [Point(at_s=10.0, value=3.0), Point(at_s=20.0, value=5.0)]
    """
    spans: dict[int, list[float]] = {}
    for point in points:
        spans.setdefault(int(point.at_s // width_s), []).append(point.value)
    return [Point((span + 1) * width_s, sum(each) / len(each)) for span, each in spans.items()]


def chart(
    id: str,
    title: str,
    points: Sequence[Point],
    *,
    span_s: float,
    begin: str,
    unit: str,
    written: Callable[[float], str],
    base: int = 10,
) -> Chart:
    """A chart of the last `span_s` before the newest point, which stands at its right edge."""
    shown = binned(points, span_s / BINS)
    most = max((each.value for each in shown), default=0.0)
    top = ceiling(most, base)
    end_s = shown[-1].at_s if shown else 0.0
    drawn = [
        (WIDTH - (end_s - each.at_s) / span_s * WIDTH, HEIGHT - each.value / top * HEIGHT / HEADROOM)
        for each in shown
        if end_s - each.at_s <= span_s
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    area = f"{drawn[0][0]:.1f},{HEIGHT:g} {line} {drawn[-1][0]:.1f},{HEIGHT:g}" if drawn else ""
    return Chart(
        id=id,
        title=title,
        unit=unit,
        width=WIDTH,
        now=written(shown[-1].value if shown else 0.0),
        most=written(most),
        line=line,
        area=area,
        ticks=[
            Tick(y=HEIGHT - part * HEIGHT / HEADROOM, text=written(top * part)) for part in (0.0, 0.5, 1.0)
        ],
        begin=begin,
    )
