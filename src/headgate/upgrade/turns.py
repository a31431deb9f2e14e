"""What gathers between two commits: rows, what is owed to devices, and what to do once it is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from headgate.lwm2m.happenings import Happening
from headgate.store import tables
from headgate.store.batch import Batch, Key
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.task import State

DETAIL_MAX = 240  # characters of a detail in the event log

Act = Callable[[float], object]
"""Something to do after the commit, at `now`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a task ended."""

    task_id: str
    campaign_id: str
    endpoint: str
    attempt: int
    state: State
    failure: Failure | None
    detail: Detail | None
    version: str | None
    """Before the upgrade."""
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What became of a campaign."""

    what: str
    """As `Announced` names it; or something that no hook is told."""
    campaign_id: str
    name: str
    detail: str
    stage: int | None = None
    """The number of the stage that is meant, from 1; None where it is the campaign."""
    counters: Mapping[str, int]
    """As they were then."""
    at_s: float


@dataclass(slots=True, kw_only=True)
class Turn:
    """Everything since the turn before: to be committed together, and then acted on."""

    batch: Batch = field(default_factory=Batch)
    confirmed: list[Happening] = field(default_factory=list)
    """Their senders are answered after the commit."""
    acts: list[Act] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    changes: int = 0
    """How much was written and is to be done; rows written twice count twice."""


class Gathering:
    """The turn that gathers now."""

    __slots__ = ("turn",)

    def __init__(self) -> None:
        self.turn = Turn()

    def take(self) -> Turn | None:
        """The turn so far, and a new one begins; None where nothing has gathered."""
        turn = self.turn
        if not turn.changes:
            return None
        self.turn = Turn()
        return turn

    def put(self, table: Table, row: dict[str, Any]) -> None:
        """A whole row."""
        self.turn.changes += 1
        self.turn.batch.put(table, row)

    def change(self, table: Table, row: dict[str, Any]) -> None:
        """Some columns of a row."""
        self.turn.changes += 1
        self.turn.batch.change(table, row)

    def delete(self, table: Table, key: Key) -> None:
        """A row goes."""
        self.turn.changes += 1
        self.turn.batch.delete(table, key)

    def add(self, key: tuple[str, str], delta: int) -> None:
        """A counter."""
        self.turn.changes += 1
        self.turn.batch.add(key, delta)

    def act(self, act: Act) -> None:
        """Something to do after the commit."""
        self.turn.changes += 1
        self.turn.acts.append(act)

    def log(
        self,
        at_s: float,
        what: str,
        detail: str = "",
        *,
        endpoint: str = "",
        task_id: str | None = None,
        campaign_id: str | None = None,
        step: int | None = None,
    ) -> None:
        """One line of the event log. An endpoint is empty where a campaign as a whole is meant."""
        row: dict[str, Any] = {
            "at_s": at_s,
            "endpoint": endpoint,
            "task_id": task_id,
            "campaign_id": campaign_id,
            "step": step,
            "what": what,
            "detail": detail if len(detail) <= DETAIL_MAX else detail[: DETAIL_MAX - 1] + "…",
        }
        self.turn.changes += 1
        self.turn.batch.append(tables.events, row)
