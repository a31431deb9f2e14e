"""An Edge begins and ends once, and whatever its owner does in between or instead, it ends clean."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import weakref

import pytest

from headgate import Edge
from headgate.errors import AddressError
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


def test_one_loop_after_another(run, edge_of, body):
    """Packages published on one loop are served by an Edge that starts on the next one."""
    edge = edge_of()
    run(edge.publish("fw", body))

    async def main() -> None:
        async with edge:
            with Peer(edge.port) as peer:
                assert await asyncio.to_thread(peer.download, "fw") == body

    run(main())
