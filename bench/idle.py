"""What does a device cost that is registered and says nothing? Bytes of the process per device.

Run by itself, `python -m bench.idle DEVICES FOLDER` prints what it measured as one JSON line. Memory is
measured in a process that has done nothing else.
"""

from __future__ import annotations

import ctypes
import gc
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headgate.lwm2m.server import LwM2mServer
from headgate.store.database import Database
from headgate.upgrade.orchestrator import Orchestrator
from headgate.wire.coap import Message
from headgate.wire.numbers import CON, CONTENT_FORMAT, POST, URI_PATH, URI_QUERY

NOON_S = 1_767_268_800.0
BETWEEN_S = 0.1  # two Registers: still four times as often as 200,000 devices renew that register for a day
TURN = 500  # Registers
WARM = 1_000
LINK_FORMAT = b"\x28"
LINKS = b'</>;rt="oma.lwm2m",</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</19/0>,</19/1>'
CONTROL = bytes(36)  # packet information, as the kernel hands it over
ADDRESS_BYTES = 28  # struct sockaddr_in6


class NoDownloads:
    """Nobody downloads."""

    def uri(self, endpoint: str, pid: bytes) -> str:
        return ""

    def grant(self, endpoint: str, pid: bytes) -> None:
        pass

    def withdraw(self, endpoint: str, pid: bytes) -> None:
        pass

    def grant_segments(self, endpoint: str, wanted: Any) -> None:
        pass

    def withdraw_segments(self, endpoint: str, pid: bytes) -> None:
        pass

    def body(self, pid: bytes) -> None:
        return None


def register(endpoint: str) -> bytes:
    """A Register, as an NB-IoT module sends it."""
    queries = (f"ep={endpoint}", "lt=86400", "lwm2m=1.1", "b=UQ")
    options = [(URI_PATH, b"rd"), (CONTENT_FORMAT, LINK_FORMAT)]
    options += [(URI_QUERY, query.encode()) for query in queries]
    return Message(type=CON, code=POST, message_id=1, token=b"R", options=options, payload=LINKS).encode()


def resident_bytes() -> int:
    """Of this process, files that are mapped left out."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what was freed
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("RssAnon:")) * 1024


class Registering:
    """A control plane without sockets, and devices that register."""

    def __init__(self, folder: str) -> None:
        self.url = f"sqlite:///{folder}/headgate.db"
        self.database = Database.open(self.url)
        self.lwm2m = LwM2mServer(rng=random.Random(1))
        self.orchestrator = Orchestrator(lwm2m=self.lwm2m, downloads=NoDownloads())
        self.chance = random.Random(2)
        self.count = 0
        self.now = NOON_S

    def register(self, count: int) -> None:
        """So many more, each by its datagram, and answered after its commit."""
        for _ in range(count):
            self.now += BETWEEN_S
            # Each is received into memory of its own, as from the kernel.
            remote = (self.chance.randbytes(ADDRESS_BYTES), bytes(bytearray(CONTROL)))
            datagram = register(f"urn:imei:86{self.count:013d}")
            for happening in self.lwm2m.receive(remote, datagram, self.now):
                self.orchestrator.happened(happening, self.now)
            self.count += 1
            if self.count % TURN == 0:
                self.settle()
        self.settle()

    def settle(self) -> None:
        """Commit the turn and answer; and let time do its work."""
        turn = self.orchestrator.turn()
        if turn is not None:
            self.database.commit(turn.batch)
            self.orchestrator.committed(turn, self.now)
        for happening in self.lwm2m.expire(self.now):
            self.orchestrator.happened(happening, self.now)
        self.lwm2m.take()

    def bytes(self) -> int:
        """Memory with SQLite's page cache let go: that has a bound of its own, whoever is registered."""
        self.database.close()
        found = resident_bytes()
        self.database = Database.open(self.url)
        return found


def measured(devices: int, folder: str) -> dict[str, Any]:
    """What so many devices cost when they are registered, and idle."""
    registering = Registering(folder)
    registering.register(WARM)  # what is made once is made
    before = registering.bytes()
    registering.register(devices)
    after = registering.bytes()
    assert len(registering.lwm2m) == devices + WARM
    return {"devices": devices, "bytes_per_device": (after - before) / devices}


@pytest.mark.benchmark(group="memory")
def bench_idle_devices(benchmark: Any, tmp_path: Path, quick: bool) -> None:
    """Resident memory grown by registered devices: LwM2M server, Exchange, orchestrator, open database."""
    devices = 5_000 if quick else 200_000
    found: dict[str, Any] = {}

    def run() -> None:
        command = [sys.executable, "-m", "bench.idle", str(devices), str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.update(json.loads(done.stdout))

    benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(found)


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]), sys.argv[2])))
