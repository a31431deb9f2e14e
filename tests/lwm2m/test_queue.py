"""Commands wait, and leave one at a time while the device is awake: protocol 3.1 and 5.4, T17, T25."""

from __future__ import annotations

import pytest

from headgate.engine.bounds import Bounds
from headgate.engine.retransmission import NB_CLASS_2
from headgate.errors import CommandLimitError
from headgate.lwm2m.commands import CancelObservation, Execute, Observe, Read, Write
from headgate.lwm2m.happenings import (
    Answered,
    Deregistered,
    Heard,
    Notified,
    Observed,
    Refused,
    Registered,
    Unanswered,
    Updated,
)
from headgate.wire.resources import Path
from lwm2m_lines import RADIO, STATE, UPDATE, URI, VERSION

READ = Read(path=VERSION)
OTHER = Read(path=STATE)


def lost(script):
    """A command is under way, and nothing comes of it."""
    script.server("CON GET").clock(100.0)
    for _ in range(4):
        script.server_repeats()
    return script.tells(Unanswered)


# -- when a command leaves --


def test_awake_device_is_asked_at_once(sleeper):
    """Within the window after its uplink."""
    sleeper.clock(19.0).ask(READ).server("CON GET", "3/0/3").device("ACK 2.05").tells(Answered).confirm()


def test_sleeping_device_is_not(sleeper):
    """It leaves with the confirmation of the next uplink, after what the uplink is owed."""
    sleeper.clock(21.0).ask(READ).quiet().clock(3600.0).updates().tells(Updated).says_nothing()
    sleeper.confirm().server("ACK 2.04").server("CON GET", "3/0/3")


@pytest.mark.parametrize("awake_s", [4.0, 93.0])
def test_window(make_script, awake_s):
    """Settable: networks differ."""
    script = make_script(awake_s=awake_s).register().clock(awake_s - 0.1)
    assert script.awake
    assert not script.clock(0.1).awake


def test_device_without_queue_mode_is_always_awake(script):
    """Whenever it was heard."""
    script.register(query=("b=U",)).clock(80_000.0).ask(READ).server("CON GET", "3/0/3")


def test_nothing_leaves_before_the_uplink_is_confirmed(sleeper):
    """Though the device is awake: a command before the 2.01 would be one from a stranger."""
    sleeper.registers().tells(Registered)
    assert sleeper.awake
    sleeper.ask(READ).says_nothing().confirm().server("ACK 2.01").server("CON GET", "3/0/3")


def test_confirmation_of_an_older_uplink(sleeper):
    """The newest is what counts."""
    sleeper.updates().tells(Updated)
    older = sleeper.event
    sleeper.registers().tells(Registered).ask(READ)
    newer = sleeper.event
    sleeper.lwm2m.confirm(older, sleeper.now)
    sleeper._collect()
    sleeper._leaving.pop(0)
    sleeper.says_nothing().confirm(newer).server("ACK 2.01").server("CON GET", "3/0/3")


def test_what_is_never_confirmed_holds_nothing_back_for_ever(sleeper):
    """Its device repeats itself, and that is confirmed."""
    sleeper.updates().tells(Updated).ask(READ).says_nothing().clock(60.0).updates().tells(Updated).confirm()
    sleeper.server("ACK 2.04").server("CON GET", "3/0/3")


def test_confirming_twice(sleeper):
    """Does what confirming once does."""
    sleeper.updates().tells(Updated).confirm().server("ACK 2.04").confirm().quiet()


def test_other_evidence_of_being_awake(sleeper):
    """It asked for a block."""
    sleeper.clock(60.0).ask(READ).quiet().heard().server("CON GET", "3/0/3")
    sleeper.lwm2m.heard("nobody", sleeper.now)


def test_command_for_a_device_that_is_not_there(script):
    """It waits until somebody registers under that name."""
    script.ask(READ).quiet()
    script.registers().tells(Registered).confirm().server("ACK 2.01").server("CON GET", "3/0/3")


