"""What each style of device does differently in a firmware update. docs/traps.md."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256

import pytest

from counterpart import (
    ACK,
    BLOCK2,
    CON,
    DOWNLOAD,
    GET,
    MAIN,
    NON,
    PACKAGE_KEY,
    PACKAGE_URI,
    POST,
    PUT,
    RST,
    SIZE2,
    URI_PATH,
    Came,
    Counterpart,
    Message,
    code,
    option,
    upgraded,
    values,
)
from headgate.fleet.device import Device
from headgate.fleet.download import make_package
from headgate.fleet.profile import STYLES, Misbehaviour, Resume, Update
from reference import block as block_reference

PACKAGE = make_package("V2.0", 3000, seed=7)
TEXT, TLV = 0, 11542


def observed(server: Counterpart) -> Counterpart:
    """The same, its State observed."""
    server.ask(GET, "5/0/3", observe=0, accept=TEXT, token=b"state")
    return server


def told(server: Counterpart, uri: str = PACKAGE_URI) -> str:
    """Write the URI; the code of the answer."""
    return code(server.ask(PUT, "5/0/1", content_format=TEXT, payload=uri.encode()))


def answer_to(came: Came) -> Message:
    """A 2.05 without options."""
    return Message(type=ACK, code=0x45, message_id=came.message.message_id, token=came.message.token)


def read(server: Counterpart, path: str) -> bytes:
    """A resource as text."""
    return server.ask(GET, path, accept=TEXT).payload


@pytest.mark.parametrize("style", STYLES)
def test_each_style_goes_through_an_upgrade(style):
    """Register, version, radio, observe, URI, download, Execute, reboot, result: steps 3 to 14."""
    device = Device(replace(STYLES[style], endpoint="urn:dev:1"), random.Random(1), now=0.0)
    server = Counterpart(device, PACKAGE)
    server.until(lambda: device.log.registrations == 1)
    assert read(server, "3/0/3") == b"V1.0"
    assert code(server.ask(GET, "4/0", accept=device.profile.formats[0])) == "2.05"
    assert upgraded(server) == b"1"
    assert read(server, "3/0/3") == b"V2.0"
    assert device.log.digest == sha256(PACKAGE).hexdigest()
    assert (device.log.blocks, device.log.starts_at_zero, device.log.forced_restarts) == (6, 1, 0)
    assert (device.log.executes, device.log.executes_after_confirmed) == (1, 0)
    assert [each.radio_class for each in device.log.upgrades] == ["0"]


@pytest.mark.parametrize("style", STYLES)
def test_an_execute_after_a_confirmed_one_is_noticed(style):
    """The check for a server that stores first and then acts can fail."""
    device = Device(replace(STYLES[style], endpoint="urn:dev:1"), random.Random(1), now=0.0)
    server = Counterpart(device, PACKAGE)
    upgraded(server)
    assert code(server.ask(POST, "5/0/2")) == "4.05"
    assert device.log.executes_after_confirmed == 1


# -- LiteOS --


def no_ack(server: Counterpart) -> None:
    """From now on notifications are not acknowledged."""
    server.hook = lambda came: [] if came.message.token == b"state" else None


def test_liteos_downloads_when_its_notification_was_acknowledged(attend):
    """State 1 is told first; no GET before its ACK."""
    server = observed(attend("liteos", PACKAGE))
    no_ack(server)
    assert told(server) == "2.04"
    assert [each.payload for each in server.notifications()] == [b"1"]
    server.run(1.0)
    assert server.blocks() == []
    last = server.notifications()[-1]
    server.send(Message(type=ACK, code=0, message_id=last.message_id))
    assert len(server.blocks()) == 6


@pytest.mark.parametrize("answer", ["silence", "Reset"])
def test_liteos_falls_back_without_an_acknowledgement(attend, answer):
    """State 0 and Result 8."""
    server = observed(attend("liteos", PACKAGE))
    no_ack(server)
    if answer == "Reset":
        server.hook = lambda came: (
            [Message(type=RST, code=0, message_id=came.message.message_id)]
            if came.message.token == b"state"
            else None
        )
    told(server)
    server.run(200.0)
    assert server.blocks() == []
    assert (server.device.firmware.state, server.device.firmware.result) == (0, 8)


def test_liteos_does_nothing_without_an_observation(attend):
    """The acknowledgement can never come."""
    server = attend("liteos", PACKAGE)
    assert told(server) == "2.04"
    server.run(1000.0)
    assert server.blocks() == []
    assert server.notifications() == []


def test_liteos_asks_the_server_it_registered_with(attend):
    """Host and port of the URI mean nothing, and a query goes into the path: T1 and T2."""
    server = observed(attend("liteos", PACKAGE))
    told(server, f"coap://203.0.113.9:1/{PACKAGE_KEY}?x=1")
    asked = [each for each in server.came if option(each.message, BLOCK2) is not None]
    assert asked[0].socket == MAIN
    assert values(asked[0].message, URI_PATH) == [f"{PACKAGE_KEY}?x=1"]
    assert server.device.download_address is None


def test_liteos_tells_its_result_with_the_token_from_before_the_reboot(attend):
    """Whatever has been observed since: T15."""
    server = attend("liteos", PACKAGE)
    assert upgraded(server) == b"1"
    server.run(30.0)
    last = server.notifications()[-1]
    assert (last.token, last.payload) == (b"state-1", b"0")
    back_s = server.requests(POST, "rd")[-1].at_s
    assert next(each.at_s for each in server.came if each.message is last) >= back_s + 5.0


def test_liteos_shows_nothing_right_after_its_reboot(attend):
    """State 0 and Result 0 for a while: step 14 of the OTA guide."""
    server = observed(attend("liteos", PACKAGE))
    told(server)
    server.ask(POST, "5/0/2")
    server.until(lambda: server.device.log.registrations == 2)
    assert (read(server, "5/0/3"), read(server, "5/0/5"), read(server, "3/0/3")) == (b"0", b"0", b"V2.0")
    server.run(6.0)
    assert read(server, "5/0/5") == b"1"


def test_liteos_knows_three_results(attend):
    """0, 1 and 8: a lost connection is 8 too."""
    server = observed(attend("liteos", PACKAGE, misbehaviour=Misbehaviour(gives_up=(1, 4))))
    told(server)
    assert read(server, "5/0/5") == b"8"


def test_liteos_has_its_delivery_method_at_8(attend):
    """0 for pull, and 5/0/9 is not there: T22."""
    server = attend("liteos")
    assert read(server, "5/0/8") == b"0"
    assert code(server.ask(GET, "5/0/9", accept=TEXT)) == "4.04"


def test_liteos_takes_a_uri_as_text_alone(attend):
    """And an Execute without payload alone: T42."""
    server = observed(attend("liteos", PACKAGE))
    assert code(server.ask(PUT, "5/0/1", content_format=TLV, payload=b"\xc1\x01x")) == "4.15"
    told(server)
    assert code(server.ask(POST, "5/0/2", payload=b"0")) == "4.00"
    assert code(server.ask(POST, "5/0/2")) == "2.04"


def test_liteos_gives_up_where_block2_is_missing(attend):
    """Even where one block is all: T4."""
    server = observed(attend("liteos", b"x" * 100))
    server.hook = lambda came: (
        [replace(answer_to(came), payload=b"x")] if option(came.message, BLOCK2) is not None else None
    )
    told(server)
    assert (server.device.firmware.state, server.device.firmware.result) == (0, 8)


def test_an_execute_is_an_acknowledgement_too(attend):
    """The server has heard of State 2; its ACK may be lost."""
    server = observed(attend("liteos", PACKAGE))
    server.hook = lambda came: [] if came.message.token == b"state" and came.message.payload == b"2" else None
    told(server)
    assert code(server.ask(POST, "5/0/2")) == "2.04"


# -- separate socket --


def test_separate_downloads_from_a_socket_of_its_own_and_notifies_by_non(attend):
    """To the host and port that the URI names."""
    server = observed(attend("separate", PACKAGE))
    told(server)
    assert {each.socket for each in server.blocks()} == {DOWNLOAD}
    assert server.device.download_address == ("192.0.2.1", 5683)
    assert [(each.type, each.payload) for each in server.notifications()] == [(NON, b"1"), (NON, b"2")]
    first = server.device.generation(DOWNLOAD)
    told(server, "")
    told(server)
    assert server.device.generation(DOWNLOAD) == first + 1


# -- Zephyr --


def test_zephyr_asks_size2_each_time_and_keeps_its_token(attend):
    """Size2 0, one token, a new message id for each block: T6 and T7."""
    server = observed(attend("zephyr", PACKAGE))
    told(server)
    asked = [each.message for each in server.blocks()]
    assert len({message.token for message in asked}) == 1
    assert len({message.message_id for message in asked}) == len(asked) == 6
    assert {option(message, SIZE2) for message in asked} == {b""}


# -- Anjay --


def test_anjay_takes_a_uri_in_idle_alone(attend):
    """4.00 elsewhere, 4.05 while updating."""
    server = observed(attend("anjay", PACKAGE))
    assert told(server) == "2.04"
    assert read(server, "5/0/3") == b"2"
    assert told(server) == "4.00"
    server.ask(POST, "5/0/2")
    assert told(server) == "4.05"


def cut_in_the_middle(server: Counterpart) -> list[int]:
    """Power goes after three of six blocks; the NUMs asked for after it is back."""
    observed(server)
    told(server)
    assert server.device.log.power_cuts == 1
    assert len(server.blocks()) == 3
    server.until(lambda: server.device.firmware.state in (0, 2))
    return [block_reference.parse(option(each.message, BLOCK2)).num for each in server.blocks()[3:]]


def test_anjay_resumes_at_its_offset_from_a_new_port(attend):
    """After a power cut: T41."""
    server = attend("anjay", PACKAGE, power_cuts=(3,))
    first = server.device.port_generation
    assert cut_in_the_middle(server) == [3, 4, 5]
    assert server.device.log.resumed_at == [1536]
    assert server.device.port_generation == first + 1
    assert server.device.log.digest == sha256(PACKAGE).hexdigest()
    assert server.device.log.forced_restarts == 0


def test_anjay_starts_over_where_the_etag_changed(attend):
    """Not by its own choice, and counted so."""
    server = attend("anjay", PACKAGE, power_cuts=(3,))
    other = make_package("V3.0", 3000, seed=8)

    def replaced(came):
        if server.device.log.power_cuts:
            server.etag, server.package = b"other", other
        return None

    server.hook = replaced
    assert cut_in_the_middle(server) == [3, 0, 1, 2, 3, 4, 5]
    assert server.device.log.forced_restarts == 1
    assert server.device.log.digest == sha256(other).hexdigest()


def test_a_style_that_keeps_no_offset_starts_over_by_its_own_choice(attend):
    """Which is not the server's doing."""
    server = attend("zephyr", PACKAGE, power_cuts=(3,))
    assert cut_in_the_middle(server) == [0, 1, 2, 3, 4, 5]
    assert (server.device.log.starts_at_zero, server.device.log.forced_restarts) == (2, 0)


