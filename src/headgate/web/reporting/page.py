"""The report as a page: one file with all that it needs, for a browser, a printer, and ten years from now.

It holds no script and loads nothing. Each drawing has a title, a sentence, and its figures as a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from headgate.web.console import words
from headgate.web.reporting.drawing import HEADROOM, Box, Plane, levels, times

TEMPLATES = Path(__file__).parent.parent / "templates"
ROWS = 20  # of a table over time; all of it is in the JSON
WIDE = {"width": 860.0, "height": 270.0, "left": 58.0, "bottom": 26.0}
NARROW = {"width": 400.0, "height": 92.0, "left": 52.0, "bottom": 20.0, "above": 4.0}
STRIP = {"width": 400.0, "height": 46.0}
CLASSES = {
    "0": "Class 0, hears its cell well",
    "1": "Class 1, hears it less well",
    "2": "Class 2, hears it badly",
    "U": "Class U, signal not known",
}

Said = Mapping[str, Any]


def page(report: Said) -> str:
    """The page of a report, as the API tells it."""
    return environment().get_template("report.html").render(context(report))


def environment() -> Environment:
    """The template, and the console's words."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for each in (words.number, words.share, words.moment, words.visible, words.state_word, words.tone):
        made.filters[each.__name__] = each
    made.filters |= {"lasting": lasting, "plain": plain}
    made.globals["version"] = version("headgate")
    return made


def lasting(seconds: float) -> str:
    """A span of time; tenths where there is little else.

    >>> lasting(2.34), lasting(61)
    ('2.3 s', '1 min 1 s')
    """
    return f"{seconds:.1f} s" if seconds < 10 else words.duration(seconds)


