"""A fleet downloads: every image whole, every wrong answer found out, every request by the book."""

from __future__ import annotations

import hashlib
import random
import signal
import socket
import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from headgate.errors import BlockError, PathError
from headgate.fleet.counts import DownloadFailure
from headgate.fleet.downloader import Downloader, path_options
from headgate.fleet.echo import Echo
from headgate.wire.block import Block
from headgate.wire.coap import Message
from reference.block2_server import (
    ACK,
    CON,
    NON,
    RST,
    SIZE2,
    Block2Server,
    block_of,
    option,
    path_of,
    with_options,
)

BODY = random.Random(7959).randbytes(5000)
BOUND_S = 30  # a run that takes longer has hung


@pytest.fixture
def echo():
    """An Echo at work, as `fleet_of` wants to know a server; the body is 6000 blocks of 16 bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        echo = Echo(bound.fileno(), 64)
        thread = threading.Thread(target=echo.run)
        thread.start()
        yield SimpleNamespace(host="127.0.0.1", port=bound.getsockname()[1], body=bytes(6000 * 16))
        echo.stop()
        thread.join(BOUND_S)
        assert not thread.is_alive()


def fleet_of(server: Block2Server | SimpleNamespace, **how) -> Downloader:
    """A downloader of the server's body, 10 devices unless told otherwise."""
    how = {"path": "/p/ab", "devices": 10, "szx": 6, "body": server.body, **how}
    return Downloader(host=server.host, port=server.port, **how)


def assert_all_images(fleet: Downloader, devices: int, body: bytes) -> None:
    """Every device has finished with the right bytes."""
    assert fleet.stats.failures == {}
    assert fleet.stats.finished == devices
    assert fleet.stats.active == 0
    want = hashlib.sha256(body).hexdigest()
    assert {hashlib.sha256(fleet.image(device)).hexdigest() for device in range(devices)} == {want}


# -- downloads --


@pytest.mark.parametrize(
    "how",
    [
        *[{"szx": szx} for szx in range(7)],
        {"szx": None},
        {"confirmable": False},
        *[{"token_bytes": length} for length in (0, 1, 2, 3, 8)],
        {"token_bytes": 0, "sockets": 4},
        {"token_bytes": 0, "sockets": 10},
        {"token_bytes": 0, "sockets": 10, "confirmable": False},
        {"size2": True},
        {"sockets": 3},
        {"sockets": 10},
        {"in_flight": 1},
        {"in_flight": 3},
        {"in_flight": 3, "sockets": 3},
        {"in_flight": 3, "sockets": 10},
        {"in_flight": 3, "sockets": 10, "token_bytes": 0},
    ],
    ids=str,
)
def test_every_device_gets_the_body(serve, how):
    """Whatever the size, type, token, ports and number in flight: each image is the body."""
    with fleet_of(serve(BODY), keep=True, **how) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 10, BODY)
    size = 1 << ((6 if how.get("szx") is None else how["szx"]) + 4)
    assert fleet.stats.blocks == 10 * -(-len(BODY) // size)
    assert fleet.stats.bytes == 10 * len(BODY)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 1024])
@pytest.mark.parametrize("szx", [0, 6, None])
def test_last_block_may_be_short_full_or_empty(serve, length, szx):
    """The last block has 1..size bytes; an empty body is block 0 without payload (RFC 7959 section 2.2)."""
    with fleet_of(serve(BODY[:length]), szx=szx, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 10, BODY[:length])


