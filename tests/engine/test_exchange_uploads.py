"""Bodies that devices send by Block1, e.g. a long Register (T37): RFC 7959 section 2.5."""

from __future__ import annotations

import pytest

from datagrams import REQUEST_TAG
from headgate.engine.bounds import Bounds
from headgate.engine.events import RequestReceived

BODY = bytes(range(256)) * 2


def block(script, num, szx=2, body=BODY, **more):
    """The device sends one block of the body."""
    size = 16 << szx
    part = body[num * size : (num + 1) * size]
    is_last = (num + 1) * size >= len(body)
    script.device("CON POST", more.pop("path", "rd"), block1=(num, not is_last, szx), payload=part, **more)
    return script


def test_register_by_block1(script):
    """2.31 for each block but the last; the request is told once, whole; its answer names the last block."""
    for num in range(7):
        block(script, num).server("ACK 2.31", block1=(num, True, 2), payload=b"")
    block(script, 7).tells(RequestReceived, payload=BODY, code="POST")
    assert 27 not in dict(script.event.message.options)
    script.respond("2.01", more=((8, b"rd"),)).server("ACK 2.01", block1=(7, False, 2))
    script.again().server("ACK 2.01", block1=(7, False, 2))
    assert script.exchange.sizes()["uploads"] == script.exchange.sizes()["upload bytes"] == 0


def test_body_of_one_block(script):
    """NUM 0 without M: nothing to wait for."""
    script.device("CON POST", "rd", block1=(0, False, 6), payload=b"</>").tells(
        RequestReceived, payload=b"</>"
    )
    script.respond("2.01").server("ACK 2.01", block1=(0, False, 6))


def test_empty_body(script):
    """Has one block, and it is empty."""
    script.device("CON POST", "rd", block1=(0, False, 6)).tells(RequestReceived, payload=b"")
    script.respond("2.01").server("ACK 2.01")


def test_copy_of_a_block(script):
    """Answered as the first, and added once."""
    block(script, 0).server("ACK 2.31").again().server("ACK 2.31")
    for num in range(1, 7):
        block(script, num).server("ACK 2.31").again().server("ACK 2.31")
    block(script, 7).tells(RequestReceived, payload=BODY).again().quiet()
    script.respond("2.04").server("ACK 2.04")


def test_block_again_under_another_id(script):
    """The device gave up waiting for 2.31 and asks anew: its block is there, and that is good."""
    block(script, 0).server("ACK 2.31")
    block(script, 1).server("ACK 2.31")
    block(script, 1).server("ACK 2.31", block1=(1, True, 2))
    for num in range(2, 7):
        block(script, num).server("ACK 2.31")
    block(script, 7).tells(RequestReceived, payload=BODY).respond("2.04").server("ACK 2.04")


@pytest.mark.parametrize("num", [0, 3, 7])
def test_gap_is_incomplete(script, num):
    """4.08 for a block that does not follow; what is there stays, and may be continued: section 2.9.2."""
    block(script, 0).server("ACK 2.31")
    block(script, 1).server("ACK 2.31")
    if num:
        block(script, num).server("ACK 4.08", block1=(num, num < 7, 2))
    else:
        block(script, 0, body=bytes(512)).server("ACK 2.31")
        block(script, 2).server("ACK 4.08")
    assert script.exchange.sizes()["uploads"] == 1


def test_changed_block_is_incomplete(script):
    """The block before, with other bytes, is not a repetition."""
    block(script, 0).server("ACK 2.31")
    block(script, 1).server("ACK 2.31")
    block(script, 1, body=bytes(512)).server("ACK 4.08")


def test_block_without_a_beginning(script):
    """After our restart, or after the body was dropped: 4.08, and the device begins again."""
    block(script, 4).server("ACK 4.08")
    block(script, 7).server("ACK 4.08")


def test_num_0_begins_anew(script):
    """And replaces what was there."""
    other = bytes(512)
    for num in range(3):
        block(script, num, body=other).server("ACK 2.31")
    for num in range(7):
        block(script, num).server("ACK 2.31")
    block(script, 7).tells(RequestReceived, payload=BODY).respond("2.04").server("ACK 2.04")


def test_block_size_may_fall(script):
    """Offsets count, not numbers (T12)."""
    block(script, 0, szx=4).server("ACK 2.31", block1=(0, True, 4))
    for num in range(16, 31):
        block(script, num, szx=0).server("ACK 2.31")
    block(script, 31, szx=0).tells(RequestReceived, payload=BODY).respond("2.04").server("ACK 2.04")


def test_malformed_blocks(script):
    """4.00: SZX 7; a payload shorter than a block that is not the last, or longer than any."""
    script.device("CON POST", "rd", block1=(0, True, 7), payload=bytes(1024)).server("ACK 4.00")
    script.device("CON POST", "rd", block1=(0, True, 0), payload=bytes(15)).server("ACK 4.00")
    script.device("CON POST", "rd", block1=(0, True, 0), payload=bytes(17)).server("ACK 4.00")
    script.device("CON POST", "rd", block1=(0, False, 0), payload=bytes(17)).server("ACK 4.00")
    assert script.exchange.sizes()["uploads"] == 0