def plain(text: str) -> str:
    r"""A text where there can be no elements; what is not shown is written as its escape.

    >>> plain("a\n\u202e")
    'a\\n\\u202e'
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def context(report: Said) -> dict[str, Any]:
    """What the template is given."""
    campaign, axis = report["campaign"], report["axis"]
    figures = figures_of(campaign)
    return {
        "report": report,
        "campaign": campaign,
        "figures": figures,
        "verdict": verdict(campaign, figures),
        "shares": shares(figures),
        "span_s": axis["bins"] * axis["bin_s"],
        "whole": whole_progress(report),
        "stages": [stage_progress(stage, axis) for stage in report["stages"]],
        "cells": [cell_drawing(cell, axis) for cell in report["cells"]["busiest"]],
        "finish": finish_drawing(report["finish"]),
        "causes": causes_drawing(report["causes"]),
        "classes": CLASSES,
        "course": [each | {"after_s": each["at_s"] - axis["begin_s"]} for each in report["course"]],
    }


def figures_of(campaign: Said) -> dict[str, int]:
    """Devices by how their last attempt stands."""
    states = campaign["states"]
    succeeded = states.get("success", 0) + states.get("done_same", 0)
    failed = states.get("failed", 0) - campaign["retried"]
    cancelled = states.get("cancelled", 0)
    rest = campaign["devices"] - succeeded - failed - cancelled
    return {"succeeded": succeeded, "failed": failed, "cancelled": cancelled, "left": rest}


def verdict(campaign: Said, figures: Mapping[str, int]) -> str:
    """The whole of it in a sentence.

    >>> verdict({"devices": 12, "state": "ended", "target_version": "V2"},
    ...     {"succeeded": 11, "failed": 1, "cancelled": 0, "left": 0})
    '11 of 12 devices run the new version; 1 failed.'
    """
    devices = campaign["devices"]
    said = f"{figures['succeeded']:,} of {devices:,} devices run the new version"
    words_of = {"failed": "failed", "cancelled": "cancelled", "left": "not through yet"}
    rest = [f"{figures[name]:,} {word}" for name, word in words_of.items() if figures[name]]
    return said + ("; " + ", ".join(rest) if rest else "") + "."


def shares(figures: Mapping[str, int]) -> list[tuple[str, float, float]]:
    """The one long bar: the name of each part, where it begins, and how wide it is, of 860."""
    total, at, parts = sum(figures.values()), 0.0, []
    for name, count in figures.items():
        width = 860.0 * count / total if total else 0.0
        if count:
            parts.append((name, round(at, 1), round(width, 1)))
        at += width
    return parts


# -- progress --


def whole_progress(report: Said) -> dict[str, Any]:
    """All stages together: who succeeded, and on top of that who failed, over time."""
    stages, axis = report["stages"], report["axis"]
    good, bad, over = (
        [sum(values) for values in zip(*(stage[what] for stage in stages), strict=True)]
        for what in ("succeeded", "failed", "ended")
    )
    devices = sum(stage["devices"] for stage in stages)
    return layers(WIDE, axis, devices, good, bad, over) | {"rows": table_rows(axis, good, bad, over)}


def stage_progress(stage: Said, axis: Said) -> dict[str, Any]:
    """One stage: the same, and when it was half and wholly through."""
    good, bad, over = stage["succeeded"], stage["failed"], stage["ended"]
    drawn = layers(NARROW, axis, stage["devices"], good, bad, over)
    return drawn | {
        "number": stage["number"],
        "devices": stage["devices"],
        "succeeded": good[-1],
        "failed": bad[-1],
        "ended": over[-1],
        "half_s": reached(over, stage["devices"] / 2, axis),
        "through_s": reached(over, stage["devices"], axis),
        "rows": table_rows(axis, good, bad, over),
    }


def layers(
    place: Mapping[str, float],
    axis: Said,
    devices: int,
    good: Sequence[int],
    bad: Sequence[int],
    over: Sequence[int],
) -> dict[str, Any]:
    """Three areas, each before the one that is drawn first: through, failed, succeeded."""
    plane = Plane(**place, bins=axis["bins"], top=max(devices, 1) * HEADROOM)
    return {
        "plane": plane,
        "over": plane.area(over),
        "bad": plane.area([a + b for a, b in zip(good, bad, strict=True)]),
        "good": plane.area(good),
        "all_y": round(plane.y(devices), 1),
        "levels": levels(plane, devices, 4 if place is WIDE else 2),
        "times": times(plane, axis)[:: 1 if place is WIDE else 2],
    }


def reached(series: Sequence[int], count: float, axis: Said) -> float | None:
    """After how long so many were through for good; None where they are not."""
    if not count or series[-1] < count:
        return None
    place = len(series)
    while place and series[place - 1] >= count:
        place -= 1
    return float((place + 1) * axis["bin_s"])


def table_rows(axis: Said, *series: Sequence[int]) -> list[tuple[float, tuple[int, ...]]]:
    """Every so-maniest bin, and the last one: after how long, and the numbers."""
    step = -(-axis["bins"] // ROWS)
    places = sorted({*range(step - 1, axis["bins"], step), axis["bins"] - 1})
    return [((place + 1) * axis["bin_s"], tuple(each[place] for each in series)) for place in places]


# -- cells, times, causes --


def cell_drawing(cell: Said, axis: Said) -> dict[str, Any]:
    """A strip for each class, as high as its limit."""
    strips = []
    for each in cell["classes"]:
        most = max(each["held"])
        plane = Plane(**STRIP, bins=axis["bins"], top=max(each["limit"], most) * 1.12)
        busy = sum(1 for held in each["held"] if held)
        full = sum(1 for held in each["held"] if held >= each["limit"])
        strips.append(
            each
            | {
                "plane": plane,
                "area": plane.area(each["held"]),
                "limit_y": round(plane.y(each["limit"]), 1),
                "most": most,
                "mean": each["held_s"] / (axis["bins"] * axis["bin_s"]),
                "full": full / busy if busy else 0.0,
            }
        )
    return {"cell": cell["cell"], "tasks": cell["tasks"], "classes": strips}


def finish_drawing(finish: Said) -> dict[str, Any]:
    """A histogram for each class, over the same bars; each as high as its own highest."""
    edges = finish["edges_s"]
    drawn = []
    for each in finish["classes"]:
        most = max(each["histogram"])
        plane = Plane(width=860.0, height=74.0, bins=len(edges), top=most * HEADROOM, above=2.0, bottom=1.0)
        median = each["quantiles_s"]["p50"]
        bars = zip(each["histogram"], plane.bars(each["histogram"]), strict=True)
        drawn.append(each | {"plane": plane, "bars": list(bars), "median": median})
    return {"classes": drawn, "edges": edges, "every": -(-len(edges) // 12)}


def causes_drawing(causes: Sequence[Said]) -> list[dict[str, Any]]:
    """A bar for each cause: all attempts, and over it those that were the last."""
    most = max((each["attempts"] for each in causes), default=1)
    return [
        dict(each)
        | {
            "all": Box(0, 0, round(860.0 * each["attempts"] / most, 1), 14),
            "last": Box(0, 0, round(860.0 * each["devices"] / most, 1), 14),
        }
        for each in causes
    ]
