"""A device's download by Block2: RFC 7959 section 2.4, and how devices really do it (docs/traps.md).

What survives a power cut is in `Flash`. The image itself is not kept, only its digest and its first bytes: a
process holds thousands of devices.
"""

from __future__ import annotations

import hashlib
import random
from typing import Protocol
from urllib.parse import unquote, urlsplit

from headgate.errors import BlockError
from headgate.fleet.alarms import Alarms
from headgate.fleet.messaging import Exchange, Messaging
from headgate.fleet.outcome import Outcome
from headgate.fleet.profile import Profile, Resume
from headgate.wire.block import Block
from headgate.wire.coap import Message
from headgate.wire.numbers import BLOCK2, CONTENT, ETAG, GET, NOT_FOUND, RST, SIZE2, URI_PATH

HEAD_BYTES = 128  # what is kept of the image
PORT = 5683
SCHEMES = ("coap", "coaps")
MAGIC = b"headgate package "

CONNECTION_LOST = 4
INVALID_URI = 7


def make_package(version: str, size_bytes: int, seed: int = 0) -> bytes:
    """A package that tells a simulated device which version it holds; the rest are random bytes.

    >>> package_version(make_package("V2.0", 600))
    'V2.0'
    """
    head = MAGIC + version.encode() + b"\n"
    return (head + random.Random(seed).randbytes(max(0, size_bytes - len(head))))[:size_bytes]


def package_version(head: bytes) -> str | None:
    """The version that a package says it holds, None where it says nothing."""
    line, end, _ = head.partition(b"\n")
    if not end or not line.startswith(MAGIC):
        return None
    return line.removeprefix(MAGIC).decode(errors="replace")


class Flash:
    """What a device keeps of a download when its power goes."""

    __slots__ = ("digest", "etag", "head", "offset_bytes", "uri")

    def __init__(self, uri: str = "") -> None:
        self.uri = uri
        self.etag: bytes | None = None
        self.offset_bytes = 0
        self.digest = hashlib.sha256()
        self.head = b""

    def write(self, data: bytes) -> None:
        """Append to the image."""
        self.digest.update(data)
        self.offset_bytes += len(data)
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]


class Downloading(Protocol):
    """Whose download it is."""

    profile: Profile
    log: Outcome
    alarms: Alarms

    def block_taken(self, blocks: int, now: float, *, complete: bool) -> bool:
        """A block was kept; whether the download goes on."""

    def download_complete(self, now: float) -> None:
        """All of the package is in the flash."""

    def download_failed(self, result: int, now: float) -> None:
        """It is over, and this is its Update Result."""


def uri_parts(uri: str, *, query_in_path: bool) -> tuple[str, int, tuple[str, ...]] | None:
    """Host, port and Uri-Path segments of a package URI; None where it is no URI of CoAP.

    >>> uri_parts("coap://[::1]:5684/fw/v2?x", query_in_path=False)
    ('::1', 5684, ('fw', 'v2'))
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in SCHEMES or not host:
        return None
    path = parts.path + (f"?{parts.query}" if query_in_path and parts.query else "")
    segments = tuple(unquote(segment) for segment in path.removeprefix("/").split("/"))
    return host, port or PORT, segments


class Download:
    """One run of block requests: from where the flash ends to the end of the package, or to a failure."""

    def __init__(self, owner: Downloading, messaging: Messaging, flash: Flash, path: tuple[str, ...]) -> None:
        self._owner = owner
        self._messaging = messaging
        self._flash = flash
        self._path = tuple((URI_PATH, segment.encode()) for segment in path)
        self._szx = owner.profile.szx
        self._token = messaging.token() if owner.profile.one_token else None
        self._patience = owner.profile.patience
        self._exchange: Exchange | None = None
        self._blocks = 0
        self.stalled = False
        """Whether it asks for nothing any more, without saying so."""

    def begin(self, now: float) -> None:
        """Ask for the first block of this run."""
        log, flash = self._owner.log, self._flash
        if flash.offset_bytes:
            log.resumed_at.append(flash.offset_bytes)
        else:
            log.starts_at_zero += 1
        self._ask(now)

    def stop(self) -> None:
        """Wait for no answer, and ask for nothing."""
        self._owner.alarms.cancel("block")
        if self._exchange is not None:
            self._messaging.abandon(self._exchange)
            self._exchange = None

    def _ask(self, now: float) -> None:
        profile = self._owner.profile
        block = Block(self._flash.offset_bytes >> (self._szx + 4), False, self._szx)
        options = [*self._path, (BLOCK2, block.encode())]
        if profile.size2:
            options.append((SIZE2, b""))
        self._owner.log.blocks_asked += 1
        self._exchange = self._messaging.request(
            GET, options, now=now, ended=self._answered, token=self._token
        )

    def _ask_again(self, now: float) -> None:
        """The same block anew; the connection counts as lost when that did not help often enough."""
        if self._patience == 0:
            self._owner.download_failed(CONNECTION_LOST, now)
            return
        self._patience -= 1
        self._ask(now)

    def _answered(self, message: Message | None, now: float) -> None:
        self._exchange = None
        if message is None or message.type == RST:
            self._ask_again(now)
            return
        if message.code != CONTENT:
            # Whatever it says, devices do not wait: 4.29 and 5.03 end the download too.
            self._owner.download_failed(INVALID_URI if message.code == NOT_FOUND else CONNECTION_LOST, now)
            return
        block, etag = self._head(message)
        if block is None:
            self._owner.download_failed(CONNECTION_LOST, now)
            return
        flash = self._flash
        if etag is not None:
            if flash.etag is None:
                flash.etag = etag
            elif etag != flash.etag and self._owner.profile.checks_etag:
                self._start_over(now)
                return
        skip = flash.offset_bytes - block.offset_bytes
        whole = not block.more or len(message.payload) == block.size_bytes
        if not 0 <= skip <= len(message.payload) or block.szx > self._szx or not whole:
            self._ask_again(now)  # another block than was asked for, or not all of it
            return
        self._szx = block.szx
        self._patience = self._owner.profile.patience
        flash.write(message.payload[skip:])
        self._blocks += 1
        self._owner.log.blocks += 1
        if not self._owner.block_taken(self._blocks, now, complete=not block.more):
            return
        if not block.more:
            self._owner.log.digest = flash.digest.hexdigest()
            self._owner.download_complete(now)
        elif self._owner.profile.block_pause_s:
            self._owner.alarms.set("block", now + self._owner.profile.block_pause_s, self._ask)
        else:
            self._ask(now)

    def _head(self, message: Message) -> tuple[Block | None, bytes | None]:
        """Block and ETag of an answer; no Block where it is none that the device can use."""
        etag = block = None
        for number, value in message.options:
            if number == ETAG:
                etag = value
            elif number == BLOCK2:
                try:
                    block = Block.parse(value)
                except BlockError:
                    return None, etag
        if block is None and not self._owner.profile.needs_block2:
            block = Block(0, False, self._szx)  # the whole body at once
        return block, etag

    def _start_over(self, now: float) -> None:
        """The bytes kept are of another package than the one that is served now."""
        self._owner.log.forced_restarts += 1
        self._flash.__init__(self._flash.uri)  # type: ignore[misc]
        self._ask(now)


def kept(flash: Flash, uri: str, resume: Resume) -> Flash:
    """The flash to go on with: the same where the device resumes this URI, else an empty one."""
    return flash if resume is Resume.OFFSET and flash.uri == uri else Flash(uri)
