"""Disks for tests: one that is really full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """A file system of that size. Needs root, which CI has; skips elsewhere."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = f"a small disk cannot be mounted: {done.stderr.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room that is left; removing it gives it back."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        size_bytes = 1 << 20
        while size_bytes >= 1:
            try:
                file.write(b"\0" * size_bytes)
            except OSError:
                size_bytes //= 2
    return ballast
