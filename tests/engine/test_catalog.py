"""The catalog: what a path serves, and when what it no longer serves is freed."""

from __future__ import annotations

import gc
import sys

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.errors import GrantLimitError, HeadgateError, PathError, PathTakenError

# -- Paths --


@pytest.mark.parametrize("method", ["publish", "grant"])
@pytest.mark.parametrize("path", [b"", b"/", b"/fw", b"//", b"x" * 256, b"a/" * 128, b"x" * 100_000])
def test_path_that_nobody_could_ask(catalog, make_package, method, path):
    """1 to 255 bytes, without a leading stroke. A refused grant leaves its record to the next one."""
    for _ in range(20):
        with pytest.raises(PathError, match=r"path") as caught:
            getattr(catalog, method)(path, make_package(b"abc"))
    assert isinstance(caught.value, HeadgateError)
    assert isinstance(caught.value, ValueError)
    assert len(catalog) == 0
    assert path not in catalog
    assert catalog.find(path) is None
    assert catalog.withdraw(path) is False


@pytest.mark.parametrize("length", [*range(1, 26), 127, 128, 254, 255])
def test_paths_of_every_length_are_told_apart(catalog, make_package, length):
    """The hash takes eight bytes a step: one path per byte that differs, and each finds its own package."""
    paths = [bytes(i) + b"\1" + bytes(length - 1 - i) for i in range(length)]
    packages = {path: make_package(path) for path in paths}
    for path in paths:
        catalog.publish(path, packages[path])
    assert [catalog.find(path) for path in paths] == [(packages[path], None) for path in paths]
    for other in (bytes(length), paths[0] + b"\0", paths[0][:-1]):
        assert other not in catalog


@pytest.mark.parametrize("wrong", [None, "fw", 5, bytearray(b"fw")])
def test_path_is_bytes(catalog, make_package, wrong):
    """Text has no encoding of its own here."""
    for call in (
        lambda: catalog.publish(wrong, make_package()),
        lambda: catalog.grant(wrong, make_package()),
        lambda: catalog.withdraw(wrong),
        lambda: catalog.find(wrong),
        lambda: wrong in catalog,
    ):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize("wrong", [None, b"abc", object()])
def test_package_is_a_package(catalog, wrong):
    """And not its bytes."""
    with pytest.raises(TypeError):
        catalog.publish(b"fw", wrong)
    with pytest.raises(TypeError):
        catalog.grant(b"fw", wrong)
    assert len(catalog) == 0


@pytest.mark.parametrize(
    "pattern", ["fw/%04d", "abc/%03d", "%d", "p%05d", "fw/v%d.bin", "packages/v%04d", "%04d/fw", "dev/%08x"]
)
def test_paths_that_are_alike_are_spread(catalog, make_package, pattern):
    """A table at most half full is looked at twice or less on average, whichever bytes differ.

    "abc/000" to "abc/999" took 28 looks each with a hash whose low bits did not depend on the last bytes.
    """
    package = make_package(b"abc")
    paths = [(pattern % i).encode() for i in range(1000)]
    for path in paths:
        catalog.publish(path, package)
    probes = [catalog._py_probes(path) for path in paths]
    assert sum(probes) / len(probes) < 2
    assert max(probes) < 40


# -- Publishing, granting, withdrawing --


def test_publish_again_is_nothing(catalog, make_package):
    """The same bytes under the same identity and format: no new entry, even as another Package object."""
    first = make_package(b"abc")
    catalog.publish(b"fw", first)
    reader = catalog._py_enter()
    for again in (first, make_package(b"abc")):
        catalog.publish(b"fw", again)
        catalog.publish(b"fw", again, replace=True)
    assert catalog.reclaim() == 0
    catalog._py_leave(reader)
    assert catalog.find(b"fw")[0] is first
    assert len(catalog) == 1


