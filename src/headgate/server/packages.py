"""Packages: a file of the store and a row each, added and removed one at a time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.edge import Edge
from headgate.errors import PackageConflictError, PackageError
from headgate.server.downloads import EdgeDownloads, PackageFile
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.packages import PackageStore
from headgate.upgrade.package import (
    CheckCodes,
    PackageIdentity,
    Release,
    check_release,
    refuse_conflicts,
)
from headgate.upgrade.task import Kind
from headgate.wire.segmentation import SEGMENT_SIZE_DEFAULT

VERSION_BYTES_MAX = 255
NAME_MAX = 255
SOURCE_VERSIONS_MAX = 1000
CHECK_CODE_MAX = 0xFFFF

Source = Path | bytes | Iterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPackage:
    """A package that campaigns may be made of."""

    pid: bytes
    """Its identity, 8 bytes: the ETag of every block."""
    sha256: str
    kind: Kind
    version: str
    """What devices report when they run it."""
    size_bytes: int
    name: str
    product: str
    source_versions: frozenset[str]
    """The versions that may be upgraded from; empty for any."""
    added_s: float
    check_code: int
    """versionCheckCode: the first two bytes of the PID."""
    segment_size_bytes: int = 0
    """Of software; 0 for firmware, which travels in blocks."""


class Packages:
    """All packages of the server."""

    def __init__(
        self,
        files: PackageStore,
        edge: Edge,
        *,
        write: Callable[[Batch], Awaitable[None]],
        in_use: Callable[[bytes], str | None],
        lasting: Callable[[float], float],
        check_codes: Callable[[str], CheckCodes] = lambda product: CheckCodes.COMPUTED,
        segment_size_bytes: int = SEGMENT_SIZE_DEFAULT,
    ) -> None:
        """`write` commits a batch; `in_use` names what needs a package, None for nothing; `lasting` is for
        `EdgeDownloads`; `check_codes` says what devices of a product are told; software that comes without a
        segment size is given this one.
        """
        self._files = files
        self._edge = edge
        self._write = write
        self._in_use = in_use
        self._check_codes = check_codes
        self._segment_size_bytes = segment_size_bytes
        self._packages: dict[bytes, StoredPackage] = {}
        self._changing = asyncio.Lock()
        self.downloads = EdgeDownloads(edge, self.file, lasting)

    def restore(self, database: Database) -> None:
        """What earlier processes added. Blocking."""
        names = [column.name for column in tables.packages.columns]
        for chunk in database.chunks(tables.packages):
            for row in chunk:
                package = package_of(dict(zip(names, row, strict=True)))
                self._packages[package.pid] = package

    def get(self, pid: bytes) -> StoredPackage:
        """The package of that identity. Raises PackageError where there is none."""
        package = self._packages.get(pid)
        if package is None:
            raise PackageError(f"there is no package {pid.hex()}: add it first")
        return package

    def list(self) -> list[StoredPackage]:
        """All of them, the newest first."""
        return sorted(self._packages.values(), key=lambda each: (-each.added_s, each.pid))

    def file(self, pid: bytes) -> PackageFile:
        """Where its bytes are. Raises PackageError for no such package, StoreError for no such file."""
        package = self.get(pid)
        return PackageFile(
            path=self._files.path(package.sha256),
            sha256=package.sha256,
            check_code=package.check_code,
            segment_size_bytes=package.segment_size_bytes,
        )

    def received(self, chunks: Iterable[bytes]) -> AbstractContextManager[Path]:
        """A file of what comes, where packages are kept, to be added from there. Blocking."""
        return self._files.received(chunks)

    def release(self, package: StoredPackage) -> Release:
        """The package as its product's devices are told of it."""
        identity = PackageIdentity(
            sha256=bytes.fromhex(package.sha256),
            size_bytes=package.size_bytes,
            version_check_code=package.check_code,
        )
        return Release(
            identity=identity,
            kind=package.kind,
            product=package.product or None,
            version=package.version,
            segment_size_bytes=package.segment_size_bytes,
            zero=self._check_codes(package.product) is CheckCodes.ZERO,
        )

    def check(self, package: StoredPackage) -> Release:
        """The same, which devices can tell from all others. Raises PackageError where they could not."""
        release = self.release(package)
        check_release(release)
        others = [each for each in self._packages.values() if each.pid != package.pid]
        refuse_conflicts(release, map(self.release, others))
        return release

    async def add(
        self,
        source: Source,
        *,
        version: str,
        kind: Kind,
        name: str,
        product: str,
        source_versions: Iterable[str],
        check_code: int | None,
        segment_size_bytes: int | None = None,
        now: float,
    ) -> StoredPackage:
        """Keep the bytes, then say so in the database; the same package again is the one that is there.

        Raises PackageError for what devices could not be told apart by, PackageTooLargeError, StoreError.
        """
        sources = frozenset(source_versions)
        check_text("version", version, VERSION_BYTES_MAX, empty=False)
        check_text("name", name, NAME_MAX)
        check_text("product", product, NAME_MAX)
        if len(sources) > SOURCE_VERSIONS_MAX:
            raise PackageError(
                f"a package has at most {SOURCE_VERSIONS_MAX} source versions, not {len(sources)}"
            )
        for each in sources:
            check_text("source version", each, VERSION_BYTES_MAX, empty=False)
        if check_code is not None and not 0 <= check_code <= CHECK_CODE_MAX:
            raise PackageError(f"a versionCheckCode has 16 bits, {check_code} has not")
        if check_code is None and self._check_codes(product) is CheckCodes.GIVEN:
            raise PackageError(f"a package of {product or 'any product'} is given a check code")
        size = self._segment_size(kind, segment_size_bytes)
        async with self._changing:
            stored = await asyncio.to_thread(
                self._files.add, [source] if isinstance(source, bytes) else source
            )
            try:
                if not stored.size_bytes:
                    raise PackageError("a package has bytes, and this one is empty")
                loaded = await self._edge.load(stored.path, check_code=check_code, in_place=True)
                package = StoredPackage(
                    pid=loaded.etag,
                    sha256=stored.sha256,
                    kind=kind,
                    version=version,
                    size_bytes=stored.size_bytes,
                    name=name,
                    product=product,
                    source_versions=sources,
                    added_s=now,
                    check_code=int.from_bytes(loaded.etag[:2], "big"),
                    segment_size_bytes=size,
                )
                there = self._packages.get(package.pid)
                if there is not None:
                    self._same(there, package)
                    # Its file may have been lost, and is back.
                    await self.downloads.adopt(there.pid, loaded, there.segment_size_bytes)
                    return there
                self.check(package)
                batch = Batch()
                batch.put(tables.packages, row_of(package))
                await self._write(batch)
            except BaseException:
                await asyncio.to_thread(self._sweep, stored.sha256)
                raise
            self._packages[package.pid] = package
            await self.downloads.adopt(package.pid, loaded, size)
            return package

    def _segment_size(self, kind: Kind, segment_size_bytes: int | None) -> int:
        """Of software; 0 for firmware."""
        if kind is Kind.SOFTWARE:
            return self._segment_size_bytes if segment_size_bytes is None else segment_size_bytes
        if segment_size_bytes is not None:
            raise PackageError("firmware travels in blocks: it has no segment size")
        return 0

    def _same(self, there: StoredPackage, package: StoredPackage) -> None:
        for what in ("sha256", "version", "kind", "product", "source_versions", "segment_size_bytes"):
            if getattr(there, what) != getattr(package, what):
                raise PackageConflictError(
                    f"package {there.pid.hex()} is there already, with another {what.replace('_', ' ')}: "
                    "remove it first, or give this one another check code"
                )

    async def remove(self, pid: bytes) -> None:
        """Forget a package and its bytes, and withdraw what is still granted of it.

        Raises PackageError where there is none, or a campaign needs it.
        """
        async with self._changing:
            package = self.get(pid)
            needed_by = self._in_use(pid)
            if needed_by is not None:
                raise PackageError(f"package {pid.hex()} is needed by {needed_by}: stop that first")
            batch = Batch()
            batch.delete(tables.packages, (pid.hex(),))
            del self._packages[pid]  # first: no campaign is made of it while its row is deleted
            try:
                await self._write(batch)
            except BaseException:
                self._packages[pid] = package
                raise
            self.downloads.forget(pid)
            await asyncio.to_thread(self._sweep, package.sha256)

    def _sweep(self, sha256: str) -> None:
        """Remove a file, unless another package has the same bytes."""
        if all(package.sha256 != sha256 for package in self._packages.values()):
            self._files.remove(sha256)


