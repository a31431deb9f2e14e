"""What a device remembers of its server, for whoever checks the server from outside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Interval(NamedTuple):
    """One upgrade, from the URI taken to the end told."""

    began_s: float
    ended_s: float
    radio_class: str


@dataclass(slots=True)
class Outcome:
    """One device's log. It outlives reboots and power cuts."""

    registrations: int = 0
    """Registers that were answered 2.01."""
    updates: int = 0
    deregistrations: int = 0
    power_cuts: int = 0
    reboots: int = 0
    """Reboots that an update or an Execute of 3/0/4 was the reason for."""

    requests: int = 0
    """Requests of the server, copies not counted."""
    uris: list[str] = field(default_factory=list)
    """What was written to 5/0/1 and taken, empty ones included."""
    executes: int = 0
    """Executes of 5/0/2, and 23 of PCP, copies not counted, whatever the answer."""
    executes_after_answer: int = 0
    """Of these, how many came for a package whose Execute had been answered by 2.04, or 00: it was lost."""
    executes_after_confirmed: int = 0
    """Of these, how many came though the server had acknowledged State 3 or taken the Register after it; or
    the answer to 23.

    Stays 0 with a server that stores first and then acts.
    """

    blocks_asked: int = 0
    """GETs for blocks, retransmissions not counted."""
    blocks: int = 0
    """Blocks taken."""
    segments: int = 0
    """Segments taken."""
    starts_at_zero: int = 0
    """Requests for block or segment 0 by its own choice: a new download, or a device that keeps no offset."""
    forced_restarts: int = 0
    """Restarts at block or segment 0 that the device did not choose: the package changed, or the server lost
    its place.
    """
    resumed_at: list[int] = field(default_factory=list)
    """Offsets in bytes at which downloads went on after an interruption."""
    digest: str = ""
    """SHA-256 of the package that was downloaded last, in hex."""
    result: int = 0
    """Update Result of the last download or update."""

    radio_class: str = ""
    """The class by what the server read last: the device's own, or U where it read the cell ID alone."""
    upgrading_since_s: float | None = None
    """When the URI was taken whose upgrade is not over yet."""
    upgrades: list[Interval] = field(default_factory=list)
    """The end is told by a result or new version read, the observation ended, the URI cleared."""

    def began(self, now: float) -> None:
        """A package URI was taken."""
        if self.upgrading_since_s is None:
            self.upgrading_since_s = now

    def ended(self, now: float) -> None:
        """The server was told, or told us, that this upgrade is over."""
        if self.upgrading_since_s is not None:
            self.upgrades.append(Interval(self.upgrading_since_s, now, self.radio_class))
            self.upgrading_since_s = None


def peak(intervals: Iterable[tuple[float, float]]) -> int:
    """How many intervals overlap at most; one that ends when another begins does not overlap it.

    >>> peak([(0, 2), (1, 3), (3, 4)])
    2
    """
    steps = sorted(step for begin, end in intervals for step in ((begin, 1), (end, -1)))
    most = count = 0
    for _, step in steps:
        count += step
        most = max(most, count)
    return most