# -- one at a time --


def test_one_at_a_time(sleeper):
    """In order; the next leaves when the answer to the one before is confirmed."""
    sleeper.ask(READ).ask(OTHER).ask(Execute(path=UPDATE)).server("CON GET", "3/0/3").quiet()
    sleeper.device("ACK 2.05", payload=b"1").tells(Answered, command=READ).quiet()
    sleeper.confirm().server("CON GET", "5/0/3").quiet()
    sleeper.device("ACK").quiet().device("CON 4.05").tells(Refused, command=OTHER).confirm().server("ACK")
    sleeper.server("CON POST", "5/0/2").device("ACK 2.04").tells(Answered).confirm()


def test_window_is_over_before_the_answer(sleeper):
    """The answer is an uplink: the next one leaves."""
    sleeper.ask(READ, profile=NB_CLASS_2).ask(OTHER).server("CON GET").device("ACK").clock(60.0)
    sleeper.device("CON 2.05", payload=b"1").tells(Answered).confirm().server("ACK").server(
        "CON GET", "5/0/3"
    )


def test_equal_commands_are_one(sleeper):
    """Before it leaves and while it is under way."""
    sleeper.ask(READ).server("CON GET").ask(READ).ask(Read(path=VERSION)).device("ACK 2.05", payload=b"1")
    sleeper.tells(Answered).confirm()


def test_purpose_tells_commands_apart(sleeper):
    """Two askers have two answers."""
    first, second = (Read(path=VERSION, purpose=each) for each in "12")
    sleeper.ask(first).ask(second).server("CON GET").device("ACK 2.05", payload=b"1")
    sleeper.tells(Answered, command=first).confirm().server("CON GET").device("ACK 2.05", payload=b"1")
    sleeper.tells(Answered, command=second).confirm()


def test_too_many_commands(make_script):
    """The caller hears of it; what waits is not lost."""
    script = make_script(commands_max=2).ask(READ).ask(OTHER).ask(READ)
    with pytest.raises(CommandLimitError):
        script.ask(Read(path=RADIO))
    assert "2 commands wait" in script.explained


def test_unconfirmed_answer_holds_the_next_command_back(sleeper):
    """What is decided about the answer may make the next one needless."""
    sleeper.ask(READ).ask(OTHER).server("CON GET").device("ACK 2.05", payload=b"1").tells(Answered)
    sleeper.drop(OTHER).confirm().quiet()


# -- lost --


def test_lost_command_leaves_again(sleeper):
    """Unanswered, and asleep; at the next uplink it leaves again, under another token, before the others."""
    sleeper.ask(READ).ask(OTHER)
    lost(sleeper).quiet()
    first = sleeper.asked.message.token
    assert not sleeper.awake
    sleeper.updates().tells(Updated).confirm().server("ACK 2.04").server("CON GET", "3/0/3")
    assert sleeper.said("token") != first
    sleeper.device("ACK 2.05", payload=b"1").tells(Answered, command=READ).confirm().server(
        "CON GET", "5/0/3"
    )


def test_device_without_queue_mode_that_was_lost(script):
    """Taken to be away until it is heard again, so nothing is sent into the void."""
    script.register(query=("b=U",)).ask(Write(path=URI, value="u", content_format=0)).server("CON PUT")
    script.clock(100.0)
    for _ in range(4):
        script.server_repeats()
    script.tells(Unanswered).ask(READ).clock(1000.0).quiet()
    assert "does not answer" in script.explained
    script.updates().tells(Updated).confirm().server("ACK 2.04").server("CON PUT", "5/0/1")


def test_acknowledged_but_not_answered(sleeper):
    """As lost: after EXCHANGE_LIFETIME."""
    sleeper.ask(READ).server("CON GET").device("ACK").clock(246.0).quiet().clock(2.0).tells(Unanswered)


