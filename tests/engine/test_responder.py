"""The compiled responder against the reference: every reply byte for byte, every silence by its name."""

from __future__ import annotations

import hashlib
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagrams import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    DISCOVERY,
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    NON,
    RST,
    SIZE2,
    URI_PATH,
    block_value,
    path_options,
)
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from reference import coap as reference
from reference import responder as slow

SIZES = [0, 1, 15, 16, 17, 511, 512, 513, 1024, 1025, 300001]
GRANT = b"Zk3_x-0aBcDeFgHi"


def bodies() -> dict[bytes, slow.Package]:
    """Packages of every size around a block's, under paths of one to three segments, and a link list."""
    noise = random.Random(7)
    served = {}
    for size, path in zip(SIZES, (b"s%d" % size for size in SIZES), strict=True):
        served[path] = package_of(noise.randbytes(size))
    served[b"fw/hw3/v2.bin"] = package_of(noise.randbytes(1300))
    served[GRANT] = package_of(noise.randbytes(5000))
    served[b"fw/text"] = package_of(noise.randbytes(700), content_format=0)
    served[b"x" * 255] = package_of(noise.randbytes(100), content_format=65535)
    served[DISCOVERY.encode()] = package_of(noise.randbytes(3000), content_format=40, discovery=True)
    return served


def package_of(body: bytes, **more) -> slow.Package:
    """A package with the identity that its bytes have: check code 4EA0, then six bytes of the hash."""
    return slow.Package(body=body, etag=b"\x4e\xa0" + hashlib.sha256(body).digest()[:6], **more)


SERVED = bodies()
PATHS = list(SERVED)
POLICIES = [
    slow.Policy(),
    slow.Policy(handover=True),
    slow.Policy(largest_block=64),
    slow.Policy(smallest_block=128, default_block=256, largest_block=512),
    slow.Policy(smallest_block=1024, default_block=1024, handover=True),
    slow.Policy(largest_block=16, default_block=16),
]


def catalog_of(served: dict[bytes, slow.Package]) -> Catalog:
    """The same packages, compiled; `Zk3_x-0aBcDeFgHi` is granted, the rest is public."""
    catalog = Catalog(Ledger(1))
    for path, package in served.items():
        compiled = Package(
            package.body,
            sha256=hashlib.sha256(package.body).digest(),
            check_code=0x4EA0,
            content_format=package.content_format,
            discovery=package.discovery,
        )
        if path == GRANT:
            catalog.grant(path, compiled)
        else:
            catalog.publish(path, compiled)
    return catalog


CATALOG = catalog_of(SERVED)
RESPONDERS = [
    (
        policy,
        Responder(
            CATALOG,
            smallest_block=policy.smallest_block,
            largest_block=policy.largest_block,
            default_block=policy.default_block,
            handover=policy.handover,
        ),
    )
    for policy in POLICIES
]
sides = st.sampled_from(RESPONDERS)


def agree(datagram: bytes, policy: slow.Policy, responder: Responder, *, truncated: bool = False) -> str:
    """Both answer alike; returns the outcome."""
    expected = slow.respond(SERVED, datagram, truncated=truncated, policy=policy)
    assert responder.respond(datagram, truncated=truncated) == expected, datagram.hex()
    return expected[0]


# -- Requests --


def mostly(usual: list, odd: list):
    """One of the usual values, sometimes an odd one."""
    return st.sampled_from(usual * 12 + odd)


@st.composite
def block2s(draw, body_length: int) -> tuple[int, bytes]:
    """A Block2 option, most often around an end of the body."""
    szx = draw(st.integers(0, 6) | st.integers(0, 7))
    last = body_length >> (szx + 4)
    num = draw(
        st.sampled_from([0, 0, 1, max(0, last - 1), last, last + 1, 2**20 - 1])
        | st.integers(0, last + 1)
        | st.integers(0, 2**20 - 1)
    )
    value = block_value(num, szx, more=draw(st.booleans()))
    zeros = draw(st.integers(0, 3 - len(value))) if draw(st.booleans()) else 0
    return BLOCK2, bytes(zeros) + value


