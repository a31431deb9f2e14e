"""What web hooks are to be told: rows of the outbox, in the very turn that stores what they tell.

    outcomes and news of a turn --gather--> a row for each hook that wants it, in the turn's batch
    delivered, failed, died, revived    what became of a row, in the turn that gathers then

Invariants
 1. A row of the outbox is committed with what it tells, or neither is.
 2. An event's id and body are made once and stored: every attempt, before and after a restart, has the same.
 3. A hook has at most `outbox_max` rows, dead ones among them. What finds no room is not stored: the hook is
    marked `overflowed_s`, `lost` counts it in the same turn, and the event log has a line.
 4. `pending` and `dead` are what counting the rows would give, turns that are not committed yet included.

Without a hook nothing of this costs anything.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade.campaign import counts_of
from headgate.upgrade.turns import Gathering, News, Outcome, Turn

OUTBOX_MAX = 100_000
ROOM_SHARE = (
    0.9  # of it: a full outbox has room again below this, or each event would be the end and a beginning
)
EVENT_ID_BYTES = 16
PENDING, DEAD = "pending", "dead"
COUNTED = ("made", "delivered", "failed", "dead", "lost")


class Announced(StrEnum):
    """What a hook may want to be told."""

    TASK_ENDED = "task.ended"
    """With its state, and where it failed with the published text and what the device said."""
    CAMPAIGN_CREATED = "campaign.created"
    CAMPAIGN_SCHEDULED = "campaign.scheduled"
    CAMPAIGN_WAITING = "campaign.waiting"
    """To be confirmed."""
    CAMPAIGN_RUNNING = "campaign.running"
    CAMPAIGN_PAUSED = "campaign.paused"
    CAMPAIGN_RESUMED = "campaign.resumed"
    CAMPAIGN_STOPPED = "campaign.stopped"
    CAMPAIGN_ENDED = "campaign.ended"
    """No task of it is under way, and none will be."""
    STAGE_PASSED = "stage.passed"
    """Of a campaign: its gate lets the next stage begin."""
    STAGE_HELD = "stage.held"
    """Its gate does not, or too many attempts have failed: the campaign is paused too."""


ANNOUNCED: Mapping[str, Announced] = {each.value: each for each in Announced}


@dataclass(slots=True, kw_only=True, eq=False)
class Hook:
    """Someone who is to be told, and how many rows of the outbox are his."""

    id: str
    url: str
    events: frozenset[Announced]
    secret: str
    created_s: float
    pending: int = 0
    dead: int = 0
    lost: int = 0
    """Events that found no room."""
    overflowed_s: float | None = None
    """Since when they find none."""


def hook_row(hook: Hook) -> dict[str, Any]:
    """All columns of a hook."""
    return {
        "id": hook.id,
        "url": hook.url,
        "events": json.dumps(sorted(each.value for each in hook.events)),
        "secret": hook.secret,
        "created_s": hook.created_s,
        "lost": hook.lost,
        "overflowed_s": hook.overflowed_s,
    }


def hook_of(row: Mapping[str, Any]) -> Hook:
    """The hook of a row. Events of which we do not know are none that could happen."""
    known = ANNOUNCED
    return Hook(
        id=row["id"],
        url=row["url"],
        events=frozenset(known[name] for name in json.loads(row["events"]) if name in known),
        secret=row["secret"],
        created_s=row["created_s"],
        lost=row["lost"],
        overflowed_s=row["overflowed_s"],
    )


class Announcements:
    """All hooks, and what they are to be told."""

    def __init__(
        self,
        gathering: Gathering,
        *,
        outbox_max: int = OUTBOX_MAX,
        new_id: Callable[[], str] = lambda: secrets.token_hex(EVENT_ID_BYTES),
    ) -> None:
        """`new_id` makes the ids of events: no two are ever the same."""
        self.hooks: dict[str, Hook] = {}
        """By id."""
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        """Rows made, delivered and given up, attempts that failed, and events that found no room."""
        self._gathering = gathering
        self._max = outbox_max
        self._new_id = new_id
        self._number = 0

    def restore(self, database: Database) -> None:
        """The hooks of the store, and how many rows each has."""
        outbox = tables.outbox
        counted = select(outbox.c.hook_id, outbox.c.state, func.count(), func.max(outbox.c.number)).group_by(
            outbox.c.hook_id, outbox.c.state
        )
        with database.reading() as reader:
            for row in reader.execute(select(tables.hooks)).mappings():
                self.hooks[row["id"]] = hook_of(dict(row))
            for hook_id, state, count, number in reader.execute(counted):
                self._number = max(self._number, number)
                hook = self.hooks.get(hook_id)
                if hook is None:
                    continue  # it was removed, and its rows are about to be
                if state == DEAD:
                    hook.dead = count
                else:
                    hook.pending = count

    # -- hooks --

    def add(self, hook: Hook) -> None:
        """Tell it what happens from now on. Its row is stored already."""
        self.hooks[hook.id] = hook

    def remove(self, hook_id: str) -> None:
        """Tell it nothing any more; its row goes with the turn that gathers."""
        del self.hooks[hook_id]
        self._gathering.delete(tables.hooks, (hook_id,))

    # -- what they are told --

    def gather(self, turn: Turn) -> None:
        """Put what the turn has to tell into the turn."""
        if not self.hooks or not (turn.outcomes or turn.news):
            return
        for outcome in turn.outcomes:
            self._tell(
                Announced.TASK_ENDED, outcome.at_s, outcome.endpoint, outcome.campaign_id, of_task(outcome)
            )
        for news in turn.news:
            event = ANNOUNCED.get(news.what)
            if event is not None:
                self._tell(event, news.at_s, "", news.campaign_id, of_campaign(news))

    def _tell(
        self, event: Announced, at_s: float, endpoint: str, campaign_id: str, said: Mapping[str, Any]
    ) -> None:
        wanting = [hook for hook in self.hooks.values() if event in hook.events]
        if not wanting:
            return
        self._number += 1
        event_id = self._new_id()
        body = json.dumps({"id": event_id, "event": event.value, "at_s": at_s, **said})
        for hook in wanting:
            if hook.pending + hook.dead >= self._max:
                self._lose(hook, at_s)
                continue
            hook.pending += 1
            self.counts["made"] += 1
            self._gathering.put(
                tables.outbox,
                {
                    "hook_id": hook.id,
                    "number": self._number,
                    "event_id": event_id,
                    "event": event.value,
                    "endpoint": endpoint,
                    "campaign_id": campaign_id,
                    "body": body,
                    "at_s": at_s,
                    "since_s": at_s,
                    "state": PENDING,
                    "attempts": 0,
                    "error": None,
                },
            )

    def _lose(self, hook: Hook, at_s: float) -> None:
        hook.lost += 1
        self.counts["lost"] += 1
        if hook.overflowed_s is None:
            hook.overflowed_s = at_s
            self._gathering.log(at_s, "hook overflows", f"{hook.id}: {self._max} events wait for {hook.url}")
        self._put_room(hook)

    def _put_room(self, hook: Hook) -> None:
        row = {"id": hook.id, "lost": hook.lost, "overflowed_s": hook.overflowed_s}
        self._gathering.change(tables.hooks, row)

    # -- what became of it --

    def delivered(self, hook: Hook, number: int, now: float) -> None:
        """The hook has it: its row goes."""
        hook.pending -= 1
        self.counts["delivered"] += 1
        self._gathering.delete(tables.outbox, (hook.id, number))
        self._room(hook, now)

    def failed(self, hook: Hook, number: int, *, attempts: int, error: str, dead: bool) -> None:
        """An attempt failed; `dead`: it was the last one."""
        self.counts["failed"] += 1
        row = {"hook_id": hook.id, "number": number, "attempts": attempts, "error": error}
        if dead:
            hook.pending -= 1
            hook.dead += 1
            self.counts["dead"] += 1
            row["state"] = DEAD
        self._gathering.change(tables.outbox, row)

    def revived(self, hook: Hook, numbers: Iterable[int], now: float) -> None:
        """Dead rows are to be delivered after all."""
        for number in numbers:
            hook.dead -= 1
            hook.pending += 1
            row = {"hook_id": hook.id, "number": number, "state": PENDING, "attempts": 0, "since_s": now}
            self._gathering.change(tables.outbox, row)

    def forgotten(self, hook: Hook, numbers: Iterable[int], now: float) -> None:
        """Dead rows that are kept no longer."""
        for number in numbers:
            hook.dead -= 1
            self._gathering.delete(tables.outbox, (hook.id, number))
        self._room(hook, now)

    def _room(self, hook: Hook, now: float) -> None:
        if hook.overflowed_s is not None and hook.pending + hook.dead < ROOM_SHARE * self._max:
            hook.overflowed_s = None
            self._gathering.log(now, "hook has room again", f"{hook.id}: {hook.lost} events were lost in all")
            self._put_room(hook)


def drop_rows(batch: Batch, rows: Iterable[Mapping[str, Any]]) -> None:
    """Delete these rows of the outbox."""
    for row in rows:
        batch.delete(tables.outbox, (row["hook_id"], row["number"]))


# -- bodies --


def of_task(outcome: Outcome) -> dict[str, Any]:
    """How a task ended."""
    detail = outcome.detail
    return {
        "campaign": outcome.campaign_id,
        "task": outcome.task_id,
        "endpoint": outcome.endpoint,
        "attempt": outcome.attempt,
        "state": outcome.state.value,
        "failure": None if outcome.failure is None else outcome.failure.value,
        "detail_at": None if detail is None else detail.at,
        "detail_code": None if detail is None else detail.code,
        "detail_note": None if detail is None else detail.note,
        "version": outcome.version,
    }


def of_campaign(news: News) -> dict[str, Any]:
    """What became of a campaign, and how its tasks stand."""
    counts = counts_of(news.counters)
    return {
        "campaign": news.campaign_id,
        "name": news.name,
        "detail": news.detail,
        "stage": news.stage,
        "states": {state.value: count for state, count in counts.states.items()},
        "failures": {failure.value: count for failure, count in counts.failures.items()},
        "retried": counts.retried,
    }