def test_a_device_may_forget_its_download(attend):
    """State 0, Result 0, and no request."""
    server = attend("zephyr", PACKAGE, power_cuts=(3,), resume=Resume.FORGET)
    assert cut_in_the_middle(server) == []


# -- all of them --


@pytest.mark.parametrize("style", STYLES)
def test_an_empty_uri_resets_the_machine(attend, style):
    """State 0 and Result 0, from Downloaded: LwM2M 1.1 core, E.6."""
    server = observed(attend(style, PACKAGE))
    told(server)
    assert read(server, "5/0/3") == b"2"
    assert told(server, "") == "2.04"
    assert (read(server, "5/0/3"), read(server, "5/0/5"), read(server, "5/0/1")) == (b"0", b"0", b"")
    assert server.device.log.upgrading_since_s is None


def test_a_cancel_leaves_result_10(attend):
    """5/0/10, from object version 1.1; 4.05 while Idle."""
    server = observed(attend("anjay", PACKAGE))
    assert code(server.ask(POST, "5/0/10")) == "4.05"
    told(server)
    assert code(server.ask(POST, "5/0/10")) == "2.04"
    assert read(server, "5/0/5") == b"10"


@pytest.mark.parametrize(
    ("uri", "result"), [("http://h/x", 9), ("coap://", 7), ("coap://h:99999/x", 7), ("nonsense", 7)]
)
def test_a_uri_that_is_none_fails_the_download(attend, uri, result):
    """Result 9 for another scheme, 7 for all else."""
    server = observed(attend("anjay", PACKAGE))
    assert told(server, uri) == "2.04"
    assert server.device.firmware.result == result


