"""What a block costs the server, kernel included: CPU per block, beside the bare socket and other servers.

Every figure is a pair: a slice of blocks from the floor, a slice from the server, in turn. The ratio is the
median over neighbouring slices, so that a machine whose speed drifts does no harm. What pytest-benchmark
times is the server's own CPU clock.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.peers import Load, Pair, Server, cpu_s, start, start_edge, start_floor, start_libcoap

SZX = {16: 0, 64: 2, 512: 5, 1024: 6}
SOCKETS_MAX = 1_000  # ports of the virtual devices
MEASURED: dict[str, int] = {"pid": 0}


def server_cpu_s() -> float:
    """The clock: CPU seconds of the server under measurement."""
    return cpu_s(MEASURED["pid"])


@pytest.fixture(scope="module")
def floors() -> Iterator[dict[int, Server]]:
    """A floor per answer size."""
    with ExitStack() as stack:
        yield {size: stack.enter_context(start_floor(size)) for size in SZX}


@pytest.fixture(scope="module")
def edges(body_file: Path) -> Iterator[dict[str, Server]]:
    """The edge under its drivers; "every address" listens like the default, with packet information."""
    with ExitStack() as stack:
        yield {
            "loop": stack.enter_context(start_edge(body_file, threads=0)),
            "thread": stack.enter_context(start_edge(body_file, threads=1)),
            "loop, every address": stack.enter_context(start_edge(body_file, threads=0, host="")),
            "thread, every address": stack.enter_context(start_edge(body_file, threads=1, host="")),
        }


def compare(
    benchmark: Any, base: Load, other: Load, *, slices: int, blocks: int, base_blocks: int | None = None
) -> Pair:
    """Measure both in turn; the benchmark's own time is the other server's CPU per slice."""
    MEASURED["pid"] = other.server.process.pid
    pair = Pair([], [])

    def one_slice() -> None:
        pair.base_s.append(base.run(base_blocks or blocks))
        pair.other_s.append(other.run(blocks))

    benchmark.pedantic(one_slice, rounds=slices, warmup_rounds=1)
    del pair.base_s[0], pair.other_s[0]  # the warm-up
    benchmark.extra_info.update(per=blocks, **pair.facts())
    return pair


def load(server: Server, body: bytes, devices: int, size: int, **options: Any) -> Load:
    """Devices with ports of their own, as far as sensible."""
    return Load(
        server,
        body,
        devices=devices,
        sockets=min(devices, SOCKETS_MAX),
        szx=SZX[size],
        ack_timeout_s=5.0,
        seed=1,
        **options,
    )


@pytest.mark.benchmark(group="loopback", timer=server_cpu_s)
@pytest.mark.parametrize("driver", ["loop", "thread", "loop, every address", "thread, every address"])
@pytest.mark.parametrize("size", [1024, 512, 64, 16])
@pytest.mark.parametrize("devices", [64, 1_000, 1, 10_000])
def bench_edge(
    benchmark: Any,
    devices: int,
    size: int,
    driver: str,
    body: bytes,
    floors: dict[int, Server],
    edges: dict[str, Server],
    quick: bool,
) -> None:
    """The edge against the floor."""
    named = size == 1024 and devices in (64, 1_000)  # what the claims are about: measured longer
    if "every address" in driver and not named:
        pytest.skip("the cost of packet information is the same at every size: measured once")
    if quick and not named:
        pytest.skip("not in a quick run")
    slices = 3 if quick else 25 if named else 5
    blocks = 2_000 if quick or devices == 1 else 20_000
    with load(floors[size], body, devices, size) as floor, load(edges[driver], body, devices, size) as edge:
        compare(benchmark, floor, edge, slices=slices, blocks=blocks)


@pytest.mark.benchmark(group="loopback", timer=server_cpu_s)
@pytest.mark.parametrize("devices", [64, 1_000])
@pytest.mark.parametrize("peer", ["aiocoap", "libcoap"])
def bench_against(
    benchmark: Any,
    peer: str,
    devices: int,
    body: bytes,
    body_file: Path,
    edges: dict[str, Server],
    quick: bool,
) -> None:
    """Another server on the same work, the edge's loop as the base: how many times its CPU per block."""
    if peer == "libcoap":
        server = start_libcoap(body_file)
        if server is None:
            pytest.skip("libcoap's example programs are not installed (Debian: libcoap3-bin)")
    else:
        server = start("aiocoap", "aiocoap", "--body", body_file)
    blocks = (300 if quick else 2_000) if peer == "aiocoap" else (2_000 if quick else 10_000)
    with server, load(edges["loop"], body, devices, 1024) as edge, load(server, body, devices, 1024) as other:
        compare(benchmark, edge, other, slices=2 if quick else 5, blocks=blocks, base_blocks=20_000)


