"""Send: values with their times, from whoever is known at the address. LwM2M 1.1 core, 6.4.6."""

from __future__ import annotations

import cbor2
import pytest

from headgate.lwm2m.commands import Read
from headgate.lwm2m.happenings import Sent, Updated
from headgate.wire.records import Record
from headgate.wire.resources import Path
from lwm2m_lines import VERSION

RSRP, SINR = Path(4, 0, 2), Path(4, 0, 11)
JSON = b'[{"bn":"/4/0/","n":"2","v":-98},{"n":"11","v":9}]'
BODIES = {
    110: JSON,
    112: cbor2.dumps([{-2: "/4/0/", 0: "2", 2: -98}, {0: "11", 2: 9}]),
    11544: cbor2.dumps({4: {0: {2: -98, 11: 9}}}),
}


@pytest.mark.parametrize("content_format", BODIES)
def test_send(sleeper, content_format):
    """2.04 after the commit, in each of the formats that may carry it."""
    sleeper.device("CON POST", "dp", content_format=content_format, payload=BODIES[content_format])
    expected = (Record(path=RSRP, value=-98), Record(path=SINR, value=9))
    sleeper.tells(Sent, records=expected).says_nothing().confirm().server("ACK 2.04")


def test_values_of_a_long_sleep(sleeper):
    """Several of one resource, each with its time."""
    body = b'[{"bn":"/4/0/2","bt":1700000000,"v":-98},{"t":60,"v":-99}]'
    sleeper.device("CON POST", "dp", content_format=110, payload=body).tells(Sent)
    assert [(record.time_s, record.value) for record in sleeper.event.records] == [
        (1700000000, -98),
        (1700000060, -99),
    ]
    sleeper.confirm().server("ACK 2.04")


def test_send_is_an_uplink(sleeper):
    """The device is awake."""
    sleeper.clock(60.0).ask(Read(path=VERSION)).device("NON POST", "dp", content_format=110, payload=JSON)
    sleeper.tells(Sent).confirm().server("NON 2.04").server("CON GET", "3/0/3")


def test_send_from_the_newest_address(sleeper):
    """There is no other way to know whose it is: an Update goes before."""
    sleeper.device("CON POST", "dp", content_format=110, payload=JSON, remote="moved")
    sleeper.server("ACK 4.04", remote="moved").counts(send_from_unknown_address=1)
    sleeper.updates(remote="moved").tells(Updated).confirm().server("ACK 2.04", remote="moved")
    sleeper.device("CON POST", "dp", content_format=110, payload=JSON).server("ACK 4.04")
    sleeper.device("CON POST", "dp", content_format=110, payload=JSON, remote="moved").tells(Sent)
    sleeper.confirm().server("ACK 2.04", remote="moved")


@pytest.mark.parametrize(
    ("content_format", "payload", "code", "reason"),
    [
        (None, JSON, "4.00", "send without content format"),
        (0, b"1", "4.15", "send in another format"),
        (11542, b"\xc1\x02\x9e", "4.15", "send in another format"),
        (110, b"[", "4.00", "send malformed"),
        (112, b"\x9f", "4.00", "send malformed"),
        (110, b'[{"n":"/4/0/2","vs":"loud"}]', "4.00", "send malformed"),
    ],
)
def test_refused_sends(sleeper, content_format, payload, code, reason):
    """At once, and counted."""
    sleeper.device("CON POST", "dp", content_format=content_format, payload=payload).server(f"ACK {code}")
    assert sleeper.lwm2m.counts[reason] == 1
