"""An Edge begins and ends once, and whatever its owner does in between or instead, it ends clean."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate import DownloadProgressed, DownloadStalled, DownloadStarted, Edge
from headgate.errors import AddressError, PathError
from peer import Peer, get, ping


def open_sockets() -> int:
    """Sockets and eventfds of this process."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith(("socket:", "anon_inode:[eventfd]"))
    return count


def test_it_serves_between_start_and_close(run, edge_of, download, threads, body):
    """By `async with`, on any loop, in any number of threads."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            await edge.publish("fw", body)
            assert await download(edge, "fw", 4) == body
            assert (edge.host, edge.failure) == ("127.0.0.1", None)
        with Peer(edge.port) as peer:
            peer.send(ping(1))
            with pytest.raises(ConnectionRefusedError):
                peer.hear()

    run(main())


def test_as_many_threads_as_there_can_be(run, edge_of, download, body):
    """64, and every download is whole wherever its port leads."""

    async def main() -> None:
        async with edge_of(threads=64) as edge:
            await edge.publish("fw", body)
            bodies = await asyncio.gather(*(download(edge, "fw") for _ in range(100)))
            assert set(bodies) == {body}
            assert edge.stats.last_blocks >= 100

    run(main())


def test_every_address_of_both_families_by_default(run, download, body):
    """No host is given in most deployments; the port is CoAP's unless told."""

    async def main() -> None:
        async with Edge(port=0) as edge:
            await edge.publish("fw", body)
            assert await download(edge, "fw") == body
            assert edge.host in ("::", "0.0.0.0")

    run(main())


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


def test_packages_may_be_published_before_the_start(run, edge_of, download, body):
    """So that the first device that asks is served; grants need to know the authority."""

    async def main() -> None:
        edge = edge_of()
        package = await edge.publish("fw", body)
        with pytest.raises(RuntimeError, match="not started"):
            edge.grant(package, "device")
        async with edge:
            assert await download(edge, "fw") == body
            assert await download(edge, edge.grant(package, "device").key) == body
        named = edge_of(authority="edge.example")
        grant = named.grant(await named.load(body), "device")
        assert grant.uri == f"coap://edge.example/{grant.key}"
        async with named:
            assert await download(named, grant.key) == body
            assert grant.progress.served_to_end

    run(main())


def test_what_is_asked_between_bind_and_start_waits(run, edge_of, threads, body):
    """Devices that resume after a restart hear nothing until their packages are there."""

    async def main() -> None:
        edge = edge_of(threads=threads)
        edge.bind()
        with Peer(edge.port) as peer:
            peer.send(get("fw", (1, 6), message_id=1))
            with pytest.raises(AddressError, match="is taken"):
                edge_of(port=edge.port).bind()
            grant = edge.grant(await edge.publish("fw", body), "device")
            assert grant.uri.startswith(f"coap://127.0.0.1:{edge.port}/")
            peer.send(get(grant.key, (2, 6), message_id=2))
            assert edge.stats.received == 0
            async with edge:
                answers = [await asyncio.to_thread(peer.hear) for _ in range(2)]
            assert [answer.payload for answer in answers] == [body[1024:2048], body[2048:3072]]

    run(main())


def test_what_is_asked_of_an_edge_that_never_starts_is_not_answered(run, edge_of, threads):
    """A restart that fails while packages are loaded tells nobody 4.04."""

    async def main() -> None:
        edge = edge_of(threads=threads)
        edge.bind()
        with Peer(edge.port) as peer:
            peer.send(get("fw", (1, 6), message_id=1))
            await edge.close()
            peer.send(ping(2))
            with pytest.raises(ConnectionRefusedError):
                peer.hear()
        assert edge.stats.received == 0

    run(main())


