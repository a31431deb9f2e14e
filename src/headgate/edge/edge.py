"""The embeddable edge: catalog, listeners and grants, nothing else."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from headgate.edge.discovery import WELL_KNOWN_CORE, Discovery
from headgate.edge.events import Announcer, DownloadCompleted, DownloadEvent, DownloadStarted
from headgate.edge.grant import Grant
from headgate.edge.keys import Keys, uri_of
from headgate.edge.paths import path_bytes
from headgate.edge.segments import SegmentDownload, SegmentGrants
from headgate.edge.snapshot import default_spool, snapshot_bytes, snapshot_file
from headgate.edge.watch import Watch
from headgate.engine.catalog import Catalog
from headgate.engine.ledger import Ledger
from headgate.engine.package import Package
from headgate.engine.responder import OUTCOMES, Responder
from headgate.errors import GrantLimitError, PathError, PathTakenError
from headgate.model import Stats
from headgate.transport.udp import UdpEndpoint

COAP_PORT = 5683
AUTHORITY = re.compile(r"[^\s/?#@]+")  # RFC 3986 section 3.2, without what would end it
RECEIVE_BUFFER_MAX_BYTES = (1 << 31) - 1  # setsockopt takes an int
GRANTS_SPARE = 1024  # ledger records of grants just withdrawn, which a listener's batch may still name
GRANTS_MAX = (1 << 24) - GRANTS_SPARE
REPLIES = OUTCOMES[: OUTCOMES.index("short")]
SILENCES = OUTCOMES[OUTCOMES.index("short") : OUTCOMES.index("handed over")]

Source = Path | str | bytes | bytearray | memoryview
"""A file's path (str or Path), or the bytes themselves."""

Handler = Callable[[bytes, bytes, bytes], None]
"""Takes what is no package request: the raw sockaddr of its sender, packet information, and its bytes."""


class Edge:
    """Serves packages by CoAP Block2 on the caller's loop: `async with Edge() as edge: ...`.

    `host` None listens on every address of both families; `port` 0 takes a free one. `threads=N` serves in
    N native threads that a busy loop cannot slow; without, one does within `stood_in`. `secret` makes the
    grants' URIs; give the same one after a restart, and devices resume. `authority` is the `host[:port]`
    written into them. Block sizes are bytes (16..1024): the least offered, the most sent, and what is sent
    when the device names none.

    Other requests are answered by 4.04 and the like, unless `on_datagram` takes what the Edge does not
    serve: it is called on the loop from `start` until `close` ends, and answers by `send`.
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
        on_datagram: Handler | None = None,
    ) -> None:
        self._keys = Keys(secret)
        if authority is not None and not AUTHORITY.fullmatch(authority):
            raise ValueError(f"authority is host[:port] as URIs have it, not {authority!r}")
        self._authority = authority
        self._spool = spool or default_spool()
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
            handover=on_datagram is not None,
        )
        self._on_datagram = on_datagram
        self._discovery = Discovery(self._catalog)
        self._announcer = Announcer()
        self._grants: dict[int, Grant] = {}
        self._endpoint: UdpEndpoint | None = None
        self._watch = Watch(
            self._catalog,
            self._grants,
            self._announcer,
            look_every_s=look_every_s,
            stall_after_s=stall_after_s,
        )
        self._started = False

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
        if self._started:
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
        self._started = True
        self._watch.start(endpoint, loop)

    async def close(self) -> None:
        """Answer what was received, then stop serving and end the events.

        Closing again, or what was never bound, does nothing.
        """
        self._watch.stop()
        self._discovery.stop()
        try:
            if self._endpoint is not None:
                await self._endpoint.close()
        finally:
            self._on_datagram = None  # whose it is need not outlive this
            self._announcer.close()

    def stood_in(self) -> AbstractContextManager[None]:
        """A context in which a thread serves where the loop does otherwise: for work that keeps the loop.

        `with edge.stood_in(): compute()`. Enter and leave it on the running loop, between `start` and
        `close`; several at once are one. The thread never takes the GIL. It ends up to 50 ms after the
        context does.
        """
        return self._bound().stood_in()

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

    @property
    def unread_bytes(self) -> int:
        """What waits in the fullest socket to be received, as the kernel accounts it."""
        return self._bound().unread_bytes

    # -- packages --

    async def load(
        self,
        source: Source,
        *,
        check_code: int | None = None,
        content_format: int = 42,
        in_place: bool = False,
    ) -> Package:
        """A package ready to be published or granted; files are copied and hashed outside the loop.

        `check_code` overrides the computed versionCheckCode (it leads the ETag). `in_place` maps a file
        where it is, without a copy: whoever asks for that answers for nobody ever changing or truncating
        it (a page that is gone ends the process); deleting it does no harm. Raises PackageError for what
        cannot be read, PackageTooLargeError for more than 2**20 of the smallest blocks offered.
        """
        if isinstance(source, Path | str):
            path = Path(source)
            self._responder.check_size(await asyncio.to_thread(_size_of, path))
            spool = None if in_place else self._spool
            abandoned = threading.Event()
            try:
                taken = await asyncio.to_thread(snapshot_file, path, spool, abandoned)
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
        uri = self.uri(package, endpoint)
        key = uri.rpartition("/")[2]
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

    def uri(self, package: Package | bytes, endpoint: str) -> str:
        """The URI of the grant that this endpoint has, or would be given; a package by its ETag will do.

        Raises PathError when it passes the 255 bytes of LwM2M's Package URI.
        """
        etag = package.etag if isinstance(package, Package) else package
        return uri_of(self.authority, self._keys.key(etag, endpoint))

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

    # -- what is not ours --

    def send(self, address: bytes, control: bytes, datagram: bytes) -> None:
        """Send one datagram to where another came from; `address` and `control` are as it brought them.

        It leaves from the address that `control` names. Raises BlockingIOError when the socket is full,
        OSError when the kernel refuses.
        """
        self._bound().send(address, control, datagram)

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

    def _handed_over(self, kind: str, value: Any) -> None:
        if kind == "datagram":
            if self._on_datagram is not None:
                self._on_datagram(*value)
        elif kind in ("started", "completed") and self._announcer.listened_to:
            grant = self._grants.get(value)
            if grant is not None and (progress := grant.progress).blocks > 0:
                event = DownloadStarted if kind == "started" else DownloadCompleted
                self._announcer.announce(event(grant, progress))


def _size_of(path: Path) -> int:
    """Bytes of a file as it stands, 0 when it cannot be told; the copy says what is wrong."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0
