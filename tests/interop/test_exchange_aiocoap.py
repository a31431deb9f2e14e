"""An Exchange and aiocoap, each in either role, over a socket on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiocoap
import aiocoap.resource
import pytest

from headgate.engine.events import (
    NotificationReceived,
    RequestAcknowledged,
    RequestReceived,
    ResponseReceived,
)
from headgate.engine.exchange import Exchange
from headgate.wire.numbers import (
    CHANGED,
    CONTENT,
    CREATED,
    GET,
    OBSERVE,
    POST,
    PUT,
    URI_PATH,
)
from peer import eventually

HOST = "127.0.0.1"
BODY = bytes(range(256)) * 20  # 5 KB: five blocks of 1024 bytes, ten of 512
NOTIFICATIONS = 20


class Driver(asyncio.DatagramProtocol):
    """What a transport does for an Exchange: datagrams in, datagrams out, and one timer."""

    def __init__(self) -> None:
        self.exchange = Exchange(rng=random.SystemRandom())
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """The socket is bound."""
        self._transport = transport
        self.address = transport.get_extra_info("sockname")

    def datagram_received(self, datagram: bytes, remote: Any) -> None:
        """A datagram has come."""
        self._told(self.exchange.receive(remote, datagram, self.now))

    @property
    def now(self) -> float:
        """Seconds of the loop's clock."""
        return self._loop.time()

    def flush(self) -> None:
        """Send what is to be sent, and set the timer."""
        for remote, datagram in self.exchange.take():
            self._transport.sendto(datagram, remote)
        if self._timer is not None:
            self._timer.cancel()
        due = self.exchange.next_timer()
        self._timer = None if due is None else self._loop.call_at(due, self._due)

    async def ask(self, server: Any, code: int, path: str, payload: bytes = b"", **more: Any) -> Any:
        """The next event after a request."""
        options = [(URI_PATH, segment.encode()) for segment in path.split("/")]
        options += [(OBSERVE, b"")] if more.pop("observe", False) else []
        self.exchange.request(server, server, code, options, payload, now=self.now, **more)
        self.flush()
        return await self.events.get()

    async def answer(self, code: int, payload: bytes = b"", options: Any = ()) -> RequestReceived:
        """The next request, answered."""
        event = await self.events.get()
        assert type(event) is RequestReceived
        self.exchange.respond(event.handle, code, options, payload, now=self.now)
        self.flush()
        return event

    def close(self) -> None:
        """Close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()

    def _due(self) -> None:
        self._told(self.exchange.expire(self.now))

    def _told(self, events: Any) -> None:
        for event in events:
            self.events.put_nowait(event)
        self.flush()


@contextlib.asynccontextmanager
async def driver() -> AsyncIterator[Driver]:
    """An Exchange on a socket of its own."""
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Driver, local_addr=(HOST, 0))
    try:
        yield protocol
    finally:
        protocol.close()


class Value(aiocoap.resource.Resource):
    """GET and PUT, POST says what it heard."""

    def __init__(self) -> None:
        super().__init__()
        self.value = b""

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """The value; in blocks when it is large."""
        return aiocoap.Message(payload=self.value)

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        """Another value."""
        self.value = request.payload
        return aiocoap.Message(code=aiocoap.CHANGED)

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """What was said, backwards."""
        return aiocoap.Message(code=aiocoap.CHANGED, payload=request.payload[::-1])


class Slow(aiocoap.resource.Resource):
    """Answers when it is told to, which is after its Empty ACK."""

    def __init__(self) -> None:
        super().__init__()
        self.ready = asyncio.Event()

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """A separate response."""
        await self.ready.wait()
        return aiocoap.Message(payload=b"at last")


class Counter(aiocoap.resource.ObservableResource):
    """Notifies of each count."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.pad = b""

    def increase(self) -> None:
        """One more."""
        self.count += 1
        self.updated_state()

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """The count."""
        return aiocoap.Message(payload=b"%d" % self.count + self.pad)


