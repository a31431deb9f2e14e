"""Campaigns by way of the Server: made, listed by pages, stopped, waited for, and told to followers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from headgate.errors import (
    CampaignChangedError,
    CampaignError,
    CampaignStateError,
    HeadgateError,
    PackageError,
)
from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.campaign import CampaignState, Confirm, Hold, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.stages import Gate, Size
from headgate.upgrade.task import Kind, State, Timers
from peer import eventually

BODY = b"the new firmware" * 100


def test_all_tasks_are_stored_when_it_is_made(run, server_of):
    """And are listed by keyset pages, in the order of the list of devices."""

    async def main() -> None:
        endpoints = [f"device-{number}" for number in range(2500)]
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            campaign = await server.create_campaign(name="many", package=package.pid, endpoints=endpoints)
            assert campaign.state is CampaignState.RUNNING
            listed, after = [], None
            while page := await server.tasks(campaign.id, after=after, limit=1000):
                listed += page
                after = page[-1].id
            assert [task.endpoint for task in listed] == endpoints
            assert {task.campaign_id for task in listed} == {campaign.id}
            assert (await server.campaign(campaign.id)).counts.devices == 2500
        async with server_of() as server:
            assert server.stats.tasks == 2500
            assert (await server.campaigns())[0].id == campaign.id

    run(main())


def test_a_stopped_campaign_ends(run, server_of):
    """Whoever waits is told, with how each task ended; a second stop has nothing to do."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            campaign = await server.create_campaign(name="c", package=package.pid, endpoints=["a", "b"])
            task = (await server.tasks(campaign.id))[0]
            assert await server.cancel_task(task.id, by="me")
            assert not await server.cancel_task(task.id, by="me")
            waiting = asyncio.ensure_future(server.ended(campaign.id))
            assert await server.stop_campaign(campaign.id, by="me")
            ended = await waiting
            assert ended.campaign.state is CampaignState.STOPPED
            assert ended.counts.states == {State.CANCELLED: 2}
            assert await server.ended(campaign.id) == ended
            assert not await server.stop_campaign(campaign.id)

    run(main())


def test_deadlines_end_tasks_and_the_last_one_its_campaign(run, server_of):
    """By the loop's clock, without anything else happening; followers hear it after it is stored."""

    async def main() -> None:
        timers = Timers(online_s=0.05)
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            follower = server.events()
            campaign = await server.create_campaign(
                name="c", package=package.pid, endpoints=["a"], timers=timers, retry=RetryPolicy()
            )
            ended = await server.ended(campaign.id)
            assert ended.campaign.state is CampaignState.ENDED
            assert ended.counts.failures == {Failure.ONLINE_TIMEOUT: 1}
            task = (await server.tasks(campaign.id))[0]
            assert (task.state, task.failure) == (State.FAILED, Failure.ONLINE_TIMEOUT)
        heard = [event async for event in follower]
        assert [event.what for event in heard if event.endpoint == ""] == [
            "campaign created",
            "campaign running",
            "campaign ended",
        ]
        assert any(event.what == f"failed: {Failure.ONLINE_TIMEOUT.value}" for event in heard)
        assert all(before.at_s <= after.at_s for before, after in pairwise(heard))

    run(main())


def test_a_staged_campaign_is_driven_from_python(run, server_of):
    """Paused, edited at a known revision, resumed, tried again after its end; and so after a restart."""

    async def main() -> None:
        timers = Timers(online_s=0.05)
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            campaign = await server.create_campaign(
                name="c",
                package=package.pid,
                endpoints=["a", "b", "c"],
                timers=timers,
                stages=[Size(count=1)],
                confirm=Confirm.START,
                source_versions=["V1"],
            )
            assert (campaign.state, campaign.plan.source_versions) == (CampaignState.WAITING, {"V1"})
            await server.pause_campaign(campaign.id, reason="not yet", by="me")
            with pytest.raises(CampaignChangedError):
                await server.edit_campaign(campaign.id, {"name": "d"}, revisions={1})
            await server.edit_campaign(campaign.id, {"name": "d", "gate": Gate(success=1)}, revisions={2})
            with pytest.raises(CampaignError, match="can be changed"):
                await server.edit_campaign(campaign.id, {"state": "ended"})
        async with server_of() as server:
            assert (await server.campaign(campaign.id)).campaign.reason == "by me: not yet"
            await server.resume_campaign(campaign.id)
            await server.confirm_campaign(campaign.id)
            while (await server.campaign(campaign.id)).campaign.hold is not Hold.GATE:
                pass
            await server.resume_campaign(campaign.id)
            ended = await server.ended(campaign.id)
            assert [stage.failed for stage in ended.stages] == [1, 2]
            assert await server.retry_campaign(campaign.id, failures=[Failure.ONLINE_TIMEOUT]) == 3
            with pytest.raises(CampaignStateError, match="just now"):
                await asyncio.gather(server.retry_campaign(campaign.id), server.retry_campaign(campaign.id))
            again = await server.ended(campaign.id)
            assert (again.counts.devices, again.campaign.state) == (3, CampaignState.ENDED)

    run(main())