@pytest.mark.parametrize(
    "change", [{"check_code": 7}, {"content_format": 0}, {"discovery": True}, {"sha256": bytes(32)}]
)
def test_publish_of_something_else_must_be_asked_for(catalog, change):
    """A path maps to one package until it is told to replace it: other bytes, code, format or kind."""
    fields = {"sha256": b"\1" * 32, "check_code": 1}
    old, new = Package(b"abc", **fields), Package(b"abc", **{**fields, **change})
    catalog.publish(b"fw", old)
    with pytest.raises(PathTakenError, match="withdraw it or ask to replace it"):
        catalog.publish(b"fw", new)
    assert catalog.find(b"fw") == (old, None)
    catalog.publish(b"fw", new, replace=True)
    assert catalog.find(b"fw") == (new, None)
    assert len(catalog) == 1


def test_grant_again_keeps_its_record(catalog, make_package):
    """A device that is given the same package again goes on where its ledger stands."""
    package = make_package(b"abc")
    index = catalog.grant(b"key", package)
    catalog.ledger.count(index, 0, 3, 3, 5)
    assert catalog.grant(b"key", make_package(b"abc")) == index
    assert catalog.find(b"key") == (package, index)
    assert catalog.ledger.progress(index).blocks == 1


def test_grant_never_replaces(catalog, make_package):
    """Neither another grant nor a public path; its record goes to the next one."""
    catalog.grant(b"key", make_package(b"abc"))
    catalog.publish(b"fw", make_package(b"abc"))
    for path in (b"key", b"fw"):
        for _ in range(20):
            with pytest.raises(PathTakenError):
                catalog.grant(path, make_package(b"abcd"))
    with pytest.raises(PathTakenError):
        catalog.grant(b"fw", make_package(b"abc"))
    with pytest.raises(PathTakenError):
        catalog.publish(b"key", make_package(b"abc"))
    assert len(catalog) == 2
    assert [catalog.grant(b"%d" % i, make_package(b"abc")) for i in range(7)] == [*range(1, 8)]


def test_publishing_over_a_grant_gives_its_record_back(catalog, make_package):
    """With `replace`: the path is public from then on and counted no more."""
    index = catalog.grant(b"key", make_package(b"abc"))
    catalog.publish(b"key", make_package(b"abc"), replace=True)
    assert catalog.find(b"key")[1] is None
    assert catalog.reclaim() == 0
    assert catalog.grant(b"other", make_package(b"abc")) == index


def test_limit_of_grants(catalog, make_package):
    """As many as the ledger has records; public paths need none; a withdrawn one makes room at once."""
    package = make_package(b"abc")
    for i in range(8):
        catalog.grant(b"%d" % i, package)
    with pytest.raises(GrantLimitError, match="all 8 ledger records are in use"):
        catalog.grant(b"8", package)
    assert b"8" not in catalog
    assert catalog.grant(b"3", package) == 3
    catalog.publish(b"8", package)
    catalog.withdraw(b"3")
    assert catalog.grant(b"9", package) == 3


def test_record_of_a_withdrawn_grant_waits_for_readers(catalog, make_package):
    """Ledger invariant 2: no responder may count into it any more, when the next grant gets it, zeroed."""
    package = make_package(b"abc")
    for i in range(8):
        catalog.ledger.count(catalog.grant(b"%d" % i, package), 0, 3, 3, 5)
    reader = catalog._py_enter()
    catalog.withdraw(b"3")
    later = catalog._py_enter()
    assert catalog.reclaim() == 1
    with pytest.raises(GrantLimitError):
        catalog.grant(b"8", package)
    catalog._py_leave(reader)
    assert catalog.grant(b"8", package) == 3
    assert catalog.ledger.progress(3).blocks == 0
    assert catalog.ledger.progress(2).blocks == 1
    catalog._py_leave(later)


def test_withdraw_what_is_not_there(catalog, make_package):
    """False, and again after it was withdrawn."""
    assert catalog.withdraw(b"fw") is False
    catalog.publish(b"fw", make_package(b"abc"))
    assert catalog.withdraw(b"fw") is True
    assert catalog.withdraw(b"fw") is False
    assert (b"fw" in catalog, len(catalog), catalog.find(b"fw")) == (False, 0, None)


