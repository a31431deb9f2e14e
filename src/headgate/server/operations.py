"""What operators ask for: campaigns that are made, held, changed and tried again, tasks and devices ended.

All is stored on return, and refused while nothing can be stored (StoreError, RuntimeError).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from headgate.errors import CampaignChangedError, CampaignError, CampaignStateError
from headgate.server import rooms
from headgate.server.retrying import meant
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.campaign import Campaign, checked_endpoints
from headgate.upgrade.draft import Draft
from headgate.upgrade.failure import Failure
from headgate.upgrade.lists import packed
from headgate.upgrade.stages import NO_GATE, sized
from headgate.upgrade.task import Plan
from headgate.upgrade.windows import ALWAYS

if TYPE_CHECKING:
    from headgate.server.house import House

CAMPAIGN_ID_BYTES = 6
NAME_MAX = 255
EDITED = frozenset({"name", "retry", "gate", "windows", "start_s", "confirm"})

Done = TypeVar("Done")


class Operations:
    """One house's. The methods are those of `Server`, which says what each does and raises."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._retrying: set[str] = set()

    async def begin(self, draft: Draft, request: Mapping[str, Any] | None = None) -> Campaign:
        """Make a campaign; its tasks are still being made on return."""
        house = self._house
        check_name(draft.name)
        try:
            listed = await house.read(checked_endpoints, draft.endpoints)
        except ValueError as error:
            raise CampaignError(str(error)) from error
        kept = await house.read(packed, listed)
        await house.packages.downloads.load(draft.package)
        stored = house.packages.get(draft.package)  # from here on nothing is waited for until it is in use
        release = house.packages.check(stored)
        now = house.clock.now()
        house.pump.check()
        try:
            sources = None if draft.source_versions is None else frozenset(draft.source_versions)
            campaign = Campaign(
                id=secrets.token_hex(CAMPAIGN_ID_BYTES),
                name=draft.name,
                plan=Plan(
                    kind=stored.kind,
                    target_version=stored.version,
                    pid=stored.pid,
                    size_bytes=stored.size_bytes,
                    segment_size_bytes=stored.segment_size_bytes,
                    version_check_code=release.told_code,
                    source_versions=stored.source_versions if sources is None else sources,
                    timers=draft.timers or rooms.timers_of(house.config),
                    skip_same_package=draft.skip_same_package,
                    automatic_upgrade=draft.automatic_upgrade,
                ),
                retry=draft.retry or rooms.retry_of(house.config),
                created_s=now,
                stages=sized(draft.stages, len(listed)),
                gate=draft.gate or NO_GATE,
                confirm=draft.confirm,
                start_s=draft.start_s,
                windows=draft.windows or ALWAYS,
            )
            house.orchestrator.start(campaign, listed, now, kept)
        except ValueError as error:
            raise CampaignError(str(error)) from error
        if request is not None:
            house.orchestrator.gathering.put(tables.requests, {**request, "resource": campaign.id})
        await house.pump.settled()
        return campaign

    async def pause(self, campaign_id: str, reason: str, by: str) -> None:
        """Begin nothing of it any more."""
        await self._done(lambda now: self._house.orchestrator.pause(campaign_id, reason, by, now))

    async def resume(self, campaign_id: str, by: str) -> None:
        """Go on with it."""
        await self._done(lambda now: self._house.orchestrator.resume(campaign_id, by, now))

    async def confirm(self, campaign_id: str, by: str) -> None:
        """Let its next stage begin."""
        await self._done(lambda now: self._house.orchestrator.confirm(campaign_id, by, now))

    async def edit(
        self, campaign_id: str, changes: Mapping[str, Any], revisions: Collection[int] | None, by: str
    ) -> None:
        """Change it."""
        unknown = changes.keys() - EDITED
        if unknown:
            raise CampaignError(
                f"of a campaign {', '.join(sorted(EDITED))} can be changed, not {min(unknown)}"
            )
        check_name(changes.get("name", ""))
        house = self._house
        house.pump.check()
        campaign = house.orchestrator.campaign(campaign_id)
        if campaign is not None and revisions is not None and campaign.revision not in revisions:
            raise CampaignChangedError(
                f"campaign {campaign_id} is at revision {campaign.revision} by now: look at it again"
            )
        try:
            await self._done(lambda now: house.orchestrator.edit(campaign_id, dict(changes), by, now))
        except ValueError as error:
            raise CampaignError(str(error)) from error

    async def retry(
        self, campaign_id: str, tasks: Iterable[str] | None, failures: Iterable[Failure] | None, by: str
    ) -> int:
        """Try devices again that failed; how many."""
        if campaign_id in self._retrying:
            raise CampaignStateError(f"devices of campaign {campaign_id} are being tried again just now")
        self._retrying.add(campaign_id)
        try:
            return await self._retried(campaign_id, tasks, failures, by)
        finally:
            self._retrying.discard(campaign_id)

    async def stop(self, campaign_id: str, by: str) -> bool:
        """Cancel what is left of it; False where it is through."""
        return await self._done(lambda now: self._house.orchestrator.stop(campaign_id, by, now))

    async def cancel_task(self, task_id: str, by: str) -> bool:
        """End it; False where it is over."""
        return await self._done(lambda now: self._house.orchestrator.cancel(task_id, by, now))

    async def label(self, endpoints: Iterable[str], product: str | None, group: str | None) -> None:
        """Say of which product devices are, and in which group."""
        house, named = self._house, list(endpoints)
        house.pump.check()
        batch = Batch()
        for endpoint in named:
            batch.change(tables.devices, {"endpoint": endpoint, "product": product, "group_name": group})
        await house.write(house.database.commit, batch)
        for endpoint in named:
            house.labelled(endpoint, product)

    async def remove_device(self, endpoint: str, by: str) -> bool:
        """End its registration; False where there is none."""
        return await self._done(lambda now: self._house.orchestrator.deregister(endpoint, by, now))

    # -- how --

    async def _done(self, act: Callable[[float], Done]) -> Done:
        """Let it be done now; what it came to, once that is stored."""
        pump = self._house.pump
        pump.check()
        done = act(self._house.clock.now())
        await pump.settled()
        return done

    async def _retried(
        self, campaign_id: str, tasks: Iterable[str] | None, failures: Iterable[Failure] | None, by: str
    ) -> int:
        house = self._house
        chosen = None if tasks is None else frozenset(tasks)
        causes = None if failures is None else frozenset(each.value for each in failures)
        running, failed = await meant(house, campaign_id, chosen, causes)
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


def check_name(name: str) -> None:
    """Raise CampaignError for one that is too long."""
    if len(name) > NAME_MAX:
        raise CampaignError(f"a campaign's name has up to {NAME_MAX} characters, not {len(name)}")