@pytest.mark.parametrize("endpoints", [[], ["a", "a"], [""], ["x" * 256]])
def test_a_list_of_devices_that_is_none_is_refused(run, server_of, endpoints):
    """Nothing of it is made."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            with pytest.raises(CampaignError):
                await server.create_campaign(name="c", package=package.pid, endpoints=endpoints)
            assert server.stats.campaigns == 0
            assert await server.campaigns() == []

    run(main())


def test_what_there_is_not_is_said(run, server_of):
    """By every question about it."""

    async def main() -> None:
        async with server_of() as server:
            for question in (server.campaign, server.ended):
                with pytest.raises(CampaignError, match="there is no campaign none"):
                    await question("none")
            assert await server.tasks("none") == []
            assert not await server.stop_campaign("none")
            assert "no active task" in server.explain("nobody")
            assert server.occupancy() == []
            for limit in (0, 1001):
                with pytest.raises(HeadgateError, match="1 to 1000"):
                    await server.campaigns(limit=limit)

    run(main())


def test_old_events_are_forgotten(run, server_of, data, registered):
    """The event log is the only table that would grow for ever."""
    from headgate.store import tables

    async def main() -> None:
        async with server_of() as server:
            await registered(server, "device")
        async with server_of(store={"events_keep_s": 0.001}) as server:
            database = server._in.database
            await eventually(lambda: not database.rows(tables.events, limit=1))

    run(main())


def test_a_package_that_is_no_plan_is_refused(run, server_of):
    """Segments have 32 to 500 bytes, and there are 65,535 at most; nothing is kept, the server goes on."""

    async def main() -> None:
        async with server_of() as server:
            for body, size in ((BODY, 31), (BODY, 501), (bytes(32 * 65535 + 1), 32)):
                with pytest.raises(PackageError, match="segment"):
                    await server.add_package(body, version="V2", kind=Kind.SOFTWARE, segment_size_bytes=size)
            assert server.packages() == []

    run(main())


@pytest.mark.parametrize("waited", [False, True], ids=["begin", "create"])
def test_a_server_that_ends_while_it_makes_a_campaign(run, server_of, data, waited):
    """As at a SIGTERM. The next one goes on making it; whoever waits for all its tasks is told of the end."""
    endpoints = [f"device-{number}" for number in range(3000)]

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2")
            orchestrator = server._in.orchestrator
            orchestrator.settings = replace(orchestrator.settings, work_max=1)  # so that it takes a while
            if waited:
                making = asyncio.ensure_future(
                    server.create_campaign(name="c", package=package.pid, endpoints=endpoints)
                )
                await eventually(lambda: server.stats.tasks)
            else:
                await server.create_campaign(name="c", package=package.pid, endpoints=endpoints, made=False)
        if waited:
            with pytest.raises(RuntimeError, match=r"(?i)the server"):
                await making
        database = Database.open(f"sqlite:///{data}/headgate.db")
        (row,) = database.rows(tables.campaigns, limit=2)
        made = database.counted(tables.tasks, "campaign_id").get(row["id"], 0)
        assert (row["state"], made < len(endpoints)) == ("creating", True)
        database.close()
        async with server_of() as server:
            await eventually(lambda: server._in.orchestrator.campaign(row["id"]).made)
            await server._in.pump.settled()
            assert (await server.campaign(row["id"])).campaign.state is CampaignState.RUNNING
            listed, after = [], None
            while page := await server.tasks(row["id"], after=after, limit=1000):
                listed += page
                after = page[-1].id
            assert [task.endpoint for task in listed] == endpoints

    run(main())
