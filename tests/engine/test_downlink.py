"""Segment requests answered by writes, natively. PCP message 21, LwM2M object 19; protocol: 1.9, 1.10."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import Responder
from headgate.engine.segments import Offer, SegmentGrant, Segments
from reference import coap
from reference import segments as reference
from reference.coap import ACK, CON, NON, RST, Message

TOKEN = bytes.fromhex("2CB6A673CBA24C04")  # of the published Observe
WRITE_TOKEN = bytes.fromhex("ACB6A673CBA24C04")
DOWNLINK = bytes.fromhex("B2 3139 01 31 01 30 11 2A")
HELLO = b"HELLO, IoT SOTA!"
OBSERVE, CONTENT_FORMAT = 6, 12
CONTENT, CHANGED = 0x45, 0x44
TICK_NS = 1 << 24
NOW_NS = 1000 * TICK_NS
BODY = bytes(i * 7 & 0xFF for i in range(1234))


def notification(payload, *, type=CON, code=CONTENT, message_id=0x1234, token=TOKEN, options=None):
    """A device's notification of 19/0/0, with Observe and Content-Format 42 unless told otherwise."""
    if options is None:
        options = ((OBSERVE, b"\x01"), (CONTENT_FORMAT, b"\x2a"))
    return coap.encode(
        Message(type=type, code=code, message_id=message_id, token=token, options=options, payload=payload)
    )


def asked(segment, version=b"V1.0", **how):
    """A notification with a segment request."""
    return notification(reference.request(version, segment), **how)


def response(write, *, type=ACK, code=CHANGED, message_id=None):
    """A device's response to a write of ours."""
    written = coap.parse(write)
    if message_id is None:
        message_id = written.message_id
    return coap.encode(Message(type=type, code=code, message_id=message_id, token=written.token))


@pytest.fixture
def grant(catalog, make_grant):
    """BODY at 500 bytes as V1.0 under TOKEN."""
    grant = make_grant(BODY)
    catalog.grant_segments(TOKEN, grant)
    return grant


@pytest.fixture
def respond(catalog, grant):
    """(outcome, replies) of a datagram, where somebody takes what is not answered here."""
    responder = Responder(catalog, handover=True)
    return lambda datagram, now_ns=NOW_NS, **how: responder.respond_all(datagram, now_ns=now_ns, **how)


def write_of(answered):
    """The write among the replies."""
    outcome, replies = answered
    assert outcome == "segment"
    return coap.parse(replies[-1])


# -- What is answered --


def test_published_exchange_byte_for_byte(catalog, make_grant):
    """G4 in the notification frame of the API examples; an Empty ACK, and G5 in a write of 19/1/0."""
    catalog.grant_segments(TOKEN, make_grant(HELLO))
    g4 = bytes.fromhex(
        "48451234 2CB6A673CBA24C04 61 01 61 2A FF FFFE01155618001256312E300000000000000000000000000000"
    )
    outcome, [ack, write] = Responder(catalog).respond_all(g4, now_ns=0x3DCB * TICK_NS)
    assert outcome == "segment"
    assert ack == bytes.fromhex("60001234")
    assert write == bytes.fromhex(
        "4803BDCB ACB6A673CBA24C04 B2 3139 01 31 01 30 11 2A FF"
        "FFFE0115E107001300000048454C4C4F2C20496F5420534F544121"
    )


@pytest.mark.parametrize("segment", [0, 1, 2])
def test_each_segment_is_the_bytes_of_the_package(respond, segment):
    """The last one is short (section 1.7)."""
    write = write_of(respond(asked(segment)))
    assert (write.type, write.code, write.token) == (CON, 0x03, WRITE_TOKEN)
    assert write.payload == reference.answer(segment, BODY[segment * 500 :][:500])