def test_it_is_bound_once(run, edge_of, threads):
    """And closed without having been started, as often as anybody likes."""

    async def main() -> None:
        before = open_sockets()
        edge = edge_of(threads=threads)
        edge.bind()
        with pytest.raises(RuntimeError, match="bound or started before"):
            edge.bind()
        await edge.close()
        await edge.close()
        assert open_sockets() <= before
        with pytest.raises(RuntimeError, match="make a new one"):
            await edge.start()
        async with edge_of(threads=threads) as started:
            with pytest.raises(RuntimeError, match="bound or started before"):
                started.bind()

    run(main())


def test_it_starts_once(run, edge_of, threads):
    """While it runs, and after its end: an Edge is one life."""

    async def main() -> None:
        edge = edge_of(threads=threads)
        await edge.start()
        with pytest.raises(RuntimeError, match="started before; make a new one"):
            await edge.start()
        await edge.close()
        with pytest.raises(RuntimeError, match="started before"):
            await edge.start()

    run(main())


def test_it_may_be_closed_at_any_time(run, edge_of, threads):
    """Before the start, twice, or twice at once; a `finally` needs no question first."""

    async def main() -> None:
        before = open_sockets()
        edge = edge_of(threads=threads)
        await edge.close()
        await edge.close()
        unfinished = edge_of(threads=threads)
        await unfinished.start()
        await asyncio.gather(unfinished.close(), unfinished.close())
        await unfinished.close()
        assert open_sockets() <= before

    run(main())


def test_a_failed_start_can_be_closed_and_tried_again(run, edge_of, threads, download, body):
    """The address was taken; when it is free, the same Edge starts."""

    async def main() -> None:
        async with edge_of() as other:
            edge = edge_of(port=other.port, threads=threads)
            for _ in range(2):
                with pytest.raises(AddressError, match=f"UDP port {other.port} of 127.0.0.1 is taken"):
                    await edge.start()
                await edge.close()
        await edge.start()
        try:
            await edge.publish("fw", body)
            assert await download(edge, "fw") == body
        finally:
            await edge.close()

    run(main())


@pytest.mark.parametrize("reuse", [0, 2])
def test_two_edges_do_not_share_a_port(run, edge_of, reuse, threads):
    """Each would get half of the devices, and neither would know."""

    async def main() -> None:
        async with edge_of(threads=reuse) as edge:
            with pytest.raises(AddressError, match="is taken"):
                await edge_of(port=edge.port, threads=threads).start()

    run(main())


def test_two_edges_in_one_process(run, edge_of, download, code_of, threads, body):
    """Each has its own packages, port and counters."""

    async def main() -> None:
        async with edge_of(threads=threads) as one, edge_of() as other:
            await one.publish("fw", body)
            await other.publish("fw", body[:100])
            assert await download(one, "fw") == body
            assert await download(other, "fw") == body[:100]
            assert await code_of(other, "else") == "4.04"
            assert one.stats.answered["4.04"] == 0
            assert other.stats.answered["4.04"] == 1

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


def test_a_closed_edge_that_nobody_holds_is_gone(run, edge_of, threads, body):
    """With its packages, at once: it does not wait for the cycle collector."""

    async def main() -> weakref.ref[Edge]:
        async with edge_of(threads=threads) as edge:
            edge.grant(await edge.publish("fw", body), "device")
            with Peer(edge.port) as peer:
                await asyncio.to_thread(peer.download, "fw")
        return weakref.ref(edge)

    gc.disable()
    try:
        assert run(main())() is None
    finally:
        gc.enable()


def test_a_publish_that_outlives_the_edge_ends(run, edge_of, long_file):
    """The copy under way is finished or dropped; nothing waits for a loop that is gone."""

    async def main() -> None:
        async with edge_of() as edge:
            publishing = asyncio.create_task(edge.publish("fw", long_file))
            await asyncio.sleep(0)
        assert len(await publishing) == long_file.stat().st_size

    run(main())


def test_one_loop_after_another(run, edge_of, body):
    """Packages published on one loop are served by an Edge that starts on the next one."""
    edge = edge_of()
    run(edge.publish("fw", body))

    async def main() -> None:
        async with edge:
            with Peer(edge.port) as peer:
                assert await asyncio.to_thread(peer.download, "fw") == body

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
