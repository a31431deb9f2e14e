"""An edge that dies and comes back, while a device downloads: the device asks again, and notices nothing."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import pytest

from edge_process import EdgeProcess
from headgate.fleet.downloader import Downloader
from peer import Peer, lasting_port, until

SECRET = "5a" * 32


@pytest.mark.parametrize("threads", [0, 1])
def test_kill_9_in_the_middle_is_not_noticed(body, body_file, threads):
    """Same port, same secret: the same key, the same blocks, the same ETag; nothing had to be remembered."""
    edge = {"publish": {"fw": body_file}, "grant": ("device",), "secret": SECRET, "threads": threads}
    with EdgeProcess(**edge) as first, Peer(first.port) as peer:
        half = [peer.ask(first.keys[0], (num, 5)) for num in range(300)]
        first.kill()
        rest = []
        resuming = threading.Thread(target=lambda: rest.append(peer.download(first.keys[0], 5, first=300)))
        resuming.start()  # it asks while nobody is there
        with EdgeProcess(**edge, port=first.port) as second:
            resuming.join(30)
        assert second.keys == first.keys
    assert b"".join(answer.payload for answer in half) + rest[0] == body
    assert len({dict(answer.options)[4] for answer in half}) == 1


def test_a_fleet_survives_two_deaths(body, body_file):
    """200 devices, each at another place of the body, some moving to new ports: every image is whole."""
    names = tuple(f"device {number}" for number in range(200))
    edge = {"publish": {"fw": body_file}, "grant": names, "secret": SECRET}
    with contextlib.ExitStack() as living:
        serving = living.enter_context(EdgeProcess(**edge, port=lasting_port()))
        fleet = living.enter_context(
            Downloader(
                host="127.0.0.1",
                port=serving.port,
                path=serving.keys,
                body=body,
                devices=200,
                sockets=200,
                szx=6,
                start="random",
                restart_from_new_port=0.1,
                ack_timeout_s=0.1,
                max_retransmit=12,
                rate=20_000,
                keep=True,
            )
        )
        downloading = threading.Thread(target=fleet.run)
        downloading.start()
        living.callback(downloading.join, 10)
        living.callback(fleet.stop)
        for death in (1, 2):
            until(lambda death=death: fleet.stats.blocks >= death * 8_000)
            serving.kill()
            serving = living.enter_context(EdgeProcess(**edge, port=serving.port))
        downloading.join(60)
        assert [fleet.failure(device) for device in range(200)] == [None] * 200
        assert all(bytes(fleet.image(device)) == body for device in range(200))
        assert fleet.stats.retransmissions > 0


def test_the_command_tells_nobody_4_04_while_it_loads(body, tmp_path):
    """`headgate edge` after a restart: a device in the middle of the last of many files goes on."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.bin").write_bytes(body * 5)
    port = lasting_port()
    command = [sys.executable, "-m", "headgate", "edge", str(folder), "--host", "127.0.0.1", "--json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, env=environment
    ) as serving:
        try:
            with Peer(port) as peer:
                assert peer.ask("39.bin", (7, 6)).payload == (body * 5)[7 * 1024 :][:1024]
        finally:
            serving.terminate()
    assert serving.returncode == 0
