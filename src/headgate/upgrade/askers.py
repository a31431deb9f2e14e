"""Whose commands are under way: active tasks, and ended ones that have something left to undo. In memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from headgate.engine.timers import NEVER, Timed
from headgate.lwm2m.commands import Command
from headgate.lwm2m.happenings import Answered, Observed
from headgate.upgrade.campaign import Campaign, Counts, counts_of
from headgate.upgrade.events import Effect
from headgate.upgrade.failure import Failure
from headgate.upgrade.line import Key
from headgate.upgrade.radio import Measurement
from headgate.upgrade.task import Plan, State, Task
from headgate.wire.resources import Path


class Pending:
    """An effect that is committed, or about to be, and not done: a row of `effects`, but for ANSWERS."""

    __slots__ = ("answers", "asked_in", "commands", "drawn", "effect", "id")

    def __init__(self, id: int, effect: Effect, asked_in: State | None) -> None:
        self.id = id
        """Of its row, 0 where it has none."""
        self.effect = effect
        self.asked_in = asked_in
        """The state that asked; None after the end."""
        self.commands: tuple[Command, ...] = ()
        """What the device was asked; nothing before the commit."""
        self.answers: dict[Path, Answered | Observed] = {}
        self.drawn: bytes | None = None
        """The token of an Observe, stored before that leaves: a restart knows it, and uses it again."""


class Asker(Timed):
    """Who asks a device: equal effects are one."""

    __slots__ = ("endpoint", "pending", "task_id", "tokens")

    def __init__(self, task_id: str, endpoint: str) -> None:
        super().__init__()
        self.task_id = task_id
        self.endpoint = endpoint
        self.pending: dict[Effect, Pending] = {}
        self.tokens: list[bytes] = []
        """Of its observations, the newest last; all stay known until it has ended them."""

    @property
    def state(self) -> State | None:
        """Of its task, None after the end."""
        return None

    @property
    def plan(self) -> Plan | None:
        """Of its task, None after the end."""
        return None

    @property
    def radio(self) -> Measurement | None:
        """What is known of the device's radio."""
        return None


class Active(Asker):
    """A task that is not over; due at its deadline."""

    __slots__ = ("attempt", "created_s", "running", "stage", "task")

    def __init__(self, task: Task, running: Running, attempt: int, created_s: float) -> None:
        super().__init__(task.id, task.endpoint)
        self.task = task
        self.running = running
        self.attempt = attempt
        self.created_s = created_s
        self.stage = running.campaign.stage_of(task.id)
        """The number of its stage."""

    @property
    def state(self) -> State | None:
        return self.task.state

    @property
    def plan(self) -> Plan | None:
        return self.task.plan

    @property
    def radio(self) -> Measurement | None:
        return self.task.radio


class Left(Asker):
    """What an ended task leaves to be undone; due when the package is not served any longer.

    Commands that have found no device until then are given up.
    """

    __slots__ = ("pid", "withdrawal_id")

    def __init__(self, task_id: str, endpoint: str) -> None:
        super().__init__(task_id, endpoint)
        self.pid: bytes | None = None
        """Of a package that is still served to the device."""
        self.withdrawal_id: int | None = None
        """Of the effect that ends it."""

    @property
    def empty(self) -> bool:
        """Whether nothing is left any more."""
        return not self.pending and not self.tokens and self.withdrawal_id is None


class Retrial:
    """A failed task that deserves another attempt: a row of `effects` until that is made."""

    __slots__ = ("attempt", "due_s", "endpoint", "failure", "id", "notified", "task_id")

    def __init__(
        self, id: int, task_id: str, endpoint: str, attempt: int, failure: Failure, *, notified: bool
    ) -> None:
        self.id = id
        self.task_id = task_id
        self.endpoint = endpoint
        self.attempt = attempt
        """The one that failed."""
        self.failure = failure
        self.notified = notified
        """Whether the device was told of the version by PCP message 20."""
        self.due_s: float | None = None
        """None until the batch is through."""


class Running(Timed):
    """A campaign that is not through; due at its start, at the edges of its windows, and for retries."""

    __slots__ = (
        "beginning",
        "busy",
        "campaign",
        "counters",
        "lined",
        "may_begin",
        "open_tasks",
        "retrial_s",
        "retrials",
        "waiting",
        "withheld",
    )

    def __init__(self, campaign: Campaign, counters: dict[str, int] | None = None) -> None:
        super().__init__()
        self.campaign = campaign
        self.counters: dict[str, int] = counters or {}
        self.open_tasks = [0] * (len(campaign.stages) + 1)
        """Tasks that are not over, by the number of their stage."""
        self.waiting: list[deque[Active]] = [deque() for _ in self.open_tasks]
        """Those that have not begun, by the number of their stage; some of them may be over."""
        self.may_begin = False
        """Whether its tasks may begin, and take slots: as `Campaign.may_begin` says."""
        self.lined: dict[str, Active] = {}
        """Those that stand in line for a slot, by id."""
        self.withheld: list[Key] = []
        """A heap: those that wait for a slot and do not stand in line meanwhile; some may be over."""
        self.retrials: dict[str, Retrial] = {}
        """By the id of the failed task."""
        self.retrial_s = NEVER
        """When the first of them is due."""
        self.busy = 0
        """Pieces of work on it that are under way."""
        self.beginning = False
        """Whether tasks are being begun."""

    @property
    def counts(self) -> Counts:
        """How it stands."""
        return counts_of(self.counters)

    @property
    def unfinished(self) -> int:
        """Tasks of it that are not over."""
        return sum(self.open_tasks)

    @property
    def under_way(self) -> int:
        """Those of the stages that have begun."""
        return sum(self.open_tasks[: self.campaign.stage + 1])


class Roster:
    """Everybody that the orchestrator knows of, by what they are asked for."""

    def __init__(self) -> None:
        self.askers: dict[str, Active | Left] = {}
        """By task id."""
        self.active: dict[str, Active] = {}
        """By endpoint: at most one each."""
        self.left: dict[str, list[Left]] = {}
        """By endpoint."""
        self.running: dict[str, Running] = {}
        """By campaign id."""

    def enter(self, active: Active) -> None:
        """A task begins."""
        assert active.endpoint not in self.active
        self.active[active.endpoint] = self.askers[active.task_id] = active
        active.running.open_tasks[active.stage] += 1

    def leave(self, active: Active) -> None:
        """A task is over."""
        del self.active[active.endpoint], self.askers[active.task_id]
        active.running.open_tasks[active.stage] -= 1

    def keep(self, left: Left) -> None:
        """Something is left of a task."""
        self.askers[left.task_id] = left
        self.left.setdefault(left.endpoint, []).append(left)

    def drop(self, left: Left) -> None:
        """Nothing is left of it any more."""
        del self.askers[left.task_id]
        those = self.left[left.endpoint]
        those.remove(left)
        if not those:
            del self.left[left.endpoint]

    def tasks(self) -> Iterator[Active]:
        """All active tasks."""
        return iter(self.active.values())
