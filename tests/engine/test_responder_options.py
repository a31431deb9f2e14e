"""What each option of a request does to the answer: RFC 7252 section 5.10 and the RFCs named beside."""

from __future__ import annotations

import pytest

from datagrams import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    ECHO,
    ETAG,
    HOP_LIMIT,
    IF_MATCH,
    IF_NONE_MATCH,
    NO_RESPONSE,
    NON,
    OBSERVE,
    OSCORE,
    PROXY_SCHEME,
    PROXY_URI,
    Q_BLOCK1,
    Q_BLOCK2,
    REQUEST_TAG,
    RESET,
    SIZE1,
    SIZE2,
    URI_HOST,
    URI_PORT,
    URI_QUERY,
    block_value,
    read,
    request,
)
from reference import coap as reference
from reference.block import Block

BODY = bytes(i & 0xFF for i in range(1300))
PID = bytes.fromhex("4EA021B62388BDD4")
OTHER = bytes.fromhex("4EA021B62388BDD5")
ROWS = [pytest.param(number, row, id=f"{number} {row.name}") for number, row in reference.OPTIONS.items()]


@pytest.fixture
def respond(serve):
    """Serves the 1300 bytes as `fw`, and 40 of them as `config/device.json`."""
    return serve({"fw": BODY, "config/device.json": BODY[:40]})


def code(answered) -> str:
    """The code of an answer, which is its outcome too."""
    outcome, reply = answered
    assert read(reply).code == outcome
    return outcome


# -- Options that are not there for us --


@pytest.mark.parametrize(
    "option",
    [
        (URI_HOST, b"edge.example"),
        (URI_HOST, b"x" * 255),
        (URI_PORT, b"\x16\x33"),
        (URI_PORT, b""),
        (OBSERVE, b""),
        (OBSERVE, b"\x01"),
        (HOP_LIMIT, b"\x10"),
        (HOP_LIMIT, b"\x00"),
        (NO_RESPONSE, b"\x1a"),
        (ECHO, b"12345678"),
        (REQUEST_TAG, b""),
        (REQUEST_TAG, b"12345678"),
        (URI_QUERY, b"v=2"),
        (URI_QUERY, b""),
        (CONTENT_FORMAT, b"\x2a"),
        (SIZE1, b"\x05\x14"),
        (8, b"location"),
        (14, b"\x3c"),
        (20, b"location"),
        (2048, b"anything"),
        (65534, bytes(300)),
    ],
)
@pytest.mark.parametrize("type", [CON, NON])
def test_option_changes_nothing(respond, option, type):
    """Uri-Host and Uri-Port: any device that reaches us means us. Observe: RFC 7641 lets a server ignore it.

    The answer is the very bytes that it would be without the option, so no Observe, no Echo in it.
    """
    plain = respond(request("fw", block2=(0, 5), type=type))
    assert plain[0] == "2.05"
    assert respond(request("fw", option, block2=(0, 5), type=type)) == plain


@pytest.mark.parametrize("number", [OBSERVE, HOP_LIMIT, ECHO, NO_RESPONSE, 12, 14, 60])
def test_elective_option_of_wrong_length_or_twice_changes_nothing(respond, number):
    """Sections 5.4.3 and 5.4.5: it counts as unknown, and an unknown elective option is skipped."""
    plain = respond(request("fw", block2=(0, 5)))
    longest = reference.OPTIONS[number].longest
    assert respond(request("fw", (number, bytes(longest + 1)), block2=(0, 5))) == plain
    value = bytes(longest)
    assert respond(request("fw", (number, value), (number, value), block2=(0, 5))) == plain


def test_payload_of_a_get_changes_nothing(respond):
    """A GET's payload has no meaning (RFC 7252 section 5.5)."""
    assert respond(request("fw", payload=b"hello")) == respond(request("fw"))


# -- Options that must be understood --


@pytest.mark.parametrize(("number", "row"), ROWS)
@pytest.mark.parametrize("path", ["fw", "not/there"])
def test_critical_option_of_wrong_length(respond, number, row, path):
    """Section 5.4.1: 4.02 to a CON, a Reset to a NON; whether the path is served does not matter."""
    lengths = {row.longest + 1} | ({row.shortest - 1} if row.shortest else set())
    for length in lengths:
        option = (number, bytes(length))
        if number % 2:
            assert code(respond(request(path, option))) == "4.02"
            assert respond(request(path, option, type=NON)) == ("bad option", RESET)
        else:
            assert code(respond(request(path, option))) == ("2.05" if path == "fw" else "4.04")


