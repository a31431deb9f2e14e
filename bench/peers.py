"""Starts the measured servers, reads their CPU clocks, and drives virtual devices at them."""

from __future__ import annotations

import json
import shutil
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from headgate.fleet.downloader import Downloader

HOST = "127.0.0.1"
# Bytes of a 2.05 answer beside its payload and its 4-byte token: header 4, ETag 9, Content-Format 2,
# Block2 3, marker 1. The floor answers as many bytes as the edge does.
ANSWER_HEAD_BYTES = 4 + 4 + 9 + 2 + 3 + 1


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, by its own clock: clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


@dataclass
class Server:
    """A running server process."""

    name: str
    process: subprocess.Popen[str]
    port: int
    path: str
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_floor(self) -> bool:
        """Whether it answers without a protocol."""
        return self.name.startswith("floor")

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        return cpu_s(self.process.pid)

    def command(self, *words: object) -> None:
        """Tell the server to do something; `answer` waits for what it says."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The server's answer to the oldest command."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())  # type: ignore[no-any-return]

    def memory_bytes(self, row: str = "VmRSS") -> int:
        """A row of /proc/<pid>/status."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == row:
                return int(value.split()[0]) * 1024
        raise LookupError(row)

    def end(self) -> None:
        """Let it end."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        else:
            self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def start(name: str, kind: str, *arguments: object) -> Server:
    """One of `bench.servers`, ready to answer."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.servers", kind, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    server = Server(name, process, 0, "")
    facts = server.answer()
    server.port, server.path, server.facts = facts["port"], facts["path"], facts
    return server


def start_floor(size: int) -> Server:
    """The floor for answers that carry `size` bytes."""
    return start(f"floor {size}", "floor", "--reply-bytes", size + ANSWER_HEAD_BYTES)


def start_edge(body: Path, *, threads: int, host: str = HOST) -> Server:
    """The edge, on the loop (threads=0) or in threads; host "" is every address."""
    return start("edge", "edge", "--body", body, "--threads", threads, "--host", host)


def start_libcoap(body: Path) -> Server | None:
    """Libcoap's example server holding the same bytes, or None where it is not installed."""
    server, client = shutil.which("coap-server-notls"), shutil.which("coap-client-notls")
    if server is None or client is None:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [server, "-A", HOST, "-p", str(port), "-d", "4", "-v", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    uri = f"coap://{HOST}:{port}/body"
    for _ in range(3):  # the first may come before the server listens; the client retransmits for 2 s itself
        put = subprocess.run(
            [client, "-v", "0", "-m", "put", "-b", "1024", "-t", "42", "-f", str(body), "-B", "20", uri],
            capture_output=True,
            timeout=60,
            check=False,
        )
        if put.returncode == 0:
            break
    return Server("libcoap", process, port, "body")


class Load:
    """Virtual devices that download the same package over and over from one server."""

    def __init__(
        self, server: Server, body: Any, *, path: str | list[str] | None = None, **options: Any
    ) -> None:
        self.server = server
        self.downloader = Downloader(
            host=HOST,
            port=server.port,
            path=path or server.path,
            body=body,
            repeat=True,
            floor=server.is_floor,
            check_etag=server.name != "libcoap",  # it gives each transfer an ETag of its own
            **options,
        )

    def run(self, blocks: int) -> float:
        """Download that many blocks; the server's CPU seconds per block."""
        before_blocks, before_s = self.downloader.stats.blocks, self.server.cpu_s()
        self.downloader.run(60.0, blocks=blocks)
        stats = self.downloader.stats
        if stats.failed or stats.blocks - before_blocks < blocks:
            raise RuntimeError(f"{self.server.name}: {stats}")
        return (self.server.cpu_s() - before_s) / (stats.blocks - before_blocks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.downloader.close()


@dataclass(frozen=True)
class Pair:
    """CPU per block of a base and of what is compared with it, measured in turn in one run."""

    base_s: list[float]
    other_s: list[float]

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring slices, so that a machine that drifts does no harm."""
        return statistics.median(other / base for other, base in zip(self.other_s, self.base_s, strict=True))

    def facts(self) -> dict[str, float]:
        """For the report: nanoseconds and the ratio."""
        return {
            "base_ns": statistics.median(self.base_s) * 1e9,
            "ns": statistics.median(self.other_s) * 1e9,
            "ratio": self.ratio,
        }
