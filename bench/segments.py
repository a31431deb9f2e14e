"""What a PCP segment costs the server, beside a block of the same size and beside the bare socket.

A segment is asked for by a notification and answered by two datagrams, an ACK and a write; a block by one. So
the bound is 1.5 times a block plus what the second datagram costs the floor. Without sockets: nanoseconds
of our own. With them: CPU per answer, four servers in turn in one run, asked by the same volleys.
"""

from __future__ import annotations

import hashlib
import socket
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from bench.peers import HOST, Server, cpu_s, start, start_floor
from headgate.edge.segments import offer_of
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.engine.segments import SegmentGrant, Segments
from headgate.fleet.volley import Volley
from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.crc import check_code

VERSION = "V1.1"
BLOCK_OF = {256: 256, 500: 512}  # the block beside a segment of so many bytes
SZX = {256: 4, 512: 5}
# Bytes of a write beside the package's: header 4, token 8, path and format 9, marker 1, PCP head 11.
WRITE_HEAD_BYTES = 4 + 8 + 9 + 1 + 11
DEVICES = 1_000
SEGMENTS_EACH = 4  # a device asks for these in turn: never again for the one that is under way
STEP_NS = 16 * 10**9  # between two requests of a device, where time is ours: none is a copy
MEASURED: dict[str, int] = {"pid": 0}


def token_of(number: int) -> bytes:
    """The token of device `number`: all differ, and no two are alike to a hash."""
    return (number * 0x9E3779B97F4A7C15 % (1 << 64)).to_bytes(8)


def segment_request(token: bytes, segment: int, message_id: int) -> bytes:
    """A device's CON with PCP message 21."""
    frame = bytearray(bytes.fromhex("FFFE011500000012") + VERSION.encode().ljust(16, b"\0"))
    frame += segment.to_bytes(2)
    frame[4:6] = check_code(frame).to_bytes(2)
    return Message(
        type=0,
        code=0x45,
        message_id=message_id,
        token=token,
        options=[(6, b"\x01"), (12, b"\x2a")],
        payload=bytes(frame),
    ).encode()


def written(token: bytes, message_id: int) -> bytes:
    """A device's NON 2.04 to the write of a segment, which tells all that an ACK tells."""
    write_token = bytes([token[0] ^ 0x80]) + token[1:]
    return Message(type=1, code=0x44, message_id=message_id, token=write_token).encode()


def segment_requests(devices: int) -> list[bytes]:
    """Of each device in turn, a few times round."""
    return [
        segment_request(token_of(number), turn * 7 + number % 50, (number + turn * devices) & 0xFFFF)
        for turn in range(SEGMENTS_EACH)
        for number in range(devices)
    ]


def block_requests(path: str, size: int) -> list[bytes]:
    """64 blocks of one path."""
    return [
        Message(
            type=0,
            code=1,
            message_id=num,
            token=num.to_bytes(8),
            options=[(11, path.encode()), (23, Block(num, False, SZX[size]).encode())],
        ).encode()
        for num in range(64)
    ]


# -- without sockets --


def package_of(body: bytes) -> Package:
    """The body with its identity."""
    return Package(body, sha256=hashlib.sha256(body).digest(), check_code=check_code(body))


def responder_with(body: bytes, grants: int, size: int = 500) -> Responder:
    """A responder with that many segment grants, and one grant by path."""
    catalog = Catalog(Ledger(grants + 1))
    package = package_of(body)
    offer = offer_of(Segments(package, size=size), version=VERSION)
    for number in range(grants):
        grant = SegmentGrant(catalog.ledger, offer)
        catalog.grant_segments(token_of(number), grant)
    catalog.grant(b"abcdefghijklmnop", package)
    return Responder(catalog)


def measure(benchmark: Any, responder: Responder, datagrams: list[bytes], quick: bool) -> None:
    """Nanoseconds per answer, over 64 datagrams in turn; time goes on, so that no request is a copy."""
    rounds = 1_000 if quick else 20_000
    now_ns = 10**9

    def one_slice() -> None:
        nonlocal now_ns
        responder._py_respond_many(datagrams, rounds, now_ns=now_ns, step_ns=STEP_NS)
        now_ns += rounds * STEP_NS

    benchmark.pedantic(one_slice, rounds=9, warmup_rounds=1)
    benchmark.extra_info["per"] = 64 * rounds


