"""Which content format is asked for, and what becomes of it: traps T30, T37, T38 and T42 of the protocol."""

from __future__ import annotations

import pytest

from headgate.lwm2m.commands import Discover, Observe, Read, Write
from headgate.lwm2m.happenings import Answered, Heard, Observed, Refused, Unanswered, Updated
from headgate.wire.resources import Path, Resources
from lwm2m_lines import DATA, RADIO, STATE, URI, VERSION

RADIO_JSON = b'[{"bn":"/4/0/","n":"2","v":-98}]'


def test_client_that_honours_no_accept(sleeper):
    """T30: 4.06 to text; without Accept it answers in what it likes best, and that is remembered."""
    sleeper.ask(Read(path=VERSION)).server("CON GET", accept=0).device("ACK 4.06").tells(Heard).confirm()
    sleeper.server("CON GET", accept=None).device("ACK 2.05", content_format=11542, payload=b"\xc2\x03V1")
    sleeper.tells(Answered, resources=Resources({VERSION: "V1"}))
    assert sleeper.event.changed is sleeper.registration
    assert sleeper.registration.formats == (("one", None),)
    sleeper.confirm().ask(Read(path=STATE)).server("CON GET", accept=None)
    sleeper.device("ACK 2.05", payload=b"0").tells(Answered, changed=None).confirm()


def test_then_tlv(sleeper):
    """T30: where neither does, TLV."""
    sleeper.ask(Read(path=VERSION))
    for accept in (0, None):
        sleeper.server("CON GET", accept=accept).device("ACK 4.06").tells(Heard).confirm()
    sleeper.server("CON GET", accept=11542).device("ACK 2.05", content_format=11542, payload=b"\xc2\x03V1")
    sleeper.tells(Answered).confirm()


def test_client_that_knows_text_and_json_only(script):
    """T37: without Accept 5.00, for the others 4.06. Asked once, it is asked right from then on."""
    script.register(query=("lwm2m=1.1", "b=U", "Q")).ask(Read(path=RADIO))
    for accept, code in ((11542, "4.06"), (None, "5.00")):
        script.server("CON GET", accept=accept).device(f"ACK {code}").tells(Heard).confirm()
    script.server("CON GET", accept=110).device("ACK 2.05", content_format=110, payload=RADIO_JSON)
    script.tells(Answered, resources=Resources({(4, 0, 2): -98})).confirm()
    script.ask(Read(path=RADIO)).server("CON GET", accept=110)
    script.device("ACK 2.05", content_format=110, payload=RADIO_JSON).tells(Answered).confirm()
    script.ask(Read(path=VERSION)).server("CON GET", accept=0).device("ACK 2.05", payload=b"1")
    script.tells(Answered).confirm()
    assert script.registration.formats == (("many", 110), ("one", 0))


def test_no_format_does(sleeper):
    """Each once, then the last code is told."""
    sleeper.ask(Read(path=VERSION))
    for accept in (0, None, 11542, 110):
        sleeper.server("CON GET", accept=accept).device("ACK 4.06").tells(Heard).confirm()
    sleeper.server("CON GET", accept=112).device("ACK 5.00")
    sleeper.tells(Refused, code="5.00").confirm()
    assert sleeper.registration.formats == ()


def test_answer_that_cannot_be_read(sleeper):
    """Counted, and the next format is tried; at the end it is told as it is."""
    sleeper.ask(Read(path=STATE))
    for accept in (0, None, 11542, 110):
        sleeper.server("CON GET", accept=accept).device("ACK 2.05", content_format=0, payload=b"idle")
        sleeper.tells(Heard).confirm()
    sleeper.server("CON GET", accept=112).device("ACK 2.05", content_format=0, payload=b"idle")
    sleeper.tells(Answered, resources=None, payload=b"idle", changed=None).confirm()
    sleeper.counts(answer_not_readable=5)


def test_response_of_no_use(sleeper):
    """A block that nobody asked for: another format may be shorter."""
    sleeper.ask(Read(path=STATE)).server("CON GET", accept=0)
    sleeper.device("ACK 2.05", block2=(0, True, 0), payload=b"short").tells(Heard).confirm()
    sleeper.server("CON GET", accept=None).device("ACK 2.05", payload=b"1").tells(Answered).confirm()


def test_sleeper_that_is_silent_about_a_format(sleeper):
    """T38: no answer to TLV. At the next uplink another is tried, for nobody knows whether it slept."""
    sleeper.ask(Read(path=RADIO)).server("CON GET", accept=11542).clock(100.0)
    for _ in range(4):
        sleeper.server_repeats()
    sleeper.tells(Unanswered).updates().tells(Updated).confirm().server("ACK 2.04")
    sleeper.server("CON GET", accept=None).device("ACK 2.05", content_format=110, payload=RADIO_JSON)
    sleeper.tells(Answered).confirm()


def test_waking_device_that_is_silent_about_a_format(script):
    """T38 without queue mode: it is there, so the next format leaves at once, but each only once."""
    script.register(query=("lwm2m=1.0", "b=U")).ask(Read(path=RADIO))
    for accept in (11542, None, 110, 112, 11543):
        script.server("CON GET", accept=accept).clock(100.0)
        for _ in range(4):
            script.server_repeats()
        script.tells(Unanswered)
    script.clock(10_000.0).quiet().updates().tells(Updated).confirm().server("ACK 2.04")
    script.server("CON GET", accept=11542).device("ACK 4.04").tells(Refused).confirm()


