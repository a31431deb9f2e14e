"""How much anybody can draw who has proved nothing: RFC 9175 section 2.4, three bytes for one.

A published package is served to whoever names it: its path is the permission, which for a grant nobody can
guess. Everything else, the list of public packages included, stays within three times the request.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagrams import (
    BLOCK1,
    BLOCK2,
    CON,
    DISCOVERY,
    ETAG,
    NON,
    SIZE2,
    URI_HOST,
    URI_PATH,
    block_value,
    empty,
    path_options,
    read,
    request,
)
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from reference import coap as reference
from reference.block import Block
from reference.responder import path_of

LINKS = ",".join(f"</fw/v{i}.bin>;ct=42;sz={i * 1000}" for i in range(120)).encode()
KEY = b"Zk3_x-0aBcDeFgHi"
PATHS = {b"fw/v1.bin", KEY}
TOKEN_LENGTHS = [0, 1, 4, 8, 12, 13, 64]
POLICIES = [
    {},
    {"smallest_block": 512},
    {"smallest_block": 1024, "default_block": 1024},
    {"largest_block": 64, "default_block": 64},
    {"largest_block": 16},
]


def catalog_with(links: bytes) -> Catalog:
    """A link list, a public package and a granted one."""
    catalog = Catalog(Ledger(1))
    listed = Package(links, sha256=bytes(32), check_code=1, content_format=40, discovery=True)
    catalog.publish(DISCOVERY.encode(), listed)
    package = Package(bytes(5000), sha256=bytes(32), check_code=2)
    catalog.publish(b"fw/v1.bin", package)
    catalog.grant(KEY, package)
    return catalog


RESPONDERS = [
    Responder(catalog_with(links), handover=handover, **policy)
    for links in (LINKS, b"", LINKS[:16], LINKS[:17])
    for policy in POLICIES
    for handover in (False, True)
]


def names_a_package(datagram: bytes) -> bool:
    """Whether this is a request for a published path that is no link list."""
    try:
        message = reference.parse(datagram)
    except reference.RefusedError:
        return False
    return 0 < message.code < 32 and path_of(message) in PATHS


numbers = st.sampled_from([*reference.OPTIONS]) | st.integers(0, 70)
options = st.lists(st.tuples(numbers, st.binary(max_size=12)), max_size=4)
block2s = st.none() | st.tuples(st.integers(0, 2**20 - 1) | st.integers(0, 60), st.integers(0, 7))
tokens = st.sampled_from(TOKEN_LENGTHS).map(bytes)
unpublished = [b"", b"a", b"fw", b"fw/v2.bin", KEY[:-1], KEY + b"x", b".well-known", DISCOVERY.encode()]
paths = st.sampled_from(unpublished).flatmap(
    lambda path: st.sampled_from([((URI_PATH, path),), path_options(path)])
)
strangers = st.builds(
    lambda path, more, **fields: request(None, *path, *more, **fields),
    paths,
    options,
    block2=block2s,
    type=st.sampled_from([CON, NON]),
    code=st.sampled_from([1, 1, 1, 2, 5, 9]),
    token=tokens,
)
of_discovery = st.builds(
    lambda more, **fields: request(DISCOVERY, *more, **fields),
    options,
    block2=block2s,
    token=st.integers(0, 64).map(bytes),
)
noise = st.binary(max_size=80) | st.builds(
    lambda first, rest: bytes([first]) + rest, st.integers(0x40, 0x7F), st.binary(max_size=80)
)


@given(
    datagram=strangers | of_discovery | noise, responder=st.sampled_from(RESPONDERS), truncated=st.booleans()
)
def test_nobody_gets_more_than_three_times_what_he_sent(datagram, responder, truncated):
    """Whatever the datagram, unless it names a package."""
    reply = responder.respond(datagram, truncated=truncated)[1]
    if reply is not None and not names_a_package(datagram):
        assert len(reply) <= 3 * len(datagram)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("links", [b"", LINKS])
def test_shortest_request_for_the_link_list(whole, links):
    """No token, no Block2: 21 or 22 bytes, for which blocks of 32 are just possible."""
    options = [(URI_PATH, DISCOVERY.encode())] if whole else path_options(DISCOVERY)
    asked = request(None, *options, token=b"")
    outcome, reply = Responder(catalog_with(links)).respond(asked)
    assert outcome == "2.05"
    assert len(reply) <= 3 * len(asked) <= 66
    assert read(reply).payload == links[:32]


def fits(asked: bytes, token_length: int, szx: int) -> bool:
    """Whether a block beside every option that can stand there is within three times the request."""
    return 27 + token_length + (16 << szx) <= 3 * len(asked)


@pytest.mark.parametrize("length", range(65))
@pytest.mark.parametrize("szx", [None, 0, 3, 6])
def test_link_list_at_every_token_length(length, szx):
    """The block grows with the request, and is never too large for it."""
    block2 = None if szx is None else (0, szx)
    asked = request(DISCOVERY, block2=block2, token=bytes(length))
    reply = Responder(catalog_with(LINKS)).respond(asked)[1]
    answer = read(reply)
    assert len(reply) <= 3 * len(asked)
    assert answer.block2.szx <= (5 if szx is None else szx)
    assert answer.block2.szx == (5 if szx is None else szx) or not fits(asked, length, answer.block2.szx + 1)


def test_long_request_gets_long_blocks():
    """Whoever pays with bytes of his own is no amplifier: full blocks for a request of 400 bytes."""
    padding = [(URI_HOST, b"h" * 200), (2048, bytes(200))]
    reply = Responder(catalog_with(LINKS)).respond(request(DISCOVERY, *padding, block2=(0, 6)))[1]
    assert read(reply).block2 == Block(0, True, 6)


def test_package_of_the_same_bytes_is_sent_in_full_blocks():
    """Only the link list is cut: a package's path is the permission to draw it."""
    catalog = catalog_with(LINKS)
    catalog.publish(b"list", Package(LINKS, sha256=bytes(32), check_code=1, content_format=40))
    asked = request("list", block2=(0, 6), token=b"")
    assert len(Responder(catalog).respond(asked)[1]) > 50 * len(asked)


