"""What the form of a new campaign says, as the API is told it: step by step, with what is wrong in each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from headgate.upgrade.failure import Failure
from headgate.upgrade.task import Timers
from headgate.upgrade.windows import WINDOWS_MAX
from headgate.web.console.pages import Form

STEPS = ("package", "targets", "policy", "preview")
TIMERS = tuple(each.name for each in fields(Timers))
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FILTERS = ("endpoint_prefix", "product", "version", "cell", "group")
CLOCK = re.compile("(?:[01][0-9]|2[0-3]):[0-5][0-9]")
WINDOW_FIELD = re.compile("window_(?:begin|end|days)_([0-9]{1,2})")
WINDOWS = 2  # that the form of a new campaign has room for
RETRIES_MAX = 100
EXECUTED_MAX = 10_000_000


class Mistake(Exception):
    """A field, and what is wrong with it."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.field = field
        self.what = what


def number(form: Form, name: str, *, low: float = 0.0, high: float = math.inf) -> float | None:
    """A field that is a number, None where it is empty. Raises Mistake."""
    text = form.one(name)
    if not text:
        return None
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and low <= value <= high):
        span = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
        raise Mistake(name, f"takes a number {span}, not “{text[:40]}”")
    return value


def whole(form: Form, name: str, *, low: int = 0, high: int) -> int | None:
    """A field that is a whole number, None where it is empty. Raises Mistake."""
    value = number(form, name, low=low, high=high)
    if value is not None and value != int(value):
        raise Mistake(name, "takes a whole number")
    return None if value is None else int(value)


# -- the steps --


def package(form: Form) -> dict[str, Any]:
    """Which package."""
    if not re.fullmatch("[0-9a-f]{16}", form.one("package")):
        raise Mistake("package", "choose the package that devices shall be given")
    return {"package": form.one("package")}


def targets(form: Form) -> dict[str, Any]:
    """Which devices."""
    match form.one("targets"):
        case "all":
            return {"targets": {"all": True}}
        case "filter":
            said = {name: form.one(name) for name in FILTERS if form.one(name)}
            if not said:
                raise Mistake(
                    "endpoint_prefix", "say at least one thing of the devices, or choose all of them"
                )
            return {"targets": {"filter": said}}
        case "list":
            lines = "\n".join(form.get("endpoints", [""])[-1:]).split("\n")
            endpoints = [line.strip() for line in lines if line.strip()]
            if not endpoints:
                raise Mistake("endpoints", "name at least one device, one a line")
            return {"targets": {"endpoints": endpoints}}
        case "failed":
            if not form.one("failed_campaign"):
                raise Mistake("failed_campaign", "name the campaign whose failed devices are meant")
            chosen = {"campaign": form.one("failed_campaign"), "failures": form.get("failed_failures", [])}
            return {"targets": {"failed_in": chosen}}
        case _:
            raise Mistake("targets", "choose which devices are upgraded")


def policy(form: Form) -> dict[str, Any]:
    """How it goes: what is left out is as the server is configured."""
    said: dict[str, Any] = {"name": form.one("name")}
    if form.one("skip_same_package"):
        said["skip_same_package"] = True
    timers = {name: number(form, f"timer_{name}", low=1e-3) for name in TIMERS}
    if any(value is not None for value in timers.values()):
        said["timers"] = {name: value for name, value in timers.items() if value is not None}
    return said | retry(form) | stages(form) | schedule(form)


def retry(form: Form) -> dict[str, Any]:
    """Who is tried again."""
    count = whole(form, "retry_count", high=RETRIES_MAX)
    if count is None:
        return {}
    minutes = number(form, "retry_minutes") or 0.0
    causes = form.get("retry_failures", []) or [each.value for each in Failure]
    rules = [{"failure": cause, "count": count, "interval_s": minutes * 60} for cause in causes if count]
    return {"retry": rules}