@pytest.mark.parametrize("number", [URI_HOST, URI_PORT, IF_NONE_MATCH, ACCEPT, BLOCK2, BLOCK1])
def test_critical_option_that_may_stand_once_stands_twice(respond, number):
    """Section 5.4.5: the second occurrence counts as unknown, even if it says the same."""
    value = b"" if number == IF_NONE_MATCH else b"\x2a"
    assert code(respond(request("fw", (number, value), (number, value)))) == "4.02"
    assert respond(request("fw", (number, value), (number, value), type=NON)) == ("bad option", RESET)


@pytest.mark.parametrize("number", [OSCORE, Q_BLOCK1, Q_BLOCK2, 13, 63, 75, 87, 257, 65535])
@pytest.mark.parametrize("path", ["fw", "not/there", ".well-known/core"])
def test_critical_option_that_is_not_ours(respond, number, path):
    """OSCORE (RFC 8613) and Q-Block (RFC 9177) are critical; 75 and 87 are 64 above ones that are ours."""
    assert code(respond(request(path, (number, b"\x05")))) == "4.02"
    assert respond(request(path, (number, b"\x05"), type=NON)) == ("bad option", RESET)


def test_q_block2_beside_block2(respond):
    """RFC 9177 section 4.1: not in one message; switched off it is 4.02 in any case."""
    assert code(respond(request("fw", (BLOCK2, b"\x05"), (Q_BLOCK2, b"\x05")))) == "4.02"


# -- ETag --


def test_first_block_that_the_device_has(respond):
    """Section 5.10.6.2: 2.03 with the ETag, without payload, Block2 or Size2."""
    for block2 in (None, (0, 0), (0, 5), (0, 6)):
        outcome, reply = respond(request("fw", (ETAG, PID), block2=block2))
        answer = read(reply)
        assert (outcome, answer.code, answer.numbers, answer.etag) == ("2.03", "2.03", (ETAG,), PID)
        assert answer.payload == b""


@pytest.mark.parametrize(
    ("etags", "answered"),
    [
        ([OTHER], "2.05"),
        ([OTHER, PID], "2.03"),
        ([PID, OTHER], "2.03"),
        ([b"\x01", b"\x02\x03", PID], "2.03"),
        ([OTHER, bytes(8), b"\xff" * 8], "2.05"),
        ([PID[:7]], "2.05"),
        ([PID[:1]], "2.05"),
        ([PID + b"\0"], "2.05"),  # nine bytes: counts as unknown
        ([b"", PID], "2.03"),  # none: likewise
        ([b"", OTHER], "2.05"),  # only in an If-Match does an empty value mean any
        ([PID, PID], "2.03"),
        ([OTHER] * 100 + [PID], "2.03"),
    ],
)
def test_any_of_several_etags(respond, etags, answered):
    """Section 5.10.6.2: the option is repeatable, and one that matches is enough."""
    assert code(respond(request("fw", *((ETAG, etag) for etag in etags)))) == answered


@pytest.mark.parametrize("num", [1, 2])
def test_etag_of_a_later_block_is_not_a_question(respond, num):
    """2.03 for NUM > 0 broke real clients: a later block is always sent."""
    answer = read(respond(request("fw", (ETAG, PID), block2=(num, 5)))[1])
    assert (answer.code, answer.block2.num, answer.etag) == ("2.05", num, PID)
    assert answer.payload == BODY[512 * num :][:512]


def test_etag_of_an_empty_package(serve):
    """It has an identity like any other."""
    respond = serve({"fw": b""})
    etag = read(respond(request("fw"))[1]).etag
    assert code(respond(request("fw", (ETAG, etag), block2=(0, 5)))) == "2.03"


def test_etag_does_not_excuse_a_bad_block(respond):
    """SZX 7 is 4.00 also for whoever has the package."""
    assert code(respond(request("fw", (ETAG, PID), block2=(0, 7)))) == "4.00"


# -- Conditions --


@pytest.mark.parametrize(
    ("values", "answered"),
    [
        ([PID], "2.05"),
        ([b""], "2.05"),  # section 5.10.8.1: something exists
        ([OTHER, PID], "2.05"),
        ([OTHER, b""], "2.05"),
        ([OTHER], "4.12"),
        ([PID[:7]], "4.12"),
        ([OTHER, bytes(8)], "4.12"),
        ([PID + b"\0"], "4.02"),
        ([PID, PID + b"\0"], "4.02"),
    ],
)
@pytest.mark.parametrize("num", [0, 1])
def test_if_match(respond, values, answered, num):
    """Section 5.10.8.1: served while the package is the one meant, at every block."""
    asked = request("fw", *((IF_MATCH, value) for value in values), block2=(num, 5))
    assert code(respond(asked)) == answered