@pytest.mark.parametrize(
    "options",
    [
        (),
        ((CONTENT_FORMAT, b"\x2a"),),
        ((OBSERVE, b"\x01"), (CONTENT_FORMAT, b"")),
        ((OBSERVE, b"\x01\x02\x03"), (CONTENT_FORMAT, b"\x2d\x16")),
        ((14, b"\x3c"), (CONTENT_FORMAT, b"\x06\x06")),
    ],
)
@pytest.mark.parametrize("code", [CONTENT, CHANGED])
def test_content_format_does_not_matter(respond, options, code):
    """42, none, 0, 11542 or 1542, under 2.05 or 2.04 (trap T20): a bare frame says what it is."""
    assert respond(asked(0, options=options, code=code))[0] == "segment"


def test_a_non_is_not_acknowledged(respond):
    """RFC 7252 section 4.3."""
    outcome, replies = respond(asked(1, type=NON))
    assert (outcome, len(replies)) == ("segment", 1)
    assert respond(asked(1, type=NON)) == ("segment copy in NON", [])


def test_an_embedder_without_handover_serves_segments_too(catalog, grant):
    """Whether somebody else listens makes no difference."""
    assert Responder(catalog).respond_all(asked(0), now_ns=NOW_NS)[0] == "segment"
    assert Responder(catalog).respond_all(asked(9), now_ns=NOW_NS)[0] == "unexpected response"


# -- What is handed over --


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(asked(3), id="a segment behind the last"),
        pytest.param(asked(65535), id="the last number there is"),
        pytest.param(asked(0, b"V1.1"), id="another version"),
        pytest.param(asked(0, b"V1.0 "), id="a version that begins alike"),
        pytest.param(asked(0, token=WRITE_TOKEN), id="the token of the writes"),
        pytest.param(asked(0, token=TOKEN[:7]), id="a token cut off"),
        pytest.param(asked(0, token=TOKEN + b"\0"), id="a longer token"),
        pytest.param(asked(0, token=b""), id="no token"),
        pytest.param(asked(0, code=0x43), id="2.03"),
        pytest.param(asked(0, code=0x84), id="4.04"),
        pytest.param(asked(0, type=ACK), id="the first answer to an Observe"),
        pytest.param(asked(0, options=((9, b"x"),)), id="a critical option we do not know"),
        pytest.param(asked(0, options=((23, b"\x0e"),)), id="a part of a body"),
        pytest.param(asked(0, options=((27, b"\x06"),)), id="Block1"),
        pytest.param(notification(b"\0"), id="the single byte of a LiteOS client"),
        pytest.param(notification(b"21.5 degrees"), id="business data"),
        pytest.param(notification(reference.frame(22, b"\0")), id="message 22"),
        pytest.param(notification(reference.frame(24, b"\0V1.0".ljust(17, b"\0"))), id="message 24"),
        pytest.param(notification(reference.frame(21, b"")), id="message 21 without data"),
        pytest.param(notification(b"\xc8\0\x1a" + reference.request(b"V1.0", 0)), id="TLV"),
        pytest.param(notification(reference.request(b"V1.0", 0) + b"\0"), id="a byte too many"),
        pytest.param(notification(reference.request(b"V1.0", 0)[:-1]), id="a byte too few"),
        pytest.param(notification(b""), id="nothing"),
        pytest.param(coap.encode(Message(type=ACK, code=0, message_id=0x83E8)), id="an Empty ACK"),
        pytest.param(coap.encode(Message(type=RST, code=0, message_id=0x83E8)), id="a Reset"),
    ],
)
def test_anything_else_is_handed_over(respond, grant, datagram):
    """Python answers 80 and 81, counts the suspect, unwraps TLV, or is told that the device is awake."""
    assert respond(datagram) == ("handed over", [])
    assert grant.progress.blocks == 0


def test_a_truncated_request_is_not_read(respond):
    """What did not fit the receive buffer is not what it seems."""
    assert respond(asked(0), truncated=True) == ("truncated", [])


def test_a_request_is_never_a_segment_request(respond):
    """A Send or a POST with the same payload goes where requests go."""
    assert respond(asked(0, code=2)) == ("handed over", [])


