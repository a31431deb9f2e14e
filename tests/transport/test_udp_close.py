"""The endpoint's end: nothing unanswered, nothing left open, in whatever state the end comes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from headgate.engine.responder import Responder
from headgate.errors import AddressError
from headgate.transport import udp
from headgate.transport.sockets import Bound
from headgate.transport.udp import UdpEndpoint
from peer import Peer, eventually, ping
from reference import coap


def descriptors() -> set[str]:
    """The open descriptors of this process, and what each is."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
    return found


# -- the end --


def test_what_was_queued_before_the_close_is_answered(run, serving, responder, threads):
    """Devices that asked in time do not wait for their next try."""

    async def main() -> None:
        async with serving(responder, threads=threads) as endpoint:
            peers = [Peer(endpoint.address[1]) for _ in range(4)]
            for message_id in range(100):
                for peer in peers:
                    peer.send(ping(message_id))
            # No await: the loop has not read any of them yet.
        for peer in peers:
            assert [heard.message_id for heard in peer.waiting()] == list(range(100))
            peer.socket.close()
        assert endpoint.outcomes()["ping"] == 400

    run(main())


def test_what_was_handed_over_before_the_close_is_taken(run, serving, catalog, threads):
    """All of it, also what is more than one take."""
    taken = []

    async def main() -> None:
        responder = Responder(catalog, handover=True)
        async with serving(responder, lambda *record: taken.append(record), threads=threads) as endpoint:
            peers = [Peer(endpoint.address[1]) for _ in range(4)]
            for _ in range(4):
                for _ in range(100):
                    for peer in peers:
                        peer.send(bytes.fromhex("50450000"))
                await asyncio.sleep(0)
            for peer in peers:
                peer.socket.close()

    run(main())
    assert len(taken) == 1600


def test_what_is_handed_over_at_the_close_can_be_answered(run, serving, catalog, threads):
    """The descriptors are open until the last record has been taken."""

    async def main() -> None:
        def answer(kind: str, value: object) -> None:
            address, control, data = value
            endpoint.send(address, control, ping(int.from_bytes(data[2:4], "big")))

        async with serving(Responder(catalog, handover=True), answer, threads=threads) as endpoint:
            peer = Peer(endpoint.address[1])
            for number in range(50):
                peer.send(bytes.fromhex("5045") + number.to_bytes(2, "big"))
        assert [heard.message_id for heard in peer.waiting()] == list(range(50))
        peer.socket.close()

    run(main())


def test_closing_again_does_nothing(run, serving, responder, threads):
    """Also while the first close is under way; counters can still be read."""

    async def main() -> None:
        before = descriptors()
        async with serving(responder, threads=threads) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                await asyncio.to_thread(peer.exchange, ping(1), 1)
            await asyncio.gather(endpoint.close(), endpoint.close())
            # The numbers of the closed descriptors may belong to others now: they must not be touched.
            others = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
            await endpoint.close()
            with pytest.raises(OSError, match="closed") as caught:
                endpoint.send(b"\x02\x00" + bytes(14), b"", ping(1))
            assert caught.value.errno == errno.EBADF
        for other in others:
            other.close()
        assert endpoint.outcomes()["ping"] == 1
        assert {fd for fd in descriptors() - before if "socket" in fd or "eventfd" in fd} == set()

    run(main())


def test_the_port_is_free_after_the_close(run, serving, responder, threads):
    """At once, for an endpoint of the other kind too."""

    async def main() -> None:
        async with serving(responder, threads=threads) as endpoint:
            port = endpoint.address[1]
            with pytest.raises(AddressError, match="is taken"):
                udp.bind("127.0.0.1", port, count=max(1, threads), receive_buffer_bytes=1 << 16)
        for count in (1, 2):
            for bound in udp.bind("127.0.0.1", port, count=count, receive_buffer_bytes=1 << 16):
                bound.socket.close()

    run(main())


