"""Many exchanges at once: what they cost, and that nothing a peer sends makes anything grow without bound."""

from __future__ import annotations

import gc
import math
import random
import sys

import pytest

from datagrams import ACK, BLOCK1, CON, GET, NON, POST, block_value, empty, request
from headgate.engine.bounds import Bounds
from headgate.engine.events import RequestFailed, RequestReceived
from headgate.engine.exchange import Exchange
from headgate.engine.timers import STALE_MIN
from headgate.errors import ExchangeLimitError
from reference import coap

MANY = 100_000
PATH = ((11, b"19"), (11, b"1"), (11, b"0"))


class Counted(float):
    """A time that counts how often it is compared."""

    comparisons = 0

    def __add__(self, other):
        return Counted(float(self) + other)

    def __lt__(self, other):
        Counted.comparisons += 1
        return float(self) < float(other)

    def __eq__(self, other):
        return float(self) == float(other)

    __hash__ = float.__hash__


def busy(count: int) -> Exchange:
    """That many requests outstanding, each to a device of its own."""
    exchange = Exchange(rng=random.Random(1))
    for device in range(count):
        exchange.request(device, device, GET, PATH, now=Counted(device / MANY))
    exchange.take()
    return exchange


def operations(exchange: Exchange, number: int) -> tuple[int, int]:
    """(calls, comparisons) of a report, a Register, and a command with its answer, among all the others."""
    now, remote = Counted(1.0 + number / MANY), ("new", number)
    exchange.remember(b"token %d" % number, remote)
    report = request(None, type=CON, code=0x45, message_id=number, token=b"token %d" % number)
    register = request("rd", type=CON, code=POST, message_id=number + 1000, payload=b"</>")
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    Counted.comparisons = 0
    sys.setprofile(count)
    [event] = exchange.receive(remote, report, now)
    exchange.acknowledge(event.handle)
    [event] = exchange.receive(remote, register, now)
    exchange.respond(event.handle, 0x41, now=now)
    exchange.take()
    exchange.request(remote, remote, 3, PATH, now=now)
    [(_, asked)] = exchange.take()
    [event] = exchange.receive(remote, b"\x68\x44" + asked[2:12], now)
    sys.setprofile(None)
    return calls, Counted.comparisons


def test_cost_of_a_message_does_not_grow():
    """With 100,000 exchanges outstanding a message takes as many calls as with 100, and a few comparisons."""
    few, many = busy(100), busy(MANY)
    gc.disable()
    try:
        calls_few = [operations(few, number)[0] for number in range(20)]
        costs = [operations(many, number) for number in range(200)]
    finally:
        gc.enable()
    assert sorted(calls_few)[10] == sorted(calls for calls, _ in costs)[100]
    assert max(calls for calls, _ in costs) <= max(calls_few) + 5  # a heap entry more to retire
    assert sum(comparisons for _, comparisons in costs) / len(costs) <= 2 * math.log2(MANY)


def test_many_exchanges_end():
    """Each is repeated four times, and fails once; then nothing is left of it."""
    count = 5_000
    exchange, failed, sent = busy(count), set(), 0
    while (due := exchange.next_timer()) is not None:
        for event in exchange.expire(due):
            assert type(event) is RequestFailed
            assert event.token not in failed
            failed.add(event.token)
            exchange.forget(event.token, now=due)
        sent += len(exchange.take())
        assert exchange.sizes()["timers"] <= 4 * count + STALE_MIN
    assert len(failed) == count
    assert sent == 4 * count
    assert {name: size for name, size in exchange.sizes().items() if size} == {}


def test_a_stranger_makes_nothing_grow():
    """From however many addresses: messages seen are kept, and bodies on their way, both bounded."""
    bounds = Bounds(
        remembered_max=200,
        remembered_bytes_max=4000,
        uploads_max=20,
        uploads_bytes_max=10_000,
        upload_bytes_max=3000,
    )
    exchange, chance = Exchange(rng=random.Random(1), bounds=bounds), random.Random(2)
    held = []
    for number in range(10_000):
        remote, message_id = chance.randrange(10_000), chance.randrange(1 << 16)
        datagram = chance.choice(
            [
                chance.randbytes(chance.randrange(60)),
                empty(chance.randrange(4), message_id),
                request("rd", code=chance.randrange(1, 32), message_id=message_id),
                request("rd", code=0x45, type=CON, message_id=message_id, token=chance.randbytes(8)),
                request("rd", code=0x45, type=ACK, message_id=message_id, token=chance.randbytes(8)),
                request(
                    "rd",
                    (BLOCK1, block_value(chance.randrange(3), 6, True)),
                    code=POST,
                    type=chance.choice([CON, NON]),
                    message_id=message_id,
                    payload=bytes(1024),
                ),
            ]
        )
        for event in exchange.receive(remote, datagram, number * 0.01):
            if type(event) is RequestReceived and chance.random() < 0.5:
                exchange.respond(event.handle, 0x45, payload=bytes(chance.randrange(200)), now=number * 0.01)
            else:
                held.append(event.handle)
        for _, answer in exchange.take():
            coap.parse(answer)
        sizes = exchange.sizes()
        assert sizes["remembered"] <= 200
        assert sizes["remembered bytes"] <= 4000
        assert sizes["uploads"] <= 20
        assert sizes["upload bytes"] <= 10_000
        assert sizes["tokens"] == sizes["devices"] == sizes["awaited"] == sizes["timers"] == 0
    assert len(exchange.counts) == len(Exchange(rng=random.Random(1)).counts)
    assert held


@pytest.mark.parametrize(
    "wrong",
    [
        {"upload_szx_max": 7},
        {"upload_bytes_max": 1000, "uploads_bytes_max": 999},
        {"body_bytes_max": 1000, "bodies_bytes_max": 999},
        {"remembered_max": 0},
        {"remembered_s": 0.0},
    ],
)
def test_bounds_fit_each_other(wrong):
    """What they are for would otherwise never come about."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Bounds(**wrong)


def test_counts_are_named(script):
    """Every reason is there from the start: a console shows the zeros too."""
    assert set(script.exchange.counts.values()) == {0}


def test_separate_responses_are_bounded(make_script):
    """The caller is told; the request may still be answered when one of them has ended."""
    script = make_script(bounds=Bounds(separate_max=1))
    handles = []
    for _ in range(2):
        script.device("CON POST", "rd").tells(RequestReceived).acknowledge().server("ACK")
        handles.append(script.event.handle)
    script.respond("2.01", handle=handles[0]).server("CON 2.01")
    with pytest.raises(ExchangeLimitError, match="separate_max"):
        script.respond("2.01", handle=handles[1])
    script.device("ACK").respond("2.01", handle=handles[1]).server("CON 2.01").device("ACK")
