"""Requests of ours, and which response is whose: RFC 7252 sections 4.7 and 5.3; traps T13, T15, T25, T38."""

from __future__ import annotations

import pytest

from headgate.engine.bounds import Bounds
from headgate.engine.events import (
    Cause,
    NotificationReceived,
    NotificationUnmatched,
    RequestAcknowledged,
    RequestFailed,
    ResponseReceived,
)
from headgate.errors import ExchangeLimitError, MessageFormatError


def test_piggybacked_response(script):
    """The response in the ACK: section 5.2.1."""
    script.request("PUT", "19/1/0", payload=b"\xff\xfe").server("CON PUT", "19/1/0", payload=b"\xff\xfe")
    script.device("ACK 2.04")
    script.tells(ResponseReceived, code="2.04", token=script.token, device="device", handle=None, late=False)
    assert script.exchange.sizes()["tokens"] == script.exchange.sizes()["awaited"] == 0


def test_separate_response(script):
    """An Empty ACK, then a CON or NON with the token: section 5.2.2."""
    script.request("GET", "4/0").server("CON GET").device("ACK").tells(RequestAcknowledged, late=False)
    script.clock(20.0).device("CON 2.05", payload=b"x").server("ACK").tells(ResponseReceived, payload=b"x")
    script.request("GET", "4/0").server("CON GET").device("ACK").tells(RequestAcknowledged)
    script.device("NON 2.05").tells(ResponseReceived, handle=None)


def test_separate_response_overtakes_its_ack(script):
    """It stands for the ACK; the ACK that comes after says nothing: section 5.2.2."""
    script.request("GET", "4/0").server("CON GET").device("CON 2.05").server("ACK").tells(ResponseReceived)
    script.device("ACK").quiet().counts(acknowledgement_unmatched=1)


def test_caller_may_acknowledge_a_separate_response_itself(script):
    """Where the response changes something that is to be committed first."""
    script.request("GET", "4/0", acknowledge_now=False).server("CON GET").device("CON 2.05")
    script.tells(ResponseReceived).quiet().acknowledge().server("ACK").again().server("ACK")


def test_copy_of_a_separate_response(script):
    """Our ACK was lost; the token is forgotten, but the message is known by its id."""
    script.request("GET", "4/0").server("CON GET").device("CON 2.05").server("ACK").tells(ResponseReceived)
    script.again().server("ACK").counts(repeated=1)


def test_copy_of_a_piggybacked_response(script):
    """Nobody waits for it any longer."""
    script.request("GET", "4/0").server("CON GET").device("ACK 2.05").tells(ResponseReceived)
    script.again().quiet().counts(response_unmatched=1)


def test_no_response_after_the_ack(script):
    """The wait ends: after EXCHANGE_LIFETIME, for the RFC names no time. The token stays alive."""
    script.request("GET", "4/0").server("CON GET").device("ACK").tells(RequestAcknowledged)
    script.clock(246.9).quiet().clock(0.2).tells(RequestFailed, cause=Cause.NO_RESPONSE)
    script.clock(900.0).device("CON 2.05").server("ACK").tells(ResponseReceived, late=True)


def test_reset_fails_a_request(script):
    """The device lacks context: section 4.2."""
    script.request("PUT", "19/1/0").server("CON PUT").device("RST")
    script.tells(RequestFailed, cause=Cause.RESET, late=False).clock(100.0).quiet()


def timed_out(script):
    """A request that nobody acknowledged."""
    script.request("GET", "4/0").server("CON GET").clock(100.0)
    for _ in range(4):
        script.server_repeats()
    return script.tells(RequestFailed, cause=Cause.TIMEOUT, token=script.token)


@pytest.mark.parametrize("line", ["ACK 2.05", "CON 2.05", "NON 2.05"])
@pytest.mark.parametrize("remote", [None, "10.9.9.9:1"])
def test_t25_late_response(script, line, remote):
    """Minutes after we gave up (eDRX), from any address (T13): matched by token until `forget`."""
    timed_out(script).clock(10_000.0).device(line, remote=remote, payload=b"late")
    script.tells(ResponseReceived, token=script.token, late=True, payload=b"late")
    assert script.event.remote == (remote or script.address)
    if line.startswith("CON"):
        script.server("ACK", remote=remote)
    assert script.exchange.sizes()["tokens"] == 0


def test_t25_late_ack(script):
    """The device has the command, and will respond."""
    timed_out(script).clock(60.0).device("ACK").tells(RequestAcknowledged, late=True).again().quiet()
    script.clock(500.0).device("CON 2.05").server("ACK").tells(ResponseReceived, late=True)


def test_late_reset(script):
    """Told too: it says more than the timeout did."""
    timed_out(script).clock(60.0).device("RST").tells(RequestFailed, cause=Cause.RESET, late=True)
    script.again().quiet()


