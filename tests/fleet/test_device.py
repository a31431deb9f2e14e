"""A device as an LwM2M client: registration, reads, observation, sleep. LwM2M 1.1 core, 6.2 to 6.4."""

from __future__ import annotations

from itertools import pairwise

import pytest

from counterpart import (
    ACK,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    DELETE,
    GET,
    NON,
    NOT_FOUND,
    OBSERVE,
    POST,
    PUT,
    RST,
    URI_PATH,
    URI_QUERY,
    Message,
    code,
    option,
    uint,
    values,
)
from headgate.fleet.objects import type_of
from headgate.fleet.profile import Misbehaviour, Moves, Notify, Report
from headgate.fleet.radio import Conditions
from headgate.wire.formats import decode
from headgate.wire.links import parse_objects
from headgate.wire.resources import Path
from reference import block as block_reference

TEXT, LINKS, OPAQUE, SENML_JSON, SENML_CBOR, TLV, LWM2M_JSON = 0, 40, 42, 110, 112, 11542, 11543


# -- registration --


def test_a_device_of_lwm2m_1_0_puts_the_queue_mode_into_its_binding(attend):
    """B=UQ, and no parameter Q: LwM2M 1.0 core, 5.3.1.1."""
    register = attend("liteos").came[0].message
    assert values(register, URI_PATH) == ["rd"]
    assert values(register, URI_QUERY) == ["ep=urn:dev:1", "lt=86400", "lwm2m=1.0", "b=UQ"]
    assert option(register, CONTENT_FORMAT) == uint(LINKS)


def test_a_device_of_lwm2m_1_1_has_the_queue_mode_beside_its_binding(attend):
    """B=U and Q: LwM2M 1.1 core, 6.2.1."""
    assert values(attend("anjay").came[0].message, URI_QUERY)[2:] == ["lwm2m=1.1", "b=U", "Q"]


def test_the_links_name_objects_versions_root_and_formats(attend):
    """What a server reads of them: RFC 6690."""
    found = parse_objects(attend("zephyr", root="lwm2m").came[0].message.payload)
    assert found.root == ("lwm2m",)
    assert (4, 0) in found.paths
    assert (19, 1) in found.paths
    assert found.version(4) == (1, 1)
    assert found.content_formats == (110, 112, 0, 42)


def test_a_device_without_sinr_has_an_object_4_of_version_1_0(attend):
    """4/0/11 exists from object version 1.1."""
    radio = Conditions(cell_id=7, rsrp=-100, sinr=None, radio_class="U")
    server = attend("liteos", radio=radio)
    assert parse_objects(server.came[0].message.payload).version(4) is None
    read = decode(TLV, server.ask(GET, "4/0", accept=TLV).payload, Path(4, 0), type_of)
    assert (read[4, 0, 8], read[4, 0, 2], read.get((4, 0, 11))) == (7, -100, None)


def test_a_register_may_come_in_blocks(attend):
    """RFC 7959 section 2.5: 2.31 for each block but the last."""
    server = attend("anjay", register_szx=0)
    blocks = [block_reference.parse(option(each.message, BLOCK1)) for each in server.requests(POST, "rd")]
    assert [block.num for block in blocks] == list(range(len(blocks)))
    assert [block.more for block in blocks] == [True] * (len(blocks) - 1) + [False]
    payload = b"".join(each.message.payload for each in server.requests(POST, "rd"))
    assert parse_objects(payload).has(5)
    assert server.device.log.registrations == 1


def test_a_register_is_sent_again_and_then_anew(attend):
    """Five transmissions, each wait twice the one before, then a pause: RFC 7252 section 4.2."""
    server = attend("zephyr", boot_after_s=1.0)
    server.reachable = False
    server.now = 1.0
    server.device.expire(1.0)
    sent: list[float] = []
    while len(sent) < 6:
        sent += [server.now] * len(server.device.take())
        server.now = server.device.next_timer()
        server.device.expire(server.now)
    waits = [later - earlier for earlier, later in pairwise(sent)]
    assert 2.0 <= waits[0] <= 3.0
    assert waits[1:4] == pytest.approx([2 * waits[0], 4 * waits[0], 8 * waits[0]])
    assert waits[4] == pytest.approx(16 * waits[0] + server.device.profile.retry_s)
    assert server.device.log.registrations == 0


