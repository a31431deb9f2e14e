"""Does the data plane keep its speed while the control plane is saturated? Blocks a second, both ways.

A machine of two cores is divided: one serves blocks (the serving thread) and downloads them, as fast as
both can; the other has the rest of the server (loop, writer) and the flood. So neither plane is given or
denied what the other does not use, and what is seen is what one does to the other: the socket, locks,
memory and kernel that they share. In turn, a slice with the flood paused and a slice with it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.peers import Load, Server, start
from bench.servers import DEVICE, DOWNLOADING

ROOT = Path(__file__).parent.parent
RAMP_S = 0.4  # until a flood flows, or has drained
FLOODING = 256  # devices, of which each has one message under way


def start_flood(server: Server, devices: int) -> Server:
    """All of them at their download, and quiet."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.flood", str(server.port), str(devices), DEVICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    flood = Server("flood", process, server.port, "")
    assert flood.answer()["there"] == devices
    return flood


def threads_of(server: Server) -> list[int]:
    """All threads of a process."""
    return [int(each) for each in os.listdir(f"/proc/{server.process.pid}/task")]


@contextmanager
def divided(server: Server, flood: Server) -> Iterator[str]:
    """Each plane on a core of its own; says which."""
    mine = os.sched_getaffinity(0)
    if len(mine) < 2:
        yield "one core for everything"
        return
    first, second, *_ = sorted(mine)
    serving = server.facts["serving"]
    for thread in threads_of(server):
        os.sched_setaffinity(thread, {first if thread in serving else second})
    # Served on the loop, blocks and reports have one thread: the others are with who downloads.
    os.sched_setaffinity(flood.process.pid, {second if serving else first})
    os.sched_setaffinity(0, {first})
    try:
        yield (
            f"core {first}: serving thread, downloads; core {second}: loop, writer, flood"
            if serving
            else f"core {first}: downloads, flood; core {second}: server"
        )
    finally:
        os.sched_setaffinity(0, mine)


def thread_s(server: Server) -> float:
    """CPU seconds of the serving threads; of the process where the loop serves, as threads come and go."""
    serving = server.facts["serving"]
    if not serving:
        return server.cpu_s()
    task = Path(f"/proc/{server.process.pid}/task")
    return sum(int((task / str(each) / "schedstat").read_text().split()[0]) for each in serving) / 1e9


@pytest.mark.benchmark(group="planes")
@pytest.mark.parametrize("threads", [1, 0])
def bench_blocks_beside_reports(
    benchmark: Any, body: bytes, body_file: Path, tmp_path: Path, threads: int, quick: bool
) -> None:
    """Blocks of 512 bytes to 64 devices, at full speed, beside as many reports as are committed."""
    devices = DOWNLOADING if quick else FLOODING
    slices, slice_s = (2, 0.5) if quick else (15, 2.0)
    command = ("orchestrator", "orchestrator", "--body", body_file, "--folder", tmp_path)
    command += ("--threads", threads, "--devices", devices)
    quiet: list[tuple[float, float]] = []  # blocks/s, CPU seconds of the serving thread per block
    beside: list[tuple[float, float]] = []
    reports: list[float] = []
    with start(*command) as server, start_flood(server, devices) as flood:
        keys = server.facts["keys"]
        with (
            divided(server, flood) as pinned,
            Load(server, body, path=keys, devices=DOWNLOADING, szx=5) as load,
        ):

            def turn(word: str, told: list[tuple[float, float]]) -> None:
                flood.command(word)
                flood.answer()
                load.downloader.run(RAMP_S)
                flood.command(word)
                answered = flood.answer()["answered"]
                blocks, begun_s, begun_cpu_s = (
                    load.downloader.stats.blocks,
                    time.perf_counter(),
                    thread_s(server),
                )
                load.downloader.run(slice_s)
                spent_s = time.perf_counter() - begun_s
                blocks = load.downloader.stats.blocks - blocks
                told.append((blocks / spent_s, (thread_s(server) - begun_cpu_s) / blocks))
                flood.command(word)
                if word == "go":
                    reports.append((flood.answer()["answered"] - answered) / spent_s)
                else:
                    assert flood.answer()["answered"] == answered

            def pairs() -> None:
                for _ in range(slices):
                    turn("pause", quiet)
                    turn("go", beside)

            benchmark.pedantic(pairs, rounds=1)
            assert not load.downloader.stats.failed
            server.command("stats")
            stored = server.answer()
    benchmark.extra_info.update(
        ns=1e9 / statistics.median(each[0] for each in beside),
        ratio=median_ratio([each[0] for each in beside], [each[0] for each in quiet]),
        quiet_blocks_per_s=round(statistics.median(each[0] for each in quiet)),
        blocks_per_s=round(statistics.median(each[0] for each in beside)),
        reports_per_s=round(statistics.median(reports)),
        per_commit=round(stored["happenings"] / stored["commits"]),
        thread_cpu_ratio=median_ratio([each[1] for each in beside], [each[1] for each in quiet]),
        thread_cpu_ns=statistics.median(each[1] for each in beside) * 1e9,
        pinned=pinned,
    )


def median_ratio(others: list[float], bases: list[float]) -> float:
    """Of neighbouring slices, so that a machine that drifts does no harm."""
    return statistics.median(other / base for other, base in zip(others, bases, strict=True))
