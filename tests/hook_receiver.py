"""A receiver of web hooks on 127.0.0.1: what it answers is the test's to say, what it was sent its to see."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was sent."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        """The body."""
        return json.loads(self.body)

    @property
    def event_id(self) -> str:
        """The id of its event."""
        return self.headers["headgate-event-id"]


Answer = Callable[[Request], Awaitable[bytes]]


def status(code: int, *headers: str, body: bytes = b"") -> bytes:
    """An answer."""
    lines = [f"HTTP/1.1 {code} Said", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + END + body


async def accept(request: Request) -> bytes:
    """Takes everything."""
    return status(204)


class HookReceiver:
    """Listens while the context lasts, and while it is not `down`."""

    def __init__(self, answer: Answer = accept) -> None:
        self.answer = answer
        self.received: list[Request] = []
        self.taken: list[Request] = []
        """Those that were answered by 2xx."""
        self.port = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}  # one for each connection

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook"

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.down()

    async def up(self) -> None:
        """Listen, at the port that it had."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Listen no more, and cut all connections."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for serving, writer in self._serving.items():
            serving.cancel()
            writer.transport.abort()
        while self._serving:
            serving, writer = self._serving.popitem()
            await asyncio.wait([serving])
            with contextlib.suppress(ConnectionError):  # it was cut
                await writer.wait_closed()

    async def until(self, so: Callable[[], object]) -> None:
        """Wait until it was sent what makes it so."""
        while not so():
            self._changed.clear()
            await self._changed.wait()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving[serving] = writer
        self.connections += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the other side has gone
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line, *fields = (await reader.readuntil(END)).decode().rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        body = await reader.readexactly(int(headers["content-length"]))
        request = Request(line=line, headers=headers, body=body)
        self.received.append(request)
        self._changed.set()
        answer = await self.answer(request)
        if answer[9:10] == b"2":
            self.taken.append(request)
        writer.write(answer)
        await writer.drain()
        self._changed.set()
        return bool(answer)
