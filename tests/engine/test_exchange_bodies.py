"""Bodies between us and devices, block by block: RFC 7959 sections 2.4 to 2.9; traps T9 and T12."""

from __future__ import annotations

import pytest

from headgate.engine.bounds import Bounds
from headgate.engine.events import (
    Cause,
    NotificationLost,
    NotificationReceived,
    RequestAcknowledged,
    RequestFailed,
    ResponseReceived,
)

BODY = bytes(range(250)) * 2


def part(num, szx=3, body=BODY):
    """(payload, Block2) of one block of a body."""
    size = 16 << szx
    return body[num * size : (num + 1) * size], (num, (num + 1) * size < len(body), szx)


def answer(script, num, szx=3, body=BODY, line="ACK 2.05", **more):
    """The device answers by one block of a body."""
    payload, block2 = part(num, szx, body)
    return script.device(line, payload=payload, block2=block2, **more)


# -- Block2: responses of devices --


def test_response_in_blocks(script):
    """A read of object 4 by a device with 128-byte blocks: the rest by plain GETs, told once, whole."""
    script.request("GET", "4/0", more=((17, b"\x2d\x16"),)).server("CON GET", "4/0", block2=None)
    tokens = {script.said("token")}
    answer(script, 0, etag=b"e", more=((12, b"\x2d\x16"), (28, b"\x01\xf4")))
    for num in range(1, 4):
        script.server("CON GET", "4/0", block2=(num, False, 3))
        assert (17, b"\x2d\x16") in script.last.message.options
        tokens.add(script.said("token"))
        answer(script, num, etag=b"e")
    script.tells(ResponseReceived, payload=BODY, code="2.05", token=script.token, handle=None)
    assert script.event.message.options == ((4, b"e"), (12, b"\x2d\x16"))
    assert len(tokens) == 4
    assert script.exchange.sizes()["tokens"] == script.exchange.sizes()["body bytes"] == 0


def test_one_block_is_whole(script):
    """Block2 without M."""
    script.request("GET", "4/0").server("CON GET").device("ACK 2.05", block2=(0, False, 6), payload=b"x")
    script.tells(ResponseReceived, payload=b"x")


def test_caller_picks_the_block_size(script):
    """Early negotiation: Block2 in the first request, as an option like any other: section 2.4."""
    script.request("GET", "4/0", block2=(0, False, 1)).server("CON GET", block2=(0, False, 1))
    answer(script, 0, 1, BODY[:40]).server("CON GET", block2=(1, False, 1))
    answer(script, 1, 1, BODY[:40]).tells(ResponseReceived, payload=BODY[:40])


def test_caller_picks_one_block(script):
    """With a NUM above 0, it wants that block alone."""
    script.request("GET", "4/0", block2=(2, False, 3)).server("CON GET", block2=(2, False, 3))
    answer(script, 2).tells(ResponseReceived, payload=BODY[256:384])
    assert 23 in dict(script.event.message.options)


