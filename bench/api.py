"""How long devices wait for blocks while the API takes an upload, and a campaign is made of a whole fleet.

One server with its API, as `headgate serve` has it. Virtual devices ask for blocks at a fixed rate; first
nothing else happens, then packages are uploaded one after the other, then a campaign for all devices of the
store is made, begins, and is stopped. Before each of these comes a calm slice, to which it is held.

A machine of two cores is divided, as for bench/planes.py: one has the devices and the thread that answers
them, the other the rest of the server and the operator, who gives way to all others. So what is seen is what
the server does to itself, not what its clients, which live elsewhere, take from it. No core ever sleeps, or
a calm slice would be charged for waking it.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.peers import Load, Server, start
from bench.planes import thread_s, threads_of
from bench.servers import DOWNLOADING
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database

RATE = 10_000.0  # blocks a second: a sixth of what one core serves
SLICE_S = 0.2
ROWS = 10_000  # of a transaction
MAKING_MAX_S = 900.0
ASK_EVERY_S = 0.2  # of an operator who waits: asking without a pause would be a load of its own
STOPPING_S = 15.0  # of it are looked at: it goes on as it begins
ADDRESS = struct.pack("<H", 2) + struct.pack(">HI8x", 9, 0x7F000001)


def fill(folder: Path, devices: int) -> None:
    """That many registered devices, all asleep: nothing is sent to them."""
    now = time.time()
    database = Database.open(f"sqlite:///{folder}/headgate.db")
    for first in range(0, devices, ROWS):
        batch = Batch()
        for number in range(first, min(first + ROWS, devices)):
            row = {"endpoint": f"urn:imei:86{number:013d}", "location": f"{number:022d}"}
            row |= {"registered_s": now, "expires_s": now + 86_400, "lifetime_s": 86_400, "heard_s": now}
            row |= {"lwm2m_version": "1.1", "binding": "UQ", "queue_mode": True, "links": "</5/0>"}
            row |= {"version": "V1", "address": ADDRESS, "control": b""}
            batch.put(tables.devices, row)
        database.commit(batch)
    database.close()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, quick: bool) -> tuple[Path, int]:
    """A data directory to copy, and how many devices are in it."""
    folder = tmp_path_factory.mktemp("fleet")
    devices = 20_000 if quick else 1_000_000
    fill(folder, devices)
    return folder, devices


@dataclass
class Seen:
    """What was measured of one slice of time."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    thread_us: float
    seconds: float
    loop: dict[str, Any] = field(default_factory=dict)

    def facts(self, name: str) -> dict[str, Any]:
        """For the report."""
        told = {
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "max_ms": self.max_ms,
            "cpu_us_per_block": self.cpu_us,
            "thread_us_per_block": self.thread_us,
            "s": self.seconds,
            **self.loop,
        }
        return {f"{name} {key}": value for key, value in told.items()}


@contextmanager
def awake(cores: list[int]) -> Iterator[None]:
    """No core sleeps: each has something to do that gives way to all else."""
    command = [sys.executable, "-c", "while True: pass"]
    with ExitStack() as stack:
        for core in cores:
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
            os.sched_setaffinity(process.pid, {core})
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
        yield


class Watch:
    """Blocks at a fixed rate, and what that is like for who asks for them."""

    def __init__(self, server: Server, load: Load, cores: list[int]) -> None:
        """`cores`: that of the devices and who answers them, and that of all else; none: undivided."""
        self._server = server
        self._load = load
        self._cores = cores
        self.facts: dict[str, Any] = {}

    def during(self, going_on: Callable[[], bool]) -> Seen:
        """As long as it goes on, looked at between slices."""
        downloader = self._load.downloader
        self._slice()
        self._asked()
        downloader.latency_reset()
        blocks, cpu_s, begun_s = downloader.stats.blocks, self._server.cpu_s(), time.perf_counter()
        serving_s = thread_s(self._server)
        self._slice()
        while going_on():
            self._slice()
        seconds = time.perf_counter() - begun_s
        blocks = downloader.stats.blocks - blocks
        assert not downloader.stats.failed
        return Seen(
            downloader.latency(0.5) * 1e3,
            downloader.latency(0.99) * 1e3,
            downloader.latency(1.0) * 1e3,
            (self._server.cpu_s() - cpu_s) / blocks * 1e6,
            (thread_s(self._server) - serving_s) / blocks * 1e6,  # of all threads where the loop serves
            seconds,
            self._asked(),
        )

    def calm(self, seconds: float) -> Seen:
        """For so long, once nothing lingers of what was before."""
        self._server.command("serving")
        while self._server.answer()["serving"] != self._server.facts["serving"]:
            self._slice()
            self._server.command("serving")
        until_s = time.perf_counter() + seconds
        return self.during(lambda: time.perf_counter() < until_s)

    def beside(self, name: str, calm_s: float, work: Callable[[], Future[Any]], at_most_s: float) -> float:
        """The ratio of p99 beside some work to calm; what was seen is in `facts`."""
        calm = self.calm(calm_s)
        until_s = time.perf_counter() + at_most_s
        working = work()
        busy = self.during(lambda: not working.done() and time.perf_counter() < until_s)
        working.result()
        self.facts |= calm.facts(f"before {name}") | busy.facts(name)
        self.facts[f"{name} ratio_p99"] = busy.p99_ms / calm.p99_ms
        return busy.p99_ms / calm.p99_ms

    def _slice(self) -> None:
        """Some blocks. A thread that stands in may have come or gone since the one before."""
        if self._cores:
            self._server.command("serving")
            loop = self._server.process.pid  # the first thread of a process has its number
            serving = self._server.answer()["serving"] or [loop]
            for thread in threads_of(self._server):
                os.sched_setaffinity(thread, {self._cores[thread not in serving]})
        self._load.downloader.run(SLICE_S)

    def _asked(self) -> dict[str, Any]:
        self._server.command("loop")
        return self._server.answer()


