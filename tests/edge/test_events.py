"""Events: what happens to granted downloads, told to whoever reads, and never waiting for a reader."""

from __future__ import annotations

import asyncio
import time
from itertools import count

import pytest

from headgate import DownloadCompleted, DownloadProgressed, DownloadStalled, DownloadStarted
from headgate.edge import events, watch
from headgate.transport.udp import UdpEndpoint
from peer import Peer

LOOK_S = 0.01
STALL_S = 0.05


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


def kinds(heard) -> list[type]:
    """What happened, without repetitions in a row: looks may come once more, or once less."""
    found = [type(event) for event in heard]
    return [kind for kind, before in zip(found, [None, *found], strict=False) if kind is not before]


# -- what is told --


def test_a_download_is_told_from_start_to_end(run, edge_of, threads, body):
    """Started with its first block, progressed with some more, completed with its last."""

    async def main() -> None:
        async with edge_of(threads=threads, look_every_s=LOOK_S) as edge:
            grant = edge.grant(await edge.load(body), "device")
            reader = edge.events()
            await asyncio.to_thread(ask, edge, grant.key, 0, 1)
            began = await until(reader, DownloadProgressed)
            while began[-1].progress.offset_bytes < 2048:
                began += await until(reader, DownloadProgressed)
            await asyncio.to_thread(ask, edge, grant.key, 2, 3, 4)
            ended = await until(reader, DownloadCompleted)
            assert kinds(began) == [DownloadStarted, DownloadProgressed]
            assert kinds(ended)[-1] is DownloadCompleted
            assert DownloadStarted not in kinds(ended)
            assert all(event.grant is grant for event in began + ended)
            assert began[-1].progress.offset_bytes == 2048
            assert ended[-1].progress.served_to_end
            assert ended[-1].progress == grant.progress

    run(main())


def test_a_download_of_one_block_is_told_twice(run, edge_of, threads):
    """Started and completed; no look is needed for either."""

    async def main() -> None:
        async with edge_of(threads=threads, look_every_s=1000) as edge:
            grant = edge.grant(await edge.load(b"small"), "device")
            reader = edge.events()
            await asyncio.to_thread(ask, edge, grant.key, 0)
            heard = await until(reader, DownloadCompleted)
            assert [type(event) for event in heard] == [DownloadStarted, DownloadCompleted]

    run(main())


def test_a_pause_is_told_once_and_the_next_one_again(run, edge_of, threads, body):
    """Stalled when no block was served for the time; once per pause, however long it lasts."""

    async def main() -> None:
        async with edge_of(threads=threads, look_every_s=LOOK_S, stall_after_s=STALL_S) as edge:
            grant = edge.grant(await edge.load(body), "device")
            other = edge.grant(await edge.load(body), "other")
            reader = edge.events()
            for num in (0, 1):
                asked = time.monotonic()
                await asyncio.to_thread(ask, edge, grant.key, num)
                heard = await until(reader, DownloadStalled)
                assert time.monotonic() - asked >= STALL_S
                assert heard[-1].grant is grant
                assert heard[-1].progress.offset_bytes == 1024 * (num + 1)
                # Five more pauses' time, measured by another device's pauses: nothing more of this one.
                for again in range(2):
                    await asyncio.to_thread(ask, edge, other.key, again)
                    heard = await until(reader, DownloadStalled)
                    assert {event.grant for event in heard} == {other}

    run(main())


def test_what_was_served_to_its_end_neither_progresses_nor_stalls(run, edge_of, threads, body):
    """The device has it, or it will ask again."""

    async def main() -> None:
        async with edge_of(threads=threads, look_every_s=LOOK_S, stall_after_s=STALL_S) as edge:
            whole = edge.grant(await edge.load(body), "device")
            part = edge.grant(await edge.load(body), "other")
            reader = edge.events()
            await asyncio.to_thread(ask, edge, whole.key, 0, 1, 2, 3, 4)
            await until(reader, DownloadCompleted)
            await asyncio.to_thread(ask, edge, part.key, 0)
            heard = await until(reader, DownloadStalled)
            assert {event.grant for event in heard} == {part}

    run(main())


def test_starting_over_is_no_new_start(run, edge_of, body):
    """The grant started once; a repetition that reaches the end again may be told as completed again."""

    async def main() -> None:
        async with edge_of(look_every_s=1000) as edge:
            grant = edge.grant(await edge.load(body), "device")
            reader = edge.events()
            await asyncio.to_thread(ask, edge, grant.key, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4)
            await asyncio.to_thread(ask, edge, edge.grant(await edge.load(b"x"), "last").key, 0)
            heard = await until(reader, DownloadCompleted)
            while heard[-1].grant is grant:
                heard += await until(reader, DownloadCompleted)
            assert [type(event) for event in heard if event.grant is grant].count(DownloadStarted) == 1

    run(main())


def test_public_downloads_are_not_told(run, edge_of, body):
    """Nobody knows whose they are; they are counted in the stats."""

    async def main() -> None:
        async with edge_of(look_every_s=LOOK_S) as edge:
            await edge.publish("fw", body)
            grant = edge.grant(await edge.load(b"x"), "device")
            reader = edge.events()
            await asyncio.to_thread(ask, edge, "fw", 0, 1, 2, 3, 4)
            await asyncio.to_thread(ask, edge, grant.key, 0)
            heard = await until(reader, DownloadCompleted)
            assert {event.grant for event in heard} == {grant}
            assert edge.stats.last_blocks == 2

    run(main())


