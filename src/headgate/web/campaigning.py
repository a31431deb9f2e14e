"""A campaign, as it is asked for and as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, cast

from pydantic import BaseModel, Field, create_model

from headgate.upgrade.campaign import CampaignState, Confirm, Retry, RetryPolicy, campaign_of
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import Kind, State, Timers
from headgate.web.choosing import Targets
from headgate.web.forecasting import ForecastSaid
from headgate.web.paging import Text
from headgate.web.staging import (
    GateSaid,
    StagesSaid,
    StageStatus,
    Wanted,
    When,
    WindowSaid,
    WindowsSaid,
    Zone,
)

SOURCES_MAX = 1000
YEAR_S = 366 * 86_400.0

Seconds = Annotated[float, Field(gt=0, le=YEAR_S, allow_inf_nan=False)]


class RetryRule(Wanted):
    """Devices that failed by a cause are tried again."""

    failure: Failure
    count: int = Field(ge=1, le=100, description="Attempts beside the first.")
    interval_s: float = Field(0.0, ge=0, le=YEAR_S, allow_inf_nan=False)


TimersWanted: Any = create_model(
    "TimersWanted",
    __base__=Wanted,
    __doc__="How long each step may last; what is left out is as the server is configured.",
    **cast("dict[str, Any]", {timer.name: (Seconds | None, None) for timer in fields(Timers)}),
)


class CampaignWanted(Wanted):
    """A campaign that is to be made."""

    name: Text = ""
    package: str = Field(pattern="^[0-9a-f]{16}$", description="A PID.")
    targets: Targets
    retry: list[RetryRule] | None = Field(
        None, max_length=len(Failure), description="Without it, as the server is configured."
    )
    timers: TimersWanted | None = None
    skip_same_package: bool = Field(
        False, description="A device that holds this very package already does not download it again."
    )
    source_versions: list[Annotated[Text, Field(min_length=1)]] | None = Field(
        None,
        max_length=SOURCES_MAX,
        description="Which may be upgraded from; without it, those of the package.",
    )
    stages: StagesSaid = Field([])
    gate: GateSaid | None = Field(None, description="Of stages without one of their own.")
    confirm: Confirm = Field(Confirm.NONE, description="Before which stages an operator is asked.")
    start_s: When | None = Field(None, description="Nothing begins before.")
    windows: WindowsSaid = Field([])
    timezone: Zone = "UTC"


class Campaign(BaseModel):
    """A campaign."""

    id: str
    name: str
    kind: Kind
    package: str
    target_version: str
    source_versions: list[str]
    state: CampaignState
    created_s: float
    started_s: float | None = Field(description="When its tasks were all there.")
    ended_s: float | None
    retry: list[RetryRule]
    timers: dict[str, float | None]
    skip_same_package: bool


class CampaignStatus(Campaign):
    """A campaign, and how it stands. What is 0 is left out."""

    devices: int
    tasks: int = Field(description="Its devices, and a task more for each attempt beyond the first.")
    retried: int
    states: dict[State, int] = Field(description="Tasks by state.")
    failures: dict[Failure, int] = Field(description="Failed tasks by cause.")
    stage: int = Field(description="The number of the current one, from 1.")
    stages: list[StageStatus]
    reason: str | None = Field(
        description="Why it begins nothing, as the end of `it is`; null where it does."
    )
    confirm: Confirm
    start_s: float | None
    windows: list[WindowSaid]
    timezone: str
    gate: GateSaid
    revision: int = Field(description="Changes with each edit, and with what operators do: the ETag.")


class DryRun(BaseModel):
    """The devices that a campaign would be for."""

    devices: int = Field(description="How many they are.")
    stages: list[int] = Field(description="How many are in each stage.")
    endpoints: list[str] = Field(description="A page of them.")
    next: str | None = Field(description="`after` of the next page; null where there is none.")
    forecast: ForecastSaid | None = Field(
        description="What it would be like; with the first page, null with the others."
    )


def campaign(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a campaign, of its row."""
    kept = campaign_of(row)
    return {
        "id": kept.id,
        "name": kept.name,
        "kind": kept.plan.kind,
        "package": kept.plan.pid.hex(),
        "target_version": kept.plan.target_version,
        "source_versions": sorted(kept.plan.source_versions),
        "state": kept.state,
        "created_s": kept.created_s,
        "started_s": kept.started_s,
        "ended_s": kept.ended_s,
        "retry": [
            RetryRule(failure=failure, count=each.count, interval_s=each.interval_s)
            for failure, each in kept.retry.by_failure.items()
        ],
        "timers": {timer.name: getattr(kept.plan.timers, timer.name) for timer in fields(Timers)},
        "skip_same_package": kept.plan.skip_same_package,
    }


def policy_of(rules: list[RetryRule] | None) -> RetryPolicy | None:
    """The policy that rules make; the later of two for one cause holds."""
    if rules is None:
        return None
    return RetryPolicy(
        by_failure={rule.failure: Retry(count=rule.count, interval_s=rule.interval_s) for rule in rules}
    )