def stages(form: Form) -> dict[str, Any]:
    """How many devices first, and what must be true before the next."""
    said: dict[str, Any] = {}
    sizes = [size_of(each) for each in re.split(r"[,;\s]+(?!%)", form.one("stages")) if each]
    if sizes:
        said["stages"] = sizes
    wanted = gate(form)
    if wanted:
        said["gate"] = wanted
    if form.one("confirm") not in ("", "none"):
        said["confirm"] = form.one("confirm")
    return said


def gate(form: Form) -> dict[str, Any]:
    """What a stage must show: shares, where people write percents."""
    success = number(form, "gate_success", high=100)
    threshold = number(form, "gate_errors", high=100)
    found = {
        "success": None if success is None else success / 100,
        "error_threshold": None if threshold is None else threshold / 100,
        "minimum_executed": whole(form, "gate_executed", low=1, high=EXECUTED_MAX),
    }
    return {name: value for name, value in found.items() if value is not None}


def size_of(text: str) -> dict[str, Any]:
    """The size of a stage.

    >>> size_of("1.5%"), size_of("500")
    ({'percent': 1.5}, {'count': 500})
    """
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(%?)", text)
    if found is None or float(found[1]) <= 0 or ("." in found[1] and not found[2]):
        raise Mistake("stages", f"a stage is a count or a percentage, such as 500 or 10 %, not “{text[:40]}”")
    return {"percent": float(found[1])} if found[2] else {"count": int(found[1])}


def schedule(form: Form) -> dict[str, Any]:
    """When it begins, and in which hours."""
    said: dict[str, Any] = {}
    zone(form)
    begin, hours = start(form), windows(form)
    if begin is not None:
        said["start_s"] = begin
    if hours:
        said["windows"] = hours
    if form.one("timezone") and said:
        said["timezone"] = form.one("timezone")
    return said


def zone(form: Form) -> tzinfo:
    """The time zone of the times that the form says."""
    name = form.one("timezone")
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, KeyError):
        raise Mistake("timezone", f"there is no time zone “{name[:40]}”; Europe/Berlin is one") from None


def start(form: Form) -> float | None:
    """When it begins, None where that is at once."""
    if not form.one("start"):
        return None
    try:
        at = datetime.fromisoformat(form.one("start"))
    except ValueError:
        raise Mistake("start", "takes a date and a time, such as 2026-01-31 22:00") from None
    return (at if at.tzinfo else at.replace(tzinfo=zone(form))).timestamp()


def windows(form: Form) -> list[dict[str, Any]]:
    """Its maintenance windows, however many the form has room for."""
    each = (window_of(form, number) for number in slots(form))
    return [window for window in each if window is not None]


def slots(form: Form) -> list[int]:
    """The numbers of the windows that the form has fields of."""
    numbers = {int(found[1]) for found in map(WINDOW_FIELD.fullmatch, form) if found}
    return sorted(number for number in numbers if number < WINDOWS_MAX)


def window_of(form: Form, number: int) -> dict[str, Any] | None:
    """One maintenance window, None where its fields are empty."""
    begin, end = form.one(f"window_begin_{number}"), form.one(f"window_end_{number}")
    days = [day for day in form.get(f"window_days_{number}", []) if day in DAYS]
    if not begin and not end:
        if days:
            raise Mistake(f"window_begin_{number}", "say from when to when, on these days")
        return None
    for name, text in (("begin", begin), ("end", end)):
        if not CLOCK.fullmatch(text):
            raise Mistake(f"window_{name}_{number}", "takes a time of day, such as 22:00")
    if begin == end:
        raise Mistake(f"window_end_{number}", "a window ends at another time than it begins")
    return {"days": days, "begin": begin, "end": end}


PARTS: Mapping[str, Callable[[Form], dict[str, Any]]] = {
    "package": package,
    "targets": targets,
    "policy": policy,
}


def drafted(form: Form, until: str) -> tuple[dict[str, Any], str, list[Mistake]]:
    """What is wanted so far, and the step that is shown: `until`, or an earlier one that has mistakes."""
    wanted: dict[str, Any] = {}
    for step in STEPS[: STEPS.index(until)]:
        try:
            wanted |= PARTS[step](form)
        except Mistake as mistake:
            return wanted, step, [mistake]
    return wanted, until, []
