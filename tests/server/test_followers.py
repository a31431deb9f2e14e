"""Followers: everyone is told what was stored, nobody is waited for, and nobody who left is remembered."""

from __future__ import annotations

import asyncio
import gc

from headgate.server import followers
from headgate.server.followers import Event, Followers

ROW = {
    "at_s": 1.0,
    "endpoint": "device",
    "task_id": None,
    "campaign_id": None,
    "step": 11,
    "what": "DownloadReported",
    "detail": "state 2",
}


def test_everyone_hears_everything_from_then_on(run):
    """In order, and the end after it."""

    async def main() -> None:
        all_of_them = Followers()
        first = all_of_them.follow()
        all_of_them.tell([ROW])
        second = all_of_them.follow()
        all_of_them.tell([ROW | {"what": "UpdateReported", "task_id": "t1"}])
        all_of_them.end()
        heard = [event async for event in first]
        assert [event.what for event in heard] == ["DownloadReported", "UpdateReported"]
        assert heard[0] == Event(
            at_s=1.0,
            endpoint="device",
            task_id=None,
            campaign_id=None,
            step=11,
            what="DownloadReported",
            detail="state 2",
        )
        assert [event.task_id async for event in second] == ["t1"]
        assert [event async for event in all_of_them.follow()] == []

    run(main())


def test_who_waits_is_woken(run):
    """By what comes, or by the end."""

    async def main() -> None:
        all_of_them = Followers()
        follower = all_of_them.follow()
        waiting = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        all_of_them.tell([ROW])
        assert (await waiting).endpoint == "device"
        ending = asyncio.ensure_future(anext(follower, None))
        await asyncio.sleep(0)
        all_of_them.end()
        assert await ending is None

    run(main())


def test_who_reads_too_slowly_loses_the_oldest(run, monkeypatch):
    """Counted, and the others lose nothing."""
    monkeypatch.setattr(followers, "WAITING_MAX", 3)

    async def main() -> None:
        all_of_them = Followers()
        slow = all_of_them.follow()
        for number in range(5):
            all_of_them.tell([ROW | {"at_s": float(number)}])
        all_of_them.end()
        assert slow.lost == 2
        assert [event.at_s async for event in slow] == [2.0, 3.0, 4.0]

    run(main())


def test_who_left_is_forgotten(run):
    """Without saying so: letting go is enough."""

    async def main() -> None:
        all_of_them = Followers()
        follower = all_of_them.follow()
        assert len(all_of_them) == 1
        all_of_them.tell([ROW])
        del follower
        gc.collect()
        assert len(all_of_them) == 0
        all_of_them.tell([ROW])

    run(main())
