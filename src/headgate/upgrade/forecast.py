"""The forecast of a campaign: when its devices and its cells are through, and how many bytes go over the air.

It is rehearsed several times with different luck, and fewer times the more devices there are: see
`rehearsal` for what is played, `sampling` for who plays, `airtime` for what a package costs. The same seed
gives the same forecast.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from headgate.upgrade.airtime import ROUND_TRIP_S, Bytes, bytes_of, default_pace
from headgate.upgrade.premises import Loss, Member, Played, TooManyEvents, Wish
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.rehearsal import rehearse
from headgate.upgrade.sampling import Choice, Chosen, Part, Picture
from headgate.upgrade.task import Kind

BUDGET = 24_000
"""Devices that are played, all runs together: about two seconds of a core."""
RUNS_MAX = 10
SAMPLED_RUNS = 3
EVENTS_MAX = 120_000
"""Of all runs: where more happens, fewer devices are played."""
SMALLEST = 500
EVENTS_AT_LAST = 300_000
"""Of so few devices; the rest of it is cut."""
SLOWEST_CELLS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Seconds from the beginning, by which that share is through."""

    p10: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassForecast:
    """The devices of a radio class."""

    radio_class: RadioClass
    devices: int
    finish_s: Quantiles
    goodput_bytes_s: float
    held_s: float
    """For how long each holds its slot, on average."""
    measured: int
    """By how many devices that is known; 0 for an assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellForecast:
    """A cell."""

    cell: str
    devices: int
    finish_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a campaign would be like."""

    devices: int
    devices_unknown_cell: int
    begin_s: float
    """When it begins, in seconds since the epoch; all other times count from here."""
    device_s: Quantiles
    """When single devices are through."""
    campaign_s: Quantiles
    """When all are, over the runs."""
    stages_s: Sequence[float]
    """When each stage is through, on average."""
    classes: Sequence[ClassForecast]
    slowest_cells: Sequence[CellForecast]
    lost: dict[Loss, int]
    """Devices that are not upgraded, by why."""
    bytes: Bytes
    played: int
    """Devices that were played, in each run."""
    runs: int
    exact: bool
    """Whether these are all."""
    assumptions: Sequence[str]


