"""The device of `aiocoap_device`, before it meets our server: one made of aiocoap alone leads it through."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiocoap
import aiocoap.resource
import cbor2
import pytest

from aiocoap_device import (
    CONNECTION_LOST,
    DOWNLOADED,
    HOST,
    IDLE,
    INITIAL,
    INTEGRITY_FAILED,
    SENML_CBOR,
    SUCCEEDED,
    TEXT,
    TLV,
    UPDATE_FAILED,
    AiocoapDevice,
    Formats,
)
from peer import eventually, lasting_port
from reference import tlv

ENDPOINT = "urn:imei:860000000000042"
IMAGE = bytes(range(256)) * 9 + b"the end"


class Registry(aiocoap.resource.Resource):
    """/rd: takes every Register."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[aiocoap.Message] = []

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """Register."""
        self.requests.append(request)
        return aiocoap.Message(code=aiocoap.CREATED, location_path=("rd", "1"))


class Updates(aiocoap.resource.Resource):
    """/rd/1: takes every Update."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """Update."""
        self.count += 1
        return aiocoap.Message(code=aiocoap.CHANGED)


class Package(aiocoap.resource.Resource):
    """What is downloaded; in blocks, since it is large."""

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """One block of it."""
        return aiocoap.Message(payload=IMAGE, content_format=42)


class Played:
    """A server that does what the test says, one command at a time."""

    def __init__(self, context: aiocoap.Context, port: int) -> None:
        self.context = context
        self.port = port
        self.registry = Registry()
        self.updates = Updates()
        self.device_port = 0

    async def ask(self, code: Any, path: str, payload: bytes = b"", **options: Any) -> aiocoap.Message:
        """A command, and its answer."""
        uri = f"coap://{HOST}:{self.device_port}/{path}"
        request = aiocoap.Message(code=code, uri=uri, payload=payload, **options)
        return await self.context.request(request).response

    @contextlib.asynccontextmanager
    async def observing(self, path: str, **options: Any) -> AsyncIterator[tuple[bytes, Any]]:
        """What the Observe was answered with, and the notifications."""
        uri = f"coap://{HOST}:{self.device_port}/{path}"
        asked = self.context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0, **options))
        answer = await asked.response
        assert answer.opt.observe is not None
        try:
            yield answer.payload, aiter(asked.observation)
        finally:
            asked.observation.cancel()


@contextlib.asynccontextmanager
async def played() -> AsyncIterator[Played]:
    """A server made of aiocoap."""
    port = lasting_port()
    site = aiocoap.resource.Site()
    context = await aiocoap.Context.create_server_context(site, bind=(HOST, port), transports=["udp6"])
    server = Played(context, port)
    site.add_resource(["rd"], server.registry)
    site.add_resource(["rd", "1"], server.updates)
    site.add_resource(["key"], Package())
    try:
        yield server
    finally:
        await context.shutdown()


@contextlib.asynccontextmanager
async def met(**how: Any) -> AsyncIterator[tuple[Played, AiocoapDevice]]:
    """A server and its registered device."""
    async with played() as server, AiocoapDevice(ENDPOINT, server.port, **how) as device:
        server.device_port = device.port
        yield server, device


def test_register_says_what_it_is_and_has(run):
    """LwM2M 1.1 core, 6.2.1: ep, lt, lwm2m and b, the links as link format."""

    async def main() -> None:
        async with met(lwm2m="1.1") as (server, device):
            (request,) = server.registry.requests
            assert set(request.opt.uri_query) == {f"ep={ENDPOINT}", "lt=3600", "lwm2m=1.1", "b=U"}
            assert request.opt.content_format == 40
            assert b"</5/0>" in request.payload
            assert device.location == ("rd", "1")
            await server.ask(aiocoap.POST, "1/0/8")
            await eventually(lambda: server.updates.count == 1)

    run(main())


@pytest.mark.parametrize(
    ("formats", "accept", "expected"),
    [
        (Formats.TEXT_AND_TLV, None, TEXT),
        (Formats.TEXT_AND_TLV, TEXT, TEXT),
        (Formats.TEXT_AND_TLV, TLV, TLV),
        (Formats.TEXT_AND_TLV, SENML_CBOR, None),
        (Formats.TLV_ONLY, None, TLV),
        (Formats.TLV_ONLY, TEXT, None),
        (Formats.SENML_CBOR_ONLY, TLV, None),
        (Formats.SENML_CBOR_ONLY, SENML_CBOR, SENML_CBOR),
    ],
)
def test_resource_in_the_formats_it_knows(run, formats, accept, expected):
    """4.06 in any other; without Accept it chooses."""

    async def main() -> None:
        async with met(formats=formats) as (server, device):
            answer = await server.ask(aiocoap.GET, "3/0/3", accept=accept)
            if expected is None:
                assert answer.code == aiocoap.NOT_ACCEPTABLE
                assert device.told.refused_formats == [accept]
                return
            assert (answer.code, answer.opt.content_format) == (aiocoap.CONTENT, expected)
            match expected:
                case 0:
                    assert answer.payload == b"V1.0"
                case 11542:
                    assert tlv.parse(answer.payload) == [tlv.Tlv("resource", 3, b"V1.0")]
                case _:
                    assert cbor2.loads(answer.payload) == [{-2: "/3/0/", 0: "3", 3: "V1.0"}]

    run(main())


def test_instance_of_object_4_as_tlv(run):
    """protocol.md 4.1: whole, since that is where the signal level is read."""

    async def main() -> None:
        async with met() as (server, _):
            answer = await server.ask(aiocoap.GET, "4/0", accept=TLV)
            values = {
                each.identifier: int.from_bytes(each.value, "big", signed=True)
                for each in tlv.parse(answer.payload)
            }
            assert values == {0: 7, 2: -98, 8: 187654321, 9: 1, 10: 460, 11: 9}
            assert (await server.ask(aiocoap.GET, "4/0", accept=TEXT)).code == aiocoap.NOT_ACCEPTABLE
            assert (await server.ask(aiocoap.GET, "4/0/77")).code == aiocoap.NOT_FOUND

    run(main())


async def seen(notifications: Any, last: bytes) -> list[bytes]:
    """The States notified, up to this one; some may be skipped: they are not a queue."""
    states = []
    while not states or states[-1] != last:
        states.append((await anext(notifications)).payload)
    return states


@pytest.mark.parametrize(("fails", "version"), [(SUCCEEDED, "V1.1"), (UPDATE_FAILED, "V1.0")])
def test_whole_flow(run, fails, version):
    """protocol.md 3.3, steps 9 to 14, as its server sees it; the version is new only if it succeeded."""

    async def main() -> None:
        async with met(fails=fails) as (server, device):
            async with server.observing("5/0/3") as (state, notifications):
                assert state == b"0"
                uri = b"coap://192.0.2.1:7/key"  # which host serves it is not this device's concern
                assert (await server.ask(aiocoap.PUT, "5/0/1", uri, content_format=0)).code == aiocoap.CHANGED
                assert (await seen(notifications, b"2"))[:-1] in ([], [b"1"])
                assert device.told.images == [IMAGE]
                again = await server.ask(aiocoap.PUT, "5/0/1", uri, content_format=0)
                assert again.code == aiocoap.BAD_REQUEST
                assert (await server.ask(aiocoap.POST, "5/0/2", b"x")).code == aiocoap.BAD_REQUEST
                assert (await server.ask(aiocoap.POST, "5/0/2")).code == aiocoap.CHANGED
                assert await seen(notifications, b"3") == [b"3"]
                await eventually(lambda: len(server.registry.requests) == 2 and device.location)
            assert len(set(device.told.registrations)) == 2
            server.device_port = device.port
            assert (await server.ask(aiocoap.GET, "5/0/3")).payload == b"0"
            assert (await server.ask(aiocoap.GET, "5/0/5")).payload == b"%d" % fails
            assert (await server.ask(aiocoap.GET, "3/0/3")).payload == version.encode()
            assert (device.told.executions, device.told.uris) == (1, [uri.decode()])
            assert (await server.ask(aiocoap.POST, "5/0/2")).code == aiocoap.METHOD_NOT_ALLOWED

    run(main())


@pytest.mark.parametrize(
    ("fails", "path", "result"),
    [(INTEGRITY_FAILED, "key", INTEGRITY_FAILED), (SUCCEEDED, "nothing", CONNECTION_LOST)],
)
def test_download_that_fails_leaves_it_idle(run, fails, path, result):
    """protocol.md 5.6: 1 to 0 with the Result; an empty URI sets that to 0."""

    async def main() -> None:
        async with met(fails=fails) as (server, device):
            await server.ask(aiocoap.PUT, "5/0/1", f"coap://{HOST}/{path}".encode(), content_format=0)
            await eventually(lambda: device.result)
            assert (await server.ask(aiocoap.GET, "5/0/5")).payload == b"%d" % result
            assert (await server.ask(aiocoap.GET, "5/0/3")).payload == b"0"
            assert (await server.ask(aiocoap.PUT, "5/0/1", b"", content_format=0)).code == aiocoap.CHANGED
            assert (await server.ask(aiocoap.GET, "5/0/5")).payload == b"0"

    run(main())


def test_uri_as_tlv_where_text_is_refused(run):
    """4.15, then the same as TLV: protocol.md 3.3, step 10."""

    async def main() -> None:
        async with met(formats=Formats.TLV_ONLY) as (server, device):
            uri = b"coap://h/key"
            answer = await server.ask(aiocoap.PUT, "5/0/1", uri, content_format=0)
            assert answer.code == aiocoap.UNSUPPORTED_CONTENT_FORMAT
            payload = tlv.write(tlv.Tlv("resource", 1, uri), 1, 1)
            answer = await server.ask(aiocoap.PUT, "5/0/1", payload, content_format=TLV)
            assert answer.code == aiocoap.CHANGED
            await eventually(lambda: device.state == DOWNLOADED)
            answer = await server.ask(aiocoap.PUT, "5/0/1", bytes((0xC0, 1)), content_format=TLV)
            assert answer.code == aiocoap.CHANGED
            assert (device.state, device.result, device.uri) == (IDLE, INITIAL, "")

    run(main())