@st.composite
def paths(draw, path: bytes) -> tuple[tuple[int, bytes], ...]:
    """Uri-Path options: segments, all in one, cut in any two places, or not quite the path."""
    cuts = [at for at, byte in enumerate(path) if byte == 0x2F]
    match draw(mostly(["segments"], ["one", "one", "two", "two", "wrong"])):
        case "segments":
            return path_options(path)
        case "two" if cuts:
            at = draw(st.sampled_from(cuts))
            return (URI_PATH, path[:at]), (URI_PATH, path[at + 1 :])
        case "wrong":
            at = draw(st.integers(0, len(path)))
            return path_options(path[:at] + draw(st.sampled_from([b"/", b"x", b"//", b""])) + path[at + 1 :])
        case _:
            return ((URI_PATH, path),)


@st.composite
def options_beside(draw, package: slow.Package) -> list[tuple[int, bytes]]:
    """Options that ask something of the package, and options that ask nothing."""
    etag = mostly([package.etag], [package.etag[:7], package.etag + b"\0", bytes(8), b""])
    content_format = package.content_format.to_bytes(2, "big").lstrip(b"\0")
    asking = st.one_of(
        st.tuples(st.just(ETAG), etag),
        st.tuples(st.just(SIZE2), st.sampled_from([b"", b"\0", b"\x05\x14", bytes(4), bytes(5)])),
        st.tuples(st.just(ACCEPT), mostly([content_format], [b"\0\x2a", b"", b"\x2a", b"\x2d\x16"])),
        st.tuples(st.just(IF_MATCH), etag),
        st.tuples(st.just(IF_NONE_MATCH), st.sampled_from([b"", b"", b"x"])),
        st.tuples(st.just(BLOCK1), st.sampled_from([b"", b"\x0d", bytes(4)])),
    )
    anything = st.tuples(
        st.sampled_from([*reference.OPTIONS]) | st.integers(0, 70) | st.integers(0, 65535),
        st.binary(max_size=9) | st.sampled_from([255, 256, 1034, 1035]).map(bytes),
    )
    # Few at a time: with many, nearly every request would stumble over one of them.
    asked = draw(st.lists(asking, max_size=2))
    return asked + (
        draw(st.lists(anything, max_size=2)) if draw(st.sampled_from([False] * 5 + [True])) else []
    )


@st.composite
def requests(draw) -> bytes:
    """A request for a package, mostly a sensible one."""
    path = draw(
        st.sampled_from(PATHS) | st.sampled_from([b"s1300", b"", b"/", b"fw", GRANT[:15], b"x" * 256])
    )
    package = SERVED.get(path, SERVED[PATHS[0]])
    options = list(draw(paths(path)))
    if draw(mostly([True], [False, False, False])):
        options.append(draw(block2s(len(package.body))))
    options += draw(options_beside(package))
    message = reference.Message(
        type=draw(mostly([CON, NON], [ACK])),
        code=draw(mostly([1] * 6, [0, 2, 3, 4, 5, 7, 8, 31, 0x45, 0x84])),
        message_id=draw(st.integers(0, 65535)),
        token=draw(st.binary(max_size=8) | st.sampled_from([9, 12, 13, 14, 63, 64]).map(bytes)),
        options=tuple(options),
        payload=draw(st.just(b"") | st.binary(max_size=20)),
    )
    return reference.encode(message)


@st.composite
def damaged(draw) -> bytes:
    """A request with a few bytes changed, cut away, doubled or put in."""
    data = bytearray(draw(requests()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "change", "cut", "remove", "insert", "double"])):
            case "change" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at:]
            case "remove":
                del data[at : at + draw(st.integers(1, 4))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 8))]
            case _:
                data[at:at] = draw(st.binary(min_size=1, max_size=3) | st.just(b"\xff"))
    return bytes(data)


whole_headers = st.builds(
    lambda first, rest: bytes([first]) + rest, st.integers(0x40, 0x7F), st.binary(max_size=60)
)


@given(datagram=requests(), sides=sides)
def test_requests_are_answered_as_the_reference_does(datagram, sides):
    """Byte for byte, under every policy."""
    agree(datagram, *sides)