def test_an_endpoint_that_was_never_started_can_be_closed(run, endpoint_of, responder, threads):
    """It has sockets to close, and nothing else."""

    async def main() -> None:
        before = descriptors()
        await endpoint_of(responder, threads=threads).close()
        assert {fd for fd in descriptors() - before if "socket" in fd or "eventfd" in fd} == set()

    run(main())


@pytest.mark.parametrize(
    "wrong",
    [{"threads": -1}, {"threads": 65}, {"ring_bytes": 1000}, {"host": "203.0.113.7"}, {"port": 70000}],
    ids=str,
)
def test_a_wrong_argument_leaves_nothing_open(endpoint_of, responder, threads, wrong):
    """Neither sockets nor the threads' eventfd."""
    before = descriptors()
    with pytest.raises((ValueError, AddressError)):
        endpoint_of(responder, **({"threads": threads} | wrong))
    gc.collect()
    assert descriptors() <= before


def test_a_cancelled_close_closes(run, serving, responder, threads):
    """Who waits no longer gets the descriptors back all the same."""

    async def main() -> None:
        async with serving(responder, threads=threads) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                peer.send(ping(1))
                closing = asyncio.create_task(endpoint.close())
                await asyncio.sleep(0)
                closing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await closing
                assert peer.hear().message_id == 1
                with pytest.raises(OSError, match="closed"):
                    endpoint.send(b"", b"", b"")
        assert not any(thread.name.startswith("headgate-listener") for thread in threading.enumerate())

    run(main())


# -- a socket that is full, or that breaks --


@pytest.fixture
def unix(monkeypatch, closing) -> socket.socket:
    """Endpoints are bound to an AF_UNIX socket instead: one whose peers can be full."""
    server = closing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    server.bind("")
    monkeypatch.setattr(udp, "bind", lambda *_, **__: [Bound(server, False)])
    return server


def unix_peer(server: socket.socket) -> socket.socket:
    """A client that takes what it reads, and no more."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.bind("")
    client.connect(server.getsockname())
    client.setblocking(False)
    return client


async def until_blocked(endpoint: UdpEndpoint, client: socket.socket) -> int:
    """Ask without reading until replies wait; how many were asked."""
    asked = 0
    while endpoint.counts()["send blocked"] == 0:
        with contextlib.suppress(BlockingIOError):
            client.send(ping(asked))
            asked += 1
        await asyncio.sleep(0)
    return asked


def read_all(client: socket.socket) -> list[int]:
    """Message ids of what has arrived."""
    ids = []
    with contextlib.suppress(BlockingIOError):
        while True:
            ids.append(coap.parse(client.recv(4096)).message_id)
    return ids


def test_a_full_socket_is_served_on_when_there_is_room(run, serving, responder, unix):
    """Replies wait, in order, and the loop does not spin on the datagrams behind them."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with unix_peer(unix) as client:
                asked = await until_blocked(endpoint, client)
                ids = []
                while len(ids) < asked:
                    ids += read_all(client)
                    await asyncio.sleep(0)
                assert ids == list(range(asked))
                client.send(ping(999))
                assert await eventually(lambda: read_all(client)) == [999]

    run(main())


