"""What a process sets that is there for one server: how it looks for garbage, how its threads take turns.

Both hold for all of the process. `headgate serve` does it, and who embeds a server says so by `own_process`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from headgate.store import tables
from headgate.store.batch import Batch

SETTLED_TASKS = 1000  # so many new tasks are a millisecond of the garbage collector
SWITCH_S = (
    0.0005  # the loop waits so long for a thread that computes, where Python's own 5 ms are 1,000 blocks
)


@contextmanager
def uncollected() -> Iterator[None]:
    """Nobody looks for garbage meanwhile. What is restored is none, and looking through 100,000 tasks again
    and again costs more than a second of a start.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


class Settled:
    """What has come to stay is not looked through for garbage: a million tasks would block the loop for 3 s.

    Tasks are freed by their reference counts all the same; what is frozen with them and is part of a cycle is
    not, so the young garbage goes first. A task that has changed is another value: it counts as a new one.
    """

    def __init__(self) -> None:
        self._changed = 0

    def begin(self) -> None:
        """All was restored, or the API built: that stays."""
        gc.freeze()

    def stored(self, batch: Batch) -> None:
        """A turn was committed."""
        tasks = tables.tasks
        self._changed += len(batch.puts.get(tasks, ())) + len(batch.changes.get(tasks, ()))
        if self._changed >= SETTLED_TASKS:
            self._changed = 0
            gc.collect(1)
            gc.freeze()


@contextmanager
def in_short_turns() -> Iterator[None]:
    """Threads of Python take shorter turns meanwhile: the loop need not wait for a writer of rows.

    Measured with a writer busy all the time, this costs the process less than one part in a hundred.
    """
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(min(before_s, SWITCH_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)
