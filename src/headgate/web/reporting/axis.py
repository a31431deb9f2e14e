"""The time of a report, cut into so many bins at most; all of them as wide as a clock would have it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, case, cast

BINS_MAX = 200
MINUTE_S, HOUR_S, DAY_S = 60.0, 3_600.0, 86_400.0
WIDTHS_S = (
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(each * MINUTE_S for each in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(each * HOUR_S for each in (1, 2, 3, 6, 12)),
)


class Axis(NamedTuple):
    """From when, in how many bins, of so many seconds each."""

    begin_s: float
    bin_s: float
    bins: int

    def place(self, at_s: float) -> int:
        """The bin of a moment; what lies outside is in the first or the last one.

        >>> axis = Axis(begin_s=100.0, bin_s=5.0, bins=3)
        >>> [axis.place(at_s) for at_s in (99.0, 100.0, 104.9, 105.0, 200.0)]
        [0, 0, 0, 1, 2]
        """
        return min(max(int((at_s - self.begin_s) / self.bin_s), 0), self.bins - 1)

    def place_of(self, column: ColumnElement[Any]) -> ColumnElement[int]:
        """The same, worked out by the database."""
        return case(
            (column <= self.begin_s, 0),
            (column >= self.begin_s + self.bin_s * (self.bins - 1), self.bins - 1),
            else_=whole((column - self.begin_s) / self.bin_s),
        )


def axis_of(begin_s: float, end_s: float) -> Axis:
    """The axis from one moment to another.

    >>> axis_of(0.0, 1000.0), axis_of(5.0, 5.0), axis_of(0.0, 500 * 86400.0).bin_s / 86400
    (Axis(begin_s=0.0, bin_s=5.0, bins=200), Axis(begin_s=5.0, bin_s=0.1, bins=1), 3.0)
    """
    span_s = max(end_s - begin_s, 0.0)
    wanted_s = span_s / BINS_MAX
    width_s = next((each for each in WIDTHS_S if each >= wanted_s), 0.0)
    if not width_s:
        width_s = DAY_S * math.ceil(wanted_s / DAY_S)
    return Axis(begin_s, width_s, min(max(math.ceil(span_s / width_s), 1), BINS_MAX))


def whole(value: ColumnElement[Any]) -> ColumnElement[int]:
    """The whole part of what is not negative. SQLite cuts where PostgreSQL rounds."""
    cut = cast(value, Integer)
    return case((cut > value, cut - 1), else_=cut)