# -- Copies --


def test_five_copies_draw_one_answer(respond, grant):
    """The socket of some devices is read every ten seconds: copies come at once (trap T35)."""
    outcomes = [respond(asked(0, message_id=message_id)) for message_id in range(5)]
    assert [outcome for outcome, _ in outcomes] == ["segment"] + ["segment copy"] * 4
    for message_id, (_, replies) in enumerate(outcomes):
        assert replies[0] == coap.encode(Message(type=ACK, code=0, message_id=message_id))
    assert grant.progress.blocks == 1


def test_a_copy_after_the_acknowledgement_is_answered_again(respond, grant):
    """With a message id of its own; the ledger counts a repeat."""
    first = respond(asked(0))[1][-1]
    assert respond(response(first)) == ("segment written", [])
    second = respond(asked(0))[1][-1]
    assert coap.parse(second).message_id == coap.parse(first).message_id + 1
    assert coap.parse(second).payload == coap.parse(first).payload
    assert (grant.progress.blocks, grant.progress.repeats) == (2, 1)


def test_repeats_of_a_slow_device_cost_no_second_segment(respond):
    """Every two seconds while the answer is on its way (trap T19); answered again when it must be lost."""
    respond(asked(0))
    for seconds in (2, 4, 6, 8):
        assert respond(asked(0), now_ns=NOW_NS + seconds * 10**9)[0] == "segment copy"
    assert respond(asked(0), now_ns=NOW_NS + 10 * 10**9)[0] == "segment"


@pytest.mark.parametrize(("wait_s", "answered"), [(0.0, True), (1.0, True), (5.0, False), (255.0, False)])
def test_the_time_is_the_grants(catalog, make_grant, wait_s, answered):
    """A radio class has its round trip."""
    catalog.grant_segments(TOKEN, make_grant(BODY, wait_s=wait_s))
    respond = Responder(catalog).respond_all
    respond(asked(0), now_ns=NOW_NS)
    assert (respond(asked(0), now_ns=NOW_NS + 2 * 10**9)[0] == "segment") == answered


@pytest.mark.parametrize(
    ("how", "outcome", "replies"),
    [
        ({"type": ACK}, "segment written", []),
        ({"type": ACK, "code": 0x84}, "segment refused", []),
        ({"type": NON, "message_id": 5}, "segment written", []),
        ({"type": NON, "message_id": 5, "code": 0xA0}, "segment refused", []),
        ({"type": CON, "message_id": 5}, "separate response", ["60000005"]),
        ({"type": CON, "message_id": 5, "code": 0x80}, "separate response", ["60000005"]),
    ],
)
def test_every_kind_of_response_ends_the_flight(respond, how, outcome, replies):
    """With the ACK, or separate, which is acknowledged if it asks for it (RFC 7252 section 5.2)."""
    write = respond(asked(0))[1][-1]
    assert respond(response(write, **how)) == (outcome, [bytes.fromhex(reply) for reply in replies])
    assert respond(asked(0))[0] == "segment"


def test_an_acknowledgement_of_another_write_ends_nothing(respond):
    """An old one, late."""
    write = respond(asked(0))[1][-1]
    wrong = coap.parse(write).message_id ^ 1
    assert respond(response(write, message_id=wrong)) == ("segment written", [])
    assert respond(asked(0))[0] == "segment copy"


def test_old_tokens_stay_alive(catalog, respond, grant):
    """A device that registered anew has two; what is under way is under way to the device (trap T15)."""
    catalog.grant_segments(b"\x01new one", grant)
    first = write_of(respond(asked(1)))
    assert respond(asked(1, token=b"\x01new one"))[0] == "segment copy"
    second = write_of(respond(asked(2, token=b"\x01new one")))
    assert second.token == b"\x81new one"
    assert second.message_id == first.message_id + 1
    assert grant.progress.blocks == 2


