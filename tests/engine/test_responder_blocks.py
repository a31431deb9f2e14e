"""Which block is answered, and what stands beside it: RFC 7959 section 2."""

from __future__ import annotations

import mmap

import pytest

from datagrams import BLOCK2, CON, CONTENT_FORMAT, ETAG, NON, SIZE2, read, request
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.errors import PackageTooLargeError
from reference.block import Block

BODY = bytes(i & 0xFF for i in range(1300))  # the published example: PID 4EA021B62388BDD4
PID = bytes.fromhex("4EA021B62388BDD4")
NUM_MAX = 2**20 - 1
GIB = 2**30


@pytest.fixture
def respond(serve):
    """Serves the 1300 bytes as `fw`."""
    return serve({"fw": BODY})


def diagnostic(answered) -> tuple[str, str]:
    """(code, text) of an answer that carries a diagnostic payload."""
    outcome, reply = answered
    answer = read(reply)
    assert answer.code == outcome
    assert (answer.numbers, answer.block2) == ((), None)
    return answer.code, answer.payload.decode()


# -- The two exchanges of our protocol notes, byte for byte --


def test_golden_first_block(serve):
    """RFC 7959 as the notes write it out: early negotiation at 512 bytes, `/p/<PID>`."""
    respond = serve({"p/4ea021b62388bdd4": BODY})
    asked = "44017D34 01020304 B170 0D03 34656130323162363233383862646434 C105"
    head = "64457D34 01020304 48 4EA021B62388BDD4 812A B10D 520514 FF"
    assert respond(bytes.fromhex(asked)) == ("2.05", bytes.fromhex(head) + BODY[:512])


def test_golden_last_block(serve):
    """The last of three blocks, without Size2.

    The notes' second exchange shows Size2 here, against their own tables: Size2 goes with NUM 0 and
    where it was asked. The tables are the rule; the five bytes are the device's energy.
    """
    respond = serve({"p/4ea021b62388bdd4": BODY})
    asked = "44017D36 01020304 B170 0D03 34656130323162363233383862646434 C125"
    head = "64457D36 01020304 48 4EA021B62388BDD4 812A B125 FF"
    outcome, reply = respond(bytes.fromhex(asked))
    assert (outcome, reply) == ("2.05", bytes.fromhex(head) + BODY[1024:])
    assert len(BODY[1024:]) == 276


def test_golden_last_block_when_size2_is_asked(serve):
    """With `Size2: 0` in the request the second exchange is as the notes show it."""
    respond = serve({"p/4ea021b62388bdd4": BODY})
    asked = "44017D36 01020304 B170 0D03 34656130323162363233383862646434 C125 50"
    head = "64457D36 01020304 48 4EA021B62388BDD4 812A B125 520514 FF"
    assert respond(bytes.fromhex(asked)) == ("2.05", bytes.fromhex(head) + BODY[1024:])


# -- The body's parts --


