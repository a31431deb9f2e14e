"""What an operator writes of a campaign's policy, as the API takes it. All of it raises CommandError."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headgate.cli.saying import WRONG_USAGE, CommandError

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
COUNT = re.compile(r"\d{1,9}")
DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK = r"(?:[01]?\d|2[0-3]):[0-5]\d"
WINDOW = re.compile(rf"(?:([a-z,-]+)\s+)?({CLOCK})-({CLOCK})")
ANY = "any"
GATE = {
    "success": "success",
    "error-threshold": "error_threshold",
    "minimum-executed": "minimum_executed",
}
"""The words of a stage's own gate, and those of the API."""
YEAR_S = 366 * 86_400.0
LOSS_MAX = 0.5
"""Beyond, nothing arrives."""


def wrong(what: str, wanted: str, said: str) -> CommandError:
    """The error for something that is written in no way that we know."""
    return CommandError(f"{what} is {wanted}, not {said!r}", exit_code=WRONG_USAGE)


def seconds_of(text: str, what: str) -> float:
    """A duration.

    >>> seconds_of("90", "--retry"), seconds_of("1.5h", "--retry")
    (90.0, 5400.0)
    """
    found = DURATION.fullmatch(text)
    if found is None:
        raise wrong(what, "a duration such as 90, 15m, 2h or 1d", text)
    return float(found[1]) * UNITS_S[found[2] or "s"]


def duration_text(seconds: float) -> str:
    """A duration, as `seconds_of` takes it.

    >>> duration_text(90.0), duration_text(5400.0), duration_text(86400.0)
    ('90s', '90m', '1d')
    """
    for unit, size_s in reversed(UNITS_S.items()):
        if seconds >= size_s and not seconds % size_s:
            return f"{seconds / size_s:.10g}{unit}"
    return f"{seconds:.10g}s"


def share_of(text: str, what: str) -> float:
    """A share, 0 to 1.

    >>> share_of("95%", "--gate-success"), share_of("0.95", "--gate-success")
    (0.95, 0.95)
    """
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise wrong(what, "a share such as 95% or 0.95", text)
    return share


def stage_of(text: str) -> dict[str, Any]:
    """A stage: a share of the campaign's devices, or how many of them; and its gate where it has its own.

    >>> stage_of("1%"), stage_of("500:success=95%,minimum-executed=5")
    ({'percent': 1.0}, {'count': 500, 'gate': {'success': 0.95, 'minimum_executed': 5}})
    """
    size, colon, gate = text.partition(":")
    return size_of(size) | ({"gate": own_gate_of(gate)} if colon else {})


def size_of(text: str) -> dict[str, Any]:
    """How large a stage is."""
    try:
        if not text.endswith("%"):
            count = int(text)
            if count > 0:
                return {"count": count}
        elif 0 < (percent := float(text[:-1])) <= 100:
            return {"percent": percent}
    except ValueError:
        pass
    raise wrong(
        "--stage",
        "a share of the devices such as 1%, or a number of them such as 500, and behind a colon what it must "
        "show, such as 1%:success=95%",
        text,
    )


def own_gate_of(text: str) -> dict[str, Any]:
    """What is written of a gate behind the size of its stage: the words of the options for all of them."""
    gate: dict[str, Any] = {}
    for part in text.split(","):
        word, _, said = part.partition("=")
        if word not in GATE or GATE[word] in gate:
            words = ", ".join(f"{each}=" for each in GATE)
            raise wrong("the gate of --stage", f"written with {words} each once at most", text)
        if word != "minimum-executed":
            gate[GATE[word]] = share_of(said, f"{word} of --stage")
        elif COUNT.fullmatch(said) and int(said) > 0:
            gate[GATE[word]] = int(said)
        else:
            raise wrong(f"{word} of --stage", "a number from 1", said)
    return gate


def stages_of(texts: Iterable[str], gate: dict[str, Any]) -> list[dict[str, Any]]:
    """The stages. What the gate of one leaves out is as `gate`, that of the campaign.

    >>> stages_of(["1", "9:success=50%"], {"success": 1.0, "minimum_executed": 5})[1]["gate"]
    {'success': 0.5, 'minimum_executed': 5}
    """
    stages = [stage_of(text) for text in texts]
    return [stage | ({"gate": gate | stage["gate"]} if "gate" in stage else {}) for stage in stages]


def timers_of(texts: Iterable[str]) -> dict[str, float]:
    """How long steps may last; the later of two for one step holds.

    >>> timers_of(["online=24h", "download-start=90"])
    {'online_s': 86400.0, 'download_start_s': 90.0}
    """
    names, timers = timer_names(), {}
    for text in texts:
        name, sign, lasts = text.partition("=")
        field = names.get(short(name).removesuffix("-s"))
        if field is None or not sign:
            known = ", ".join(names)
            raise wrong("--timer", f"NAME=DURATION such as online=24h, with a name of {known}", text)
        timers[field] = seconds_of(lasts, f"--timer {name}")
        if not 0 < timers[field] <= YEAR_S:
            raise wrong(f"--timer {name}", "a time above 0, of a year at most", lasts)
    return timers


def timer_names() -> dict[str, str]:
    """What a step is called here, and by the API."""
    from headgate.upgrade.task import Timers  # which brings the whole room

    return {short(each.name.removesuffix("_s")): each.name for each in fields(Timers)}