class Operator:
    """Who uses the API."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=300)

    def upload(self, size: int, version: str) -> None:
        """A package of so many bytes."""
        content = version.encode() * (size // len(version) + 1)
        answer = self._http.post(
            "/packages", files={"file": ("body", content[:size])}, data={"version": version}
        )
        assert answer.status_code == 201, answer.text

    def create(self, pid: str) -> str:
        """A campaign for all devices; its id."""
        wanted = {"name": "all", "package": pid, "targets": {"all": True}}
        answer = self._http.post("/campaigns", json=wanted)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]  # type: ignore[no-any-return]

    def created(self, campaign_id: str, devices: int) -> None:
        """Wait until all of its tasks are there."""
        while True:
            status = self._http.get(f"/campaigns/{campaign_id}").json()
            if status["state"] != "creating":
                assert status["devices"] == devices
                return
            time.sleep(ASK_EVERY_S)  # as an operator does who waits

    def stop(self, campaign_id: str) -> None:
        """Cancel it, and look at what follows for a while."""
        answer = self._http.post(f"/campaigns/{campaign_id}/stop")
        assert answer.status_code == 200, answer.text
        until_s = time.perf_counter() + STOPPING_S
        while time.perf_counter() < until_s:
            if self._http.get(f"/campaigns/{campaign_id}").json()["ended_s"] is not None:
                return
            time.sleep(ASK_EVERY_S)  # the same

    def close(self) -> None:
        """Let go."""
        self._http.close()


operator: Operator
"""Of the process that plays the operator, so that its work is not that of the devices."""


def play(url: str, token: str, cores: list[int]) -> None:
    """Begin to, giving way to all others."""
    global operator
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if cores:
        os.sched_setaffinity(0, {cores[1]})
    operator = Operator(url, token)


def upload(uploads: int, size: int, name: str) -> None:
    """So many packages, one after the other."""
    for number in range(uploads):
        operator.upload(size, f"{name}{number}.7")


def make(pid: str, devices: int) -> str:
    """A campaign for all devices, until all its tasks are there; its id."""
    campaign_id = operator.create(pid)
    operator.created(campaign_id, devices)
    return campaign_id


def stop(campaign_id: str) -> None:
    """Stop it."""
    operator.stop(campaign_id)


@pytest.mark.benchmark(group="latency")
@pytest.mark.parametrize("threads", [1, 0])
def bench_beside_the_api(
    benchmark: Any,
    fleet: tuple[Path, int],
    body: bytes,
    body_file: Path,
    tmp_path: Path,
    threads: int,
    quick: bool,
) -> None:
    """Blocks of 512 bytes to 64 devices beside uploads, and beside a campaign as it is made and stopped."""
    folder, devices = fleet
    shutil.copytree(folder, tmp_path / "data")
    upload_bytes, uploads, calm_s = (3 << 20, 1, 0.5) if quick else (30 << 20, 10, 5.0)
    command = ("api", "api", "--body", body_file, "--folder", tmp_path / "data", "--threads", threads)
    mine = sorted(os.sched_getaffinity(0))
    cores = mine[:2] if len(mine) > 1 else []
    with start(*command) as server, awake(mine), ExitStack() as stack:
        facts = server.facts
        assert facts["devices"] == devices
        spawn = multiprocessing.get_context("spawn")
        arguments = (facts["url"], facts["token"], cores)
        pool = stack.enter_context(
            ProcessPoolExecutor(1, mp_context=spawn, initializer=play, initargs=arguments)
        )
        pool.submit(upload, 1, 1 << 20, "first").result()  # its threads are there from now on
        if cores:
            stack.callback(os.sched_setaffinity, 0, mine)
            os.sched_setaffinity(0, {cores[0]})
        load = stack.enter_context(
            Load(server, body, path=facts["keys"], devices=DOWNLOADING, szx=5, rate=RATE)
        )
        watch = Watch(server, load, cores)
        worst: list[float] = []

        def measured() -> None:
            worst.append(
                watch.beside(
                    "upload", calm_s, lambda: pool.submit(upload, uploads, upload_bytes, "V"), MAKING_MAX_S
                )
            )
            making: list[Future[str]] = []

            def begin() -> Future[str]:
                making.append(pool.submit(make, facts["pid"], devices))
                return making[0]

            worst.append(watch.beside("making", calm_s, begin, MAKING_MAX_S))
            began = watch.calm(calm_s)
            watch.facts |= began.facts("beginning")
            watch.beside("stopping", calm_s, lambda: pool.submit(stop, making[0].result()), MAKING_MAX_S)

        benchmark.pedantic(measured, rounds=1)
    benchmark.extra_info.update(
        ratio_p99=max(worst), devices=devices, upload_bytes=upload_bytes, cores=str(cores), **watch.facts
    )
