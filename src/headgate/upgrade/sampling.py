"""Which devices a forecast plays: all of them, or enough of them where they are too many.

Stages follow one another, so each is looked at by itself; and cells are independent of each other, so whole
cells are chosen: those that take longest, since they decide when the stage is through, and of the others some
by chance, which then stand for all of them. A cell that is too large for that is thinned: one device of it
stands for several.

Of a device that no campaign has measured the cell is not known. Where enough others are known, it is taken to
be in one of their cells, as those are filled; else in a cell of its own, where it waits for nobody.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from headgate.upgrade.admission import Limits
from headgate.upgrade.premises import Member
from headgate.upgrade.radio import RadioClass

KNOWN_LEAST = 0.1
"""The share of devices that must be known for the others to be taken for alike."""
CELLS_MAX = 10_000
"""That are chosen of a stage: their names are one question to the database."""
THINNED = 4
"""A cell is thinned to what this many of them can have of a budget."""

Group = tuple[str, RadioClass]


class Row(NamedTuple):
    """A device, as the store knows it."""

    cell: str | None
    radio_class: RadioClass | None
    sleeps: bool
    within_s: float
    """It reports at some time within this; 0 where it can be asked at once."""
    interval_s: float
    """Between its reports from then on."""


class Part(Protocol):
    """The devices of one stage."""

    @property
    def counts(self) -> Mapping[Group | None, int]:
        """How many there are of each cell and class; of None, how many of which that is not known."""

    def rows(self, cells: Collection[str] | None, *, every: int) -> Sequence[Row]:
        """Those of these cells, or those without a cell; of each `every`, one."""


class Picture:
    """What is known of all devices of a campaign, before any is looked at."""

    def __init__(self, parts: Sequence[Part]) -> None:
        counts: Counter[Group | None] = Counter()
        for part in parts:
            counts.update(part.counts)
        self.devices = counts.total()
        self.unknown = counts.pop(None, 0)
        self.known = self.devices - self.unknown
        self.drawn = self.unknown > 0 and self.known >= KNOWN_LEAST * self.devices
        """Whether those of unknown cells are in the cells of the others."""
        self.groups: list[Group] = []
        self.sizes: list[int] = []
        self.classes: dict[str, dict[RadioClass, int]] = defaultdict(dict)
        for group, count in counts.items():
            assert group is not None
            self.groups.append(group)
            self.sizes.append(count)
            self.classes[group[0]][group[1]] = count

    def of(self, cell: str, unknown: int) -> float:
        """How many of so many devices of unknown cells are in this one."""
        if not self.drawn:
            return 0.0
        return unknown * sum(self.classes[cell].values()) / self.known

    def devices_of(self, cell: str) -> float:
        """How many devices it has, those that are only taken to be there among them."""
        return sum(self.classes[cell].values()) + self.of(cell, self.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Who plays."""

    members: Sequence[Member]
    exact: bool
    """Whether each device does."""


