"""What the simulation has in place of an Edge: the real catalog, ledger and responder, without a socket."""

from __future__ import annotations

import base64
import hmac
from collections import Counter, defaultdict
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType

from headgate.edge.segments import offer_of
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.engine.segments import SegmentGrant, Segments
from headgate.errors import FormatError
from headgate.upgrade.negotiator import SegmentsWanted
from headgate.wire.coap import Message
from headgate.wire.crc import check_code
from headgate.wire.numbers import BLOCK2, URI_PATH

AUTHORITY = "headgate.example"
SECRET = b"the simulation's secret"
GRANTS_MAX = 4096

HANDED_OVER = "handed over"
NO_BODIES: Mapping[bytes, bytes] = MappingProxyType({})

Grant = tuple[str, bytes]
"""Whom, and the package's PID."""
Told = tuple[str, bytes, bool]
"""A download of whom, of what, and whether it started just now; else it went further than ever before."""


def package_of(body: bytes) -> Package:
    """A package with the identity that its bytes give it."""
    return Package(body, sha256=sha256(body).digest(), check_code=check_code(body))


class Onlooker:
    """Sees all that is served, across the deaths of servers."""

    def __init__(self) -> None:
        self._furthest: defaultdict[Grant, int] = defaultdict(int)
        self._beginnings: defaultdict[Grant, set[bytes]] = defaultdict(set)
        self.beginnings: Counter[Grant] = Counter()
        """How often a download began at the first byte: copies of a request, and requests repeated before
        more was asked for, are one beginning.
        """

    def served(self, grant: Grant, datagram: bytes, end: int, *, first: bool) -> None:
        """A block left that ends there; `first` if it begins the body."""
        if first and datagram not in self._beginnings[grant]:
            self._beginnings[grant].add(datagram)
            if self._furthest[grant] != end:
                self.beginnings[grant] += 1
            self._furthest[grant] = end
        self._furthest[grant] = max(self._furthest[grant], end)


class SimulatedEdge:
    """Answers package requests, grants and withdraws, and tells at once what it served.

    It is a process's: when the server dies, what was granted dies with it.
    """

    def __init__(
        self,
        packages: Mapping[bytes, Package],
        onlooker: Onlooker,
        bodies: Mapping[bytes, bytes] = NO_BODIES,
    ) -> None:
        """`bodies` are those of packages that travel in segments."""
        self._packages = packages
        self._bodies = bodies
        self._segments: dict[Grant, tuple[SegmentGrant, set[bytes]]] = {}
        self._onlooker = onlooker
        self._ledger = Ledger(GRANTS_MAX)
        self._catalog = Catalog(self._ledger)
        self._responder = Responder(self._catalog, handover=True)
        self._grants: dict[int, Grant] = {}
        self._furthest: dict[int, int] = {}

    def uri(self, endpoint: str, pid: bytes) -> str:
        """Where a device finds a package: the same each time, also in another process."""
        return f"coap://{AUTHORITY}/{self._key(endpoint, pid).decode()}"

    def grant(self, endpoint: str, pid: bytes) -> None:
        """Serve it."""
        key = self._key(endpoint, pid)
        if key not in self._catalog:
            index = self._catalog.grant(key, self._packages[pid])
            self._grants[index] = (endpoint, pid)
            self._furthest[index] = 0

    def withdraw(self, endpoint: str, pid: bytes) -> None:
        """Serve it no more."""
        key = self._key(endpoint, pid)
        found = self._catalog.find(key)
        if found is not None and found[1] is not None:
            self._catalog.withdraw(key)
            del self._grants[found[1]], self._furthest[found[1]]
            self._catalog.reclaim()

    def grant_segments(self, endpoint: str, wanted: SegmentsWanted) -> None:
        """Answer segment requests, under these tokens too."""
        found = self._segments.get((endpoint, wanted.pid))
        if found is None:
            segments = Segments(self._packages[wanted.pid], size=wanted.segment_size_bytes)
            try:
                offer = offer_of(segments, version=wanted.version, root=wanted.root, wait_s=wanted.wait_s)
            except FormatError:
                return  # its requests come to the orchestrator
            found = self._segments[endpoint, wanted.pid] = (SegmentGrant(self._ledger, offer), set())
            self._grants[found[0].index] = (endpoint, wanted.pid)
            self._furthest[found[0].index] = 0
        grant, tokens = found
        for token in set(wanted.tokens) - tokens:
            self._catalog.grant_segments(token, grant)
            tokens.add(token)

    def withdraw_segments(self, endpoint: str, pid: bytes) -> None:
        """Answer them no more."""
        found = self._segments.pop((endpoint, pid), None)
        if found is not None:
            grant, tokens = found
            for token in tokens:
                if self._catalog.find_segments(token) is grant:
                    self._catalog.withdraw_segments(token)
            del self._grants[grant.index], self._furthest[grant.index]
            self._catalog.reclaim()

    def body(self, pid: bytes) -> bytes | None:
        """For what the edge does not answer."""
        return self._bodies.get(pid)

    def granted(self) -> set[Grant]:
        """All that is served."""
        return set(self._grants.values())

    def answer(self, datagram: bytes, now: float) -> tuple[list[bytes], Told | None] | None:
        """The replies and what there is to tell; None for what is no request for a part of a package."""
        outcome, replies = self._responder.respond_all(datagram, now_ns=int(now * 1e9))
        if outcome == HANDED_OVER:
            return None
        if outcome == "segment":
            return replies, self._segment_served(datagram)
        return replies, self._served(datagram) if outcome == "2.05" else None

    def _segment_served(self, datagram: bytes) -> Told | None:
        grant = self._catalog.find_segments(Message.parse(datagram).token)
        assert grant is not None
        progress = self._ledger.progress(grant.index)
        started, further = (
            progress.blocks == 1,
            progress.position_bytes > self._furthest[grant.index],
        )
        self._furthest[grant.index] = max(progress.position_bytes, self._furthest[grant.index])
        return (*self._grants[grant.index], started) if started or further else None

    def _served(self, datagram: bytes) -> Told | None:
        path = b"/".join(value for number, value in Message.parse(datagram).options if number == URI_PATH)
        found = self._catalog.find(path)
        if found is None or found[1] is None:
            return None
        index = found[1]
        grant = self._grants[index]
        progress = self._ledger.progress(index)
        end = progress.position_bytes
        self._onlooker.served(grant, datagram, end, first=begins(datagram))
        started, further = progress.blocks == 1, end > self._furthest[index]
        self._furthest[index] = max(end, self._furthest[index])
        return (*grant, started) if started or further else None

    @staticmethod
    def _key(endpoint: str, pid: bytes) -> bytes:
        digest = hmac.digest(SECRET, endpoint.encode() + b"\0" + pid, "sha256")
        return base64.urlsafe_b64encode(digest[:12])


def begins(datagram: bytes) -> bool:
    """Whether it asks for block 0."""
    value = dict(Message.parse(datagram).options).get(BLOCK2, b"")
    return int.from_bytes(value, "big") >> 4 == 0
