"""What the simulation has in place of an Edge: the real catalog, ledger and responder, without a socket."""

from __future__ import annotations

import base64
import hmac
from collections import Counter, defaultdict
from collections.abc import Mapping
from hashlib import sha256

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.wire.coap import Message
from headgate.wire.crc import check_code
from headgate.wire.numbers import BLOCK2, URI_PATH

AUTHORITY = "headgate.example"
SECRET = b"the simulation's secret"
GRANTS_MAX = 4096

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

    def __init__(self, packages: Mapping[bytes, Package], onlooker: Onlooker) -> None:
        self._packages = packages
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

    def granted(self) -> set[Grant]:
        """All that is served."""
        return set(self._grants.values())

    def answer(self, datagram: bytes, now: float) -> tuple[bytes | None, Told | None] | None:
        """The reply and what there is to tell; None for what is no package request."""
        outcome, reply = self._responder.respond(datagram, now_ns=int(now * 1e9))
        if outcome == "handed over":
            return None
        return reply, self._served(datagram) if outcome == "2.05" else None

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
