"""What devices and servers in the field get wrong: each trap that a responder can spring has its test.

The numbers are those of docs/traps.md.
"""

from __future__ import annotations

import random

import pytest

from datagrams import (
    ACCEPT,
    ACK,
    CON,
    DISCOVERY,
    ETAG,
    IF_MATCH,
    NON,
    OBSERVE,
    Q_BLOCK2,
    REQUEST_TAG,
    RESET,
    SIZE2,
    URI_HOST,
    URI_PATH,
    URI_PORT,
    URI_QUERY,
    block_value,
    empty,
    read,
    request,
)
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.responder import Responder
from reference.block import Block

BODY = bytes(i & 0xFF for i in range(1300))
OTHER_BODY = bytes(i * 3 & 0xFF for i in range(1300))
PID = bytes.fromhex("4EA021B62388BDD4")
KEY = "Zk3_x-0aBcDeFgHi"


@pytest.fixture
def respond(catalog, make_package):
    """Grants the 1300 bytes as `Zk3_x-0aBcDeFgHi`."""
    catalog.grant(KEY.encode(), make_package(BODY))
    return Responder(catalog).respond


def download(respond, szx=5, **fields) -> bytes:
    """The whole package as a plain device fetches it, one block after the other."""
    got, num, more = b"", 0, True
    while more:
        answer = read(respond(request(KEY, block2=(num, szx), message_id=num, **fields))[1])
        assert (answer.code, answer.block2.num) == ("2.05", num)
        got, num, more = got + answer.payload, num + 1, answer.block2.more
    return got


def test_t1_uri_host_and_port_are_ignored(respond):
    """T1: the GETs come on the LwM2M association, and name whatever host the URI was written with."""
    plain = respond(request(KEY, block2=(0, 5)))
    for host, port in ((b"fota.example", b"\x16\x33"), (b"10.0.0.1", b"\x50"), (b"[2001:db8::1]", b"")):
        assert respond(request(KEY, (URI_HOST, host), (URI_PORT, port), block2=(0, 5))) == plain


def test_t2_query_string_is_no_part_of_the_identity(respond):
    """T2: Zephyr drops the query, LiteOS keeps the whole URI path in one option: the path alone decides."""
    plain = respond(request(KEY, block2=(0, 5)))
    assert respond(request(KEY, (URI_QUERY, b"v=2"), (URI_QUERY, b"x"), block2=(0, 5))) == plain


def test_t2_path_in_one_option(serve):
    """T2: LiteOS puts the path into one Uri-Path option, strokes included."""
    respond = serve({"fw/hw3/v2.bin": BODY})
    split = respond(request("fw/hw3/v2.bin", block2=(0, 5)))
    whole = respond(request(None, (URI_PATH, b"fw/hw3/v2.bin"), block2=(0, 5)))
    assert split == whole
    assert split[0] == "2.05"


def test_t3_path_of_a_grant_never_serves_another_package(catalog, make_package):
    """T3: LiteOS resumes by the URI's text and ignores the ETag. Withdrawn is 4.04, not other bytes."""
    respond = Responder(catalog).respond
    package, other = make_package(BODY), make_package(OTHER_BODY, check_code=0x1234)
    catalog.grant(KEY.encode(), package)
    read(respond(request(KEY, block2=(0, 5)))[1])
    catalog.withdraw(KEY.encode())
    catalog.grant(b"another-key-here", other)
    assert read(respond(request(KEY, block2=(1, 5)))[1]).code == "4.04"
    catalog.grant(KEY.encode(), package)
    assert read(respond(request(KEY, block2=(1, 5)))[1]).payload == BODY[512:1024]


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513])
@pytest.mark.parametrize("szx", range(7))
def test_t4_block2_is_always_echoed(serve, length, szx):
    """T4: LiteOS aborts without it, even when one block is all."""
    answer = read(serve({"fw": bytes(length)})(request("fw", block2=(0, szx)))[1])
    assert answer.block2 == Block(0, length > (16 << szx), szx)


def test_t5_nothing_but_2_05_in_a_transfer(respond):
    """T5: Zephyr and LiteOS abort at any other code. However often and fast a device asks, it is served."""
    for _ in range(300):
        for num in (0, 1, 1, 2, 0):
            assert respond(request(KEY, block2=(num, 5), message_id=num))[0] == "2.05"


