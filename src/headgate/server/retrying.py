"""Who is meant when devices of a campaign are tried again by hand: between the loop and the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select

from headgate.errors import CampaignError, CampaignStateError
from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.askers import Running
from headgate.upgrade.attempts import Failed, notified
from headgate.upgrade.campaign import RETRIED, CampaignState, campaign_of
from headgate.upgrade.records import marks_of
from headgate.upgrade.task import State

if TYPE_CHECKING:
    from headgate.server.house import House

READ_TWICE_MAX = 5  # times that the failed are read anew, as others were tried again meanwhile
CHUNK = 5_000


async def meant(
    house: House, campaign_id: str, tasks: frozenset[str] | None, failures: frozenset[str] | None
) -> tuple[Running, list[Failed]]:
    """Those of these tasks, by these causes, when nothing was waited for since they were certain to be it."""
    for _ in range(READ_TWICE_MAX):
        await house.pump.settled()
        before = house.orchestrator.roster.running.get(campaign_id)
        retried = None if before is None else before.counters.get(RETRIED, 0)
        row = await house.read(house.database.row, tables.campaigns, (campaign_id,))
        if row is None:
            raise CampaignError(f"there is no campaign {campaign_id}")
        campaign = campaign_of(row)
        if not campaign.made or campaign.state is CampaignState.STOPPED:
            raise CampaignStateError(
                f"nobody of campaign {campaign_id} is tried again: it is {campaign.state}"
            )
        counters = await house.read(house.database.counters, campaign_id)
        failed = await house.read(failed_of, house.database, campaign_id, tasks, failures)
        await house.packages.downloads.load(campaign.plan.pid)
        running = house.orchestrator.roster.running.get(campaign_id)
        if before is None and running is None and campaign.ended_s is not None:
            house.packages.get(campaign.plan.pid)
            return Running(campaign, counters), failed
        if running is not None and running is before and running.counters.get(RETRIED, 0) == retried:
            return running, failed
    raise CampaignStateError(f"devices of campaign {campaign_id} are being tried again just now: ask again")


def failed_of(
    database: Database, campaign_id: str, ids: frozenset[str] | None, failures: frozenset[str] | None
) -> list[Failed]:
    """Failed last attempts of a campaign: those named, or by these causes, or all. Blocking."""
    task, later = tables.tasks, tables.tasks.alias()
    query = select(task.c.id, task.c.endpoint, task.c.attempt, task.c.marks, task.c.failure).where(
        task.c.campaign_id == campaign_id,
        task.c.state == State.FAILED.value,
        ~exists().where(
            later.c.endpoint == task.c.endpoint,
            later.c.campaign_id == task.c.campaign_id,
            later.c.attempt > task.c.attempt,
        ),
    )
    found: list[Failed] = []
    with database.reading() as reader:
        kind = reader.execute(
            select(tables.campaigns.c.kind).where(tables.campaigns.c.id == campaign_id)
        ).scalar_one()
        result = reader.execution_options(yield_per=CHUNK).execute(query.order_by(task.c.id))
        for id, endpoint, attempt, marks, failure in result:
            if (ids is None or id in ids) and (failures is None or failure in failures):
                told = notified(kind, marks_of(marks))
                found.append(Failed(task_id=id, endpoint=endpoint, attempt=attempt, notified=told))
    return found