def test_t12_block_size_changes(script):
    """T12: first 256, then 64 bytes: the offset counts."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, 4).server("CON GET", block2=(1, False, 4))
    for num in range(4, 7):
        answer(script, num, 2).server("CON GET", block2=(num + 1, False, 2))
    answer(script, 7, 2).tells(ResponseReceived, payload=BODY)


def test_other_requests_wait_for_the_body(script):
    """The next block takes its turn before them, so that the body stays of one moment."""
    script.request("GET", "4/0").server("CON GET", "4/0").request("GET", "5/0")
    answer(script, 0, 4).server("CON GET", "4/0", block2=(1, False, 4))
    answer(script, 1, 4).tells(ResponseReceived).server("CON GET", "5/0")


def test_separate_blocks(script):
    """Each block by a CON of its own; acknowledged without the caller, for the next GET says the same."""
    script.request("GET", "4/0", acknowledge_now=False).server("CON GET").device("ACK").tells(
        RequestAcknowledged
    )
    answer(script, 0, 4, line="CON 2.05").server("ACK").server("CON GET", block2=(1, False, 4))
    script.device("ACK").quiet()
    answer(script, 1, 4, line="CON 2.05").tells(ResponseReceived, payload=BODY).quiet()
    script.acknowledge().server("ACK")


def test_turn_of_a_block_when_another_is_outstanding(script):
    """The request was acknowledged, so another took its turn; the block waits, then goes first."""
    script.request("GET", "4/0").server("CON GET", "4/0")
    token = script.said("token")
    script.device("ACK").tells(RequestAcknowledged)
    script.request("GET", "5/0").server("CON GET", "5/0").request("GET", "6/0")
    answer(script, 0, 4, line="CON 2.05", token=token).server("ACK").quiet()
    script.device("ACK 2.05", payload=b"five").tells(ResponseReceived, payload=b"five")
    script.server("CON GET", "4/0", block2=(1, False, 4))
    answer(script, 1, 4).tells(ResponseReceived, payload=BODY).server("CON GET", "6/0")


def test_blocks_follow_the_device(script):
    """The next GET goes to where the last block came from."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, 4, remote="new").server("CON GET", remote="new", block2=(1, False, 4))
    answer(script, 1, 4, remote="new").tells(ResponseReceived, payload=BODY, remote="new")


def test_changed_body_is_fetched_anew_once(script):
    """The ETag changes: from the beginning; when it changes again, the request has failed."""
    new = b"new" * 100
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, etag=b"1").server("CON GET", block2=(1, False, 3))
    answer(script, 1, etag=b"2", body=new).server("CON GET", block2=(0, False, 3))
    answer(script, 0, etag=b"2", body=new).server("CON GET", block2=(1, False, 3))
    answer(script, 1, etag=b"2", body=new).server("CON GET", block2=(2, False, 3))
    answer(script, 2, etag=b"2", body=new).tells(ResponseReceived, payload=new)
    assert script.event.message.options == ((4, b"2"),)

    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, etag=b"1").server("CON GET")
    answer(script, 1, etag=b"2").server("CON GET", block2=(0, False, 3))
    answer(script, 0, etag=b"2").server("CON GET")
    answer(script, 1, etag=b"3").tells(RequestFailed, cause=Cause.BODY_CHANGED)
    assert script.exchange.sizes()["body bytes"] == 0


def test_body_that_shrank_to_one_block(script):
    """Fetched anew, it may come without Block2."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, etag=b"1").server("CON GET")
    answer(script, 1, etag=b"2").server("CON GET", block2=(0, False, 3))
    script.device("ACK 2.05", etag=b"2", payload=b"short").tells(ResponseReceived, payload=b"short")


def test_missing_etags_are_no_change(script):
    """Compared when both are there."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, 4, etag=b"1").server("CON GET")
    answer(script, 1, 4).tells(ResponseReceived, payload=BODY)


def test_t9_device_answers_block_0(script):
    """T9: it starts over by itself. Once it is believed."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0).server("CON GET", block2=(1, False, 3))
    answer(script, 0).server("CON GET", block2=(1, False, 3))
    answer(script, 1).server("CON GET", block2=(2, False, 3))
    answer(script, 0).tells(RequestFailed, cause=Cause.BAD_BLOCK)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("another block", {"payload": bytes(128), "block2": (2, True, 3)}),
        ("a short block", {"payload": bytes(100), "block2": (1, True, 3)}),
        ("a long block", {"payload": bytes(200), "block2": (1, False, 3)}),
        ("a reserved size", {"payload": bytes(128), "block2": (1, True, 7)}),
        ("no block", {"payload": bytes(128)}),
    ],
)
def test_wrong_blocks(script, name, said):
    """The request has failed, and nothing more is asked."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0).server("CON GET").device("ACK 2.05", **said).tells(RequestFailed, cause=Cause.BAD_BLOCK)
    assert script.exchange.sizes()["body bytes"] == 0
    script.clock(100.0).quiet()