def test_if_none_match(respond):
    """Section 5.10.8.2: the package exists, so the condition never holds; where there is none, 4.04."""
    assert code(respond(request("fw", (IF_NONE_MATCH, b"")))) == "4.12"
    assert code(respond(request("fw", (IF_NONE_MATCH, b""), (IF_MATCH, PID)))) == "4.12"
    assert code(respond(request("not/there", (IF_NONE_MATCH, b"")))) == "4.04"
    assert code(respond(request("fw", (IF_NONE_MATCH, b"x")))) == "4.02"


def test_if_match_where_nothing_is(respond):
    """4.04 says more than 4.12."""
    assert code(respond(request("not/there", (IF_MATCH, b"")))) == "4.04"


# -- Accept --


@pytest.mark.parametrize(
    ("value", "answered"),
    [
        (b"\x2a", "2.05"),
        (b"\x00\x2a", "2.05"),  # leading zeros
        (b"", "4.06"),  # text/plain
        (b"\x00", "4.06"),
        (b"\x3c", "4.06"),
        (b"\x2a\x00", "4.06"),
        (b"\x2d\x16", "4.06"),  # 11542, TLV
        (b"\xff\xff", "4.06"),
        (b"\x00\x00\x2a", "4.02"),  # three bytes
    ],
)
@pytest.mark.parametrize("num", [0, 1])
def test_accept(respond, value, answered, num):
    """Section 5.10.4: 42 or nothing; 4.06 where another format is wanted, at every block."""
    assert code(respond(request("fw", (ACCEPT, value), block2=(num, 5)))) == answered


@pytest.mark.parametrize(("served", "value"), [(0, b""), (0, b"\0\0"), (40, b"\x28"), (65535, b"\xff\xff")])
def test_accept_of_another_format_than_42(serve, served, value):
    """The package's own format is what can be accepted; 0 has an empty value."""
    respond = serve({"fw": BODY}, content_format=served)
    assert code(respond(request("fw", (ACCEPT, value)))) == "2.05"
    assert code(respond(request("fw"))) == "2.05"
    assert code(respond(request("fw", (ACCEPT, b"\x2a")))) == "4.06"


def test_accept_twice(respond):
    """Section 5.4.5: the second one counts as unknown, and Accept is critical."""
    assert code(respond(request("fw", (ACCEPT, b"\x2a"), (ACCEPT, b"\x2a")))) == "4.02"


# -- Proxies --


@pytest.mark.parametrize(
    "option",
    [
        (PROXY_URI, b"coap://edge.example/fw"),
        (PROXY_URI, b"x" * 1034),
        (PROXY_SCHEME, b"coap"),
        (PROXY_SCHEME, b"x" * 255),
    ],
)
@pytest.mark.parametrize("path", ["fw", "not/there", None])
@pytest.mark.parametrize("type", [CON, NON])
def test_proxying_is_not_supported(respond, option, path, type):
    """Section 5.7.2: 5.05, whichever path stands beside it."""
    assert code(respond(request(path, option, type=type))) == "5.05"


def test_proxying_comes_before_an_unknown_option(respond):
    """Whoever wants a proxy learns that first."""
    assert code(respond(request("fw", (PROXY_URI, b"coap://x"), (13, b"")))) == "5.05"
    assert code(respond(request("fw", (PROXY_URI, b"coap://x"), (PROXY_URI, b"coap://x")))) == "5.05"
    assert code(respond(request("fw", (PROXY_URI, b"")))) == "4.02"


# -- Block1 --


@pytest.mark.parametrize("value", [b"", b"\x0d", b"\x07", b"\xff\xff\xf6"])
def test_block1_in_a_get(respond, value):
    """A GET has no body in blocks, with Block2 beside it or without."""
    for asked in (request("fw", (BLOCK1, value)), request("fw", (BLOCK1, value), block2=(0, 5))):
        outcome, reply = respond(asked)
        assert (outcome, read(reply).payload) == ("4.00", b"Block1 in a GET")


def test_every_option_that_may_stand_beside_a_block_request(respond):
    """All at once, and still it is the plain answer: nothing but the block depends on them."""
    options = [
        (IF_MATCH, PID),
        (URI_HOST, b"h"),
        (ETAG, OTHER),
        (OBSERVE, b""),
        (URI_PORT, b"\x16\x33"),
        (URI_QUERY, b"a=1"),
        (HOP_LIMIT, b"\x01"),
        (ACCEPT, b"\x2a"),
        (ECHO, b"e"),
        (NO_RESPONSE, b""),
        (REQUEST_TAG, b"t"),
    ]
    answer = read(respond(request("fw", *options, (BLOCK2, block_value(1, 4, more=True))))[1])
    assert (answer.block2, answer.payload) == (Block(1, True, 4), BODY[256:512])
    assert answer == read(respond(request("fw", block2=(1, 4)))[1])
    assert SIZE2 not in answer.numbers
