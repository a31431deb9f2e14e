"""What the tables of negotiations are made of: a row for each state, an entry in it for each event.

A row says everything about its state, and nothing here does anything: `negotiation.py` drives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, NamedTuple, TypeAlias

from headgate.upgrade.events import DeadlinePassed, Effect, Event
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.task import Mark, State, Task, Timers


class Move(NamedTuple):
    """What a decision comes to: the state to enter (None: stay), fields to change, effects before its own."""

    state: State | None
    changes: Mapping[str, Any]
    effects: tuple[Effect, ...]


Decide: TypeAlias = Callable[[Task, Any, float], Move]


def go(state: State, *effects: Effect, **changes: Any) -> Move:
    """Enter a state."""
    return Move(state, changes, effects)


def stay(*effects: Effect, **changes: Any) -> Move:
    """Remain, knowing or asking something more."""
    return Move(None, changes, effects)


def fail(failure: Failure, detail: Detail, **changes: Any) -> Move:
    """End the task."""
    return Move(State.FAILED, {"failure": failure, "detail": detail, **changes}, ())


NOTHING = stay()


class Ignored(Enum):
    """The entry for an event that changes nothing in a state."""

    IGNORED = "ignored"


IGNORED = Ignored.IGNORED


@dataclass(frozen=True, slots=True)
class Failed:
    """The event ends the task with this failure; the detail is what the event tells."""

    failure: Failure


class Choice:
    """The task decides where the event leads: into one of `leads`, asking at most for `effects`."""

    __slots__ = ("decide", "effects", "leads", "stays")

    def __init__(
        self,
        decide: Decide,
        leads: tuple[State | Failure, ...],
        effects: tuple[type[Effect], ...] = (),
        *,
        stays: bool = False,
    ) -> None:
        self.decide = decide
        self.leads = leads
        self.effects = effects
        self.stays = stays


def choice(
    *leads: State | Failure, effects: tuple[type[Effect], ...] = (), stays: bool = False
) -> Callable[[Decide], Choice]:
    """Makes an entry of the function below it, and says where it may lead."""
    return lambda decide: Choice(decide, leads, effects, stays=stays)


Way: TypeAlias = State | Failed | Choice


class Since(StrEnum):
    """From when a deadline counts."""

    ENTERED = "entered"
    STAGE = "stage"
    """The first state of the stage was entered."""
    WAITING = "waiting"
    """A slot was first waited for."""
    UPDATE = "update"
    """T_update ends, or now where that is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """How long a state may last, and where it leads when that time has passed."""

    timer: str
    """A field of Timers."""
    passed: Way
    since: Since = Since.ENTERED
    share: float = 1.0
    """Of the timer."""
    instead: str | None = None
    """A field of Timers that replaces all of this where it is set, counting from entering."""

    def ends_s(self, timers: Timers, *, now: float, stage_s: float, waiting_s: float) -> float:
        """When this passes for a task that enters the state now."""
        if self.instead is not None:
            instead_s: float | None = getattr(timers, self.instead)
            if instead_s is not None:
                return now + instead_s
        duration_s: float = getattr(timers, self.timer) * self.share
        if self.since is Since.ENTERED:
            return now + duration_s
        if self.since is Since.STAGE:
            return stage_s + duration_s
        if self.since is Since.WAITING:
            return waiting_s + duration_s
        return max(now, stage_s + timers.update_s) + duration_s


class Stage(StrEnum):
    """States with a timer in common; `Task.stage_s` is when the stage was entered."""

    RADIO = "radio"
    OBSERVE = "observe"
    URI = "uri"
    DOWNLOAD = "download"
    EXECUTE = "execute"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entering:
    """Effects of entering a state that depend on the task: some of `effects`, in their order."""

    decide: Callable[[Task], tuple[Effect, ...]]
    effects: tuple[type[Effect], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Everything about one state."""

    step: int
    """The published step number, for the event log."""
    waits: str
    """What is waited for; completes "waiting for"."""
    at: str = ""
    """The resource or message that is asked, for failure details."""
    enter: tuple[Effect, ...] | Entering = ()
    resume: tuple[Effect, ...] | None = None
    """What is asked for after a restart; None: the same as on entering."""
    deadline: Deadline | None = None
    stage: Stage | None = None
    marks: frozenset[Mark] = frozenset()
    """Set on entering."""
    resets: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the task that begin anew on entering."""
    on: Mapping[type[Event], Way] = field(default_factory=dict)
    ignored: frozenset[type[Event]] = frozenset()

    def asks(self, task: Task) -> tuple[Effect, ...]:
        """The effects of entering."""
        return self.enter.decide(task) if isinstance(self.enter, Entering) else self.enter

    def asking(self) -> tuple[type[Effect], ...]:
        """Their types, at most."""
        return self.enter.effects if isinstance(self.enter, Entering) else tuple(map(type, self.enter))

    def ways(self) -> Iterator[tuple[type[Event], Way]]:
        """Where events lead, the passing of the deadline among them."""
        yield from self.on.items()
        if self.deadline is not None:
            yield DeadlinePassed, self.deadline.passed
