"""The embeddable edge: catalog, listeners and grants, nothing else."""

from __future__ import annotations

import asyncio
import base64
import hmac
import math
import os
import re
import secrets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Self

from headgate.edge.discovery import WELL_KNOWN_CORE, Discovery
from headgate.edge.events import (
    Announcer,
    DownloadCompleted,
    DownloadEvent,
    DownloadProgressed,
    DownloadStalled,
    DownloadStarted,
)
from headgate.edge.grant import Grant
from headgate.edge.paths import path_bytes
from headgate.edge.segments import SegmentDownload, SegmentGrants
from headgate.edge.snapshot import default_spool, snapshot_bytes, snapshot_file
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import OUTCOMES, Responder
from headgate.errors import GrantLimitError, PathError, PathTakenError
from headgate.model import Stats
from headgate.transport.udp import UdpEndpoint

COAP_PORT = 5683
KEY_BYTES = 12  # of HMAC-SHA-256: 16 characters, unguessable
SECRET_MIN_BYTES = 16  # with less, such as an empty setting, keys can be guessed
AUTHORITY = re.compile(r"[^\s/?#@]+")  # RFC 3986 section 3.2, without what would end it
RECEIVE_BUFFER_MAX_BYTES = (1 << 31) - 1  # setsockopt takes an int
URI_MAX_BYTES = 255  # LwM2M object 5, resource 1
TOLD_PER_TURN = 500  # events: some milliseconds of the loop
GRANTS_SPARE = 1024  # ledger records of grants just withdrawn, which a listener's batch may still name
GRANTS_MAX = (1 << 24) - GRANTS_SPARE
LOOK_EVERY_MAX_S = 86400.0
STALL_AFTER_MAX_S = 1e9  # longer than a machine runs: never
REPLIES = OUTCOMES[: OUTCOMES.index("short")]
SILENCES = OUTCOMES[OUTCOMES.index("short") : OUTCOMES.index("handed over")]

Source = Path | str | bytes | bytearray | memoryview
"""A file's path (str or Path), or the bytes themselves."""


