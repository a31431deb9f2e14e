"""The counters add up, whatever devices and others send."""

from __future__ import annotations

import asyncio
import random
import socket
from dataclasses import asdict

import pytest

from datagrams import empty, request
from headgate.engine.responder import OUTCOMES
from peer import ACK, NON, RST, Peer, get, ping

HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "one byte": b"\x40",
    "another version": bytes.fromhex("c0000000"),
    "a token past the end": bytes.fromhex("48010001"),
    "a reserved token length": bytes.fromhex("4f010001"),
    "an option past the end": bytes.fromhex("40010001bd"),
    "a marker and no payload": bytes.fromhex("40010001ff"),
    "a NON that is broken": bytes.fromhex("50010001ff"),
    "a reserved class": bytes.fromhex("40c00001"),
    "a request as an ACK": request("fw", type=ACK),
    "a response for nobody": request("fw", code=0x45),
    "a NON response for nobody": request("fw", type=NON, code=0x45),
    "an ACK of nothing": empty(ACK),
    "a Reset of nothing": empty(RST),
    "a ping": ping(1),
    "an unknown path": get("nothing"),
    "no path": request(None),
    "another method": get("fw", code=0x03),
    "a method from the future": get("fw", code=0x1F),
    "a block past the end": get("fw", (1 << 19, 0)),
    "the reserved block size": get("fw", (0, 7)),
    "a proxy": get("fw", options=((35, b"coap://else"),)),
    "another format": get("fw", options=((17, b"\x00"),)),
    "a critical option": get("fw", options=((65001, b""),)),
    "a NON with a critical option": get("fw", type=NON, options=((65001, b""),)),
    "If-None-Match": get("fw", options=((5, b""),)),
    "a long request": get("fw", code=0x02, payload=bytes(2049)),
    "a long response": get("fw", type=NON, code=0x45, payload=bytes(2049)),
    "a block": get("fw", (1, 2)),
    "a block again": get("fw", (1, 2)),
    "no block named": get("fw", type=NON),
    "the list": get(".well-known/core"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_each_datagram_is_counted_once(run, edge_of, body, kind):
    """Under one answer or one silence, and answered as often as that says."""

    async def main() -> None:
        async with edge_of() as edge:
            await edge.publish("fw", body)
            with Peer(edge.port) as peer:
                peer.send(HOSTILE[kind])
                peer.send(ping(0xFFFF))
                heard = []
                while not heard or heard[-1].message_id != 0xFFFF:
                    heard.append(await asyncio.to_thread(peer.hear))
        stats = edge.stats
        assert stats.received == 2
        assert sum(stats.answered.values()) + sum(stats.dropped.values()) == 2
        assert stats.sent == sum(stats.answered.values()) == len(heard)

    run(main())


def test_a_hostile_load_adds_up(run, edge_of, threads, body):
    """All of it from many ports at once, and noise; meanwhile a device downloads, and every byte is right."""
    noise = random.Random(5683)

    def load(port: int) -> int:
        peers = [Peer(port) for _ in range(20)]
        sent = 0
        for number in range(60):
            for peer in peers:
                if noise.random() < 0.5:
                    peer.send(noise.randbytes(noise.randrange(60)))
                else:
                    peer.send(noise.choice(list(HOSTILE.values())))
                sent += 1
            if number % 5 == 4:  # so that no queue runs over: what the kernel drops nobody counts
                for peer in peers:
                    peer.send(ping(0xABCD))
                    sent += 1
                    while peer.hear_any()[:4] != bytes.fromhex("7000abcd"):
                        pass
        for peer in peers:
            peer.socket.close()
        return sent

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            await edge.publish("fw", body)
            grant = edge.grant(await edge.load(body), "device")
            with Peer(edge.port) as device:
                sent, downloaded = await asyncio.gather(
                    asyncio.to_thread(load, edge.port), asyncio.to_thread(device.download, grant.key, 2)
                )
            assert downloaded == body
        stats = edge.stats
        assert stats.received >= sent + grant.progress.blocks
        assert stats.received == (
            sum(stats.answered.values()) + sum(stats.dropped.values()) + stats.handed_over
        )
        assert stats.handed_over == stats.ring_full == 0
        assert stats.sent + stats.send_failed == sum(stats.answered.values())
        assert stats.blocks == stats.answered["2.05"] >= grant.progress.blocks
        assert stats.payload_bytes >= grant.progress.bytes >= len(body)
        assert 0 < stats.batches <= stats.received
        assert [*stats.answered, *stats.dropped, "handed over"] == list(OUTCOMES)
        unasked = {"2.03", "multicast", "separate response"}
        unasked |= {name for name in OUTCOMES if name.startswith("segment")}
        assert all(count > 0 for name, count in stats.answered.items() if name not in unasked)
        assert all(count > 0 for name, count in stats.dropped.items() if name not in unasked)

    run(main())


def test_stats_are_values(run, edge_of, body, download):
    """A snapshot does not change; the end's can be read after the end, and everything can be printed."""

    async def main() -> None:
        async with edge_of() as edge:
            before = edge.stats
            await edge.publish("fw", body)
            await download(edge, "fw", 6)
            after = edge.stats
        assert (before.blocks, before.payload_bytes, before.packages) == (0, 0, 0)
        assert (after.blocks, after.payload_bytes, after.packages, after.last_blocks) == (5, 5000, 1, 1)
        assert after.receive_buffer_bytes > 0
        assert asdict(edge.stats) == asdict(after)

    run(main())


def test_a_flood_of_unanswerable_things_costs_no_reply(run, edge_of):
    """ACKs and Resets are never answered: two such edges cannot be set against each other."""

    async def main() -> None:
        async with edge_of() as edge, edge_of() as other:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spoofed:
                spoofed.bind(("127.0.0.1", 0))
                for datagram in (empty(ACK), empty(RST), request("fw", type=ACK, code=0x45)):
                    spoofed.sendto(datagram, ("127.0.0.1", edge.port))
            with Peer(edge.port) as peer:
                await asyncio.to_thread(peer.exchange, ping(1), 1)
            assert edge.stats.sent == 1
            assert edge.stats.dropped["unmatched"] == 3
            assert other.stats.received == 0

    run(main())