def test_forgotten_token(script):
    """What comes for it is unmatched: the caller may accept it or not (T14)."""
    timed_out(script).forget().device("ACK 2.05").quiet().counts(response_unmatched=1)
    script.device("CON 2.05").tells(NotificationUnmatched).acknowledge().server("ACK")
    script.device("CON 2.05").tells(NotificationUnmatched).reset().server("RST")
    script.device("NON 2.05").tells(NotificationUnmatched).acknowledge().quiet()
    script.device("NON 2.05").tells(NotificationUnmatched).reset().server("RST")
    script.device("ACK").quiet().device("RST").quiet()
    script.counts(acknowledgement_unmatched=1, reset_unmatched=1)


def test_forgetting_twice_is_no_fault(script):
    """Nor forgetting what never was."""
    script.request("GET", "4/0").server("CON GET").forget().forget().forget(b"never").clock(100.0).quiet()
    assert script.exchange.sizes()["tokens"] == script.exchange.sizes()["awaited"] == 0


def test_ack_with_another_id_is_not_the_response(script):
    """Both the id and the token of a piggybacked response must match: section 5.3.2."""
    script.request("GET", "4/0").server("CON GET").device("ACK 2.05", message_id=1).quiet()
    script.counts(response_repeated=1).device("ACK 2.05").tells(ResponseReceived)


def test_ack_with_another_token_is_not_the_response(script):
    """Section 5.3.2; it is not even an ACK, for it is not ours."""
    script.request("GET", "4/0").server("CON GET").device("ACK 2.05", token=b"else").quiet()
    script.clock(3.5).server_repeats().device("ACK 2.05").tells(ResponseReceived)


def test_empty_ack_from_another_address_is_not_ours(script):
    """It has no token, so nothing says whose it is."""
    script.request("GET", "4/0").server("CON GET").device("ACK", remote="else").quiet()
    script.device("ACK 2.05", remote="else").tells(ResponseReceived, remote="else")


def test_late_response_reaches_its_own_request(script):
    """Two are under way, one after the other; their responses come in the other order."""
    script.request("GET", "4/0").server("CON GET")
    first, first_id, token = script.token, script.said("message_id"), script.said("token")
    script.device("ACK").tells(RequestAcknowledged)
    script.request("GET", "4/0/8").server("CON GET", "4/0/8").device("ACK 2.05", payload=b"second")
    script.tells(ResponseReceived, token=script.token, payload=b"second")
    script.device("CON 2.05", token=token, payload=b"first").server("ACK")
    script.tells(ResponseReceived, token=first, payload=b"first")
    assert first_id != script.said("message_id")


def test_nstart_is_one(script):
    """One request outstanding per device; others wait in their order: section 4.7."""
    script.request("PUT", "a").server("CON PUT", "a")
    script.request("PUT", "b").request("PUT", "c").quiet()
    script.device("ACK 2.04").tells(ResponseReceived).server("CON PUT", "b")
    script.device("RST").tells(RequestFailed).server("CON PUT", "c")


def test_devices_do_not_wait_for_each_other(script):
    """NSTART is per device, whatever its address."""
    script.request("PUT", "a").server("CON PUT", "a").request("PUT", "b", device="other").server(
        "CON PUT", "b"
    )


def test_turn_passes_when_the_request_is_acknowledged(script):
    """It is not outstanding then: section 4.7."""
    script.request("PUT", "a").server("CON PUT", "a").request("PUT", "b").quiet()
    script.device("ACK").tells(RequestAcknowledged).server("CON PUT", "b")


def test_turn_passes_when_the_request_fails(script):
    """Or is forgotten."""
    script.request("PUT", "a").server("CON PUT").request("PUT", "b")
    for _ in range(4):
        script.until_due().server_repeats()
    script.until_due().tells(RequestFailed, cause=Cause.TIMEOUT).server("CON PUT", "b")
    token = script.token
    script.request("PUT", "c").forget(token).server("CON PUT", "c")


def test_waiting_request_is_forgotten(script):
    """It is never sent."""
    script.request("PUT", "a").server("CON PUT").request("PUT", "b").forget()
    script.device("ACK 2.04").tells(ResponseReceived).clock(400.0).quiet()


def test_waiting_requests_are_bounded(make_script):
    """Per device: ExchangeLimitError, and nothing is sent or kept of it."""
    script = make_script(bounds=Bounds(waiting_max=2))
    script.request("PUT", "a").server("CON PUT").request("PUT", "b").request("PUT", "c")
    with pytest.raises(ExchangeLimitError, match="waiting_max"):
        script.request("PUT", "d")
    assert script.exchange.sizes()["tokens"] == 3


def test_tokens_are_bounded(make_script):
    """In all: ExchangeLimitError; room comes with `forget` or with responses."""
    script = make_script(bounds=Bounds(requests_max=2))
    script.request("PUT", "a").server("CON PUT").request("PUT", "b")
    with pytest.raises(ExchangeLimitError, match="requests_max"):
        script.request("PUT", "c", device="other")
    with pytest.raises(ExchangeLimitError, match="requests_max"):
        script.exchange.remember(b"earlier", "other")
    script.forget().request("PUT", "c", device="other").server("CON PUT")