def test_t6_one_token_for_the_whole_transfer(respond):
    """T6: Zephyr keeps its token and changes the message id: blocks are told apart by neither."""
    assert download(respond, token=b"same") == BODY
    assert download(respond, token=b"") == BODY


def test_t7_size2_in_every_block_request(respond):
    """T7: Zephyr asks `Size2: 0` with every block, and is told each time."""
    for num in range(3):
        answer = read(respond(request(KEY, (SIZE2, b"\0"), block2=(num, 5)))[1])
        assert (answer.size2, answer.block2.num) == (1300, num)


@pytest.mark.parametrize("num", [0, 1, 2])
@pytest.mark.parametrize("type", [CON, NON])
def test_t8_repeated_request_gets_the_same_bytes(respond, num, type):
    """T8: our answer was late, and the device asks again under the same message id."""
    asked = request(KEY, block2=(num, 5), type=type)
    first = respond(asked)
    respond(request(KEY, block2=(0, 5), message_id=9))
    assert [respond(asked) for _ in range(4)] == [first] * 4


def test_t9_device_starts_over_or_asks_block_0_instead(respond, catalog):
    """T9: any NUM is served whatever came before; the ledger shows where the device is now."""
    for num in (0, 1, 0, 2, 0, 0, 1):
        answer = read(respond(request(KEY, block2=(num, 5)))[1])
        assert answer.payload == BODY[512 * num :][:512]
        assert catalog.ledger.progress(0).position_bytes == min(1300, 512 * (num + 1))


def test_t10_no_block_depends_on_one_before(make_package):
    """T10: Californium failed every later block after it forgot a transfer. A server just born serves any."""
    for num in (2, 1, 0):
        catalog = Catalog(Ledger(1))
        catalog.grant(KEY.encode(), make_package(BODY))
        answer = read(Responder(catalog).respond(request(KEY, block2=(num, 5)))[1])
        assert answer.payload == BODY[512 * num :][:512]


@pytest.mark.parametrize("num", [1, 2])
def test_t11_etag_with_a_later_block(respond, num):
    """T11: 2.03 there broke clients; only for block 0 is the ETag a question."""
    assert respond(request(KEY, (ETAG, PID), block2=(num, 5))) == respond(request(KEY, block2=(num, 5)))
    assert respond(request(KEY, (ETAG, PID), block2=(0, 5)))[0] == "2.03"


def test_t12_block_size_changes_in_the_middle(respond):
    """T12: 1024, then 128, then 16, then 64: offsets, not block counts, and exact sizes."""
    got = b""
    for szx, count in ((6, 1), (3, 1), (0, 4), (2, 2)):
        for _ in range(count):
            num, remainder = divmod(len(got), 16 << szx)
            assert remainder == 0
            answer = read(respond(request(KEY, block2=(num, szx)))[1])
            assert answer.block2 == Block(num, len(got) + (16 << szx) < 1300, szx)
            assert len(answer.payload) == min(16 << szx, 1300 - len(got))
            got += answer.payload
    assert got == BODY


def test_t12_first_block_is_never_larger_than_asked_nor_of_an_odd_size(respond):
    """T12: the other server sent 996 bytes where 128 was the size."""
    for szx in range(7):
        assert len(read(respond(request(KEY, block2=(0, szx)))[1]).payload) == 16 << szx


def test_t31_retransmission_with_a_new_token(respond):
    """T31: same message id, another token: the answer has the one that this datagram carries, in an ACK."""
    first = read(respond(request(KEY, block2=(1, 5), message_id=77, token=b"one"))[1])
    again = read(respond(request(KEY, block2=(1, 5), message_id=77, token=b"another"))[1])
    assert (first.token, again.token) == (b"one", b"another")
    assert first.type == again.type == ACK
    assert first.message_id == again.message_id == 77
    assert first.payload == again.payload


def test_t38_accept_of_a_format_that_is_not_served(respond):
    """T38: 11542 in an Accept. 4.06 there and then; without it the next request is served."""
    assert respond(request(KEY, (ACCEPT, b"\x2d\x16")))[0] == "4.06"
    assert respond(request(KEY))[0] == "2.05"


def test_t38_answer_does_not_depend_on_where_the_request_comes_from(respond):
    """T38: each message from a new port. Nothing of the peer reaches the responder, so nothing can differ."""
    asked = request(KEY, block2=(1, 5))
    assert len({respond(bytearray(asked)) for _ in range(3)}) == 1


