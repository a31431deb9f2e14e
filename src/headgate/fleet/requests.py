"""What a device answers its server: Read, Discover, Observe, Write, Execute. LwM2M 1.1 core, 6.3 and 6.4.

The values come from the device (`Host.values`), the way they are written from its profile.
"""

from __future__ import annotations

from typing import Protocol

from headgate.errors import BlockError, FormatError
from headgate.fleet.messaging import RESET, SILENCE, Refusal, Reply
from headgate.fleet.objects import EXECUTABLE, PACKAGE, TYPES, VERSION, Values, type_of
from headgate.fleet.profile import RESETS, SILENT, Profile
from headgate.fleet.registration import uint
from headgate.wire import links
from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.formats import ContentFormat, decode, encode
from headgate.wire.numbers import (
    ACCEPT,
    BAD_REQUEST,
    BLOCK1,
    BLOCK2,
    CHANGED,
    CONTENT,
    CONTENT_FORMAT,
    CONTINUE,
    GET,
    INTERNAL_SERVER_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    NOT_FOUND,
    OBSERVE,
    POST,
    PUT,
    REQUEST_ENTITY_INCOMPLETE,
    UNSUPPORTED_CONTENT_FORMAT,
    URI_PATH,
    URI_QUERY,
)
from headgate.wire.resources import RESOURCE_DEPTH, Path, Resources
from headgate.wire.values import Value

WRITTEN_MAX = 4096  # bytes of a Write that comes in blocks


class Host(Protocol):
    """The device behind the requests."""

    profile: Profile

    def values(self, object: int) -> Values:
        """All values of an object that can be read."""

    def was_read(self, resources: Resources, now: float) -> None:
        """These values were told."""

    def observe(self, path: Path, token: bytes, accept: int | None, now: float) -> int:
        """Begin an observation; its number."""

    def observe_no_more(self, path: Path, now: float) -> None:
        """End an observation."""

    def write(self, path: Path, value: Value, now: float) -> Reply:
        """Replace a resource."""

    def execute(self, path: Path, arguments: bytes, now: float) -> Reply:
        """Execute a resource."""


