"""The look that an Edge takes at its downloads once in a while: who moved, and who stopped."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Mapping
from itertools import chain, islice

from headgate.edge.events import Announcer, DownloadEvent, DownloadProgressed, DownloadStalled
from headgate.edge.grant import Grant
from headgate.engine.catalog import Catalog
from headgate.transport.udp import UdpEndpoint

TOLD_PER_TURN = 500  # events: some milliseconds of the loop
LOOK_EVERY_MAX_S = 86400.0
STALL_AFTER_MAX_S = 1e9  # longer than a machine runs: never


class Watch:
    """Looks at the ledger every `look_every_s`, tells `announcer`, and frees what was withdrawn."""

    def __init__(
        self,
        catalog: Catalog,
        grants: Mapping[int, Grant],
        announcer: Announcer,
        *,
        look_every_s: float,
        stall_after_s: float,
    ) -> None:
        if not 0 < look_every_s <= LOOK_EVERY_MAX_S:
            raise ValueError(f"look_every_s is a time above 0, up to a day, not {look_every_s}")
        if not stall_after_s >= 0:
            raise ValueError(f"stall_after_s is a time from 0 on (math.inf is never), not {stall_after_s}")
        self._catalog = catalog
        self._grants = grants
        self._announcer = announcer
        self._look_every_s = look_every_s
        self._stall_after_ns = int(min(stall_after_s, STALL_AFTER_MAX_S) * 1e9)
        self._looked_ns = 0
        self._endpoint: UdpEndpoint | None = None
        self._next_look: asyncio.Handle | None = None

    def start(self, endpoint: UdpEndpoint, loop: asyncio.AbstractEventLoop) -> None:
        """Look from now on, until `stop`."""
        self._endpoint = endpoint
        self._looked_ns = time.monotonic_ns()
        self._next_look = loop.call_later(self._look_every_s, self.look)

    def stop(self) -> None:
        """Look no more."""
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None

    def look(self) -> None:
        """Look now, and again in a while."""
        if self._endpoint is not None:
            self._endpoint.deliver()  # so that a start is told before its progress
        now_ns = time.monotonic_ns()
        self._catalog.reclaim()
        moved: list[int] = []
        stopped: list[int] = []
        stalled_ns = max(1, now_ns - self._stall_after_ns)
        if self._announcer.listened_to:
            ledger = self._catalog.ledger
            moved = ledger.served_between(self._looked_ns, now_ns)
            stopped = ledger.served_between(max(1, self._looked_ns - self._stall_after_ns), stalled_ns)
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
            self._next_look = loop.call_later(self._look_every_s, self.look)
