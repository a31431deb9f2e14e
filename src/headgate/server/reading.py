"""How one house stands: its campaigns and tasks as the store has them, and its counters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headgate.errors import CampaignError, HeadgateError
from headgate.server.house import House
from headgate.server.status import CampaignStatus, ServerStats
from headgate.store import tables
from headgate.upgrade.campaign import campaign_of, counts_of
from headgate.upgrade.stages import stage_counts

PAGE_MAX = 1000


async def status_of(house: House, campaign_id: str) -> CampaignStatus:
    """A campaign as it stands in the store. Raises CampaignError where there is none."""
    row = await house.read(house.database.row, tables.campaigns, (campaign_id,))
    if row is None:
        raise CampaignError(f"there is no campaign {campaign_id}")
    counters = await house.read(house.database.counters, campaign_id)
    found = campaign_of(row)
    stages = tuple(
        stage_counts(counters, number, stage) for number, stage in enumerate(found.stages, start=1)
    )
    return CampaignStatus(campaign=found, counts=counts_of(counters), stages=stages)


async def page_of(
    house: House, table: Any, after: str | None, limit: int, where: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Rows by id, those after this one. Raises HeadgateError for a limit outside of 1 to PAGE_MAX."""
    if not 0 < limit <= PAGE_MAX:
        raise HeadgateError(f"a page has 1 to {PAGE_MAX} rows, not {limit}")
    place = None if after is None else (after,)
    return await house.read(house.database.rows, table, where=where, after=place, limit=limit)


def stats_of(house: House, *, followers: int) -> ServerStats:
    """Counters since the start."""
    roster = house.orchestrator.roster
    return ServerStats(
        edge=house.edge.stats,
        pump=dict(house.pump.counts),
        lwm2m=dict(house.lwm2m.counts),
        orchestrator=dict(house.orchestrator.counts),
        devices=len(house.lwm2m),
        tasks=len(roster.active),
        campaigns=len(roster.running),
        packages=len(house.packages.list()),
        followers=followers,
        hooks=house.hooks.counts(),
        store_failing_since_s=house.pump.failing_since,
        clock_behind_s=house.clock.behind_s,
    )
