"""What the tests of this room serve, and the sockets they serve it on."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace

import pytest

from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.responder import Responder
from headgate.transport.listener import Listener
from headgate.transport.sockets import bind
from headgate.transport.udp import UdpEndpoint
from peer import Peer, package_of

BODY = random.Random(7252).randbytes(3000)


@pytest.fixture
def catalog() -> Catalog:
    """A catalog that serves BODY as "fw"."""
    catalog = Catalog(Ledger(64))
    catalog.publish(b"fw", package_of(BODY))
    return catalog


@pytest.fixture
def responder(catalog: Catalog) -> Responder:
    """Answers from the catalog, and takes nothing else."""
    return Responder(catalog)


@pytest.fixture
def body() -> bytes:
    """What is served as "fw"."""
    return BODY


@pytest.fixture
def closing() -> Iterator[contextlib.ExitStack]:
    """What is entered here is closed when the test ends."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def listen(closing: contextlib.ExitStack, responder: Responder) -> Callable[..., SimpleNamespace]:
    """A Listener on a UDP socket of its own: `listener`, `socket`, `port`, and `peer()` to ask it."""

    def make(host: str | None = "127.0.0.1", answering: Responder = responder, **how) -> SimpleNamespace:
        [bound] = bind(host, 0, count=1, receive_buffer_bytes=1 << 20)
        closing.enter_context(bound.socket)
        port = bound.socket.getsockname()[1]
        return SimpleNamespace(
            listener=Listener(bound.socket.fileno(), answering, packet_info=bound.packet_info, **how),
            socket=bound.socket,
            port=port,
            peer=lambda to="127.0.0.1": closing.enter_context(Peer(port, to)),
        )

    return make


@pytest.fixture
def listen_unix(closing: contextlib.ExitStack, responder: Responder) -> Callable[..., SimpleNamespace]:
    """A Listener on an AF_UNIX socket: such a peer's queue can be full, and such a peer can be gone."""

    def made() -> socket.socket:
        unix = closing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        unix.bind("")  # the kernel names it
        unix.setblocking(False)
        return unix

    def make(answering: Responder = responder, **how) -> SimpleNamespace:
        server = made()

        def peer(name: str | bytes | None = None) -> socket.socket:
            if name is None:
                client = made()
            else:
                client = closing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                client.bind(name)
                client.setblocking(False)
            client.connect(server.getsockname())
            return client

        return SimpleNamespace(listener=Listener(server.fileno(), answering, **how), socket=server, peer=peer)

    return make


@pytest.fixture(params=[0, 1, 3], ids="threads={}".format)
def threads(request: pytest.FixtureRequest) -> int:
    """Served on the loop, by one thread, by several."""
    return request.param


def ignore(kind: str, value: object) -> None:
    """Takes what is handed over, and does nothing with it."""


def made(responder: Responder, on_handover: Callable[[str, object], None] = ignore, **how) -> UdpEndpoint:
    """An endpoint on a free port of 127.0.0.1, unless told otherwise."""
    usual = {
        "host": "127.0.0.1",
        "port": 0,
        "threads": 0,
        "receive_buffer_bytes": 1 << 20,
        "ring_bytes": 1 << 20,
    }
    return UdpEndpoint(responder, on_handover=on_handover, **(usual | how))


@pytest.fixture
def endpoint_of() -> Callable[..., UdpEndpoint]:
    """`made`: an endpoint that is bound and not started."""
    return made


@pytest.fixture
def serving() -> Callable[..., contextlib.AbstractAsyncContextManager[UdpEndpoint]]:
    """The same, started, and closed where the `async with` ends."""

    @contextlib.asynccontextmanager
    async def start(*what, **how) -> AsyncIterator[UdpEndpoint]:
        endpoint = made(*what, **how)
        endpoint.start()
        try:
            yield endpoint
        finally:
            await endpoint.close()

    return start
