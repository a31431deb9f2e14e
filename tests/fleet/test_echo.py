"""The bare-socket floor: every datagram comes back, in batches."""

from __future__ import annotations

import socket
import threading

import pytest

from headgate.fleet.downloader import Downloader
from headgate.fleet.echo import Echo

REPLY_SIZE = 100


@pytest.fixture
def server():
    """A UDP socket bound to a free port of the loopback, with room for 700 datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.fixture
def client(server):
    """A UDP socket connected to `server`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        connected.connect(server.getsockname())
        connected.settimeout(10)
        yield connected


@pytest.fixture
def running(server):
    """An Echo whose `run` is at work in a thread; ends with the test, which proves that it stops."""
    echo = Echo(server.fileno(), REPLY_SIZE)
    thread = threading.Thread(target=echo.run)
    thread.start()
    yield echo
    echo.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_reply_is_the_request_filled_up_to_its_size(running, client):
    """What is behind the request in a new buffer is zeros."""
    client.send(b"abc")
    assert client.recv(2048) == b"abc".ljust(REPLY_SIZE, b"\0")


def test_long_request_is_cut(running, client):
    """One iovec of `reply_size` bytes, whatever came."""
    client.send(bytes(range(200)))
    assert client.recv(2048) == bytes(range(REPLY_SIZE))


def test_each_sender_gets_its_own(server):
    """Replies go to the address that the kernel wrote beside the datagram; each is counted once."""
    echo = Echo(server.fileno(), REPLY_SIZE)
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(10)]
    for index, each in enumerate(clients):
        each.settimeout(10)
        each.connect(server.getsockname())
        each.send(bytes([index]))
    assert (echo.drain(), echo.datagrams) == (10, 10)
    for index, each in enumerate(clients):
        assert each.recv(2048)[0] == index
        each.close()


def test_runs_on_a_nonblocking_socket(server, client):
    """EAGAIN is waited out: the same loop serves both kinds of descriptor."""
    server.setblocking(False)
    echo = Echo(server.fileno(), REPLY_SIZE)
    thread = threading.Thread(target=echo.run)
    thread.start()
    for _ in range(3):
        client.send(b"abc")
        assert client.recv(2048)[:3] == b"abc"
    echo.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_drain_leaves_the_rest_after_eight_batches(server, client):
    """8 batches of 64: the event loop has other guests."""
    echo = Echo(server.fileno(), 1)
    assert echo.drain() == 0
    for _ in range(600):
        client.send(b"x")
    assert echo.drain() == 512
    assert echo.drain() == 88
    assert echo.datagrams == 600


def test_an_acknowledgement_leaves_before_each_reply(server, client):
    """A floor for servers that answer by two datagrams: full batches too, and a batch that is not full."""
    echo = Echo(server.fileno(), 8, acknowledgement_size=4)
    for _ in range(70):
        client.send(b"12345678")
    assert echo.drain() == echo.datagrams == 140
    heard = [client.recv(2048) for _ in range(140)]
    assert heard == [b"1234", b"12345678"] * 70


def test_stop_before_run_returns_at_once(server):
    """`stop` is a state, not an event: there is no moment at which it goes unseen."""
    echo = Echo(server.fileno(), 1)
    echo.stop()
    echo.run()


def test_reply_size_is_bounded(server):
    """A reply is part of one receive buffer of 2048 bytes."""
    for size in (0, 2049):
        with pytest.raises(ValueError, match="reply_size"):
            Echo(server.fileno(), size)
    with pytest.raises(ValueError, match="acknowledgement_size"):
        Echo(server.fileno(), 1, acknowledgement_size=2049)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"sockets": 8},
        {"sockets": 50, "in_flight": 7},
        {"token_bytes": 0},
        {"confirmable": False, "token_bytes": 1},
        {"szx": None},
    ],
    ids=str,
)
def test_floor_fetches_every_block_from_an_echo(running, server, how):
    """With floor=True requests are the same, and an answer needs nothing but its token."""
    how = {"szx": 4, **how}
    with Downloader(
        host="127.0.0.1",
        port=server.getsockname()[1],
        path="/p",
        body=bytes(5000),
        devices=50,
        floor=True,
        **how,
    ) as fleet:
        assert fleet.run(30)
    assert fleet.stats.finished == 50
    assert fleet.stats.bytes == 50 * 5000
    assert fleet.stats.blocks == 50 * (5 if how["szx"] is None else 20)
