"""The catalog against a model: any sequence of operations, with readers coming and going."""

from __future__ import annotations

import sys

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from datagrams import read, request
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.errors import GrantLimitError, PathTakenError

PACKAGES = 5
PATHS = [b"fw/v%d.bin" % i for i in range(12)] + [b"Zk3_x-0aBcDeFg%02d" % i for i in range(12)]
paths = st.sampled_from(PATHS)
places = st.integers(0, PACKAGES - 1)
RECORDS = 6


class CatalogAgainstModel(RuleBasedStateMachine):
    """A dict, and a list of what waits.

    The model's clock ticks at each withdrawal and replacement; what was withdrawn at tick t waits for the
    readers that entered at t or before.
    """

    @initialize()
    def begin(self):
        """An empty catalog, five packages, nobody reading."""
        bodies = [b"", b"x", bytes(512), bytes(600), bytes(3000)]
        self.packages = [
            Package(body, sha256=bytes([i]) * 32, check_code=i + 1) for i, body in enumerate(bodies)
        ]
        self.references = self.counts()
        self.catalog = Catalog(Ledger(RECORDS))
        self.respond = Responder(self.catalog).respond
        self.served: dict[bytes, tuple[int, int | None]] = {}
        self.waiting: list[tuple[int, int, int | None]] = []  # tick, package, record
        self.readers: dict[int, int] = {}  # place, tick of entering
        self.tick = 0

    def counts(self):
        """References to each package."""
        return [sys.getrefcount(self.packages[place]) for place in range(PACKAGES)]

    def retire(self, path):
        """What `path` serves begins to wait."""
        self.waiting.append((self.tick, *self.served.pop(path)))
        self.tick += 1

    def reclaimed(self):
        """What no reader can hold is gone."""
        oldest = min(self.readers.values(), default=self.tick)
        self.waiting = [item for item in self.waiting if item[0] >= oldest]

    def records_free(self):
        """Records that a grant could get."""
        used = [index for _, index in self.served.values()] + [index for *_, index in self.waiting]
        return RECORDS - sum(index is not None for index in used)

    @rule(path=paths, place=places, replace=st.booleans())
    def publish(self, path, place, replace):
        """Nothing, an error, or the new package."""
        if self.served.get(path) == (place, None):
            self.catalog.publish(path, self.packages[place], replace=replace)
            return
        if path in self.served and not replace:
            with pytest.raises(PathTakenError):
                self.catalog.publish(path, self.packages[place])
            self.reclaimed()
            return
        self.catalog.publish(path, self.packages[place], replace=replace)
        self.reclaimed()
        if path in self.served:
            self.retire(path)
        self.served[path] = place, None

    @rule(path=paths, place=places)
    def grant(self, path, place):
        """The record it has, an error, or a new record, zeroed."""
        had, index = self.served.get(path, (None, None))
        if had == place and index is not None:
            assert self.catalog.grant(path, self.packages[place]) == index
            return
        self.reclaimed()
        if not self.records_free():
            with pytest.raises(GrantLimitError):
                self.catalog.grant(path, self.packages[place])
        elif path in self.served:
            with pytest.raises(PathTakenError):
                self.catalog.grant(path, self.packages[place])
        else:
            index = self.catalog.grant(path, self.packages[place])
            in_use = [index for _, index in self.served.values()] + [index for *_, index in self.waiting]
            assert index not in in_use
            assert self.catalog.ledger.progress(index).blocks == 0
            self.served[path] = place, index

    @rule(path=paths)
    def withdraw(self, path):
        """True when it was served."""
        assert self.catalog.withdraw(path) is (path in self.served)
        if path in self.served:
            self.retire(path)

    @rule(count=st.integers(1, 60), place=places)
    def publish_and_withdraw_many(self, count, place):
        """Tombstones, and tables that are outgrown."""
        before = len(self.catalog)
        for i in range(count):
            self.catalog.publish(b"many/%d" % i, self.packages[place])
        assert len(self.catalog) == before + count
        self.reclaimed()
        for i in range(count):
            self.served[b"many/%d" % i] = place, None
            assert self.catalog.withdraw(b"many/%d" % i)
            self.retire(b"many/%d" % i)

    @precondition(lambda self: len(self.readers) < 5)
    @rule()
    def enter(self):
        """One more reader."""
        self.readers[self.catalog._py_enter()] = self.tick

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def leave(self, data):
        """One reader less."""
        place = data.draw(st.sampled_from(sorted(self.readers)))
        self.catalog._py_leave(place)
        del self.readers[place]

    @rule(path=paths)
    def ask(self, path):
        """The first block of what the model says, counted where it is a grant."""
        index = self.served.get(path, (0, None))[1]
        before = None if index is None else self.catalog.ledger.progress(index).blocks
        answer = read(self.respond(request(path))[1])
        if path in self.served:
            package = self.packages[self.served[path][0]]
            assert (answer.code, answer.etag, answer.size2) == ("2.05", package.etag, len(package))
        else:
            assert answer.code == "4.04"
        if index is not None:
            assert self.catalog.ledger.progress(index).blocks == before + 1

    @rule()
    def reclaim(self):
        """As much waits as the model says, and perhaps tables; every reference is accounted for."""
        waiting = self.catalog.reclaim()
        self.reclaimed()
        assert waiting >= len(self.waiting)
        if not self.readers:
            assert waiting == 0
        held = [had for had, _ in self.served.values()] + [had for _, had, _ in self.waiting]
        expected = [self.references[place] + held.count(place) for place in range(PACKAGES)]
        assert self.counts() == expected

    @invariant()
    def paths_serve_what_the_model_says(self):
        """All of them, and no other."""
        if not hasattr(self, "catalog"):
            return
        assert len(self.catalog) == len(self.served)
        for path in PATHS:
            found = self.catalog.find(path)
            assert (path in self.catalog) is (path in self.served) is (found is not None)
            if found is not None:
                place, index = self.served[path]
                assert found[0] is self.packages[place]
                assert found[1] == index

    def teardown(self):
        """When all is withdrawn and all have left, every package and record has come back."""
        if not hasattr(self, "catalog"):
            return
        for path in list(self.served):
            assert self.catalog.withdraw(path)
        for place in self.readers:
            self.catalog._py_leave(place)
        assert (self.catalog.reclaim(), len(self.catalog)) == (0, 0)
        assert self.counts() == self.references
        indices = {self.catalog.grant(b"key%d" % i, self.packages[0]) for i in range(RECORDS)}
        assert indices == set(range(RECORDS))


TestCatalogAgainstModel = CatalogAgainstModel.TestCase
