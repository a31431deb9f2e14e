"""Multipart bodies (RFC 7578) that go into the store as they come: a few pieces of one are in memory.

The loop takes pieces from the socket and hands them over; a thread finds the parts in them and writes the
file. Where the disk is slower than the network, the socket is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from queue import SimpleQueue

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from headgate.web.problems import Problem

PIECES_MAX = 16  # on their way from the loop to the thread; a piece has 64 KiB
FIELD_BYTES_MAX = 1024
FIELDS_MAX = 1200
HEADER_BYTES_MAX = 4096
FILE = "file"

Received = Callable[[Iterable[bytes]], AbstractContextManager[Path]]


class UploadEnded(Exception):
    """Its sender is gone."""


class Pipe:
    """Pieces, from the loop to one thread. Who puts waits for room; who takes waits for pieces."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
        self._room = asyncio.Semaphore(PIECES_MAX)
        self.closed = False

    async def put(self, piece: bytes) -> None:
        """Hand it over."""
        await self._room.acquire()
        self._pieces.put(piece)

    def end(self, error: BaseException | None = None) -> None:
        """That was the last; with an error, the thread raises it."""
        self._pieces.put(error)

    def close(self) -> None:
        """Nobody takes any more: who waits for room need not."""
        self.closed = True
        self._room.release()

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            self._loop.call_soon_threadsafe(self._room.release)
            yield piece


class Form:
    """The parts of a multipart body: small fields, and one file whose bytes are passed on."""

    def __init__(self, boundary: bytes) -> None:
        self.fields: dict[str, list[str]] = {}
        self.has_file = False
        self._name = ""
        self._header = b""
        self._value = b""
        self._content: list[bytes] = []  # of a field
        self._size = 0
        self._count = 0
        self._passed: list[bytes] = []  # of the file
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def file(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes of the file; the fields are there when it ends. Problem 400 for what is no such body."""
        try:
            for piece in pieces:
                self._parser.write(piece)
                yield from self._passed
                self._passed.clear()
            self._parser.finalize()
        except FormParserError as error:
            raise Problem(400, f"the body is not multipart/form-data: {error}") from error
        if not self._ended:
            raise Problem(400, "the body ends before its last boundary")

    def _begin(self) -> None:
        self._name = ""
        self._header = self._value = b""
        self._content = []
        self._size = 0
        self._count += 1
        if self._count > FIELDS_MAX:
            raise Problem(400, f"the body has more than {FIELDS_MAX} parts")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._bounded(self._header + data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value = self._bounded(self._value + data[start:end])

    def _bounded(self, header: bytes) -> bytes:
        if len(header) > HEADER_BYTES_MAX:
            raise Problem(400, f"a header of a part has more than {HEADER_BYTES_MAX} bytes")
        return header

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
            if self._name == FILE:
                if self.has_file:
                    raise Problem(400, "the body has more than one file")
                self.has_file = True
        self._header = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            self._passed.append(data[start:end])
            return
        self._size += end - start
        if self._size > FIELD_BYTES_MAX:
            raise Problem(400, f"a field has more than {FIELD_BYTES_MAX} bytes")
        self._content.append(data[start:end])

    def _part_end(self) -> None:
        if self._name != FILE:
            content = b"".join(self._content).decode("utf-8", "replace")
            self.fields.setdefault(self._name, []).append(content)

    def _end(self) -> None:
        self._ended = True


def boundary_of(request: Request) -> bytes:
    """What separates the parts of its body. Problem 415 for a body that has none."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 70:
        raise Problem(415, "this takes multipart/form-data with a boundary")
    return boundary


class Uploads:
    """Bodies that are being received."""

    def __init__(self, received: Received, *, most: int) -> None:
        """`received` makes a file of pieces, as long as its context lasts."""
        self._received = received
        self._most = most
        self._under_way = 0
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="headgate-upload")

    @asynccontextmanager
    async def taken(self, request: Request) -> AsyncIterator[tuple[Path, Form]]:
        """The file of a request's body, and its fields; the file goes when the context ends.

        Problems 400, 408, 413 and 415 of the body; 503 where too many come at once. Raises StoreError.
        """
        form = Form(boundary_of(request))
        if self._under_way >= self._most:
            raise Problem(503, "too many packages are being sent at once", headers={"Retry-After": "5"})
        self._under_way += 1
        stack = ExitStack()
        try:
            path = await self._take(request, form, stack)
            if not form.has_file:
                raise Problem(422, f"the body has no part with the name {FILE}")
            yield path, form
        finally:
            self._under_way -= 1
            await asyncio.get_running_loop().run_in_executor(self._threads, stack.close)

    async def _take(self, request: Request, form: Form, stack: ExitStack) -> Path:
        pipe = Pipe()
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(
            self._threads, lambda: stack.enter_context(self._received(form.file(pipe)))
        )
        writing.add_done_callback(lambda _: pipe.close())
        try:
            async for piece in request.stream():
                if pipe.closed:
                    break
                if piece:
                    await pipe.put(piece)
        except BaseException:
            pipe.end(UploadEnded())
            await asyncio.wait([writing])
            raise
        pipe.end()
        return await writing

    def close(self) -> None:
        """Take no more."""
        self._threads.shutdown(wait=False)
