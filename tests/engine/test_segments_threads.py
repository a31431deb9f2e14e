"""Threads that answer segment requests, never taking the GIL, while grants come and go under them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.engine.segments import Offer, SegmentGrant, Segments
from reference import coap
from reference import segments as reference

DOWNLINK = bytes.fromhex("B2 3139 01 31 01 30 11 2A")
TOKEN = b"a token!"
NON, CONTENT = 1, 0x45
THREADS = 4
ROUNDS = 20_000
RECORDS = 2 * ROUNDS
SEGMENT = 100  # bytes
WRITE = 4 + 8 + 9 + 1 + 11 + SEGMENT
TICK_NS = 1 << 24


def asked(segment: int, token: bytes = TOKEN) -> bytes:
    """A NON, so that an answer is one datagram."""
    return coap.encode(
        coap.Message(
            type=NON, code=CONTENT, message_id=1, token=token, payload=reference.request(b"V1", segment)
        )
    )


def at_once(works: list[Callable[[], object]]) -> list[object]:
    """What each returns, run in a thread each that begin together."""
    barrier = threading.Barrier(len(works))
    results: list[object] = [None] * len(works)
    failed: list[BaseException] = []

    def run(place: int) -> None:
        try:
            barrier.wait()
            results[place] = works[place]()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    return results


@pytest.fixture
def catalog() -> Catalog:
    """Empty, with a record for every grant below: a reader that sleeps holds those of its time."""
    return Catalog(Ledger(RECORDS))


@pytest.fixture
def segments() -> Segments:
    """Ten segments."""
    return Segments(Package(bytes(10 * SEGMENT), sha256=bytes(32), check_code=1), size=SEGMENT)


def grant_of(catalog: Catalog, segments: Segments) -> SegmentGrant:
    """To one device."""
    return SegmentGrant(catalog.ledger, Offer(segments, version=b"V1", downlink=DOWNLINK))


def test_one_answer_whoever_gives_it(catalog, segments):
    """A device's copies may reach several sockets: one segment asked by all threads at once, one answer."""
    grant = grant_of(catalog, segments)
    catalog.grant_segments(TOKEN, grant)
    responder = Responder(catalog)
    for number in range(200):
        datagrams = [asked(number % 2)] * 64
        now_ns = (1 + number) * TICK_NS
        sums = at_once([lambda d=datagrams, n=now_ns: responder._py_respond_many(d, 10, now_ns=n)] * THREADS)
        assert sum(sums) == WRITE
    assert grant.progress.blocks == 200


def test_every_answer_is_counted_and_has_its_own_id(catalog, segments):
    """Threads that ask different segments: as many ids are used as answers left."""
    grant = grant_of(catalog, segments)
    catalog.grant_segments(TOKEN, grant)
    responder = Responder(catalog)
    now_ns = 1000 * TICK_NS
    first = coap.parse(responder.respond_all(asked(9), now_ns=now_ns)[1][0]).message_id
    works = [
        lambda place=place: responder._py_respond_many(
            [asked(place), asked(place + THREADS)], 500, now_ns=now_ns
        )
        for place in range(THREADS)
    ]
    answered = sum(at_once(works)) // WRITE
    last = coap.parse(responder.respond_all(asked(9), now_ns=now_ns)[1][0]).message_id
    assert answered == grant.progress.blocks - 2
    assert last - first == answered + 1


def test_grants_withdrawn_while_they_are_served(catalog, segments):
    """Tokens and grants come and go: what is sent is a whole answer, and all comes back in the end."""
    responder = Responder(catalog, handover=True)
    datagrams = [asked(number % 10, b"token %02d" % number) for number in range(8)]
    stopping = threading.Event()
    references = sys.getrefcount(segments)

    def serve() -> int:
        answered = 0
        now_ns = TICK_NS
        while not stopping.is_set():
            total = responder._py_respond_many(datagrams, 50, now_ns=now_ns, step_ns=600 * TICK_NS)
            assert total % WRITE == 0
            answered += total // WRITE
            now_ns += 50 * 600 * TICK_NS
        return answered

    def change() -> int:
        try:
            changes()
        finally:
            stopping.set()
        return 0

    def changes() -> None:
        granted: dict[bytes, SegmentGrant] = {}
        for number in range(ROUNDS):
            token = b"token %02d" % (number * 5 % 8)
            if token in granted:
                assert catalog.find_segments(token) is granted[token]
                catalog.withdraw_segments(token)
                del granted[token]
            else:
                catalog.reclaim()
                granted[token] = grant_of(catalog, segments)
                catalog.grant_segments(token, granted[token])
            if number % 7 == 0:
                # Another grant under the same token, served or not.
                granted[token] = grant_of(catalog, segments)
                catalog.grant_segments(token, granted[token])
        for token in granted:
            assert catalog.withdraw_segments(token)

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        answered = sum(at_once([serve, serve, change]))
    finally:
        sys.setswitchinterval(interval_s)
    assert answered > 0
    assert (catalog.reclaim(), len(catalog)) == (0, 0)
    assert sys.getrefcount(segments) == references
    assert {catalog.ledger.allocate() for _ in range(RECORDS)} == set(range(RECORDS))
