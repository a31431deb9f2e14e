"""Series as the shapes of an SVG: the arithmetic; the template draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from headgate.web.console.words import DAY_S, HOUR_S, MINUTE_S, duration

TICKS_MAX = 6
HEADROOM = 1.08
STEPS_S = (
    *(0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
    *(each * MINUTE_S for each in (1, 2, 5, 10, 20, 30)),
    *(each * HOUR_S for each in (1, 2, 3, 6, 12)),
    *(each * DAY_S for each in (1, 2, 7, 14, 30, 90)),
)


class Tick(NamedTuple):
    """A line of the grid."""

    at: float
    text: str


class Box(NamedTuple):
    """Where a rectangle stands."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """The place of a drawing: bins from left to right, values upwards."""

    width: float
    height: float
    bins: int
    top: float
    """The value at the upper edge."""
    left: float = 0.0
    bottom: float = 0.0
    above: float = 0.0

    @property
    def right(self) -> float:
        """Where the bins end."""
        return self.width - 1.0 if self.left else self.width

    @property
    def floor(self) -> float:
        """Where 0 is."""
        return self.height - self.bottom

    def x(self, place: float) -> float:
        """The left edge of a bin.

        >>> Plane(width=100, height=10, bins=4, top=5).x(1)
        25.0
        """
        return self.left + place * (self.right - self.left) / self.bins

    def y(self, value: float) -> float:
        """Of a value.

        >>> Plane(width=100, height=10, bins=4, top=5).y(2)
        6.0
        """
        return self.floor - value / self.top * (self.floor - self.above) if self.top else self.floor

    def line(self, values: Sequence[float]) -> str:
        """The points of a line that keeps its height through each bin; those that change nothing left out.

        >>> Plane(width=100, height=10, bins=4, top=5).line([0, 0, 5, 5])
        '0,10 50,10 50,0 100,0'
        """
        points = [(self.x(0), self.y(values[0]))]
        for place in range(1, self.bins):
            if values[place] != values[place - 1]:
                points += [(self.x(place), points[-1][1]), (self.x(place), self.y(values[place]))]
        points.append((self.x(self.bins), points[-1][1]))
        return " ".join(f"{round(x, 1):g},{round(y, 1):g}" for x, y in points)

    def area(self, values: Sequence[float]) -> str:
        """The same, closed along the bottom."""
        ends = [f"{x:g},{self.floor:g}" for x in (round(self.right, 1), round(self.left, 1))]
        return " ".join([self.line(values), *ends])

    def bars(self, values: Sequence[float], gap: float = 2.0) -> list[Box]:
        """A bar for each value; what is more than nothing is to be seen."""
        width = (self.right - self.left) / self.bins
        boxes = []
        for place, value in enumerate(values):
            height = max(self.floor - self.y(value), 1.5) if value else 0.0
            boxes.append(
                Box(
                    round(self.x(place) + gap / 2, 1),
                    round(self.floor - height, 1),
                    round(max(width - gap, 1.0), 1),
                    round(height, 1),
                )
            )
        return boxes


def times(plane: Plane, axis: Mapping[str, Any]) -> list[Tick]:
    """Ticks of the time since the beginning.

    >>> plane = Plane(width=100, height=10, bins=100, top=1)
    >>> [each.text for each in times(plane, {"bins": 100, "bin_s": 36.0})]
    ['0', '10 min', '20 min', '30 min', '40 min', '50 min']
    """
    span_s = axis["bins"] * axis["bin_s"]
    step_s = next((each for each in STEPS_S if span_s / each <= TICKS_MAX), span_s / TICKS_MAX)
    ticks, number = [], 0
    while number * step_s < span_s * 0.97:
        text = duration(number * step_s) if step_s >= 1 else f"{number * step_s:g} s"
        ticks.append(Tick(round(plane.x(number * step_s / axis["bin_s"]), 1), text if number else "0"))
        number += 1
    return ticks


def levels(plane: Plane, most: int, steps: int = 4) -> list[Tick]:
    """Ticks of a count, so many above 0 at most.

    >>> [each.text for each in levels(Plane(width=100, height=10, bins=1, top=1234), 1234)]
    ['0', '500', '1,000']
    """
    step, unit = 1, 1
    while most / step > steps:
        step = next((unit * each for each in (1, 2, 5) if unit * each > step), unit * 10)
        if step == unit * 10:
            unit *= 10
    return [Tick(round(plane.y(value), 1), f"{value:,}") for value in range(0, most + 1, step)]
