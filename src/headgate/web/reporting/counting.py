"""What the tasks of a campaign say, counted by the database: what comes out is small, whatever its size.

Tasks are counted in slices: what the database puts in order to group it, it keeps in memory.

A device is counted by its last attempt, as a campaign's stages count: who is tried again has not ended, from
the moment in which the next attempt was made.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, String, and_, case, cast, exists, func, select

from headgate.store.tables import tasks
from headgate.upgrade.campaign import Campaign, first_task_id
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import State
from headgate.web.reporting.axis import DAY_S, HOUR_S, MINUTE_S, Axis

INDEX_DIGITS = 7  # of a task's id (upgrade.campaign.first_task_id)
ATTEMPTS_MAX = 10  # told one by one; the last is this one and all beyond
GOOD = (State.SUCCESS.value, State.DONE_SAME.value)
QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
SLICE = 100_000  # devices: 8 MB of SQLite's memory
STEPS = ((1_000, 1), (10_000, 10), (100_000, 100), (1_000_000, 1_000))  # in tenths of a second
COARSEST = 10_000
EDGES_S = (
    *(0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
    *(each * MINUTE_S for each in (1, 2, 3, 5, 10, 15, 20, 30, 45)),
    *(each * HOUR_S for each in (1, 1.5, 2, 3, 4, 6, 8, 12, 18)),
    *(each * DAY_S for each in (1, 2, 3, 7)),
)
"""Where the bars of the histogram begin."""


@dataclass(slots=True)
class Progress:
    """Of a stage: how many of its devices were where at the end of each bin."""

    ended: list[int]
    succeeded: list[int]
    failed: list[int]


@dataclass(slots=True)
class Finishing:
    """How long devices of a class took, from when they joined the line of their cell to their success."""

    devices: int = 0
    quantiles: dict[str, float] = field(default_factory=dict)
    histogram: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cause:
    """By what attempts failed."""

    failure: Failure
    attempts: int
    devices: int
    """Whose last attempt it was."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the first, second, ... attempts ended."""

    number: int
    tasks: int
    succeeded: int
    failed: int


class Slice(NamedTuple):
    """Tasks of devices that stand beside each other in the list of a campaign."""

    stage: int
    tasks: ColumnElement[bool]
    """The condition that a task is one of them."""


def slices(reader: Connection, campaign: Campaign) -> Iterator[Slice]:
    """All tasks of a campaign, each slice of one stage. Blocking."""
    last = reader.scalar(select(func.max(tasks.c.id)).where(tasks.c.campaign_id == campaign.id))
    if last is None:
        return
    begin = len(campaign.id) + 1
    devices = int(last[begin : begin + INDEX_DIGITS]) + 1
    ends = [*accumulate(stage.devices for stage in campaign.stages[:-1]), devices]
    first = 0
    for stage, end in enumerate(ends, start=1):
        while first < end:
            next_first = min(first + SLICE, end)
            low, high = (first_task_id(campaign.id, place) for place in (first, next_first))
            ours = and_(tasks.c.campaign_id == campaign.id, tasks.c.id >= low, tasks.c.id < high)
            yield Slice(stage, ours)
            first = next_first


def progress(reader: Connection, campaign: Campaign, axis: Axis) -> dict[int, Progress]:
    """How each stage went on, by its number. Blocking."""
    found = {
        number: Progress(*([0] * axis.bins for _ in range(3)))
        for number in range(1, max(len(campaign.stages), 1) + 1)
    }
    ended = axis.place_of(tasks.c.ended_s).label("at")
    begun = axis.place_of(tasks.c.created_s).label("at")
    for stage, ours in slices(reader, campaign):
        series = found[stage]
        ends = select(ended, tasks.c.state, func.count()).where(ours, tasks.c.ended_s.is_not(None))
        for place, state, count in reader.execute(ends.group_by(ended, tasks.c.state)):
            series.ended[place] += count
            if state in GOOD:
                series.succeeded[place] += count
            elif state == State.FAILED.value:
                series.failed[place] += count
        again = select(begun, func.count()).where(ours, tasks.c.attempt > 1)
        for place, count in reader.execute(again.group_by(begun)):
            series.ended[place] -= count
            series.failed[place] -= count
    for each in found.values():
        each.ended = list(accumulate(each.ended))
        each.succeeded = list(accumulate(each.succeeded))
        each.failed = list(accumulate(each.failed))
    return found