def test_an_update_that_is_not_known_is_followed_by_a_register(attend):
    """4.04: the registration is gone. LwM2M 1.1 core, 6.2.2."""
    server = attend("zephyr", report=Report.UPDATE)
    server.hook = lambda came: (
        [Message(type=ACK, code=NOT_FOUND, message_id=came.message.message_id, token=came.message.token)]
        if len(values(came.message, URI_PATH)) == 2
        else None
    )
    server.until(lambda: server.device.log.registrations == 2, seconds=800.0)
    assert server.device.log.updates == 0


def test_an_update_comes_before_the_lifetime_ends(attend):
    """However seldom the device reports."""
    server = attend("zephyr", lifetime_s=100, report_interval_s=1e6)
    server.run(1000.0)
    times = [each.at_s for each in server.requests(POST, "rd")]
    assert max(later - earlier for earlier, later in pairwise(times)) < 100


def test_an_execute_of_1_0_8_draws_an_update(attend):
    """Registration Update Trigger: LwM2M 1.1 core, E.2."""
    server = attend()
    assert code(server.ask(POST, "1/0/8")) == "2.04"
    assert server.device.log.updates == 1


# -- sleep and addresses --


def test_a_sleeping_device_hears_nothing(attend):
    """Queue mode: awake for 20 s after its last message, then not before its next report."""
    server = attend()
    server.run(19.0)
    assert server.ask(GET, "3/0/3", accept=TEXT) is not None
    server.run(21.0)
    assert server.device.asleep
    assert server.ask(GET, "3/0/3", accept=TEXT) is None
    server.until(lambda: server.device.log.updates == 1)
    assert server.ask(GET, "3/0/3", accept=TEXT) is not None


def test_a_device_without_queue_mode_never_sleeps(attend):
    """B=U alone."""
    server = attend(queue_mode=False, report_interval_s=1e6)
    server.run(5000.0)
    assert server.ask(GET, "3/0/3", accept=TEXT) is not None


@pytest.mark.parametrize(("moves", "rises"), [(Moves.REBOOT, 0), (Moves.WAKE, 3), (Moves.UPDATE, 3)])
def test_ports_change_as_the_profile_says(attend, moves, rises):
    """PSM and NAT: T13, T38."""
    server = attend(moves=moves, report=Report.UPDATE)
    first = server.device.port_generation
    server.until(lambda: server.device.log.updates == 3)
    assert server.device.port_generation - first == rises


def test_reports_are_data_where_that_is_observed(attend):
    """19/0/0, with the token of its observation, and never a frame of PCP."""
    server = attend(report=Report.DATA)
    assert server.ask(GET, "19/0/0", observe=0, accept=OPAQUE, token=b"data").payload == b"\x00"
    server.until(lambda: server.notifications())
    told = server.notifications()[-1]
    assert told.token == b"data"
    assert not told.payload.startswith(b"\xff\xfe")


def test_reports_may_be_sent(attend):
    """POST /dp with SenML CBOR: LwM2M 1.1 core, 6.4.6."""
    server = attend("anjay")
    server.until(lambda: server.requests(POST, "dp"))
    sent = server.requests(POST, "dp")[0].message
    assert decode(SENML_CBOR, sent.payload, Path(), type_of)[4, 0, 8] == 0x1A2B


# -- reads --


@pytest.mark.parametrize(
    ("style", "taken", "refused"),
    [
        ("liteos", (TEXT, TLV), (SENML_CBOR, SENML_JSON, LWM2M_JSON)),
        ("separate", (TEXT, TLV, LWM2M_JSON), (SENML_CBOR, SENML_JSON)),
        ("zephyr", (TEXT, SENML_JSON, SENML_CBOR), (TLV, LWM2M_JSON)),
        ("anjay", (TEXT, TLV, SENML_JSON, SENML_CBOR), (LWM2M_JSON,)),
    ],
)
def test_each_style_writes_its_formats_and_refuses_others(attend, style, taken, refused):
    """4.06 where a device does not write what is accepted: RFC 7252 section 5.10.4."""
    server = attend(style)
    for accept in taken:
        answer = server.ask(GET, "3/0/3", accept=accept)
        assert int.from_bytes(option(answer, CONTENT_FORMAT), "big") == accept
        assert decode(accept, answer.payload, Path(3, 0, 3), type_of)[3, 0, 3] == "V1.0"
    for accept in refused:
        assert code(server.ask(GET, "3/0/3", accept=accept)) == "4.06"


