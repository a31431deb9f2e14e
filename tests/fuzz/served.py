"""What is served while fuzzing: one catalog, and responders that differ in what they offer.

The fuzzer and the ordinary test that replays its corpus answer from the same, so that a file of the corpus
takes the same way in both.
"""

from __future__ import annotations

import mmap
from typing import NamedTuple

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.engine.segments import Offer, SegmentGrant, Segments

LINK_FORMAT = 40  # Content-Format application/link-format
LARGEST = 1 << 30  # bytes of the longest body that Block2 can carry

# By path. Each is here for a branch: a body of several blocks with a last one that is not full, one that
# ends at a block's end, one of a single byte, none at all, and the longest one. Two paths of the longest
# length, of one segment and of many.
GRANTED = b"g/1"
DISCOVERY = b".well-known/core"
LARGEST_PATH = b"1g"
LENGTHS = {b"fw/v2.bin": 1300, b"p": 64, b"1": 1, b"0": 0, b"x" * 255: 100, b"/".join([b"y"] * 128): 100}

# A segment grant: full segments and a short last one, under two tokens.
SEGMENT_TOKENS = (b"observed", b"\xefbserved")  # the second is the token of the first one's writes
VERSION = b"V1.0"
DOWNLINK = bytes.fromhex("B2 3139 01 31 01 30 11 2A")


class Served(NamedTuple):
    """The catalog and three responders on it."""

    catalog: Catalog
    granted: int  # ledger record of GRANTED
    segments: SegmentGrant  # under SEGMENT_TOKENS
    plain: Responder  # answers everything itself
    handing: Responder  # the same sizes, but hands over what is no package request
    narrow: Responder  # offers few block sizes, so that those asked are refused and shrunk


def package(data: bytes | memoryview, **more: int) -> Package:
    """A package whose identity is made up: nothing here looks at the hash, and 1 GiB takes its time."""
    return Package(data, sha256=bytes(range(32)), check_code=0xCACE, **more)


def body(length: int) -> bytes:
    """Bytes in memory of their own, so that reading past them is seen."""
    return bytes(i * 7 & 0xFF for i in range(length))


def served() -> Served:
    """All of it, made anew."""
    catalog = Catalog(Ledger(8))
    for path, length in LENGTHS.items():
        catalog.publish(path, package(body(length)))
    # Address space only: pages that nobody wrote to are all one page of zeros.
    largest = mmap.mmap(-1, LARGEST, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ)
    catalog.publish(LARGEST_PATH, package(memoryview(largest)))
    catalog.publish(DISCOVERY, package(body(900), content_format=LINK_FORMAT, discovery=True))
    granted = catalog.grant(GRANTED, package(body(700)))
    offer = Offer(Segments(package(body(1234)), size=500), version=VERSION, downlink=DOWNLINK)
    segments = SegmentGrant(catalog.ledger, offer)
    for token in SEGMENT_TOKENS:
        catalog.grant_segments(token, segments)
    return Served(
        catalog=catalog,
        granted=granted,
        segments=segments,
        plain=Responder(catalog),
        handing=Responder(catalog, handover=True),
        narrow=Responder(catalog, smallest_block=64, largest_block=256, default_block=128),
    )
