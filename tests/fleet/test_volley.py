"""Volleys: what leaves, in which order, and how answers are waited for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from headgate.fleet.echo import Echo
from headgate.fleet.volley import Volley


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets: ours and the server's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_datagrams_leave_round_and_round(pair):
    """And the next run goes on where this one ended; answers are counted as they come."""
    ours, theirs = pair
    for _ in range(5):
        theirs.send(b"answer")
    volley = Volley(ours.fileno(), [b"0", b"1", b"2"])
    assert volley.run(5) == 5
    assert [theirs.recv(16) for _ in range(5)] == [b"0", b"1", b"2", b"0", b"1"]
    assert (volley.sent, volley.received, volley.received_bytes) == (5, 5, 30)
    theirs.send(b"answer")
    assert volley.run(1) == 1
    assert theirs.recv(16) == b"2"


def test_a_missing_answer_is_told(pair):
    """Load that is not answered is no load."""
    ours, theirs = pair
    theirs.send(b"answer")
    with pytest.raises(TimeoutError, match="2 datagrams drew 1 answers"):
        Volley(ours.fileno(), [b"0"], window=2).run(2, timeout_ms=1)


def test_a_dead_socket_is_told(pair):
    """As the kernel tells it."""
    ours, theirs = pair
    theirs.close()
    with pytest.raises(OSError, match="refused"):
        Volley(ours.fileno(), [b"0"]).run(1)


def test_two_answers_each():
    """As segments draw them."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        echo = Echo(server.fileno(), 100, acknowledgement_size=4)
        thread = threading.Thread(target=echo.run)
        thread.start()
        volley = Volley(client.fileno(), [b"asked"], answers=2)
        assert volley.run(1000) == 2000
        assert volley.received_bytes == 104_000
        echo.stop()
        thread.join(10)


@pytest.mark.parametrize(("datagrams", "window"), [([], 1), ([b"x"] * 65537, 1), ([b"x"], 0), ([b"x"], 65)])
def test_bounds(pair, datagrams, window):
    """Of what is prepared, and of a batch."""
    with pytest.raises(ValueError, match=r"1\.\."):
        Volley(pair[0].fileno(), datagrams, window=window)
