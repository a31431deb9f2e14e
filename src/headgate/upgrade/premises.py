"""What a rehearsal starts from, and what it comes to. Values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from headgate.upgrade.admission import Limits, Occupancy
from headgate.upgrade.airtime import Cargo, Pace
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import Timers
from headgate.upgrade.windows import ALWAYS, Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked."""

    cargo: Cargo
    begin_s: float
    """When the first stage begins, in seconds since the epoch."""
    stages: int = 1
    """How many there are."""
    limits: Limits = field(default_factory=Limits)
    timers: Timers = field(default_factory=Timers)
    windows: Windows = ALWAYS
    paces: Mapping[RadioClass, Pace] = field(default_factory=dict)
    loss: float = 0.02
    """Of messages, each way."""
    failures: float = 0.0
    """The share of downloads that fail somewhere on the way, and are not tried again."""
    awake_s: float = 20.0
    """For which a sleeper listens after it was heard."""
    others: Sequence[Occupancy] = ()
    """Who holds slots and waits for them already."""


class Member(NamedTuple):
    """A device, or several that are alike."""

    stage: int
    """From 0; below that, one that is not of the campaign."""
    cell: str
    radio_class: RadioClass
    sleeps: bool
    within_s: float
    """It reports at some time within this; 0 where it can be asked at once."""
    interval_s: float
    """Between its reports from then on."""
    weight: float = 1.0
    """How many devices it stands for."""
    stretch: float = 1.0
    """How many of them are in its own cell."""


class Loss(StrEnum):
    """Why a device is not upgraded."""

    ONLINE = "online"
    """It does not report within T_online."""
    SLOT = "slot"
    """It waits for a slot for longer than T_online."""
    DOWNLOAD = "download"
    """Its download takes longer than T_download."""
    FAILED = "failed"
    """By the share of failures that was given."""
    LATE = "late"
    """A year is not enough, or is more than can be played."""


class TooManyEvents(Exception):
    """The rehearsal is cut short: fewer members would do."""


@dataclass(slots=True, kw_only=True)
class Played:
    """How a rehearsal went. Times are seconds from `Wish.begin_s`."""

    finish_s: list[float]
    """By member."""
    lost: dict[int, Loss]
    """By member."""
    stages_s: list[float]
    """When each stage was through."""
    events: int
    """How much happened."""


WAITS, HOLDS = -1, -2
"""The stages of those who are not of the campaign."""


def others_of(wish: Wish, members: Sequence[Member]) -> list[Member]:
    """Who holds slots of these cells, or stands in their lines, already."""
    stretches = {member.cell: member.stretch for member in members} if wish.others else {}
    found = []
    for group in wish.others:
        cell = str(group.cell)
        if cell not in stretches:
            continue
        stretch = stretches[cell]
        for stage, count in ((HOLDS, group.held), (WAITS, round(group.waiting / stretch))):
            found += [
                Member(
                    stage,
                    cell,
                    group.radio_class,
                    sleeps=False,
                    within_s=0.0,
                    interval_s=1.0,
                    stretch=stretch,
                )
            ] * count
    return found