def check_text(what: str, text: str, bytes_max: int, *, empty: bool = True) -> None:
    """Raise PackageError for what devices or the database could not hold."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise PackageError(f"the {what} {text!r} is no text that UTF-8 can carry") from error
    if length > bytes_max or (not length and not empty) or "\0" in text:
        raise PackageError(
            f"the {what} of a package has up to {bytes_max} bytes, not {length}: {text[:40]!r}"
        )


def row_of(package: StoredPackage) -> dict[str, Any]:
    """All columns of a package."""
    return {
        "pid": package.pid.hex(),
        "sha256": package.sha256,
        "kind": package.kind.value,
        "version": package.version,
        "size_bytes": package.size_bytes,
        "segment_size_bytes": package.segment_size_bytes,
        "name": package.name,
        "product": package.product,
        "source_versions": json.dumps(sorted(package.source_versions)),
        "added_s": package.added_s,
        "check_code": package.check_code,
    }


def package_of(row: Mapping[str, Any]) -> StoredPackage:
    """The package of a row."""
    return StoredPackage(
        pid=bytes.fromhex(row["pid"]),
        sha256=row["sha256"],
        kind=Kind(row["kind"]),
        version=row["version"],
        size_bytes=row["size_bytes"],
        name=row["name"],
        product=row["product"],
        source_versions=frozenset(json.loads(row["source_versions"] or "[]")),
        added_s=row["added_s"],
        check_code=row["check_code"],
        segment_size_bytes=row["segment_size_bytes"],
    )