def test_ipv6(serve):
    """The host may be an IPv6 address."""
    try:
        server = serve(BODY, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with fleet_of(server, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 10, BODY)


def test_each_device_asks_for_its_own_path(serve):
    """Grants have one URI each."""
    server = serve(BODY)
    paths = [f"/g/{index:032x}" for index in range(10)]
    with fleet_of(server, path=paths, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 10, BODY)
    asked = Counter((path_of(message), block_of(message).num) for message in server.messages)
    assert asked == {(path[1:], num): 1 for path in paths for num in range(5)}


def test_devices_take_turns(serve):
    """With fewer in flight than devices, a slot goes on to the next device after each block."""
    server = serve(BODY)
    paths = [f"/{index}" for index in range(12)]
    with fleet_of(server, path=paths, devices=12, in_flight=3) as fleet:
        assert fleet.run(BOUND_S)
    asked = [(path_of(message), block_of(message).num) for message in server.messages]
    assert {path for path, _ in asked[:12]} == {path[1:] for path in paths}
    assert {num for _, num in asked[:12]} == {0}


def test_no_more_than_in_flight_are_asked_for(serve):
    """A server that never answers sees one request from each slot."""
    server = serve(BODY, answer=lambda *_: [])
    with fleet_of(server, devices=100, in_flight=7, ack_timeout_s=60.0) as fleet:
        assert not fleet.run(0.1)
    assert fleet.stats.requests == 7
    assert fleet.stats.active == 100


# -- requests --


def test_request_bytes_are_those_of_the_standard(serve):
    """Token 4, Uri-Path `p` and 16 hex digits, Block2 n/0/5: the dossier's example, section 6.2."""
    server = serve(BODY)
    with fleet_of(server, devices=1, path="/p/4ea021b62388bdd4", szx=5) as fleet:
        assert fleet.run(BOUND_S)
    path = bytes.fromhex("b1 70 0d03 34656130323162363233383862646434")
    sent = [data for _, data in server.requests]
    assert {data[:2] for data in sent} == {b"\x44\x01"}
    assert sent[0][8:] == path + bytes.fromhex("c105")
    assert sent[2][8:] == path + bytes.fromhex("c125")


def test_requests_have_fresh_message_ids_and_tokens(serve):
    """RFC 7252 sections 4.4 and 5.3.1: no exchange is mistaken for another."""
    server = serve(BODY)
    with fleet_of(server, szx=4) as fleet:
        assert fleet.run(BOUND_S)
    first = {message.message_id: message.token for message in server.messages}
    assert len(first) == fleet.stats.blocks
    assert len(set(first.values())) == fleet.stats.blocks


def test_first_request_without_a_size_names_no_block(serve):
    """Late negotiation: the server's answer decides the size (RFC 7959 section 2.4)."""
    server = serve(BODY, szx=4)
    with fleet_of(server, devices=1, szx=None, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 1, BODY)
    assert block_of(server.messages[0]) is None
    assert block_of(server.messages[1]) == Block(1, False, 4)


@pytest.mark.parametrize("start", ["zero", "random"])
def test_smaller_answer_keeps_the_offset(serve, start):
    """A server may answer in smaller blocks, and the rest is asked for in those."""
    server = serve(BODY, szx=2)
    with fleet_of(server, szx=5, start=start, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 10, BODY)
    assert Counter(block_of(message).szx for message in server.messages)[5] == 10


def test_answer_may_shrink_in_mid_download(serve):
    """Each answer may name a smaller size than the last."""

    def shrink(server, request, reply):
        server.szx = max(0, server.szx - 1)
        return [reply]

    server = serve(BODY, answer=shrink)
    with fleet_of(server, devices=1, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 1, BODY)
    assert {block_of(message).szx for message in server.messages} == set(range(7))


@pytest.mark.parametrize("size2", [False, True])
def test_size2_is_asked_for_with_every_block_or_not_at_all(serve, size2):
    """Value 0, that is no bytes: tell me the size (RFC 7959 section 4)."""
    server = serve(BODY)
    with fleet_of(server, size2=size2) as fleet:
        assert fleet.run(BOUND_S)
    assert {option(message, SIZE2) for message in server.messages} == ({b""} if size2 else {None})


def test_path_becomes_uri_path_options():
    """One option per segment; a segment of 13 bytes or more has an extended length."""
    assert path_options("") == path_options("/") == b""
    assert path_options("a/b") == path_options("/a/b") == bytes.fromhex("b161 0162")
    assert path_options("/" + "x" * 255)[:3] == bytes.fromhex("bd f2 78")
    assert path_options("/ä") == bytes.fromhex("b2c3a4")


def test_impossible_path_is_refused():
    """A Uri-Path option has 0..255 bytes (RFC 7252 section 5.10), and a request fits its datagram."""
    with pytest.raises(PathError, match="255"):
        path_options("/" + "x" * 256)
    with pytest.raises(PathError, match="1024"):
        path_options("/x" * 600)


# -- wrong answers --


def wrong_byte(server, request, reply):
    return [with_options(reply, payload=bytes([reply.payload[0] ^ 1]) + reply.payload[1:])]


def wrong_num(server, request, reply):
    asked = block_of(request)
    return [server.reply(with_options(request, block2=Block(asked.num + 1, False, asked.szx).encode()))]


def larger_szx(server, request, reply):
    return [with_options(reply, block2=Block(0, True, 6).encode(), payload=BODY[:1024])]


def reserved_szx(server, request, reply):
    return [with_options(reply, block2=b"\x0f")]


def no_block2(server, request, reply):
    return [with_options(reply, block2=None)]


def more_denied(server, request, reply):
    block = block_of(reply)
    return [with_options(reply, block2=Block(block.num, False, block.szx).encode())]


def short_payload(server, request, reply):
    return [with_options(reply, payload=reply.payload[:-1])]


def long_payload(server, request, reply):
    return [with_options(reply, payload=reply.payload + b"x")]


def changed_etag(server, request, reply):
    return [with_options(reply, etag=b"another")]


def dropped_etag(server, request, reply):
    return [with_options(reply, etag=None)]


def wrong_size2(server, request, reply):
    return [with_options(reply, size2=b"\x01")]


def critical_option(server, request, reply):
    return [with_options(reply, oscore=b"")]


def not_found(server, request, reply):
    return [with_options(reply, code=0x84, block2=None, etag=None, size2=None, payload=b"")]


def malformed(server, request, reply):
    return [reply.encode()[: 4 + len(reply.token)] + b"\xff"]  # a payload marker, and no payload


def reset(server, request, reply):
    return [Message(type=RST, code=0, message_id=request.message_id)]


@pytest.mark.parametrize(
    ("mischief", "failure"),
    [
        (wrong_byte, DownloadFailure.PAYLOAD),
        (wrong_num, DownloadFailure.NUM),
        (larger_szx, DownloadFailure.SZX),
        (reserved_szx, DownloadFailure.SZX),
        (no_block2, DownloadFailure.BLOCK2_MISSING),
        (more_denied, DownloadFailure.MORE),
        (short_payload, DownloadFailure.LENGTH),
        (long_payload, DownloadFailure.LENGTH),
        (changed_etag, DownloadFailure.ETAG),
        (dropped_etag, DownloadFailure.ETAG),
        (wrong_size2, DownloadFailure.SIZE2),
        (critical_option, DownloadFailure.CRITICAL_OPTION),
        (not_found, DownloadFailure.CODE),
        (malformed, DownloadFailure.FORMAT),
        (reset, DownloadFailure.RESET),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("how", [{}, {"token_bytes": 0}, {"in_flight": 2, "sockets": 3}], ids=str)
def test_wronged_device_fails_and_no_other(serve, mischief, failure, how):
    """One wrong answer in the middle of one download: that device fails, for that reason."""

    def answer(server, request, reply):
        if path_of(request) == "4" and block_of(request).num == 3:
            return mischief(server, request, reply)
        return [reply]

    server = serve(BODY, answer=answer)
    with fleet_of(server, path=[f"/{index}" for index in range(10)], szx=5, **how) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.failures == {failure: 1}
    assert [fleet.failure(device) for device in range(10)] == [None] * 4 + [failure] + [None] * 5
    assert fleet.stats.finished == 9
    assert fleet.stats.failed == 1
    assert fleet.stats.active == 0
    assert fleet.stats.blocks == 9 * 10 + 3
    assert fleet.last_code == (0x84 if mischief is not_found else None)


def test_answer_that_promises_more_than_the_body_has_fails(serve):
    """The M flag of the last block is clear."""
    server = serve(
        BODY,
        answer=lambda server, request, reply: [
            with_options(reply, block2=Block(block_of(reply).num, True, 6).encode())
        ],
    )
    with fleet_of(server, devices=1) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.failures == {DownloadFailure.MORE: 1}
    assert fleet.stats.blocks == 4


def test_given_etag_must_be_the_servers(serve):
    """`etag` names what the first answer must already have."""
    server = serve(BODY)
    with fleet_of(server, etag=bytes.fromhex("4ea021b62388bdd4")) as right:
        assert right.run(BOUND_S)
    with fleet_of(server, etag=b"x") as wrong:
        assert wrong.run(BOUND_S)
    assert right.stats.finished == 10
    assert wrong.stats.failures == {DownloadFailure.ETAG: 10}


def test_unasked_whole_body_needs_no_block2(serve):
    """A body that fits one message may come without Block2 when none was asked for, but only whole."""
    plain = serve(BODY[:100], answer=no_block2)
    with fleet_of(plain, szx=None) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.finished == 10
    torn = serve(BODY[:100], answer=lambda *turn: short_payload(*turn[:2], no_block2(*turn)[0]))
    with fleet_of(torn, szx=None) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.failures == {DownloadFailure.BLOCK2_MISSING: 10}


def test_stranger_s_answers_are_stale(serve):
    """Another token, another message id, no CoAP at all: none of them answers a request."""

    def answer(server, request, reply):
        other = Message(type=NON, code=reply.code, message_id=1, token=b"1234", payload=b"x")
        late = Message(
            type=ACK,
            code=reply.code,
            message_id=request.message_id ^ 1,
            token=request.token,
            options=reply.options,
            payload=reply.payload,
        )
        return [other, late, b"", b"\x00\x45\x00\x00", reply]

    with fleet_of(serve(BODY, answer=answer), devices=1, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 1, BODY)
    assert fleet.stats.stale == 10
    assert fleet.stats.malformed == 10


# -- retransmission --


def test_confirmable_request_is_repeated_as_it_was(serve):
    """Same message id and token, four times at most (RFC 7252 section 4.2)."""
    server = serve(BODY, answer=lambda server, request, reply: [reply] if len(server.requests) > 3 else [])
    with fleet_of(server, devices=1, ack_timeout_s=0.01, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 1, BODY)
    sent = [data for _, data in server.requests]
    assert sent[0] == sent[1] == sent[2] == sent[3]
    assert fleet.stats.retransmissions >= 3


def test_non_confirmable_request_is_asked_anew(serve):
    """A NON has no retransmission: another message id, the same token."""
    server = serve(BODY, answer=lambda server, request, reply: [reply] if len(server.requests) > 3 else [])
    with fleet_of(server, devices=1, ack_timeout_s=0.01, confirmable=False, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 1, BODY)
    first = server.messages[:4]
    assert len({message.message_id for message in first}) == 4
    assert len({message.token for message in first}) == 1


@pytest.mark.parametrize("how", [{}, {"token_bytes": 0}, {"sockets": 5, "in_flight": 2}], ids=str)
def test_silence_ends_in_a_timeout(serve, how):
    """After the last retransmission the device gives up."""
    server = serve(BODY, answer=lambda *_: [])
    with fleet_of(server, devices=5, ack_timeout_s=0.002, max_retransmit=3, **how) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.failures == {DownloadFailure.TIMEOUT: 5}
    assert fleet.stats.requests == 5 * 4
    assert fleet.stats.retransmissions == 5 * 3
    assert fleet.latency(0.5) == 0


def test_timeout_doubles_with_each_retransmission(serve):
    """ACK_TIMEOUT at least, then twice, four and eight times that (RFC 7252 section 4.2)."""
    with fleet_of(
        serve(BODY, answer=lambda *_: []), devices=1, ack_timeout_s=0.01, max_retransmit=3
    ) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.elapsed_s >= 0.01 * (1 + 2 + 4 + 8)


def test_message_ids_in_flight_are_passed_over(echo):
    """When ids come round, those of requests still waiting are not given again (RFC 7252 section 4.4).

    Without tokens nothing else tells two requests apart: each of those that were lost would wait for
    an answer that another one takes.
    """
    how = {"floor": True, "token_bytes": 0, "szx": 0, "loss": 1e-4, "seed": 1, "max_retransmit": 2}
    with fleet_of(echo, devices=20, ack_timeout_s=1.0, **how) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.failures == {}
    assert fleet.stats.blocks == 20 * 6000 > 65536
    assert fleet.stats.retransmissions > 0


@pytest.mark.parametrize("copies", [2, 3])
def test_duplicated_answers_are_stale(serve, copies):
    """The first copy counts, the others are counted."""
    server = serve(BODY, answer=lambda server, request, reply: [reply] * copies)
    with fleet_of(server, devices=1, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 1, BODY)
    assert fleet.stats.stale >= (copies - 1) * 4  # those of the last block may come too late


def test_duplicated_requests_are_answered_twice(serve):
    """duplicate=1 sends every request twice, and each answer but the first is stale."""
    server = serve(BODY)
    with fleet_of(server, duplicate=1.0, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    server.stop()
    assert_all_images(fleet, 10, BODY)
    assert fleet.stats.requests == 50 + fleet.stats.retransmissions
    assert len(server.requests) > 50 + fleet.stats.retransmissions
    assert fleet.stats.stale > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "how", [{}, {"token_bytes": 0}, {"confirmable": False}, {"sockets": 4, "in_flight": 7}], ids=str
)
def test_images_survive_loss_duplication_and_reordering(serve, seed, how):
    """A download is made of idempotent GETs: mischief costs time, never a byte."""
    with fleet_of(
        serve(BODY),
        szx=5,
        devices=20,
        loss=0.1,
        duplicate=0.1,
        reorder=0.2,
        seed=seed,
        ack_timeout_s=0.01,
        max_retransmit=12,
        keep=True,
        **how,
    ) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 20, BODY)
    assert fleet.stats.lost > 0
    assert fleet.stats.retransmissions > 0


def test_reordering_swaps_neighbours(serve):
    """reorder=1 sends each second request of a batch before the first."""
    server = serve(BODY[:10])
    with fleet_of(server, path=[f"/{index}" for index in range(10)], reorder=1.0) as fleet:
        assert fleet.run(BOUND_S)
    assert [path_of(message) for message in server.messages] == list("1032547698")


def test_total_loss_reaches_nobody(serve):
    """loss=1: every request is drawn, none is sent."""
    server = serve(BODY)
    with fleet_of(server, loss=1.0, ack_timeout_s=0.002, max_retransmit=2) as fleet:
        assert fleet.run(BOUND_S)
    server.stop()
    assert server.requests == []
    assert fleet.stats.lost == fleet.stats.requests == 10 * 3
    assert fleet.stats.failures == {DownloadFailure.TIMEOUT: 10}


def test_server_may_restart(serve):
    """A refused port is no failure: the requests have their timers."""
    first = serve(BODY, answer=lambda server, request, reply: [reply] if block_of(request).num < 2 else [])
    with fleet_of(first, ack_timeout_s=0.01, max_retransmit=14, keep=True) as fleet:
        while fleet.stats.blocks < 20:
            assert not fleet.run(0.01)
        first.stop()
        assert not fleet.run(0.05)
        serve(BODY, port=first.port)
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 10, BODY)


# -- separate responses, RFC 7252 section 5.2.2 --


@pytest.mark.parametrize("type", [CON, NON])
@pytest.mark.parametrize("how", [{}, {"token_bytes": 0, "sockets": 10}], ids=str)
def test_separate_response_is_taken_and_acknowledged(serve, type, how):
    """Empty ACK first, the response later by its token; a CON response is acknowledged."""

    def answer(server, request, reply):
        later = Message(
            type=type,
            code=reply.code,
            message_id=request.message_id ^ 0x4000,
            token=reply.token,
            options=reply.options,
            payload=reply.payload,
        )
        return [Message(type=ACK, code=0, message_id=request.message_id), later]

    server = serve(BODY, answer=answer)
    with fleet_of(server, keep=True, **how) as fleet:
        assert fleet.run(BOUND_S)
    server.stop()
    assert_all_images(fleet, 10, BODY)
    empty = [message for message in server.messages if message.code == 0]
    assert {message.type for message in empty} == ({ACK} if type == CON else set())


def test_acknowledged_request_is_not_repeated(serve):
    """An empty ACK ends retransmission, not the wait."""
    server = serve(
        BODY, answer=lambda server, request, reply: [Message(type=ACK, code=0, message_id=request.message_id)]
    )
    with fleet_of(server, ack_timeout_s=0.02, max_retransmit=1) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.failures == {DownloadFailure.TIMEOUT: 10}
    assert fleet.stats.elapsed_s >= 0.02 * 1.5 * 4
    assert fleet.stats.requests <= 10 * 2  # the ACK may come after one timeout on a busy machine


def test_unknown_confirmable_messages_are_reset(serve):
    """A ping, and a CON response that nobody waits for, are answered with RST (section 4.2)."""

    def answer(server, request, reply):
        ping = Message(type=CON, code=0, message_id=1)
        stray = Message(type=CON, code=reply.code, message_id=2, token=b"stray")
        return [ping, stray, reply]

    server = serve(BODY, answer=answer)
    with fleet_of(server, devices=1) as fleet:
        assert fleet.run(BOUND_S)
    server.stop()
    resets = Counter(message.message_id for message in server.messages if message.type == RST)
    assert resets == {1: 5, 2: 5}


# -- resumes --


def test_random_start_asks_for_the_rest_only(serve):
    """The prefix is held already, as after a resume; the same seed starts at the same blocks."""
    server = serve(BODY)
    firsts = []
    for seed in (1, 1, 2):
        server.requests.clear()
        with fleet_of(server, devices=20, szx=4, start="random", seed=seed, keep=True) as fleet:
            assert fleet.run(BOUND_S)
        assert_all_images(fleet, 20, BODY)
        firsts.append([block_of(message).num for message in server.messages[:20]])
        assert fleet.stats.blocks == sum(20 - num for num in firsts[-1])
    assert firsts[0] == firsts[1] != firsts[2]
    assert len(set(firsts[0])) > 5


def test_device_goes_on_from_another_port(serve):
    """Half-way to a new port, as after a NAT forgot the mapping: the server sees two remotes."""
    server = serve(BODY)
    paths = [f"/{index}" for index in range(10)]
    with fleet_of(server, path=paths, szx=4, sockets=2, restart_from_new_port=1.0, keep=True) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 10, BODY)
    assert fleet.stats.moved == 10
    for path in paths:
        seen = [
            (remote, block_of(Message.parse(data)).num)
            for remote, data in server.requests
            if path_of(Message.parse(data)) == path[1:]
        ]
        before = {remote for remote, num in seen if num < 10}
        after = {remote for remote, num in seen if num >= 10}
        assert len(before) == len(after) == 1
        assert before != after


