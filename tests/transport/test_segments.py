"""Segments over sockets: an ACK and a write for one datagram, whichever driver serves."""

from __future__ import annotations

import asyncio

from headgate.engine.responder import Responder
from headgate.engine.segments import Offer, SegmentGrant, Segments
from peer import Message, Peer, package_of
from reference import coap
from reference import segments as reference

DOWNLINK = bytes.fromhex("B2 3139 01 31 01 30 11 2A")
TOKEN = b"a token!"
CON, NON, ACK = 0, 1, 2
CONTENT, CHANGED, PUT = 0x45, 0x44, 0x03
BATCH = 64


def grant_in(catalog, body, size=500) -> SegmentGrant:
    """BODY to a device that asks for V1 under TOKEN."""
    segments = Segments(package_of(body), size=size)
    grant = SegmentGrant(catalog.ledger, Offer(segments, version=b"V1", downlink=DOWNLINK))
    catalog.grant_segments(TOKEN, grant)
    return grant


def asked(segment: int, *, type: int = CON, message_id: int = 1, version: bytes = b"V1") -> bytes:
    """A notification with a segment request."""
    payload = reference.request(version, segment)
    return coap.encode(Message(type=type, code=CONTENT, message_id=message_id, token=TOKEN, payload=payload))


def written(write: Message) -> bytes:
    """A device's 2.04, with its ACK."""
    return coap.encode(Message(type=ACK, code=CHANGED, message_id=write.message_id, token=write.token))


def download(peer, body: bytes, size: int) -> bytes:
    """All segments, one after the other, as a device gets them; an ACK comes before its write."""
    received = b""
    for segment in range(-(-len(body) // size)):
        peer.send(asked(segment, message_id=segment))
        ack, write = peer.hear(), peer.hear()
        assert (ack.type, ack.code, ack.message_id) == (ACK, 0, segment)
        assert (write.type, write.code, write.message_id & 0x8000) == (CON, PUT, 0x8000)
        assert write.payload == reference.answer(segment, body[segment * size :][:size])
        received += write.payload[11:]
        peer.send(written(write))
    return received


def test_full_batch_of_cons_is_answered_by_twice_as_many(listen, catalog, body):
    """64 requests in one batch: 64 ACKs and 64 writes in one send, in order."""
    grant_in(catalog, body, 32)
    house = listen()
    peer = house.peer()
    for segment in range(BATCH):
        peer.send(asked(segment, message_id=segment))
    assert house.listener.drain(batches=1) == "more"
    heard = peer.waiting()
    assert len(heard) == 2 * BATCH
    for segment in range(BATCH):
        ack, write = heard[2 * segment : 2 * segment + 2]
        assert (ack.type, ack.code, ack.message_id) == (ACK, 0, segment)
        assert write.payload == reference.answer(segment, body[segment * 32 :][:32])
    counts, outcomes = house.listener.counts(), house.listener.outcomes()
    assert (counts["sent"], counts["batches"], counts["payload bytes"]) == (2 * BATCH, 1, 32 * BATCH)
    assert outcomes["segment"] == sum(outcomes.values()) == BATCH


def test_batch_of_everything_keeps_its_order(listen, catalog, body):
    """Datagrams that draw two replies, one, none, or are handed over, mixed."""
    grant_in(catalog, body, 32)
    house = listen(answering=Responder(catalog, handover=True))
    peer = house.peer()
    ping = coap.encode(Message(type=CON, code=0, message_id=7))
    for datagram in (
        asked(0, message_id=1),
        ping,
        asked(0, message_id=2),
        asked(1, version=b"V2"),
        asked(1, type=NON),
        asked(1, type=NON),
        b"",
    ):
        peer.send(datagram)
    house.listener.drain()
    heard = [(message.type, message.code, len(message.payload)) for message in peer.waiting()]
    assert heard == [(ACK, 0, 0), (CON, PUT, 43), (3, 0, 0), (ACK, 0, 0), (CON, PUT, 43)]
    [(kind, _), (handed, (_, _, data))] = house.listener.take()
    assert (kind, handed, data) == ("started", "datagram", asked(1, version=b"V2"))
    outcomes = house.listener.outcomes()
    assert (outcomes["segment copy"], outcomes["segment copy in NON"], outcomes["handed over"]) == (1, 1, 1)


def test_first_and_last_segment_leave_marks(listen, catalog, body):
    """As blocks do; and the device's acknowledgements are taken without Python."""
    grant = grant_in(catalog, body)
    house = listen(answering=Responder(catalog, handover=True))
    house.socket.setblocking(False)
    peer = house.peer()
    for segment in range(6):
        peer.send(asked(segment, message_id=segment))
        house.listener.drain()
        peer.send(written(peer.waiting()[-1]))
        house.listener.drain()
    assert house.listener.take() == [("started", grant.index), ("completed", grant.index)]
    assert house.listener.outcomes()["segment written"] == 6
    assert house.listener.counts()["last blocks"] == 1
    assert grant.progress.served_to_end


def test_socket_full_between_ack_and_write(listen_unix, catalog, body):
    """The batch waits where it is, and goes on with the very datagram that was not taken."""
    grant_in(catalog, body, 32)
    house = listen_unix()
    peer = house.peer()
    sent = 0
    try:
        while True:
            peer.send(asked(sent % BATCH, message_id=sent))
            sent += 1
    except BlockingIOError:
        pass
    heard = []
    state = house.listener.drain()
    while state == "blocked" or len(heard) < 2 * sent:
        try:
            while True:
                heard.append(coap.parse(peer.recv(2048)))
        except BlockingIOError:
            pass
        if state != "blocked" or house.listener.flush():
            state = house.listener.drain()
    assert [message.type for message in heard] == [ACK, CON] * sent
    assert [message.message_id for message in heard[::2]] == list(range(sent))


def test_download_under_every_driver(threads, serving, catalog, body):
    """On the loop, in one thread, in several: the same image, the same progress."""
    grant = grant_in(catalog, body)

    async def main():
        async with serving(Responder(catalog, handover=True), threads=threads) as endpoint:
            with Peer(endpoint.address[1]) as peer:
                received = await asyncio.to_thread(download, peer, body, 500)
        assert received == body
        assert grant.progress.bytes == len(body)
        outcomes = endpoint.outcomes()
        assert (outcomes["segment"], outcomes["segment written"], outcomes["handed over"]) == (6, 6, 0)

    asyncio.run(main())