@pytest.mark.parametrize("block2", [(1, True, 3), (0, True, 7)])
def test_wrong_first_blocks(script, block2):
    """Likewise."""
    script.request("GET", "4/0").server("CON GET").device("ACK 2.05", payload=bytes(128), block2=block2)
    script.tells(RequestFailed, cause=Cause.BAD_BLOCK)


def test_later_block_is_refused(script):
    """An error is the response."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0).server("CON GET").device("ACK 4.04", payload=b"gone")
    script.tells(ResponseReceived, code="4.04", payload=b"gone", token=script.token)


def test_t25_late_block_continues_the_body(script):
    """The request has failed; what was fetched is kept until `forget`, so a late block is not in vain."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, 4).server("CON GET", block2=(1, False, 4)).clock(93.0)
    for _ in range(4):
        script.server_repeats()
    script.tells(RequestFailed, cause=Cause.TIMEOUT, token=script.token).clock(200.0)
    answer(script, 1, 4).tells(ResponseReceived, payload=BODY, late=True)
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, 4).server("CON GET").forget().clock(100.0).quiet()
    assert script.exchange.sizes()["body bytes"] == script.exchange.sizes()["tokens"] == 0


def test_late_copy_of_an_earlier_block(script):
    """Each block has a token and an id of its own: it is not taken for the next."""
    script.request("GET", "4/0").server("CON GET").device("ACK").tells(RequestAcknowledged)
    answer(script, 0, line="CON 2.05").server("ACK").server("CON GET", block2=(1, False, 3))
    answer(script, 0, line="CON 2.05", token=script.token).server("ACK").counts(response_repeated=1)
    answer(script, 1).server("CON GET", block2=(2, False, 3))


def test_bodies_of_responses_are_bounded(make_script):
    """Each, and all together."""
    script = make_script(bounds=Bounds(body_bytes_max=256, bodies_bytes_max=300))
    script.request("GET", "4/0", device=1).server("CON GET")
    answer(script, 0).server("CON GET")
    answer(script, 1).server("CON GET")
    first = script.asked
    script.request("GET", "4/0", device=2).server("CON GET")
    answer(script, 0).tells(RequestFailed, cause=Cause.LIMIT)
    script.asked = first
    answer(script, 2).tells(RequestFailed, cause=Cause.BODY_TOO_LARGE)
    assert script.exchange.sizes()["body bytes"] == 0


def test_fetch_repeats_its_payload(script):
    """RFC 8132 section 2.2; other methods do not: RFC 7959 section 3.3."""
    script.request("FETCH", "", payload=b"what").server("CON FETCH")
    answer(script, 0, 4).server("CON FETCH", payload=b"what", block2=(1, False, 4))
    answer(script, 1, 4).tells(ResponseReceived, payload=BODY)
    script.request("POST", "5/0", payload=b"what").server("CON POST", payload=b"what")
    answer(script, 0, 4, line="ACK 2.04").server("CON POST", payload=b"", block2=(1, False, 4))
    answer(script, 1, 4, line="ACK 2.04").tells(ResponseReceived, payload=BODY)


# -- Block1: requests of ours --


def test_request_in_blocks(script):
    """Of the size that the device takes; Size1 with the first: section 2.5."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=128)
    for num in range(3):
        payload, block1 = part(num)
        size1 = 500 if num == 0 else None
        script.server("CON PUT", "5/0/0", payload=payload, block1=block1, size1=size1)
        script.device("ACK 2.31", block1=block1)
    script.server("CON PUT", "5/0/0", payload=BODY[384:], block1=(3, False, 3))
    script.device("ACK 2.04", block1=(3, False, 3)).tells(ResponseReceived, code="2.04", token=script.token)
    assert script.exchange.sizes()["tokens"] == 0


def test_request_that_fits_has_no_blocks(script):
    """512 bytes by default, or what the caller says."""
    script.request("PUT", "5/0/1", payload=bytes(512)).server("CON PUT", block1=None, payload=bytes(512))
    script.device("ACK 2.04").tells(ResponseReceived)
    script.request("PUT", "5/0/1", payload=bytes(513), block_size=1024).server("CON PUT", block1=None)
    script.device("ACK 2.04").tells(ResponseReceived)
    script.request("PUT", "5/0/1", payload=bytes(513)).server("CON PUT", block1=(0, True, 5))


def test_device_wants_smaller_blocks_from_now_on(script):
    """Said in a 2.31: the offset stays: section 2.5."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT", block1=(0, True, 4))
    script.device("ACK 2.31", block1=(0, True, 2)).server(
        "CON PUT", block1=(4, True, 2), payload=BODY[256:320]
    )
    script.device("ACK 2.31", block1=(4, True, 6)).server("CON PUT", block1=(5, True, 2))