def test_late_answer(sleeper):
    """T25: the step's own timer decides how long to wait, not the exchange's."""
    sleeper.ask(READ)
    lost(sleeper).clock(600.0).device("ACK 2.05", payload=b"1").tells(Answered, command=READ).confirm()
    assert "no command waits" in sleeper.explained
    assert sleeper.lwm2m.sizes()["tokens"] == 0


def test_late_answer_while_it_is_under_way_again(sleeper):
    """The command is done; the other sending of it is repeated no more."""
    sleeper.ask(READ)
    lost(sleeper)
    first = sleeper.asked.message
    sleeper.updates().tells(Updated).confirm().server("ACK 2.04").server("CON GET", "3/0/3")
    sleeper.device("CON 2.05", token=first.token, payload=b"1").tells(Answered).confirm().server("ACK")
    sleeper.clock(300.0).quiet()
    assert sleeper.lwm2m.sizes()["tokens"] == 0


def test_late_acknowledgement(sleeper):
    """The device has it and will answer: it is under way again, and does not leave twice."""
    sleeper.ask(READ)
    lost(sleeper).device("ACK").quiet().updates().tells(Updated).confirm().server("ACK 2.04").quiet()
    sleeper.device("CON 2.05", payload=b"1", token=sleeper.asked.message.token).tells(Answered)
    sleeper.confirm().server("ACK")


def test_tokens_of_a_command_are_bounded(sleeper):
    """However often it leaves: three answers are waited for."""
    sleeper.ask(READ)
    for _ in range(10):
        lost(sleeper).updates().tells(Updated).confirm().server("ACK 2.04")
    sleeper.server("CON GET")
    assert sleeper.lwm2m.sizes()["tokens"] == 3


def test_device_wakes_between_retransmissions(sleeper):
    """What it may have missed is repeated at once, under the same message id: it may sleep again soon."""
    sleeper.clock(15.0).ask(READ, profile=NB_CLASS_2).server("CON GET").clock(10.0).quiet()
    sleeper.updates(remote="moved").tells(Updated).says_nothing().confirm().server("ACK 2.04", remote="moved")
    sleeper.server_repeats(remote="moved").device("ACK 2.05", payload=b"1", remote="moved")
    sleeper.tells(Answered).confirm()


def test_device_that_did_not_sleep_is_not_hurried(sleeper):
    """Its uplink crossed our command."""
    sleeper.clock(15.0).ask(READ, profile=NB_CLASS_2).server("CON GET").clock(1.0)
    sleeper.updates().tells(Updated).confirm().server("ACK 2.04").quiet()


def test_acknowledged_command_leaves_again_after_a_register(sleeper):
    """Who registers has forgotten what it had to answer."""
    sleeper.ask(READ).server("CON GET").device("ACK").registers().tells(Registered).confirm()
    sleeper.server("ACK 2.01").server("CON GET", "3/0/3").device("ACK 2.05", payload=b"1").tells(Answered)
    sleeper.confirm()


def test_command_on_its_way_through_a_register(sleeper):
    """T17: it is repeated to where the device is now."""
    sleeper.ask(READ).server("CON GET").registers(remote="moved").tells(Registered).confirm()
    sleeper.server("ACK 2.01", remote="moved").clock(3.0).server_repeats(remote="moved")


def test_bound_of_the_exchange(make_script):
    """Counted; it leaves when there is room and the device is heard."""
    script = make_script(bounds=Bounds(requests_max=1)).register().remember(STATE, b"token")
    script.ask(READ).quiet().counts(command_held_back=1).forget(b"token")
    script.server("CON GET", "3/0/3")


# -- dropped --


def test_dropped_before_it_left(sleeper):
    """It never does."""
    sleeper.clock(60.0).ask(READ).drop(READ).updates().tells(Updated).confirm().server("ACK 2.04")
    sleeper.drop(READ).drop(OTHER)
    sleeper.lwm2m.drop("nobody", READ, sleeper.now)


