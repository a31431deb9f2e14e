"""What is asked of campaigns, between the loop and the store: made, edited, and tried again by hand."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import exists, select

from headgate.errors import CampaignChangedError, CampaignError, CampaignStateError
from headgate.server import rooms
from headgate.server.house import House
from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.askers import Running
from headgate.upgrade.attempts import Failed, notified
from headgate.upgrade.campaign import (
    RETRIED,
    Campaign,
    CampaignState,
    Confirm,
    RetryPolicy,
    campaign_of,
    checked_endpoints,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.lists import packed
from headgate.upgrade.records import marks_of
from headgate.upgrade.stages import NO_GATE, Gate, Size, sized
from headgate.upgrade.task import Plan, State, Timers
from headgate.upgrade.windows import ALWAYS, Windows

CAMPAIGN_ID_BYTES = 6
NAME_MAX = 255
READ_TWICE_MAX = 5  # times that the failed are read anew, as others were tried again meanwhile
CHUNK = 5_000
EDITED = frozenset({"name", "retry", "gate", "windows", "start_s", "confirm"})


async def begin(
    house: House,
    *,
    name: str,
    package: bytes,
    endpoints: Sequence[str],
    retry: RetryPolicy | None,
    timers: Timers | None,
    skip_same_package: bool,
    automatic_upgrade: bool,
    stages: Sequence[Size],
    gate: Gate | None,
    confirm: Confirm,
    start_s: float | None,
    windows: Windows | None,
    source_versions: Iterable[str] | None,
    request: Mapping[str, Any] | None,
) -> Campaign:
    """Make a campaign: see `Server.begin_campaign`."""
    check_name(name)
    try:
        listed = await house.read(checked_endpoints, endpoints)
    except ValueError as error:
        raise CampaignError(str(error)) from error
    kept = await house.read(packed, listed)
    await house.packages.downloads.load(package)
    stored = house.packages.get(package)  # from here on nothing is waited for until it is in use
    release = house.packages.check(stored)
    now = house.clock.now()
    house.pump.check()
    try:
        sources = None if source_versions is None else frozenset(source_versions)
        campaign = Campaign(
            id=secrets.token_hex(CAMPAIGN_ID_BYTES),
            name=name,
            plan=Plan(
                kind=stored.kind,
                target_version=stored.version,
                pid=stored.pid,
                size_bytes=stored.size_bytes,
                segment_size_bytes=stored.segment_size_bytes,
                version_check_code=release.told_code,
                source_versions=stored.source_versions if sources is None else sources,
                timers=timers or rooms.timers_of(house.config),
                skip_same_package=skip_same_package,
                automatic_upgrade=automatic_upgrade,
            ),
            retry=retry or rooms.retry_of(house.config),
            created_s=now,
            stages=sized(stages, len(listed)),
            gate=gate or NO_GATE,
            confirm=confirm,
            start_s=start_s,
            windows=windows or ALWAYS,
        )
        house.orchestrator.start(campaign, listed, now, kept)
    except ValueError as error:
        raise CampaignError(str(error)) from error
    if request is not None:
        house.orchestrator.gathering.put(tables.requests, {**request, "resource": campaign.id})
    await house.pump.settled()
    return campaign


async def edit(
    house: House, campaign_id: str, changes: Mapping[str, Any], revisions: Collection[int] | None, by: str
) -> None:
    """Change a campaign: see `Server.edit_campaign`."""
    unknown = changes.keys() - EDITED
    if unknown:
        raise CampaignError(f"of a campaign {', '.join(sorted(EDITED))} can be changed, not {min(unknown)}")
    check_name(changes.get("name", ""))
    house.pump.check()
    campaign = house.orchestrator.campaign(campaign_id)
    if campaign is not None and revisions is not None and campaign.revision not in revisions:
        raise CampaignChangedError(
            f"campaign {campaign_id} is at revision {campaign.revision} by now: look at it again"
        )
    try:
        house.orchestrator.edit(campaign_id, dict(changes), by, house.clock.now())
    except ValueError as error:
        raise CampaignError(str(error)) from error
    await house.pump.settled()


def check_name(name: str) -> None:
    """Raise CampaignError for one that is too long."""
    if len(name) > NAME_MAX:
        raise CampaignError(f"a campaign's name has up to {NAME_MAX} characters, not {len(name)}")


# -- trying again by hand --


async def retry(
    house: House,
    campaign_id: str,
    tasks: Iterable[str] | None,
    failures: Iterable[Failure] | None,
    by: str,
) -> int:
    """Try failed devices again: see `Server.retry_campaign`."""
    chosen = None if tasks is None else frozenset(tasks)
    causes = None if failures is None else frozenset(each.value for each in failures)
    running, failed = await _failed(house, campaign_id, chosen, causes)
    if not failed:
        return 0
    made: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(now: float) -> None:
        if not made.done():  # cancelled by who waited
            made.set_result(None)

    house.orchestrator.retry(running, failed, by, house.clock.now(), done)
    house.pump.wake()
    await asyncio.wait([made, house.pump.stopped], return_when=asyncio.FIRST_COMPLETED)
    await house.pump.settled()
    return len(failed)


async def _failed(
    house: House, campaign_id: str, tasks: frozenset[str] | None, failures: frozenset[str] | None
) -> tuple[Running, list[Failed]]:
    """The devices that are meant, with nothing waited for since they were certain to be all and to be so."""
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