class Choice:
    """How they are chosen."""

    def __init__(
        self, picture: Picture, *, limits: Limits, held_s: Mapping[RadioClass, float], rng: random.Random
    ) -> None:
        self._picture = picture
        self._limits = limits
        self._held_s = held_s
        self._rng = rng
        self._owns = 0

    def of(self, parts: Sequence[Part], budget: int) -> Chosen:
        """About as many members as the budget allows, all devices where that is enough."""
        members: list[Member] = []
        devices = [sum(part.counts.values()) for part in parts]
        shares = shared(devices, budget)
        for stage, (part, share) in enumerate(zip(parts, shares, strict=True)):
            if devices[stage] <= share:
                members += self._all_of(stage, part)
            else:
                members += self._some_of(stage, part, share)
        return Chosen(members=members, exact=devices == shares)

    def _all_of(self, stage: int, part: Part) -> Iterator[Member]:
        known = {group[0] for group in part.counts if group is not None}
        for row in part.rows(known, every=1) if known else ():
            yield member_of(stage, row)
        if part.counts.get(None):
            yield from self._placed(stage, part.rows(None, every=1))

    def _placed(self, stage: int, rows: Sequence[Row]) -> Iterator[Member]:
        """Devices of which no cell is known."""
        picture = self._picture
        if picture.drawn:
            drawn = self._rng.choices(picture.groups, picture.sizes, k=len(rows))
            for row, (cell, radio_class) in zip(rows, drawn, strict=True):
                yield member_of(stage, row._replace(cell=cell, radio_class=radio_class))
            return
        for row in rows:
            self._owns += 1
            own = row._replace(cell=f"alone {self._owns}", radio_class=RadioClass.UNKNOWN)
            yield member_of(stage, own)

    def _some_of(self, stage: int, part: Part, budget: int) -> Iterator[Member]:
        picture, unknown = self._picture, part.counts.get(None, 0)
        counts: dict[str, dict[RadioClass, float]] = defaultdict(dict)
        for group, count in part.counts.items():
            if group is not None:
                counts[group[0]][group[1]] = count
        if unknown and picture.drawn:
            for (cell, each), size in zip(picture.groups, picture.sizes, strict=True):
                counts[cell][each] = counts[cell].get(each, 0.0) + unknown * size / picture.known
        alone = 0 if picture.drawn else min(unknown, budget // 4 if counts else budget)
        weights, every = self._chosen(counts, budget - alone)
        if weights:
            members = self._thinned(stage, part, weights, every)
            spare = part.rows(None, every=max(1, 4 * unknown // budget)) if unknown and picture.drawn else ()
            yield from members
            yield from self._likely(stage, spare, weights, every, unknown)
        if alone:
            found = part.rows(None, every=-(-unknown // alone))
            for own in self._placed(stage, found):
                yield own._replace(weight=unknown / len(found))

    def _chosen(
        self, counts: Mapping[str, Mapping[RadioClass, float]], budget: int
    ) -> tuple[dict[str, float], dict[str, int]]:
        """Cells with what each stands for, and of how many of its devices one is taken."""
        limits, held_s = self._limits, self._held_s
        devices = {cell: sum(each.values()) for cell, each in counts.items()}
        most = max(budget // THINNED, 1)
        every = {cell: max(1, math.ceil(count / most)) for cell, count in devices.items()}
        load_s = {
            cell: max(count / limits.of(each) * held_s[each] for each, count in classes.items())
            for cell, classes in counts.items()
        }
        cells = sorted(devices, key=lambda cell: (-load_s[cell], cell))
        sizes = {cell: devices[cell] / every[cell] for cell in cells}
        first = taken(cells, sizes, budget / 2)
        others = cells[len(first) :]
        self._rng.shuffle(others)
        some = taken(others, sizes, budget / 2)
        weights = dict.fromkeys(first, 1.0)
        if some:
            all_others = sum(devices[cell] for cell in others)
            weights |= dict.fromkeys(some, all_others / sum(devices[cell] for cell in some))
        return weights, every

    def _thinned(
        self, stage: int, part: Part, weights: Mapping[str, float], every: Mapping[str, int]
    ) -> Iterator[Member]:
        """The known devices of the chosen cells."""
        by_step: dict[int, list[str]] = defaultdict(list)
        for cell in weights:
            by_step[every[cell]].append(cell)
        for step, cells in by_step.items():
            for row in part.rows(cells, every=step):
                member = member_of(stage, row)
                yield member._replace(weight=weights[member.cell] * step, stretch=float(step))

    def _likely(
        self,
        stage: int,
        spare: Sequence[Row],
        weights: Mapping[str, float],
        every: Mapping[str, int],
        unknown: int,
    ) -> Iterator[Member]:
        """Those that are only taken to be in the chosen cells."""
        if not spare:
            return
        rng, picture = self._rng, self._picture
        for cell, weight in weights.items():
            expected = picture.of(cell, unknown) / every[cell]
            count = int(expected) + (rng.random() < expected % 1)
            classes = picture.classes[cell]
            for radio_class in rng.choices(list(classes), list(classes.values()), k=count):
                row = rng.choice(spare)._replace(cell=cell, radio_class=radio_class)
                step = every[cell]
                yield member_of(stage, row)._replace(weight=weight * step, stretch=float(step))


def shared(devices: Sequence[int], budget: int) -> list[int]:
    """What each stage has of a budget: all it needs where that is enough, else more for the larger ones.

    >>> shared([100, 900], 1000), shared([100, 100_000], 1000)
    ([100, 900], [100, 874])
    """
    whole = sum(devices)
    if whole <= budget:
        return list(devices)
    least = budget // (4 * len(devices))
    return [min(count, max(1, least + (budget - least * len(devices)) * count // whole)) for count in devices]


def taken(cells: Sequence[str], sizes: Mapping[str, float], budget: float) -> list[str]:
    """The first of these cells for which the budget is enough, one at least."""
    found: list[str] = []
    for cell in cells[: CELLS_MAX // 2]:
        budget -= sizes[cell]
        if budget < 0 and found:
            break
        found.append(cell)
    return found


def member_of(stage: int, row: Row) -> Member:
    """A member for one device."""
    cell, radio_class, sleeps, within_s, interval_s = row
    assert cell is not None
    assert radio_class is not None
    return Member(stage, cell, radio_class, sleeps, within_s, interval_s)
