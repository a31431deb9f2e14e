"""Who waits for a campaign: until its row in the store is so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from headgate.server.house import House
from headgate.server.reading import status_of
from headgate.server.status import CampaignStatus
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.campaign import CampaignState


class Watched:
    """Campaigns that are waited for, until their rows change."""

    def __init__(self, house: Callable[[], House]) -> None:
        """`house` is asked each time: it raises where the server is closed meanwhile."""
        self._house = house
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}

    async def made(self, campaign_id: str) -> CampaignStatus:
        """Wait until its tasks are all there, or it is stopped."""
        over = CampaignState.STOPPED.value
        return await self.until(campaign_id, lambda row: row["started_s"] is not None or row["state"] == over)

    async def through(self, campaign_id: str) -> CampaignStatus:
        """Wait until it has ended, or is stopped."""
        return await self.until(campaign_id, lambda row: row["ended_s"] is not None)

    async def until(self, campaign_id: str, so: Callable[[Mapping[str, Any]], bool]) -> CampaignStatus:
        """Wait until the stored row of a campaign is so. Raises RuntimeError where the server ends."""
        while True:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            # Before the look: it may change meanwhile.
            self._waiters.setdefault(campaign_id, []).append(waiter)
            try:
                house = self._house()
                row = await house.read(house.database.row, tables.campaigns, (campaign_id,))
                if row is not None and so(row):
                    return await status_of(self._house(), campaign_id)
                if self._house().pump.stopped.done():
                    raise RuntimeError("the server has ended: nothing changes any more")
                await waiter
            finally:
                waiters = self._waiters.get(campaign_id, [])
                if waiter in waiters:
                    waiters.remove(waiter)
                if not waiters:
                    self._waiters.pop(campaign_id, None)

    def committed(self, batch: Batch) -> None:
        """Rows have changed: who waits for them looks again."""
        for (campaign_id,) in batch.puts.get(tables.campaigns, {}):
            self._changed(campaign_id)

    def ended(self) -> None:
        """Nothing is stored any more: nobody waits for it in vain."""
        for campaign_id in list(self._waiters):
            self._changed(campaign_id, RuntimeError("the server has ended meanwhile"))

    def _changed(self, campaign_id: str, error: Exception | None = None) -> None:
        for waiter in self._waiters.pop(campaign_id, ()):
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