# -- order --


def test_the_start_is_told_before_progress(run, edge_of, body):
    """Also when the look comes first: a thread served the block, and the loop had no turn for its mark."""

    async def main() -> None:
        async with edge_of(threads=1, look_every_s=LOOK_S) as edge:
            grant = edge.grant(await edge.load(body), "device")
            reader = edge.events()
            with Peer(edge.port) as peer:
                due = time.monotonic() + 2 * LOOK_S
                while time.monotonic() < due:
                    pass
                asyncio.get_running_loop().call_soon(peer.ask, grant.key, (0, 6))  # right before the look
                assert kinds(await until(reader, DownloadProgressed)) == [DownloadStarted, DownloadProgressed]

    run(main())


def test_what_happened_before_a_withdrawal_is_told(run, edge_of, body):
    """The loop had no turn between the last block and the withdrawal."""

    async def main() -> None:
        async with edge_of(threads=1, look_every_s=1000) as edge:
            grant = edge.grant(await edge.load(body), "device")
            reader = edge.events()
            ask(edge, grant.key, 0, 1, 2, 3, 4)  # no await: the threads' marks wait
            assert edge.withdraw(grant)
            assert kinds(await until(reader, DownloadCompleted)) == [DownloadStarted, DownloadCompleted]

    run(main())


def test_a_grant_is_not_told_what_its_records_last_owner_did(run, edge_of, body):
    """Ledger records are used again; marks on their way name the record, not the grant."""

    async def main() -> None:
        async with edge_of(threads=1, look_every_s=1000) as edge:
            package = await edge.load(body)
            reader = edge.events()
            for number in range(10):
                grant = edge.grant(package, f"device {number}")
                if number % 2 == 0:
                    ask(edge, grant.key, 0, 1, 2, 3, 4)
                edge.withdraw(grant)
        heard = [event async for event in reader]
        assert [event.grant.endpoint for event in heard] == [
            f"device {number}" for number in range(0, 10, 2) for _ in range(2)
        ]
        assert all(event.progress.blocks > 0 for event in heard)

    run(main())


def test_late_marks_are_nobodys(run, edge_of, body, monkeypatch):
    """A thread's marks may come after the withdrawal: they are not the next grant's start or end."""
    deliver = UdpEndpoint.deliver

    async def main() -> None:
        async with edge_of(threads=1, look_every_s=1000) as edge:
            package = await edge.load(body)
            reader = edge.events()
            old = edge.grant(package, "old")
            ask(edge, old.key, 0, 1, 2, 3, 4)
            monkeypatch.setattr(UdpEndpoint, "deliver", lambda self: None)  # the marks are late
            edge.withdraw(old)
            monkeypatch.setattr(UdpEndpoint, "deliver", deliver)
            # The thread may be on its way out of the catalog yet; then the first ones get other records. They
            # keep them: of two that are free the other would be given out for ever.
            grants = (edge.grant(package, f"new {number}") for number in count())
            new = next(grant for grant in grants if grant.index == old.index)
            ask(edge, new.key, 0)
        assert [(type(event), event.grant) async for event in reader] == [(DownloadStarted, new)]

    run(main())


def test_what_was_asked_before_the_close_is_told(run, edge_of, threads, body):
    """Then the events end, for every reader, for good."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            grant = edge.grant(await edge.load(body), "device")
            readers = [edge.events() for _ in range(3)]
            with Peer(edge.port) as peer:
                await asyncio.to_thread(peer.download, grant.key)
        for reader in readers:
            heard = [event async for event in reader]
            assert kinds(heard)[0] is DownloadStarted
            assert kinds(heard)[-1] is DownloadCompleted
            assert [event async for event in reader] == []
            with pytest.raises(StopAsyncIteration):
                await anext(reader)

    run(main())


def test_a_look_tells_a_bounded_number_per_turn_of_the_loop(run, edge_of, monkeypatch, body):
    """Downloads on the same loop are served between the turns, and nothing is left out."""
    monkeypatch.setattr(watch, "TOLD_PER_TURN", 2)
    turns = 0
    told_in: list[int] = []
    announce = events.Announcer.announce

    def logged(self, event) -> None:
        if isinstance(event, DownloadProgressed):
            told_in.append(turns)
        announce(self, event)

    monkeypatch.setattr(events.Announcer, "announce", logged)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def turn() -> None:
            nonlocal turns
            turns += 1
            loop.call_soon(turn)

        async with edge_of(look_every_s=1000) as edge:
            package = await edge.load(body)
            grants = [edge.grant(package, f"device-{number}") for number in range(5)]
            reader = edge.events()
            for grant in grants:
                await asyncio.to_thread(ask, edge, grant.key, 0)
            turn()
            edge._watch.look()
            heard: set[object] = set()
            while len(heard) < len(grants):
                event = await anext(reader)
                if isinstance(event, DownloadProgressed):
                    heard.add(event.grant)
            assert heard == set(grants)
        assert [told_in.count(number) for number in sorted(set(told_in))] == [2, 2, 1]

    run(main())