def test_a_close_waits_for_room(run, serving, responder, unix):
    """A moment of it, for what was received is answered."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with unix_peer(unix) as client:
                asked = await until_blocked(endpoint, client)
                closing = asyncio.create_task(endpoint.close())
                ids = []
                while len(ids) < asked:
                    ids += read_all(client)
                    await asyncio.sleep(0)
                await closing
                assert ids == list(range(asked))

    run(main())


def test_a_close_does_not_wait_for_ever(run, serving, responder, unix, monkeypatch):
    """A peer that never reads costs a bounded time and its own replies."""
    monkeypatch.setattr(udp, "STOP_WRITABLE_S", 0.05)

    async def main() -> None:
        async with serving(responder) as endpoint:
            with unix_peer(unix) as client:
                asked = await until_blocked(endpoint, client)
                await endpoint.close()
                ids = read_all(client)
                assert ids == list(range(len(ids)))
                counts = endpoint.counts()
                assert counts["sent"] == len(ids) < asked
                assert counts["sent"] + counts["send failed"] == endpoint.outcomes()["ping"]

    run(main())


def test_a_close_cancelled_while_it_waits_closes(run, serving, responder, unix, catalog):
    """The replies are given up, the descriptor is closed, and the catalog is left."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with unix_peer(unix) as client:
                await until_blocked(endpoint, client)
                closing = asyncio.create_task(endpoint.close())
                await asyncio.sleep(0)
                closing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await closing
                assert unix.fileno() == -1
                assert endpoint.counts()["send failed"] > 0
        catalog.withdraw(b"fw")
        assert catalog.reclaim() == 0

    run(main())


@pytest.fixture
def no_socket() -> Iterator[int]:
    """A descriptor that no datagram comes from."""
    with open(os.devnull, "rb") as nothing:
        yield nothing.fileno()


@pytest.mark.parametrize("threads", [0, 1])
def test_a_socket_that_breaks_is_told(run, serving, responder, unix, threads, no_socket):
    """`failure` has the error, the loop's exception handler hears of it, and the close is a close."""
    told = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with serving(responder, threads=threads) as endpoint:
            with unix_peer(unix) as client:
                os.dup2(no_socket, unix.fileno())  # no socket any more
                if threads == 0:
                    await endpoint.close()
                else:
                    with contextlib.suppress(ConnectionRefusedError):  # the thread has noticed already
                        client.send(ping(1))
                await eventually(lambda: told)
            assert endpoint.failure is not None
            assert endpoint.failure.errno == errno.ENOTSOCK
        assert told[0]["exception"] is endpoint.failure

    run(main())


def standing() -> list[threading.Thread]:
    """Threads that stand in for the loop."""
    return [each for each in threading.enumerate() if each.name == "headgate-stand-in"]


def test_replies_that_wait_for_room_go_with_the_socket(run, serving, responder, unix):
    """From the loop to the thread and back, in their order."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with unix_peer(unix) as client:
                asked = await until_blocked(endpoint, client)
                with endpoint.stood_in():
                    await asyncio.sleep(0)
                await eventually(lambda: not standing())
                assert endpoint.counts()["send failed"] == 0
                ids: list[int] = []
                while len(ids) < asked:
                    ids += read_all(client)
                    await asyncio.sleep(0)
                assert ids == list(range(asked))

    run(main())


def test_replies_that_wait_while_it_stands_in_leave_the_catalog(run, serving, responder, unix, catalog):
    """A close that is cancelled gives them up, as it does those of the loop."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with unix_peer(unix) as client:
                await until_blocked(endpoint, client)
                with endpoint.stood_in():
                    closing = asyncio.create_task(endpoint.close())
                    await asyncio.sleep(0)
                    closing.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await closing
                counts = endpoint.counts()
                assert counts["send failed"] > 0
                assert counts["sent"] + counts["send failed"] == endpoint.outcomes()["ping"]
            catalog.withdraw(b"fw")
            assert catalog.reclaim() == 0

    run(main())


@pytest.mark.parametrize("stands_in", [False, True], ids=["loop", "stand-in"])
def test_a_socket_that_breaks_is_told_once(run, serving, responder, unix, no_socket, stands_in):
    """Whoever meets it; then nobody stands in any more, and the close has nothing more to say."""
    told = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        async with serving(responder) as endpoint:
            os.dup2(no_socket, unix.fileno())
            if stands_in:
                with endpoint.stood_in():
                    await eventually(lambda: endpoint.failure is not None)
            else:
                endpoint._readable()
            with endpoint.stood_in():
                assert not standing()
            assert told == [endpoint.failure]
        assert told == [endpoint.failure]

    run(main())