def test_path_comes_and_goes_thousands_of_times(catalog, make_package):
    """A slot never takes a second path (invariant 1): withdrawn ones fill the table until it is rebuilt."""
    package, other = make_package(b"abc"), make_package(b"stays")
    catalog.publish(b"stays", other)
    for i in range(5000):
        catalog.publish(b"fw%d" % (i % 7), package)
        assert catalog.withdraw(b"fw%d" % (i % 7))
    assert catalog.find(b"stays") == (other, None)
    assert (len(catalog), catalog.reclaim()) == (1, 0)
    assert catalog._py_probes(b"stays") < 40


def test_growth_keeps_everything(catalog, make_package):
    """20000 paths, half of them withdrawn on the way: each serves its own, and nothing else is found."""
    packages = [make_package(b"%d" % i) for i in range(10)]
    for i in range(20_000):
        catalog.publish(b"path/%d" % i, packages[i % 10])
        if i % 2:
            catalog.withdraw(b"path/%d" % (i - 1))
    assert len(catalog) == 10_000
    for i in range(20_000):
        assert catalog.find(b"path/%d" % i) == ((packages[i % 10], None) if i % 2 else None)
    assert b"path/20000" not in catalog


# -- Readers and what they hold --


def test_package_lives_until_the_readers_of_its_time_have_left(catalog, make_package):
    """Invariant 3: who entered before the withdrawal may still send from it; who enters later cannot."""
    package = make_package(b"abc")
    references = sys.getrefcount(package)
    catalog.publish(b"fw", package)
    before, also_before = catalog._py_enter(), catalog._py_enter()
    catalog.withdraw(b"fw")
    after = catalog._py_enter()
    for reader in (before, also_before):
        assert (catalog.reclaim(), sys.getrefcount(package)) == (1, references + 1)
        catalog._py_leave(reader)
    assert (catalog.reclaim(), sys.getrefcount(package)) == (0, references)
    catalog._py_leave(after)


def test_replaced_package_lives_as_long(catalog, make_package):
    """The same for what was replaced, and for the table that was outgrown."""
    old, new = make_package(b"old"), make_package(b"new")
    references = sys.getrefcount(old), sys.getrefcount(new)
    catalog.publish(b"fw", old)
    reader = catalog._py_enter()
    catalog.publish(b"fw", new, replace=True)
    for i in range(100):
        catalog.publish(b"more%d" % i, new)
    tables = catalog.reclaim() - 1
    assert tables >= 1
    assert sys.getrefcount(old) == references[0] + 1
    catalog._py_leave(reader)
    assert catalog.reclaim() == 0
    assert (sys.getrefcount(old), sys.getrefcount(new)) == (references[0], references[1] + 101)


def test_what_waits_is_freed_in_passing(catalog, make_package):
    """Publishing and granting reclaim first: an edge that only publishes does not pile up."""
    package, other = make_package(b"abc"), make_package(b"other")
    references = sys.getrefcount(package)
    catalog.publish(b"fw", package)
    catalog.withdraw(b"fw")
    assert sys.getrefcount(package) == references + 1
    catalog.publish(b"other", other)
    assert sys.getrefcount(package) == references
    catalog.grant(b"key", package)
    catalog.withdraw(b"key")
    catalog.grant(b"another", other)
    assert sys.getrefcount(package) == references


def test_catalog_lets_go_of_everything_at_its_end(make_package):
    """What is served and what waits."""
    package = make_package(b"abc")
    references = sys.getrefcount(package)
    catalog = Catalog(Ledger(8))
    for i in range(200):
        catalog.publish(b"%d" % i, package)
    catalog.grant(b"key", package)
    catalog._py_enter()
    for i in range(100):
        catalog.withdraw(b"%d" % i)
    assert sys.getrefcount(package) == references + 201
    del catalog
    gc.collect()
    assert sys.getrefcount(package) == references


def test_64_readers_and_no_more(catalog):
    """The bound of listeners at once; a place that was left is taken again."""
    readers = [catalog._py_enter() for _ in range(64)]
    assert len(set(readers)) == 64
    with pytest.raises(RuntimeError, match="at most 64 listeners"):
        catalog._py_enter()
    catalog._py_leave(readers[17])
    assert catalog._py_enter() == readers[17]
    for reader in readers:
        catalog._py_leave(reader)
    with pytest.raises(IndexError):
        catalog._py_leave(readers[0])
    with pytest.raises(IndexError):
        catalog._py_leave(64)