def test_dropped_while_under_way(sleeper):
    """Repeated no more, the next leaves at once; its answer is an uplink, no more."""
    sleeper.ask(READ).ask(OTHER).server("CON GET", "3/0/3")
    first = sleeper.asked.message
    sleeper.drop(READ).server("CON GET", "5/0/3")
    sleeper.device("ACK 2.05", message_id=first.message_id, token=first.token, payload=b"1").tells(Heard)
    sleeper.confirm().device("ACK 2.05", payload=b"1").tells(Answered, command=OTHER).confirm()


def test_dropped_and_never_answered(sleeper):
    """Nobody is told; the token dies in the end."""
    sleeper.ask(READ).server("CON GET").drop(READ).clock(300.0).quiet()
    sleeper.updates().tells(Updated).confirm().server("ACK 2.04").ask(OTHER).server("CON GET").drop(OTHER)
    assert sleeper.lwm2m.sizes()["tokens"] == 1


def test_dropped_observe_is_kept(sleeper):
    """The device may have taken it: what it notifies is matched (T14)."""
    sleeper.ask(Observe(path=STATE)).server("CON GET")
    token = sleeper.said("token")
    sleeper.drop(Observe(path=STATE)).device("ACK 2.05", observe=1, payload=b"0").tells(Heard).confirm()
    sleeper.device("CON 2.05", observe=2, token=token, payload=b"1").tells(Notified, token=token, path=STATE)
    sleeper.confirm().server("ACK")


def test_dropped_cancellation(sleeper):
    """The token is known until it is forgotten or the device answers."""
    sleeper.remember(STATE, b"token").ask(CancelObservation(path=STATE, token=b"token")).server("CON GET")
    sleeper.drop(CancelObservation(path=STATE, token=b"token")).clock(300.0).quiet()
    sleeper.device("ACK 2.05").tells(Heard).confirm()
    assert sleeper.lwm2m.sizes()["observations"] == 0


def test_two_answers_to_one_observe(sleeper):
    """It left twice, and the device took it twice: the second token is the one that it notifies under."""
    sleeper.ask(Observe(path=STATE))
    lost(sleeper)
    first = sleeper.asked.message.token
    sleeper.updates().tells(Updated).confirm().server("ACK 2.04").server("CON GET", observe=0)
    second = sleeper.said("token")
    sleeper.device("CON 2.05", token=first, observe=1, payload=b"0").tells(Observed, token=first).confirm()
    sleeper.server("ACK").device("ACK 2.05", observe=2, payload=b"0").tells(Observed, token=second).confirm()
    for token in (first, second):
        sleeper.device("NON 2.05", observe=9, token=token, payload=b"1").tells(
            Notified, token=token
        ).confirm()


def test_forgetting_what_is_under_way(sleeper):
    """The token of a cancellation, or of an Observe: nothing more comes of it."""
    sleeper.remember(STATE, b"token").ask(CancelObservation(path=STATE, token=b"token")).server("CON GET")
    sleeper.ask(READ).forget(b"token").server("CON GET", "3/0/3").device("ACK 2.05", payload=b"1")
    sleeper.tells(Answered, command=READ).confirm()
    assert sleeper.lwm2m.sizes()["tokens"] == 0


def test_answer_to_a_command_of_a_forgotten_device(script):
    """It was dropped, the device went, and nothing is known of it when it answers."""
    script.register().ask(READ).server("CON GET")
    first = script.asked.message
    script.drop(READ).device("CON DELETE", f"rd/{script.location}").tells(Deregistered).confirm()
    script.server("ACK 2.02").device("CON 2.05", token=first.token).tells(Heard).confirm().server("ACK")
    assert script.lwm2m.sizes()["devices known"] == 0


def test_long_write_goes_by_block1(sleeper):
    """The Exchange cuts it."""
    sleeper.ask(Write(path=Path(5, 0, 0), value=bytes(600))).server("CON PUT", block1=(0, True, 5))
    sleeper.device("ACK 2.31", block1=(0, True, 5)).server("CON PUT", block1=(1, False, 5))
    sleeper.device("ACK 2.04", block1=(1, False, 5)).tells(Answered).confirm()
