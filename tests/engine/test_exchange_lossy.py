"""Two Exchanges over a bad network, each asking the other: bodies arrive whole and once, or the caller hears.

The clock is ours, and so is every chance: an hour takes a moment, and a seed says it all.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engine.events import (
    Cause,
    RequestAcknowledged,
    RequestFailed,
    RequestReceived,
    ResponseFailed,
    ResponseReceived,
)
from headgate.engine.exchange import Exchange
from reference import block as block_reference
from reference import coap

POST, CHANGED = 2, 0x44
LATENCY_MAX_S = 8.0


class Side:
    """One endpoint and its caller, who answers at once, later, or by a separate response."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self.exchange = Exchange(rng=random.Random(chance.random()))
        self.asked: dict[bytes, bytes] = {}
        self.answers: dict[bytes, bytes] = {}
        self.failed: set[bytes] = set()
        self.heard: Counter[bytes] = Counter()
        self.pending: list[tuple[float, RequestReceived]] = []


class World:
    """Two sides, the network between them, and the time."""

    def __init__(self, seed: int, *, loss: float, doubling: float) -> None:
        self.chance = random.Random(seed)
        self.loss, self.doubling = loss, doubling
        self.sides = {name: Side(name, self.chance) for name in ("a", "b")}
        self.flying: list[tuple[float, int, str, str, bytes]] = []
        self.now, self.sent = 0.0, 0

    def ask(self, side: Side, body: bytes, block_size: int) -> None:
        """One side asks the other."""
        other = "b" if side.name == "a" else "a"
        token = side.exchange.request(
            other, other, POST, ((11, b"x"),), body, now=self.now, block_size=block_size
        )
        side.asked[token] = body

    def run(self) -> None:
        """Until nothing is on its way and nothing is due."""
        while True:
            for side in self.sides.values():
                self.collect(side)
            due = [(self.flying[0][0], "")] if self.flying else []
            for name, side in self.sides.items():
                timer = side.exchange.next_timer()
                due += [] if timer is None else [(timer, name)]
                due += [(at, name) for at, _ in side.pending]
            if not due:
                return
            at, name = min(due)
            self.now = max(self.now, at)
            if name == "":
                _, _, source, target, datagram = heapq.heappop(self.flying)
                side = self.sides[target]
                self.tell(side, side.exchange.receive(source, datagram, self.now))
            else:
                side = self.sides[name]
                self.tell(side, side.exchange.expire(self.now))
                ready = [event for at, event in side.pending if at <= self.now]
                side.pending = [(at, event) for at, event in side.pending if at > self.now]
                for event in ready:
                    self.answer(side, event)

    def collect(self, side: Side) -> None:
        """Lose, double and delay what a side sends."""
        for target, datagram in side.exchange.take():
            copies = (self.chance.random() >= self.loss) + (self.chance.random() < self.doubling)
            for _ in range(copies):
                self.sent += 1
                at = self.now + self.chance.uniform(0.05, LATENCY_MAX_S)
                heapq.heappush(self.flying, (at, self.sent, side.name, target, datagram))

    def tell(self, side: Side, events: list) -> None:
        """What a caller does about events."""
        for event in events:
            match event:
                case RequestReceived(message=message, handle=handle):
                    side.heard[message.payload] += 1
                    how = self.chance.choice(["now", "later", "separate"])
                    if how == "separate":
                        side.exchange.acknowledge(handle)
                    side.pending.append(
                        (self.now + (0 if how == "now" else self.chance.uniform(0, 20)), event)
                    )
                case ResponseReceived(token=token, message=message, late=late):
                    assert token not in side.answers
                    assert late == (token in side.failed)
                    side.answers[token] = message.payload
                case RequestFailed(token=token, cause=cause):
                    assert cause in (Cause.TIMEOUT, Cause.NO_RESPONSE)
                    assert token not in side.answers
                    side.failed.add(token)
                case RequestAcknowledged() | ResponseFailed(cause=Cause.TIMEOUT):
                    pass
                case _:
                    # A copy of a separate response whose request is answered, from beyond the dedup memory.
                    pytest.fail(f"unexpected {event}")

    def answer(self, side: Side, event: RequestReceived) -> None:
        """The answer says how long the body was, and how it began."""
        said = b"%d %s" % (len(event.message.payload), event.message.payload[:8])
        side.exchange.respond(event.handle, CHANGED, (), said, now=self.now)


