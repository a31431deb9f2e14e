"""What an Exchange rejects, refuses or ignores, and how it answers requests. RFC 7252 sections 4 and 5."""

from __future__ import annotations

import pytest

from datagrams import (
    ACK,
    NON,
    PROXY_SCHEME,
    PROXY_URI,
    Q_BLOCK1,
    RST,
    URI_HOST,
    URI_PORT,
    empty,
    request,
)
from headgate.engine.events import (
    Cause,
    NotificationReceived,
    RequestAcknowledged,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)

UNKNOWN_CRITICAL = (2049, b"")
UNKNOWN_ELECTIVE = (2050, b"")


def test_ping_is_answered_by_a_reset(script):
    """An Empty CON asks whether we are there: RFC 7252 section 4.3."""
    script.device("CON").server("RST").counts(pings=1)


@pytest.mark.parametrize(
    ("name", "datagram", "rejected"),
    [
        ("no header", "40", False),
        ("version 0", "00011234", False),
        ("token past the end", "48011234", True),
        ("token length 15", "4F011234", True),
        ("option past the end", "40011234B5", True),
        ("option nibble 15", "40011234F1", True),
        ("marker without payload", "40011234FF", True),
        ("Empty with a token", "4100123400", True),
        ("class 1", "40211234", True),
        ("class 6", "40C11234", True),
        ("class 7", "40E11234", True),
        ("class 7 in a NON", "50E11234", False),
        ("class 7 in an ACK", "60E11234", False),
        ("NON with a bad option", "50011234B5", False),
        ("ACK with a bad option", "60451234B5", False),
        ("Reset with a code", "70451234", False),
    ],
)
def test_format_errors(script, name, datagram, rejected):
    """A Reset for a CON, silence for all else, and for a wrong version always: sections 3 and 4.2."""
    script.arrives(bytes.fromhex(datagram))
    if rejected:
        script.counts(format_error_in_CON=1, format_error=0)
        assert script.leaves().hex() == "70001234"
    else:
        script.counts(format_error_in_CON=0, format_error=1)


@pytest.mark.parametrize("datagram", [empty(NON), request("rd", type=ACK), empty(ACK), empty(RST)])
def test_messages_of_no_meaning_are_ignored(script, datagram):
    """An Empty NON, a request in an ACK; an ACK and a Reset that nobody waits for: sections 4.2 and 4.3."""
    script.arrives(datagram).quiet()
    assert sum(script.exchange.counts.values()) == 2  # received, and the reason


def test_unknown_method_is_not_allowed(script):
    """4.05 for any request code that RFC 7252 and RFC 8132 do not define: section 5.8."""
    for code in (8, 31):
        assert script.arrives(request("rd", code=code, message_id=code)).leaves()[1] == 0x85
    assert script.exchange.counts["refused by 4.05"] == 2


@pytest.mark.parametrize("option", [UNKNOWN_CRITICAL, (Q_BLOCK1, b"\x06"), (URI_HOST, b"")])
def test_unknown_critical_option_in_a_request(script, option):
    """4.02 in a CON; a NON is rejected in silence. One of wrong length is unknown: sections 5.4.1, 5.4.3."""
    script.device("CON POST", "rd", more=(option,)).server("ACK 4.02")
    script.device("NON POST", "rd", more=(option,)).quiet()
    assert script.exchange.counts["bad option in NON request"] == 1


def test_unknown_elective_option_is_ignored(script):
    """Section 5.4.1; so are Uri-Host and Uri-Port, for we are nobody's proxy (T1)."""
    script.device("CON POST", "rd", more=(UNKNOWN_ELECTIVE, (URI_HOST, b"x"), (URI_PORT, b"\x50")))
    script.tells(RequestReceived, code="POST").respond("2.04").server("ACK 2.04")


@pytest.mark.parametrize("option", [(PROXY_URI, b"coap://x/"), (PROXY_SCHEME, b"coap")])
def test_proxying_is_not_supported(script, option):
    """Section 5.10.2: 5.05."""
    script.device("CON GET", "rd", more=(option,)).server("ACK 5.05")


def test_request_is_answered_in_its_ack(script):
    """Piggybacked, with the message id and the token of the request: section 5.2.1."""
    script.device("CON POST", "rd", message_id=0x1234, token=b"tokn", payload=b"</>")
    script.tells(RequestReceived, payload=b"</>", remote=script.address)
    script.respond("2.01", more=((8, b"rd"), (8, b"5")), payload=b"ok")
    script.server("ACK 2.01", message_id=0x1234, token=b"tokn", payload=b"ok")


def test_request_without_a_token(script):
    """Section 5.3.1: a token may be empty."""
    script.device("CON POST", "rd", token=b"").tells(RequestReceived)
    script.respond("2.04").server("ACK 2.04", token=b"")