class Edge:
    """Serves packages by CoAP Block2 on the caller's loop: `async with Edge() as edge: ...`.

    `host` None listens on every address of both families; `port` 0 takes a free one. `threads=N` serves in
    N native threads that a busy loop cannot slow. `secret` makes the grants' URIs; give the same one after
    a restart, and devices resume. `authority` is the `host[:port]` written into them. Block sizes are bytes
    (16..1024): the least offered, the most sent, and what is sent when the device names none.
    """

    def __init__(
        self,
        *,
        host: str | None = None,
        port: int = COAP_PORT,
        threads: int = 0,
        secret: bytes | None = None,
        authority: str | None = None,
        smallest_block: int = 16,
        largest_block: int = 1024,
        default_block: int = 512,
        receive_buffer_bytes: int = 4 << 20,
        ring_bytes: int = 1 << 20,
        grants_max: int = 1 << 20,
        spool: Path | None = None,
        look_every_s: float = 1.0,
        stall_after_s: float = 60.0,
    ) -> None:
        if secret is not None and len(secret) < SECRET_MIN_BYTES:
            raise ValueError(f"a secret has at least {SECRET_MIN_BYTES} bytes, not {len(secret)}")
        self._secret = secret if secret is not None else secrets.token_bytes(32)
        if authority is not None and not AUTHORITY.fullmatch(authority):
            raise ValueError(f"authority is host[:port] as URIs have it, not {authority!r}")
        self._authority = authority
        self._spool = spool or default_spool()
        if not 0 < look_every_s <= LOOK_EVERY_MAX_S:
            raise ValueError(f"look_every_s is a time above 0, up to a day, not {look_every_s}")
        if not stall_after_s >= 0:
            raise ValueError(f"stall_after_s is a time from 0 on (math.inf is never), not {stall_after_s}")
        self._look_every_s = look_every_s
        self._stall_after_ns = int(min(stall_after_s, STALL_AFTER_MAX_S) * 1e9)
        if not 0 < receive_buffer_bytes <= RECEIVE_BUFFER_MAX_BYTES:
            raise ValueError(
                f"receive_buffer_bytes is 1 to {RECEIVE_BUFFER_MAX_BYTES}, not {receive_buffer_bytes}"
            )
        self._listen = (host, port, threads, receive_buffer_bytes, ring_bytes)
        if not 0 < grants_max <= GRANTS_MAX:
            raise ValueError(f"grants_max is 1 to {GRANTS_MAX}, not {grants_max}")
        self._grants_max = grants_max
        self._ledger = Ledger(grants_max + GRANTS_SPARE)
        self._catalog = Catalog(self._ledger)
        self._responder = Responder(
            self._catalog,
            smallest_block=smallest_block,
            largest_block=largest_block,
            default_block=default_block,
        )
        self._discovery = Discovery(self._catalog)
        self._announcer = Announcer()
        self._grants: dict[int, Grant] = {}
        self._endpoint: UdpEndpoint | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_look: asyncio.Handle | None = None

    # -- life --

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def bind(self) -> None:
        """Take the address and answer nothing yet: what devices ask waits for `start`.

        Then publish and grant, then start: a device that resumes after a restart and is told 4.04, because
        its package is not there yet, gives up. Raises AddressError when the address cannot be used.
        """
        if self._endpoint is not None:
            raise RuntimeError("this Edge was bound or started before; make a new one")
        host, port, threads, receive_buffer_bytes, ring_bytes = self._listen
        self._endpoint = UdpEndpoint(
            self._responder,
            host=host,
            port=port,
            threads=threads,
            receive_buffer_bytes=receive_buffer_bytes,
            ring_bytes=ring_bytes,
            on_handover=self._handed_over,
        )

    async def start(self) -> None:
        """Serve, after a `bind` where there was none. Raises AddressError as that does."""
        if self._loop is not None:
            raise RuntimeError("this Edge was started before; make a new one")
        if self._endpoint is None:
            self.bind()
        endpoint = self._bound()
        loop = asyncio.get_running_loop()
        self._discovery.start(loop)  # the first request finds the list whole
        try:
            endpoint.start()
        except BaseException:
            self._discovery.stop()
            await endpoint.close()
            raise
        self._loop = loop
        self._looked_ns = time.monotonic_ns()
        self._next_look = loop.call_later(self._look_every_s, self._look)

    async def close(self) -> None:
        """Answer what was received, then stop serving and end the events.

        Closing again, or what was never bound, does nothing.
        """
        if self._next_look is not None:
            self._next_look.cancel()
        self._discovery.stop()
        try:
            if self._endpoint is not None:
                await self._endpoint.close()
        finally:
            self._announcer.close()

    def _bound(self) -> UdpEndpoint:
        if self._endpoint is None:
            raise RuntimeError("the Edge is not started: use it in `async with`, or call bind() or start()")
        return self._endpoint

    @property
    def host(self) -> str:
        """The bound host; "::" or "0.0.0.0" for every address."""
        return self._bound().address[0]

    @property
    def port(self) -> int:
        """The bound port."""
        return self._bound().address[1]

    @property
    def failure(self) -> OSError | None:
        """Why a listener ended before its time, if one did."""
        return self._bound().failure

    # -- packages --

    async def load(
        self, source: Source, *, check_code: int | None = None, content_format: int = 42
    ) -> Package:
        """A package ready to be published or granted; files are copied and hashed outside the loop.

        `check_code` overrides the computed versionCheckCode (it leads the ETag). Raises PackageError for
        what cannot be read, PackageTooLargeError for more than 2**20 of the smallest blocks offered.
        """
        if isinstance(source, Path | str):
            path = Path(source)
            self._responder.check_size(await asyncio.to_thread(_size_of, path))
            abandoned = threading.Event()
            try:
                taken = await asyncio.to_thread(snapshot_file, path, self._spool, abandoned)
            finally:
                abandoned.set()  # cancelling this task does not end the thread
        else:
            self._responder.check_size(memoryview(source).nbytes)
            taken = await asyncio.to_thread(snapshot_bytes, source)
        package = Package(
            taken.memory,
            sha256=taken.sha256,
            check_code=taken.check_code if check_code is None else check_code,
            content_format=content_format,
        )
        self._responder.check_size(len(package))
        return package

    async def publish(
        self,
        path: str,
        source: Source | Package,
        *,
        replace: bool = False,
        check_code: int | None = None,
        content_format: int = 42,
    ) -> Package:
        """Serve a package to everyone under `path`, such as "fw/v2.bin", and list it for discovery.

        Raises what `load` raises, PathError for a path nobody could ask, and PathTakenError when the path
        serves another package and `replace` is not set. What is being downloaded under a replaced path
        continues with the new bytes under a new ETag; a new path for new bytes spares devices that.
        """
        joined = path_bytes(path)
        if joined == WELL_KNOWN_CORE:
            raise PathError(f"{path!r} is the list of packages, which the Edge itself writes")
        if isinstance(source, Package):
            self._responder.check_size(len(source))
        else:
            source = await self.load(source, check_code=check_code, content_format=content_format)
        served = self._catalog.find(joined)
        if served is not None and served[1] is not None:
            raise PathTakenError(f"{path!r} is the URI of a grant; withdraw that first")
        self._catalog.publish(joined, source, replace=replace)
        self._discovery.add(joined, source)
        return source

    def grant(self, package: Package, endpoint: str) -> Grant:
        """Let one endpoint download `package` at a URI of its own, the same one each time.

        Raises GrantLimitError when `grants_max` are given, PathError when the URI passes the 255 bytes of
        LwM2M's Package URI, and PackageTooLargeError for another Edge's package that is too large here.
        """
        self._responder.check_size(len(package))
        message = endpoint.encode() + b"\0" + package.etag
        digest = hmac.digest(self._secret, message, "sha256")
        key = base64.urlsafe_b64encode(digest[:KEY_BYTES]).decode()
        uri = f"coap://{self.authority}/{key}"
        length = len(uri.encode())
        if length > URI_MAX_BYTES:
            raise PathError(f"a package URI has at most {URI_MAX_BYTES} bytes, not {length}: {uri}")
        if len(self._grants) >= self._grants_max and key.encode() not in self._catalog:
            raise GrantLimitError(
                f"all {self._grants_max} grants are given: withdraw some or raise grants_max"
            )
        index = self._catalog.grant(key.encode(), package)
        if index not in self._grants:
            self._grants[index] = Grant(endpoint, package, key, uri, self._ledger, index)
            # Marks that the record's last grant left are passed over now, while this one has no block.
            self._deliver()
        return self._grants[index]

    def withdraw(self, what: str | Grant) -> bool:
        """Stop serving a public path or a grant; False when it was not served any more."""
        if isinstance(what, SegmentDownload):
            return self.segments.withdraw(what)
        if isinstance(what, Grant):
            if self._grants.get(what.index) is not what:
                return False
            withdrawn = self._catalog.withdraw(what.key.encode())
            self._deliver()
            what.freeze()
            del self._grants[what.index]
            return withdrawn
        joined = path_bytes(what)
        return self._discovery.remove(joined) and self._catalog.withdraw(joined)

    @property
    def segments(self) -> SegmentGrants:
        """Grants of packages by PCP segments; `withdraw` takes them too."""
        return SegmentGrants(self._catalog, self._grants, self._grants_max, self._deliver)

    @property
    def authority(self) -> str:
        """`host[:port]` of the URIs: what was given, else the bound address, else this machine's name."""
        if self._authority is not None:
            return self._authority
        host, port = self._bound().address
        if host in ("::", "0.0.0.0"):
            host = os.uname().nodename
        elif ":" in host:
            host = f"[{host}]"
        return host if port == COAP_PORT else f"{host}:{port}"

    # -- what happens --

    def events(self) -> AsyncIterator[DownloadEvent]:
        """What happens to granted downloads from this call on, until the edge closes."""
        return self._announcer.read()

    def _deliver(self) -> None:
        if self._endpoint is not None:
            self._endpoint.deliver()

    @property
    def stats(self) -> Stats:
        """Counters since the start, readable after the end too."""
        endpoint = self._bound()
        outcomes = endpoint.outcomes()
        counts = endpoint.counts()
        return Stats(
            received=sum(outcomes.values()),
            blocks=outcomes["2.05"],
            payload_bytes=counts["payload bytes"],
            last_blocks=counts["last blocks"],
            answered={name: outcomes[name] for name in REPLIES},
            dropped={name: outcomes[name] for name in SILENCES},
            handed_over=outcomes["handed over"],
            ring_full=counts["ring full"],
            batches=counts["batches"],
            sent=counts["sent"],
            send_failed=counts["send failed"],
            send_blocked=counts["send blocked"],
            receive_errors=counts["receive errors"],
            receive_buffer_bytes=endpoint.receive_buffer_bytes,
            packages=len(self._discovery),
            grants=len(self._grants),
            events_lost=self._announcer.lost,
        )

    def _handed_over(self, kind: str, value: object) -> None:
        if kind in ("started", "completed") and self._announcer.listened_to and isinstance(value, int):
            grant = self._grants.get(value)
            if grant is not None and (progress := grant.progress).blocks > 0:
                event = DownloadStarted if kind == "started" else DownloadCompleted
                self._announcer.announce(event(grant, progress))

    def _look(self) -> None:
        """Once per `look_every_s`: tell who moved and who stopped, and free what was withdrawn."""
        self._deliver()  # so that a start is told before its progress
        now_ns = time.monotonic_ns()
        self._catalog.reclaim()
        moved: list[int] = []
        stopped: list[int] = []
        stalled_ns = max(1, now_ns - self._stall_after_ns)
        if self._announcer.listened_to:
            moved = self._ledger.served_between(self._looked_ns, now_ns)
            stopped = self._ledger.served_between(max(1, self._looked_ns - self._stall_after_ns), stalled_ns)
        self._looked_ns = now_ns
        self._tell(
            chain(
                ((DownloadProgressed, index, math.inf) for index in moved),
                ((DownloadStalled, index, stalled_ns / 1e9) for index in stopped),
            )
        )

    def _tell(self, due: Iterator[tuple[type[DownloadEvent], int, float]]) -> None:
        """Announce what is due, a bounded number per turn of the loop; then look again in a while.

        Each is (event, ledger record, time before which the last block must have left): by the time it is
        told, the record may be another grant's, or a stalled download may go on.
        """
        turn = list(islice(due, TOLD_PER_TURN))
        for event, index, before_s in turn:
            grant = self._grants.get(index)
            if grant is None:
                continue
            progress = grant.progress
            if progress.blocks > 0 and progress.served_monotonic_s < before_s and not progress.served_to_end:
                self._announcer.announce(event(grant, progress))
        loop = asyncio.get_running_loop()
        if len(turn) == TOLD_PER_TURN:
            self._next_look = loop.call_soon(self._tell, due)
        else:
            self._next_look = loop.call_later(self._look_every_s, self._look)


def _size_of(path: Path) -> int:
    """Bytes of a file as it stands, 0 when it cannot be told; the copy says what is wrong."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0
