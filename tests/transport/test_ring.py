"""The handover ring, through the listener that fills it: bounded, in order, and never in anyone's way."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.responder import Responder
from headgate.transport.listener import Listener
from peer import NON, Message, get, loopback_addresses, package_of
from reference import coap

RING_BYTES = 1 << 14
DATAGRAM_MAX = 2048
RECORD_HEAD, SOCKADDR_IN, ALIGN = 12, 16, 8


def notification(number: int, length: int = 0) -> bytes:
    """A NON response, such as an observing server waits for; its payload fills it up to `length` bytes."""
    payload = number.to_bytes(4, "big").rjust(length - 5, b".")
    return coap.encode(Message(type=NON, code=0x45, message_id=number & 0xFFFF, payload=payload))


@pytest.fixture
def handing(catalog) -> Responder:
    """Answers from the catalog, and hands over what is not for it."""
    return Responder(catalog, handover=True)


def datagrams(records) -> list[bytes]:
    """The datagrams among what `take` returned."""
    return [value[2] for kind, value in records if kind == "datagram"]


# -- what is handed over --


def test_what_is_not_a_package_request_is_handed_over(listen, handing):
    """Requests for other paths and responses, byte for byte; package requests are answered meanwhile."""
    at = listen(answering=handing)
    peer = at.peer()
    sent = [
        get("rd", code=0x02, message_id=1, payload=b"</1/0>,</3/0>", token=b"token"),
        get("fw", (0, 6), message_id=2),
        notification(3, 100),
        bytes.fromhex("60000004"),  # an empty ACK
        bytes.fromhex("70000005"),  # a Reset
    ]
    for datagram in sent:
        peer.send(datagram)
    assert at.listener.drain() == "idle"
    assert [heard.message_id for heard in peer.waiting()] == [2]
    assert datagrams(at.listener.take()) == [sent[0], *sent[2:]]
    assert at.listener.outcomes()["handed over"] == 4


def test_a_record_has_the_sender_and_the_longest_datagram(listen, handing):
    """The raw address is what `sendto` would take; 2048 bytes arrive whole, one more is not handed over."""
    at = listen(answering=handing)
    peer = at.peer()
    peer.send(notification(1, DATAGRAM_MAX))
    peer.send(notification(2, DATAGRAM_MAX + 1))
    at.listener.drain()
    [(kind, (address, control, data))] = at.listener.take()
    assert (kind, control, len(data)) == ("datagram", b"", DATAGRAM_MAX)
    family, port = struct.unpack("=H", address[:2])[0], struct.unpack("!H", address[2:4])[0]
    assert (family, port) == (socket.AF_INET, peer.socket.getsockname()[1])
    assert at.listener.outcomes()["truncated"] == 1


@pytest.mark.parametrize("to", loopback_addresses())
def test_a_reply_leaves_from_the_address_that_was_asked(listen, handing, to):
    """`send` takes address and packet information as they came; a connected peer hears no other source."""
    at = listen(None, answering=handing)
    peer = at.peer(to)
    peer.send(notification(1))
    at.listener.drain()
    [(_, (address, control, _))] = at.listener.take()
    at.listener.send(address, control, coap.encode(Message(type=NON, code=0x84, message_id=77)))
    assert peer.hear().message_id == 77


def test_first_and_last_block_of_a_grant_leave_marks(listen, catalog, responder, body):
    """Started once; completed whenever the end is reached without a gap."""
    index = catalog.grant(b"key", package_of(body))
    at = listen()
    peer = at.peer()

    def ask(*nums: int) -> list:
        for num in nums:
            peer.send(get("key", (num, 6), message_id=num))
        at.listener.drain()
        peer.waiting()
        return at.listener.take()

    assert ask(0) == [("started", index)]
    assert ask(0, 1) == []
    assert ask(2) == [("completed", index)]
    assert ask(2) == []
    assert ask(0, 1, 2) == []  # a repetition of what was served already
    assert not at.listener.handed


def test_a_body_of_one_block_leaves_both_marks(listen, catalog):
    """In the order in which they happened."""
    index = catalog.grant(b"key", package_of(b"small"))
    at = listen()
    at.peer().send(get("key", (0, 6)))
    at.listener.drain()
    assert at.listener.take() == [("started", index), ("completed", index)]


# -- order, wake, bounds --


def test_records_come_in_the_order_of_arrival(listen, handing):
    """From several senders, over many batches and takes."""
    at = listen(answering=handing)
    peers = [at.peer() for _ in range(3)]
    taken = []
    for start in range(0, 1000, 200):
        for number in range(start, start + 200):
            peers[number % 3].send(notification(number, 60))
        at.listener.drain()
        taken += at.listener.take(limit=150)
    taken += at.listener.take()
    assert [int.from_bytes(data[-4:], "big") for data in datagrams(taken)] == list(range(1000))


def test_the_consumer_is_woken_when_the_ring_was_empty(listen, handing, closing):
    """Once for as many records as it finds; the eventfd counts the times."""
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    closing.callback(os.close, wake)
    at = listen(answering=handing, wake_fd=wake)
    peer = at.peer()
    for number in range(10):
        peer.send(notification(number))
    assert not at.listener.handed
    at.listener.drain()
    assert at.listener.handed
    assert os.eventfd_read(wake) == 1
    assert len(at.listener.take()) == 10
    assert not at.listener.handed
    with pytest.raises(BlockingIOError):
        os.eventfd_read(wake)
    peer.send(notification(10))
    at.listener.drain()
    assert os.eventfd_read(wake) == 1
    assert len(at.listener.take()) == 1


def test_what_a_limit_left_behind_is_still_announced(listen, handing):
    """`handed` stays until a take has found the ring empty."""
    at = listen(answering=handing)
    peer = at.peer()
    for number in range(10):
        peer.send(notification(number))
    at.listener.drain()
    assert len(at.listener.take(limit=10)) == 10
    assert at.listener.handed  # it was not seen empty
    assert at.listener.take() == []
    assert not at.listener.handed
    assert at.listener.take(limit=0) == []


def test_a_full_ring_loses_what_comes_last_and_nothing_else(listen, handing, body):
    """It is counted, package requests of the same batch are answered, and room is used again."""
    at = listen(answering=handing, ring_bytes=RING_BYTES)
    peer = at.peer()
    for number in range(60):
        peer.send(notification(number, 1000))
        peer.send(get("fw", (0, 6), message_id=number))
    while at.listener.drain() != "idle":
        pass
    heard = peer.waiting()
    assert [message.message_id for message in heard] == list(range(60))
    assert {message.payload for message in heard} == {body[:1024]}

    kept = datagrams(at.listener.take())
    full = at.listener.counts()["ring full"]
    assert kept == [notification(number, 1000) for number in range(len(kept))]
    assert len(kept) + full == at.listener.outcomes()["handed over"] == 60
    assert len(kept) == RING_BYTES // aligned(RECORD_HEAD + SOCKADDR_IN + 1000)

    peer.send(notification(60, 1000))
    at.listener.drain()
    assert datagrams(at.listener.take()) == [notification(60, 1000)]
    assert at.listener.counts()["ring full"] == full


def test_marks_lost_to_a_full_ring_are_counted_and_the_ledger_is_right(listen, catalog, handing, body):
    """The ring tells when, the ledger how far; the second needs no room."""
    indices = [catalog.grant(key.encode(), package_of(body)) for key in "abcd"]
    at = listen(answering=handing, ring_bytes=RING_BYTES)
    peer = at.peer()
    for length in (1000, 100, 10):
        for _ in range(20):
            peer.send(notification(0, length))
        at.listener.drain()
    full = at.listener.counts()["ring full"]
    for key in "abcd":
        for num in range(3):
            peer.send(get(key, (num, 4), message_id=num))
            peer.send(get(key, (num, 6), message_id=num))
    at.listener.drain()
    lost = at.listener.counts()["ring full"] - full
    marks = [kind for kind, _ in at.listener.take() if kind != "datagram"]
    assert lost > 0
    assert len(marks) + lost == 2 * len(indices)
    assert all(catalog.ledger.progress(index).served_to_end for index in indices)


# -- wrap-around --


def steps_of(seed: int) -> list[int | tuple[int, int]]:
    """300 steps: a datagram (from one of three senders, of so many bytes) or a take (of so many records).

    Three datagrams for each take: mostly the ring is nearly full, and its end is passed some ten times.
    """
    chance = random.Random(seed)
    lengths = [*range(4, 40), *range(400, DATAGRAM_MAX + 1, 45)]
    return [
        (chance.randrange(3), chance.choice(lengths)) if chance.random() < 0.75 else chance.randrange(1, 7)
        for _ in range(300)
    ]


def aligned(length: int) -> int:
    """The bytes that a record of `length` bytes takes in the ring."""
    return -(-length // ALIGN) * ALIGN


@given(st.integers(0, 2**32))
def test_records_of_every_size_wrap_around(seed):
    """A queue that forgets nothing and invents nothing, wherever the ring's end cuts.

    A datagram may be refused only when it would pass the ring: with what its not being cut in two costs, and
    with what that cost for one before it.
    """
    names = [b"\0" + os.urandom(6).hex().encode() + b"n" * length for length in (0, 41, 90)]
    with contextlib.ExitStack() as stack:
        server, *clients = (
            stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) for _ in range(4)
        )
        server.bind("")
        for client, name in zip(clients, names, strict=True):
            client.bind(name)
            client.connect(server.getsockname())
        listener = Listener(
            server.fileno(), Responder(Catalog(Ledger(1)), handover=True), ring_bytes=RING_BYTES
        )
        waiting: deque[tuple[bytes, bytes]] = deque()
        longest = aligned(RECORD_HEAD + 2 + len(names[2]) + DATAGRAM_MAX)
        used = 0
        for number, step in enumerate(steps_of(seed)):
            if isinstance(step, int):
                for record in listener.take(limit=step):
                    name, data = waiting.popleft()
                    assert record == ("datagram", (b"\x01\x00" + name, b"", data))
                    used -= aligned(RECORD_HEAD + 2 + len(name) + len(data))
                continue
            sender, length = step
            data = bytes.fromhex("5045") + number.to_bytes(2, "big")
            if length > 5:
                data += b"\xff" + bytes([number % 251]) * (length - 5)
            size = aligned(RECORD_HEAD + 2 + len(names[sender]) + len(data))
            full = listener.counts()["ring full"]
            clients[sender].send(data)
            assert listener.drain() == "idle"
            if listener.counts()["ring full"] == full:
                waiting.append((names[sender], data))
                used += size
                assert used <= RING_BYTES
            else:
                assert listener.counts()["ring full"] == full + 1
                assert used + 2 * size + longest > RING_BYTES
        assert [value[2] for _, value in listener.take()] == [data for _, data in waiting]
