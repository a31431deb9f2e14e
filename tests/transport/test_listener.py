"""The listener: every datagram taken, judged once, and answered to the one who sent it."""

from __future__ import annotations

import gc
import os
import socket
import threading

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.responder import OUTCOMES, Responder
from headgate.transport.listener import Listener
from peer import ACK, CON, NON, RST, Message, get, loopback_addresses, package_of, ping
from reference import coap

BATCH = 64
DRAIN = 8 * BATCH  # datagrams per drain, at most
DATAGRAM_MAX = 2048


def counted(listener: Listener) -> dict[str, int]:
    """The outcomes that are not zero."""
    return {name: count for name, count in listener.outcomes().items() if count}


def drain_all(listener: Listener) -> None:
    """Drain until nothing is left."""
    while (state := listener.drain()) != "idle":
        assert state == "more"


# -- batches --


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 511, 512, 513])
def test_every_datagram_is_answered_once(listen, count):
    """Around each end of a batch (64) and of a drain (8 batches)."""
    at = listen()
    peer = at.peer()
    for message_id in range(count):
        peer.send(ping(message_id))
    drain_all(at.listener)
    assert [heard.message_id for heard in peer.waiting()] == list(range(count))
    assert counted(at.listener) == {"ping": count}
    assert at.listener.counts()["sent"] == count
    assert at.listener.counts()["batches"] == -(-count // BATCH)


def test_drain_is_bounded_and_says_that_there_is_more(listen):
    """The loop gets its turn after 512 datagrams, whatever is queued."""
    at = listen()
    peer = at.peer()
    for message_id in range(DRAIN + 1):
        peer.send(ping(message_id))
    assert at.listener.drain() == "more"
    assert len(peer.waiting()) == DRAIN
    assert at.listener.drain() == "idle"
    assert len(peer.waiting()) == 1


def test_a_smaller_bound_may_be_asked(listen):
    """`batches` counts system calls of up to 64 datagrams."""
    at = listen()
    peer = at.peer()
    for message_id in range(3 * BATCH):
        peer.send(ping(message_id))
    assert at.listener.drain(batches=1) == "more"
    assert len(peer.waiting()) == BATCH
    assert at.listener.drain(batches=2) == "more"
    assert at.listener.drain(batches=2) == "idle"


def test_nothing_received_is_nothing_done(listen):
    """A wake-up for nothing costs one system call and is no batch."""
    at = listen()
    assert at.listener.drain() == "idle"
    assert at.listener.counts()["batches"] == 0
    assert at.listener.flush() is True


def test_each_sender_gets_its_own_reply(listen, body):
    """200 devices in few batches: message id, token and block are each one's own."""
    at = listen()
    peers = [at.peer() for _ in range(200)]
    for number, peer in enumerate(peers):
        token = number.to_bytes(2, "big")
        peer.send(get("fw", (number % 3, 4), message_id=number, token=token, type=(CON, NON)[number % 2]))
    drain_all(at.listener)
    for number, peer in enumerate(peers):
        [heard] = peer.waiting()
        assert (heard.message_id, heard.token) == (number, number.to_bytes(2, "big"))
        assert heard.type == (ACK, NON)[number % 2]
        assert heard.payload == body[256 * (number % 3) :][:256]
    assert at.listener.counts()["payload bytes"] == 200 * 256


def test_a_batch_of_everything_is_counted_by_what_became_of_it(listen):
    """Invariant 4 of the listener: every datagram under exactly one outcome, whatever the mix."""
    at = listen()
    peer = at.peer()
    datagrams = [
        ping(1),
        get("fw", (0, 6), message_id=2),
        get("nothing", message_id=3),
        b"",
        b"\x40",
        bytes.fromhex("c0000000"),  # version 3
        bytes.fromhex("4f010000"),  # token length 15
        bytes.fromhex("60000004"),  # an ACK of nothing
        get("fw", (9999, 6), message_id=5),
        get("fw", code=0x03, message_id=6),  # PUT
    ]
    for datagram in datagrams:
        peer.send(datagram)
    drain_all(at.listener)
    assert [(heard.type, heard.code) for heard in peer.waiting()] == [
        (RST, 0),
        (ACK, 0x45),
        (ACK, 0x84),
        (RST, 0),
        (ACK, 0x80),
        (ACK, 0x85),
    ]
    assert counted(at.listener) == {
        "ping": 1,
        "2.05": 1,
        "4.04": 1,
        "short": 2,
        "version": 1,
        "format error": 1,
        "unmatched": 1,
        "4.00": 1,
        "4.05": 1,
    }
    assert set(at.listener.outcomes()) == set(OUTCOMES)


# -- sizes --


def test_an_empty_datagram_is_dropped(listen):
    """UDP carries zero bytes as well as any other number."""
    at = listen()
    peer = at.peer()
    peer.send(b"")
    peer.send(ping(1))
    drain_all(at.listener)
    assert [heard.message_id for heard in peer.waiting()] == [1]
    assert counted(at.listener) == {"short": 1, "ping": 1}


def padded(length: int, **how: object) -> bytes:
    """A message with a payload that fills it up to `length` bytes."""
    bare = Message(message_id=7, token=b"\x07", **how)
    return coap.encode(bare) + b"\xff" + bytes(length - 1 - len(coap.encode(bare)))


@pytest.mark.parametrize("type", [CON, NON])
def test_a_request_too_long_to_be_taken_whole_is_answered_4_13(listen, type):
    """RFC 7252 section 5.9.2.9; the answer has the request's token."""
    at = listen()
    peer = at.peer()
    peer.send(padded(DATAGRAM_MAX, type=type, code=0x02))
    peer.send(padded(DATAGRAM_MAX + 1, type=type, code=0x02))
    peer.send(padded(9000, type=type, code=0x02))
    drain_all(at.listener)
    codes = [heard.code for heard in peer.waiting()]
    assert codes == [0x84, 0x8D, 0x8D]
    assert counted(at.listener) == {"4.04": 1, "4.13": 2}


@pytest.mark.parametrize("type", [CON, NON, ACK])
def test_a_response_too_long_to_be_taken_whole_is_dropped(listen, type):
    """Nobody could make sense of a part of it, and an error answers requests only."""
    at = listen()
    peer = at.peer()
    peer.send(padded(DATAGRAM_MAX + 1, type=type, code=0x45))
    peer.send(ping(1))
    drain_all(at.listener)
    assert [heard.message_id for heard in peer.waiting()] == [1]
    assert counted(at.listener) == {"truncated": 1, "ping": 1}


def test_a_short_datagram_after_a_long_one_is_judged_by_itself(listen):
    """The slot's flags and bytes of the batch before mean nothing."""
    at = listen()
    peer = at.peer()
    for _ in range(2):
        peer.send(padded(DATAGRAM_MAX + 1, type=CON, code=0x02))
        drain_all(at.listener)
        peer.send(ping(1))
        drain_all(at.listener)
    assert [heard.code for heard in peer.waiting()] == [0x8D, 0, 0x8D, 0]


# -- addresses --


@pytest.mark.parametrize("host", [None, "0.0.0.0"])
def test_replies_leave_from_the_address_that_was_asked(listen, host, body):
    """RFC 7252 section 5.3.2: a response comes from where the request went. Devices drop any other."""
    at = listen(host)
    addresses = [address for address in loopback_addresses() if host is None or ":" not in address]
    peers = [at.peer(address) for address in addresses for _ in range(3)]
    for peer in peers:
        peer.send(get("fw", (0, 6)))
    drain_all(at.listener)
    for peer in peers:
        assert [heard.payload for heard in peer.waiting()] == [body[:1024]]


def test_bound_to_one_address_only_that_one_is_served(listen):
    """No packet information is needed there, and none is asked of the kernel."""
    at = listen("127.0.0.2")
    at.peer("127.0.0.2").send(ping(1))
    elsewhere = at.peer("127.0.0.1")
    elsewhere.send(ping(2))
    drain_all(at.listener)
    with pytest.raises(ConnectionRefusedError):
        elsewhere.hear()
    assert counted(at.listener) == {"ping": 1}


GROUP = "224.0.1.187"  # All CoAP Nodes: RFC 7252 section 12.8


@pytest.mark.parametrize("host", [None, "0.0.0.0"])
def test_what_asks_a_group_is_not_answered(listen, closing, host):
    """RFC 7252 section 8: an edge that answered groups would multiply what a liar asks."""
    at = listen(host)
    membership = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
    at.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    client = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
    client.settimeout(2)
    client.sendto(ping(1), (GROUP, at.port))
    client.sendto(get("fw"), (GROUP, at.port))
    client.sendto(ping(2), ("127.0.0.1", at.port))
    drain_all(at.listener)
    heard, address = client.recvfrom(2048)
    assert (coap.parse(heard).message_id, address[0]) == (2, "127.0.0.1")
    assert counted(at.listener) == {"multicast": 2, "ping": 1}


@pytest.mark.parametrize("host", [None, "0.0.0.0"])
def test_what_is_broadcast_is_not_answered(listen, closing, host):
    """An IPv4 socket tells a broadcast; from an IPv6 one the kernel refuses to send such a reply."""
    at = listen(host)
    client = closing.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.settimeout(2)
    client.sendto(ping(1), ("127.255.255.255", at.port))
    client.sendto(ping(2), ("127.0.0.1", at.port))
    drain_all(at.listener)
    assert coap.parse(client.recv(2048)).message_id == 2
    assert at.listener.counts()["sent"] == 1


# -- faults --


@pytest.mark.parametrize("how", ["drain", "run"])
def test_a_closed_descriptor_is_an_error(listen, how):
    """What nobody can serve from any more is told, not tried for ever."""
    at = listen()
    at.socket.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        getattr(at.listener, how)()


@pytest.mark.parametrize("how", ["drain", "run"])
def test_what_is_no_socket_is_an_error(responder, how):
    """A descriptor of something else."""
    with open(os.devnull, "rb") as nothing, pytest.raises(OSError, match="Socket operation on non-socket"):
        getattr(Listener(nothing.fileno(), responder), how)()


@pytest.mark.parametrize("ring_bytes", [0, 1 << 13, (1 << 14) - 1, (1 << 14) + 1, 3 << 14])
def test_the_ring_has_a_power_of_two_bytes(responder, ring_bytes):
    """From 16384 on, so that it holds the longest record."""
    with pytest.raises(ValueError, match="power of two from 16384"):
        Listener(0, responder, ring_bytes=ring_bytes)


def test_a_catalog_has_64_listeners_at_most(responder):
    """Each is a place among the catalog's readers, given back with it."""
    listeners = [Listener(0, responder, ring_bytes=1 << 14) for _ in range(64)]
    with pytest.raises(RuntimeError, match="at most 64 listeners"):
        Listener(0, responder)
    listeners.pop()
    Listener(0, responder)


def test_the_cycle_collector_may_free_everything_at_once(body):
    """A listener gives its reader back, and a catalog its records, when all of it is garbage together."""
    catalog = Catalog(Ledger(8))
    responder = Responder(catalog)
    cycle = {"catalog": catalog, "responder": responder, "listener": Listener(0, responder)}
    cycle["itself"] = cycle
    catalog.grant(b"key", package_of(body))
    catalog.withdraw(b"key")
    del catalog, responder, cycle
    gc.collect()


def test_between_batches_a_listener_holds_nothing_of_the_catalog(listen, catalog):
    """Whether the batch had replies or not: what is withdrawn then is freed at once."""
    at = listen()
    peer = at.peer()
    for datagrams in ([b""], [ping(1)], [b"", ping(1)], [b""] * BATCH):
        for datagram in datagrams:
            peer.send(datagram)
        drain_all(at.listener)
        catalog.publish(b"other", package_of(b"other"))
        assert catalog.withdraw(b"other")
        assert catalog.reclaim() == 0


# -- in a thread --


def test_stop_answers_what_is_queued(listen):
    """Nothing that was received is lost: not what came before `stop`, not what came before `run`."""
    at = listen()
    peer = at.peer()
    for message_id in range(500):
        peer.send(ping(message_id))
    at.listener.stop()
    at.listener.stop()
    at.listener.run()
    assert [heard.message_id for heard in peer.waiting()] == list(range(500))


def test_run_answers_until_it_is_stopped(listen, body):
    """From another thread, once or twice; a second run has nothing to do."""
    at = listen()
    thread = threading.Thread(target=at.listener.run)
    thread.start()
    try:
        assert at.peer().download("fw", 4) == body
    finally:
        at.listener.stop()
        at.listener.stop()
        thread.join(10)
    assert not thread.is_alive()
    at.listener.run()
    assert counted(at.listener) == {"2.05": 12}


def test_an_idle_thread_is_stopped_at_once(listen):
    """`stop` wakes a thread that waits in the kernel for a datagram."""
    at = listen()
    thread = threading.Thread(target=at.listener.run)
    thread.start()
    at.peer().exchange(ping(1), 1)  # it waits for the next one now, or is about to
    at.listener.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert counted(at.listener) == {"ping": 1}
