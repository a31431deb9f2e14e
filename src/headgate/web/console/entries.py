"""The form that edits a campaign: what is there as its fields, and its fields as what shall change.

The form carries what was there when it was filled. What a person has left as it was is not sent, so it says
nothing about what somebody else has made of it meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from headgate.upgrade.campaign import Campaign, Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.stages import Gate
from headgate.upgrade.windows import zone
from headgate.web.campaigning import YEAR_S
from headgate.web.console import draft
from headgate.web.console.draft import Mistake
from headgate.web.console.pages import Form
from headgate.web.console.words import MINUTE_S, duration

PARTS: Mapping[str, tuple[str, ...]] = {
    "name": ("name",),
    "confirm": ("confirm",),
    "gate": ("gate_",),
    "when": ("start", "timezone", "window_"),
    "retry": ("retry_",),
}
"""What is edited together, and how the names of its fields begin."""

HOURS = ("timezone", "window_")
UNBROKEN = {ord("\r"): None, ord("\n"): None}  # as a browser takes them out of a line


# -- what is there, as fields --


def fields_of(campaign: Campaign) -> Form:
    """The form as it is filled at first. The start of a campaign that has begun is none of it."""
    return Form.of((name, value) for name, value in entries(campaign) if value)


def entries(campaign: Campaign) -> Iterator[tuple[str, str]]:
    """Every field."""
    yield "name", campaign.name.translate(UNBROKEN)
    yield "confirm", campaign.confirm.value
    yield from gate_entries(campaign.gate)
    yield "timezone", campaign.windows.timezone
    if campaign.start_s is not None and not campaign.stage:
        at = datetime.fromtimestamp(int(campaign.start_s), UTC).astimezone(zone(campaign.windows.timezone))
        yield "start", f"{at:%Y-%m-%dT%H:%M}" + (f":{at:%S}" if at.second else "")
    for number, window in enumerate(campaign.windows.each):
        yield f"window_begin_{number}", window.begin
        yield f"window_end_{number}", window.end
        yield from ((f"window_days_{number}", day) for day in draft.DAYS if day in window.days)
    yield from retry_entries(campaign.retry)


def gate_entries(gate: Gate) -> Iterator[tuple[str, str]]:
    """A gate, in percent; what lets every stage pass is left empty."""
    standard = Gate()
    if gate.success != standard.success:
        yield "gate_success", figure(gate.success * 100)
    if gate.error_threshold != standard.error_threshold:
        yield "gate_errors", figure(gate.error_threshold * 100)
    if gate.minimum_executed != standard.minimum_executed:
        yield "gate_executed", figure(gate.minimum_executed)


def retry_entries(policy: RetryPolicy) -> Iterator[tuple[str, str]]:
    """The rule of most causes, and those that have another."""
    rules = {cause: policy.by_failure.get(cause) for cause in Failure}
    ((most, _),) = Counter(rules.values()).most_common(1)
    yield from rule_entries("", most)
    for cause, rule in rules.items():
        if rule != most:
            yield from rule_entries(suffix(cause), rule)


def rule_entries(end: str, rule: Retry | None) -> Iterator[tuple[str, str]]:
    """The two fields of a rule; no retry is 0 of them."""
    yield f"retry_count{end}", str(rule.count if rule else 0)
    if rule:
        yield f"retry_minutes{end}", figure(rule.interval_s / MINUTE_S)


def suffix(cause: Failure) -> str:
    """How the fields of the cause end.

    >>> suffix(Failure.TASK_CONFLICT)
    '_task_conflict'
    """
    return f"_{cause.name.lower()}"


def figure(value: float) -> str:
    """A number as one writes it.

    >>> figure(0.07 * 100), figure(20), figure(100 / 60)
    ('7', '20', '1.666666667')
    """
    return f"{value:.10g}"


# -- fields, as what shall change --


def texts(form: Form, *begin: str) -> dict[str, list[str]]:
    """The fields whose names begin so, without blanks and without those that are empty."""
    found = {name: [each for each in map(str.strip, form[name]) if each] for name in form}
    return {name: values for name, values in found.items() if values and name.startswith(begin)}


def touched(form: Form, was: Form) -> list[str]:
    """The parts that are said otherwise than they were."""
    return [part for part, begin in PARTS.items() if texts(form, *begin) != texts(was, *begin)]


def part_of(field: str) -> str:
    """The part that a field is of.

    >>> part_of("gate_errors"), part_of("window_end_3")
    ('gate', 'when')
    """
    return next(part for part, begin in PARTS.items() if field.startswith(begin))


def merged(form: Form, was: Form, now: Form) -> Form:
    """What was said where something was, and what is there now where nothing was."""
    mine = touched(form, was)
    made = Form()
    for part, begin in PARTS.items():
        made |= texts(form if part in mine else now, *begin)
    return made


def changes_of(form: Form, was: Form, *, begun: bool) -> tuple[dict[str, Any], list[Mistake]]:
    """What shall change, as the API is told it; and what is wrong, the first mistake of each part."""
    said: dict[str, Any] = {}
    mistakes = []
    for part in touched(form, was):
        try:
            said |= change(part, form, was, begun=begun)
        except Mistake as mistake:
            mistakes.append(mistake)
    return said, mistakes


def change(part: str, form: Form, was: Form, *, begun: bool) -> dict[str, Any]:
    """One part."""
    match part:
        case "name" | "confirm":
            return {part: form.one(part)}
        case "gate":
            return {"gate": draft.gate(form)}
        case "retry":
            return {"retry": rules(form)}
        case _:
            return when(form, was, begun=begun)


def when(form: Form, was: Form, *, begun: bool) -> dict[str, Any]:
    """The start, where it is another one; the hours, likewise. Both are times of one zone."""
    said: dict[str, Any] = {}
    draft.zone(form)
    if beginning(form) != beginning(was):
        if begun:
            raise Mistake("start", "it has begun meanwhile: its start cannot be moved any more")
        said["start_s"] = draft.start(form)
    if texts(form, *HOURS) != texts(was, *HOURS):
        said |= {"windows": draft.windows(form), "timezone": form.one("timezone") or "UTC"}
    return said


def beginning(form: Form) -> tuple[str, str] | None:
    """What its fields say of the start."""
    return (form.one("start"), form.one("timezone")) if form.one("start") else None


def rules(form: Form) -> list[dict[str, Any]]:
    """Who is tried again: each cause by its own rule, or by that of all that have none."""
    count = draft.whole(form, "retry_count", high=draft.RETRIES_MAX) or 0
    minutes = draft.number(form, "retry_minutes", high=YEAR_S / MINUTE_S) or 0.0
    found = []
    for cause in Failure:
        own = draft.whole(form, f"retry_count{suffix(cause)}", high=draft.RETRIES_MAX)
        pause = draft.number(form, f"retry_minutes{suffix(cause)}", high=YEAR_S / MINUTE_S)
        if rule := count if own is None else own:
            interval_s = round((minutes if pause is None else pause) * MINUTE_S, 3)
            found.append({"failure": cause.value, "count": rule, "interval_s": interval_s})
    return found


# -- what is there, in words --


def retried(policy: RetryPolicy) -> str:
    """Who is tried again.

    >>> retried(RetryPolicy(by_failure={Failure.TASK_CONFLICT: Retry(count=2, interval_s=60)}))
    '2 more after Task Conflict, 1 min between'
    """
    alike: dict[Retry, list[Failure]] = {}
    for cause, rule in policy.by_failure.items():
        alike.setdefault(rule, []).append(cause)
    said = []
    for rule, causes in alike.items():
        every = len(causes) == len(Failure)
        after = "any cause" if every else ", ".join(causes) if len(causes) < 4 else f"{len(causes)} causes"
        said.append(f"{rule.count} more after {after}, {duration(rule.interval_s)} between")
    return "; ".join(said) or "nobody"
