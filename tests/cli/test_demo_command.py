"""`headgate demo`: small enough for a test, and able to fail."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One run in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "headgate", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("threads", ["0", "1"])
def test_every_digest_is_right(threads):
    """Loss, resuming from new ports, either driver: exit code 0, and it says so."""
    done = demo(
        "--devices", "50", "--size", "30001", "--movers", "0.5", "--loss", "0.05", "--threads", threads
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 50 devices hold the package, byte for byte." in done.stdout


def test_ctrl_c_ends_it_without_a_traceback():
    """In the middle of the download: the fleet's thread ends first, then what it used is closed."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "headgate",
            "demo",
            "--devices",
            "2",
            "--size",
            str(16 << 20),
            "--loss",
            "0.5",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("Edge on UDP")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, 2)
    assert "Traceback" not in errors


def test_a_lack_of_descriptors_is_one_line():
    """Each virtual device has a port of its own."""
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'ulimit -n 64; exec "$0" -m headgate demo --devices 100 --size 100',
            sys.executable,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "headgate: Too many open files\n")


def test_devices_that_fail_are_counted_and_fail_the_demo(monkeypatch):
    """A demo that could not end badly would prove nothing: here every image is compared with other bytes."""
    from headgate.cli import demo as module
    from headgate.cli.commands import run

    shown = module.Demo(devices=3, size_bytes=2000, loss=0.0, movers=0.0, seed=1, threads=0)
    monkeypatch.setattr(module.Demo, "_right", lambda self, fleet, wanted: 2)
    assert run(shown.run) == 1