def test_a_long_answer_comes_in_chunks(attend):
    """128 bytes each."""
    server = attend("liteos", manufacturer="M" * 200)
    body = b""
    for num in range(100):
        block = block_reference.encode(block_reference.Block(num, False, 3))
        options = () if num == 0 else ((BLOCK2, block),)
        answer = server.ask(GET, "3/0", accept=TLV, options=options)
        body += answer.payload
        block = block_reference.parse(option(answer, BLOCK2))
        assert block.num == num
        assert len(answer.payload) == 128 or not block.more
        if not block.more:
            break
    assert decode(TLV, body, Path(3, 0), type_of)[3, 0, 0] == "M" * 200


def test_quirks_of_accept(attend):
    """T30, T37 and T38."""
    assert code(attend(refuses_accept=True).ask(GET, "3/0/3", accept=TEXT)) == "4.06"
    assert code(attend(needs_accept=True).ask(GET, "3/0/3")) == "5.00"
    silent = attend("anjay", silent_accepts=frozenset({TLV}))
    assert silent.ask(GET, "4/0", accept=TLV) is None
    assert code(silent.ask(GET, "4/0", accept=SENML_CBOR)) == "2.05"


def test_the_version_may_come_without_a_format(attend):
    """Plain text, nothing said."""
    answer = attend(bare_version=True).ask(GET, "3/0/3", accept=TEXT)
    assert (answer.payload, option(answer, CONTENT_FORMAT)) == (b"V1.0", None)


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        (GET, "7/0/1", "4.04"),
        (GET, "3/0/77", "4.04"),
        (GET, "fw/v2", "4.04"),
        (PUT, "3/0/3", "4.05"),
        (POST, "3/0/3", "4.05"),
        (DELETE, "3/0", "4.05"),
        (PUT, "5/0/0", "4.05"),
        (POST, "5/0/2", "4.05"),
    ],
)
def test_what_is_not_there_is_refused(attend, method, path, wanted):
    """Errors of LwM2M 1.1 core, 6.3."""
    payload = b"x" if method == PUT else b""
    assert code(attend().ask(method, path, payload=payload, content_format=TEXT)) == wanted


def test_an_alternate_root_stands_before_every_path(attend):
    """Without it there is nothing: LwM2M 1.1 core, 6.4.1."""
    server = attend(root="lwm2m")
    assert code(server.ask(GET, "3/0/3", accept=TEXT)) == "2.05"
    server.root = ""
    assert code(server.ask(GET, "3/0/3", accept=TEXT)) == "4.04"


def test_discover_lists_resources(attend):
    """Accept 40: LwM2M 1.1 core, 6.3.2."""
    answer = attend().ask(GET, "5/0", accept=LINKS)
    assert option(answer, CONTENT_FORMAT) == uint(LINKS)
    assert b"</5/0/3>" in answer.payload


def test_a_repeated_request_is_answered_alike_and_counted_once(attend):
    """Same message id: RFC 7252 section 4.2."""
    server = attend()
    first = server.ask(POST, "1/0/8", message_id=77)
    assert server.ask(POST, "1/0/8", message_id=77) == first
    assert (server.device.log.requests, server.device.log.updates) == (1, 1)


def test_a_response_may_be_separate(attend):
    """An empty ACK, and a CON with the token later: RFC 7252 section 5.2.2."""
    server = attend(separate_s=1.5)
    assert server.ask(GET, "3/0/3", accept=TEXT, token=b"late") is None
    assert (server.came[-1].message.type, server.came[-1].message.code) == (ACK, 0)
    server.run(2.0)
    last = server.came[-1].message
    assert (last.type, last.token, last.payload) == (CON, b"late", b"V1.0")
    assert not server.device.main.busy


