"""Packages of the store, granted to devices by the edge.

A package is loaded once, by mapping its file, which is named by its digest and never changes. Granting is
what devices wait for, and loading takes time: who creates a campaign loads its package first, and a restart
loads what its tasks were granted before the edge serves. A grant of anything else waits for its package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from headgate.edge import Edge, Grant
from headgate.engine.package import Package
from headgate.errors import HeadgateError, PackageError
from headgate.server.logs import logger

log = logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """Where the bytes of a package are, and what they must be."""

    path: Path
    sha256: str
    check_code: int | None


class EdgeDownloads:
    """What the orchestrator grants and withdraws; by endpoint and PID."""

    def __init__(self, edge: Edge, find: Callable[[bytes], PackageFile]) -> None:
        """`find` raises PackageError for a package that there is not."""
        self._edge = edge
        self._find = find
        self._loaded: dict[bytes, Package] = {}
        self._granted: dict[tuple[str, bytes], Grant] = {}
        self._wanted: dict[bytes, set[str]] = {}

    # -- for the orchestrator --

    def uri(self, endpoint: str, pid: bytes) -> str:
        """The URI of the grant, whether it is given or not."""
        return self._edge.uri(pid, endpoint)

    def grant(self, endpoint: str, pid: bytes) -> None:
        """Let the device download; again is the same."""
        package = self._loaded.get(pid)
        if package is None:
            self._wanted.setdefault(pid, set()).add(endpoint)
            return
        try:
            self._granted[endpoint, pid] = self._edge.grant(package, endpoint)
        except HeadgateError as error:
            # The device is answered 4.04, and its task ends by the failure published for that.
            log.error("a download cannot be granted", endpoint=endpoint, pid=pid.hex(), reason=str(error))

    def withdraw(self, endpoint: str, pid: bytes) -> None:
        """Serve the device no more; again is the same."""
        self._wanted.get(pid, set()).discard(endpoint)
        grant = self._granted.pop((endpoint, pid), None)
        if grant is not None:
            self._edge.withdraw(grant)

    # -- for the server --

    def progress(self, endpoint: str, pid: bytes) -> Grant | None:
        """The grant of a device, None where it has none."""
        return self._granted.get((endpoint, pid))

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
        self.adopt(pid, package)

    def adopt(self, pid: bytes, package: Package) -> None:
        """Take a package that is loaded already, and grant it to whom it was granted before."""
        self._loaded[pid] = package
        for endpoint in self._wanted.pop(pid, ()):
            self.grant(endpoint, pid)

    async def load_wanted(self, pids: Iterable[bytes]) -> None:
        """Load these, and what was granted before it was loaded.

        What cannot be loaded is told, and waits for being added again: its devices are answered 4.04.
        """
        for pid in {*pids, *self._wanted}:
            try:
                await self.load(pid)
            except HeadgateError as error:
                log.error("a package cannot be served", pid=pid.hex(), reason=str(error))

    def forget(self, pid: bytes) -> None:
        """Withdraw every grant of a package, and let go of its bytes."""
        self._wanted.pop(pid, None)
        for endpoint, granted in [key for key in self._granted if key[1] == pid]:
            self.withdraw(endpoint, granted)
        self._loaded.pop(pid, None)
