"""An LwM2M device that shares no line with ours: aiocoap's messages, observations, blocks and resource tree.

It registers, downloads from the server it registered with whatever host the URI names, tells its State by
notifications, and after Execute comes back from another socket as another version. Which content formats it
knows, and how its update ends, is chosen when it is made.

    /rd <-- Register, Update          1/0/1 1/0/7     Server          1/0/8  asks it for an Update
                                      3/0/0 3/0/1 3/0/3 3/0/16 Device
                                      4/0 and each of its resources   Connectivity Monitoring
                                      5/0/1 5/0/2 5/0/3 5/0/5 5/0/9   Firmware Update
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import aiocoap
import aiocoap.error
import aiocoap.resource
import cbor2

from peer import lasting_port
from reference import tlv

HOST = "127.0.0.1"
TEXT, LINK_FORMAT, TLV, SENML_CBOR = 0, 40, 11542, 112
IDLE, DOWNLOADING, DOWNLOADED, UPDATING = range(4)  # 5/0/3
INITIAL, SUCCEEDED, CONNECTION_LOST, INTEGRITY_FAILED, UPDATE_FAILED = 0, 1, 4, 5, 8  # 5/0/5
Value = int | str


class Formats(Enum):
    """What a device knows: the formats of a resource, of an instance, and of what is written to it.

    The first of each is what it says when nobody asks for one.
    """

    TEXT_AND_TLV = (TEXT, TLV), (TLV,), (TEXT, TLV)
    TLV_ONLY = (TLV,), (TLV,), (TLV,)
    SENML_CBOR_ONLY = (SENML_CBOR,), (SENML_CBOR,), (TEXT, SENML_CBOR)  # a single value may come as text


@dataclass
class Told:
    """What others did to the device, in order."""

    registrations: list[int] = field(default_factory=list)
    """The port that it registered from, each time."""
    uris: list[str] = field(default_factory=list)
    executions: int = 0
    images: list[bytes] = field(default_factory=list)
    refused_formats: list[int] = field(default_factory=list)


def tlv_of(identifier: int, value: Value) -> bytes:
    """A resource as TLV: numbers in as few bytes of 1, 2, 4 and 8 as hold them. LwM2M 1.1 core, 7.4."""
    if isinstance(value, int):
        size = next(size for size in (1, 2, 4, 8) if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1)
        data = value.to_bytes(size, "big", signed=True)
    else:
        data = value.encode()
    return tlv.write(tlv.Tlv("resource", identifier, data), 1, 0 if len(data) < 8 else 1)


def written(content_format: int, base: str, values: Mapping[int, Value]) -> bytes:
    """Resources of one instance, in a format."""
    match content_format:
        case 0:
            (value,) = values.values()
            return str(value).encode()
        case 11542:
            return b"".join(tlv_of(identifier, value) for identifier, value in values.items())
    records: list[dict[int, Any]] = [
        {0: str(identifier), 3 if isinstance(value, str) else 2: value}
        for identifier, value in values.items()
    ]
    records[0] = {-2: base, **records[0]}
    data: bytes = cbor2.dumps(records)
    return data


def read_string(content_format: int, payload: bytes, identifier: int) -> str:
    """A string that was written to one resource."""
    match content_format:
        case 0:
            return payload.decode()
        case 11542:
            (only,) = tlv.parse(payload)
            assert (only.kind, only.identifier) == ("resource", identifier)
            return only.value.decode()
    (record,) = cbor2.loads(payload)
    assert f"{record.get(-2, '')}{record.get(0, '')}".endswith(f"/{identifier}")
    return str(record[3])


def chosen(request: aiocoap.Message, known: tuple[int, ...]) -> int:
    """The content format of an answer; raises what becomes 4.06."""
    accept = request.opt.accept
    if accept is None:
        return known[0]
    if int(accept) not in known:
        raise NotAcceptableError
    return int(accept)


class NotAcceptableError(aiocoap.error.RenderableError):
    """4.06."""

    def to_message(self) -> aiocoap.Message:
        """The response."""
        return aiocoap.Message(code=aiocoap.NOT_ACCEPTABLE)


class Reading(aiocoap.resource.ObservableResource):  # type: ignore[misc]
    """Resources of one instance that can be read, together or one by itself; what they hold is asked for."""

    def __init__(
        self, device: AiocoapDevice, base: str, values: Callable[[], Mapping[int, Value]], *, whole: bool
    ) -> None:
        super().__init__()
        self.device = device
        self.base = base
        self.values = values
        self.known = device.formats.value[1 if whole else 0]

    async def render_get(self, request: aiocoap.Message) -> aiocoap.Message:
        """Read, Observe, and each notification."""
        try:
            content_format = chosen(request, self.known)
        except NotAcceptableError:
            self.device.told.refused_formats.append(int(request.opt.accept))
            raise
        payload = written(content_format, self.base, self.values())
        return aiocoap.Message(payload=payload, content_format=content_format)


class PackageUri(Reading):
    """5/0/1: an empty one resets, one that comes in Idle starts a download, any other is refused."""

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        """Write."""
        device = self.device
        content_format = int(request.opt.content_format or 0)
        if content_format not in device.formats.value[2]:
            device.told.refused_formats.append(content_format)
            return aiocoap.Message(code=aiocoap.UNSUPPORTED_CONTENT_FORMAT)
        uri = read_string(content_format, request.payload, 1)
        if not uri:
            device.reset_update()
        elif device.state != IDLE:
            return aiocoap.Message(code=aiocoap.BAD_REQUEST)
        else:
            device.told.uris.append(uri)
            device.uri = uri
            device.result = INITIAL
            device.later(device.download())
        return aiocoap.Message(code=aiocoap.CHANGED)


class Executable(aiocoap.resource.Resource):  # type: ignore[misc]
    """POST without payload does something, where the device allows it now."""

    def __init__(self, allowed: Callable[[], bool], done: Callable[[], None]) -> None:
        super().__init__()
        self.allowed = allowed
        self.done = done

    async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
        """Execute."""
        if request.payload:
            return aiocoap.Message(code=aiocoap.BAD_REQUEST)
        if not self.allowed():
            return aiocoap.Message(code=aiocoap.METHOD_NOT_ALLOWED)
        self.done()
        return aiocoap.Message(code=aiocoap.CHANGED)


class AiocoapDevice:
    """The device; `async with` registers it, and takes it off the air in the end."""

    def __init__(
        self,
        endpoint: str,
        server_port: int,
        *,
        formats: Formats = Formats.TEXT_AND_TLV,
        lwm2m: str = "1.0",
        version: str = "V1.0",
        target: str = "V1.1",
        radio: Mapping[int, Value] | None = None,
        fails: int = SUCCEEDED,
        szx: int = 5,
    ) -> None:
        """`target` is what it runs after its update; `fails` the Update Result that its update ends with."""
        self.endpoint = endpoint
        self.server_port = server_port
        self.formats = formats
        self.lwm2m = lwm2m
        self.version = version
        self.target = target
        self.radio = radio or {0: 7, 2: -98, 8: 187654321, 9: 1, 10: 460, 11: 9}
        self.fails = fails
        self.szx = szx
        self.state = IDLE
        self.result = INITIAL
        self.uri = ""
        self.told = Told()
        self.port = 0
        self.location: tuple[str, ...] = ()
        self._context: aiocoap.Context | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> AiocoapDevice:
        await self.boot()
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            for task in self._tasks:
                task.cancel()
            for task in self._tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        finally:
            await self._off()

    def later(self, doing: Coroutine[Any, Any, None]) -> None:
        """Do this beside what is being answered; what goes wrong is told when the device is left."""
        task = asyncio.create_task(doing)
        self._tasks.add(task)

    # -- what it does --

    async def boot(self) -> None:
        """Take a socket of its own, and register from it: whatever was observed is forgotten."""
        self.port = lasting_port()
        self._context = await aiocoap.Context.create_server_context(
            self._resources(), bind=(HOST, self.port), transports=["udp6"]
        )
        self.told.registrations.append(self.port)
        queries = [f"ep={self.endpoint}", "lt=3600", f"lwm2m={self.lwm2m}", "b=U"]
        known = {content_format for formats in self.formats.value for content_format in formats}
        formats = " ".join(map(str, sorted(known - {TEXT})))
        links = f'</>;rt="oma.lwm2m";ct="{formats}",</1/0>,</3/0>,</4>;ver=1.1,</4/0>,</5/0>'
        answer = await self._ask(
            aiocoap.POST, ("rd",), uri_query=queries, content_format=LINK_FORMAT, payload=links.encode()
        )
        assert answer.code == aiocoap.CREATED, answer
        self.location = tuple(answer.opt.location_path)

    async def update(self) -> None:
        """Say that it is still there; leaves after all that was said before was acknowledged (NSTART 1)."""
        answer = await self._ask(aiocoap.POST, self.location)
        assert answer.code == aiocoap.CHANGED, answer

    async def download(self) -> None:
        """Steps 10 and 11: State 1, all blocks, State 2; or Idle and why."""
        self._becomes(DOWNLOADING)
        path = tuple(urlsplit(self.uri).path.strip("/").split("/"))
        answer = await self._ask(aiocoap.GET, path, block2=(0, False, self.szx))
        if answer.code != aiocoap.CONTENT:
            self._becomes(IDLE, CONNECTION_LOST)
            return
        self.told.images.append(answer.payload)
        if self.fails in (SUCCEEDED, UPDATE_FAILED):
            self._becomes(DOWNLOADED)
        else:
            self._becomes(IDLE, self.fails)

    async def install(self) -> None:
        """Steps 12 and 13: State 3, then a reboot; the registration and the socket are new."""
        self._becomes(UPDATING)
        await self.update()
        await self._off()
        if self.fails == SUCCEEDED:
            self.version = self.target
        self.state, self.result = IDLE, self.fails
        await self.boot()

    def reset_update(self) -> None:
        """An empty URI: Idle, Result 0."""
        self.uri = ""
        self._becomes(IDLE, INITIAL)

    # -- how --

    def _becomes(self, state: int, result: int | None = None) -> None:
        self.state = state
        self.result = self.result if result is None else result
        self._told_state.updated_state()

    def _executed(self) -> None:
        self.told.executions += 1
        self.later(self.install())

    async def _ask(self, code: Any, path: tuple[str, ...], **options: Any) -> aiocoap.Message:
        assert self._context is not None
        uri = f"coap://{HOST}:{self.server_port}/{'/'.join(path)}"
        return await self._context.request(aiocoap.Message(code=code, uri=uri, **options)).response

    async def _off(self) -> None:
        if self._context is not None:
            context, self._context = self._context, None
            await context.shutdown()

    def _resources(self) -> aiocoap.resource.Site:
        site = aiocoap.resource.Site()
        instances: dict[int, Callable[[], Mapping[int, Value]]] = {
            1: lambda: {0: 1, 1: 3600, 7: "U"},
            3: lambda: {0: "Elsewhere", 1: "A-1", 3: self.version, 16: "U"},
            4: lambda: self.radio,
            5: lambda: {1: self.uri, 3: self.state, 5: self.result, 9: 0},
        }
        for number, values in instances.items():
            base = f"/{number}/0/"
            site.add_resource([str(number), "0"], Reading(self, base, values, whole=True))
            for identifier in values():
                kind = PackageUri if (number, identifier) == (5, 1) else Reading
                one = kind(self, base, one_of(values, identifier), whole=False)
                site.add_resource([str(number), "0", str(identifier)], one)
                if (number, identifier) == (5, 3):
                    self._told_state = one
        update = Executable(lambda: True, lambda: self.later(self.update()))
        site.add_resource(["1", "0", "8"], update)
        site.add_resource(["5", "0", "2"], Executable(lambda: self.state == DOWNLOADED, self._executed))
        return site


def one_of(values: Callable[[], Mapping[int, Value]], identifier: int) -> Callable[[], Mapping[int, Value]]:
    """That resource alone, as it is when it is asked for."""
    return lambda: {identifier: values()[identifier]}
