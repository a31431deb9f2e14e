"""What does a control message cost in Python, alone and among 100,000 exchanges? Nanoseconds, no socket."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from headgate.engine.exchange import Exchange
from headgate.wire.coap import Message
from headgate.wire.numbers import ACK, CHANGED, CON, CONTENT, CREATED, GET, OBSERVE, POST, PUT, URI_PATH

DATA = ((URI_PATH, b"19"), (URI_PATH, b"0"), (URI_PATH, b"0"))
DELIVERY = ((URI_PATH, b"19"), (URI_PATH, b"1"), (URI_PATH, b"0"))
REGISTER = (
    (URI_PATH, b"rd"),
    (12, b"\x28"),
    (15, b"lwm2m=1.0"),
    (15, b"ep=866971030000001"),
    (15, b"b=UQ"),
    (15, b"lt=86400"),
)
LINKS = b"</>;rt=oma.lwm2m,</1/0>,</3/0>,</4/0>,</5/0>,</19/0>,</19/1>"
REPORT = bytes.fromhex("FFFE01134C9A000700") + b"V0.9"
PER_ROUND = 1000
MESSAGE_S = 0.01  # simulated time between two messages: 30,000 remembered at any time


def busy(outstanding: int) -> Exchange:
    """An Exchange with that many requests under way, each to a device of its own."""
    exchange = Exchange(rng=random.Random(20260101))
    for device in range(outstanding):
        exchange.request(device, ("10.0.0.1", device), GET, DATA, now=0.0)
        exchange.take()
    return exchange


def reporting(exchange: Exchange) -> Callable[[], None]:
    """A device reports: a CON notification, its event, the ACK after the commit."""
    token = b"observed"
    exchange.remember(token, "device", GET, DATA)
    number = itertools.count()
    datagrams = [
        Message(
            type=CON,
            code=CONTENT,
            message_id=message_id,
            token=token,
            options=((OBSERVE, (message_id & 0xFF).to_bytes()),),
            payload=REPORT,
        ).encode()
        for message_id in range(1 << 16)
    ]

    def report() -> None:
        for datagram in itertools.islice(turn, PER_ROUND):
            now = next(number) * MESSAGE_S
            for event in exchange.receive("10.0.0.1:5683", datagram, now):
                exchange.acknowledge(event.handle)  # type: ignore[union-attr,arg-type]
            exchange.take()
        assert exchange.counts["repeated"] == 0

    turn = itertools.cycle(datagrams)
    return report


def registering(exchange: Exchange) -> Callable[[], None]:
    """A device registers: a CON request, its event, a piggybacked 2.01."""
    number = itertools.count()
    datagrams = [
        Message(
            type=CON, code=POST, message_id=message_id, token=b"reg", options=REGISTER, payload=LINKS
        ).encode()
        for message_id in range(1 << 16)
    ]
    turn = itertools.cycle(datagrams)

    def register() -> None:
        for datagram in itertools.islice(turn, PER_ROUND):
            now = next(number) * MESSAGE_S
            for event in exchange.receive("10.0.0.1:5683", datagram, now):
                exchange.respond(
                    event.handle,  # type: ignore[union-attr,arg-type]
                    CREATED,
                    ((8, b"rd"), (8, b"5a5a5a5a")),
                    now=now,
                )
            exchange.take()
        assert exchange.counts["repeated"] == 0

    return register


def commanding(exchange: Exchange) -> Callable[[], None]:
    """The server commands: a CON request, its piggybacked response, the event."""
    number = itertools.count()

    def command() -> None:
        for _ in range(PER_ROUND):
            now = next(number) * MESSAGE_S
            device = next(device_of)
            exchange.request(device, "10.0.0.1:5683", PUT, DELIVERY, REPORT, now=now)
            [(remote, datagram)] = exchange.take()
            # The header byte of an ACK with a token of 8, and 2.04; id and token as they came.
            exchange.receive(remote, bytes((0x40 | ACK << 4 | 8, CHANGED)) + datagram[2:12], now)

    device_of = itertools.cycle([f"device {number}" for number in range(64)])
    return command


CASES = {
    "a report, acknowledged": reporting,
    "a Register, answered": registering,
    "a command, answered": commanding,
}


@pytest.mark.benchmark(group="exchange")
@pytest.mark.parametrize("outstanding", [0, 100_000])
@pytest.mark.parametrize("case", CASES)
def bench_message(benchmark: Any, case: str, outstanding: int, quick: bool) -> None:
    """Nanoseconds per message and its answer, both ways through the Exchange; no socket."""
    conversation = CASES[case](busy(1000 if quick and outstanding else outstanding))
    benchmark.pedantic(conversation, rounds=5 if quick else 60, warmup_rounds=5)
    benchmark.extra_info["per"] = PER_ROUND
    benchmark.extra_info["outstanding"] = outstanding