class Requests:
    """The server side of one device."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._profile = host.profile
        self._body: tuple[Path, bytearray] | None = None  # a Write that comes in blocks

    def answer(self, message: Message, now: float) -> Reply | Refusal:
        """What a request is answered with."""
        path = self._path(message)
        if path is None:
            return Reply(NOT_FOUND)
        wrong = self._profile.misbehaviour.answers.get((message.code, path))
        if wrong is not None:
            return SILENCE if wrong == SILENT else RESET if wrong == RESETS else Reply(wrong)
        match message.code:
            case code if code == GET:
                return self._get(message, path, now)
            case code if code == PUT:
                return self._put(message, path, now)
            case code if code == POST and path in EXECUTABLE:
                return self._host.execute(path, message.payload, now)
        return Reply(METHOD_NOT_ALLOWED)

    def _path(self, message: Message) -> Path | None:
        segments = [value for number, value in message.options if number == URI_PATH]
        if self._profile.root:
            if not segments or segments[0] != self._profile.root.encode():
                return None
            del segments[0]
        try:
            return Path(*[int(segment) for segment in segments])
        except (ValueError, FormatError):
            return None

    # -- Read, Observe, Discover --

    def _get(self, message: Message, path: Path, now: float) -> Reply | Refusal:
        accept = _uint_option(message, ACCEPT)
        observe = _uint_option(message, OBSERVE)
        if accept == ContentFormat.LINK_FORMAT:
            return self._discover(path)
        if accept in self._profile.silent_accepts:
            return SILENCE
        if accept is None and self._profile.needs_accept:
            return Reply(INTERNAL_SERVER_ERROR)
        if observe == 0 and not message.token and self._profile.needs_token:
            return Reply(BAD_REQUEST)
        resources = self.read(path)
        if resources is None:
            return Reply(NOT_FOUND)
        try:
            content_format, payload = self.written(path, resources, accept)
        except FormatError:
            return Reply(NOT_ACCEPTABLE)
        options: list[tuple[int, bytes]] = []
        if observe == 0:
            number = self._host.observe(path, message.token, accept, now)
            options.append((OBSERVE, uint(number)))
        elif observe == 1:
            self._host.observe_no_more(path, now)
        if content_format is not None:
            options.append((CONTENT_FORMAT, uint(content_format)))
        try:
            block = Block.parse(_option(message, BLOCK2) or b"")
            payload = self._chunk(message, block, payload, options)
        except BlockError:
            return Reply(BAD_REQUEST)

        def told(now: float) -> None:
            self._host.was_read(resources, now)

        return Reply(CONTENT, tuple(options), payload, then=told, delay_s=self._profile.separate_s)

    def _chunk(
        self, message: Message, asked: Block, payload: bytes, options: list[tuple[int, bytes]]
    ) -> bytes:
        """The part of a long answer that `asked` names; a short one is whole, with Block2 if asked so."""
        named = _option(message, BLOCK2) is not None
        szx = min(asked.szx, self._profile.chunk_szx) if named else self._profile.chunk_szx
        if not named and len(payload) <= 16 << szx:
            return payload
        block = asked.shrink(szx) if named else Block(0, False, szx)
        offset, length, more = block.slice(len(payload))
        options.append((BLOCK2, Block(block.num, more, szx).encode()))
        return payload[offset : offset + length]

    def read(self, path: Path) -> Resources | None:
        """The values at `path` and below it; None where there are none."""
        if not path:
            return None
        found = {key: value for key, value in self._host.values(path[0]).items() if key[: len(path)] == path}
        return Resources(found) if found else None

    def written(self, path: Path, resources: Resources, accept: int | None) -> tuple[int | None, bytes]:
        """Content-Format and payload for these values. Raises FormatError where the device writes no such."""
        profile = self._profile
        if accept is not None and (profile.refuses_accept or accept not in profile.formats):
            raise FormatError(f"this device does not write {accept}")
        content_format = profile.default_format if accept is None else accept
        if accept is None and content_format in SINGLE and len(path) < RESOURCE_DEPTH:
            content_format = next((each for each in profile.formats if each not in SINGLE), ContentFormat.TLV)
        payload = encode(content_format, resources, path, type_of)
        if profile.bare_version and path == VERSION:
            return None, encode(ContentFormat.TEXT, resources, path, type_of)
        return int(content_format), payload

    def _discover(self, path: Path) -> Reply:
        resources = self.read(path)
        if resources is None:
            return Reply(NOT_FOUND)
        root = f"/{self._profile.root}" if self._profile.root else ""
        below = sorted({Path(*each[:RESOURCE_DEPTH]) for each in resources})
        found = [links.Link(f"{root}{each}") for each in [path, *below] if each != path or len(path) < 3]
        if not found:
            found = [links.Link(f"{root}{path}")]
        options = ((CONTENT_FORMAT, uint(ContentFormat.LINK_FORMAT)),)
        return Reply(CONTENT, options, links.write(found).encode())

    # -- Write --

    def _put(self, message: Message, path: Path, now: float) -> Reply:
        if any(number == URI_QUERY for number, _ in message.options):
            return Reply(CHANGED)  # Write-Attributes: taken, and pmin stays what the profile says
        if len(path) != RESOURCE_DEPTH:
            return Reply(METHOD_NOT_ALLOWED)
        payload = message.payload
        options: tuple[tuple[int, bytes], ...] = ()
        block1 = _option(message, BLOCK1)
        if block1 is not None:
            try:
                block = Block.parse(block1)
            except BlockError:
                return Reply(BAD_REQUEST)
            options = ((BLOCK1, block1),)
            body = self._gathered(path, block, payload)
            if body is None:
                return Reply(REQUEST_ENTITY_INCOMPLETE)
            if block.more:
                return Reply(CONTINUE, options)
            payload = body
        content_format = _uint_option(message, CONTENT_FORMAT)
        if path[:3] == PACKAGE:
            return Reply(METHOD_NOT_ALLOWED) if payload else self._host.write(path, b"", now)
        if (path[0], path[2]) not in TYPES:
            return Reply(NOT_FOUND)
        if content_format is not None and not self._takes(path, content_format):
            return Reply(UNSUPPORTED_CONTENT_FORMAT)
        try:
            values = decode(content_format, payload, path, type_of)
        except FormatError:
            return Reply(BAD_REQUEST)
        if len(values) != 1:
            return Reply(BAD_REQUEST)
        reply = self._host.write(path, next(iter(values.values())), now)
        return Reply(reply.code, options, then=reply.then)

    def _takes(self, path: Path, content_format: int) -> bool:
        if path[0] == PACKAGE[0]:
            return content_format in self._profile.uri_formats
        return content_format in (ContentFormat.OPAQUE, *self._profile.formats)

    def _gathered(self, path: Path, block: Block, payload: bytes) -> bytes | None:
        """The body so far, None where a block is missing. RFC 7959 section 2.5."""
        if block.num == 0:
            self._body = (path, bytearray())
        if self._body is None or self._body[0] != path or len(self._body[1]) != block.offset_bytes:
            return None
        body = self._body[1]
        if len(body) + len(payload) > WRITTEN_MAX:
            return None
        body += payload
        return bytes(body)


SINGLE = (ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.CBOR)


def _option(message: Message, wanted: int) -> bytes | None:
    for number, value in message.options:
        if number == wanted:
            return value
    return None


def _uint_option(message: Message, wanted: int) -> int | None:
    value = _option(message, wanted)
    return None if value is None else int.from_bytes(value, "big")