@given(datagram=damaged() | whole_headers | st.binary(max_size=60), sides=sides, truncated=st.booleans())
def test_nonsense_is_answered_as_the_reference_does(datagram, sides, truncated):
    """Whatever arrives, cut by the receive buffer or not: the same answer, or silence for the same reason."""
    agree(datagram, *sides, truncated=truncated)


OBJECTIONABLE = [(35, b"coap://x"), (BLOCK1, b""), (IF_NONE_MATCH, b""), (ACCEPT, b"\1"), (13, b"")]


def walk():
    """Each package at many blocks, an option or two beside, whole and cut; then oddities. Seeded."""
    noise = random.Random(11)
    for path, szx, num in itertools.product(PATHS, range(8), (0, 1, 31, 4000)):
        beside = tuple(
            (number, noise.randbytes(noise.choice([0, 1, 2, 8]))) for number in noise.sample(range(70), 2)
        )
        for options in ((), beside[:1], beside, ((ETAG, SERVED[path].etag),)):
            datagram = plain_request(
                path,
                *options,
                (BLOCK2, block_value(num, szx)),
                type=noise.choice([CON, CON, CON, NON]),
                code=noise.choice([1, 1, 1, 1, 1, 2, 31]),
                token=noise.randbytes(noise.randrange(9)),
            )
            yield datagram
            yield datagram[: noise.randrange(20)]
    for option, type, path in itertools.product(OBJECTIONABLE, (CON, NON), (b"s513", b"nope")):
        yield plain_request(path, option, type=type)
    for type, code in itertools.product((CON, NON, ACK, RST), (0, 1, 0x45, 0xE1)):
        yield bytes([0x40 | type << 4, code, 1, 2])
    yield bytes(4)


def plain_request(path, *options, type=CON, code=1, token=b""):
    """A GET of this path, segment by segment."""
    return reference.encode(
        reference.Message(
            type=type, code=code, message_id=3, token=token, options=(*path_options(path), *options)
        )
    )


@pytest.mark.parametrize(("policy", "responder"), RESPONDERS)
def test_every_outcome_is_seen_by_both(policy, responder):
    """The walk reaches every outcome there is, under every policy."""
    seen = set()
    for datagram in walk():
        seen.add(agree(datagram, policy, responder))
        seen.add(agree(datagram, policy, responder, truncated=True))
    expected = {
        "2.05", "2.03", "4.00", "4.02", "4.05", "4.06", "4.12", "4.13", "5.05",
        "ping", "format error", "bad option", "short", "version", "format", "truncated",
    }  # fmt: skip
    without_taker = {"4.04", "unexpected response", "unmatched"}
    assert seen == expected | ({"handed over"} if policy.handover else without_taker)


# -- Statelessness --


walked = st.lists(st.sampled_from(list(walk())), min_size=1, max_size=40)


@given(asked=walked, between=walked, seed=st.integers())
def test_the_same_datagram_gets_the_same_answer_after_whatever_came_between(asked, between, seed):
    """In any order, after anything else, by another responder, and by one born later: the same bytes."""
    responder = RESPONDERS[0][1]
    first = {datagram: responder.respond(datagram) for datagram in asked}
    order = asked * 2 + between
    random.Random(seed).shuffle(order)
    for datagram in order:
        answered = responder.respond(datagram)
        assert first.get(datagram, answered) == answered
    born_later = Responder(CATALOG)
    for datagram in reversed(asked):
        assert born_later.respond(datagram) == first[datagram]


def test_the_same_answers_after_a_restart():
    """Another catalog, with another seed, filled in another order: nothing of it is on the wire."""
    restarted = Responder(catalog_of(dict(reversed(SERVED.items()))))
    for path in PATHS:
        for num in (0, 1, 40):
            datagram = plain_request(path, (BLOCK2, block_value(num, 4)))
            assert restarted.respond(datagram) == RESPONDERS[0][1].respond(datagram)


@given(datagram=st.sampled_from(list(walk())), now_ns=st.integers(0, 2**64 - 1))
def test_answer_does_not_depend_on_the_time(datagram, now_ns):
    """`now_ns` goes to the ledger and nowhere else."""
    responder = RESPONDERS[0][1]
    assert responder.respond(datagram, now_ns=now_ns) == responder.respond(datagram)