def test_a_withdrawn_token_is_handed_over(catalog, respond):
    """So that 80 is said by who knows that the task is gone."""
    write = respond(asked(0))[1][-1]
    assert catalog.withdraw_segments(TOKEN)
    assert respond(asked(0))[0] == "handed over"
    assert respond(response(write))[0] == "handed over"


# -- The ledger --


def test_a_download_is_counted_like_blocks(respond, grant):
    """In bytes of the package, wherever the device begins: it may have the first segments already."""
    for segment in (1, 2, 2, 0):
        respond(asked(segment))
    progress = grant.progress
    assert (progress.blocks, progress.bytes) == (3, 500 + 234 + 500)
    assert (progress.runs, progress.start_bytes, progress.offset_bytes) == (2, 0, 500)
    assert progress.length_bytes == len(BODY)


# -- Any sequence --


class DownlinkAgainstReference(RuleBasedStateMachine):
    """Two grants, three tokens, time that goes on: every answer is the reference's, byte for byte."""

    TOKENS = (TOKEN, bytes.fromhex("00112233445566FF"), bytes.fromhex("80112233445566FF"))

    @initialize(sizes=st.tuples(st.integers(32, 500), st.integers(32, 500)), wait_s=st.floats(0.0, 20.0))
    def begin(self, sizes, wait_s):
        """The last token is the first one's of the other grant, but for the bit that tells a write."""
        catalog = Catalog(Ledger(4))
        self.grants, self.expected = [], {}
        models = []
        for body, size, version in zip((BODY, HELLO), sizes, (b"V1.0", b"0123456789abcdef"), strict=True):
            package = Package(body, sha256=bytes(32), check_code=1)
            segments = Segments(package, size=size)
            offer = Offer(segments, version=version, downlink=DOWNLINK, wait_s=wait_s)
            grant = SegmentGrant(catalog.ledger, offer)
            wait_ticks = int(wait_s * 1e9) // TICK_NS
            self.grants.append(grant)
            models.append(reference.Grant(body, size, version, wait_ticks))
        for token, place in zip(self.TOKENS, (0, 1, 0), strict=True):
            catalog.grant_segments(token, self.grants[place])
            self.expected[token] = models[place]
        self.respond = Responder(catalog, handover=True).respond_all
        self.writes = []
        self.now_ns = NOW_NS

    def agree(self, datagram):
        """The same outcome and the same datagrams."""
        expected = reference.respond(self.expected, datagram, self.now_ns)
        answered = self.respond(datagram, now_ns=self.now_ns)
        assert answered == (expected or ("handed over", []))
        if answered[0] == "segment":
            self.writes.append(answered[1][-1])

    @rule(
        token=st.sampled_from(TOKENS),
        segment=st.integers(0, 4),
        version=st.sampled_from([b"V1.0", b"V1.0", b"0123456789abcdef", b"V1"]),
        type=st.sampled_from([CON, CON, NON, ACK]),
        code=st.sampled_from([CONTENT, CONTENT, CHANGED, 0x84]),
        copies=st.integers(1, 5),
    )
    def ask(self, token, segment, version, type, code, copies):
        """Once or in a burst."""
        for message_id in range(copies):
            self.agree(asked(segment, version, token=token, type=type, code=code, message_id=message_id))

    @rule(
        back=st.integers(0, 3),
        type=st.sampled_from([ACK, ACK, NON, CON]),
        code=st.sampled_from([CHANGED, CHANGED, 0x84, CONTENT]),
    )
    def acknowledge(self, back, type, code):
        """One of the last writes; an older one is late."""
        if back < len(self.writes):
            self.agree(response(self.writes[-1 - back], type=type, code=code))

    @rule(seconds=st.floats(0.0, 15.0))
    def wait(self, seconds):
        """Time goes on."""
        self.now_ns += int(seconds * 1e9)

    def teardown(self):
        """What was written was counted."""
        if hasattr(self, "writes"):
            assert sum(grant.progress.blocks for grant in self.grants) == len(self.writes)


TestDownlinkAgainstReference = DownlinkAgainstReference.TestCase
