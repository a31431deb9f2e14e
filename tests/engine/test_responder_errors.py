"""Everything that is not a well-made GET of a package: RFC 7252 sections 3 to 5."""

from __future__ import annotations

import pytest

from datagrams import (
    ACCEPT,
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    DELETE,
    DISCOVERY,
    FETCH,
    IPATCH,
    NON,
    OSCORE,
    PATCH,
    POST,
    PROXY_URI,
    PUT,
    Q_BLOCK2,
    RESET,
    RST,
    empty,
    read,
    request,
)
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import OUTCOMES, Responder
from reference import coap as reference

BODY = bytes(i & 0xFF for i in range(1300))
KEY = "Zk3_x-0aBcDeFgHi"  # a grant's path: 16 characters of base64url


@pytest.fixture
def respond(serve):
    """Serves the 1300 bytes as `fw`, with nobody behind."""
    return serve({"fw": BODY})


@pytest.fixture
def respond_or_hand_over(serve):
    """The same, where somebody takes what is not a package request."""
    return serve({"fw": BODY}, handover=True)


def code(answered) -> str:
    """The code of an answer without options or payload, which is its outcome too."""
    outcome, reply = answered
    answer = read(reply)
    assert (answer.code, answer.numbers, answer.payload) == (outcome, (), b"")
    return outcome


# -- Paths and methods --


@pytest.mark.parametrize("type", [CON, NON])
def test_unknown_path(respond, type):
    """4.04, as the request came: piggybacked or NON, with its token and message id."""
    outcome, reply = respond(request("nope", block2=(0, 5), type=type, message_id=7, token=b"tok"))
    answer = read(reply)
    assert (outcome, answer.code) == ("4.04", "4.04")
    assert (answer.type, answer.message_id, answer.token) == (ACK if type == CON else NON, 7, b"tok")


@pytest.mark.parametrize("method", [POST, PUT, DELETE, FETCH, PATCH, IPATCH, 8, 31])
@pytest.mark.parametrize("type", [CON, NON])
def test_method_that_a_package_does_not_allow(respond, method, type):
    """Section 5.8: 4.05 for known methods and unknown ones."""
    assert code(respond(request("fw", code=method, type=type))) == "4.05"
    assert code(respond(request("fw", (CONTENT_FORMAT, b"\x2a"), code=method, payload=b"x"))) == "4.05"
    assert code(respond(request("fw", (BLOCK1, b"\x0d"), code=method, payload=bytes(512)))) == "4.05"
    assert code(respond(request("fw", (ACCEPT, b""), code=method))) == "4.05"


@pytest.mark.parametrize("method", range(1, 32))
def test_method_on_an_unknown_path(respond, method):
    """4.04 for methods that could exist there; 4.05 for those that exist nowhere (section 5.8)."""
    assert code(respond(request("nope", code=method))) == ("4.04" if method <= IPATCH else "4.05")


def test_grant_is_served_until_it_is_withdrawn(catalog, make_package):
    """Before the grant and after the withdrawal its path is 4.04; granted again, it is the same package."""
    respond = Responder(catalog).respond
    asked = request(KEY, block2=(1, 5))
    assert code(respond(asked)) == "4.04"
    catalog.grant(KEY.encode(), make_package(BODY))
    answered = respond(asked)
    assert read(answered[1]).payload == BODY[512:1024]
    assert len(KEY) == 16
    catalog.withdraw(KEY.encode())
    assert code(respond(asked)) == "4.04"
    catalog.grant(KEY.encode(), make_package(BODY))
    assert respond(asked) == answered


@pytest.mark.parametrize("path", ["p/4ea021b62388bdd4", "fw/v2.bin", "a", "deep/er/and/deep/er", "Größe"])
def test_public_path_of_any_kind(serve, path):
    """An embedder publishes what he likes; hexadecimal digits have no case of their own."""
    respond = serve({path: BODY})
    assert read(respond(request(path))[1]).payload == BODY[:512]
    assert code(respond(request(path.swapcase()))) == "4.04"


