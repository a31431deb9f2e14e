"""Commands on the wire and what their answers say: protocol 5.3, LwM2M 1.1 transport, 6.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import FormatError
from headgate.lwm2m.commands import CancelObservation, Discover, Execute, Observe, Read, Write
from headgate.lwm2m.happenings import Answered, Heard, Observed, Refused, WasReset
from headgate.lwm2m.operations import values
from headgate.wire.resources import Path, Resources
from lwm2m_lines import DATA, RADIO, STATE, UPDATE, URI, VERSION

RADIO_TLV = bytes.fromhex("C100078301410007C1029E88040B48000831302E302E302E37C4080B2F60B1C10B09")
FRAME = bytes.fromhex("FFFE01134C9A0000")


def test_read(sleeper):
    """GET with Accept; the values with the types of their resources."""
    sleeper.ask(Read(path=VERSION)).server("CON GET", "3/0/3", accept=0, observe=None, payload=b"")
    sleeper.device("ACK 2.05", content_format=0, payload=b"V1.0")
    sleeper.tells(Answered, command=Read(path=VERSION), resources=Resources({VERSION: "V1.0"}))
    sleeper.confirm()


def test_read_of_an_instance(sleeper):
    """4/0 in TLV, the example of protocol 4.1."""
    sleeper.ask(Read(path=RADIO)).server("CON GET", "4/0", accept=11542)
    sleeper.device("ACK 2.05", content_format=11542, payload=RADIO_TLV).tells(Answered)
    found = sleeper.event.resources
    assert (found[4, 0, 2], found[4, 0, 8], found[4, 0, 11]) == (-98, 187654321, 9)
    sleeper.confirm()


def test_read_by_block2(sleeper):
    """A whole instance in blocks of 128 bytes, as some clients send it."""
    text = b"V" * 200
    sleeper.ask(Read(path=VERSION)).server("CON GET")
    sleeper.device("ACK 2.05", content_format=0, payload=text[:128], block2=(0, True, 3))
    sleeper.server("CON GET", "3/0/3", block2=(1, False, 3))
    sleeper.device("ACK 2.05", content_format=0, payload=text[128:], block2=(1, False, 3))
    sleeper.tells(Answered, payload=text).confirm()


def test_discover(sleeper):
    """GET with Accept 40; the links are handed on as they are."""
    sleeper.ask(Discover(path=Path(5))).server("CON GET", "5", accept=40)
    sleeper.device("ACK 2.05", content_format=40, payload=b"</5/0/3>")
    sleeper.tells(Answered, resources=None, payload=b"</5/0/3>").confirm()


@pytest.mark.parametrize(
    ("value", "content_format", "payload"),
    [
        ("coap://h/k", 0, b"coap://h/k"),
        ("", 0, b""),
        ("coap://h/k", 11542, b"\xc8\x01\x0acoap://h/k"),
        ("", 11542, b"\xc0\x01"),
        ("coap://h/k", None, b"coap://h/k"),
    ],
)
def test_write(sleeper, value, content_format, payload):
    """PUT; text has the Content-Format 0, which is an option without bytes (T42)."""
    sleeper.ask(Write(path=URI, value=value, content_format=content_format))
    sleeper.server("CON PUT", "5/0/1", content_format=content_format or 0, payload=payload)
    sleeper.device("ACK 2.04").tells(Answered, resources=None).confirm()


def test_write_of_bytes(sleeper):
    """A PCP frame as it is, Content-Format 42."""
    sleeper.ask(Write(path=Path(19, 1, 0), value=FRAME))
    sleeper.server("CON PUT", "19/1/0", content_format=42, payload=FRAME)
    sleeper.device("ACK 2.04").tells(Answered).confirm()


def test_published_uri_write(sleeper):
    """Frame of protocol 5.3, its options byte by byte."""
    sleeper.ask(Write(path=URI, value="u", content_format=0))
    assert sleeper.leaves()[12:] == bytes.fromhex("B1350130013110FF") + b"u"


def test_published_execute(sleeper):
    """No payload and no format: clients refuse Execute with any (T42)."""
    sleeper.ask(Execute(path=UPDATE))
    assert sleeper.leaves()[12:] == bytes.fromhex("B13501300132")


def test_execute_with_arguments(sleeper):
    """As text."""
    sleeper.ask(Execute(path=Path(9, 0, 6), arguments=b"1"))
    sleeper.server("CON POST", "9/0/6", content_format=0, payload=b"1").device("ACK 2.04")
    sleeper.tells(Answered).confirm()


def test_observe_and_cancel(sleeper):
    """Observe 0, later Observe 1 with the same token and path."""
    sleeper.ask(Observe(path=STATE)).server("CON GET", "5/0/3", observe=0, accept=0)
    token = sleeper.said("token")
    assert len(token) == 8
    sleeper.device("ACK 2.05", observe=5, content_format=0, payload=b"0")
    sleeper.tells(Observed, token=token, observing=True, payload=b"0", content_format=0)
    assert sleeper.event.resources == Resources({STATE: 0})
    cancel = CancelObservation(path=STATE, token=token)
    sleeper.confirm().ask(cancel).server("CON GET", "5/0/3", observe=1, token=token)
    sleeper.device("ACK 2.05", content_format=0, payload=b"0").tells(Answered, command=cancel).confirm()
    assert sleeper.lwm2m.sizes()["observations"] == 0


def test_cancel_in_another_process(sleeper):
    """Of an observation that is not known: the token and path are all it takes."""
    sleeper.ask(CancelObservation(path=STATE, token=b"pre-boot"))
    sleeper.server("CON GET", "5/0/3", observe=1, token=b"pre-boot").device("ACK 2.05")
    sleeper.tells(Answered).confirm()


def test_observe_answered_as_a_read(sleeper):
    """Without Observe option; the token stays known all the same."""
    sleeper.ask(Observe(path=STATE)).server("CON GET").device("ACK 2.05", payload=b"1")
    sleeper.tells(Observed, observing=False, resources=Resources({STATE: 1})).confirm()


def test_observe_answered_by_2_04(sleeper):
    """T20: a published API page has it so."""
    sleeper.ask(Observe(path=STATE)).server("CON GET").device("ACK 2.04", observe=1, payload=b"0")
    sleeper.tells(Observed, observing=True).confirm()


def test_first_answer_of_a_data_container(sleeper):
    """T20: a single zero byte, which is no frame; it does not matter what can be made of it."""
    sleeper.ask(Observe(path=DATA, accept=42)).server("CON GET", "19/0/0", accept=42)
    sleeper.device("ACK 2.05", observe=0, payload=b"\0").tells(Observed, payload=b"\0", observing=True)
    sleeper.confirm()


def test_alternate_root(script):
    """Every path is below it."""
    script.register(payload=b'</lwm2m>;rt="oma.lwm2m",</lwm2m/3/0>,</lwm2m/5/0>')
    script.ask(Read(path=VERSION)).server("CON GET", "lwm2m/3/0/3").device("ACK 2.05", payload=b"1")
    script.tells(Answered, resources=Resources({VERSION: "1"})).confirm()
    script.remember(STATE, b"old").ask(CancelObservation(path=STATE, token=b"old"))
    script.server("CON GET", "lwm2m/5/0/3", observe=1, token=b"old").device("ACK 4.04")
    script.tells(Refused, code="4.04").confirm()


@pytest.mark.parametrize("code", ["4.00", "4.01", "4.03", "4.04", "4.05"])
@pytest.mark.parametrize(
    "command",
    [
        Read(path=VERSION),
        Discover(path=RADIO),
        Write(path=URI, value="u"),
        Execute(path=UPDATE),
        Observe(path=STATE),
        CancelObservation(path=STATE, token=b"12345678"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_errors(sleeper, command, code):
    """The code is told; the command is over, and so is its token."""
    sleeper.ask(command).leaves()
    message_id, token = sleeper.last.message.message_id, sleeper.last.message.token
    sleeper.device(f"ACK {code}", message_id=message_id, token=token)
    sleeper.tells(Refused, command=command, code=code).confirm()
    sizes = sleeper.lwm2m.sizes()
    assert sizes["observations"] == sizes["tokens"] == 0


def test_reset(sleeper):
    """Told as such."""
    command = Read(path=VERSION)
    sleeper.ask(command).server("CON GET").device("RST").tells(WasReset, command=command).confirm()
    assert sleeper.lwm2m.sizes()["tokens"] == 0


def test_separate_response_is_acknowledged_after_its_commit(sleeper):
    """Empty ACK first, a CON later: what it says is to be stored before it is acknowledged."""
    sleeper.ask(Execute(path=UPDATE)).server("CON POST").device("ACK").quiet()
    sleeper.clock(5.0).device("CON 2.04").tells(Answered).says_nothing().confirm().server("ACK")


def test_response_that_is_of_no_use(sleeper):
    """A block that was not asked for: Refused, with the reason in words, when no other format may do."""
    sleeper.ask(Write(path=URI, value="u", content_format=0)).server("CON PUT")
    sleeper.device("ACK 2.04", block2=(0, True, 0), payload=b"short")
    sleeper.tells(Refused, code="the response's block is not the one asked for").confirm()


def test_value_that_cannot_be_written(sleeper):
    """The caller hears of it, not the device."""
    with pytest.raises(FormatError):
        sleeper.ask(Write(path=Path(5, 0, 13), value="soon"))
    with pytest.raises(FormatError):
        sleeper.ask(Write(path=URI, value="u", content_format=42))
    with pytest.raises(FormatError):
        sleeper.ask(Write(path=URI, value="u", content_format=40))
    assert "no command waits" in sleeper.explained


@pytest.mark.parametrize(
    ("content_format", "payload", "path", "found"),
    [
        (None, b"1", STATE, {STATE: 1}),
        (0, b"1", STATE, {STATE: 1}),
        (1541, b"1", STATE, {STATE: 1}),
        (None, b"\xc1\x03\x01", STATE, {STATE: 1}),
        (0, b"\xc1\x03\x01", STATE, {STATE: 1}),
        (1542, b"\xc1\x03\x01", STATE, {STATE: 1}),
        (42, b"V1.0", VERSION, {VERSION: "V1.0"}),
        (11543, b'{"bn":"/5/0/","e":[{"n":"3","v":2}]}', STATE, {STATE: 2}),
        (0, b"\xc1\x02\x9e", RADIO, {(4, 0, 2): -98}),
        (42, FRAME, DATA, {DATA: FRAME}),
        (0, b"idle", STATE, None),
        (40, b"</5/0/3>", STATE, None),
        (11542, b"\xff", RADIO, None),
    ],
)
def test_tolerant_values(content_format, payload, path, found):
    """T20: the format is believed; where it is missing or wrong, TLV and text are tried."""
    expected = None if found is None else Resources(found)
    assert values(content_format, payload, path) == expected


@given(st.none() | st.integers(0, 65535), st.binary(max_size=64), st.sampled_from([STATE, RADIO, DATA]))
def test_any_payload(content_format, payload, path):
    """Values or None; no payload is an accident."""
    found = values(content_format, payload, path)
    assert found is None or all(each[: len(path)] == path for each in found)


@pytest.mark.parametrize("code", ["4.06", "4.15", "5.00", "4.02"])
def test_codes_that_may_be_about_the_format(sleeper, code):
    """Heard, for the uplink; the command goes on in the next format when that is confirmed."""
    sleeper.ask(Read(path=VERSION)).server("CON GET", accept=0).device(f"ACK {code}")
    sleeper.tells(Heard).says_nothing().confirm().server("CON GET", "3/0/3", accept=None)
    sleeper.device("ACK 2.05", payload=b"1").tells(Answered).confirm()
