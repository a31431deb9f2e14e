"""A peer that cannot take its replies: the listener keeps them, sends no one else's instead, and loses none.

UDP over loopback is never full, so these peers are AF_UNIX datagram sockets: one that does not read holds
the replies up, one that is gone refuses them.
"""

from __future__ import annotations

import contextlib
import os
import threading

import pytest

from peer import get, ping, until
from reference import coap


def heard(client) -> list[int]:
    """The message ids of all that has arrived."""
    ids = []
    while True:
        try:
            ids.append(coap.parse(client.recv(4096)).message_id)
        except BlockingIOError:
            return ids


class Full:
    """A listener with replies that its client has no room for, and the client."""

    def __init__(self, at, datagram=ping) -> None:
        """Ask without reading until the listener is blocked; `asked` counts how often."""
        self.listener = at.listener
        self.client = at.peer()
        self.asked = 0
        state = "idle"
        while state == "idle":
            for _ in range(5):
                self.client.send(datagram(self.asked))
                self.asked += 1
            state = self.listener.drain()
        assert state == "blocked"

    @property
    def pending(self) -> int:
        """Replies that have not left."""
        return self.asked - self.listener.counts()["sent"] - self.listener.counts()["send failed"]


@pytest.fixture
def full(listen_unix) -> Full:
    """The listener of "fw", blocked by a client that asked too many pings."""
    return Full(listen_unix())


def test_a_full_peer_blocks_the_listener(full):
    """What fits has been sent, the rest waits, and the block is counted."""
    assert full.pending > 0
    assert full.listener.counts()["send blocked"] == 1
    assert full.listener.outcomes()["ping"] == full.asked


def test_a_blocked_listener_receives_nothing(full, listen_unix):
    """`drain` does no more than say so; what is asked meanwhile waits in the socket."""
    full.client.send(ping(999))
    assert full.listener.drain() == "blocked"
    assert full.listener.outcomes()["ping"] == full.asked
    heard(full.client)
    assert full.listener.flush() is True
    assert full.listener.drain() == "idle"
    assert heard(full.client)[-1] == 999


def test_flush_sends_as_much_as_there_is_room_for(full):
    """Partly, as often as it takes."""
    for pending in range(full.pending, 0, -1):
        assert full.pending == pending
        full.client.recv(4096)
        assert full.listener.flush() is (pending == 1)
    assert full.pending == 0


def test_every_reply_arrives_in_order(full):
    """Nothing is lost, doubled or overtaken by being held up."""
    ids = []
    while not full.listener.flush():
        ids.append(coap.parse(full.client.recv(4096)).message_id)
    assert ids + heard(full.client) == list(range(full.asked))
    assert full.listener.flush() is True


def test_a_withdrawn_package_lives_until_its_replies_have_left(listen_unix, catalog, body):
    """Invariant 2: replies that wait point into the package, so the reader stays in the catalog."""
    at = listen_unix()
    full = Full(at, lambda number: get("fw", (0, 6), message_id=number))
    assert catalog.withdraw(b"fw")
    assert catalog.reclaim() == 1
    payloads = []
    while not full.listener.flush():
        payloads.append(coap.parse(full.client.recv(4096)).payload)
    assert catalog.reclaim() == 0
    while len(payloads) < full.asked:
        payloads.append(coap.parse(full.client.recv(4096)).payload)
    assert set(payloads) == {body[:1024]}


def test_replies_can_be_given_up(full, catalog):
    """`abandon` says how many, counts them as failed, and leaves the catalog."""
    catalog.withdraw(b"fw")
    pending = full.pending
    assert full.listener.abandon() == pending
    assert full.listener.abandon() == 0
    assert full.listener.counts()["send failed"] == pending
    assert catalog.reclaim() == 0
    heard(full.client)
    full.client.send(ping(999))
    assert full.listener.drain() == "idle"
    assert heard(full.client) == [999]


def test_a_listener_may_go_while_it_is_blocked(listen_unix, catalog):
    """Its place among the catalog's readers does not stay occupied."""
    full = Full(listen_unix())
    catalog.withdraw(b"fw")
    assert catalog.reclaim() == 1
    del full
    assert catalog.reclaim() == 0


def test_a_peer_that_is_gone_costs_its_own_reply_only(listen_unix, tmp_path, monkeypatch):
    """Neither a peer that left (ECONNREFUSED) nor one whose name is gone (ENOENT) holds the others up."""
    monkeypatch.chdir(tmp_path)  # such names are short
    at = listen_unix()
    alive, left, gone = at.peer(), at.peer(), at.peer("gone")
    for number in range(9):
        (alive, left, gone)[number % 3].send(ping(number))
    left.close()
    gone.close()
    os.unlink("gone")
    assert at.listener.drain() == "idle"
    assert heard(alive) == [0, 3, 6]
    assert at.listener.counts()["sent"] == 3
    assert at.listener.counts()["send failed"] == 6
    assert at.listener.outcomes()["ping"] == 9


def test_a_peer_that_goes_while_it_is_full_blocks_no_longer(full, listen_unix):
    """What waited for it is refused, and the next reply leaves."""
    pending = full.pending
    full.client.close()
    assert full.listener.flush() is True
    assert full.listener.counts()["send failed"] == pending


def test_a_blocked_thread_goes_on_when_there_is_room(full):
    """`run` waits for room, then serves; also when a drain had been blocked before."""
    thread = threading.Thread(target=full.listener.run)
    thread.start()
    full.client.settimeout(10)
    try:
        ids = [coap.parse(full.client.recv(4096)).message_id for _ in range(full.asked)]
        full.client.send(ping(999))
        assert coap.parse(full.client.recv(4096)).message_id == 999
    finally:
        full.listener.stop()
        thread.join(10)
    assert not thread.is_alive()
    assert ids == list(range(full.asked))


def test_a_blocked_thread_can_be_stopped(listen_unix, catalog):
    """It waits for no peer that does not read, and gives its replies up."""
    at = listen_unix()
    client = at.peer()

    def blocked() -> bool:
        with contextlib.suppress(BlockingIOError):
            client.send(ping(1))
        return at.listener.counts()["send blocked"] > 0

    thread = threading.Thread(target=at.listener.run)
    thread.start()
    try:
        until(blocked)
    finally:
        at.listener.stop()
        thread.join(10)
    assert not thread.is_alive()
    given_up = at.listener.abandon()
    counts = at.listener.counts()
    assert counts["send failed"] == given_up > 0
    assert counts["sent"] + counts["send failed"] == at.listener.outcomes()["ping"]
    catalog.withdraw(b"fw")
    assert catalog.reclaim() == 0


def test_sending_to_a_full_peer_raises(full):
    """`send` never waits: BlockingIOError, and nothing of the pending replies is disturbed."""
    with pytest.raises(BlockingIOError):
        full.listener.send(b"\x01\x00" + full.client.getsockname(), b"", ping(1))
    ids = []
    while not full.listener.flush():
        ids.append(coap.parse(full.client.recv(4096)).message_id)
    assert ids + heard(full.client) == list(range(full.asked))


@pytest.mark.parametrize("address", [b"", b"\x01", b"\x02\x00", b"\x01\x00nobody", b"\x01\x00" + b"x" * 200])
def test_sending_to_nobody_raises(full, address):
    """An address that is none, or that nobody has: OSError, as the kernel put it."""
    with pytest.raises(OSError, match=r"\[Errno \d+\] \w+"):
        full.listener.send(address, b"", ping(1))