def test_non_request_is_answered_by_a_non(script):
    """Under the id of the request, so that nothing is remembered about the peer (docs/adr/0005)."""
    script.device("NON POST", "dp", message_id=0x4321).tells(RequestReceived)
    script.acknowledge().respond("2.04").server("NON 2.04", message_id=0x4321)
    assert script.exchange.sizes()["devices"] == 0


def test_separate_response(script):
    """An Empty ACK, then a CON with the token of the request, until that is acknowledged: section 5.2.2."""
    script.device("CON POST", "rd", token=b"slow").tells(RequestReceived)
    handle = script.event.handle
    script.acknowledge().server("ACK")
    script.clock(1.0).respond("2.01", handle=handle)
    script.server("CON 2.01", token=b"slow")
    script.clock(3.5).server_repeats()
    script.device("ACK").clock(300.0).quiet()
    assert script.exchange.sizes()["separate"] == 0


def test_a_second_ack_is_not_sent(script):
    """However often the caller acknowledges."""
    script.device("CON POST", "rd").tells(RequestReceived)
    script.acknowledge().server("ACK").acknowledge().reset().quiet()


def test_a_request_has_one_response(script):
    """A second one is a bug of the caller."""
    script.device("CON POST", "rd").tells(RequestReceived).respond("2.04").server("ACK 2.04")
    with pytest.raises(AssertionError, match="one response"):
        script.respond("2.04")


def test_a_response_is_one_datagram(script):
    """At most 1024 bytes of payload fit an MTU of 1280: section 4.6."""
    script.device("CON GET", "rd").tells(RequestReceived)
    with pytest.raises(ValueError, match="at most 1024"):
        script.respond("2.05", payload=bytes(1025))
    script.respond("2.05", payload=bytes(1024)).server("ACK 2.05")


@pytest.mark.parametrize("option", [UNKNOWN_CRITICAL, (Q_BLOCK1, b"\x06")])
def test_unknown_critical_option_in_a_response(script, option):
    """The response is rejected: by a Reset if it is a CON or NON, else in silence: section 5.4.1."""
    script.request("GET", "4/0").server("CON GET").device("ACK 2.05", more=(option,))
    script.tells(RequestFailed, cause=Cause.BAD_OPTION).forget()
    script.request("GET", "4/0").server("CON GET").device("CON 2.05", more=(option,)).server("RST")
    script.tells(RequestFailed, cause=Cause.BAD_OPTION).forget()
    script.request("GET", "4/0").server("CON GET").device("NON 2.05", more=(option,)).server("RST")
    script.tells(RequestFailed, cause=Cause.BAD_OPTION).forget()


def test_unknown_critical_option_in_a_notification(script):
    """A Reset, as section 5.4.1 has it; it ends the observation, so the caller is told."""
    script.request("GET", "19/0/0", observe=0).server("CON GET")
    script.device("ACK 2.05", observe=1).tells(ResponseReceived, observe=1)
    script.device("CON 2.05", observe=2, more=(UNKNOWN_CRITICAL,)).server("RST")
    script.tells(RequestFailed, cause=Cause.BAD_OPTION)
    script.device("NON 2.05", observe=3).tells(NotificationReceived, observe=3)


def test_unknown_critical_option_in_a_copy_of_a_response(script):
    """Nobody waits for it any longer: a Reset if it is a CON, and no event."""
    script.request("GET", "4/0").server("CON GET").device("ACK").tells(RequestAcknowledged)
    script.device("ACK 2.05", message_id=1, more=(UNKNOWN_CRITICAL,)).quiet()
    script.device("CON 2.05", block2=(0, True, 0), payload=bytes(16)).server("ACK")
    token = script.token
    script.server("CON GET").device("CON 2.05", token=token, more=(UNKNOWN_CRITICAL,)).server("RST")
    script.device("ACK 2.05", block2=(1, False, 0), payload=b"x").tells(ResponseReceived)


def test_unknown_critical_option_with_an_unknown_token(script):
    """Nobody is told; the Reset is all there is to say."""
    script.device("CON 2.05", token=b"what", more=(UNKNOWN_CRITICAL,)).server("RST")
    script.device("ACK 2.05", message_id=7, token=b"what", more=(UNKNOWN_CRITICAL,)).quiet()


def test_every_datagram_is_counted(script):
    """Whatever it is."""
    script.device("CON").server("RST").arrives(b"").arrives(b"\x70\x00\x00\x00")
    script.counts(received=3)


def test_a_con_of_unknown_class_three_is_a_response(script):
    """Codes 2.00 to 5.31 are responses: section 12.1. An unknown one counts as x.00 of its class."""
    script.request("GET", "4/0").server("CON GET").device("ACK 3.07")
    script.tells(ResponseReceived, code="3.07")