@contextlib.asynccontextmanager
async def aiocoap_server(**resources: Any) -> AsyncIterator[Any]:
    """A server with these resources; gives its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    site = aiocoap.resource.Site()
    for name, resource in resources.items():
        site.add_resource([name], resource)
    context = await aiocoap.Context.create_server_context(site, bind=(HOST, port), transports=["udp6"])
    try:
        yield (HOST, port)
    finally:
        await context.shutdown()


@contextlib.asynccontextmanager
async def aiocoap_client() -> AsyncIterator[aiocoap.Context]:
    """A client."""
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    try:
        yield context
    finally:
        await context.shutdown()


# -- an Exchange asks aiocoap --


def test_get_put_post(run):
    """Piggybacked responses."""

    async def main():
        async with aiocoap_server(value=Value()) as server, driver() as ours:
            event = await ours.ask(server, PUT, "value", b"new")
            assert (type(event), event.message.code, event.remote) == (ResponseReceived, CHANGED, server)
            event = await ours.ask(server, GET, "value")
            assert (event.message.code, event.message.payload) == (CONTENT, b"new")
            event = await ours.ask(server, POST, "value", b"abc")
            assert event.message.payload == b"cba"
            event = await ours.ask(server, GET, "nothing")
            assert event.message.code == 0x84
            assert ours.exchange.sizes()["tokens"] == 0

    run(main())


def test_block2_answer(run):
    """5 KB are fetched block by block and told once."""

    async def main():
        value = Value()
        value.value = BODY
        async with aiocoap_server(value=value) as server, driver() as ours:
            event = await ours.ask(server, GET, "value")
            assert (type(event), event.message.payload) == (ResponseReceived, BODY)

    run(main())


@pytest.mark.parametrize("block_size", [64, 512, 1024])
def test_request_by_block1(run, block_size):
    """5 KB are sent block by block."""

    async def main():
        value = Value()
        async with aiocoap_server(value=value) as server, driver() as ours:
            event = await ours.ask(server, PUT, "value", BODY, block_size=block_size)
            assert (type(event), event.message.code) == (ResponseReceived, CHANGED)
            assert value.value == BODY

    run(main())


def test_both_bodies_in_blocks(run):
    """5 KB there and 5 KB back."""

    async def main():
        async with aiocoap_server(value=Value()) as server, driver() as ours:
            event = await ours.ask(server, POST, "value", BODY)
            assert event.message.payload == BODY[::-1]

    run(main())


def test_separate_response(run):
    """The Empty ACK is told, then the response."""

    async def main():
        slow = Slow()
        async with aiocoap_server(slow=slow) as server, driver() as ours:
            event = await ours.ask(server, GET, "slow")
            assert type(event) is RequestAcknowledged
            slow.ready.set()
            event = await ours.events.get()
            assert (type(event), event.message.payload) == (ResponseReceived, b"at last")

    run(main())


@pytest.mark.parametrize("pad", [b"", bytes(5000)], ids=["small", "in blocks"])
def test_observing(run, pad):
    """Twenty notifications, each acknowledged after it was told; then the observation is cancelled."""

    async def main():
        counter = Counter()
        counter.pad = pad
        async with aiocoap_server(counter=counter) as server, driver() as ours:
            event = await ours.ask(server, GET, "counter", observe=True)
            assert (type(event), event.message.payload) == (ResponseReceived, b"0" + pad)
            assert event.observe is not None
            token = event.token
            for number in range(1, NOTIFICATIONS + 1):
                counter.increase()
                event = await ours.events.get()
                assert (type(event), event.token) == (NotificationReceived, token)
                assert event.message.payload == b"%d" % number + pad
                assert event.observe is not None
                if event.handle is not None:
                    ours.exchange.acknowledge(event.handle)
                    ours.flush()
            ours.exchange.cancel(token, server, now=ours.now)
            ours.flush()
            event = await ours.events.get()
            assert (type(event), event.observe) == (ResponseReceived, None)
            assert ours.exchange.sizes()["tokens"] == 0

    run(main())


# -- aiocoap asks an Exchange --


def uri(ours: Driver, path: str) -> str:
    """Of a resource of ours."""
    return f"coap://{HOST}:{ours.address[1]}/{path}"


@pytest.mark.parametrize(
    ("method", "code", "expected"),
    [
        (aiocoap.GET, CONTENT, aiocoap.CONTENT),
        (aiocoap.PUT, CHANGED, aiocoap.CHANGED),
        (aiocoap.POST, CREATED, aiocoap.CREATED),
    ],
)
def test_being_asked(run, method, code, expected):
    """Piggybacked responses."""

    async def main():
        async with driver() as ours, aiocoap_client() as client:
            payload = b"" if method == aiocoap.GET else b"what"
            request = aiocoap.Message(code=method, uri=uri(ours, "rd"), payload=payload)
            asked = asyncio.ensure_future(client.request(request).response)
            event = await ours.answer(code, b"this")
            assert event.message.payload == payload
            answer = await asked
            assert (answer.code, answer.payload) == (expected, b"this")

    run(main())


def test_being_sent_a_body_by_block1(run):
    """5 KB, told once, whole."""

    async def main():
        async with driver() as ours, aiocoap_client() as client:
            request = aiocoap.Message(code=aiocoap.POST, uri=uri(ours, "rd"), payload=BODY)
            asked = asyncio.ensure_future(client.request(request).response)
            event = await ours.answer(CREATED, options=((8, b"rd"), (8, b"5")))
            assert event.message.payload == BODY
            answer = await asked
            assert (answer.code, answer.opt.location_path) == (aiocoap.CREATED, ("rd", "5"))
            assert ours.exchange.sizes()["uploads"] == 0

    run(main())


def test_answering_separately(run):
    """An Empty ACK, then a CON that aiocoap acknowledges."""

    async def main():
        async with driver() as ours, aiocoap_client() as client:
            request = aiocoap.Message(code=aiocoap.GET, uri=uri(ours, "slow"))
            asked = asyncio.ensure_future(client.request(request).response)
            event = await ours.events.get()
            ours.exchange.acknowledge(event.handle)
            ours.flush()
            ours.exchange.respond(event.handle, CONTENT, (), b"at last", now=ours.now)
            ours.flush()
            assert (await asked).payload == b"at last"
            await eventually(lambda: ours.exchange.sizes()["separate"] == 0)

    run(main())


def test_being_observed(run):
    """Twenty notifications."""

    async def main():
        async with driver() as ours, aiocoap_client() as client:
            request = aiocoap.Message(code=aiocoap.GET, uri=uri(ours, "time"), observe=0)
            asked = client.request(request)
            event = await ours.answer(CONTENT, b"0", ((OBSERVE, b"\x01"),))
            assert (await asked.response).payload == b"0"
            notifications = aiter(asked.observation)
            for number in range(1, NOTIFICATIONS + 1):
                order = (OBSERVE, bytes((number + 1,)))
                ours.exchange.notify(event.handle, CONTENT, (order,), b"%d" % number, now=ours.now)
                ours.flush()
                assert (await anext(notifications)).payload == b"%d" % number
            asked.observation.cancel()

    run(main())
