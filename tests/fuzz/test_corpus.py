"""The fuzzer's kept corpus, and every crash it found, through the Python faces; on every build.

The fuzzer's own invariants are in harness.pyx. Here the same datagrams meet the reference codec, and the
responders must stay within what they promise for any input.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz.seeds import datagrams
from fuzz.served import Served, served
from headgate.engine.responder import OUTCOMES
from headgate.errors import MessageFormatError
from headgate.wire.coap import Message
from reference import coap as reference
from vectors import load

KEPT = sorted((Path(__file__).parent / "corpus" / "datagram").iterdir())
CRASHES = load("crashes/datagram.json")
CON, NON, ACK, RST = range(4)
SILENT = {*OUTCOMES[OUTCOMES.index("short") :]}
PUT = 3
LARGEST_REPLY = 128 + 1024  # bytes: the longest head and the largest block


@pytest.fixture(scope="module")
def house() -> Served:
    """What the fuzzer answers from."""
    return served()


def read(data: bytes):
    """What our parser makes of a datagram: its parts, or how it refuses."""
    try:
        message = Message.parse(data)
    except MessageFormatError as error:
        return "refused", error.type, error.message_id, error.token
    assert message.encode() == data, "each part of a message has one form only"
    return message.type, message.code, message.message_id, message.token, message.options, message.payload


def reference_read(data: bytes):
    """The same, from the reference."""
    try:
        message = reference.parse(data)
    except reference.RefusedError as error:
        return "refused", error.type, error.message_id, error.token
    return message.type, message.code, message.message_id, message.token, message.options, message.payload


def replay(house: Served, data: bytes) -> None:
    """One datagram, by every responder, whole and cut off."""
    assert read(data) == reference_read(data)
    for responder in (house.plain, house.handing, house.narrow):
        for truncated in (False, True):
            outcome, replies = responder.respond_all(data, truncated=truncated)
            assert outcome in OUTCOMES
            assert (replies == []) == (outcome in SILENT)
            if outcome == "segment":
                write = Message.parse(replies.pop())
                assert (write.type, write.code, write.message_id >> 15) == (CON, PUT, 1)
                assert write.payload[8] == 0
            if not replies:
                continue
            [reply] = replies
            sent = Message.parse(reply)
            assert sent.message_id == int.from_bytes(data[2:4])
            assert sent.type in (RST, ACK) if sent.code == 0 else sent.token == Message.parse(data).token
            assert len(reply) <= (LARGEST_REPLY if outcome == "2.05" else 3 * len(data))


def test_there_is_a_corpus():
    """An empty folder would pass every test below."""
    assert len(KEPT) > 50


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.name[:8])
def test_kept_input(house, path):
    """Each input that once took a way no other took."""
    replay(house, path.read_bytes())


@pytest.mark.parametrize("vector", CRASHES, ids=lambda vector: vector["name"])
def test_crash_stays_repaired(house, vector):
    """Each input that once crashed, read out of bounds or broke an invariant."""
    replay(house, bytes.fromhex(vector["hex"]))


def test_seeds_are_answered_in_every_usual_way(house):
    """What fuzzing begins with is worth beginning with, and is held to the same."""
    for seed in datagrams():
        replay(house, seed)
    outcomes = {house.plain.respond(seed)[0] for seed in datagrams() for _copy in range(2)}
    assert outcomes >= {"2.03", "2.05", "4.00", "4.04", "4.06", "ping", "unmatched"}
    assert outcomes >= {name for name in OUTCOMES if name.startswith("segment")} | {"separate response"}