@pytest.mark.benchmark(group="loopback", timer=server_cpu_s)
@pytest.mark.parametrize("devices", [1_000, 1_000_000])
def bench_number_of_devices(
    benchmark: Any, devices: int, body: bytes, edges: dict[str, Server], quick: bool
) -> None:
    """That many devices taking turns, against 64, with 64 in flight both times."""
    same = {"sockets": 64, "in_flight": 64, "szx": 6, "token_bytes": 8, "seed": 1}
    server = edges["thread"]
    if quick:
        devices = min(devices, 100_000)
    with Load(server, body, devices=64, **same) as few, Load(server, body, devices=devices, **same) as many:
        compare(benchmark, few, many, slices=3 if quick else 15, blocks=5_000 if quick else 30_000)


@pytest.mark.benchmark(group="loopback", timer=server_cpu_s)
@pytest.mark.parametrize("size_mib", [16, 1024])
def bench_size_of_package(
    benchmark: Any, size_mib: int, tmp_path_factory: pytest.TempPathFactory, quick: bool
) -> None:
    """A package of that size read from beginning to end, against one of 64 KiB."""
    if quick:
        size_mib = min(size_mib, 64)
    folder = tmp_path_factory.mktemp("sizes")
    (folder / "small").write_bytes(b"\xa5" * (64 << 10))
    with (folder / "large").open("wb+") as file:
        file.truncate(size_mib << 20)
        large = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        with (
            start_edge(folder / "small", threads=1) as of_small,
            start(
                "edge", "edge", "--body", folder / "large", "--threads", 1, "--smallest-block", 1024
            ) as of_large,
            Load(of_small, b"\xa5" * (64 << 10), devices=64, sockets=64, szx=6, seed=1) as few,
            Load(of_large, large, devices=64, sockets=64, szx=6, seed=1, start="random") as many,
        ):
            compare(benchmark, few, many, slices=3 if quick else 15, blocks=5_000 if quick else 70_000)
    (folder / "large").unlink()


def latencies_s(load: Load, duration_s: float) -> dict[str, float]:
    """p50 and p99 of request to answer over that time."""
    load.downloader.run(0.2)
    load.downloader.latency_reset()
    load.downloader.run(duration_s)
    return {"p50_us": load.downloader.latency(0.5) * 1e6, "p99_us": load.downloader.latency(0.99) * 1e6}


@pytest.mark.benchmark(group="latency")
@pytest.mark.parametrize("driver", ["loop", "thread"])
def bench_half_load(
    benchmark: Any, driver: str, body: bytes, floors: dict[int, Server], edges: dict[str, Server], quick: bool
) -> None:
    """Latency at half of what the floor can do, the floor's beside it."""
    with load(floors[1024], body, 64, 1024) as full:
        full.downloader.run(0.3)
        before = full.downloader.stats
        full.downloader.run(0.2 if quick else 1.0)
        after = full.downloader.stats
    rate = (after.blocks - before.blocks) / (after.elapsed_s - before.elapsed_s) / 2
    duration_s = 0.3 if quick else 1.0
    seen: dict[str, list[dict[str, float]]] = {"floor": [], "edge": []}
    with (
        load(floors[1024], body, 64, 1024, rate=rate) as floor,
        load(edges[driver], body, 64, 1024, rate=rate) as edge,
    ):

        def one_slice() -> None:
            seen["floor"].append(latencies_s(floor, duration_s))
            seen["edge"].append(latencies_s(edge, duration_s))

        benchmark.pedantic(one_slice, rounds=1 if quick else 7)
    medians = {
        f"{name} {key}": sorted(values[key] for values in slices)[len(slices) // 2]
        for name, slices in seen.items()
        for key in ("p50_us", "p99_us")
    }
    benchmark.extra_info.update(
        rate=rate, ratio_p99=medians["edge p99_us"] / medians["floor p99_us"], **medians
    )


@pytest.mark.benchmark(group="latency")
@pytest.mark.parametrize("beside", ["1,000 changes a second", "a loop blocked 50 ms at a time"])
@pytest.mark.parametrize("threads", [0, 1])
def bench_beside(
    benchmark: Any, beside: str, threads: int, body: bytes, body_file: Path, quick: bool
) -> None:
    """Downloads while the catalog changes or the loop is blocked: retransmissions, the longest wait."""
    if threads == 0 and beside.startswith("a loop"):
        pytest.skip("a blocked loop blocks what runs on it: that is what threads are for")
    duration_s = 1.0 if quick else 5.0
    with (
        start_edge(body_file, threads=threads) as server,
        load(server, body, 64, 1024, rate=20_000.0) as edge,
    ):
        calm = latencies_s(edge, duration_s / 2)
        if beside.startswith("1,000"):
            server.command("churn", 1000, duration_s + 0.5)
        else:
            server.command("block", 0.05, duration_s + 0.5)
        before = edge.downloader.stats
        benchmark.pedantic(latencies_s, (edge, duration_s), rounds=1)
        busy = {
            "p99_us": edge.downloader.latency(0.99) * 1e6,
            "longest_us": edge.downloader.latency(1.0) * 1e6,
        }
        after = edge.downloader.stats
        benchmark.extra_info.update(
            calm_p99_us=calm["p99_us"],
            busy_p99_us=busy["p99_us"],
            busy_longest_us=busy["longest_us"],
            retransmissions=after.retransmissions - before.retransmissions,
            failed=after.failed,
            blocks=after.blocks - before.blocks,
            **server.answer(),
        )
