"""The report of a campaign, in numbers: what `headgate campaign report` draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection, func, select
from sqlalchemy import Row as Tuple
from starlette.responses import Response

from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.admission import Limits, Scope
from headgate.upgrade.advice import ADVICE
from headgate.upgrade.campaign import Campaign, campaign_of
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import RadioClass
from headgate.web.access import Scope as Access
from headgate.web.campaigning import CampaignStatus
from headgate.web.office import Office
from headgate.web.paging import Text
from headgate.web.problems import missing
from headgate.web.reporting.axis import BINS_MAX, Axis, axis_of
from headgate.web.reporting.counting import (
    EDGES_S,
    Attempt,
    Cause,
    Finishing,
    Progress,
    attempts,
    causes,
    finishing,
    progress,
    used,
)
from headgate.web.reporting.slots import Occupied, occupied
from headgate.web.routes.campaigns import ONE, CampaignRoutes
from headgate.web.table import Route

COURSE_MAX = 200

Writing = Callable[[Database, Campaign, CampaignStatus, Limits, float], str]


class TimeAxis(BaseModel):
    """The time of every series here."""

    begin_s: float
    bin_s: float = Field(description="How long each bin lasts.")
    bins: int = Field(description=f"How many there are, {BINS_MAX} at most.")


class Happening(BaseModel):
    """What happened to the campaign as a whole."""

    at_s: float
    what: str
    detail: str


class StageProgress(BaseModel):
    """How many devices of a stage were where at the end of each bin, each counted by its last attempt."""

    number: int = Field(description="From 1.")
    devices: int
    ended: list[int]
    succeeded: list[int]
    failed: list[int]


class ClassOccupancy(BaseModel):
    """The slots of a class in a cell that the campaign held; other campaigns may have held others."""

    radio_class: RadioClass
    limit: int
    given: int = Field(description="How often one was given.")
    held_s: float = Field(description="For how long slots were held, all together.")
    held: list[int] = Field(description="The most at once, in each bin.")


class CellOccupancy(BaseModel):
    """One of the busiest cells."""

    cell: str
    tasks: int = Field(description="Of the campaign, that waited for a slot there.")
    classes: list[ClassOccupancy]


class Cells(BaseModel):
    """The busiest cells."""

    count: int = Field(description="In how many cells there were tasks of the campaign.")
    scope: Scope = Field(description="What shares the slots: a class, or the whole cell.")
    since_s: float | None = Field(
        description="From when on the event log tells who held a slot: its older lines are gone. "
        "null where it tells all of it."
    )
    busiest: list[CellOccupancy]


class ClassFinish(BaseModel):
    """How long devices of a class took that were upgraded, from when they joined the line of their cell."""

    radio_class: RadioClass
    devices: int
    quantiles_s: dict[str, float] = Field(description="p10, p50, p90, p99 and most, to within 1 %.")
    histogram: list[int] = Field(description="A number for each of `edges_s`.")


class Finish(BaseModel):
    """Time to finish, by class."""

    edges_s: list[float] = Field(description="Where each bar begins; it ends where the next one begins.")
    classes: list[ClassFinish]


class FailureCause(BaseModel):
    """By what attempts failed."""

    failure: Failure
    attempts: int
    devices: int = Field(description="Whose last attempt it was.")
    advice: str


class AttemptCount(BaseModel):
    """How the first, second, ... attempts ended. The tenth are those beyond, too."""

    number: int
    tasks: int
    succeeded: int
    failed: int


class Report(BaseModel):
    """A campaign, and how it went."""

    campaign: CampaignStatus
    made_s: float
    axis: TimeAxis
    course: list[Happening] = Field(
        description=f"The newest {COURSE_MAX} at most; older ones may be gone from the event log."
    )
    stages: list[StageProgress]
    cells: Cells
    finish: Finish
    causes: list[FailureCause]
    attempts: list[AttemptCount]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """All that the store says."""

    axis: Axis
    course: list[Tuple[Any]]
    progress: dict[int, Progress]
    occupied: Occupied
    finishing: dict[RadioClass, Finishing]
    causes: list[Cause]
    attempts: list[Attempt]


def counted(database: Database, campaign: Campaign, now: float) -> Counted:
    """A campaign as it stood in one moment. Blocking: some seconds for a million devices."""
    with database.reading() as reader:
        end_s = ended(reader, campaign, now)
        axis = axis_of(max(campaign.created_s, min(campaign.start_s or 0.0, end_s)), end_s)
        return Counted(
            axis=axis,
            course=happenings(reader, campaign),
            progress=progress(reader, campaign, axis),
            occupied=occupied(reader, campaign, axis, end_s),
            finishing=finishing(reader, campaign),
            causes=causes(reader, campaign),
            attempts=attempts(reader, campaign),
        )


def ended(reader: Connection, campaign: Campaign, now: float) -> float:
    """When it was through, retries by hand included; now where it is not."""
    if campaign.ended_s is None:
        return now
    tasks = tables.tasks
    query = select(func.max(tasks.c.ended_s), func.count(), func.count(tasks.c.ended_s))
    last, all_tasks, over = reader.execute(query.where(tasks.c.campaign_id == campaign.id)).one()
    return now if over < all_tasks else max(campaign.ended_s, last or 0.0)


def happenings(reader: Connection, campaign: Campaign) -> list[Tuple[Any]]:
    """The lines of the campaign as a whole, in order. Blocking."""
    events = tables.events
    query = (
        select(events.c.at_s, events.c.what, events.c.detail)
        .where(events.c.endpoint == "", events.c.campaign_id == campaign.id)
        .order_by(events.c.id.desc())
        .limit(COURSE_MAX)
    )
    return list(reversed(reader.execute(query).all()))


class ReportRoutes:
    """The row of reports."""

    def __init__(self, office: Office, campaigns: CampaignRoutes) -> None:
        self._office = office
        self._campaigns = campaigns

    def table(self) -> list[Route]:
        """What can be asked for."""
        return [
            Route(
                method="GET",
                path=f"{ONE}/report",
                call=self.report_campaign,
                scope=Access.READ,
                answers=Report,
                problems=(404,),
            )
        ]

    async def report_campaign(self, campaign_id: Text) -> Response:
        """How a campaign went: its stages over time, cells against their limits, times, causes of failure.

        One report is made at a time, since each reads all tasks of its campaign: 503 for the next one.
        """
        return Response(await self.made(campaign_id, written), media_type="application/json")

    async def made(self, campaign_id: str, write: Writing) -> str:
        """The report, as `write` writes it in a thread. Problems 404 and 503."""
        reader, desk = self._office.reader, self._office.desk
        status = await self._campaigns.show_campaign(campaign_id)
        row = await reader.row(tables.campaigns, campaign_id)
        if row is None:
            raise missing(f"campaign {campaign_id}")
        with self._office.report_turn.taken():
            return await reader.call(
                write, reader.database, campaign_of(row), status, desk.limits, desk.now()
            )


def written(
    database: Database, campaign: Campaign, status: CampaignStatus, limits: Limits, now: float
) -> str:
    """The report as JSON. Blocking; in a thread it is made to its end, since it may be half a megabyte."""
    return told(status, counted(database, campaign, now), limits, now).model_dump_json()


def told(status: CampaignStatus, found: Counted, limits: Limits, now: float) -> Report:
    """The report of what was counted."""
    bars = used([each.histogram for each in found.finishing.values()])
    return Report(
        campaign=status,
        made_s=now,
        axis=TimeAxis(**found.axis._asdict()),
        course=[Happening(**line._mapping) for line in found.course],
        stages=[
            StageProgress(
                number=stage.number,
                devices=stage.devices,
                ended=found.progress[stage.number].ended,
                succeeded=found.progress[stage.number].succeeded,
                failed=found.progress[stage.number].failed,
            )
            for stage in status.stages
        ],
        cells=cells_of(found.occupied, limits),
        finish=Finish(
            edges_s=[EDGES_S[place] for place in bars],
            classes=[
                ClassFinish(
                    radio_class=radio_class,
                    devices=each.devices,
                    quantiles_s=each.quantiles,
                    histogram=[each.histogram[place] for place in bars],
                )
                for radio_class, each in found.finishing.items()
            ],
        ),
        causes=[
            FailureCause(
                failure=each.failure,
                attempts=each.attempts,
                devices=each.devices,
                advice=ADVICE[each.failure],
            )
            for each in found.causes
        ],
        attempts=[
            AttemptCount(number=each.number, tasks=each.tasks, succeeded=each.succeeded, failed=each.failed)
            for each in found.attempts
        ],
    )


def cells_of(found: Occupied, limits: Limits) -> Cells:
    """The busiest cells, those classes that held a slot."""
    return Cells(
        count=found.all_cells,
        scope=limits.scope,
        since_s=found.since_s,
        busiest=[
            CellOccupancy(
                cell=str(busy.cell),
                tasks=busy.tasks,
                classes=[
                    ClassOccupancy(
                        radio_class=radio_class,
                        limit=limits.of(radio_class),
                        given=held.given,
                        held_s=round(held.held_s, 1),
                        held=held.most,
                    )
                    for radio_class in RadioClass
                    if (held := found.held.get((str(busy.cell), radio_class))) is not None
                ],
            )
            for busy in found.cells
        ],
    )
