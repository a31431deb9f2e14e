"""What is seen of the cells while the campaign runs: whether they are full as long as someone waits.

A cell and class is *contended* while a device waits for a slot of it. Contended, none of its slots is to be
free: that is what makes admission work-conserving. Looked at many times, each look standing for the time
since the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headgate.fleet.runner import CellClass
from headgate.upgrade.admission import Occupancy


@dataclass(slots=True)
class Contention:
    """Sums over all cells and classes. Times are simulated."""

    contended_s: float = 0.0
    """For how long someone waited."""
    idle_s: float = 0.0
    """For how long of it a slot was free."""
    slots_s: float = 0.0
    """How much time of slots there was while someone waited."""
    used_s: float = 0.0
    """How much of it devices were upgrading by their own account, from the URI taken to the end told."""
    looked_s: float | None = None

    def look(self, now: float, occupancy: Iterable[Occupancy], upgrading: Mapping[CellClass, int]) -> None:
        """Take in how it stands."""
        passed_s = 0.0 if self.looked_s is None else now - self.looked_s
        self.looked_s = now
        for each in occupancy:
            if each.waiting:
                using = upgrading.get((each.cell.cell_id, each.radio_class.value), 0)
                self.contended_s += passed_s
                self.idle_s += passed_s if each.held < each.limit else 0.0
                self.slots_s += passed_s * each.limit
                self.used_s += passed_s * min(using, each.limit)

    @property
    def idle_share(self) -> float:
        """The share of the contended time in which a slot was free: 0 where admission is work-conserving."""
        return self.idle_s / self.contended_s if self.contended_s else 0.0

    @property
    def used_share(self) -> float:
        """The share of the contended slots' time in which devices used them."""
        return self.used_s / self.slots_s if self.slots_s else 1.0