def forecast(wish: Wish, parts: Sequence[Part], *, seed: int = 1, budget: int = BUDGET) -> Forecast:
    """What a campaign of these stages would be like. Blocking: some seconds of a core."""
    paces = {each: wish.paces.get(each) or default_pace(each, wish.loss) for each in RadioClass}
    wish = replace(wish, paces=paces, stages=len(parts))
    picture = Picture(parts)
    while True:
        most = budget if picture.devices <= budget else budget // SAMPLED_RUNS
        choice = Choice(
            picture,
            limits=wish.limits,
            held_s={each: held_s(wish, each) for each in RadioClass},
            rng=random.Random(f"{seed} choice"),
        )
        chosen = choice.of(parts, most)
        runs = max(1, min(RUNS_MAX, budget // max(len(chosen.members), 1)))
        last = budget <= SMALLEST
        left = EVENTS_AT_LAST if last else EVENTS_MAX
        played: list[Played] = []
        try:
            for number in range(runs):
                rng = random.Random(f"{seed} run {number}")
                played.append(rehearse(wish, chosen.members, rng, events_max=left, cut=last))
                left -= played[-1].events
        except TooManyEvents:
            if not played:  # else some runs are enough
                budget = max(budget // 4, SMALLEST)
                continue
        return told(wish, picture, chosen, played)


def held_s(wish: Wish, radio_class: RadioClass) -> float:
    """For how long a device of this class holds its slot on average."""
    pace = wish.paces[radio_class]
    return min(wish.cargo.size_bytes / pace.goodput_bytes_s, wish.timers.download_s) + pace.rest_s


def told(wish: Wish, picture: Picture, chosen: Chosen, played: Sequence[Played]) -> Forecast:
    """What the runs say together."""
    members = chosen.members
    weight = sum(member.weight for member in members)
    scale = picture.devices / weight if weight else 1.0
    finishes = [
        (finish_s, member.weight, member)
        for run in played
        for finish_s, member in zip(run.finish_s, members, strict=True)
    ]
    finishes.sort(key=lambda each: each[0])
    by_class: dict[RadioClass, list[tuple[float, float, Member]]] = defaultdict(list)
    for each in finishes:
        by_class[each[2].radio_class].append(each)
    lost: dict[Loss, float] = defaultdict(float)
    for run in played:
        for index, loss in run.lost.items():
            lost[loss] += members[index].weight * scale / len(played)
    reached = picture.devices - lost[Loss.ONLINE] - lost[Loss.SLOT] - lost[Loss.LATE]
    ends = sorted((max(run.stages_s, default=0.0), 1.0) for run in played)
    return Forecast(
        devices=picture.devices,
        devices_unknown_cell=picture.unknown,
        begin_s=wish.begin_s,
        device_s=quantiles((at_s, share) for at_s, share, _ in finishes),
        campaign_s=quantiles(ends),
        stages_s=[sum(run.stages_s[number] for run in played) / len(played) for number in range(wish.stages)],
        classes=[
            ClassForecast(
                radio_class=each,
                devices=round(sum(share for _, share, _ in by_class[each]) * scale / len(played)),
                finish_s=quantiles((at_s, share) for at_s, share, _ in by_class[each]),
                goodput_bytes_s=wish.paces[each].goodput_bytes_s,
                held_s=held_s(wish, each),
                measured=wish.paces[each].tasks,
            )
            for each in RadioClass
            if by_class[each]
        ],
        slowest_cells=slowest(picture, chosen, played),
        lost={loss: round(count) for loss, count in lost.items() if round(count)},
        bytes=bytes_of(wish.cargo, wish.loss).times(max(reached, 0.0)),
        played=len(members),
        runs=len(played),
        exact=chosen.exact,
        assumptions=list(assumptions(wish, picture, chosen)),
    )


def quantiles(finishes: Iterable[tuple[float, float]]) -> Quantiles:
    """Of times and weights, in order.

    >>> quantiles([(1.0, 1.0), (2.0, 8.0), (3.0, 1.0)])
    Quantiles(p10=1.0, p50=2.0, p90=2.0, p99=3.0, max=3.0)
    """
    listed = list(finishes)
    if not listed:
        return Quantiles()
    whole = sum(weight for _, weight in listed)
    found, passed, wanted = [], 0.0, [0.1, 0.5, 0.9, 0.99]
    for at_s, weight in listed:
        passed += weight
        while wanted and passed >= wanted[0] * whole - 1e-9 * whole:
            found.append(at_s)
            del wanted[0]
    p10, p50, p90, p99 = found
    return Quantiles(p10=p10, p50=p50, p90=p90, p99=p99, max=listed[-1][0])


def slowest(picture: Picture, chosen: Chosen, played: Sequence[Played]) -> list[CellForecast]:
    """The cells that are through last, on average over the runs. Those of single devices are none."""
    sums: dict[str, float] = defaultdict(float)
    for run in played:
        last: dict[str, float] = {}
        for finish_s, member in zip(run.finish_s, chosen.members, strict=True):
            if finish_s > last.get(member.cell, -1.0):
                last[member.cell] = finish_s
        for cell, finish_s in last.items():
            sums[cell] += finish_s / len(played)
    known = [(finish_s, cell) for cell, finish_s in sums.items() if cell in picture.classes]
    return [
        CellForecast(cell=cell, devices=round(picture.devices_of(cell)), finish_s=finish_s)
        for finish_s, cell in sorted(known, reverse=True)[:SLOWEST_CELLS]
    ]


def assumptions(wish: Wish, picture: Picture, chosen: Chosen) -> Iterable[str]:
    """What it rests on, in sentences."""
    if not chosen.exact:
        yield (
            f"{len(chosen.members):,} devices were played for all {picture.devices:,}: the slowest cells, "
            "and some of the others"
        )
    if picture.unknown and picture.drawn:
        yield (
            f"{picture.unknown:,} devices of which no cell is known are in the cells of the others, "
            "as those are filled"
        )
    elif picture.unknown:
        yield (
            f"{picture.unknown:,} devices of which no cell is known wait for nobody: where they share cells "
            "it takes longer"
        )
    there = {member.radio_class for member in chosen.members}
    assumed = [each for each in RadioClass if each in there and not wish.paces[each].tasks]
    if assumed:
        said = ", ".join(f"{ROUND_TRIP_S[each]:g} s in class {each}" for each in assumed)
        yield f"nobody has measured how fast these are: a round trip takes {said}"
    yield f"{wish.loss:.3g} of all messages are lost, each way"
    if wish.failures:
        yield f"{wish.failures:.3g} of the devices fail, and none is tried again"
    else:
        yield "nobody fails but by the timers, and every gate lets its stage pass"
    yield "operators confirm at once"
    yield "devices that sleep report once until their registration ends, or in the interval that was given"
    carried = "blocks of 512 bytes" if wish.cargo.kind is Kind.FIRMWARE else "segments over PCP"
    yield f"the package travels in {carried}, over IPv4 without DTLS"
    if wish.others:
        yield "who holds a slot now, or waits for one, has it before"
