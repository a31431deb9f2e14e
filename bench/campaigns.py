"""Does the server keep its promises at 100,000 tasks? To create, to list, and to start with them."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.peers import cpu_s
from bench.rows import fill
from headgate.server import Config, Server

PAGE = 1000
WORST_PAGES = 20  # pages in a row, of which the slowest is told


def config(folder: Path) -> Config:
    """A server of its own, on a free port."""
    return Config(coap={"host": "127.0.0.1", "port": 0}, store={"directory": folder})


@pytest.mark.benchmark(group="campaigns")
def bench_create_and_list(benchmark: Any, tmp_path: Path, quick: bool) -> None:
    """`create_campaign` for so many devices that have never registered, then all tasks, page by page."""
    count = 2_000 if quick else 100_000
    names = [f"urn:imei:86{number:013d}" for number in range(count)]
    facts: dict[str, Any] = {}

    async def run() -> None:
        async with Server(config(tmp_path)) as server:
            package = await server.add_package(random.Random(1).randbytes(65_536), version="V1.1")
            begun_s = time.perf_counter()
            campaign = await server.create_campaign(name="all", package=package.pid, endpoints=names)
            facts["create_s"] = time.perf_counter() - begun_s
            after, seen, slowest_s = None, 0, 0.0
            begun_s = time.perf_counter()
            while True:
                page_s = time.perf_counter()
                page = await server.tasks(campaign.id, after=after, limit=PAGE)
                slowest_s = max(slowest_s, time.perf_counter() - page_s)
                if not page:
                    break
                seen, after = seen + len(page), page[-1].id
            facts["list_s"] = time.perf_counter() - begun_s
            facts["slowest_page_ms"] = slowest_s * 1e3
            assert seen == count
            status = await server.campaign(campaign.id)
            assert sum(status.counts.states.values()) == count

    benchmark.pedantic(lambda: asyncio.run(run()), rounds=1)
    benchmark.extra_info.update(tasks=count, ns=facts["create_s"] / count * 1e9, **facts)


@pytest.mark.benchmark(group="campaigns")
def bench_restart(benchmark: Any, tmp_path: Path, quick: bool) -> None:
    """`headgate serve` with so many active tasks in every state, from its start until it serves.

    Each device is registered; each task is in the middle: with an effect to ask again, with an observation
    where its state has one, with its slot where it holds one. The interpreter's own start is in it.
    """
    count = 2_000 if quick else 100_000
    facts = fill(tmp_path, count)
    log = (tmp_path / "log").open("w+")
    command = [sys.executable, "-m", "headgate", "serve", "--data", str(tmp_path)]
    command += ["--host", "127.0.0.1", "--port", "0", "--http-port", "0"]
    spent: list[float] = []
    spent_cpu: list[float] = []

    def serve() -> None:
        begun_s = time.perf_counter()
        serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert serving.stdout is not None
            line = serving.stdout.readline()
            spent.append(time.perf_counter() - begun_s)
            spent_cpu.append(cpu_s(serving.pid))
            assert f"{count:,} devices" in line, line
        finally:
            serving.kill()
            serving.communicate()

    benchmark.pedantic(serve, rounds=1 if quick else 5)
    log.close()
    ready_s = sorted(spent)[len(spent) // 2]
    benchmark.extra_info.update(
        ns=ready_s / count * 1e9,
        ready_s=ready_s,
        slowest_s=max(spent),
        ready_cpu_s=sorted(spent_cpu)[len(spent_cpu) // 2],
        **facts,
    )
