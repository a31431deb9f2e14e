"""What the benchmarks share: how much to measure, and what is said about the machine."""

from __future__ import annotations

import os
import platform
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

SEED = 20260101
BODY_BYTES = 256 << 10


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add what a figure needs beside it: CPU, kernel, cores, build and commit."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    machine_info["headgate"] = {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "build": os.environ.get("HEADGATE_BUILD", "release"),
        "commit": commit.stdout.strip() or "unknown",
    }


@pytest.fixture(scope="session")
def quick() -> bool:
    """Whether to show only that everything runs (`--quick`), with figures too short to quote."""
    return os.environ.get("HEADGATE_BENCH") == "quick"


@pytest.fixture(scope="session")
def body() -> bytes:
    """The package that is downloaded."""
    return random.Random(SEED).randbytes(BODY_BYTES)


@pytest.fixture(scope="session")
def body_file(body: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file, for servers in other processes."""
    path = tmp_path_factory.mktemp("bench") / "body"
    path.write_bytes(body)
    return path
