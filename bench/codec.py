"""How long does it take to parse a message, and to write one? Nanoseconds, no Python in between."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.wire.coap import Message, _py_parse_many
from headgate.wire.crc import check_code

TYPICAL = Message(
    type=0,
    code=1,
    message_id=0x7D34,
    token=b"\x01\x02\x03\x04",
    options=[(11, b"abcdefghijklmnop"), (23, b"\x16")],
)
REGISTER = Message(
    type=0,
    code=2,
    message_id=0x658B,
    token=bytes(6),
    options=[
        (11, b"rd"),
        (12, b"\x28"),
        (15, b"lwm2m=1.0"),
        (15, b"ep=866971030000001"),
        (15, b"b=UQ"),
        (15, b"lt=86400"),
    ],
    payload=b"</>;rt=oma.lwm2m,</1/0>,</3/0>,</4/0>,</5/0>,</19/0>,</19/1>",
)


@pytest.mark.benchmark(group="codec")
@pytest.mark.parametrize(
    "message",
    [pytest.param(TYPICAL, id="parse a block request"), pytest.param(REGISTER, id="parse a Register")],
)
def bench_parse(benchmark: Any, message: Message, quick: bool) -> None:
    """`message_parse` over 64 copies of one datagram."""
    rounds = 1_000 if quick else 20_000
    datagrams = [message.encode()] * 64
    assert benchmark.pedantic(_py_parse_many, (datagrams, rounds), rounds=9, warmup_rounds=1) == 0
    benchmark.extra_info["per"] = 64 * rounds


@pytest.mark.benchmark(group="codec")
@pytest.mark.parametrize("face", ["Message.parse", "Message.encode"])
def bench_python_face(benchmark: Any, face: str) -> None:
    """The Python face, for everything that is not the hot path."""
    datagram = TYPICAL.encode()
    benchmark(Message.parse, datagram) if face == "Message.parse" else benchmark(TYPICAL.encode)


@pytest.mark.benchmark(group="codec")
def bench_check_code(benchmark: Any, body: bytes) -> None:
    """The PCP check code of a whole package, per byte."""
    benchmark.pedantic(check_code, (body,), rounds=30, warmup_rounds=1)
    benchmark.extra_info["per"] = len(body)
