"""Readers without locks: threads answer, never taking the GIL, while the catalog changes under them.

The threads add up the bytes of their replies. Replies have few lengths, so a sum tells how many there were of
each; one that cannot be made of them would be a block of something else, or of memory that was freed.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator

import pytest

from datagrams import request
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder

RECORDS = 8192
CHANGES_MIN = 5000
CHANGES_MAX = 2_000_000
CALLS_MIN = 300


class Askers:
    """Threads that ask datagrams again and again, and keep each sum of reply bytes that they see."""

    def __init__(self, responder: Responder) -> None:
        self.responder = responder
        self.stopping = threading.Event()
        self.threads: list[threading.Thread] = []
        self.calls: list[int] = []
        self.failed: list[BaseException] = []

    def ask(self, datagrams: list[bytes], rounds: int) -> set[int]:
        """Ask in a thread of its own until the end; returns the sums, filled while it runs."""
        seen: set[int] = set()
        place = len(self.calls)

        def asking() -> None:
            try:
                while not self.stopping.is_set():
                    seen.add(self.responder._py_respond_many(datagrams, rounds))
                    self.calls[place] += 1
            except BaseException as error:
                self.failed.append(error)

        self.calls.append(0)
        self.threads.append(threading.Thread(target=asking))
        return seen

    def changes(self) -> Iterator[int]:
        """Numbers for the changes to make while they ask: until every thread has had its turns among them."""
        for i in range(CHANGES_MAX):
            if self.failed or (i >= CHANGES_MIN and min(self.calls) >= CALLS_MIN):
                return
            yield i
        raise AssertionError(f"threads had {self.calls} turns in {CHANGES_MAX} changes")

    def __enter__(self) -> Askers:
        self.switch_interval_s = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # threads take turns often, also for the short work under the GIL
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        sys.setswitchinterval(self.switch_interval_s)
        assert self.failed == []


def package(length: int, seed: int) -> Package:
    """A package of memory of its own, which is freed when nothing serves it."""
    return Package(bytes(length), sha256=seed.to_bytes(32, "big"), check_code=1)


def reply_length(responder: Responder, path: str) -> int:
    """Bytes of the reply to a plain GET now."""
    return len(responder.respond(request(path))[1])


def counted(total: int, rounds: int, one: int, other: int) -> int:
    """How many of `rounds` replies were `one` bytes long, when the rest were `other`: no other sum can be."""
    count, remainder = divmod(total - rounds * other, one - other)
    assert remainder == 0
    assert 0 <= count <= rounds
    return count


@pytest.fixture
def responder():
    """40 paths that stay, so that the table is walked and grows."""
    catalog = Catalog(Ledger(RECORDS))
    for i in range(40):
        catalog.publish(b"stays/%d" % i, package(100 + i, i))
    return Responder(catalog)


def test_replaced_path_is_always_one_package_or_the_other(responder):
    """Thousands of replacements: each answer is a block of a whole package, old or new, and never 4.04."""
    catalog = responder.catalog
    catalog.publish(b"fw", package(467, 1))
    old = reply_length(responder, "fw")
    catalog.publish(b"fw", package(150, 2), replace=True)
    new = reply_length(responder, "fw")
    askers = Askers(responder)
    toggled = {rounds: askers.ask([request("fw")], rounds) for rounds in (1, 50, 2000)}
    untouched = askers.ask([request("stays/7")], 100)
    with askers:
        for i in askers.changes():
            catalog.publish(b"fw", package(150 + 317 * (i % 2), 3 + i), replace=True)
    for rounds, seen in toggled.items():
        for total in seen:
            counted(total, rounds, old, new)
    assert untouched == {100 * reply_length(responder, "stays/7")}
    assert catalog.reclaim() == 0


def test_withdrawn_path_is_a_package_or_not_found(responder):
    """Public and granted by turns; other paths come and go meanwhile, so that the table is rebuilt often."""
    catalog = responder.catalog
    not_found = reply_length(responder, "fw")
    catalog.publish(b"fw", package(300, 1))
    found = reply_length(responder, "fw")
    catalog.withdraw(b"fw")
    askers = Askers(responder)
    toggled = {rounds: askers.ask([request("fw")], rounds) for rounds in (1, 50, 2000)}
    mixed = askers.ask([request("stays/7"), request("stays/39")], 50)
    with askers:
        for i in askers.changes():
            if i % 2 and len(catalog) % 2:
                catalog.grant(b"fw", package(300, i))
            else:
                catalog.publish(b"fw", package(300, i))
            catalog.publish(b"more/%d" % i, package(10, i))
            catalog.withdraw(b"fw")
            if i >= 50:
                catalog.withdraw(b"more/%d" % (i - 50))
    for rounds, seen in toggled.items():
        for total in seen:
            counted(total, rounds, found, not_found)
    assert mixed == {50 * (reply_length(responder, "stays/7") + reply_length(responder, "stays/39"))}
    assert (catalog.reclaim(), len(catalog)) == (0, 90)


def test_growing_table_loses_no_path(responder):
    """Paths appear by the thousand while threads ask for those that were always there."""
    catalog = responder.catalog
    asked = [request(f"stays/{i}") for i in range(40)]
    askers = Askers(responder)
    seen = {rounds: askers.ask(asked, rounds) for rounds in (1, 10, 100)}
    shared = package(10, 0)
    changes = 0
    with askers:
        for i in askers.changes():
            catalog.publish(b"more/%d" % i, shared)
            changes += 1
    once = sum(reply_length(responder, f"stays/{i}") for i in range(40))
    assert seen == {rounds: {rounds * once} for rounds in seen}
    assert (catalog.reclaim(), len(catalog)) == (0, 40 + changes)


def test_records_and_packages_come_back_after_the_storm(responder):
    """Grants that come and go under readers: records are never two grants' at once, and all come back.

    A record that a reader might still write to waits, so a thread that sleeps in the middle of its batch
    holds those of its time; the catalog gets by with what is left. The packages differ in length: a block
    that is counted into the next grant's record would show.
    """
    catalog = responder.catalog
    packages = [package(300 + i, 1) for i in range(3)]
    references = [sys.getrefcount(packages[i]) for i in range(3)]
    granted: dict[int, int] = {}
    askers = Askers(responder)
    for i in range(3):
        askers.ask([request(f"key/{i}"), request("stays/7")], 20)
    with askers:
        for i in itertools.takewhile(lambda i: i < RECORDS, askers.changes()):
            place = i * 7 % 3 if i % 2 else i % 3
            if place in granted:
                before = catalog.ledger.progress(granted.pop(place))
                assert (before.offset_bytes, before.length_bytes) in ((0, 0), (300 + place, 300 + place))
                catalog.withdraw(b"key/%d" % place)
            granted[place] = catalog.grant(b"key/%d" % place, packages[place])
            assert len(set(granted.values())) == len(granted)
    for place in granted:
        assert catalog.withdraw(b"key/%d" % place)
    assert catalog.reclaim() == 0
    assert [sys.getrefcount(packages[i]) for i in range(3)] == references
    indices = {catalog.grant(b"last/%d" % i, packages[0]) for i in range(RECORDS)}
    assert indices == set(range(RECORDS))


def test_answers_under_the_gil_are_whole(responder):
    """The same through `respond`: each reply is one of the two there can be, byte for byte."""
    catalog = responder.catalog
    sides = [
        Package(body, sha256=bytes([i]) * 32, check_code=1)
        for i, body in enumerate((b"old" * 100, b"new" * 90))
    ]
    expected = set()
    for side in sides:
        catalog.publish(b"fw", side, replace=True)
        expected.add(responder.respond(request("fw")))
    askers = Askers(responder)
    askers.ask([request("fw")], 1000)
    seen: set[tuple[str, bytes | None]] = set()
    with askers:
        for i in askers.changes():
            catalog.publish(b"fw", sides[i % 2], replace=True)
            seen.add(responder.respond(request("fw")))
    assert seen == expected
