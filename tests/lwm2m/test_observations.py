"""Notifications: by token, whatever the address; traps T13 to T15, T20 and T36; RFC 7641 section 3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.lwm2m.commands import Observe, Read
from headgate.lwm2m.happenings import (
    Deregistered,
    Expired,
    Heard,
    Notified,
    Observed,
    Unmatched,
)
from headgate.lwm2m.observations import is_newer
from lwm2m_lines import DATA, ENDPOINT, STATE, VERSION

NUMBERS = 1 << 24


@pytest.fixture
def observed(sleeper):
    """5/0/3 is observed under `sleeper.event.token`, the answer had the number 5."""
    sleeper.ask(Observe(path=STATE)).server("CON GET").device("ACK 2.05", observe=5, payload=b"0")
    return sleeper.tells(Observed).confirm()


def test_notification_is_acknowledged_after_its_commit(observed):
    """A device acts on its own notification only when that is acknowledged (protocol 3.3)."""
    token = observed.event.token
    observed.device("CON 2.05", observe=6, content_format=0, payload=b"1", token=token)
    observed.tells(
        Notified,
        path=STATE,
        token=token,
        content_format=0,
        payload=b"1",
        stale=False,
        ended=False,
        changed=None,
    )
    observed.says_nothing().confirm().server("ACK")


def test_non_notification(observed):
    """T14: nothing to acknowledge."""
    observed.device("NON 2.05", observe=6, payload=b"1").tells(Notified).confirm()


def test_from_a_new_port(observed):
    """T13: the token says whose it is; the newest address counts from now on."""
    observed.device("CON 2.05", observe=6, payload=b"1", remote="moved", token=observed.event.token)
    observed.tells(Notified)
    assert observed.event.changed == observed.registration
    assert observed.registration.remote == "moved"
    observed.confirm().server("ACK", remote="moved")
    observed.ask(Read(path=VERSION)).server("CON GET", remote="moved")


def test_move_does_not_prolong_the_registration(observed):
    """Only an Update does."""
    before = observed.registration
    observed.clock(100.0).device("NON 2.05", observe=6, remote="moved").tells(Notified).confirm()
    assert observed.registration == before.evolved(remote="moved")


def test_two_devices_at_one_address(make_script):
    """A NAT gives a port away again: whoever came last is found by it; tokens find either."""
    script = make_script().register(remote="nat").remember(STATE, b"first")
    script.endpoint = "second"
    script.register(endpoint="second", remote="nat")
    script.device("CON 2.05", observe=1, token=b"?", remote="nat").tells(Unmatched).confirm()
    script.server("ACK", remote="nat")
    script.device("NON 2.05", observe=1, token=b"first", remote="nat").tells(Notified, endpoint=ENDPOINT)
    script.confirm()
    # The first has come there last, and the second still is where it registered.
    script.device("NON 2.05", observe=2, token=b"first", remote="away").tells(Notified, endpoint=ENDPOINT)
    script.confirm()
    script.device("CON 2.05", observe=1, token=b"?", remote="nat").tells(Unmatched).confirm()
    script.server("ACK", remote="nat")


def test_order(observed):
    """Older by number within 128 s is stale; it is told all the same, for a PCP frame is no state."""
    token = observed.event.token
    for number, stale in ((6, False), (5, True), (6, True), (7, False), (4, True)):
        observed.device("NON 2.05", observe=number, token=token).tells(Notified, stale=stale).confirm()
    observed.counts(notification_stale=3)
    observed.clock(128.5).device("NON 2.05", observe=1, token=token).tells(Notified, stale=False).confirm()


def test_order_is_that_of_one_token(observed):
    """Another observation counts by itself."""
    observed.remember(STATE, b"older")
    observed.device("NON 2.05", observe=1, token=b"older").tells(Notified, stale=False).confirm()
    observed.device("NON 2.05", observe=0, token=b"older").tells(Notified, stale=True).confirm()


@pytest.mark.parametrize(
    ("line", "observe"), [("CON 2.05", None), ("CON 4.04", 9), ("CON 4.04", None), ("NON 5.00", 9)]
)
def test_device_ends_the_observation(observed, line, observe):
    """No Observe option, or an error. The token is known until it is forgotten: some leave the option out."""
    token = observed.event.token
    observed.device(line, observe=observe, token=token).tells(Notified, ended=True, stale=False).confirm()
    if "CON" in line:
        observed.server("ACK")
    observed.device("NON 2.05", observe=10, token=token).tells(Notified, ended=False).confirm()


def test_token_of_an_earlier_registration(observed):
    """T15: after the reboot the result comes under the token from before it."""
    token = observed.event.token
    observed.register()
    observed.device("CON 2.05", observe=1, token=token, payload=b"0").tells(Notified, token=token).confirm()
    observed.server("ACK")


def test_registers_after_the_observation_was_lost_with_it(make_script):
    """A token outlives De-register and expiry, without a registration too."""
    script = make_script(grace_s=0.0).register(query=("lt=60",)).remember(STATE, b"token")
    script.clock(60.0).tells(Expired)
    script.device("CON 2.05", observe=1, token=b"token").tells(Notified, changed=None).confirm().server("ACK")
    script.register().device("CON DELETE", f"rd/{script.location}").tells(Deregistered).confirm()
    script.server("ACK 2.02").device("NON 2.05", observe=2, token=b"token").tells(Notified).confirm()
    script.forget(b"token")
    assert script.lwm2m.sizes()["devices known"] == 0


def test_unknown_token_of_a_known_device(sleeper):
    """T14: the caller decides: an ACK while an upgrade is active (protocol 3.3), else a Reset."""
    sleeper.device("CON 2.05", observe=1, token=b"?").tells(Unmatched).says_nothing().confirm().server("ACK")
    sleeper.device("CON 2.05", observe=1, token=b"?").tells(Unmatched).reject().server("RST")
    sleeper.device("NON 2.05", observe=1, token=b"?").tells(Unmatched).reject().server("RST")
    sleeper.device("NON 2.05", observe=1, token=b"?").tells(Unmatched).confirm().quiet()


def test_rejection_is_an_uplink_too(sleeper):
    """The next command leaves with it."""
    sleeper.clock(60.0).ask(Read(path=VERSION)).device("CON 2.05", observe=1, token=b"?").tells(Unmatched)
    sleeper.reject().server("RST").server("CON GET", "3/0/3")


def test_unknown_token_from_an_unknown_address(sleeper):
    """RFC 7641 section 3.6: a Reset, counted."""
    for type in ("CON", "NON"):
        sleeper.device(f"{type} 2.05", observe=1, token=b"?", remote="stranger").server(
            "RST", remote="stranger"
        )
    sleeper.counts(notification_from_unknown_address=2)


def test_unknown_response_of_a_known_device(sleeper):
    """Without Observe option it is a late answer: there is nothing to stop."""
    sleeper.device("CON 2.05", token=b"?").tells(Heard).confirm().server("ACK")


def test_forgotten_token(observed):
    """It is unknown from then on."""
    token = observed.event.token
    observed.forget().forget(token).forget(b"never known")
    observed.device("CON 2.05", observe=6, token=token).tells(Unmatched).reject().server("RST")


def test_many_tokens_of_one_path(sleeper):
    """All are known until they are forgotten, up to a bound."""
    tokens = [bytes([number]) * 8 for number in range(16)]
    for token in tokens:
        sleeper.remember(STATE, token).remember(STATE, token)
    for token in tokens:
        sleeper.device("NON 2.05", observe=1, token=token).tells(Notified, token=token).confirm()
    sleeper.remember(STATE, b"one more").counts(observation_forgotten_early=1)
    sleeper.device("CON 2.05", observe=1, token=tokens[0]).tells(Unmatched).reject().server("RST")
    assert sleeper.lwm2m.sizes()["observations"] == 16


def test_observations_made_over_and_over(make_script):
    """Whoever forgets to forget does not grow."""
    script = make_script(observations_max=3).register()
    for _ in range(10):
        script.ask(Observe(path=STATE)).server("CON GET").device("ACK 2.05", observe=1, payload=b"0")
        script.tells(Observed).confirm()
    assert script.lwm2m.sizes()["observations"] == script.lwm2m.sizes()["tokens"] == 3


def test_blockwise_notification(observed):
    """Fetched whole; told once."""
    token = observed.event.token
    observed.remember(DATA, b"datatokn")
    observed.device("CON 2.05", observe=1, token=b"datatokn", payload=bytes(16), block2=(0, True, 0))
    observed.server("ACK").server("CON GET", "19/0/0", block2=(1, False, 0))
    observed.device("ACK 2.05", payload=b"end", block2=(1, False, 0))
    observed.tells(Notified, path=DATA, payload=bytes(16) + b"end").confirm()
    observed.device("CON 2.05", observe=1, token=b"datatokn", payload=bytes(16), block2=(0, True, 0))
    observed.server("ACK").server("CON GET").device("ACK 4.04").tells(Heard).confirm()
    assert token != b"datatokn"


def test_copy_of_a_notification(observed):
    """From another port even: it is known by token and message id."""
    observed.device("CON 2.05", observe=6, message_id=7, token=observed.event.token).tells(Notified)
    observed.again().quiet().confirm().server("ACK").again().server("ACK")


@given(st.integers(0, NUMBERS - 1), st.integers(0, NUMBERS - 1), st.floats(0, 128))
def test_newer_by_the_letter(old, new, seconds):
    """RFC 7641 section 3.4, its three lines."""
    v1, v2 = old, new
    expected = (v1 < v2 and v2 - v1 < 2**23) or (v1 > v2 and v1 - v2 > 2**23)
    assert is_newer(old, 1000.0, new, 1000.0 + seconds) == expected
    assert is_newer(old, 1000.0, new, 1128.01)


@given(st.integers(0, NUMBERS - 1), st.integers(1, (1 << 23) - 1))
def test_newer_is_antisymmetric(old, step):
    """Of two numbers less than half the range apart, exactly one is newer."""
    new = (old + step) % NUMBERS
    assert is_newer(old, 0.0, new, 1.0)
    assert not is_newer(new, 0.0, old, 1.0)


def forgotten(script) -> bool:
    """Whether nothing is known of the device any more, nor of what it was asked."""
    sizes = script.lwm2m.sizes()
    return not sizes["devices known"] and not sizes["observations"] and not sizes["tokens"]


@pytest.mark.parametrize("first", ["dropped", "gone"])
def test_what_was_observed_in_vain_ends_with_the_registration(script, first):
    """Nobody else would forget a token that the caller was not told: made-up names could leave any number."""
    script.register(query=("b=U", "lt=3600")).ask(Observe(path=STATE)).server("CON GET", "5/0/3", observe=0)
    if first == "dropped":
        script.drop(Observe(path=STATE))
    script.device("CON DELETE", f"rd/{script.location}").tells(Deregistered).confirm().server("ACK 2.02")
    if first == "gone":
        script.drop(Observe(path=STATE))
    assert forgotten(script)


def test_an_observation_that_is_known_outlives_the_registration(script):
    """The caller was told its token, and says when to forget it (T15)."""
    script.register(query=("b=U", "lt=3600")).ask(Observe(path=STATE)).server("CON GET", "5/0/3", observe=0)
    script.device("ACK 2.05", payload=b"0", observe=1, content_format=0).tells(Observed).confirm()
    token = script.event.token
    script.device("CON DELETE", f"rd/{script.location}").tells(Deregistered).confirm().server("ACK 2.02")
    assert script.lwm2m.sizes()["observations"] == 1
    script.forget(token)
    assert forgotten(script)


def test_all_commands_of_a_purpose_are_dropped(script):
    """Others wait on."""
    for path, purpose in ((VERSION, "a"), (STATE, "b"), (DATA, "a")):
        script.ask(Read(path=path, purpose=purpose))
    script.lwm2m.drop_all(script.endpoint, "a", script.now)
    script.lwm2m.drop_all("nobody", "a", script.now)
    assert script.explained == "not registered, 1 command waits"
