"""How much CPU of our own does an answered GET cost? No socket, so no kernel: nanoseconds per answer."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.crc import check_code

GRANTED = b"abcdefghijklmnop"
CASES = {
    "a granted block": [(11, GRANTED)],
    "a public block": [(11, b"fw"), (11, b"v2.bin")],
    "a public block, Size2 asked": [(11, b"fw"), (11, b"v2.bin"), (28, b"")],
    "4.04": [(11, b"nothing")],
}


def responder_with(body: bytes, grants: int) -> Responder:
    """A responder with one public package and that many grants."""
    catalog = Catalog(Ledger(grants))
    package = Package(body, sha256=hashlib.sha256(body).digest(), check_code=check_code(body))
    catalog.publish(b"fw/v2.bin", package)
    catalog.grant(GRANTED, package)
    for number in range(grants - 1):
        catalog.grant(b"grant-%010d" % number, package)
    return Responder(catalog)


def requests(options: list[tuple[int, bytes]]) -> list[bytes]:
    """64 block requests of 1024 bytes, each for another block."""
    return [
        Message(
            type=0,
            code=1,
            message_id=num,
            token=num.to_bytes(4),
            options=[*options, (23, Block(num, False, 6).encode())],
        ).encode()
        for num in range(64)
    ]


def measure(benchmark: Any, responder: Responder, datagrams: list[bytes], quick: bool) -> None:
    """Nanoseconds per answer, over 64 datagrams in turn."""
    rounds = 1_000 if quick else 20_000
    benchmark.pedantic(responder._py_respond_many, (datagrams, rounds), rounds=9, warmup_rounds=1)
    benchmark.extra_info["per"] = 64 * rounds


@pytest.mark.benchmark(group="responder")
@pytest.mark.parametrize("case", CASES)
def bench_answer(benchmark: Any, case: str, body: bytes, quick: bool) -> None:
    """One kind of request after the other."""
    measure(benchmark, responder_with(body, grants=1), requests(CASES[case]), quick)


@pytest.mark.benchmark(group="responder")
@pytest.mark.parametrize("grants", [1, 1_000, 1_000_000])
def bench_among_grants(benchmark: Any, grants: int, body: bytes, quick: bool) -> None:
    """64 devices out of that many: each datagram names another grant, spread over the whole catalog."""
    if quick and grants > 1_000:
        grants = 10_000
    responder = responder_with(body, grants)
    datagrams = []
    for number in range(64):
        key = b"grant-%010d" % ((number * 15_485_863) % (grants - 1)) if grants > 1 else GRANTED
        datagrams += requests([(11, key)])[number : number + 1]
    measure(benchmark, responder, datagrams, quick)
