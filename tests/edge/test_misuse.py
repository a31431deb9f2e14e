"""What owners do that nobody should: an Edge says no in a sentence, or takes it, and ends clean."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate import DownloadProgressed, DownloadStalled, DownloadStarted
from headgate.errors import AddressError, PathError
from peer import Peer


def open_sockets() -> int:
    """Sockets and eventfds of this process."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith(("socket:", "anon_inode:[eventfd]"))
    return count


def test_what_needs_a_started_edge_says_so(edge_of):
    """Rather than fail on something that is not there yet."""
    edge = edge_of()
    for question in (
        lambda: edge.port,
        lambda: edge.host,
        lambda: edge.failure,
        lambda: edge.stats,
        lambda: edge.authority,
    ):
        with pytest.raises(RuntimeError, match="not started: use it in `async with`, or call bind"):
            question()


def test_what_is_done_after_the_end_harms_nothing(run, edge_of, threads, body):
    """Publishing, granting, withdrawing, reading: an owner's tasks may run a little longer than the Edge."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            package = await edge.publish("fw", body)
            grant = edge.grant(package, "device")
        await edge.publish("late", body[:1000])
        edge.grant(package, "late device")
        assert edge.withdraw(grant)
        assert edge.withdraw("fw")
        assert grant.progress.blocks == 0
        assert edge.stats.packages == 1
        assert edge.stats.grants == 1
        assert edge.failure is None
        assert [event async for event in edge.events()] == []

    run(main())


def test_a_publish_that_outlives_the_edge_ends(run, edge_of, long_file):
    """The copy under way is finished or dropped; nothing waits for a loop that is gone."""

    async def main() -> None:
        async with edge_of() as edge:
            publishing = asyncio.create_task(edge.publish("fw", long_file))
            await asyncio.sleep(0)
        assert len(await publishing) == long_file.stat().st_size

    run(main())


def test_a_cancelled_owner_ends_it(run, edge_of, threads):
    """Cancelled once in the body and once more in the close."""

    async def main() -> None:
        before = open_sockets()
        started = asyncio.Event()

        async def serve() -> None:
            async with edge_of(threads=threads):
                started.set()
                await asyncio.Event().wait()

        owner = asyncio.create_task(serve())
        await started.wait()
        owner.cancel()
        await asyncio.sleep(0)
        owner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await owner
        assert open_sockets() <= before

    run(main())


def test_an_exception_inside_ends_it(run, edge_of, threads, body):
    """The exception is what its owner sees; sockets and threads are gone."""

    async def main() -> None:
        before = open_sockets()
        edge = edge_of(threads=threads)

        async def fail() -> None:
            async with edge:
                await edge.publish("fw", body)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert open_sockets() <= before
        async with edge_of(port=edge.port):
            pass

    run(main())


def test_a_busy_executor_holds_no_close_up(run, edge_of, threads):
    """The owner's blocking calls fill the loop's threads; the edge needs none of them to end."""
    release = threading.Event()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
        blocked = asyncio.gather(*(asyncio.to_thread(release.wait, 30) for _ in range(3)))
        try:
            async with edge_of(threads=threads):
                pass
            assert not release.is_set()
        finally:
            release.set()
            await blocked

    run(main())


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"smallest_block": 48}, "16, 32, 64"),
        ({"largest_block": 2048}, "16, 32, 64"),
        ({"default_block": 0}, "16, 32, 64"),
        ({"smallest_block": 512, "largest_block": 256}, "larger than the largest"),
        ({"grants_max": 0}, "grants_max is 1 to 16776192"),
        ({"grants_max": 1 << 24}, "grants_max"),
        ({"look_every_s": 0}, "look_every_s is a time above 0"),
        ({"look_every_s": -1}, "look_every_s"),
        ({"look_every_s": math.nan}, "look_every_s"),
        ({"look_every_s": math.inf}, "look_every_s"),
        ({"stall_after_s": -1}, "stall_after_s"),
        ({"stall_after_s": math.nan}, "stall_after_s"),
        ({"secret": b""}, "at least 16 bytes, not 0"),
        ({"authority": ""}, "host"),
        ({"authority": "edge.example/fw"}, "host"),
        ({"authority": "edge.example\n"}, "host"),
        ({"receive_buffer_bytes": 0}, "receive_buffer_bytes"),
        ({"receive_buffer_bytes": 1 << 31}, "receive_buffer_bytes"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_at_once(edge_of, wrong, why):
    """At the construction, in a sentence that names it."""
    with pytest.raises(ValueError, match=why):
        edge_of(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"threads": 65}, {"threads": -1}, {"ring_bytes": 5}, {"host": "no such host"}, {"port": 65536}]
)
def test_what_cannot_be_started_leaves_nothing(run, edge_of, wrong):
    """No socket, no thread, and a close that has nothing to do."""

    async def main() -> None:
        before = open_sockets()
        edge = edge_of(**wrong)
        with pytest.raises((ValueError, AddressError)):
            await edge.start()
        await edge.close()
        assert open_sockets() <= before

    run(main())


def test_a_stall_time_of_infinity_is_never(run, edge_of, body, download):
    """An owner who wants no such event says so; the looks go on."""

    async def main() -> None:
        async with edge_of(stall_after_s=math.inf, look_every_s=0.001) as edge:
            grant = edge.grant(await edge.load(body), "device")
            reader = edge.events()
            with Peer(edge.port) as peer:
                await asyncio.to_thread(peer.ask, grant.key, (0, 6))
            kinds = [type(await anext(reader)) for _ in range(2)]
        assert kinds == [DownloadStarted, DownloadProgressed]
        assert DownloadStalled not in [type(event) async for event in reader]

    run(main())


def test_a_path_error_is_a_value_error():
    """Owners who never heard of us catch what they know."""
    assert issubclass(PathError, ValueError)
    assert issubclass(AddressError, OSError)