def test_replaced_path_serves_the_new_package_under_its_own_etag(catalog, make_package):
    """Never a block of one package under the identity of another."""
    respond = Responder(catalog).respond
    catalog.publish(b"fw", make_package(b"old" * 400))
    old = read(respond(request("fw", block2=(1, 5)))[1])
    catalog.publish(b"fw", make_package(b"new" * 400), replace=True)
    new = read(respond(request("fw", block2=(1, 5)))[1])
    assert old.payload != new.payload
    assert old.etag != new.etag


# -- Empty messages, responses, Resets --


@pytest.mark.parametrize("message_id", [0, 1, 0x00FF, 0xFFFF])
def test_ping(respond, respond_or_hand_over, message_id):
    """Section 4.3: an Empty CON is answered by a Reset, here, even where somebody takes the rest."""
    assert respond(empty(CON, message_id)) == ("ping", empty(RST, message_id))
    assert respond_or_hand_over(empty(CON, message_id)) == ("ping", empty(RST, message_id))


def test_empty_non_confirmable(respond, respond_or_hand_over):
    """Table 1: makes no sense, and section 4.3 lets it be ignored."""
    assert respond(empty(NON)) == ("format", None)
    assert respond_or_hand_over(empty(NON)) == ("format", None)


@pytest.mark.parametrize("type", [ACK, RST])
def test_empty_ack_and_reset_are_never_answered(respond, respond_or_hand_over, type):
    """Section 4.2: they end an exchange that only somebody behind us can have begun."""
    assert respond(empty(type)) == ("unmatched", None)
    assert respond_or_hand_over(empty(type)) == ("handed over", None)


@pytest.mark.parametrize("response", [0x41, 0x44, 0x45, 0x5F, 0x60, 0x84, 0xA0, 0xBF])
@pytest.mark.parametrize(
    ("type", "answered"),
    [(CON, ("unexpected response", RESET)), (NON, ("unmatched", None)), (ACK, ("unmatched", None))],
)
def test_response_that_nobody_waits_for(respond, respond_or_hand_over, type, answered, response):
    """Section 4.2: a CON response out of context is reset, others are ignored; or somebody may know it."""
    for asked in (
        request(None, type=type, code=response, payload=b"21.5"),
        request("fw", type=type, code=response),  # an option does not make it a request
        request(None, (13, b"critical"), type=type, code=response),
    ):
        assert respond(asked) == answered
        assert respond_or_hand_over(asked) == ("handed over", None)


@pytest.mark.parametrize("type", [ACK, RST])
@pytest.mark.parametrize("path", ["fw", "nope"])
def test_request_that_is_no_con_or_non(respond, respond_or_hand_over, type, path):
    """Table 1: a request in an ACK or Reset is never answered, and means nothing to anybody."""
    datagram = bytes([request(path, token=b"")[0] | type << 4]) + request(path, token=b"")[1:]
    assert respond(datagram) == ("format", None)
    assert respond_or_hand_over(datagram) == ("format", None)


# -- What is no message --

MALFORMED = [
    pytest.param("01 7D34 FF", id="payload marker without payload"),
    pytest.param("01 7D34 B2 66", id="option past the end"),
    pytest.param("01 7D34 F0", id="delta 15"),
    pytest.param("01 7D34 0F", id="length 15"),
    pytest.param("01 7D34 D0", id="delta extension missing"),
    pytest.param("01 7D34 E0 FFFF", id="option number above 65535"),
    pytest.param("01 7D34 B2 6677 FF", id="a path, then a marker without payload"),
    pytest.param("20 7D34", id="class 1"),
    pytest.param("C1 7D34", id="class 6"),
    pytest.param("E1 7D34", id="class 7: signalling is of TCP"),
    pytest.param("00 7D34 00", id="Empty with more than a header"),
    pytest.param("00 7D34 FF 61", id="Empty with payload"),
]


