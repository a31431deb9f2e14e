"""Observing devices, and being observed: RFC 7641; traps T13 to T16."""

from __future__ import annotations

import pytest

from headgate.engine.bounds import Bounds
from headgate.engine.events import (
    Cause,
    NotificationReceived,
    NotificationUnmatched,
    RequestAcknowledged,
    RequestFailed,
    RequestReceived,
    ResponseFailed,
    ResponseReceived,
)


@pytest.fixture
def observed(script):
    """19/0/0 of the device is observed."""
    script.request("GET", "19/0/0", observe=0).server("CON GET", "19/0/0", observe=0)
    script.device("ACK 2.05", observe=7, payload=b"first")
    script.tells(ResponseReceived, observe=7, payload=b"first", handle=None)
    return script


def test_notification_is_acknowledged_by_the_caller(observed):
    """After its commit; until then a copy is met by silence, so that a crash loses nothing."""
    observed.device("CON 2.05", observe=8, payload=b"second")
    observed.tells(NotificationReceived, token=observed.token, device="device", observe=8, payload=b"second")
    observed.again().quiet().clock(2.0).acknowledge().server("ACK")


def test_non_notification_needs_no_ack(observed):
    """T14: NON instead of CON."""
    observed.device("NON 2.05", observe=8).tells(NotificationReceived, handle=None).quiet()


def test_plain_observations_are_acknowledged_at_once(script):
    """Where the caller says so: nothing is committed for them."""
    script.request("GET", "3/0/9", observe=0, acknowledge_now=True).server("CON GET").device(
        "ACK 2.05", observe=1
    )
    script.tells(ResponseReceived)
    script.device("CON 2.05", observe=2).server("ACK").tells(NotificationReceived, handle=None)
    script.again().server("ACK")


def test_t13_notification_from_a_new_address(observed):
    """T13: matched by token; the event says where it came from. Never a Reset."""
    observed.device("CON 2.05", observe=8, remote="10.0.0.9:40000")
    observed.tells(NotificationReceived, remote="10.0.0.9:40000", device="device")
    observed.acknowledge().server("ACK", remote="10.0.0.9:40000")


def test_notifications_are_never_dropped_for_their_order(observed):
    """Each PCP notification is another message, whatever RFC 7641 says: copies are known by message id."""
    for order in (9, 8, 8, 0xFFFFFF, 0, 3):
        observed.device("NON 2.05", observe=order).tells(NotificationReceived, observe=order)
    observed.again().quiet()


def test_order_has_24_bits(observed):
    """RFC 7641 section 2; a longer value is not the option, and elective."""
    observed.device("NON 2.05", more=((6, b"\xff\xff\xff"),)).tells(NotificationReceived, observe=0xFFFFFF)
    observed.device("NON 2.05", more=((6, b"\x01\xff\xff\xff"),)).tells(NotificationReceived, observe=None)
    observed.device("NON 2.05", more=((6, b""),)).tells(NotificationReceived, observe=0)


def test_end_of_an_observation_is_told(observed):
    """A notification without Observe, or an error, is the last: RFC 7641 section 4.2. The token lives."""
    observed.device("CON 4.04").tells(NotificationReceived, code="4.04", observe=None).acknowledge().server(
        "ACK"
    )
    observed.device("NON 2.05", observe=1).tells(NotificationReceived, observe=1)


def test_t14_success_code_of_an_observation(script):
    """T20: an Observe answered by 2.04, or without an Observe option: the caller decides what it means."""
    script.request("GET", "19/0/0", observe=0).server("CON GET").device("ACK 2.04", payload=b"00")
    script.tells(ResponseReceived, observe=None, code="2.04")
    script.device("NON 2.05", observe=1).tells(NotificationReceived)


def test_notification_overtakes_the_response(script):
    """It cannot be told from the response, so it is that; a response that comes later is a notification."""
    script.request("GET", "19/0/0", observe=0).server("CON GET").device("CON 2.05", observe=5, payload=b"G2")
    script.tells(ResponseReceived, observe=5, payload=b"G2").acknowledge().server("ACK")
    script.device("ACK 2.05", observe=4).quiet().counts(response_repeated=1)
    script.device("CON 2.05", observe=4).tells(NotificationReceived).acknowledge().server("ACK")


def test_t13_notification_after_a_failed_observe(script):
    """The Observe arrived, its answer did not: the notification says so, late."""
    script.request("GET", "19/0/0", observe=0).server("CON GET").clock(62.0)
    for _ in range(4):
        script.server_repeats()
    script.clock(40.0).tells(RequestFailed, cause=Cause.TIMEOUT)
    script.device("CON 2.05", observe=2).tells(ResponseReceived, late=True, observe=2).acknowledge().server(
        "ACK"
    )
    script.device("CON 2.05", observe=3).tells(NotificationReceived).acknowledge().server("ACK")


def test_t15_old_tokens_stay_alive(observed):
    """A new observation of the same resource does not end the old token: `forget` does."""
    old = observed.token
    observed.request("GET", "19/0/0", observe=0).server("CON GET").device("ACK 2.05", observe=1)
    observed.tells(ResponseReceived)
    observed.device("NON 2.05", observe=8, token=old).tells(NotificationReceived, token=old)
    observed.device("NON 2.05", observe=2).tells(NotificationReceived, token=observed.token)
    observed.forget(old).device("NON 2.05", observe=9, token=old).tells(NotificationUnmatched)


