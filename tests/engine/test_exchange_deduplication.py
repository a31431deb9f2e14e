"""Copies of a message: told once, answered as the first. RFC 7252 section 4.5; traps T6, T8, T26, T31."""

from __future__ import annotations

import pytest

from headgate.engine.bounds import Bounds
from headgate.engine.events import (
    NotificationReceived,
    NotificationUnmatched,
    RequestReceived,
    ResponseReceived,
)


def test_copy_of_an_answered_request(script):
    """The stored answer, to the last byte, and no second event (T26: a Register repeated)."""
    script.device("CON POST", "rd", payload=b"</>").tells(RequestReceived).respond("2.01", more=((8, b"rd"),))
    first = script.leaves()
    for _ in range(3):
        assert script.clock(60.0).again().leaves() == first
    script.counts(repeated=3, requests=1)


def test_copy_of_a_request_that_is_being_handled(script):
    """Neither delivered nor answered, until the answer is there."""
    script.device("CON POST", "rd").tells(RequestReceived)
    script.again().again().quiet().counts(repeated_while_handled=2)
    script.respond("2.01").server("ACK 2.01").again().server("ACK 2.01")


def test_copy_of_a_request_with_a_separate_response(script):
    """The Empty ACK again: the response has retransmissions of its own."""
    script.device("CON POST", "rd").tells(RequestReceived).acknowledge().server("ACK")
    script.again().server("ACK").respond("2.01").server("CON 2.01")
    script.again().server("ACK").device("ACK")


def test_copy_of_a_notification(script):
    """Told once; its ACK repeated."""
    script.request("GET", "19/0/0", observe=0).server("CON GET").device("ACK 2.05", observe=1)
    script.tells(ResponseReceived)
    script.device("CON 2.05", observe=2).tells(NotificationReceived).again().quiet()
    script.acknowledge().server("ACK").again().server("ACK")


def test_copy_of_a_notification_from_another_address(script):
    """The token says that it is the same device: told once, and acknowledged where the copy came from."""
    script.request("GET", "19/0/0", observe=0).server("CON GET").device("ACK 2.05", observe=1)
    script.tells(ResponseReceived)
    script.device("CON 2.05", observe=2, message_id=77).tells(NotificationReceived)
    script.device("CON 2.05", observe=2, message_id=77, remote="b").quiet()
    script.acknowledge().server("ACK", remote="b")
    script.device("CON 2.05", observe=2, message_id=77, remote="c").server("ACK", remote="c")


def test_copy_of_a_reset_notification(script):
    """Reset again."""
    script.device("CON 2.05", token=b"gone").tells(NotificationUnmatched).reset().server("RST")
    script.again().server("RST")


@pytest.mark.parametrize("line", ["NON POST", "NON 2.05"])
def test_copy_of_a_non_is_dropped(script, line):
    """Section 4.3."""
    script.device(line, "dp", token=b"toto").tells(
        RequestReceived if "POST" in line else NotificationUnmatched
    )
    if "POST" in line:
        script.respond("2.04").server("NON 2.04")
    script.again().quiet()


def test_a_handle_names_its_message(script):
    """For whoever looks at an event."""
    script.device("CON POST", "rd", message_id=0x12).tells(RequestReceived)
    assert repr(script.event.handle) == f"<Handle 0x0012 of {script.address!r}>"
    assert (script.event.handle.message_id, script.event.handle.remote) == (0x12, script.address)


def test_same_id_from_another_address_is_another_message(script):
    """The key is the endpoint and the id."""
    script.device("CON POST", "rd", message_id=7).tells(RequestReceived).respond("2.04").server("ACK 2.04")
    script.device("CON POST", "rd", message_id=7, remote="b").tells(RequestReceived)
    script.respond("2.04").server("ACK 2.04", remote="b")


def test_t6_same_token_is_no_copy(script):
    """T6: one token for many requests, each with an id of its own."""
    for _ in range(3):
        script.device("CON POST", "dp", token=b"same").tells(RequestReceived)
        script.respond("2.04").server("ACK 2.04")


def test_t31_retransmission_with_a_new_token(script):
    """T31: the answer carries the token that the datagram carries, before and after it is there."""
    line = {"line": "CON POST", "path": "rd", "message_id": 9, "payload": b"</>"}
    script.device(**line, token=b"one").tells(RequestReceived)
    script.device(**line, token=b"second").quiet()
    script.respond("2.01", payload=b"5").server("ACK 2.01", token=b"second", payload=b"5")
    script.device(**line, token=b"").server("ACK 2.01", token=b"", payload=b"5")
    script.again().server("ACK 2.01", token=b"", payload=b"5")
    script.device(**line, token=b"third").server("ACK 2.01", token=b"third", payload=b"5")