def causes(reader: Connection, campaign: Campaign) -> list[Cause]:
    """By what attempts failed, the most frequent first. Blocking."""
    later = tasks.alias()
    first_id = func.substr(tasks.c.id, 1, len(campaign.id) + 1 + INDEX_DIGITS)
    last = ~exists().where(later.c.id == first_id + "." + cast(tasks.c.attempt + 1, String))
    query = (
        select(tasks.c.failure, func.count(), func.sum(case((last, 1), else_=0)))
        .where(tasks.c.campaign_id == campaign.id, tasks.c.failure.is_not(None))
        .group_by(tasks.c.failure)
    )
    found = [Cause(Failure(name), count, int(left)) for name, count, left in reader.execute(query)]
    return sorted(found, key=lambda cause: (-cause.attempts, cause.failure.value))


def attempts(reader: Connection, campaign: Campaign) -> list[Attempt]:
    """How many attempts there were, and how they ended. Blocking."""
    number = case((tasks.c.attempt > ATTEMPTS_MAX, ATTEMPTS_MAX), else_=tasks.c.attempt).label("number")
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for _, ours in slices(reader, campaign):
        query = select(number, tasks.c.state, func.count()).where(ours).group_by(number, tasks.c.state)
        for at, state, count in reader.execute(query):
            counts[at][state] += count
    return [
        Attempt(
            number=at,
            tasks=states.total(),
            succeeded=sum(states[state] for state in GOOD),
            failed=states[State.FAILED.value],
        )
        for at, states in sorted(counts.items())
    ]


def finishing(reader: Connection, campaign: Campaign) -> dict[RadioClass, Finishing]:
    """How long devices took that were upgraded, by their class. Blocking.

    The database groups times of nearly the same length, so that a million of them come as a few thousand
    groups: a time is told to within 1 % (below 10 s, to a tenth of a second).
    """
    lasted = tasks.c.ended_s - tasks.c.waiting_s
    tenths = cast(lasted * 10, BigInteger)
    step = case(*((tenths < below, each) for below, each in STEPS), else_=COARSEST)
    rounded = (tenths // step * step).label("rounded")
    times: dict[RadioClass, Counter[float]] = defaultdict(Counter)
    for _, ours in slices(reader, campaign):
        query = select(tasks.c.radio_class, rounded, func.count()).where(
            ours,
            tasks.c.state == State.SUCCESS.value,
            tasks.c.radio_class.is_not(None),
            tasks.c.waiting_s > 0,
            lasted >= 0,
        )
        for radio_class, lasted_tenths, count in reader.execute(query.group_by(tasks.c.radio_class, rounded)):
            times[RadioClass(radio_class)][lasted_tenths / 10] += count
    return {radio_class: finished(times[radio_class]) for radio_class in RadioClass if radio_class in times}


def finished(times: Mapping[float, int]) -> Finishing:
    """The figures of times, and of how often each was needed.

    >>> found = finished({1.0: 1, 2.0: 8, 60.0: 1})
    >>> found.devices, found.quantiles["p50"], found.quantiles["most"], found.histogram[:8]
    (10, 2.0, 60.0, [0, 1, 8, 0, 0, 0, 0, 1])
    """
    found = Finishing(devices=sum(times.values()), histogram=[0] * len(EDGES_S))
    in_order = sorted(times.items())
    upto = list(accumulate(count for _, count in in_order))
    for name, share in QUANTILES.items():
        rank = min(int(share * found.devices), found.devices - 1)
        found.quantiles[name] = round(in_order[bisect_right(upto, rank)][0], 1)
    for lasted_s, count in in_order:
        found.histogram[bisect_right(EDGES_S, lasted_s) - 1] += count
    return found


def used(histograms: Sequence[Sequence[int]]) -> range:
    """The bars from the first to the last that is not empty in all of them.

    >>> used([[0, 1, 0, 0], [0, 0, 2, 0]])
    range(1, 3)
    """
    full: list[Any] = [place for place, counts in enumerate(zip(*histograms, strict=True)) if any(counts)]
    return range(full[0], full[-1] + 1) if full else range(0)
