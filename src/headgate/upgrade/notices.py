"""What devices were told by PCP 20, beyond the task that told it: by which 19 may be misread, and 24 be owed.

From 20 on some devices name the new version, upgraded or not, until they run it (trap 33): no later task
may take that for "the same version". And a device that was told may report what came of it after its task is
over: for a day it is observed anew after every Register, for it has no other way to say so (traps 34, 36).

Invariants
 1. An entry here has its row. It outlives registrations.
 2. There is none without a version to misread, once the day of its report is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headgate.store import tables
from headgate.upgrade.turns import Gathering

LET_GO = 4
"""Entries that one more may clear away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One device. Where its task goes on `ended_s` is None."""

    version: str
    """That it was told of last; empty once it runs it."""
    ended_s: float | None = None


class Notices:
    """All devices that were told of a version."""

    def __init__(self, gathering: Gathering, *, keep_s: float) -> None:
        """`keep_s`: for how long after its task a device is owed an answer."""
        self._gathering = gathering
        self._keep_s = keep_s
        self._notices: dict[str, Notice] = {}
        self._ended: deque[tuple[float, str]] = deque()
        """Those that are over, in the order in which they were."""

    def __contains__(self, endpoint: str) -> bool:
        """Whether the device is known to have been told of any version."""
        return endpoint in self._notices

    def names(self, endpoint: str, version: str) -> bool:
        """Whether the device may name this version without running it."""
        notice = self._notices.get(endpoint)
        return notice is not None and notice.version == version

    def owed(self, endpoint: str, now: float) -> bool:
        """Whether its task is over, and a report about it may come yet."""
        notice = self._notices.get(endpoint)
        return notice is not None and notice.ended_s is not None and now - notice.ended_s <= self._keep_s

    def told(self, endpoint: str, version: str) -> None:
        """20 is about to be said to it."""
        self._put(endpoint, Notice(version=version))

    def ended(self, endpoint: str, now: float, *, runs: bool) -> None:
        """Its task is over; `runs`: with the version that it was told of."""
        notice = self._notices.get(endpoint)
        if notice is not None and notice.ended_s is None:
            self._put(endpoint, replace(notice, version="" if runs else notice.version, ended_s=now))
            self._ended.append((now, endpoint))
        for _ in range(LET_GO):
            if not self._ended or now - self._ended[0][0] <= self._keep_s:
                break
            ended_s, past = self._ended.popleft()
            if self._notices.get(past) == Notice(version="", ended_s=ended_s):
                del self._notices[past]
                self._gathering.delete(tables.notices, (past,))

    def restore(self, row: Mapping[str, Any]) -> None:
        """What an earlier process knew; those that are over come in the order in which they were."""
        notice = Notice(version=row["version"], ended_s=row["ended_s"])
        self._notices[row["endpoint"]] = notice
        if notice.ended_s is not None:
            self._ended.append((notice.ended_s, row["endpoint"]))

    def _put(self, endpoint: str, notice: Notice) -> None:
        if self._notices.get(endpoint) == notice:
            return
        self._notices[endpoint] = notice
        row = {"endpoint": endpoint, "version": notice.version, "ended_s": notice.ended_s}
        self._gathering.put(tables.notices, row)