def test_device_wants_smaller_blocks_at_all(script):
    """Said in a 4.13: from the beginning: section 2.9.3. Also when it was sent whole."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT", block1=(0, True, 4))
    script.device("ACK 4.13", block1=(0, True, 3)).server("CON PUT", block1=(0, True, 3), payload=BODY[:128])
    script.device("RST").tells(RequestFailed).forget()
    script.request("PUT", "5/0/0", payload=BODY).server("CON PUT", block1=None)
    script.device("ACK 4.13", block1=(0, False, 4)).server("CON PUT", block1=(0, True, 4), size1=500)
    script.device("ACK 4.13", block1=(0, True, 4)).tells(ResponseReceived, code="4.13")


def test_too_large_without_a_hint(script):
    """There is nothing to try."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT")
    script.device("ACK 4.13", size1=100).tells(ResponseReceived, code="4.13")
    script.request("PUT", "5/0/0", payload=b"tiny").server("CON PUT")
    script.device("ACK 4.13", block1=(0, False, 0)).tells(ResponseReceived, code="4.13")


def test_device_lost_the_beginning(script):
    """4.08: from the beginning, once."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT", block1=(0, True, 4))
    script.device("ACK 2.31", block1=(0, True, 4)).server("CON PUT", block1=(1, False, 4))
    script.device("ACK 4.08", block1=(1, False, 4)).server("CON PUT", block1=(0, True, 4))
    script.device("ACK 2.31", block1=(0, True, 4)).server("CON PUT", block1=(1, False, 4))
    script.device("ACK 4.08").tells(ResponseReceived, code="4.08")


def test_device_refuses_in_the_middle(script):
    """An error is the response."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT")
    script.device("ACK 4.05").tells(ResponseReceived, code="4.05")


@pytest.mark.parametrize("said", [{}, {"block1": (1, True, 4)}, {"block1": (0, True, 7)}])
def test_success_that_is_none(script, said):
    """A device that takes the first block for the whole must not pass for one that has the body."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT")
    script.device("ACK 2.04", **said).tells(RequestFailed, cause=Cause.BAD_BLOCK)


def test_continue_after_the_last_block(script):
    """There is nothing to continue with."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT")
    script.device("ACK 2.31", block1=(0, True, 4)).server("CON PUT")
    script.device("ACK 2.31", block1=(1, True, 4)).tells(RequestFailed, cause=Cause.BAD_BLOCK)


def test_separate_responses_to_blocks(script):
    """That the device has the request is told when it has all of it."""
    script.request("PUT", "5/0/0", payload=BODY, block_size=256).server("CON PUT").device("ACK").quiet()
    script.device("CON 2.31", block1=(0, True, 4)).server("ACK").server("CON PUT", block1=(1, False, 4))
    script.device("ACK").tells(RequestAcknowledged, token=script.token)
    script.device("CON 2.04", block1=(1, False, 4)).server("ACK").tells(ResponseReceived)


