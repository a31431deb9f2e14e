"""Another process: registrations and observations are restored, and devices do not notice."""

from __future__ import annotations

from headgate.engine.retransmission import Retransmission
from headgate.lwm2m.commands import Observe, Read
from headgate.lwm2m.happenings import Answered, Expired, Heard, Notified, Observed, Unanswered, Updated
from lwm2m_lines import ENDPOINT, STATE, VERSION, DeviceLines

ONCE = Retransmission(ack_timeout_s=2.0, max_retransmit=0)


def restarted(script: DeviceLines, *, later_s: float = 60.0, **settings) -> DeviceLines:
    """The script, with a server that knows what was stored of the one before."""
    after = DeviceLines(seed=2, **settings)
    after.now = script.now + later_s
    after.location = script.location
    after.lwm2m.restore([script.registration], after.now)
    return after


def test_location_is_known(sleeper):
    """An Update goes on."""
    after = restarted(sleeper)
    assert after.registration == sleeper.registration
    assert not after.awake
    after.updates().tells(Updated).confirm().server("ACK 2.04").quiet()


def test_device_without_queue_mode_is_awake(script):
    """As before."""
    script.register(query=("b=U",))
    restarted(script).ask(Read(path=VERSION)).server("CON GET", "3/0/3")


def test_observation_is_known(sleeper):
    """By its token, from a new port even; its end can be asked for."""
    after = restarted(sleeper).remember(STATE, b"observed")
    after.device("CON 2.05", observe=1, token=b"observed", remote="moved").tells(Notified, path=STATE)
    assert after.event.changed == sleeper.registration.evolved(remote="moved")
    after.confirm().server("ACK", remote="moved").quiet()


def test_an_observe_that_may_have_left_leaves_under_the_same_token(sleeper):
    """It was drawn and stored before; a notification by it is known at once, and so is the answer."""
    token = sleeper.lwm2m.new_token()
    command = Observe(path=STATE, token=token)
    sleeper.ask(command).server("CON GET", "5/0/3", token=token)
    after = restarted(sleeper).remember(STATE, token)
    after.device("CON 2.05", observe=9, token=token, payload=b"1").tells(Notified, path=STATE).confirm()
    after.server("ACK").ask(command).server("CON GET", "5/0/3", token=token)
    after.device("ACK 2.05", observe=10, payload=b"1").tells(Observed, token=token, observing=True).confirm()
    after.device("CON 2.05", observe=11, token=token, payload=b"2").tells(Notified, stale=False).confirm()
    after.server("ACK").quiet()


def test_an_observe_that_leaves_again_has_a_new_token(sleeper):
    """It was not answered. An answer to either will do."""
    token = sleeper.lwm2m.new_token()
    sleeper.ask(Observe(path=STATE, token=token), profile=ONCE).server("CON GET", token=token)
    sleeper.clock(ONCE.max_transmit_wait_s).tells(Unanswered).heard().server("CON GET", "5/0/3")
    assert sleeper.asked.message.token != token
    sleeper.device("CON 2.05", observe=1, token=token, payload=b"0").tells(Observed, token=token).confirm()
    sleeper.server("ACK")


def test_what_was_not_confirmed_is_repeated(sleeper):
    """The Update that died with the process comes again, and is new to the next one."""
    sleeper.updates().tells(Updated)
    said = sleeper._said
    after = restarted(sleeper)
    after._said = said
    after.again().tells(Updated).confirm().server("ACK 2.04").quiet()


def test_answer_to_a_command_of_the_process_before(sleeper):
    """Nobody waits for it, but the device is there."""
    sleeper.ask(Read(path=VERSION)).server("CON GET").device("ACK")
    after = restarted(sleeper).ask(Read(path=VERSION))
    after.device("CON 2.05", token=sleeper.asked.message.token, payload=b"1").tells(Heard).confirm()
    after.server("ACK").server("CON GET", "3/0/3").device("ACK 2.05", payload=b"1").tells(Answered).confirm()
    after.quiet()


def test_lifetime_that_ended_meanwhile(sleeper):
    """Its Update may have come while nobody listened: it has the grace from the start on."""
    after = restarted(sleeper, later_s=100_000.0, grace_s=300.0)
    after.clock(299.0).quiet().clock(1.0).tells(Expired).quiet()


def test_formats_are_known(sleeper):
    """What was learned is not learned again."""
    sleeper.ask(Read(path=VERSION)).server("CON GET", accept=0).device("ACK 4.06").tells(Heard).confirm()
    sleeper.server("CON GET", accept=None).device("ACK 2.05", payload=b"1").tells(Answered)
    assert sleeper.event.changed is sleeper.registration
    after = restarted(sleeper.confirm()).ask(Read(path=VERSION)).heard().server("CON GET", accept=None)
    after.quiet()


def test_restored_devices_share(sleeper):
    """Equal objects and formats of many rows are kept once."""
    rows = [
        sleeper.registration.evolved(endpoint=f"{number}", location=f"{number}", remote=number)
        for number in range(3)
    ]
    copies = [
        row.evolved(objects=type(row.objects)(**{n: getattr(row.objects, n) for n in row.objects.__slots__}))
        for row in rows
    ]
    after = DeviceLines()
    after.lwm2m.restore(copies, after.now)
    assert len({id(after.lwm2m.registration(row.endpoint).objects) for row in rows}) == 1
    assert len(after.lwm2m) == 3
    assert after.lwm2m.registration(ENDPOINT) is None
