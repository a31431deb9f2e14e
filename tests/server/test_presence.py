"""How long a device listens, by its product: said by an operator, configured, and known after a restart."""

from __future__ import annotations

import asyncio

import pytest

from headgate.server.desk import ServerDesk
from peer import Peer, get

POST, URI_QUERY = 0x02, 15
SLEEPER = "sleeper"
# From its Register on; another machine may be slow, but not by an hour.
LONG_S, LONGER_S = 3600.0, 7200.0


def register(peer: Peer) -> int:
    """A device in queue mode registers; the code of the answer."""
    options = tuple((URI_QUERY, said) for said in (b"ep=" + SLEEPER.encode(), b"lwm2m=1.1", b"Q"))
    return peer.exchange(get("rd", code=POST, options=options, message_id=1), 1).code


def listens_s(server) -> float:
    """How long after it was heard it is taken to be awake: one of the two, or neither."""
    lwm2m, now = server._in.lwm2m, server._in.clock.now()
    return max((each for each in (LONG_S, LONGER_S) if lwm2m.awake(SLEEPER, now + each - 600.0)), default=0.0)


@pytest.mark.parametrize("product", ["meter", "lamp", None])
def test_by_product(run, server_of, product):
    """Who has no product, or one that is not configured, listens as long as all do."""
    presence = {"awake_s": LONG_S, "awake_s_of": {"meter": LONGER_S, "tracker": 4.0}}
    expected = LONGER_S if product == "meter" else LONG_S

    async def main() -> None:
        async with server_of(presence=presence) as server:
            with Peer(server.port) as peer:
                assert await asyncio.to_thread(register, peer) == 0x41
            desk = ServerDesk(server, server._in)
            assert listens_s(server) == LONG_S
            await server.label([SLEEPER, "absent"], product="tracker")
            assert listens_s(server) == 0.0
            await desk.label(SLEEPER, product=product, group=None)
            assert listens_s(server) == expected
        async with server_of(presence=presence) as server:
            assert listens_s(server) == 0.0, "it was not heard since the start"
            with Peer(server.port) as peer:
                assert await asyncio.to_thread(register, peer) == 0x41
            assert listens_s(server) == expected

    run(main())
