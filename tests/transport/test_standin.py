"""A thread stands in for the loop: a loop that is kept keeps no block, and each datagram has one answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading

import pytest

from headgate.engine.responder import Responder
from peer import NON, Peer, eventually, package_of, ping


def standing() -> list[threading.Thread]:
    """Threads that stand in."""
    return [each for each in threading.enumerate() if each.name == "headgate-stand-in"]


async def loop_serves() -> None:
    """Wait until no thread stands in any more."""
    await eventually(lambda: not standing())


def test_a_loop_that_is_kept_keeps_no_download(run, serving, responder, body):
    """It waits for the download here, which nobody but a thread can answer."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer, endpoint.stood_in():
                assert peer.download("fw", 4) == body
            await loop_serves()
            with Peer(endpoint.address[1]) as peer:
                assert await asyncio.to_thread(peer.download, "fw", 4) == body
                assert not standing()

    run(main())


def test_who_stands_in_sleeps_while_nobody_asks(run, serving, responder):
    """Some loops make a socket that they look after non-blocking: a thread would spin on it."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            [bound] = endpoint._bound
            for _ in range(2):
                with endpoint.stood_in():
                    assert os.get_blocking(bound.socket.fileno())
                    await asyncio.sleep(0)
                await loop_serves()

    run(main())


def test_several_at_once_are_one(run, serving, responder, body):
    """The thread stays until the last of them has ended."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                with endpoint.stood_in():
                    with endpoint.stood_in():
                        assert len(standing()) == 1
                    assert peer.download("fw", 4) == body
                await loop_serves()

    run(main())


def test_threads_need_nobody_to_stand_in(run, serving, responder, body):
    """They serve on."""

    async def main() -> None:
        async with serving(responder, threads=1) as endpoint:
            with Peer(endpoint.address[1]) as peer, endpoint.stood_in():
                assert not standing()
                assert peer.download("fw", 4) == body

    run(main())


def test_taking_turns_costs_no_answer(run, serving, responder):
    """Fifty changes from one to the other, some before the one before is through, and a ping in each."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                for turn in range(50):
                    peer.send(ping(2 * turn))
                    with endpoint.stood_in():
                        peer.send(ping(2 * turn + 1))
                        await asyncio.sleep(0)
                    if turn % 10 == 9:
                        await loop_serves()
                heard = [await asyncio.to_thread(peer.hear) for _ in range(100)]
                assert [each.message_id for each in heard] == list(range(100))
                await loop_serves()
            assert endpoint.outcomes()["ping"] == endpoint.counts()["sent"] == 100

    run(main())


def test_what_a_stand_in_hands_over_is_taken(run, serving, catalog):
    """It wakes the loop, and what was handed over before it came and after it went is in order too."""
    taken: list[int] = []

    def take(kind: str, value: object) -> None:
        assert kind == "datagram"
        taken.append(int.from_bytes(value[2][2:4], "big"))

    async def main() -> None:
        async with serving(Responder(catalog, handover=True), on_handover=take) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                for turn in range(10):
                    peer.send(request(2 * turn))
                    with endpoint.stood_in():
                        peer.send(request(2 * turn + 1))
                        await eventually(lambda turn=turn: len(taken) == 2 * turn + 2)
                    await loop_serves()
        assert taken == list(range(20))

    run(main())


def request(message_id: int) -> bytes:
    """A POST that no package answers, without a token."""
    return bytes((0x40 | NON << 4, 2)) + message_id.to_bytes(2, "big") + b"\xb2rd"


@pytest.mark.parametrize("cancelled", [False, True], ids=["awaited", "cancelled"])
def test_a_close_ends_it(run, serving, responder, cancelled):
    """Whoever stands in has answered what was there, and neither thread nor socket is left."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer, endpoint.stood_in():
                peer.send(ping(1))
                closing = asyncio.create_task(endpoint.close())
                if cancelled:
                    await asyncio.sleep(0)
                    closing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await closing
                assert peer.hear().message_id == 1
                assert not standing()
        with endpoint.stood_in():
            assert not standing()

    run(main())


def test_what_came_since_it_ended_is_answered_by_a_cancelled_close(run, serving, responder):
    """The thread has ended, and the loop has not heard of it yet: nobody serves just then."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                with endpoint.stood_in():
                    [thread] = standing()
                thread.join()
                peer.send(ping(1))
                # Not a task: it is cancelled as it waits for the first time.
                closing = endpoint.close()
                with contextlib.suppress(StopIteration, asyncio.CancelledError):
                    closing.send(None)
                    closing.throw(asyncio.CancelledError)
                assert peer.hear().message_id == 1
                with pytest.raises(OSError, match="closed"):
                    endpoint.send(b"", b"", b"")

    run(main())


def test_it_can_be_closed_when_its_loop_is(endpoint_of, responder):
    """By another loop, which no thread was told of."""

    async def begin() -> None:
        endpoint.start()
        endpoint.stood_in().__enter__()

    endpoint = endpoint_of(responder)
    with Peer(endpoint.address[1]) as peer:
        asyncio.run(begin())
        peer.send(ping(1))
        asyncio.run(asyncio.wait_for(endpoint.close(), 10))
        assert peer.hear().message_id == 1
    assert not standing()


def test_a_system_without_threads_is_served_by_the_loop(run, serving, responder, monkeypatch):
    """As if nobody had asked for one; it is told, and asked for again the next time."""
    told = []

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                with monkeypatch.context() as patch:
                    patch.setattr(threading.Thread, "start", refuse)
                    with endpoint.stood_in():
                        pass
                assert [str(each) for each in told] == ["can't start new thread"]
                peer.send(ping(1))
                assert await eventually(peer.waiting)
                with endpoint.stood_in():
                    peer.send(ping(2))
                    assert peer.hear().message_id == 2

    run(main())


def test_it_begins_on_the_loop_alone(run, serving, responder, body):
    """Who asks elsewhere is told so, and leaves nothing behind."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with pytest.raises(RuntimeError):
                await asyncio.to_thread(endpoint.stood_in().__enter__)
            with Peer(endpoint.address[1]) as peer, endpoint.stood_in():
                assert peer.download("fw", 4) == body
            await loop_serves()

    run(main())


def test_packages_are_withdrawn_under_it(run, serving, catalog, responder, body):
    """A reader that changed hands leaves the catalog as any other."""

    async def main() -> None:
        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer, endpoint.stood_in():
                assert peer.download("fw", 4) == body
                catalog.withdraw(b"fw")
                catalog.publish(b"fw", package_of(body[:100]))
                assert peer.download("fw", 4) == body[:100]
            await loop_serves()
        assert catalog.reclaim() == 0

    run(main())