@pytest.mark.parametrize("rest", MALFORMED)
@pytest.mark.parametrize("type", [CON, NON, ACK, RST])
def test_format_error(respond, respond_or_hand_over, rest, type):
    """Sections 4.2 and 4.3: a CON is reset, everything else ignored; nobody behind us sees it."""
    datagram = bytes([0x40 | type << 4]) + bytes.fromhex(rest)
    answered = ("format error", RESET) if type == CON else ("format", None)
    assert respond(datagram) == answered
    assert respond_or_hand_over(datagram) == answered


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param("41 01 7D34", id="token past the end"),
        pytest.param("48 01 7D34 01020304050607", id="one byte of it missing"),
        pytest.param("4F 01 7D34" + "00" * 80, id="TKL 15"),
        pytest.param("4E 01 7D34 0000" + "00" * 300, id="TKL 14"),
        pytest.param("4D 01 7D34", id="its length missing"),
        pytest.param("4D 01 7D34 34" + "00" * 65 + "B26677", id="65 bytes, a path behind"),
        pytest.param("4D 01 7D34 33" + "00" * 63, id="64 announced, 63 there"),
    ],
)
def test_token_that_cannot_be_read(respond, datagram):
    """RFC 8974: up to 64 bytes are taken; above them it is a format error as for any old receiver."""
    assert respond(bytes.fromhex(datagram)) == ("format error", RESET)
    as_non = bytes([bytes.fromhex(datagram)[0] | NON << 4]) + bytes.fromhex(datagram)[1:]
    assert respond(as_non) == ("format", None)


@pytest.mark.parametrize("length", range(4))
def test_less_than_a_header(respond, respond_or_hand_over, length):
    """Section 3: there is not even a message id to reset."""
    assert respond(request("fw")[:length]) == ("short", None)
    assert respond_or_hand_over(request("fw")[:length]) == ("short", None)


@pytest.mark.parametrize("version", [0, 2, 3])
def test_another_version_is_ignored(respond, respond_or_hand_over, version):
    """Section 3: "Messages with unknown version numbers MUST be silently ignored"."""
    datagram = request("fw")
    datagram = bytes([datagram[0] & 0x3F | version << 6]) + datagram[1:]
    assert respond(datagram) == ("version", None)
    assert respond_or_hand_over(datagram) == ("version", None)


@pytest.mark.parametrize("length", range(4, 22))
def test_every_beginning_of_a_request(respond, length):
    """Cut anywhere, a CON is reset, or it is another well-formed request; it is never silence."""
    asked = request("fw", (ACCEPT, b"\x2a"), token=b"abc", block2=(0, 5), payload=b"12")[:length]
    outcome, reply = respond(asked)
    try:
        reference.parse(asked)
        assert outcome in ("4.04", "2.05")
    except reference.RefusedError:
        assert (outcome, reply) == ("format error", RESET)


# -- Longer than the receive buffer --


@pytest.mark.parametrize("method", [PUT, POST, 1, 31])
@pytest.mark.parametrize("type", [CON, NON])
def test_truncated_request_is_too_large(serve, method, type):
    """Section 5.9.2.9: 4.13, for there is more of it than we can see; nobody behind us could use it."""
    for handover in (False, True):
        respond = serve({"fw": BODY}, handover=handover)
        for path in ("fw", "nope"):
            datagram = request(path, code=method, type=type, payload=bytes(2000), token=b"t")
            outcome, reply = respond(datagram, truncated=True)
            answer = read(reply)
            assert (outcome, answer.code, answer.token) == ("4.13", "4.13", b"t")
            assert (answer.numbers, answer.payload) == ((), b"")


@pytest.mark.parametrize("type", [CON, NON, ACK])
def test_truncated_response_is_dropped(serve, type):
    """It cannot be used. A Reset might cancel an observation, so there is none."""
    for handover in (False, True):
        respond = serve({"fw": BODY}, handover=handover)
        datagram = request(None, type=type, code=0x45, payload=bytes(2000))
        assert respond(datagram, truncated=True) == ("truncated", None)


def test_truncated_nonsense_is_nonsense(respond):
    """What is wrong in the part that we have is judged as ever."""
    assert respond(b"\x40\x01\x7d\x34" + b"\xff", truncated=True) == ("format error", RESET)
    assert respond(b"\x80" + bytes(2047), truncated=True) == ("version", None)
    assert respond(b"\x60\x01\x7d\x34" + bytes(2044), truncated=True) == ("format", None)


# -- Handing over --