def test_proven_format_is_kept_through_silence(sleeper):
    """What has worked will: the device slept."""
    sleeper.ask(Read(path=VERSION)).server("CON GET", accept=0).device("ACK 2.05", payload=b"1")
    sleeper.tells(Answered).confirm().ask(Read(path=STATE)).server("CON GET", accept=0).clock(100.0)
    for _ in range(4):
        sleeper.server_repeats()
    sleeper.tells(Unanswered).updates().tells(Updated).confirm().server("ACK 2.04")
    sleeper.server("CON GET", "5/0/3", accept=0).device("ACK 2.05", payload=b"1").tells(Answered).confirm()


def test_refused_format_of_an_earlier_sending(sleeper):
    """A late 4.06 is about the format it answers, not about the one under way."""
    sleeper.ask(Read(path=RADIO)).server("CON GET", accept=11542).clock(100.0)
    first = sleeper.asked.message
    for _ in range(4):
        sleeper.server_repeats()
    sleeper.tells(Unanswered).updates().tells(Updated).confirm().server("ACK 2.04")
    sleeper.server("CON GET", accept=None)
    sleeper.device("CON 4.06", token=first.token).tells(Heard).confirm().server("ACK")
    sleeper.device("ACK 4.06").tells(Heard).confirm().server("CON GET", accept=110)
    sleeper.device("ACK 4.06").tells(Heard).confirm().server("CON GET", accept=112)
    sleeper.device("ACK 4.06").tells(Heard).confirm().server("CON GET", accept=11543)
    sleeper.device("ACK 4.06").tells(Refused, code="4.06").confirm()


def test_observe_has_the_same_chain(sleeper):
    """Each under a token of its own; those that were refused are not known any more."""
    sleeper.ask(Observe(path=STATE)).server("CON GET", observe=0, accept=0).device("ACK 4.06")
    sleeper.tells(Heard).confirm().server("CON GET", observe=0, accept=None)
    token = sleeper.said("token")
    sleeper.device("ACK 2.05", observe=1, content_format=11542, payload=b"\xc1\x03\0")
    sleeper.tells(Observed, token=token, resources=Resources({STATE: 0}))
    assert sleeper.event.changed is sleeper.registration
    sleeper.confirm()
    assert sleeper.lwm2m.sizes()["observations"] == 1


def test_observation_that_cannot_be_read(sleeper):
    """Its notifications could not be read either: the next format takes its place."""
    sleeper.ask(Observe(path=STATE)).server("CON GET", accept=0)
    sleeper.device("ACK 2.05", observe=1, content_format=60, payload=b"\xff").tells(Heard).confirm()
    sleeper.server("CON GET", accept=None).device("ACK 2.05", observe=1, payload=b"0")
    sleeper.tells(Observed).confirm()
    assert sleeper.lwm2m.sizes()["observations"] == 1


def test_accept_that_the_caller_wants(sleeper):
    """First; what is known of the device goes before it."""
    sleeper.ask(Observe(path=DATA, accept=42)).server("CON GET", accept=42).device("ACK 4.06")
    sleeper.tells(Heard).confirm().server("CON GET", accept=None)
    sleeper.device("ACK 2.05", observe=1, content_format=42, payload=b"x").tells(Observed).confirm()
    sleeper.ask(Observe(path=DATA, accept=42)).server("CON GET", accept=None)
    sleeper.device("ACK 2.05", observe=1, content_format=42, payload=b"x").tells(Observed).confirm()


def test_format_that_the_caller_writes_in(sleeper):
    """No other is tried: who asked for it decides what the refusal means."""
    sleeper.ask(Write(path=URI, value="u", content_format=0)).server("CON PUT", content_format=0)
    sleeper.device("ACK 4.15").tells(Refused, code="4.15").confirm()


def test_written_otherwise(sleeper):
    """Text, then TLV; what was taken is remembered."""
    sleeper.ask(Write(path=URI, value="u")).server("CON PUT", content_format=0).device("ACK 4.15")
    sleeper.tells(Heard).confirm().server("CON PUT", content_format=11542).device("ACK 2.04")
    sleeper.tells(Answered).confirm()
    assert sleeper.registration.formats == (("write", 11542),)
    sleeper.ask(Write(path=URI, value="v")).server("CON PUT", content_format=11542).device("ACK 2.04")
    sleeper.tells(Answered).confirm()


def test_resource_with_instances(sleeper):
    """Text cannot carry it, so it is not asked for."""
    sleeper.ask(Read(path=Path(5, 0, 8))).server("CON GET", "5/0/8", accept=11542)
    sleeper.device("ACK 2.05", content_format=11542, payload=bytes.fromhex("8608410000410101"))
    sleeper.tells(Answered, resources=Resources({(5, 0, 8, 0): 0, (5, 0, 8, 1): 1})).confirm()


@pytest.mark.parametrize(
    ("version", "listed", "accept"),
    [
        ("1.0", "11543", 11542),
        ("1.0", "112", 11542),
        ("1.1", "110", 110),
        ("1.1", "110 112", 112),
        ("1.1", "11542 112", 112),
        ("1.2", "11544", 11544),
        ("1.2", "60", 11542),
    ],
)
def test_formats_that_a_client_lists(script, version, listed, accept):
    """From LwM2M 1.1 on, the shortest of them; 1.0 has TLV always."""
    script.register(query=(f"lwm2m={version}",), payload=f'</>;rt="oma.lwm2m";ct="{listed}",</4/0>'.encode())
    script.ask(Read(path=RADIO)).server("CON GET", accept=accept)


def test_discover_without_accept(sleeper):
    """There is one format for links; a client that cannot honour Accept has it all the same."""
    sleeper.ask(Discover(path=RADIO)).server("CON GET", accept=40).device("ACK 4.06")
    sleeper.tells(Refused, code="4.06").confirm()