def test_a_lost_connection_is_result_4_and_the_same_uri_resumes(attend):
    """After all patience: five rounds of five transmissions."""
    server = observed(attend("anjay", PACKAGE, patience=2))
    server.hook = lambda came: [] if came.message.code == GET and len(server.blocks()) > 2 else None
    told(server)
    server.until(lambda: server.device.firmware.state == 0)
    assert server.device.firmware.result == 4
    assert len(server.blocks()) == 2 + 3 * 5
    server.hook = lambda came: None
    told(server)
    assert server.device.firmware.state == 2
    assert server.device.log.resumed_at == [1024]


@pytest.mark.parametrize(("answer", "result"), [(0x84, 7), (0xA3, 4), (0x88, 4)])
def test_an_error_ends_a_download_at_once(attend, answer, result):
    """4.04, 5.03 and 4.08: T5 and T41."""
    server = observed(attend("anjay", PACKAGE))
    server.hook = lambda came: (
        [Message(type=ACK, code=answer, message_id=came.message.message_id, token=came.message.token)]
        if len(server.blocks()) == 2
        else None
    )
    told(server)
    assert (server.device.firmware.state, server.device.firmware.result) == (0, result)


@pytest.mark.parametrize(("style", "state"), [("liteos", b"2"), ("anjay", b"0")])
def test_a_failed_update_leaves_the_state_of_its_style(attend, style, state):
    """Result 8 and the old version: 2 in LwM2M 1.0, 2 or 0 later."""
    server = attend(style, PACKAGE, misbehaviour=Misbehaviour(update=Update.FAILS))
    assert upgraded(server) == b"8"
    assert (read(server, "5/0/3"), read(server, "3/0/3")) == (state, b"V1.0")


def test_a_smaller_block_than_asked_is_taken(attend):
    """The offset counts, not the NUM: RFC 7959 section 2.4."""
    server = observed(attend("anjay", PACKAGE))

    def smaller(came):
        value = option(came.message, BLOCK2)
        if came.message.code != GET or value is None:
            return None
        asked = block_reference.parse(value)
        block = block_reference.shrink(asked, min(asked.szx, 4))
        offset, length, more = block_reference.slice_of(block, len(PACKAGE))
        told = block_reference.encode(block_reference.Block(block.num, more, block.szx))
        return [
            replace(answer_to(came), options=((BLOCK2, told),), payload=PACKAGE[offset : offset + length])
        ]

    server.hook = smaller
    told(server)
    assert server.device.log.digest == sha256(PACKAGE).hexdigest()
    assert server.device.log.blocks == 12


def test_the_package_says_its_version(attend):
    """Else the profile does."""
    server = attend("anjay", b"not ours" * 100, target_version="V9")
    upgraded(server)
    assert server.device.version == "V9"


def test_every_first_message_is_confirmable(attend):
    """Register: LwM2M transport, 6.4."""
    assert {attend(style).came[0].message.type for style in STYLES} == {CON}