def test_what_is_no_message_is_dropped_or_reset(attend):
    """RFC 7252 section 4.2: a CON that is malformed is reset, all else is ignored."""
    server = attend()
    server.device.receive(b"\x40", 0.0)
    server.device.receive(bytes.fromhex("4F010001"), 0.0)
    server.device.receive(bytes.fromhex("5F010001"), 0.0)
    server.device.receive(bytes.fromhex("40000002"), 0.0)
    assert server.device.take() == [bytes.fromhex("70000001"), bytes.fromhex("70000002")]


# -- observation --


def test_a_second_observe_replaces_the_token(attend):
    """One watcher for each path."""
    server = attend("liteos", package=b"x" * 600)
    for token in (b"one", b"two"):
        server.ask(GET, "5/0/3", observe=0, accept=TEXT, token=token)
    server.ask(PUT, "5/0/1", content_format=TEXT, payload=b"coap://h/Zm9vYmFyZm9vYmFy")
    assert {each.token for each in server.notifications()} == {b"two"}


def test_an_observe_without_token_may_be_refused(attend):
    """4.00."""
    assert code(attend("liteos").ask(GET, "5/0/3", observe=0, token=b"")) == "4.00"
    assert option(attend("zephyr").ask(GET, "5/0/3", observe=0, token=b""), OBSERVE) is not None


def test_a_reset_ends_an_observation(attend):
    """RFC 7641 section 3.6."""
    server = attend(report_interval_s=60.0)
    server.ask(GET, "19/0/0", observe=0, accept=OPAQUE, token=b"data")
    server.hook = lambda came: (
        [Message(type=RST, code=0, message_id=came.message.message_id)]
        if came.message.token == b"data"
        else None
    )
    server.run(300.0)
    assert len(server.notifications()) == 1
    assert server.device.log.updates > 0


@pytest.mark.parametrize(
    ("notify", "types"), [(Notify.CONFIRMABLE, [CON]), (Notify.NON_CONFIRMABLE, [NON]), (Notify.NEVER, [])]
)
def test_notifications_come_as_the_profile_says(attend, notify, types):
    """CON, NON, or not at all: T14 and T16."""
    server = attend(notify=notify)
    server.ask(GET, "5/0/3", observe=0, accept=TEXT)
    server.ask(PUT, "5/0/1", content_format=TEXT, payload=b"http://h/x")
    assert [each.type for each in server.notifications()][:1] == types


def test_close_states_are_merged(attend):
    """Pmin: the last State is told, the ones between are not."""
    server = attend(package=b"x" * 3000, pmin_s=30.0)
    server.ask(GET, "5/0/3", observe=0, accept=TEXT)
    server.ask(PUT, "5/0/1", content_format=TEXT, payload=b"coap://h/Zm9vYmFyZm9vYmFy")
    server.run(60.0)
    assert [each.payload for each in server.notifications()] == [b"2"]


# -- faults --


def test_a_device_that_resets_commands(attend):
    """A Reset where an answer is due."""
    server = attend(misbehaviour=Misbehaviour(answers={(GET, Path(3, 0, 3)): -1}))
    assert server.ask(GET, "3/0/3").type == RST


def test_a_device_that_never_boots_waits_for_nothing(attend):
    """And sends nothing."""
    server = attend(misbehaviour=Misbehaviour(never_boots=True))
    assert server.device.next_timer() is None
    assert server.came == []


def test_what_is_written_to_the_container_reaches_it(attend):
    """19/1/0: whatever rides on it hears of it after the 2.04."""
    server = attend()
    assert code(server.ask(PUT, "19/1/0", content_format=OPAQUE, payload=b"\xff\xfe\x01")) == "2.04"
    assert server.device.container.received == [b"\xff\xfe\x01"]


def test_a_write_may_come_in_blocks(attend):
    """RFC 7959 section 2.5: 2.31, 2.31, then the answer; 4.08 where one is missing."""
    server = attend()
    body = bytes(range(40))

    def put(num: int, more: bool) -> str:
        block = block_reference.encode(block_reference.Block(num, more, 0))
        part = body[num * 16 : num * 16 + 16]
        answer = server.ask(PUT, "19/1/0", content_format=OPAQUE, payload=part, options=((BLOCK1, block),))
        return code(answer)

    assert [put(0, True), put(2, False)] == ["2.31", "4.08"]
    assert [put(0, True), put(1, True), put(2, False)] == ["2.31", "2.31", "2.04"]
    assert server.device.container.received == [body]
