"""What an edge weighs: nothing per device that is not granted, address space per package."""

from __future__ import annotations

import random
import resource
import socket

import pytest

from edge_process import EdgeProcess
from peer import Peer, get

PORTS = 2000
BATCH = 20  # ports that have a request under way at a time: no queue runs over


@pytest.fixture
def sockets():
    """2,000 devices' sockets; the limit on open files is raised for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = PORTS + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PORTS)]
    yield made
    for one in made:
        one.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("threads", [0, 2])
def test_requests_leave_nothing_behind(tmp_path, sockets, threads):
    """200,000 requests with as many tokens, from 2,000 ports, weigh what 1,000 did (within 1 MiB).

    There is no entry, no cache and no timer for a peer, a token or a transfer.
    """
    source = tmp_path / "v2.bin"
    source.write_bytes(random.Random(1).randbytes(100_000))
    with EdgeProcess(publish={"fw": source}, grant=("device",), threads=threads) as edge:
        paths = ("fw", edge.keys[0], "nothing", ".well-known/core")
        for one in sockets:
            one.connect(("127.0.0.1", edge.port))
            one.settimeout(10)
        requests = [get(path, (num, 2), token=bytes(8)) for path in paths for num in range(25)]

        def ask(numbers: range) -> None:
            """Every request has a token of its own, and the next port."""
            for start in numbers[::BATCH]:
                for number in range(start, start + BATCH):
                    request = requests[number % len(requests)]
                    tagged = number.to_bytes(10, "big")[-2:] + number.to_bytes(8, "big")
                    sockets[number % PORTS].send(request[:2] + tagged + request[12:])
                for number in range(start, start + BATCH):
                    assert sockets[number % PORTS].recv(2048)[4:12] == number.to_bytes(8, "big")

        ask(range(1000))
        light = edge.status_kib("VmRSS")
        ask(range(1000, 200_000))
        heavy = edge.status_kib("VmRSS")
    assert heavy - light <= 1024


def test_an_idle_package_costs_address_space_only(tmp_path):
    """1 GiB of it, in blocks of 1024 bytes; the first and last block are served."""
    source = tmp_path / "large.bin"
    with source.open("wb") as file:
        file.seek((1 << 30) - 2)
        file.write(b"!")  # the rest has no bytes on the disk, and no byte after it
    small = tmp_path / "small.bin"
    small.write_bytes(b"small")
    with EdgeProcess(publish={"fw": small}, smallest_block=1024) as edge:
        without = edge.status_kib("RssAnon")
    with EdgeProcess(publish={"fw": source}, smallest_block=1024) as edge, Peer(edge.port) as peer:
        loaded = edge.status_kib("RssAnon")
        assert peer.ask("fw", (0, 6)).payload == bytes(1024)
        assert peer.ask("fw", ((1 << 20) - 1, 6)).payload == bytes(1022) + b"!"
        served = edge.status_kib("RssAnon")
    assert max(loaded, served) - without < 4 * 1024