@pytest.mark.parametrize(
    "options",
    [
        (),
        ((ACCEPT, b"\x2d\x16"),),
        ((BLOCK1, b"\x0d"),),
        ((BLOCK2, b"\x07"),),
        ((13, b"unknown critical"),),
        ((OSCORE, b""),),
        ((PROXY_URI, b"coap://x"),),
        ((Q_BLOCK2, b""),),
    ],
)
@pytest.mark.parametrize("type", [CON, NON])
@pytest.mark.parametrize("path", ["rd", "rd/5a3f", None])
def test_request_for_another_path_is_handed_over(respond_or_hand_over, options, type, path):
    """Whole, and unjudged: whoever takes it knows which options and methods it understands."""
    for method in (1, POST, PUT, DELETE, FETCH, 31):
        datagram = request(path, *options, code=method, type=type)
        assert respond_or_hand_over(datagram) == ("handed over", None)


def test_request_for_a_package_is_answered_here(respond_or_hand_over):
    """With or without an error."""
    assert respond_or_hand_over(request("fw"))[0] == "2.05"
    assert respond_or_hand_over(request("fw", code=PUT))[0] == "4.05"
    assert respond_or_hand_over(request("fw", (13, b"")))[0] == "4.02"
    assert respond_or_hand_over(request("fw", (13, b""), type=NON)) == ("bad option", RESET)
    assert respond_or_hand_over(request("fw", (PROXY_URI, b"coap://x")))[0] == "5.05"
    assert respond_or_hand_over(request("fw", block2=(0, 7)))[0] == "4.00"


def test_withdrawn_grant_is_handed_over(catalog, make_package):
    """Here a path that is not served may be anybody's."""
    respond = Responder(catalog, handover=True).respond
    catalog.grant(KEY.encode(), make_package(BODY))
    assert respond(request(KEY))[0] == "2.05"
    catalog.withdraw(KEY.encode())
    assert respond(request(KEY)) == ("handed over", None)


def test_discovery_that_is_published_is_answered_here(catalog):
    """`.well-known/core` is a package like another; what it lists is its publisher's affair."""
    respond = Responder(catalog, handover=True).respond
    assert respond(request(DISCOVERY)) == ("handed over", None)
    links = Package(b"</fw>;ct=42", sha256=bytes(32), check_code=1, content_format=40, discovery=True)
    catalog.publish(DISCOVERY.encode(), links)
    assert respond(request(DISCOVERY))[0] == "2.05"


# -- The Python face --


def test_outcomes_are_in_the_order_of_replies_silences_and_the_rest(respond):
    """Names of replies come before "short", those of silence before "handed over": callers cut there."""
    assert OUTCOMES[: OUTCOMES.index("short")] == (
        "2.05", "segment", "2.03", "4.00", "4.02", "4.04", "4.05", "4.06", "4.12", "4.13", "5.05",
        "ping", "format error", "bad option", "unexpected response", "segment copy", "separate response",
    )  # fmt: skip
    assert OUTCOMES[-1] == "handed over"
    assert len(set(OUTCOMES)) == len(OUTCOMES)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_datagram_may_be_any_bytes(respond, kind):
    """And nothing of it is kept or changed."""
    datagram = bytearray(request("fw"))
    assert respond(kind(datagram))[0] == "2.05"
    assert datagram == request("fw")


@pytest.mark.parametrize("wrong", [None, "text", 5, memoryview(bytes(20))[::2]])
def test_datagram_is_bytes(respond, wrong):
    """Anything else is the caller's mistake, not a peer's."""
    with pytest.raises((TypeError, BufferError)):
        respond(wrong)


def test_answering_needs_no_place_among_the_listeners_for_long():
    """A catalog has 64 readers: answering, or failing to, leaves none of their places taken."""
    responder = Responder(Catalog(Ledger(1)))
    for _ in range(65):
        responder.respond(b"")
        responder._py_respond_many([empty(CON)], 1)
        for wrong in ([], [None], [empty(CON)] * 65):
            with pytest.raises((TypeError, ValueError)):
                responder._py_respond_many(wrong, 1)
    assert responder.respond(empty(CON))[0] == "ping"
