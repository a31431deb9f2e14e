"""What an Edge does not serve itself: taken by whoever it was given to, and answered through it."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from headgate import Edge
from peer import CON, NON, Message, Peer, get, loopback_addresses
from reference import coap

POST = 0x02
CREATED = 0x41


class Taker:
    """Somebody who creates whatever is posted."""

    def __init__(self) -> None:
        self.edge: Edge | None = None
        self.taken: list[Message] = []

    def take(self, address: bytes, control: bytes, datagram: bytes) -> None:
        """Answer it from where it was sent to."""
        request = coap.parse(datagram)
        self.taken.append(request)
        reply = Message(type=NON, code=CREATED, message_id=request.message_id, token=request.token)
        self.edge.send(address, control, coap.encode(reply))


@pytest.fixture
def taker() -> Taker:
    """Give its `take` to an Edge, and the Edge to it."""
    return Taker()


def test_what_is_no_package_request_goes_to_its_taker(run, edge_of, taker, threads, download, body):
    """Requests and the answers to requests of ours; packages and pings stay the Edge's, on the same port."""

    async def main() -> None:
        async with edge_of(threads=threads, host=None, on_datagram=taker.take) as edge:
            taker.edge = edge
            await edge.publish("fw", body)
            for to in loopback_addresses():
                with Peer(edge.port, to) as peer:
                    asked = get("rd", code=POST, token=to.encode())
                    heard = await asyncio.to_thread(peer.exchange, asked, 1)
                    assert (heard.code, heard.token) == (CREATED, to.encode())
            assert await download(edge, "fw") == body
            taken = len(loopback_addresses())
            assert [message.code for message in taker.taken] == [POST] * taken
            assert edge.stats.handed_over == taken

    run(main())


def test_an_unknown_path_is_for_its_taker_to_answer(run, edge_of, taker):
    """It may be a resource of its own; a withdrawn grant's path too."""

    async def main() -> None:
        async with edge_of(on_datagram=taker.take) as edge:
            taker.edge = edge
            with Peer(edge.port) as peer:
                heard = await asyncio.to_thread(peer.exchange, get("else", type=CON), 1)
            assert heard.code == CREATED
            assert edge.stats.answered["4.04"] == 0

    run(main())


def test_without_a_taker_an_edge_answers_for_itself(run, edge_of, code_of):
    """As it always did."""

    async def main() -> None:
        async with edge_of() as edge:
            assert await code_of(edge, "else") == "4.04"
            assert edge.stats.handed_over == 0

    run(main())


def test_what_waited_for_the_start_is_taken_then(run, edge_of, taker, threads):
    """Between bind and start a device waits; it does not repeat itself, and is not refused."""

    async def main() -> None:
        edge = taker.edge = edge_of(threads=threads, on_datagram=taker.take)
        edge.bind()
        try:
            with Peer(edge.port) as peer:
                peer.send(get("rd", code=POST, message_id=7))
                await edge.start()
                assert (await asyncio.to_thread(peer.hear)).message_id == 7
        finally:
            await edge.close()

    run(main())


def test_nothing_is_sent_through_a_closed_edge(run, edge_of):
    """Its descriptor may be somebody else's by then; before it is bound there is none."""

    async def main() -> None:
        edge = edge_of(on_datagram=lambda *_: None)
        with pytest.raises(RuntimeError, match="not started"):
            edge.send(b"", b"", b"")
        async with edge:
            pass
        with pytest.raises(OSError, match="closed"):
            edge.send(b"", b"", b"")

    run(main())


def test_a_closed_edge_holds_nothing_of_its_taker(run, edge_of):
    """Nor its taker of it: both are gone without the cycle collector, and an Edge ends clean."""

    async def main() -> weakref.ref[Taker]:
        taker = Taker()
        async with edge_of(on_datagram=taker.take) as edge:
            taker.edge = edge
        return weakref.ref(taker)

    gc.disable()
    try:
        assert run(main())() is None
    finally:
        gc.enable()