@pytest.mark.parametrize("length", TOKEN_LENGTHS)
@pytest.mark.parametrize("policy", POLICIES)
def test_link_list_is_fetched_whole_by_following_the_answers(policy, length):
    """RFC 7959 section 2.4: go on in the size that was answered. It is cut, so smallest_block is no bound."""
    for links in (LINKS, LINKS[:16], LINKS[:17], b""):
        respond = Responder(catalog_with(links), **policy).respond
        for szx in (None, *range(7)):
            assert followed(respond, None if szx is None else (0, szx), bytes(length)) == links


def followed(respond, block2: tuple[int, int] | None, token: bytes) -> bytes:
    """The link list as a client fetches it that begins with `block2` and goes on as it was answered."""
    got, etags, more = b"", set(), True
    while more:
        outcome, reply = respond(request(DISCOVERY, block2=block2, token=token))
        answer = read(reply)
        assert outcome == "2.05"
        etags.add(answer.etag)
        got += answer.payload
        more = answer.block2 is not None and answer.block2.more
        if more:
            block2 = (answer.block2.num + 1, answer.block2.szx)
    assert len(etags) == 1
    return got


@given(
    lengths=st.lists(st.sampled_from(TOKEN_LENGTHS), min_size=1), szxs=st.lists(st.integers(0, 6), min_size=1)
)
def test_link_list_is_fetched_whole_with_tokens_and_sizes_that_change(lengths, szxs):
    """Each answer names its own size and offset, so a client that counts bytes always goes on."""
    respond = RESPONDERS[0].respond
    got, more, turn = b"", True, 0
    while more:
        szx = next(szx for szx in range(szxs[turn % len(szxs)], -1, -1) if len(got) % (16 << szx) == 0)
        block2 = (len(got) >> (szx + 4), szx)
        token = bytes(lengths[turn % len(lengths)])
        answer = read(respond(request(DISCOVERY, block2=block2, token=token))[1])
        assert answer.block2.num << (answer.block2.szx + 4) == len(got)
        got, more, turn = got + answer.payload, answer.block2.more, turn + 1
    assert got == LINKS


def test_link_list_that_the_client_has():
    """2.03 is short, so it is never cut; asking Size2 changes no more than five bytes."""
    respond = RESPONDERS[0].respond
    etag = read(respond(request(DISCOVERY))[1]).etag
    assert respond(request(DISCOVERY, (ETAG, etag)))[0] == "2.03"
    plain = respond(request(DISCOVERY, (BLOCK2, block_value(1, 0))))[1]
    with_size2 = respond(request(DISCOVERY, (BLOCK2, block_value(1, 0)), (SIZE2, b"")))[1]
    assert 0 < len(with_size2) - len(plain) <= 5


def test_offset_of_a_link_list_that_its_small_blocks_cannot_name():
    """NUM 2**20 - 1 at 1024 bytes has no NUM in the blocks that the request is worth: 4.00."""
    outcome, reply = RESPONDERS[0].respond(request(DISCOVERY, block2=(2**20 - 1, 6), token=b""))
    assert (outcome, read(reply).payload) == ("4.00", b"NUM too high")


@pytest.mark.parametrize(
    ("options", "block2", "text"),
    [
        ((), (1, 4), b"past the end"),
        ((), (0, 7), b"SZX 7 is reserved"),
        (((BLOCK1, b""),), None, b"Block1 in a GET"),
        ((), (0, 3), b""),  # 8 bytes were sent, so 24 may come back; with its 20 the answer would have 25
        (((SIZE2, b""),), (0, 3), b"block size too small"),
    ],
)
def test_diagnostic_is_left_out_where_it_would_amplify(serve, options, block2, text):
    """RFC 7252 section 5.5.2 wants a text for people; a stranger's bytes may not be spent on it."""
    asked = request("a", *options, block2=block2, token=b"")
    outcome, reply = serve({"a": b"body"}, smallest_block=256)(asked)
    assert (outcome, read(reply).payload) == ("4.00", text)
    assert len(reply) <= 3 * len(asked) <= 27


def test_error_is_never_longer_than_its_request_and_a_diagnostic(serve):
    """Without a diagnostic an answer is a header and the token that the request had, too."""
    respond = serve({"a": b"body"})
    for asked in (
        empty(CON),
        request("b"),
        request("a", code=2),
        request("a", (13, b"")),
        request("a", (17, b"")),
        request("a", (5, b"")),
        request("a", (35, b"x")),
    ):
        assert len(respond(asked)[1]) <= len(asked)