def test_t14_unknown_token(script):
    """T14: told with a handle; the caller acknowledges while an upgrade is active, else resets."""
    script.device("CON 2.05", observe=1, token=b"other", payload=b"x")
    script.tells(NotificationUnmatched, payload=b"x", remote=script.address).quiet()
    script.reset().server("RST")
    script.device("CON 2.05", observe=2, token=b"").tells(NotificationUnmatched).acknowledge().server("ACK")
    script.device("NON 2.05", observe=3, token=b"other").tells(NotificationUnmatched).reset().server("RST")
    script.counts(notification_unmatched=3)


def test_cancelling(observed):
    """A GET with Observe 1, the same token and path: RFC 7641 section 3.6. The token dies with the answer."""
    observed.cancel().server("CON GET", "19/0/0", observe=1, token=observed.token)
    observed.device("ACK 2.05").tells(ResponseReceived, token=observed.token, observe=None)
    observed.device("CON 2.05", observe=9).tells(NotificationUnmatched).reset().server("RST")


def test_notification_crosses_the_cancellation(observed):
    """It is a notification still; the answer is what has no Observe option."""
    observed.cancel().server("CON GET", observe=1)
    observed.device("CON 2.05", observe=9).tells(NotificationReceived, observe=9).acknowledge().server("ACK")
    observed.device("ACK").tells(RequestAcknowledged)
    observed.device("CON 2.05").tells(ResponseReceived).acknowledge().server("ACK")
    assert observed.exchange.sizes()["tokens"] == 0


def test_cancelling_before_the_answer(script):
    """The request is not sent again; the one with Observe 1 takes its turn."""
    script.request("GET", "19/0/0", observe=0).server("CON GET", observe=0)
    script.request("GET", "4/0").cancel(script.asked.message.token)
    script.server("CON GET", "4/0").device("ACK 2.05").tells(ResponseReceived)
    script.server("CON GET", "19/0/0", observe=1).device("ACK 2.05").tells(ResponseReceived)
    script.clock(400.0).quiet()


def test_cancellation_fails(observed):
    """The token stays alive, and notifications are told."""
    observed.cancel().server("CON GET", observe=1).device("RST").tells(RequestFailed, cause=Cause.RESET)
    observed.device("NON 2.05", observe=9).tells(NotificationReceived)
    observed.cancel().server("CON GET", observe=1).device("ACK 2.05").tells(ResponseReceived)


def test_only_an_observation_is_cancelled(script):
    """Any other use is a bug."""
    script.request("PUT", "19/1/0").server("CON PUT")
    with pytest.raises(AssertionError, match="observation"):
        script.cancel()
    with pytest.raises(KeyError):
        script.cancel(b"never")


# -- the other way: devices observe the server --


@pytest.fixture
def observer(script):
    """A device observes; its handle is `script.event.handle`."""
    script.device("CON GET", "time", observe=0, token=b"obs")
    script.tells(RequestReceived).respond("2.05", observe=1, payload=b"0").server("ACK 2.05", observe=1)
    return script


def test_notifying_an_observer(observer):
    """A CON with its token: RFC 7641 section 4.2."""
    handle = observer.event.handle
    observer.notify(handle, observe=2, payload=b"1").server("CON 2.05", token=b"obs", observe=2, payload=b"1")
    observer.device("ACK").clock(100.0).quiet()
    observer.notify(handle, observe=3, payload=b"2").server("CON 2.05", observe=3).device("ACK")


def test_newest_state_waits_for_the_ack(observer):
    """One notification under way; what was not sent in between never is: section 4.5.2."""
    handle = observer.event.handle
    observer.notify(handle, payload=b"1").server("CON 2.05", payload=b"1")
    observer.notify(handle, payload=b"2").notify(handle, payload=b"3").quiet()
    observer.device("ACK").server("CON 2.05", payload=b"3").device("ACK").clock(100.0).quiet()


def test_newest_state_takes_over_the_retransmissions(observer):
    """Under an id of its own, with the patience that is left: section 4.5.2."""
    handle = observer.event.handle
    observer.notify(handle, payload=b"1").server("CON 2.05", payload=b"1")
    first_id, started = observer.said("message_id"), observer.now
    observer.notify(handle, payload=b"2").clock(3.5).server("CON 2.05", payload=b"2")
    assert observer.said("message_id") == first_id + 1
    observer.device("ACK", message_id=first_id).counts(acknowledgement_unmatched=1)
    for _ in range(3):
        observer.until_due().server_repeats()
    observer.until_due().tells(ResponseFailed, cause=Cause.TIMEOUT, handle=handle)
    assert 62.0 <= observer.now - started <= 93.0


def test_no_room_for_the_newest_state(make_script):
    """Its device has another name, and the table of devices is full: told, for nobody can be raised to."""
    script = make_script(bounds=Bounds(devices_max=1))
    script.device("CON GET", "time", observe=0).tells(RequestReceived)
    handle = script.event.handle
    script.respond("2.05", observe=1).server("ACK 2.05")
    script.notify(handle).server("CON 2.05").notify(handle, device="renamed")
    script.device("ACK").tells(ResponseFailed, cause=Cause.LIMIT, handle=handle)


def test_observer_resets(observer):
    """It does not observe any more, and gets no newer state either: section 4.5."""
    handle = observer.event.handle
    observer.notify(handle, payload=b"1").server("CON 2.05").notify(handle, payload=b"2")
    observer.device("RST").tells(ResponseFailed, cause=Cause.RESET, handle=handle).clock(100.0).quiet()
    assert observer.exchange.sizes()["separate"] == 0