def test_some_devices_change_their_port(serve):
    """The share is a probability per device."""
    with fleet_of(
        serve(BODY), devices=100, sockets=7, in_flight=20, restart_from_new_port=0.3, keep=True
    ) as fleet:
        assert fleet.run(BOUND_S)
    assert_all_images(fleet, 100, BODY)
    assert 10 <= fleet.stats.moved <= 60


# -- running --


def test_repeat_downloads_until_the_time_is_up(serve):
    """A device that has finished starts again at block 0."""
    server = serve(BODY[:2000])
    with fleet_of(server, repeat=True) as fleet:
        while fleet.stats.finished < 30:
            assert not fleet.run(0.02)
        assert fleet.stats.active == 10
        assert fleet.stats.failed == 0
        assert fleet.stats.elapsed_s >= 0.02
    assert fleet.stats.blocks >= 60


def test_run_goes_on_where_it_stopped(serve):
    """Slices of any length, even none, add up to a whole download."""
    with fleet_of(serve(BODY), szx=4, keep=True) as fleet:
        slices = 1
        while not fleet.run(0.0005):
            slices += 1
            assert slices < BOUND_S * 2000
    assert slices > 1
    assert_all_images(fleet, 10, BODY)


def test_pause_does_not_age_requests(serve):
    """Time outside of `run` does not count: nothing is repeated because the caller was busy."""
    with fleet_of(serve(BODY, answer=lambda *_: []), devices=1, ack_timeout_s=0.2) as fleet:
        assert not fleet.run(0.01)
        before_s = fleet.stats.elapsed_s
        paused_s = time.monotonic()
        while time.monotonic() < paused_s + 0.4:
            pass
        assert not fleet.run(0.0)
    assert fleet.stats.elapsed_s - before_s < 0.19
    assert fleet.stats.retransmissions == 0


