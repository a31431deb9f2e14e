"""`/.well-known/core`: the list of public packages, itself served from the catalog. RFC 6690."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import quote

from headgate.edge.snapshot import snapshot_bytes
from headgate.engine.catalog import Catalog
from headgate.engine.package import Package

WELL_KNOWN_CORE = b".well-known/core"
LINK_FORMAT = 40  # Content-Format application/link-format
IDLE_SHARE = 20  # at least this many times the cost of a rewrite passes before the next one


class Discovery:
    """Keeps the link list in step with what is published; many changes in a row cost one rewrite."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._links: dict[bytes, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rewrite: asyncio.Handle | None = None
        self._not_before_s = 0.0
        self._stale = True

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write the list of what is published by now, and rewrite it on this loop from now on."""
        self._loop = loop
        if self._stale:
            self._write()

    def stop(self) -> None:
        """Forget a rewrite that is due."""
        if self._rewrite is not None:
            self._rewrite.cancel()
            self._rewrite = None
        self._loop = None

    def add(self, path: bytes, package: Package) -> None:
        """List `path` with its Content-Format and its size in bytes. RFC 6690 section 3.3."""
        self._links[path] = f"</{quote(path)}>;ct={package.content_format};sz={len(package)}"
        self._changed()

    def remove(self, path: bytes) -> bool:
        """Take `path` from the list; False when it was not on it."""
        if self._links.pop(path, None) is None:
            return False
        self._changed()
        return True

    def __len__(self) -> int:
        return len(self._links)

    def _changed(self) -> None:
        self._stale = True
        if self._loop is not None and self._rewrite is None:
            wait_s = self._not_before_s - self._loop.time()
            self._rewrite = self._loop.call_later(max(0.0, wait_s), self._rewrite_due)

    def _rewrite_due(self) -> None:
        self._rewrite = None
        began_s = time.perf_counter()
        self._write()
        if self._loop is not None:
            self._not_before_s = self._loop.time() + IDLE_SHARE * (time.perf_counter() - began_s)

    def _write(self) -> None:
        self._stale = False
        taken = snapshot_bytes(",".join(self._links.values()).encode())
        package = Package(
            taken.memory,
            sha256=taken.sha256,
            check_code=taken.check_code,
            content_format=LINK_FORMAT,
            discovery=True,
        )
        self._catalog.publish(WELL_KNOWN_CORE, package, replace=True)
