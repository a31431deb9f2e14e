"""`python -m fuzz.seeds FOLDER`: inputs to begin with, one a file, a folder for each target.

Datagrams: the published messages, a GET of everything that is served, by each way a device may ask for a
block, and what devices say about segments. Scripts: those that are too long to be found by chance, for it
takes that many steps to fill a ring or to make a catalog grow.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

from fuzz.served import SEGMENT_TOKENS, VERSION
from reference import segments as pcp
from vectors import load

# Options by number: RFC 7252 section 5.10, RFC 7641 section 2, RFC 7959 section 2.1.
IF_MATCH, ETAG, OBSERVE, URI_PATH, CONTENT_FORMAT, ACCEPT, BLOCK2, SIZE2 = 1, 4, 6, 11, 12, 17, 23, 28
PATHS = (["fw", "v2.bin"], ["fw/v2.bin"], ["p"], ["1"], ["0"], ["1g"], ["g", "1"], [".well-known", "core"])
LONGEST_PATHS = (["x" * 255], ["y"] * 128)
# None, 16 .. 1024 bytes, SZX 7, and the last block that can be named.
BLOCKS = (None, "", "05", "06", "07", "10", "1E", "26", "FFFFF0", "FFFFF6")
PACKAGE = bytes.fromhex("CACE000102030405")  # the ETag of everything served
OTHERS: tuple[list[tuple[int, bytes]], ...] = (
    [(ETAG, PACKAGE)],
    [(IF_MATCH, PACKAGE)],
    [(IF_MATCH, b"")],
    [(ACCEPT, b"\x2a")],
    [(ACCEPT, b"\x28")],
    [(SIZE2, b"")],
)


def message(header: bytes, options: list[tuple[int, bytes]]) -> bytes:
    """Header and token, then the options; lengths and deltas up to 268 (RFC 7252 section 3.1)."""
    out = bytearray(header)
    before = 0
    for number, value in sorted(options, key=lambda option: option[0]):
        delta, length = number - before, len(value)
        out.append(min(delta, 13) << 4 | min(length, 13))
        out += bytes(extended - 13 for extended in (delta, length) if extended >= 13)
        out += value
        before = number
    return bytes(out)


def datagrams() -> Iterator[bytes]:
    """What a peer may send."""
    yield from (bytes.fromhex(vector["hex"]) for vector in load("coap.json"))
    con, non = b"\x40\x01\x12\x34", b"\x54\x01\x12\x34ABCD"
    for segments, block in itertools.product(PATHS, BLOCKS):
        options = [(URI_PATH, segment.encode()) for segment in segments]
        options += [] if block is None else [(BLOCK2, bytes.fromhex(block))]
        yield message(con, options)
        yield message(non, options)
    for segments in LONGEST_PATHS:
        yield message(con, [(URI_PATH, segment.encode()) for segment in segments])
    yield from segment_datagrams()
    for more in OTHERS:
        yield message(con, [*more, (URI_PATH, b"fw/v2.bin"), (BLOCK2, b"\x06")])


def segment_datagrams() -> Iterator[bytes]:
    """Requests of segments that are there and of others, and every kind of response to a write."""
    options: list[tuple[int, bytes]] = [(OBSERVE, b"\x01"), (CONTENT_FORMAT, b"\x2a")]
    observed, write = SEGMENT_TOKENS
    for head, token in itertools.product((b"\x48\x45", b"\x58\x44"), SEGMENT_TOKENS):
        for version, number in ((VERSION, 0), (VERSION, 1), (VERSION, 2), (VERSION, 3), (b"V1", 0)):
            payload = pcp.request(version, number)
            yield message(head + b"\x12\x34" + token, options) + b"\xff" + payload
    business = message(b"\x48\x45\x12\x34" + observed, options) + b"\xff"
    yield business + pcp.frame(22, b"\0")
    yield business + pcp.request(VERSION, 0)[:-1] + b"\x01"
    for head in (b"\x68\x44", b"\x68\x84", b"\x58\x44", b"\x48\x44", b"\x48\x84"):
        yield head + b"\x80\x00" + write


def ring_scripts() -> Iterator[bytes]:
    """Steps of the ring: 1 pushes a datagram whose three lengths follow, 0 a mark, 2 pops some."""
    longest = bytes.fromhex("01 0080 0040 0800")
    short = bytes.fromhex("01 0010 0000 0015")
    yield longest * 16 + b"\xfe"  # more than a ring holds, then all of it out
    yield (longest * 3 + short + b"\x00\x0e") * 12  # three out for each five in: round the end, several times
    yield b"\x00" * 2100 + b"\xfe" * 34  # the shortest records, to the last byte of the larger ring


def catalog_scripts() -> Iterator[bytes]:
    """Steps of the catalog: what to do (step << 3 | operation), and with which path."""
    publish, grant, withdraw, look, leave = 0, 2, 3, 5, 6
    everything = range(64)
    published = b"".join(bytes([publish, path]) for path in everything)
    withdrawn = b"".join(bytes([withdraw, path]) for path in everything)
    yield published + withdrawn + published
    yield bytes([publish, 1, look, 1]) + published + withdrawn + published + bytes([leave, 0])
    yield b"".join(bytes([grant, path]) for path in everything) + withdrawn
    replace = publish | 0b11 << 3  # by the other package
    yield bytes([publish, 1, look, 1, replace, 1, look | 1 << 3, 1, leave, 0, replace, 1, leave | 1 << 3, 0])
    yield bytes([grant, 1, look, 1, withdraw, 1, grant, 1, look | 1 << 3, 1, leave, 0, grant, 2])


TARGETS = {"datagram": datagrams, "ring": ring_scripts, "catalog": catalog_scripts}

if __name__ == "__main__":
    for target, seeds in TARGETS.items():
        folder = Path(sys.argv[1], target)
        folder.mkdir(parents=True, exist_ok=True)
        for i, seed in enumerate(seeds()):
            (folder / f"seed-{i:03d}").write_bytes(seed)
