"""No datagram stops the server: what devices and others may send, and what they may not."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from datagrams import ACK, CON, NON, RST
from peer import Peer
from reference import coap
from reference.coap import Message

PATHS = ("rd", "rd/abc", "dp", "bs", ".well-known/core", "3/0/3", "fw")
QUERIES = (
    b"ep=noise",
    b"ep=",
    b"lt=0",
    b"lt=-1",
    b"lt=99999999999999999999",
    b"lwm2m=9.9",
    b"lwm2m=",
    b"b=XQ",
    b"Q",
    b"=",
)
FORMATS = (b"", b"\x28", b"\x2a", b"\x6e", b"\x70", b"\x2d\x16", b"\x2d\x17", b"\xff\xff\xff")
PAYLOADS = (
    b"</1/0>,</3/0>,</5/0>",
    b'</5>;ver=99999999999.1,</>;rt=oma.lwm2m;ct="1 2',
    b"<" * 1000,
    b'[{"bn":"/3/0/","n":"3","vs":"V"}]',
    b'[{"bn":"/99999999999999999999/0/","v":1e999}]',
    b"\x9f" * 500,
    b"\xc8\x00\xff",
    b"\xff" * 1000,
    b"",
)


def noise(chance: random.Random) -> bytes:
    """Something like a message, from well formed to anything."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.randrange(1, 60))
    options = [(11, part.encode()) for part in chance.choice(PATHS).split("/")]
    options += [(15, chance.choice(QUERIES)) for _ in range(chance.randrange(4))]
    options += [
        (number, value)
        for number, value in (
            (6, chance.choice((b"", b"\1", b"\xff\xff\xff"))),
            (12, chance.choice(FORMATS)[:2]),
            (17, chance.choice(FORMATS)[:2]),
            (23, chance.randbytes(chance.randrange(4))),
            (27, chance.randbytes(chance.randrange(4))),
            (60, chance.randbytes(chance.randrange(5))),
        )
        if chance.random() < 0.3
    ]
    datagram = bytearray(
        coap.encode(
            Message(
                type=chance.choice((CON, NON, ACK, RST)),
                code=chance.choice((1, 2, 3, 4, 5, 6, 7, 0x44, 0x45, 0x41, 0x80, 0x84, 0x9F)),
                message_id=chance.randrange(1 << 16),
                token=chance.randbytes(chance.randrange(9)),
                options=tuple(sorted(options, key=lambda option: option[0])),
                payload=chance.choice(PAYLOADS),
            )
        )
    )
    if kind < 0.4:
        for _ in range(chance.randrange(1, 4)):
            datagram[chance.randrange(len(datagram))] = chance.randrange(256)
    return bytes(datagram)


@pytest.mark.parametrize("threads", [0, 1])
def test_noise_stops_nothing(run, server_of, registered, threads):
    """A device registers in the middle of it and is answered; no exception, no bug."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    async def main() -> None:
        async with server_of(coap={"threads": threads}) as server:
            await registered(server, "noise")

            def send() -> None:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody, Peer(server.port) as peer:
                    somebody.connect(("127.0.0.1", server.port))
                    for number in range(3000):
                        somebody.send(noise(chance))
                        if number % 100 == 0:
                            peer.ask("none")

            await asyncio.to_thread(send)
            await registered(server, "device")
            assert server.failure is None

    run(main())
