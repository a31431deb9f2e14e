"""The endpoint: the same serving on either loop or in threads, and a door for what is handed over."""

from __future__ import annotations

import asyncio

from headgate.engine.responder import Responder
from peer import NON, Message, Peer, eventually, get, loopback_addresses, package_of, ping
from reference import coap

# -- serving --


def test_devices_are_served(run, serving, responder, threads, body):
    """Four at once, whole bodies, on every address of both families."""

    async def main() -> None:
        async with serving(responder, threads=threads, host=None) as endpoint:
            peers = [Peer(endpoint.address[1], to) for to in loopback_addresses()]
            bodies = await asyncio.gather(
                *(asyncio.to_thread(peer.download, "fw", number) for number, peer in enumerate(peers))
            )
            assert set(bodies) == {body}
            assert endpoint.outcomes()["2.05"] >= sum(-(-3000 // (16 << szx)) for szx in range(len(peers)))
            # A thread counts a batch as sent after it was: the last may be there before that.
            await eventually(lambda: endpoint.counts()["sent"] == sum(endpoint.outcomes().values()))
            assert endpoint.failure is None
            assert endpoint.receive_buffer_bytes > 0
        for peer in peers:
            peer.socket.close()

    run(main())


def test_what_came_before_the_start_is_answered(run, endpoint_of, responder, threads):
    """The socket is bound at once; devices that ask meanwhile do not wait for their next try."""

    async def main() -> None:
        endpoint = endpoint_of(responder, threads=threads)
        with Peer(endpoint.address[1]) as peer:
            peer.send(ping(1))
            endpoint.start()
            assert (await asyncio.to_thread(peer.hear)).message_id == 1
            await endpoint.close()

    run(main())


def test_the_loop_has_its_turn_between_drains(run, serving, responder):
    """More than one drain's worth is queued: other callbacks run in between, and all is answered."""

    async def main() -> None:
        turns = 0

        def turn() -> None:
            nonlocal turns
            turns += 1
            if endpoint.outcomes()["ping"] < 513:
                asyncio.get_running_loop().call_soon(turn)

        async with serving(responder) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                for message_id in range(513):
                    peer.send(ping(message_id))
                turn()
                await eventually(lambda: endpoint.outcomes()["ping"] == 513)
                assert len(peer.waiting()) == 513
        assert turns > 1

    run(main())


# -- what is handed over --


def test_what_is_handed_over_can_be_answered(run, serving, catalog, threads):
    """The server's door: take a datagram, send one back to where it came from, and from where it was sent."""

    async def main() -> None:
        def answer(kind: str, value: object) -> None:
            assert kind == "datagram"
            address, control, data = value
            request = coap.parse(data)
            reply = Message(type=NON, code=0x44, message_id=request.message_id, token=request.token)
            endpoint.send(address, control, coap.encode(reply))

        responder = Responder(catalog, handover=True)
        async with serving(responder, answer, threads=threads, host=None) as endpoint:
            for to in loopback_addresses():
                with Peer(endpoint.address[1], to) as peer:
                    update = get("rd/5a3f", code=0x02, token=to.encode())
                    heard = await asyncio.to_thread(peer.exchange, update, 1)
                    assert (heard.code, heard.token) == (0x44, to.encode())

    run(main())


def test_everything_handed_over_is_taken_in_order(run, serving, catalog, threads):
    """More records than one take brings; those of one device stay in order."""
    taken: dict[bytes, list[int]] = {}

    def take(kind: str, value: object) -> None:
        address, _, data = value
        taken.setdefault(address, []).append(int.from_bytes(data[2:4], "big"))

    async def main() -> None:
        async with serving(Responder(catalog, handover=True), take, threads=threads) as endpoint:
            peers = [Peer(endpoint.address[1]) for _ in range(8)]

            def talk() -> None:
                for number in range(400):
                    for peer in peers:
                        peer.send(bytes.fromhex("5045") + number.to_bytes(2, "big"))
                    if number % 40 == 39:
                        for peer in peers:  # what was answered was taken from the socket's queue
                            peer.exchange(ping(0xFFFF), 0xFFFF)

            await asyncio.to_thread(talk)
        assert endpoint.counts()["ring full"] == 0
        for peer in peers:
            peer.socket.close()

    run(main())
    assert list(taken.values()) == [list(range(400))] * 8


def test_more_than_one_turn_takes_is_taken_in_the_next_ones(run, serving, catalog):
    """Nothing else has to happen for that: no datagram, no wake-up."""
    taken = []

    async def main() -> None:
        responder = Responder(catalog, handover=True)
        async with serving(responder, lambda *record: taken.append(record), threads=1) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                for number in range(30):
                    for _ in range(100):
                        peer.send(bytes.fromhex("50450000"))
                    peer.exchange(ping(number), number)  # no await: the loop has no turn meanwhile
                await eventually(lambda: len(taken) == 3000)

    run(main())


def test_one_failing_record_does_not_cost_the_others(run, serving, catalog, threads):
    """The handler's exception goes to the loop's handler; the records behind it are taken."""
    taken = []
    told = []

    def take(kind: str, value: object) -> None:
        taken.append(value[2])
        raise RuntimeError(f"record {len(taken)}")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with serving(Responder(catalog, handover=True), take, threads=threads) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                for number in range(20):
                    peer.send(bytes.fromhex("5045") + number.to_bytes(2, "big"))
                await asyncio.to_thread(peer.exchange, ping(1), 1)

    run(main())
    assert len(taken) == 20
    assert [str(context["exception"]) for context in told] == [f"record {n}" for n in range(1, 21)]


def test_marks_are_delivered_on_demand(run, serving, catalog, responder, threads, body):
    """`deliver` hands over what the threads have told by now, without the loop's turn."""
    index = catalog.grant(b"key", package_of(body))
    taken = []

    async def main() -> None:
        async with serving(responder, lambda *record: taken.append(record), threads=threads) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                download = asyncio.to_thread(peer.download, "key")
                assert await download == body
                endpoint.deliver()
                assert taken == [("started", index), ("completed", index)]

    run(main())


def test_what_is_not_received_yet_is_told(run, endpoint_of, responder, threads):
    """As the kernel accounts it: nothing, more than was sent, and nothing once it is received or closed."""

    async def main() -> None:
        endpoint = endpoint_of(responder, threads=threads)
        assert endpoint.unread_bytes == 0
        with Peer(endpoint.address[1]) as peer:
            for number in range(8):
                peer.send(ping(number))
            assert endpoint.unread_bytes > len(ping(1))
            endpoint.start()
            await eventually(lambda: endpoint.unread_bytes == 0)
            await endpoint.close()
        assert endpoint.unread_bytes == 0

    run(main())
