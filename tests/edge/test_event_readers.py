"""Readers of events: each hears everything from its call on, and none is waited for."""

from __future__ import annotations

import asyncio
import gc

import pytest

from headgate import DownloadCompleted, DownloadStarted
from headgate.edge import events
from peer import Peer, eventually


def ask(edge, key: str, *nums: int) -> None:
    """A device asks these blocks of 1024 bytes, one after the other."""
    with Peer(edge.port) as peer:
        for num in nums:
            peer.ask(key, (num, 6))


async def until(reader, kind) -> list:
    """Events up to and with the first of this kind."""
    heard = []
    async for event in reader:
        heard.append(event)
        if isinstance(event, kind):
            return heard
    raise AssertionError(f"the events ended before {kind}")


def test_every_reader_hears_everything_from_its_call_on(run, edge_of, threads, body):
    """Two of them from the beginning, one later."""

    async def main() -> None:
        async with edge_of(threads=threads, look_every_s=1000) as edge:
            package = await edge.load(body)
            one, two = edge.grant(package, "one"), edge.grant(package, "two")
            early = edge.events(), edge.events()
            await asyncio.to_thread(ask, edge, one.key, 0, 1, 2, 3, 4)
            for reader in early:
                heard = await until(reader, DownloadCompleted)
                assert [type(event) for event in heard] == [DownloadStarted, DownloadCompleted]
            late = edge.events()
            await asyncio.to_thread(ask, edge, two.key, 0)
            for reader in (*early, late):
                [event] = await until(reader, DownloadStarted)
                assert event.grant is two

    run(main())


def test_a_slow_reader_loses_the_oldest_and_it_is_counted(run, edge_of, monkeypatch, body):
    """Its own, and nobody else's; serving and the other readers do not wait for it."""
    monkeypatch.setattr(events, "EVENTS_WAITING_MAX", 4)

    async def main() -> None:
        async with edge_of(look_every_s=1000) as edge:
            slow, fast = edge.events(), edge.events()
            heard = []
            for number in range(10):
                grant = edge.grant(await edge.load(body), f"device {number}")
                await asyncio.to_thread(ask, edge, grant.key, 0)
                heard += await until(fast, DownloadStarted)
            assert [event.grant.endpoint for event in heard] == [f"device {n}" for n in range(10)]
            assert edge.stats.events_lost == 6
            assert [(await anext(slow)).grant.endpoint for _ in range(4)] == [
                f"device {number}" for number in range(6, 10)
            ]
            for number in range(5):
                grant = edge.grant(await edge.load(body), f"late {number}")
                await asyncio.to_thread(ask, edge, grant.key, 0)
            await until(fast, DownloadStarted)
        # The end itself needs a place, too.
        assert [event.grant.endpoint async for event in slow] == ["late 2", "late 3", "late 4"]
        assert edge.stats.events_lost >= 8

    run(main())


def test_a_reader_that_goes_is_forgotten(run, edge_of, monkeypatch, body):
    """Never begun, left half-way, cancelled while it waited: nothing is kept for it, and nothing is lost."""
    monkeypatch.setattr(events, "EVENTS_WAITING_MAX", 2)

    async def main() -> None:
        async with edge_of(look_every_s=1000) as edge:
            edge.events()

            half = edge.events()
            grant = edge.grant(await edge.load(body), "device")
            await asyncio.to_thread(ask, edge, grant.key, 0)
            async for _ in half:
                break
            del half

            waiting = asyncio.create_task(anext(edge.events()))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            del waiting
            gc.collect()

            for number in range(10):
                grant = edge.grant(await edge.load(body), f"device {number}")
                await asyncio.to_thread(ask, edge, grant.key, 0)
            await eventually(lambda: edge.stats.blocks >= 11)
            assert edge.stats.events_lost == 0

    run(main())


def test_a_waiting_reader_is_not_taken_for_one_that_went(run, edge_of, body):
    """A task that nobody else holds waits for the next event; the collector leaves it alone."""

    async def main() -> None:
        async with edge_of(look_every_s=1000) as edge:
            heard: asyncio.Future = asyncio.get_running_loop().create_future()

            async def watch() -> None:
                async for event in edge.events():
                    heard.set_result(event)
                    return

            asyncio.ensure_future(watch())  # noqa: RUF006  (that is the case)
            await asyncio.sleep(0)
            gc.collect()
            grant = edge.grant(await edge.load(body), "device")
            await asyncio.to_thread(ask, edge, grant.key, 0)
            assert (await heard).grant is grant

    run(main())


def test_a_close_ends_a_waiting_reader(run, edge_of, threads):
    """Whoever waits for events does not wait for ever."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            reader = edge.events()
            both = [asyncio.create_task(anext(reader, "the end")) for _ in range(2)]
            await asyncio.sleep(0)
        assert await asyncio.gather(*both) == ["the end"] * 2
        assert await anext(edge.events(), "the end") == "the end"

    run(main())


def test_events_may_be_read_from_before_the_start(run, edge_of, body):
    """So that nothing is missed."""

    async def main() -> None:
        edge = edge_of(authority="edge")
        reader = edge.events()
        grant = edge.grant(await edge.load(body), "device")
        async with edge:
            await asyncio.to_thread(ask, edge, grant.key, 0)
            assert (await anext(reader)).grant is grant

    run(main())
