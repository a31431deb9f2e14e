"""CONs of ours until they are acknowledged: RFC 7252 sections 4.2 and 4.8, and profiles for NB-IoT."""

from __future__ import annotations

import itertools

import pytest

from headgate.engine.events import (
    Cause,
    NotificationReceived,
    RequestAcknowledged,
    RequestFailed,
    RequestReceived,
    ResponseFailed,
    ResponseReceived,
)
from headgate.engine.retransmission import (
    DEFAULT,
    NB_CLASS_0,
    NB_CLASS_1,
    NB_CLASS_2,
    NB_CLASS_U,
)
from lockstep import Lockstep

TABLE = [
    # profile, ACK_TIMEOUT, factor, MAX_RETRANSMIT, MAX_TRANSMIT_WAIT, EXCHANGE_LIFETIME
    pytest.param(DEFAULT, 2, 1.5, 4, 93, 247, id="default"),
    pytest.param(NB_CLASS_0, 5, 1.5, 3, 112.5, 257.5, id="class 0"),
    pytest.param(NB_CLASS_1, 10, 1.5, 2, 105, 255, id="class 1"),
    pytest.param(NB_CLASS_2, 15, 1.5, 2, 157.5, 282.5, id="class 2"),
    pytest.param(NB_CLASS_U, 15, 1.5, 2, 157.5, 282.5, id="class U"),
]


@pytest.mark.parametrize(("profile", "timeout", "factor", "retransmit", "wait", "lifetime"), TABLE)
def test_table_of_profiles(profile, timeout, factor, retransmit, wait, lifetime):
    """What follows from the parameters, by section 4.8.2; no step timer (180 s) is shorter than the wait."""
    assert (profile.ack_timeout_s, profile.ack_random_factor) == (timeout, factor)
    assert (profile.max_retransmit, profile.max_transmit_wait_s) == (retransmit, wait)
    assert profile.exchange_lifetime_s == lifetime
    assert profile.max_transmit_wait_s < 180


@pytest.mark.parametrize("profile", [row.values[0] for row in TABLE])
@pytest.mark.parametrize("seed", range(5))
def test_timeouts_double(make_script, profile, seed):
    """First one within [ACK_TIMEOUT, ACK_TIMEOUT * factor]; each next twice as long; then it has failed."""
    script = make_script(seed=seed)
    script.request("GET", "4/0", profile=profile).server("CON GET")
    sent = [script.last.at_s]
    script.clock(1000.0)
    for _ in range(profile.max_retransmit):
        sent.append(script.server_repeats().last.at_s)
    script.tells(RequestFailed, cause=Cause.TIMEOUT, late=False, remote=script.address)
    script.counts(retransmitted=profile.max_retransmit)
    waits = [after - before for before, after in itertools.pairwise(sent)]
    assert profile.ack_timeout_s <= waits[0] <= profile.ack_timeout_s * profile.ack_random_factor
    assert waits == pytest.approx([waits[0] * 2**number for number in range(profile.max_retransmit)])
    assert sent[-1] - sent[0] <= profile.max_transmit_span_s


def test_first_timeouts_differ():
    """Devices that are asked at once are not asked again at once."""
    firsts = set()
    for seed in range(50):
        script = Lockstep(seed=seed).request("GET", "4/0").server("CON GET").clock(3.0).server_repeats()
        firsts.add(round(script.last.at_s - 1000.0, 2))
    assert len(firsts) > 20
    assert all(2.0 <= first <= 3.0 for first in firsts)


def test_failure_comes_when_the_last_timeout_has_passed(script):
    """Not with the last transmission: MAX_TRANSMIT_WAIT."""
    script.request("GET", "4/0").server("CON GET").clock(45.0)
    for _ in range(4):
        script.server_repeats()
    script.clock(16.0).quiet().clock(32.0).tells(RequestFailed, cause=Cause.TIMEOUT)
    assert script.exchange.next_timer() is not None  # its message id is still bound


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("ACK 2.05", ResponseReceived),
        ("CON 2.05", ResponseReceived),
        ("NON 2.05", ResponseReceived),
        ("ACK", RequestAcknowledged),
        ("RST", RequestFailed),
    ],
)
def test_any_answer_ends_the_retransmissions(script, line, event):
    """A separate response stands for an ACK that was lost: section 5.2.2."""
    script.request("GET", "4/0").server("CON GET").clock(3.5).server_repeats().device(line).tells(event)
    if line.startswith("CON"):
        script.server("ACK")
    script.clock(120.0).quiet()


def test_separate_response_is_repeated(script):
    """And the caller hears when it is in vain."""
    script.device("CON POST", "rd").tells(RequestReceived)
    handle = script.event.handle
    script.acknowledge().server("ACK").respond("2.01", handle=handle).server("CON 2.01")
    script.clock(100.0)
    for _ in range(4):
        script.server_repeats()
    script.tells(ResponseFailed, cause=Cause.TIMEOUT, handle=handle)
    assert script.exchange.sizes()["separate"] == script.exchange.sizes()["awaited"] == 0


def test_separate_response_is_reset(script):
    """The device does not know what it is about: it is not repeated, and the caller hears."""
    script.device("CON POST", "rd").tells(RequestReceived).acknowledge().server("ACK").respond("2.01")
    script.server("CON 2.01").device("RST").tells(ResponseFailed, cause=Cause.RESET).clock(100.0).quiet()


def test_retransmissions_follow_the_device(script):
    """T13: to the newest address; the message is the same, so the device knows a copy of what it had."""
    script.request("PUT", "19/1/0", payload=b"x").server("CON PUT")
    script.exchange.move("device", "new")
    script.clock(3.5).server_repeats(remote="new")
    script.device("ACK 2.04", remote="new").tells(ResponseReceived, remote="new", late=False)


def test_a_token_moves_the_device(script):
    """T13: a notification from a new address, while a command is repeated to the old one."""
    script.request("GET", "19/0/0", observe=0).server("CON GET").device("ACK 2.05", observe=1)
    script.tells(ResponseReceived)
    token = script.token
    script.request("PUT", "19/1/0").server("CON PUT").request("PUT", "19/1/0", payload=b"next")
    script.device("NON 2.05", observe=2, token=token, remote="new").tells(NotificationReceived)
    script.clock(3.5).server_repeats(remote="new")
    script.device("ACK 2.04", remote="newest").tells(ResponseReceived)
    script.server("CON PUT", payload=b"next", remote="newest")


def test_a_request_to_a_new_address_takes_the_outstanding_one_along(script):
    """The caller has named the newest address: both go there."""
    script.request("GET", "4/0").server("CON GET")
    script.request("GET", "4/0/8", remote="new").quiet().clock(3.5).server_repeats(remote="new")
    script.device("ACK 2.05", remote="new").tells(ResponseReceived).server("CON GET", "4/0/8", remote="new")


def test_moving_an_unknown_device_does_nothing(script):
    """Nothing is under way for it."""
    script.exchange.move("nobody", "anywhere")
    assert script.exchange.sizes()["devices"] == 0


def test_late_timer_sends_each_message_once(script):
    """A process that slept does not make up for what it missed: one retransmission, then the next wait."""
    script.request("GET", "4/0").server("CON GET")
    script.sleep(3600.0).server_repeats().quiet()
    assert script.exchange.next_timer() > script.now