def assumed_of(report_interval: str | None, loss: str | None, failures: str | None) -> dict[str, float]:
    """What a forecast assumes; what is left out is as the server has it.

    >>> assumed_of("15m", "2%", None)
    {'report_interval_s': 900.0, 'loss': 0.02}
    """
    said: dict[str, float] = {}
    if report_interval is not None:
        interval_s = said["report_interval_s"] = seconds_of(report_interval, "--report-interval")
        if not 60 <= interval_s <= YEAR_S:
            raise wrong("--report-interval", "a duration from 1m to a year, such as 15m", report_interval)
    if loss is not None:
        said["loss"] = share_of(loss, "--loss")
        if said["loss"] > LOSS_MAX:
            raise wrong("--loss", "a share of 50% at most, such as 2%", loss)
    if failures is not None:
        said["failures"] = share_of(failures, "--failures")
    return said


def window_of(text: str) -> dict[str, Any]:
    """When a campaign may begin tasks.

    >>> window_of("mon-fri,sun 22:00-6:00")
    {'days': ['mon', 'tue', 'wed', 'thu', 'fri', 'sun'], 'begin': '22:00', 'end': '06:00'}
    >>> window_of("01:00-05:00")["days"]
    []
    """
    found = WINDOW.fullmatch(text.strip().lower())
    days = days_of(found[1]) if found else None
    if found is None or days is None:
        raise wrong(
            "--window", "a time of day, on all days or some: '22:00-06:00' or 'mon-fri 22:00-06:00'", text
        )
    return {"days": days, "begin": found[2].zfill(5), "end": found[3].zfill(5)}


def days_of(text: str | None) -> list[str] | None:
    """The days that are named, in the order of the week; None where one is none."""
    named: set[str] = set()
    for each in text.split(",") if text else ():
        first, _, last = each.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            return None
        begin, end = DAYS.index(first), DAYS.index(last or first)
        named.update((DAYS * 2)[begin : end + 1 + (len(DAYS) if end < begin else 0)])
    return [day for day in DAYS if day in named]


def start_of(text: str, timezone: str | None, now_s: float | None = None) -> float:
    """When a campaign begins, in seconds since the epoch.

    A time without an offset is meant in the campaign's zone, without one in that of this machine.

    >>> start_of("2026-12-01T22:00", "Europe/Berlin"), start_of("+2h", None, 1000.0)
    (1796158800.0, 8200.0)
    """
    if text.startswith("+"):
        return (time.time() if now_s is None else now_s) + seconds_of(text[1:], "--start")
    zone = None if timezone is None else zone_of(timezone)
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()
    except (ValueError, OverflowError, OSError) as error:  # no time, or one that this machine cannot tell
        raise wrong("--start", "a time such as 2026-12-01T22:00, or +2h from now", text) from error


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise wrong("--timezone", "UTC, or a name such as Europe/Berlin", name) from error


def failures_of(text: str) -> list[str]:
    """The published causes that are meant: one, by its text or its short name, or any.

    >>> failures_of("connection-lost")
    ['Connection lost during downloading process']
    """
    from headgate.upgrade.failure import Failure  # which brings the whole room

    if text.lower() == ANY:
        return [failure.value for failure in Failure]
    for failure in Failure:
        if text.lower() in (failure.value.lower(), short(failure.name)):
            return [failure.value]
    known = ", ".join(short(failure.name) for failure in Failure)
    raise wrong("a cause", f"a published text, {ANY}, or one of {known}", text)


def short(name: str) -> str:
    """A name in one word.

    >>> short("CONNECTION_LOST")
    'connection-lost'
    """
    return name.lower().replace("_", "-")


def retry_of(texts: Iterable[str]) -> list[dict[str, Any]]:
    """Who is tried again, how often, and how long after.

    >>> retry_of(["any=1@1h", "Invalid URI=2"])[-1]
    {'failure': 'Invalid URI', 'count': 2, 'interval_s': 0.0}
    """
    rules: dict[str, dict[str, Any]] = {}  # by cause: the later of two for one holds
    for text in texts:
        cause, _, how = text.rpartition("=")
        count, at, interval = how.partition("@")
        if not cause or not COUNT.fullmatch(count) or (at and not interval):
            raise wrong("--retry", "CAUSE=COUNT or CAUSE=COUNT@INTERVAL, such as connection-lost=2@10m", text)
        interval_s = seconds_of(interval, "--retry") if at else 0.0
        for failure in failures_of(cause):
            rules.pop(failure, None)
            rules[failure] = {"failure": failure, "count": int(count), "interval_s": interval_s}
    return list(rules.values())


def gate_of(success: str | None, threshold: str | None, minimum: int | None) -> dict[str, Any]:
    """What a stage must reach, and what ends it early; what is left out is as the server has it."""
    gate: dict[str, Any] = {}
    if success is not None:
        gate["success"] = share_of(success, "--gate-success")
    if threshold is not None:
        gate["error_threshold"] = share_of(threshold, "--error-threshold")
    if minimum is not None:
        gate["minimum_executed"] = minimum
    return gate


def policy_of(
    *,
    gate_success: str | None,
    error_threshold: str | None,
    minimum_executed: int | None,
    confirm: str | None,
    start: str | None,
    window: Sequence[str] | None,
    timezone: str | None,
    retry: Sequence[str] | None,
    timers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """What is written of all that, as the API takes it; what is not written is left out."""
    said: dict[str, Any] = {}
    if gate := gate_of(gate_success, error_threshold, minimum_executed):
        said["gate"] = gate
    if confirm is not None:
        said["confirm"] = confirm
    if timezone is not None:
        zone_of(timezone)
        said["timezone"] = timezone
    if start is not None:
        said["start_s"] = start_of(start, timezone)
    if window:
        said["windows"] = [window_of(each) for each in window]
    if retry:
        said["retry"] = retry_of(retry)
    if timers:
        said["timers"] = timers_of(timers)
    return said