def test_devices_are_bounded(make_script):
    """In all; an idle device makes room when its message ids are free."""
    script = make_script(bounds=Bounds(devices_max=1))
    script.request("PUT", "a", device=1).server("CON PUT").device("ACK 2.04").tells(ResponseReceived)
    with pytest.raises(ExchangeLimitError, match="devices_max"):
        script.request("PUT", "a", device=2)
    script.clock(247.0).request("PUT", "a", device=2).server("CON PUT")
    assert script.exchange.sizes()["devices"] == 1


def test_wrong_requests_are_refused_at_once(script):
    """Also those that would have to wait for their turn."""
    script.request("PUT", "a").server("CON PUT")
    with pytest.raises(MessageFormatError):
        script.request("PUT", "a", more=((70_000, b""),))
    with pytest.raises(ValueError, match="a block has"):
        script.request("PUT", "a", block_size=500)
    with pytest.raises(ValueError, match="a body has at most"):
        script.request("PUT", "a", payload=bytes(1 + (16 << 20)))
    with pytest.raises(AssertionError, match="method"):
        script.request("2.05", "a")
    assert script.exchange.sizes()["tokens"] == 1


def test_tokens_are_long_and_different(script):
    """8 random bytes: in NoSec they are all that tells whose a response is."""
    tokens = {script.request("GET", "4/0", device=n).server("CON GET").said("token") for n in range(100)}
    assert {len(token) for token in tokens} == {8}
    assert len(tokens) == 100


def test_t38_no_answer_to_one_request_does_not_disturb_the_next(script):
    """T38: some formats are met by silence; the next request goes out when the first is given up."""
    timed_out(script).request("GET", "4/0", more=((17, b""),)).server("CON GET").device("ACK 2.05")
    script.tells(ResponseReceived, token=script.token, late=False)


def test_t15_observation_of_an_earlier_process(script):
    """T15: after our restart, or the device's, its old token is known when the caller says so."""
    script.exchange.remember(b"pre-boot", "device", 1, ((11, b"19"), (11, b"0"), (11, b"0")))
    script.device("CON 2.05", observe=9, token=b"pre-boot", payload=b"24", remote="elsewhere")
    script.tells(NotificationReceived, token=b"pre-boot", device="device", remote="elsewhere", payload=b"24")
    script.acknowledge().server("ACK", remote="elsewhere")
    script.forget(b"pre-boot").device("CON 2.05", token=b"pre-boot").tells(NotificationUnmatched)


def test_repeated_at_once(script):
    """For a device that woke up between two retransmissions: same id, and time is left for its answer."""
    script.request("GET", "4/0").server("CON GET")
    token = script.token
    script.clock(1.5).repeat(token).server_repeats().clock(1.4)
    script.device("ACK 2.05").tells(ResponseReceived, late=False).repeat(token).quiet()


def test_repeated_at_the_end_of_its_time(script):
    """The wait is longer by ACK_TIMEOUT at most, so that who has just woken can answer."""
    script.request("GET", "4/0").server("CON GET").clock(45.1)
    for _ in range(4):
        script.server_repeats()
    while script.exchange.next_timer() - script.now > 0.5:
        script.clock(0.25)
    script.repeat(script.token).server_repeats().clock(1.9).quiet().clock(0.2)
    script.tells(RequestFailed, cause=Cause.TIMEOUT).repeat(script.token).quiet()


def test_acknowledged_request_is_not_repeated(script):
    """The device has it."""
    script.request("GET", "4/0").server("CON GET").device("ACK").tells(RequestAcknowledged)
    script.repeat(script.token).quiet()


def test_given_up(script):
    """Sent no more, others get their turn; what still comes is told as late, and the token dies with it."""
    script.request("GET", "4/0").server("CON GET", "4/0")
    first, token = script.asked.message, script.token
    script.request("GET", "3/0/3").give_up(token).server("CON GET", "3/0/3")
    script.device("ACK 2.05", message_id=first.message_id, token=first.token)
    script.tells(ResponseReceived, token=token, late=True).give_up(token)
    script.device("ACK 2.05").tells(ResponseReceived, late=False).clock(300.0)


def test_given_up_before_its_turn(script):
    """It never leaves; nobody is told."""
    script.request("GET", "4/0").server("CON GET", "4/0").request("GET", "3/0/3").give_up()
    script.device("ACK 2.05").tells(ResponseReceived).clock(300.0).quiet().forget()
    assert script.exchange.sizes()["tokens"] == 0


def test_observation_is_not_given_up(script):
    """There is nothing under way: it is alive until it is forgotten."""
    script.request("GET", "5/0/3", observe=0).server("CON GET").device("ACK 2.05", observe=1)
    script.tells(ResponseReceived).give_up().device("NON 2.05", observe=2).tells(NotificationReceived)