def test_body_in_blocks_both_ways(script):
    """Section 3.3: the blocks of the response follow those of the request."""
    script.request("POST", "5/0", payload=BODY, block_size=256).server("CON POST", block1=(0, True, 4))
    script.device("ACK 2.31", block1=(0, True, 4)).server("CON POST", block1=(1, False, 4))
    answer(script, 0, 4, line="ACK 2.04", block1=(1, False, 4))
    script.server("CON POST", block1=None, block2=(1, False, 4), payload=b"")
    answer(script, 1, 4, line="ACK 2.04").tells(ResponseReceived, payload=BODY)


# -- notifications --


@pytest.fixture
def observed(script):
    """4/0 of the device is observed."""
    script.request("GET", "4/0", observe=0, more=((17, b"\x00"),)).server("CON GET", observe=0)
    script.device("ACK 2.05", observe=1).tells(ResponseReceived, observe=1)
    return script


def test_notification_in_blocks(observed):
    """The rest by plain GETs, under other tokens: section 2.6. Its first block is acknowledged at once."""
    answer(observed, 0, 4, line="CON 2.05", observe=2, etag=b"e").server("ACK")
    observed.server("CON GET", "4/0", observe=None, block2=(1, False, 4))
    assert observed.said("token") != observed.token
    assert (17, b"\x00") in observed.last.message.options
    answer(observed, 1, 4, etag=b"e")
    observed.tells(NotificationReceived, token=observed.token, observe=2, payload=BODY, handle=None)
    assert observed.event.message.token == observed.token
    assert observed.exchange.sizes()["tokens"] == 1
    assert observed.exchange.sizes()["body bytes"] == 0


def test_notification_of_one_block(observed):
    """Is whole; the caller acknowledges it."""
    observed.device("CON 2.05", observe=2, block2=(0, False, 6), payload=b"x")
    observed.tells(NotificationReceived, payload=b"x").acknowledge().server("ACK")


def test_response_to_observe_in_blocks(script):
    """The order is that of its first block; notifications follow."""
    script.request("GET", "4/0", observe=0).server("CON GET")
    answer(script, 0, 4, observe=5).server("CON GET", observe=None, block2=(1, False, 4))
    answer(script, 1, 4).tells(ResponseReceived, observe=5, payload=BODY, token=script.token)
    script.device("NON 2.05", observe=6, token=script.token).tells(NotificationReceived, observe=6)


def test_newer_notification_takes_the_place_of_an_older(observed):
    """What was being fetched is not the newest state: section 3.4."""
    answer(observed, 0, 4, line="CON 2.05", observe=2, token=observed.token).server("ACK").server("CON GET")
    other = bytes(300)
    answer(observed, 0, 4, other, line="CON 2.05", observe=3, token=observed.token).server("ACK")
    observed.server("CON GET", block2=(1, False, 4)).counts(notification_superseded=1)
    answer(observed, 1, 4, other).tells(NotificationReceived, observe=3, payload=other)
    answer(observed, 0, 4, line="NON 2.05", observe=4, token=observed.token).server("CON GET")
    observed.device("NON 2.05", observe=5, token=observed.token, payload=b"small")
    observed.tells(NotificationReceived, observe=5, payload=b"small").clock(100.0).quiet()
    assert observed.exchange.sizes()["tokens"] == 1
    assert observed.exchange.sizes()["body bytes"] == 0


def test_notification_while_the_response_is_fetched(script):
    """It is newer, so it is the response."""
    script.request("GET", "4/0", observe=0).server("CON GET")
    answer(script, 0, 4, observe=5).server("CON GET", block2=(1, False, 4))
    script.device("CON 2.05", observe=6, token=script.token, payload=b"newer")
    script.tells(ResponseReceived, observe=6, payload=b"newer").acknowledge().server("ACK").clock(
        100.0
    ).quiet()
    assert script.exchange.sizes()["tokens"] == 1


