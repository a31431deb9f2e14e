"""How campaigns, tasks and the server stand: what `Server` tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate.model import Stats
from headgate.upgrade.campaign import Campaign, Counts
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.stages import StageCounts
from headgate.upgrade.task import State


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStatus:
    """A campaign, and how it stands."""

    campaign: Campaign
    counts: Counts
    stages: tuple[StageCounts, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """One device in one campaign, as it stands in the store."""

    id: str
    campaign_id: str
    endpoint: str
    attempt: int
    state: State
    entered_s: float
    deadline_s: float | None
    cell_id: int | None
    radio_class: RadioClass | None
    version: str | None
    """Before the upgrade."""
    failure: Failure | None
    detail_at: str | None
    detail_code: str | None
    detail_note: str | None
    created_s: float
    ended_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStats:
    """Counters since the start, and what is there now."""

    edge: Stats
    pump: Mapping[str, int]
    lwm2m: Mapping[str, int]
    orchestrator: Mapping[str, int]
    devices: int
    """Registered."""
    tasks: int
    """Active."""
    campaigns: int
    """Not through."""
    packages: int
    followers: int
    hooks: Mapping[str, int]
    """Of web hooks: how many there are, events that wait or were given up, and what became of the others."""
    store_failing_since_s: float | None
    """Since when nothing can be stored, and no command is issued; None while all is well."""
    clock_behind_s: float
    """How far the wall clock was set ahead of ours since the start; a restart takes it over at once."""


def task_status(row: Mapping[str, Any]) -> TaskStatus:
    """What a row of the store says."""
    values = {name: row[name] for name in TaskStatus.__slots__}
    values["state"] = State(row["state"])
    values["failure"] = None if row["failure"] is None else Failure(row["failure"])
    values["radio_class"] = RadioClass(row["radio_class"]) if row["radio_class"] else None
    return TaskStatus(**values)