def test_t40_as_libcoap_asks(respond):
    """T40: no token, Request-Tag on a plain GET, Uri-Port always there."""
    asked = request(KEY, (URI_PORT, b"\x16\x33"), (REQUEST_TAG, b"\0"), block2=(0, 6), token=b"")
    answer = read(respond(asked)[1])
    assert (answer.code, answer.token, answer.block2) == ("2.05", b"", Block(0, True, 6))


@pytest.mark.parametrize("published", [False, True])
def test_t40_q_block2_probe_is_refused(serve, published):
    """T40: libcoap tries option 31 on `.well-known/core` and falls back without a word at 4.02."""
    respond = serve({DISCOVERY: b"</fw>"} if published else {})
    assert respond(request(DISCOVERY, (Q_BLOCK2, b"\x0e")))[0] == "4.02"
    assert respond(request(DISCOVERY, (Q_BLOCK2, b"\x0e"), type=NON)) == ("bad option", RESET)


def test_t41_resume_without_etag_or_condition(respond):
    """T41: Anjay asks NUM > 0 at once, but only if the first answers had an ETag; all answers have it."""
    answers = [read(respond(request(KEY, block2=(num, 5)))[1]) for num in (2, 1, 0)]
    assert {answer.etag for answer in answers} == {PID}
    assert {answer.code for answer in answers} == {"2.05"}


# -- Resume by offset --


@pytest.mark.parametrize("szx", range(7))
@pytest.mark.parametrize("stored", [1, 15, 16, 500, 512, 1000, 1024, 1299])
def test_resume_at_the_block_that_contains_the_offset(respond, stored, szx):
    """A device that kept `stored` bytes asks the block they end in, drops the overlap, and goes on."""
    size = 16 << szx
    num, got = stored // size, BODY[: stored // size * size]
    while True:
        answer = read(respond(request(KEY, block2=(num, szx)))[1])
        assert (answer.code, answer.etag) == ("2.05", PID)
        got, num = got + answer.payload, num + 1
        if not answer.block2.more:
            break
    assert got == BODY


def test_resume_by_repeating_the_last_get(respond):
    """The same message id or a new one: the same block."""
    first = read(respond(request(KEY, block2=(1, 5), message_id=5))[1])
    same_id = read(respond(request(KEY, block2=(1, 5), message_id=5))[1])
    new_id = read(respond(request(KEY, block2=(1, 5), message_id=6))[1])
    assert first == same_id
    assert first.payload == new_id.payload


def test_resume_of_a_package_that_is_another_now(catalog, make_package):
    """With If-Match a device is told (4.12); without, by the ETag of the first answer."""
    respond = Responder(catalog).respond
    catalog.publish(b"fw", make_package(OTHER_BODY))
    assert respond(request("fw", (IF_MATCH, PID), block2=(1, 5)))[0] == "4.12"
    assert read(respond(request("fw", block2=(1, 5)))[1]).etag != PID


def test_observe_on_a_package_is_a_plain_get(respond):
    """RFC 7641 section 4.1: a server may ignore it; a package never changes, and no state is kept."""
    assert respond(request(KEY, (OBSERVE, b""), block2=(0, 5))) == respond(request(KEY, block2=(0, 5)))


def test_answers_depend_on_nothing_that_came_before(respond):
    """Any block, any size, any token, in any order, between pings, errors and noise: the same bytes."""
    sizes = [(num, szx) for szx in (0, 3, 5, 6) for num in (0, 1, 2, 5)]
    asked = [
        request(KEY, block2=block2, message_id=i, token=bytes([i]), type=type)
        for i, (block2, type) in enumerate((block2, type) for block2 in sizes for type in (CON, NON))
    ]
    asked += [
        empty(CON),
        request("nope"),
        request(KEY, code=2),
        request(KEY, (13, b"")),
        request(KEY, (ETAG, PID)),
        request(KEY, (URI_PATH, b"more")),
        request(KEY, (23, block_value(3, 7))),
        b"\x40\x01",
    ]
    expected = {datagram: respond(datagram) for datagram in asked}
    order = random.Random(1)
    for _ in range(20):
        order.shuffle(asked)
        for datagram in asked:
            assert respond(datagram) == expected[datagram]
