"""What the engine's objects do to memory when they are used wrongly or go away in an unusual order."""

from __future__ import annotations

import copy
import gc
import mmap
import pickle
import sys

import pytest

from datagrams import read, request
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder


class Owner:
    """An application object that is part of a cycle, as an Edge with its callbacks is."""

    def __init__(self):
        self.held = None
        self.itself = self


@pytest.mark.parametrize("first", ["catalog", "owner"])
def test_catalog_is_collected_in_a_cycle_while_records_wait(first, make_package):
    """The collector clears what it finds first; giving the records back must not find the ledger gone."""
    package = make_package(b"abc")
    references = sys.getrefcount(package)
    owner = Owner() if first == "owner" else None
    catalog = Catalog(Ledger(8))
    owner = owner or Owner()
    owner.held = (catalog, Responder(catalog))
    for key in (b"live", b"one", b"two", b"three"):
        catalog.grant(key, package)
    for key in (b"one", b"two", b"three"):
        catalog.withdraw(key)  # and no grant after it, which would reclaim
    del owner, catalog
    gc.collect()
    assert sys.getrefcount(package) == references


def test_ledger_outlives_its_catalog(ledger, make_package):
    """Records that were withdrawn come back to a ledger that is still used elsewhere."""
    catalog = Catalog(ledger)
    indices = [catalog.grant(b"k%d" % i, make_package(b"abc")) for i in range(ledger.limit)]
    for i in indices:
        catalog.withdraw(b"k%d" % i)
    del catalog
    gc.collect()
    assert {ledger.allocate() for _ in range(ledger.limit)} == set(indices)


def test_package_cannot_be_changed_by_initialising_it_again(serve, catalog, make_package):
    """A body is immutable once it is served: replies point into it without a lock."""
    package = make_package(b"first")
    catalog.publish(b"fw", package)
    package.__init__(b"second", sha256=bytes(32), check_code=1)
    assert read(serve({})(request("fw"))[1]).payload == b"first"
    assert len(package) == 5


def test_responder_cannot_be_changed_by_initialising_it_again(catalog, make_package):
    """Its policy is read by threads, and its catalog must not go away under them."""
    catalog.publish(b"fw", make_package(b"first"))
    responder = Responder(catalog)
    responder.__init__(Catalog(Ledger(1)))
    assert responder.catalog is catalog
    assert responder.respond(request("fw"))[0] == "2.05"


@pytest.mark.parametrize("kind", [Ledger, Catalog, Package, Responder])
def test_nothing_exists_half_made(kind):
    """Without its arguments there is no object, so that none with a NULL in it can be used."""
    with pytest.raises(TypeError):
        kind.__new__(kind)
    with pytest.raises(TypeError):
        kind()


def test_nothing_is_copied_or_pickled(catalog, make_package):
    """A copy of a pointer has no owner."""
    for thing in (catalog, catalog.ledger, make_package(b"abc"), Responder(catalog)):
        with pytest.raises(TypeError):
            copy.copy(thing)
        with pytest.raises(TypeError):
            pickle.dumps(thing)


def test_memory_of_a_package_cannot_be_resized_or_closed(make_package, catalog):
    """The package holds a view: what would move or drop the bytes is refused while they are served."""
    body, mapping = bytearray(b"0123456789"), mmap.mmap(-1, 4096)
    catalog.publish(b"fw", make_package(body))
    catalog.publish(b"mapped", make_package(mapping))
    with pytest.raises(BufferError):
        body.append(0)
    with pytest.raises(BufferError):
        mapping.close()
    catalog.withdraw(b"fw")
    catalog.withdraw(b"mapped")
    catalog.reclaim()
    body.append(0)
    mapping.close()


def test_body_whose_end_changes_the_catalog(catalog, make_package):
    """Dropping the last reference may run anything, also what publishes and reclaims while we reclaim."""
    ended = []

    class Body(bytearray):
        """Bytes with an end."""

        def __del__(self):
            ended.append(bytes(self))
            catalog.publish(b"after/" + self, make_package(b"after " + self))
            catalog.withdraw(b"fw/%d" % (int(self) + 4))
            catalog.reclaim()

    for i in range(8):
        catalog.grant(b"fw/%d" % i, make_package(Body(b"%d" % i)))
    for i in range(4):
        catalog.withdraw(b"fw/%d" % i)
    while catalog.reclaim():
        pass
    assert sorted(ended) == [b"%d" % i for i in range(8)]
    assert [b"after/%d" % i in catalog for i in range(8)] == [True] * 8
    assert len(catalog) == 8
    assert {catalog.grant(b"key/%d" % i, make_package()) for i in range(8)} == set(range(8))


@pytest.mark.parametrize("data", [None, "text", 5, [1, 2], memoryview(b"abcdef")[::2]])
def test_package_wants_contiguous_bytes(data):
    """None is not an empty package, and a view with gaps has no bytes that could be sent as they lie."""
    with pytest.raises((TypeError, BufferError)):
        Package(data, sha256=bytes(32), check_code=1)