@pytest.mark.benchmark(group="segments, no socket")
@pytest.mark.parametrize("size", BLOCK_OF)
@pytest.mark.parametrize("what", ["block", "segment"])
def bench_answer(benchmark: Any, what: str, size: int, body: bytes, quick: bool) -> None:
    """A granted block, and a segment of as many bytes (500 beside 512)."""
    responder = responder_with(body, DEVICES, size)
    datagrams = (
        block_requests("abcdefghijklmnop", BLOCK_OF[size])
        if what == "block"
        else segment_requests(DEVICES)[: 64 * 15 : 15]
    )
    measure(benchmark, responder, datagrams, quick)


@pytest.mark.benchmark(group="segments, no socket")
@pytest.mark.parametrize("grants", [1, 1_000, 1_000_000])
def bench_among_grants(benchmark: Any, grants: int, body: bytes, quick: bool) -> None:
    """64 requests among that many grants, spread over the whole catalog."""
    if quick:
        grants = min(grants, 10_000)
    datagrams = [
        segment_request(token_of(number * 15_485_863 % grants), number, number) for number in range(64)
    ]
    measure(benchmark, responder_with(body, grants), datagrams, quick)


@pytest.mark.benchmark(group="segments, no socket")
def bench_check_code(benchmark: Any, body: bytes, quick: bool) -> None:
    """The check code of one answer: where it is looked up, all over the package."""
    segments = Segments(package_of(body * 32), size=500)
    rounds = 100_000 if quick else 5_000_000
    benchmark.pedantic(segments._py_check_codes, (rounds,), rounds=9, warmup_rounds=1)
    benchmark.extra_info["per"] = rounds


@pytest.mark.benchmark(group="segments, no socket")
def bench_prepare(benchmark: Any, body: bytes) -> None:
    """What is computed once for a package and a segment size, per byte."""
    package = package_of(body * 32)
    benchmark.pedantic(Segments, (package,), {"size": 500}, rounds=9, warmup_rounds=1)
    benchmark.extra_info["per"] = len(package)


# -- with sockets --


class VolleyLoad:
    """One server asked by volleys: its CPU seconds per request."""

    def __init__(self, server: Server, datagrams: list[bytes], *, answers: int, window: int = 64) -> None:
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.connect((HOST, server.port))
        self.volley = Volley(self.socket.fileno(), datagrams, window=window, answers=answers)

    def run(self, count: int) -> float:
        """Send so many datagrams; the server's CPU seconds for each."""
        before_s = self.server.cpu_s()
        self.volley.run(count)
        return (self.server.cpu_s() - before_s) / count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def start_segments(body: Path, *, threads: int, size: int, grants: int = DEVICES) -> Server:
    """The edge with segment grants beside its public package."""
    return start(
        "edge",
        "edge",
        *("--body", body, "--threads", threads),
        *("--segment-grants", grants, "--segment-size", size),
    )


def start_double_floor(size: int) -> Server:
    """The floor for an acknowledgement and a write that carries `size` bytes."""
    return start("floor", "floor", "--reply-bytes", size + WRITE_HEAD_BYTES, "--acknowledgement-bytes", 4)


