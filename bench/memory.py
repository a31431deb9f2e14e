"""What downloaders and packages cost in memory, and the library in start-up time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.peers import Load, start, start_edge

MIB = 1 << 20


@pytest.mark.benchmark(group="memory")
def bench_downloaders(benchmark: Any, body: bytes, body_file: Path, quick: bool) -> None:
    """Resident memory after 1,000,000 devices (distinct tokens, 1,000 ports), against after one."""
    devices = 50_000 if quick else 1_000_000
    with start_edge(body_file, threads=1) as server:
        with Load(server, body, devices=1, szx=6, token_bytes=8) as one:
            one.run(2_000)
        before = server.memory_bytes()
        with Load(
            server,
            body,
            devices=devices,
            in_flight=1_000,
            sockets=1_000,
            szx=6,
            token_bytes=8,
            ack_timeout_s=5.0,
        ) as many:
            benchmark.pedantic(many.run, (devices,), rounds=1)
        grown = server.memory_bytes() - before
    benchmark.extra_info.update(devices=devices, before_mib=before / MIB, grown_kib=grown / 1024)


@pytest.mark.benchmark(group="memory")
def bench_gigabyte_package(benchmark: Any, tmp_path: Path, quick: bool) -> None:
    """Memory after publishing 1 GiB: address space, and what was resident before and after."""
    size_mib = 64 if quick else 1024
    with (tmp_path / "small").open("wb") as file:
        file.truncate(1024)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(size_mib * MIB)
    grown = {}
    with start_edge(tmp_path / "small", threads=0) as small:
        base = {row: small.memory_bytes(row) for row in ("VmSize", "VmRSS", "RssAnon")}

    def publish() -> None:
        command = ("edge", "edge", "--body", tmp_path / "large", "--smallest-block", 1024)
        with start(*command) as large:
            grown.update({row: large.memory_bytes(row) - before for row, before in base.items()})

    benchmark.pedantic(publish, rounds=1)
    benchmark.extra_info.update(
        size_mib=size_mib, **{f"{row}_grown_mib": bytes_ / MIB for row, bytes_ in grown.items()}
    )


@pytest.mark.benchmark(group="start")
def bench_import(benchmark: Any) -> None:
    """`import headgate` in a fresh interpreter: CPU milliseconds, the interpreter's own start not counted."""
    program = "import time; a = time.process_time(); import headgate; print(time.process_time() - a)"

    def import_s() -> float:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        return float(done.stdout)

    seconds: list[float] = []
    benchmark.pedantic(lambda: seconds.append(import_s()), rounds=9, warmup_rounds=1)
    benchmark.extra_info["import_ms"] = sorted(seconds)[len(seconds) // 2] * 1e3