def test_t31_empty_ack_has_no_token(script):
    """There is nothing to change in it."""
    script.device("CON POST", "rd", message_id=9, token=b"one").tells(RequestReceived)
    script.acknowledge().server("ACK")
    script.device("CON POST", "rd", message_id=9, token=b"two").server("ACK")


def test_reused_id_after_a_reboot_is_a_new_message(script):
    """A device that counts from one number after each boot is heard, not answered with what it knows."""
    script.request("GET", "19/0/0", observe=0).server("CON GET").device("ACK 2.05", observe=1)
    script.tells(ResponseReceived)
    script.device("CON 2.05", observe=2, message_id=1, payload=b"22").tells(NotificationReceived)
    script.acknowledge().server("ACK")
    script.device("CON 2.05", observe=2, message_id=1, payload=b"24").tells(
        NotificationReceived, payload=b"24"
    )
    script.acknowledge().server("ACK").counts(message_id_used_again=1)
    script.again().server("ACK")


def test_the_newer_of_two_under_one_id_is_remembered_as_long(make_script):
    """Forgetting the older does not take it along."""
    script = make_script(bounds=Bounds(remembered_max=2))
    for payload in (b"old", b"new"):
        script.device("CON POST", "dp", message_id=1, payload=payload).tells(RequestReceived)
        script.respond("2.04").server("ACK 2.04")
    script.device("CON POST", "dp", message_id=2).tells(RequestReceived).respond("2.04").server("ACK 2.04")
    script.counts(forgotten_early=1)
    script.device("CON POST", "dp", message_id=1, payload=b"new").server("ACK 2.04")


def test_what_comes_under_the_id_of_a_message_being_handled_is_its_copy(script):
    """Two answers could not be told apart."""
    script.device("CON POST", "rd", message_id=1, payload=b"a").tells(RequestReceived)
    script.device("CON POST", "rd", message_id=1, payload=b"b").quiet()
    script.respond("2.04").server("ACK 2.04")


def test_a_message_is_remembered_for_a_time(script):
    """300 s, which is more than the EXCHANGE_LIFETIME of the default parameters: section 4.8.2."""
    script.device("CON POST", "rd").tells(RequestReceived).respond("2.01").server("ACK 2.01")
    script.clock(299.9).again().server("ACK 2.01")
    script.clock(0.1).again().tells(RequestReceived).respond("2.04").server("ACK 2.04")


def test_the_oldest_is_forgotten_first(make_script):
    """And counted; nothing else grows."""
    script = make_script(bounds=Bounds(remembered_max=3))
    for message_id in range(5):
        script.device("CON POST", "rd", message_id=message_id).tells(RequestReceived)
        script.respond("2.04").server("ACK 2.04")
    script.counts(forgotten_early=2)
    assert script.exchange.sizes()["remembered"] == 3
    script.device("CON POST", "rd", message_id=2).server("ACK 2.04")
    script.device("CON POST", "rd", message_id=1).tells(RequestReceived).respond("2.04").server("ACK 2.04")


def test_a_forgotten_request_is_still_answered(make_script):
    """Its handle is all that it takes."""
    script = make_script(bounds=Bounds(remembered_max=1))
    script.device("CON POST", "rd", message_id=1, token=b"a").tells(RequestReceived)
    handle = script.event.handle
    script.device("CON POST", "dp", message_id=2, token=b"b").tells(RequestReceived)
    script.respond("2.04").server("ACK 2.04", token=b"b")
    script.respond("2.01", handle=handle, payload=bytes(1000))
    assert script.leaves()[2:5] == b"\x00\x01a"
    assert script.exchange.sizes()["remembered bytes"] < 10


def test_stored_answers_are_bounded_in_bytes(make_script):
    """However large they are."""
    script = make_script(bounds=Bounds(remembered_bytes_max=5000))
    for _ in range(50):
        script.device("CON GET", "rd").tells(RequestReceived)
        script.respond("2.05", payload=bytes(1000)).server("ACK 2.05")
        assert script.exchange.sizes()["remembered bytes"] <= 5000
    assert script.exchange.sizes()["remembered"] == 4
    script.counts(forgotten_early=46)


def test_outdated_messages_are_cleared_away(make_script):
    """A few with each that arrives, so that nothing old stays and nothing takes long."""
    script = make_script()
    for _ in range(100):
        script.device("CON 2.05", token=b"x").tells(NotificationUnmatched)
    script.clock(300.0)
    for _ in range(25):
        script.device("CON 2.05", token=b"x").tells(NotificationUnmatched)
    assert script.exchange.sizes()["remembered"] == 25
    script.counts(forgotten_early=0)