@given(
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    doubling=st.sampled_from([0.0, 0.3]),
    lengths=st.lists(st.sampled_from([0, 13, 14, 15, 100, 510, 700]), min_size=1, max_size=6),
    block_size=st.sampled_from([16, 64, 512]),
)
def test_bodies_arrive_whole_and_once(seed, loss, doubling, lengths, block_size):
    """In both directions at once; what is reported as failed may have arrived, never twice."""
    world = World(seed, loss=loss, doubling=doubling)
    for number, length in enumerate(lengths):
        body = b"%02d" % number + world.chance.randbytes(length)
        world.ask(world.sides["ab"[number % 2]], body, block_size)
    world.run()
    for name, side in world.sides.items():
        other = world.sides["b" if name == "a" else "a"]
        assert set(other.heard) <= set(side.asked.values())
        assert max(other.heard.values(), default=0) <= 1
        assert set(side.asked) == set(side.answers) | side.failed
        for token, said in side.answers.items():
            body = side.asked[token]
            assert other.heard[body] == 1
            assert said == b"%d %s" % (len(body), body[:8])
        if loss == 0.0:
            assert not side.failed
        for token in side.failed:
            side.exchange.forget(token, now=world.now)
        sizes = side.exchange.sizes()
        assert sizes["tokens"] == sizes["separate"] == sizes["awaited"] == sizes["devices"] == 0


@given(
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    length=st.sampled_from([0, 1, 16, 100, 1024, 1500, 3000]),
    szx=st.integers(0, 6),
    change_at=st.one_of(st.none(), st.integers(0, 40)),
)
def test_bodies_of_a_stateless_device(seed, loss, length, szx, change_at):
    """Block by block from the reference server, whose body may change once: whole, and of one version."""
    chance = random.Random(seed)
    bodies = [b"1" * length, b"2" * length]
    exchange, now, served = Exchange(rng=random.Random(seed)), 0.0, 0
    token = exchange.request("device", "device", 1, now=now)
    flying: list[tuple[float, int, bool, bytes]] = []
    number, events = 0, []
    while not events:
        for _, datagram in exchange.take():
            if chance.random() >= loss:
                number += 1
                heapq.heappush(flying, (now + chance.uniform(0.1, 3.0), number, True, datagram))
        timer = exchange.next_timer()
        if flying and flying[0][0] < timer:
            now, _, to_device, datagram = heapq.heappop(flying)
            if not to_device:
                events += exchange.receive("device", datagram, now)
                continue
            served += 1
            version = int(change_at is not None and served > change_at)
            answer = answered(datagram, bodies[version], b"%d" % version, szx)
            if chance.random() >= loss:
                number += 1
                heapq.heappush(flying, (now + chance.uniform(0.1, 3.0), number, False, answer))
        else:
            now = timer
            events += exchange.expire(now)
    [event] = events
    assert event.token == token
    if type(event) is ResponseReceived:
        assert event.message.payload in bodies
    else:
        assert event.cause is Cause.TIMEOUT
        assert loss > 0.0
    assert exchange.sizes()["body bytes"] == 0 or type(event) is RequestFailed


def answered(datagram: bytes, body: bytes, etag: bytes, szx: int) -> bytes:
    """One block of a body, as RFC 7959 section 2.4 has it; past the end is 4.00."""
    asked = coap.parse(datagram)
    value = dict(asked.options).get(23)
    block = block_reference.Block(0, False, szx) if value is None else block_reference.parse(value)
    try:
        offset, size, more = block_reference.slice_of(block, len(body))
    except block_reference.RefusedError:
        return coap.encode(coap.Message(type=2, code=0x80, message_id=asked.message_id, token=asked.token))
    options = ((4, etag), (23, block_reference.encode(block._replace(more=more))))
    return coap.encode(
        coap.Message(
            type=2,
            code=0x45,
            message_id=asked.message_id,
            token=asked.token,
            options=options,
            payload=body[offset : offset + size],
        )
    )
