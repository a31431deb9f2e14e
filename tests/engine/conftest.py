"""A catalog with one package under a public path, and who answers from it; a script with an Exchange."""

from __future__ import annotations

import hashlib

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.engine.segments import Offer, SegmentGrant, Segments
from lockstep import Lockstep

DOWNLINK = bytes.fromhex("B2 3139 01 31 01 30 11 2A")  # 19/1/0, Content-Format 42


@pytest.fixture
def make_package():
    """A package of these bytes; its check code is 4EA0 unless said otherwise."""

    def make(body=b"", *, check_code=0x4EA0, **more):
        return Package(body, sha256=hashlib.sha256(body).digest(), check_code=check_code, **more)

    return make


@pytest.fixture
def ledger():
    """Room for eight grants."""
    return Ledger(8)


@pytest.fixture
def catalog(ledger):
    """Empty."""
    return Catalog(ledger)


@pytest.fixture
def serve(catalog, make_package):
    """Publish bodies by path and get a function: datagram -> (outcome, reply)."""

    def serving(bodies, *, content_format=42, **policy):
        for path, body in bodies.items():
            catalog.publish(path.encode(), make_package(body, content_format=content_format))
        return Responder(catalog, **policy).respond

    return serving


@pytest.fixture
def script():
    """A script with a device; what it does not read fails the test."""
    lockstep = Lockstep()
    yield lockstep
    lockstep.quiet()


@pytest.fixture
def make_script():
    """The same with bounds or an address of one's own."""
    scripts = []

    def make(**how):
        scripts.append(Lockstep(**how))
        return scripts[-1]

    yield make
    for lockstep in scripts:
        lockstep.quiet()


@pytest.fixture
def make_grant(ledger, make_package):
    """A segment grant of these bytes to a device that asks for V1.0."""

    def make(body, *, size=500, version=b"V1.0", **how):
        segments = Segments(make_package(body), size=size)
        return SegmentGrant(ledger, Offer(segments, version=version, downlink=DOWNLINK, **how))

    return make
