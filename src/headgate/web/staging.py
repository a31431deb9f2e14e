"""Stages, gates and windows as the API says them, and as the orchestrator does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from headgate.upgrade.campaign import Campaign, CampaignState
from headgate.upgrade.stages import STAGES_MAX, Gate, Size, sized, stage_counts
from headgate.upgrade.windows import WINDOWS_MAX, Window, Windows
from headgate.web.paging import NO_NUL
from headgate.web.problems import Problem

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["22:00"])]
Zone = Annotated[str, Field(max_length=64, pattern=NO_NUL, description="Of the windows: an IANA name.")]
When = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Wanted(BaseModel):
    """A part of a request: what it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid")


class GateSaid(Wanted):
    """What a stage must show. Without one, every stage passes when it is through."""

    success: Share = Field(
        default=0.0,
        description="Of those who succeeded or failed, who must have succeeded for the next to begin.",
    )
    error_threshold: Share = Field(
        default=1.0, description="The campaign pauses as soon as more than this share of the attempts failed,"
    )
    minimum_executed: int = Field(
        default=20,
        ge=1,
        le=10_000_000,
        description="of at least so many that have ended since it was resumed.",
    )

    def gate(self) -> Gate:
        """As the orchestrator knows it."""
        return Gate(**self.model_dump())


class StageSaid(Wanted):
    """A stage: so many of the campaign's devices, behind those of the stages before."""

    percent: float | None = Field(None, gt=0, le=100)
    count: int | None = Field(None, ge=1, le=10_000_000)
    gate: GateSaid | None = Field(None, description="Without it, the campaign's.")

    @model_validator(mode="after")
    def one_size(self) -> StageSaid:
        """Refuse none and both."""
        if (self.percent is None) == (self.count is None):
            raise ValueError("a stage has a percent or a count")
        return self

    def size(self) -> Size:
        """As the orchestrator knows it."""
        return Size(
            percent=self.percent, count=self.count, gate=None if self.gate is None else self.gate.gate()
        )


class WindowSaid(Wanted):
    """A maintenance window. One that ends at an earlier hour than it begins ends on the next day."""

    days: list[Day] = Field(
        [], max_length=7, description="On which it begins; every day where none is named."
    )
    begin: TimeOfDay
    end: TimeOfDay


StagesSaid = Annotated[
    list[StageSaid],
    Field(max_length=STAGES_MAX, description="What they leave over is a last stage."),
]
WindowsSaid = Annotated[
    list[WindowSaid],
    Field(max_length=WINDOWS_MAX, description="Nothing begins outside; none named: at all times."),
]


class StageState(StrEnum):
    """Where a stage stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PASSED = "passed"
    HELD = "held"


class StageStatus(BaseModel):
    """A stage, and how it stands, in devices: a device that is tried again has not ended."""

    number: int = Field(description="From 1.")
    devices: int
    begun: int
    ended: int
    succeeded: int
    failed: int
    state: StageState
    gate: GateSaid


def gate_said(gate: Gate) -> GateSaid:
    """As the API says it."""
    return GateSaid(
        success=gate.success, error_threshold=gate.error_threshold, minimum_executed=gate.minimum_executed
    )


def windows_said(windows: Windows) -> list[WindowSaid]:
    """As the API says them."""
    return [
        WindowSaid(days=[day for day in DAYS if day in each.days], begin=each.begin, end=each.end)
        for each in windows.each
    ]


DAYS: Sequence[Day] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def sizes_of(said: Sequence[StageSaid], devices: int) -> list[Size]:
    """The sizes of the stages, which so many devices can have. Problem 422."""
    sizes = [each.size() for each in said]
    try:
        sized(sizes, devices)
    except ValueError as error:
        raise Problem(422, f"stages: {error}") from error
    return sizes


def windows_of(said: Sequence[WindowSaid], timezone: str) -> Windows:
    """The windows that are meant. Problem 422."""
    try:
        each = tuple(Window(days=frozenset(one.days), begin=one.begin, end=one.end) for one in said)
        return Windows(each=each, timezone=timezone)
    except ValueError as error:
        raise Problem(422, f"windows: {error}") from error


def stages_status(campaign: Campaign, counters: Mapping[str, int]) -> list[StageStatus]:
    """All stages of a campaign, as they stand."""
    found = []
    for number, stage in enumerate(campaign.stages, start=1):
        counts = stage_counts(counters, number, stage)
        found.append(
            StageStatus(
                number=number,
                devices=stage.devices,
                begun=counts.begun,
                ended=counts.ended,
                succeeded=counts.succeeded,
                failed=counts.failed,
                state=state_of(campaign, number),
                gate=gate_said(stage.gate or campaign.gate),
            )
        )
    return found


def state_of(campaign: Campaign, number: int) -> StageState:
    """Where a stage stands.

    The last one that began is held while its campaign is paused or stopped, and has passed when the next one
    waits for an operator.
    """
    if number > campaign.stage:
        return StageState.WAITING
    state = campaign.state
    if number < campaign.stage or state in (CampaignState.WAITING, CampaignState.ENDED):
        return StageState.PASSED
    held = state in (CampaignState.PAUSED, CampaignState.STOPPED)
    return StageState.HELD if held else StageState.RUNNING
