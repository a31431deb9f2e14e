"""What does an uplink of a registered device cost? CPU per Update and per notification, without a socket."""

from __future__ import annotations

import itertools
import random
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest

from headgate.engine.endpoints import Remote
from headgate.lwm2m.server import LwM2mServer
from headgate.lwm2m.settings import LwM2mSettings
from headgate.wire.coap import Message
from headgate.wire.numbers import CON, CONTENT, POST
from headgate.wire.resources import Path

LINKS = b'</>;rt="oma.lwm2m";ct=11543,</1/0>,</3/0>,</4/0>,</5/0>,</19/0>,</19/1>'
NOON_S = 1_767_268_800.0
MESSAGE_S = 0.02  # between two messages of the fleet: 15,000 are remembered at any time
STATE = Path(5, 0, 3)


def remote(number: int) -> Remote:
    """An address and its packet info, as the kernel writes them; a copy of each per datagram."""
    mapped = bytes(10) + b"\xff\xff" + struct.pack("!I", 0x0A000000 + number)
    return struct.pack("!HHI16sI", 10, 5683, 0, mapped, 0), bytes(bytearray(40))


def register(number: int) -> bytes:
    """A Register of a queue-mode device of LwM2M 1.0."""
    queries = (b"ep=urn:imei:86%013d" % number, b"lt=86400", b"lwm2m=1.0", b"b=UQ")
    options = ((11, b"rd"), (12, b"\x28"), *((15, query) for query in queries))
    return Message(
        type=CON, code=POST, message_id=number & 0xFFFF, token=b"tk", options=options, payload=LINKS
    ).encode()


def registered(devices: int) -> tuple[LwM2mServer, list[bytes]]:
    """A server with so many devices, and their locations."""
    server = LwM2mServer(rng=random.Random(20260101), settings=LwM2mSettings())
    locations = []
    for number in range(devices):
        now = NOON_S + number * MESSAGE_S
        for happening in server.receive(remote(number), register(number), now):
            server.confirm(happening, now)
            locations.append(happening.after.location.encode())  # type: ignore[attr-defined]
        server.take()
    return server, locations


def updating(server: LwM2mServer, locations: list[bytes]) -> list[bytes]:
    """An Update of each device, with nothing but its location."""
    return [
        Message(
            type=CON, code=POST, message_id=0x7000, token=b"up", options=((11, b"rd"), (11, location))
        ).encode()
        for location in locations
    ]


def notifying(server: LwM2mServer, locations: list[bytes]) -> list[bytes]:
    """A notification of each device: its State changed."""
    datagrams = []
    for number in range(len(locations)):
        token = number.to_bytes(8)
        server.remember(f"urn:imei:86{number:013}", STATE, token, NOON_S)
        options = ((6, b"\x05"), (12, b""))
        datagrams.append(
            Message(
                type=CON, code=CONTENT, message_id=0x7001, token=token, options=options, payload=b"1"
            ).encode()
        )
    return datagrams


@pytest.mark.benchmark(group="control", timer=time.process_time)
@pytest.mark.parametrize("moved", [False, True], ids=["same address", "new address"])
@pytest.mark.parametrize("kind", [updating, notifying])
def bench_uplink(
    benchmark: Any, kind: Callable[[LwM2mServer, list[bytes]], list[bytes]], moved: bool, quick: bool
) -> None:
    """An Update or notification of each of many devices: received, confirmed, its answer taken."""
    devices = 1_000 if quick else 20_000
    server, locations = registered(devices)
    datagrams = kind(server, locations)
    turns = itertools.count(1)

    def setup() -> tuple[tuple[list[tuple[Remote, bytes]], float], dict[str, Any]]:
        turn = next(turns)
        shift = turn * devices if moved else 0
        remotes = [remote(number + shift) for number in range(devices)]
        return (list(zip(remotes, datagrams, strict=True)), NOON_S + turn * 10_000.0), {}

    def receive(uplinks: list[tuple[Remote, bytes]], now: float) -> None:
        for each, datagram in uplinks:
            now += MESSAGE_S
            for happening in server.receive(each, datagram, now):
                server.confirm(happening, now)
            server.take()

    benchmark.pedantic(receive, setup=setup, rounds=7, warmup_rounds=1)
    benchmark.extra_info.update(per=devices)
