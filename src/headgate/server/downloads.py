"""Packages of the store, granted to devices by the edge.

A package is loaded once, by mapping its file, which is named by its digest and never changes. Granting is
what devices wait for, and loading takes time: who creates a campaign loads its package first, and a restart
loads what its tasks were granted before the edge serves. A grant of anything else waits for its package.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path

from headgate.edge import Edge, Grant
from headgate.edge.segments import SegmentDownload, offer_of
from headgate.engine.package import Package
from headgate.engine.segments import Offer, Segments
from headgate.errors import FormatError, HeadgateError, PackageError
from headgate.server.logs import logger
from headgate.upgrade.negotiator import SegmentsWanted

OFFERS_MAX = 1024  # kept for devices to come: roots are what devices say

log = logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """Where the bytes of a package are, and what they must be."""

    path: Path
    sha256: str
    check_code: int | None
    segment_size_bytes: int
    """0 where it travels in blocks."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A package that can be granted."""

    package: Package
    segments: Segments | None
    """Where it travels in segments."""


class EdgeDownloads:
    """What the orchestrator grants and withdraws; by endpoint and PID."""

    def __init__(
        self, edge: Edge, find: Callable[[bytes], PackageFile], lasting: Callable[[float], float]
    ) -> None:
        """`find` raises PackageError for a package that there is not.

        `lasting` says how long the edge waits for so many seconds to pass: it goes by the kernel's clock.
        """
        self._edge = edge
        self._find = find
        self._lasting = lasting
        self._loaded: dict[bytes, Loaded] = {}
        self._granted: dict[tuple[str, bytes], Grant] = {}
        self._wanted: dict[bytes, set[str]] = {}
        self._in_segments: dict[tuple[str, bytes], SegmentDownload] = {}
        self._offers: dict[SegmentsWanted, Offer] = {}  # without tokens
        self._segments_wanted: dict[bytes, dict[str, SegmentsWanted]] = {}
        self._bodies: dict[bytes, memoryview] = {}

    # -- for the orchestrator --

    def uri(self, endpoint: str, pid: bytes) -> str:
        """The URI of the grant, whether it is given or not."""
        return self._edge.uri(pid, endpoint)

    def grant(self, endpoint: str, pid: bytes) -> None:
        """Let the device download; again is the same."""
        loaded = self._loaded.get(pid)
        if loaded is None:
            self._wanted.setdefault(pid, set()).add(endpoint)
            return
        try:
            self._granted[endpoint, pid] = self._edge.grant(loaded.package, endpoint)
        except HeadgateError as error:
            # The device is answered 4.04, and its task ends by the failure published for that.
            log.error("a download cannot be granted", endpoint=endpoint, pid=pid.hex(), reason=str(error))

    def withdraw(self, endpoint: str, pid: bytes) -> None:
        """Serve the device no more; again is the same."""
        self._wanted.get(pid, set()).discard(endpoint)
        grant = self._granted.pop((endpoint, pid), None)
        if grant is not None:
            self._edge.withdraw(grant)

    def grant_segments(self, endpoint: str, wanted: SegmentsWanted) -> None:
        """Answer the device's segment requests; again is the same, under what tokens there are more now."""
        loaded = self._loaded.get(wanted.pid)
        if loaded is None:
            self._segments_wanted.setdefault(wanted.pid, {})[endpoint] = wanted
            return
        download, grants = self._in_segments.get((endpoint, wanted.pid)), self._edge.segments
        try:
            offer = self._offer(wanted, loaded)
            if download is not None and download.admitted.offer is offer:
                for token in set(wanted.tokens) - download.tokens:
                    grants.admit(download, token)
                return
            self.withdraw_segments(endpoint, wanted.pid)
            self._in_segments[endpoint, wanted.pid] = grants.grant(offer, endpoint, tokens=wanted.tokens)
        except HeadgateError as error:
            # Its requests come to the orchestrator, which answers them, though not as fast.
            self.withdraw_segments(endpoint, wanted.pid)
            # What a device registers is no news for an operator; a bound that is reached is.
            tell = log.debug if isinstance(error, FormatError) else log.error
            tell("segments cannot be granted", endpoint=endpoint, reason=str(error))

    def _offer(self, wanted: SegmentsWanted, loaded: Loaded) -> Offer:
        """What is the same for all devices of a product in one radio class."""
        key = replace(wanted, tokens=())
        offer = self._offers.get(key)
        if offer is None:
            segments = loaded.segments
            assert segments is not None, "software travels in segments"
            assert segments.size == wanted.segment_size_bytes, "a campaign cuts its package as it was added"
            wait_s = self._lasting(wanted.wait_s)
            offer = self._offers[key] = offer_of(
                segments, version=wanted.version, root=wanted.root, wait_s=wait_s
            )
            if len(self._offers) > OFFERS_MAX:
                del self._offers[next(iter(self._offers))]
        return offer

    def withdraw_segments(self, endpoint: str, pid: bytes) -> None:
        """Answer them no more; again is the same."""
        self._segments_wanted.get(pid, {}).pop(endpoint, None)
        download = self._in_segments.pop((endpoint, pid), None)
        if download is not None:
            self._edge.segments.withdraw(download)

    def body(self, pid: bytes) -> memoryview | None:
        """The bytes of a package that is loaded, for a segment that the edge did not answer.

        None where its file is gone or cut since: the device asks again, or its task ends at its deadline.
        """
        loaded = self._loaded.get(pid)
        if loaded is None:
            return None
        body = self._bodies.get(pid)
        if body is None:
            try:
                with self._find(pid).path.open("rb") as file:
                    body = memoryview(mmap(file.fileno(), len(loaded.package), access=ACCESS_READ))
            except (HeadgateError, OSError, ValueError) as error:
                log.error(
                    "a package's file has changed since it was loaded", pid=pid.hex(), reason=str(error)
                )
                return None
            self._bodies[pid] = body
        return body

    # -- for the server --

    def progress(self, endpoint: str, pid: bytes) -> Grant | None:
        """The grant of a device, None where it has none."""
        return self._granted.get((endpoint, pid)) or self._in_segments.get((endpoint, pid))

    async def load(self, pid: bytes) -> None:
        """Have a package ready to be granted. Raises PackageError where there is none, or it is damaged."""
        if pid in self._loaded:
            return
        file = self._find(pid)
        package = await self._edge.load(file.path, check_code=file.check_code, in_place=True)
        if package.sha256.hex() != file.sha256 or package.etag != pid:
            raise PackageError(
                f"{file.path} is damaged: its SHA-256 is {package.sha256.hex()}; restore it from a backup"
            )
        await self.adopt(pid, package, file.segment_size_bytes)

    async def adopt(self, pid: bytes, package: Package, segment_size_bytes: int) -> None:
        """Take a package that is loaded already, and grant it to whom it was granted before."""
        segments = None
        if segment_size_bytes:
            segments = await asyncio.to_thread(Segments, package, size=segment_size_bytes)
        self._loaded[pid] = Loaded(package, segments)
        for endpoint in self._wanted.pop(pid, ()):
            self.grant(endpoint, pid)
        for endpoint, wanted in self._segments_wanted.pop(pid, {}).items():
            self.grant_segments(endpoint, wanted)

    async def load_wanted(self, pids: Iterable[bytes]) -> None:
        """Load these, and what was granted before it was loaded.

        What cannot be loaded is told, and waits for being added again: its devices are answered 4.04.
        """
        for pid in {*pids, *self._wanted, *self._segments_wanted}:
            try:
                await self.load(pid)
            except HeadgateError as error:
                log.error("a package cannot be served", pid=pid.hex(), reason=str(error))

    def forget(self, pid: bytes) -> None:
        """Withdraw every grant of a package, and let go of its bytes."""
        self._wanted.pop(pid, None)
        for endpoint, granted in [key for key in self._granted if key[1] == pid]:
            self.withdraw(endpoint, granted)
        self._segments_wanted.pop(pid, None)
        for endpoint, granted in [key for key in self._in_segments if key[1] == pid]:
            self.withdraw_segments(endpoint, granted)
        for offered in [each for each in self._offers if each.pid == pid]:
            del self._offers[offered]
        self._bodies.pop(pid, None)
        self._loaded.pop(pid, None)