def server_cpu_s() -> float:
    """The clock: CPU seconds of the server under measurement."""
    return cpu_s(MEASURED["pid"])


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """What is entered here ends with the benchmark."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.benchmark(group="segments", timer=server_cpu_s)
@pytest.mark.parametrize("driver", ["loop", "thread"])
@pytest.mark.parametrize("size", BLOCK_OF)
def bench_segment(
    benchmark: Any, size: int, driver: str, body_file: Path, servers: ExitStack, quick: bool
) -> None:
    """A segment against its bound: 1.5 blocks and the floor of a second datagram. `ratio` is to the bound."""
    enter = servers.enter_context
    edge = enter(start_segments(body_file, threads=int(driver == "thread"), size=size))
    block_size = BLOCK_OF[size]
    block_asked = block_requests(edge.facts["grant"], block_size)
    segment_asked = segment_requests(DEVICES)
    loads = {
        "floor": enter(VolleyLoad(enter(start_floor(block_size)), block_asked, answers=1)),
        "floor of two": enter(VolleyLoad(enter(start_double_floor(size)), segment_asked, answers=2)),
        "block": enter(VolleyLoad(edge, block_asked, answers=1)),
        "segment": enter(VolleyLoad(edge, segment_asked, answers=2)),
    }
    MEASURED["pid"] = edge.process.pid
    count = 2_000 if quick else 20_000
    seen: dict[str, list[float]] = {name: [] for name in loads}

    def one_slice() -> None:
        for name, load in loads.items():
            seen[name].append(load.run(count))

    benchmark.pedantic(one_slice, rounds=3 if quick else 15, warmup_rounds=1)
    for values in seen.values():
        del values[0]  # the warm-up
    ratios = [
        segment / (1.5 * block + two - one)
        for one, two, block, segment in zip(*(seen[name] for name in loads), strict=True)
    ]
    medians = {f"{name} ns": statistics.median(values) * 1e9 for name, values in seen.items()}
    benchmark.extra_info.update(
        per=count, ns=medians.pop("segment ns"), ratio=statistics.median(ratios), **medians
    )


@pytest.mark.benchmark(group="segments", timer=server_cpu_s)
@pytest.mark.parametrize("grants", [1_000, 1_000_000])
def bench_number_of_grants(
    benchmark: Any, grants: int, body_file: Path, servers: ExitStack, quick: bool
) -> None:
    """Devices spread over that many grants, against 64; `ratio` is to those."""
    enter = servers.enter_context
    grants = min(grants, 10_000) if quick else grants
    every = grants // DEVICES
    asked = [
        segment_request(token_of(number * every), turn * 7 + number % 50, number)
        for turn in range(SEGMENTS_EACH)
        for number in range(DEVICES)
    ]
    few_edge = enter(start_segments(body_file, threads=1, size=500, grants=64))
    many_edge = enter(start_segments(body_file, threads=1, size=500, grants=grants))
    few = enter(VolleyLoad(few_edge, segment_requests(64), answers=2))
    many = enter(VolleyLoad(many_edge, asked, answers=2))
    MEASURED["pid"] = many_edge.process.pid
    count = 2_000 if quick else 20_000
    pairs: list[tuple[float, float]] = []

    def one_slice() -> None:
        pairs.append((few.run(count), many.run(count)))

    benchmark.pedantic(one_slice, rounds=3 if quick else 15, warmup_rounds=1)
    del pairs[0]
    benchmark.extra_info.update(
        per=count,
        base_ns=statistics.median(base for base, _ in pairs) * 1e9,
        ns=statistics.median(other for _, other in pairs) * 1e9,
        ratio=statistics.median(other / base for base, other in pairs),
    )


@pytest.mark.benchmark(group="segments", timer=server_cpu_s)
def bench_with_responses(benchmark: Any, body_file: Path, servers: ExitStack, quick: bool) -> None:
    """Each segment and the device's response to its write, against two datagrams each way of the floor."""
    enter = servers.enter_context
    asked = []
    for number, request in enumerate(segment_requests(DEVICES)):
        asked += [request, written(token_of(number % DEVICES), number)]
    edge = enter(start_segments(body_file, threads=1, size=500))
    floor = enter(VolleyLoad(enter(start_floor(512)), asked, answers=1))
    segments = enter(VolleyLoad(edge, asked, answers=1))
    MEASURED["pid"] = edge.process.pid
    count = 4_000 if quick else 40_000
    pairs: list[tuple[float, float]] = []

    def one_slice() -> None:
        pairs.append((floor.run(count) * 2, segments.run(count) * 2))

    benchmark.pedantic(one_slice, rounds=3 if quick else 15, warmup_rounds=1)
    del pairs[0]
    benchmark.extra_info.update(
        per=count // 2,
        base_ns=statistics.median(base for base, _ in pairs) * 1e9,
        ns=statistics.median(other for _, other in pairs) * 1e9,
        ratio=statistics.median(other / base for base, other in pairs),
    )
