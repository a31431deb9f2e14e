"""The counters of campaigns and their stages, kept in the turn that changes what they count."""

from __future__ import annotations

from headgate.upgrade.askers import Active, Running
from headgate.upgrade.campaign import RETRIED
from headgate.upgrade.stages import BEGUN, ENDED, ERRORS, EXECUTED, FAILED, SUCCEEDED, stage_counter
from headgate.upgrade.task import State
from headgate.upgrade.turns import Gathering


class Tally:
    """All counters: what memory says is what the store will say once the turn is committed."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering

    def add(self, running: Running, name: str, delta: int) -> None:
        """Add to a counter of a campaign."""
        running.counters[name] = running.counters.get(name, 0) + delta
        self._gathering.add((running.campaign.id, name), delta)

    def begun(self, active: Active) -> None:
        """An attempt has begun, or ended without: the first of its device counts for its stage."""
        if active.attempt == 1:
            self.add(active.running, stage_counter(active.stage, BEGUN), 1)

    def ended(self, active: Active) -> None:
        """An attempt is over. Who was cancelled neither succeeded nor failed."""
        failed = active.task.state is State.FAILED
        counted = [ENDED]
        if active.task.state is not State.CANCELLED:
            counted += [FAILED if failed else SUCCEEDED, EXECUTED]
        if failed:
            counted.append(ERRORS)
        for what in counted:
            self.add(active.running, stage_counter(active.stage, what), 1)

    def again(self, running: Running, number: int) -> None:
        """A device of that stage whose last attempt failed is under way again."""
        self.add(running, RETRIED, 1)
        for what in (ENDED, FAILED):
            self.add(running, stage_counter(number, what), -1)

    def anew(self, running: Running, number: int) -> None:
        """Forget what a stage has executed, and the errors among it."""
        for what in (EXECUTED, ERRORS):
            name = stage_counter(number, what)
            self.add(running, name, -running.counters.get(name, 0))