def test_interleaved_bodies(script):
    """Known by endpoint, method, path and Request-Tag: RFC 9175 section 3."""
    kinds = [
        {},
        {"remote": "10.0.0.2:1"},
        {"path": "dp"},
        {"more": ((REQUEST_TAG, b"a"),)},
        {"more": ((REQUEST_TAG, b"b"),)},
    ]
    bodies = [bytes([number]) * 48 for number in range(len(kinds))]
    for num in range(2):
        for kind, body in zip(kinds, bodies, strict=True):
            block(script, num, szx=0, body=body, **kind).server("ACK 2.31", remote=kind.get("remote"))
    for kind, body in zip(kinds, bodies, strict=True):
        block(script, 2, szx=0, body=body, **kind).tells(RequestReceived, payload=body)
        script.respond("2.04").server("ACK 2.04", remote=kind.get("remote"))


def test_another_method_is_another_body(script):
    """A PUT does not continue a POST."""
    block(script, 0).server("ACK 2.31")
    script.device("CON PUT", "rd", block1=(1, True, 2), payload=bytes(64)).server("ACK 4.08")


def test_non_blocks(script):
    """Answered by NONs."""
    script.device("NON POST", "rd", block1=(0, True, 0), payload=bytes(16)).server("NON 2.31")
    script.device("NON POST", "rd", block1=(1, False, 0), payload=b"x").tells(RequestReceived)
    script.respond("2.04").server("NON 2.04", block1=(1, False, 0))


def test_body_too_large(make_script):
    """4.13 with Size1, at the block that passes the bound or as soon as Size1 announces it: section 2.9.3."""
    script = make_script(bounds=Bounds(upload_bytes_max=128))
    block(script, 0, size1=129).server("ACK 4.13", size1=128)
    block(script, 0, size1=128).server("ACK 2.31")
    block(script, 1).server("ACK 2.31")
    block(script, 2).server("ACK 4.13", size1=128, block1=(2, True, 2))
    assert script.exchange.sizes()["uploads"] == 0
    block(script, 3).server("ACK 4.08")


def test_block_too_large(make_script):
    """4.13 with the SZX that is taken: section 2.9.3."""
    script = make_script(bounds=Bounds(upload_szx_max=4))
    block(script, 0, szx=5, body=bytes(1000)).server("ACK 4.13", block1=(0, True, 4))
    block(script, 0, szx=4, body=bytes(1000)).server("ACK 2.31", block1=(0, True, 4))


def test_abandoned_bodies_are_dropped(make_script):
    """When the next block does not come in time; with a few blocks of others, so that none takes long."""
    script = make_script(bounds=Bounds(upload_s=100.0))
    block(script, 0).server("ACK 2.31").clock(99.0)
    block(script, 1).server("ACK 2.31").clock(100.0)
    block(script, 2).server("ACK 4.08")
    block(script, 0, remote="b").server("ACK 2.31", remote="b")
    assert script.exchange.sizes()["uploads"] == 1
    script.counts(upload_abandoned=1)


def test_an_abandoned_body_is_not_continued(make_script):
    """Even when there are too many to be cleared away at once."""
    script = make_script(bounds=Bounds(upload_s=100.0))
    for number in range(10):
        block(script, 0, remote=number).server("ACK 2.31", remote=number)
    script.clock(100.0)
    block(script, 1, remote=9).server("ACK 4.08", remote=9)
    assert script.exchange.sizes()["uploads"] == 6


def test_a_body_that_grows_is_kept(make_script):
    """Before those that nothing came for since."""
    script = make_script(bounds=Bounds(uploads_max=2))
    for remote, num in ((1, 0), (2, 0), (1, 1), (3, 0), (1, 2)):
        block(script, num, remote=remote).server("ACK 2.31", remote=remote)
    block(script, 1, remote=2).server("ACK 4.08", remote=2)


@pytest.mark.parametrize(
    ("bounds", "kept"),
    [(Bounds(uploads_max=3), 3), (Bounds(uploads_bytes_max=64 * 4 + 1, upload_bytes_max=128), 4)],
)
def test_bodies_are_bounded(make_script, bounds, kept):
    """In number and in bytes: the one untouched longest makes room, and is counted."""
    script = make_script(bounds=bounds)
    for number in range(10):
        block(script, 0, remote=number).server("ACK 2.31", remote=number)
    assert script.exchange.sizes()["uploads"] == kept
    assert script.exchange.sizes()["upload bytes"] == kept * 64
    script.counts(upload_dropped_early=10 - kept)
    block(script, 1, remote=0).server("ACK 4.08", remote=0)
    block(script, 1, remote=9).server("ACK 2.31", remote=9)