def test_notification_while_a_block_of_the_response_waits(script):
    """Likewise; the block that waited for its turn is not asked for any more."""
    script.request("GET", "4/0", observe=0).server("CON GET")
    token = script.token
    script.device("ACK").tells(RequestAcknowledged)
    script.request("GET", "5/0").server("CON GET", "5/0")
    answer(script, 0, 4, line="CON 2.05", observe=5, token=token).server("ACK").quiet()
    script.device("CON 2.05", observe=6, token=token, payload=b"newer")
    script.tells(ResponseReceived, observe=6, token=token).acknowledge().server("ACK")
    script.device("ACK 2.05").tells(ResponseReceived).clock(100.0).quiet()
    script.device("NON 2.05", observe=7, token=token).tells(NotificationReceived)


def test_only_the_first_token_is_the_callers(script):
    """Those of later blocks are none of its business."""
    script.request("GET", "4/0").server("CON GET")
    answer(script, 0, 4).server("CON GET").forget(script.said("token"))
    answer(script, 1, 4).tells(ResponseReceived, payload=BODY)


def test_forgetting_a_request_whose_block_waits(script):
    """It is not asked for."""
    script.request("GET", "4/0").server("CON GET")
    token = script.token
    script.device("ACK").tells(RequestAcknowledged)
    script.request("GET", "5/0").server("CON GET", "5/0")
    answer(script, 0, 4, line="CON 2.05", token=token).server("ACK").forget(token)
    script.device("ACK 2.05").tells(ResponseReceived).clock(100.0).quiet()
    assert script.exchange.sizes()["tokens"] == script.exchange.sizes()["body bytes"] == 0


@pytest.mark.parametrize(
    ("line", "said", "cause"),
    [
        ("ACK 4.04", {}, Cause.REFUSED),
        ("ACK 2.05", {"payload": b"x"}, Cause.BAD_BLOCK),
        ("ACK 2.05", {"more": ((2049, b""),)}, Cause.BAD_OPTION),
        ("RST", {}, Cause.RESET),
    ],
)
def test_rest_of_a_notification_cannot_be_had(observed, line, said, cause):
    """Told; the observation goes on."""
    answer(observed, 0, 4, line="CON 2.05", observe=2).server("ACK").server("CON GET")
    observed.device(line, **said).tells(NotificationLost, token=observed.token, cause=cause)
    observed.device("NON 2.05", observe=3, token=observed.token).tells(NotificationReceived)
    assert observed.exchange.sizes()["tokens"] == 1
    assert observed.exchange.sizes()["body bytes"] == 0


def test_rest_of_a_notification_does_not_come(observed):
    """Its GET times out."""
    answer(observed, 0, 4, line="CON 2.05", observe=2).server("ACK").server("CON GET")
    for _ in range(4):
        observed.until_due().server_repeats()
    observed.until_due().tells(NotificationLost, cause=Cause.TIMEOUT)
    assert observed.exchange.sizes()["tokens"] == 1


def test_first_block_of_a_notification_is_wrong(observed):
    """Acknowledged, and lost."""
    observed.device("CON 2.05", observe=2, block2=(0, True, 4), payload=b"short").server("ACK")
    observed.tells(NotificationLost, cause=Cause.BAD_BLOCK)
    observed.device("CON 2.05", observe=2, block2=(0, True, 7), payload=bytes(16), token=observed.token)
    observed.server("ACK").tells(NotificationLost, cause=Cause.BAD_BLOCK)


def test_forgetting_an_observation_ends_its_fetch(observed):
    """Nothing more is asked."""
    answer(observed, 0, 4, line="CON 2.05", observe=2).server("ACK").server("CON GET")
    observed.forget().clock(100.0).quiet()
    assert observed.exchange.sizes()["tokens"] == observed.exchange.sizes()["body bytes"] == 0


def test_no_room_to_fetch(make_script):
    """A full table of devices loses the notification, not the observation."""
    script = make_script(bounds=Bounds(devices_max=1))
    script.exchange.remember(b"earlier", "device", 1)
    script.request("GET", "4/0", device="other").server("CON GET")
    answer(script, 0, 4, line="CON 2.05", observe=2, token=b"earlier").server("ACK")
    script.tells(NotificationLost, cause=Cause.LIMIT)
    assert script.exchange.sizes()["body bytes"] == 0