@pytest.mark.parametrize("szx", range(7))
@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 511, 512, 513, 1023, 1024, 1025, 2048, 5000])
def test_blocks_put_together_are_the_body(serve, length, szx):
    """Section 2.2: every block but the last is full and has M; the last has 1 byte at least (or is all)."""
    body = bytes(i * 7 & 0xFF for i in range(length))
    respond = serve({"fw": body})
    size = 16 << szx
    count = max(1, -(-length // size))
    got = b""
    for num in range(count):
        answer = read(respond(request("fw", block2=(num, szx)))[1])
        assert answer.code == "2.05"
        assert answer.block2 == Block(num, num < count - 1, szx)
        assert len(answer.payload) == size or num == count - 1
        assert answer.payload or length == 0
        assert answer.size2 == (length if num == 0 else None)
        got += answer.payload
    assert got == body
    assert respond(request("fw", block2=(count, szx)))[0] == "4.00"


def test_empty_package_is_one_empty_block(serve):
    """Block2 0/0, Size2 0, and no marker, since no payload follows it."""
    respond = serve({"fw": b""})
    reply = respond(request("fw", block2=(0, 5)))[1]
    answer = read(reply)
    assert (answer.block2, answer.size2, answer.payload) == (Block(0, False, 5), 0, b"")
    assert not reply.endswith(b"\xff")
    assert read(respond(request("fw"))[1]).block2 is None
    assert diagnostic(respond(request("fw", block2=(1, 5)))) == ("4.00", "past the end")


def test_one_byte_package(serve):
    """One block, with or without Block2 in the request."""
    respond = serve({"fw": b"x"})
    answer = read(respond(request("fw", block2=(0, 0)))[1])
    assert (answer.block2, answer.size2, answer.payload) == (Block(0, False, 0), 1, b"x")
    answer = read(respond(request("fw"))[1])
    assert (answer.block2, answer.size2, answer.payload) == (None, 1, b"x")


@pytest.mark.parametrize("num", [2, 3, 1000, NUM_MAX])
def test_block_past_the_end(serve, num):
    """4.00 with a short diagnostic; a block that would begin exactly at the end is past it, too."""
    respond = serve({"fw": bytes(1024)})
    assert read(respond(request("fw", block2=(1, 5)))[1]).block2 == Block(1, False, 5)
    assert diagnostic(respond(request("fw", block2=(num, 5)))) == ("4.00", "past the end")


def test_block_beginning_with_the_last_byte(serve):
    """The last byte of a body has a block, and M is off."""
    respond = serve({"fw": bytes(1024) + b"z"})
    answer = read(respond(request("fw", block2=(64, 0)))[1])
    assert (answer.block2, answer.payload) == (Block(64, False, 0), b"z")


@pytest.mark.parametrize("more", [False, True])
def test_m_in_a_request_is_ignored(respond, more):
    """Section 2.2: M has no meaning there."""
    asked = request("fw", (BLOCK2, bytes([0x1D if more else 0x15])))
    assert read(respond(asked)[1]).block2 == Block(1, True, 5)


def test_leading_zeros_in_block2(respond):
    """RFC 7252 section 3.2: tolerated; the answer has the shortest form."""
    answer = read(respond(request("fw", (BLOCK2, b"\0\0\x15")))[1])
    assert (answer.block2, answer.payload) == (Block(1, True, 5), BODY[512:1024])


# -- Without Block2 in the request --


def test_first_get_without_block2_begins_a_transfer(respond):
    """Section 2.4, late negotiation: Block2 0/1 of the default size."""
    answer = read(respond(request("fw"))[1])
    assert (answer.block2, answer.size2) == (Block(0, True, 5), 1300)
    assert answer.payload == BODY[:512]


def test_late_negotiation_continues_smaller(respond):
    """Got 0/1/5, asks 4/0/3 next: NUM * size is the offset in any size."""
    answer = read(respond(request("fw", block2=(4, 3)))[1])
    assert (answer.block2, answer.payload) == (Block(4, True, 3), BODY[512:640])


@pytest.mark.parametrize(("length", "blockwise"), [(0, False), (511, False), (512, False), (513, True)])
def test_block2_without_being_asked_only_when_the_body_exceeds_a_block(serve, length, blockwise):
    """The table of answers: whenever the request had it, or one block does not do."""
    answer = read(serve({"fw": bytes(length)})(request("fw"))[1])
    assert answer.block2 == (Block(0, True, 5) if blockwise else None)
    assert answer.size2 == length


# -- Block sizes --


@pytest.mark.parametrize("asked", range(7))
@pytest.mark.parametrize("largest", range(7))
def test_larger_blocks_than_we_send_are_shrunk_at_the_same_offset(serve, asked, largest):
    """Section 2.3: the server may use a smaller size; it answers the offset, and never enlarges."""
    body = bytes(i >> 4 & 0xFF for i in range(8192))
    respond = serve({"fw": body}, largest_block=16 << largest)
    answer = read(respond(request("fw", block2=(3, asked)))[1])
    szx = min(asked, largest)
    offset = 3 * (16 << asked)
    assert answer.block2 == Block(offset >> (szx + 4), True, szx)
    assert answer.payload == body[offset : offset + (16 << szx)]


def test_shrinking_can_make_an_offset_unreachable(catalog):
    """NUM * 2 ** (SZX - SZX') may need more than 20 bits: 4.00, not some other block."""
    catalog.publish(b"fw", huge_package())
    respond = Responder(catalog, largest_block=512).respond
    answer = read(respond(request("fw", block2=(2**19 - 1, 6)))[1])
    assert answer.block2 == Block(NUM_MAX - 1, True, 5)
    assert diagnostic(respond(request("fw", block2=(2**19, 6)))) == ("4.00", "NUM too high")
    assert diagnostic(respond(request("fw", block2=(NUM_MAX, 6)))) == ("4.00", "NUM too high")


def test_szx_7_is_refused(respond):
    """Section 2.2: reserved; over UDP "it MUST NOT be sent and MUST lead to a 4.00"."""
    assert diagnostic(respond(request("fw", block2=(0, 7)))) == ("4.00", "SZX 7 is reserved")
    assert diagnostic(respond(request("fw", block2=(NUM_MAX, 7)))) == ("4.00", "SZX 7 is reserved")


@pytest.mark.parametrize("szx", range(7))
def test_smaller_blocks_than_we_offer_are_refused(serve, szx):
    """They would need more than 2**20 blocks; the device learns it at its first request."""
    respond = serve({"fw": BODY}, smallest_block=128)
    answered = respond(request("fw", block2=(0, szx)))
    if szx < 3:
        assert diagnostic(answered) == ("4.00", "block size too small")
    else:
        assert read(answered[1]).block2.szx == szx


@pytest.mark.parametrize(
    ("default", "largest", "szx"), [(512, 1024, 5), (1024, 1024, 6), (1024, 256, 4), (16, 1024, 0)]
)
def test_default_size_is_used_where_none_is_named(serve, default, largest, szx):
    """But never above the largest."""
    respond = serve({"fw": BODY}, default_block=default, largest_block=largest)
    answer = read(respond(request("fw"))[1])
    assert (answer.block2, len(answer.payload)) == (Block(0, True, szx), 16 << szx)
    assert read(respond(request("fw", block2=(0, 0)))[1]).block2 == Block(0, True, 0)


def test_default_size_is_never_below_the_smallest(serve):
    """What is sent by default is offered, too: raising the smallest block raises the default."""
    respond = serve({"fw": BODY}, smallest_block=1024)
    assert read(respond(request("fw"))[1]).block2 == Block(0, True, 6)


@pytest.mark.parametrize(
    "policy",
    [
        {"smallest_block": 8},
        {"largest_block": 2048},
        {"default_block": 500},
        {"default_block": 0},
        {"default_block": 4096},
        {"default_block": -512},
        {"smallest_block": 512, "largest_block": 256},
    ],
)
def test_impossible_sizes_are_refused(catalog, policy):
    """A power of two in 16..1024 each, and the smallest not above the largest."""
    with pytest.raises(ValueError, match="block"):
        Responder(catalog, **policy)


@pytest.mark.parametrize(("smallest", "limit"), [(16, 16 << 20), (64, 64 << 20), (1024, GIB)])
def test_size_of_a_package_is_bounded_by_the_smallest_block(catalog, smallest, limit):
    """Section 2.2: NUM has 20 bits. The message names the bound and the size that would do."""
    responder = Responder(catalog, smallest_block=smallest, default_block=1024)
    responder.check_size(0)
    responder.check_size(limit)
    with pytest.raises(
        PackageTooLargeError, match=rf"^{limit + 1} bytes are more than 2\*\*20 blocks"
    ) as caught:
        responder.check_size(limit + 1)
    wanted = f"no block below {2 * smallest} bytes" if limit < GIB else "the most that Block2 can carry"
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("length", "block"), [((16 << 20) + 1, 32), ((32 << 20) + 1, 64), ((512 << 20) + 1, 1024), (GIB, 1024)]
)
def test_message_names_the_smallest_block_that_would_do(catalog, length, block):
    """The operator sets it, and the package fits."""
    with pytest.raises(PackageTooLargeError, match=f"below {block} bytes"):
        Responder(catalog).check_size(length)
    Responder(catalog, smallest_block=block, default_block=1024).check_size(length)


# -- The largest bodies --


def huge_package(length=GIB):
    """As many bytes as Block2 can carry: address space, of which single pages are ever touched."""
    return Package(memoryview(mmap.mmap(-1, GIB))[:length], sha256=bytes(32), check_code=1)


def test_last_num_of_the_largest_body(catalog):
    """NUM 2**20 - 1 at 1024 bytes is the end of 1 GiB: nothing overflows on the way, and M is off."""
    catalog.publish(b"fw", huge_package())
    respond = Responder(catalog).respond
    answer = read(respond(request("fw", (SIZE2, b""), block2=(NUM_MAX, 6)))[1])
    assert (answer.block2, answer.size2) == (Block(NUM_MAX, False, 6), GIB)
    assert answer.payload == bytes(1024)
    assert read(respond(request("fw", block2=(NUM_MAX, 0)))[1]).block2 == Block(NUM_MAX, True, 0)
    assert read(respond(request("fw", block2=(NUM_MAX - 1, 6)))[1]).block2 == Block(NUM_MAX - 1, True, 6)


def test_last_byte_of_a_body_one_block_shorter_than_the_largest(catalog):
    """1 GiB - 1023 ends with a block of one byte."""
    catalog.publish(b"fw", huge_package(GIB - 1023))
    respond = Responder(catalog).respond
    answer = read(respond(request("fw", block2=(NUM_MAX, 6)))[1])
    assert (answer.block2, len(answer.payload)) == (Block(NUM_MAX, False, 6), 1)


def test_larger_body_than_block2_can_carry_is_no_package():
    """Section 2.2: 2**20 blocks of 1024 bytes are the end."""
    with pytest.raises(PackageTooLargeError, match="more than 2"):
        Package(mmap.mmap(-1, GIB + 1), sha256=bytes(32), check_code=1)


# -- What stands beside a block --


@pytest.mark.parametrize("szx", range(7))
def test_identity_is_on_every_block(respond, szx):
    """RFC 7959 section 2.4: the ETag is the same on all blocks; ours is the PID."""
    for num in range(-(-1300 // (16 << szx))):
        answer = read(respond(request("fw", block2=(num, szx)))[1])
        assert (answer.etag, answer.content_format) == (PID, 42)


@pytest.mark.parametrize(
    ("content_format", "value"), [(0, b""), (40, b"\x28"), (256, b"\1\0"), (65535, b"\xff\xff")]
)
@pytest.mark.parametrize("num", [0, 1])
def test_content_format_of_every_length(serve, content_format, value, num):
    """RFC 7252 section 5.10.3: a uint option of 0 to 2 bytes, shortest form; what follows stays in place."""
    respond = serve({"fw": BODY}, content_format=content_format)
    reply = respond(request("fw", (SIZE2, b""), block2=(num, 4)))[1]
    answer = read(reply)
    assert answer.numbers == (ETAG, CONTENT_FORMAT, BLOCK2, SIZE2)
    assert answer.content_format == content_format
    assert reply[8 + 9 :].startswith(bytes([0x80 | len(value)]) + value)
    assert (answer.block2, answer.size2) == (Block(num, True, 4), 1300)


@pytest.mark.parametrize(
    ("num", "value", "size2"),
    [
        (0, None, 1300),
        (0, b"", 1300),
        (1, None, None),
        (1, b"", 1300),
        (1, b"\0\0\0\0", 1300),
        (2, b"\x05\x14", 1300),
    ],
)
def test_size2_with_num_0_and_where_it_is_asked(respond, num, value, size2):
    """RFC 7959 section 4: the value in a request is 0; another one asks just the same."""
    options = () if value is None else ((SIZE2, value),)
    assert read(respond(request("fw", *options, block2=(num, 5)))[1]).size2 == size2


def test_size2_of_wrong_length_was_not_asked(respond):
    """Five bytes: an elective option that counts as unknown is skipped (RFC 7252 section 5.4.3)."""
    assert read(respond(request("fw", (SIZE2, bytes(5)), block2=(1, 5)))[1]).size2 is None


def test_size2_asked_twice_is_answered_once(respond):
    """The second one is skipped (RFC 7252 section 5.4.5)."""
    answer = read(respond(request("fw", (SIZE2, b""), (SIZE2, b""), block2=(1, 5)))[1])
    assert answer.numbers == (ETAG, CONTENT_FORMAT, BLOCK2, SIZE2)


@pytest.mark.parametrize(("type", "answered"), [(CON, 2), (NON, 1)])
@pytest.mark.parametrize("message_id", [0, 1, 0x00FF, 0xFF00, 0xFFFF])
def test_confirmable_is_answered_in_its_ack_and_non_confirmable_by_one(respond, type, answered, message_id):
    """RFC 7252 section 5.2: piggybacked, or a NON.

    The NON takes the request's message id: it makes a repeated request's answers equal, for which a device
    and its server would otherwise need memory.
    """
    for token in (b"", b"\x01", bytes(8)):
        answer = read(respond(request("fw", type=type, message_id=message_id, token=token))[1])
        assert (answer.type, answer.message_id, answer.token) == (answered, message_id, token)


@pytest.mark.parametrize("length", [0, 1, 8, 9, 12, 13, 14, 63, 64])
@pytest.mark.parametrize("block2", [None, (0, 6), (1, 6)])
def test_token_of_every_length_comes_back(respond, length, block2):
    """RFC 8974: extended tokens up to 64 bytes, the longest head we ever write among them."""
    token = bytes(range(1, length + 1))
    answer = read(respond(request("fw", (SIZE2, b""), block2=block2, token=token))[1])
    assert (answer.token, answer.size2) == (token, 1300)
    assert answer.payload == (BODY[:512] if block2 is None else BODY[1024 * block2[0] :][:1024])
