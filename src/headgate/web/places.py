"""Where a page ended whose items are in the order of time: the time and the id, as one text."""

from __future__ import annotations

import math
from typing import NamedTuple

from headgate.web.problems import Problem


class Place(NamedTuple):
    """Behind which the next page begins."""

    at_s: float
    id: str


def text_of(place: Place) -> str:
    """The place as it is told.

    >>> text_of(Place(1700000000.25, "c0ffee")), place_of("1700000000.25-c0ffee")
    ('1700000000.25-c0ffee', Place(at_s=1700000000.25, id='c0ffee'))
    """
    return f"{place.at_s!r}-{place.id}"


def place_of(text: str | None) -> Place | None:
    """The place that was told. Problem 422 for none of ours."""
    if text is None:
        return None
    at, _, id = text.partition("-")
    try:
        at_s = float(at)
    except ValueError:
        at_s = math.nan
    if not math.isfinite(at_s) or not id:
        raise Problem(422, "`after` is `next` of a page, and this is none")
    return Place(at_s, id)