def test_stop_ends_a_run_in_another_thread(serve):
    """`run` has released the GIL, and returns False once it is told to stop."""
    server = serve(BODY, answer=lambda *_: [])
    with fleet_of(server) as fleet:
        results = []
        thread = threading.Thread(target=lambda: results.append(fleet.run()))
        thread.start()
        while fleet.stats.requests < 10:
            pass
        with pytest.raises(RuntimeError, match="running"):
            fleet.run()
        with pytest.raises(RuntimeError, match="running"):
            fleet.close()
        fleet.stop()
        thread.join(BOUND_S)
        assert results == [False]


def test_signal_handler_may_end_a_run(serve):
    """Ctrl-C reaches a fleet that waits for nothing."""

    class AlarmError(Exception):
        pass

    def ring(*_):
        raise AlarmError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with fleet_of(serve(BODY, answer=lambda *_: [])) as fleet:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(AlarmError):
                fleet.run(BOUND_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_rate_is_not_exceeded(serve):
    """Open loop: requests leave by the clock, however fast the answers come."""
    with fleet_of(serve(BODY), devices=50, repeat=True, rate=1000.0) as fleet:
        while fleet.stats.elapsed_s < 0.3:
            assert not fleet.run(0.003)
            assert fleet.stats.requests <= 1000 * fleet.stats.elapsed_s + 1
    assert fleet.stats.requests >= 100  # sanity only: the machine may be busy


@pytest.mark.parametrize("sockets", [1, 2])
@pytest.mark.parametrize("rate", [1e-12, 10.0, 1e5])
def test_a_fleet_at_a_rate_sleeps_while_it_has_nothing_to_send(serve, rate, sockets):
    """Until its next request is due; where all wait for answers, however late that is, until one comes."""
    silent = serve(BODY, answer=lambda *_: [])
    with fleet_of(silent, devices=2, rate=rate, sockets=sockets, ack_timeout_s=30) as fleet:
        fleet.run(0.05)
        before_s = time.thread_time()
        fleet.run(0.2)
        assert time.thread_time() - before_s < 0.1
    assert fleet.stats.requests <= 2


def test_latency_is_that_of_requests_sent_once(serve):
    """Seconds between request and answer, lower quantiles first."""
    with fleet_of(serve(BODY)) as fleet:
        assert fleet.run(BOUND_S)
    assert 0 < fleet.latency(0.0) <= fleet.latency(0.5) <= fleet.latency(1.0) <= BOUND_S
    fleet.latency_reset()
    assert fleet.latency(0.5) == 0


def test_repeated_requests_have_no_latency(serve):
    """A request sent twice does not tell which copy was answered (Karn's rule)."""
    server = serve(
        BODY[:10], answer=lambda server, request, reply: [reply] if len(server.requests) > 1 else []
    )
    with fleet_of(server, devices=1, ack_timeout_s=0.01) as fleet:
        assert fleet.run(BOUND_S)
    assert fleet.stats.blocks == 1
    assert fleet.latency(1.0) == 0


def test_counts_and_images_outlive_the_sockets(serve):
    """`close` gives back the ports, not the results."""
    with fleet_of(serve(BODY), keep=True) as fleet:
        assert fleet.run(BOUND_S)
        fleet.close()
    assert_all_images(fleet, 10, BODY)
    assert fleet.image(0).readonly
    with pytest.raises(RuntimeError, match="closed"):
        fleet.run()
    with pytest.raises(IndexError):
        fleet.image(10)
    with pytest.raises(IndexError):
        fleet.failure(10)


def test_images_are_kept_on_demand_only(serve):
    """A million images would not fit."""
    with fleet_of(serve(BODY)) as fleet, pytest.raises(RuntimeError, match="keep"):
        fleet.image(0)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"devices": 0}, ValueError, "devices"),
        ({"devices": 1_000_001}, ValueError, "devices"),
        ({"in_flight": 0}, ValueError, "in_flight"),
        ({"in_flight": 11}, ValueError, "in_flight"),
        ({"sockets": 0}, ValueError, "sockets"),
        ({"sockets": 11}, ValueError, "sockets"),
        ({"szx": 7}, ValueError, "szx"),
        ({"token_bytes": 9}, ValueError, "token_bytes"),
        ({"etag": b""}, ValueError, "ETag"),
        ({"etag": bytes(9)}, ValueError, "ETag"),
        ({"start": "end"}, ValueError, "start"),
        ({"start": "random", "szx": None}, ValueError, "szx"),
        ({"restart_from_new_port": 0.5}, ValueError, "socket"),
        ({"restart_from_new_port": 1.5, "sockets": 2}, ValueError, "restart_from_new_port"),
        ({"loss": 1.1}, ValueError, "loss"),
        ({"duplicate": -0.1}, ValueError, "duplicate"),
        ({"reorder": float("nan")}, ValueError, "reorder"),
        ({"ack_timeout_s": 0.0}, ValueError, "ack_timeout_s"),
        ({"max_retransmit": 21}, ValueError, "max_retransmit"),
        ({"rate": 0.0}, ValueError, "rate"),
        ({"path": ["/a"] * 9}, ValueError, "one path"),
        ({"path": "/" + "x" * 256}, PathError, "255"),
        ({"confirmable": False, "token_bytes": 0}, ValueError, "tokens of 0 bytes"),
        ({"devices": 20_000, "token_bytes": 1}, ValueError, "tokens of 1 bytes"),
        ({"body": bytes((1 << 24) + 1), "szx": 0}, BlockError, "blocks of SZX 0"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_impossible_wish_is_refused(how, error, message):
    """Said at once and by name, before a socket is opened."""
    how = {"path": "/p", "body": b"x", "devices": 10, "szx": 6, **how}
    with pytest.raises(error, match=message):
        Downloader(host="127.0.0.1", port=5683, **how)


def test_negative_duration_is_refused(serve):
    """Nor is one that is no number."""
    with fleet_of(serve(BODY)) as fleet:
        for duration_s in (-1.0, float("nan")):
            with pytest.raises(ValueError, match="duration_s"):
                fleet.run(duration_s)
