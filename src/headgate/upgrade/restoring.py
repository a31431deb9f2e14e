"""After a restart: what was committed is all there is. Everything that waits is asked for once more.

A command whose row stands was committed and may have left, or not. Most may simply be repeated. Where the
state's row says otherwise (`Row.resume`), what it says is asked instead: EXECUTE and the writing of the URI
ask for the device's State first, since the device may have been told already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.lwm2m.server import LwM2mServer

import json
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Table

from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade import TABLES, resume
from headgate.upgrade.askers import Active, Left, Pending, Retrial, Running
from headgate.upgrade.attempts import RETRY
from headgate.upgrade.campaign import campaign_of
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiator import Downloads
from headgate.upgrade.object5 import WithdrawDownload
from headgate.upgrade.object19 import EnsureSubscription, SubscribeData
from headgate.upgrade.orchestrator import Orchestrator
from headgate.upgrade.records import (
    REGISTRATION_COLUMNS,
    TASK_COLUMNS,
    Values,
    effect_of,
    registrations_of,
    tasks_of,
)
from headgate.upgrade.task import Mark
from headgate.wire.pcp import UPLINK
from headgate.wire.resources import Path


def restore(
    orchestrator: Orchestrator, database: Database, lwm2m: LwM2mServer, downloads: Downloads, now: float
) -> None:
    """Let the orchestrator and the LwM2M server go on from what the database holds. Called once, first."""
    lwm2m.restore(registrations_of(values_of(database, tables.devices, REGISTRATION_COLUMNS)), now)
    orchestrator.announcements.restore(database)
    restore_campaigns(orchestrator, database, now)
    created = restore_tasks(orchestrator, database)
    restore_notices(orchestrator, database)
    restore_effects(orchestrator, database)
    restore_observations(orchestrator, database, lwm2m, now)
    roster = orchestrator.roster
    for asker in list(roster.askers.values()):
        if isinstance(asker, Active):
            if Mark.GRANTED in asker.task.marks:
                orchestrator.negotiator.grant(asker, now)
            go_on(orchestrator, asker, now)
        else:
            if asker.pid is not None:
                downloads.grant(asker.endpoint, asker.pid)
            for pending in asker.pending.values():
                orchestrator.questions.send(asker, pending, now)
    for running in list(roster.running.values()):
        orchestrator.campaigns.restore(running, created.get(running.campaign.id, []), now)
    orchestrator.campaigns.settle(now)
    orchestrator.negotiator.admit(now)


def go_on(orchestrator: Orchestrator, active: Active, now: float) -> None:
    """Ask again what the task waits for, before what an earlier state of it has left.

    The device may never answer the latter: it must not stand before the others for a whole exchange again.
    """
    task, questions = active.task, orchestrator.questions
    row = TABLES[task.plan.kind].rows[task.state]
    own = row.asking()
    if not (own or row.resume or active.pending):
        return
    asked = resume(task)
    if EnsureSubscription in own:
        own = (*own, SubscribeData)  # what that comes to
    for pending in sorted(active.pending.values(), key=lambda each: type(each.effect) not in own):
        if type(pending.effect) not in own:
            pending.asked_in = None
        if row.resume is not None and type(pending.effect) in row.asking() and pending.effect not in asked:
            questions.drop(active, pending, now)
        else:
            questions.send(active, pending, now)
    for effect in asked:
        orchestrator.negotiator.begin(active, effect, now)


def values_of(database: Database, table: Table, columns: Sequence[str], **where: Any) -> Iterator[Values]:
    """These columns of all rows that have these values: of 100,000 rows no dict is made."""
    return chain.from_iterable(database.chunks(table, columns=columns, where=where))


def rows_of(database: Database, table: Table, **where: Any) -> Iterator[dict[str, Any]]:
    """All rows that have these values, by their columns."""
    names = table.columns.keys()
    for values in values_of(database, table, names, **where):
        yield dict(zip(names, values, strict=True))


def restore_campaigns(orchestrator: Orchestrator, database: Database, now: float) -> None:
    """Those that are not through, with their counters."""
    for row in rows_of(database, tables.campaigns, ended_s=None):
        campaign = campaign_of(row)
        running = Running(campaign, database.counters(campaign.id))
        running.may_begin = campaign.may_begin(now)
        orchestrator.roster.running[campaign.id] = running


def restore_tasks(orchestrator: Orchestrator, database: Database) -> dict[str, list[Active]]:
    """Active tasks, their deadlines and slots. Returns those that have not begun, by campaign."""
    roster = orchestrator.roster
    created: dict[str, list[Active]] = {}
    plans = {name: running.campaign.plan for name, running in roster.running.items()}
    rows = values_of(database, tables.tasks, TASK_COLUMNS, active=True)
    for task, campaign_id, attempt, created_s in tasks_of(rows, plans):
        active = Active(task, roster.running[campaign_id], attempt, created_s)
        roster.enter(active)
        if task.deadline_s is None:
            created.setdefault(campaign_id, []).append(active)
    actives = roster.active.values()
    dated = ((each, each.task.deadline_s) for each in actives)
    orchestrator.timers.set_all((each, due_s) for each, due_s in dated if due_s is not None)
    orchestrator.negotiator.places.restore(actives)
    return created


def restore_effects(orchestrator: Orchestrator, database: Database) -> None:
    """What was committed and not done: by its task, or by what an ended task has left."""
    roster, questions = orchestrator.roster, orchestrator.questions
    for row in rows_of(database, tables.effects):
        questions.known_id(row["id"])
        task_id = row["task_id"]
        if row["effect"] == RETRY:
            campaign_id, attempt, failure, notified = json.loads(row["arguments"])
            retrial = Retrial(
                row["id"], task_id, row["endpoint"], attempt, Failure(failure), notified=notified
            )
            retrial.due_s = row["due_s"]
            roster.running[campaign_id].retrials[task_id] = retrial
            continue
        asker = roster.askers.get(task_id)
        if asker is None:
            asker = Left(task_id, row["endpoint"])
            roster.keep(asker)
        if row["effect"] == WithdrawDownload.__name__:
            assert isinstance(asker, Left)
            asker.pid, asker.withdrawal_id = bytes.fromhex(row["arguments"]), row["id"]
            orchestrator.timers.set(asker, row["due_s"])
            continue
        effect = effect_of(row["effect"], row["arguments"])
        asker.pending[effect] = Pending(row["id"], effect, asker.state)
        if isinstance(asker, Left) and asker.withdrawal_id is None:
            orchestrator.timers.set(asker, row["asked_s"] + orchestrator.settings.keep_s)


def restore_notices(orchestrator: Orchestrator, database: Database) -> None:
    """What devices were told of, in the order in which their tasks ended."""
    for row in sorted(rows_of(database, tables.notices), key=lambda row: row["ended_s"] or 0.0):
        orchestrator.notices.restore(row)


def restore_observations(
    orchestrator: Orchestrator, database: Database, lwm2m: LwM2mServer, now: float
) -> None:
    """Tokens that devices may still use, the oldest first."""
    path_of = cache(Path.parse)  # of few that there are
    uplink = str(UPLINK)
    for row in sorted(rows_of(database, tables.observations), key=itemgetter("made_s")):
        if row["path"] == uplink:
            orchestrator.subscriptions.restore(row, now)
            continue
        asker = orchestrator.roster.askers.get(row["task_id"])
        if asker is None:
            orchestrator.gathering.delete(tables.observations, (row["token"],))
            continue
        asker.tokens.append(row["token"])
        lwm2m.remember(row["endpoint"], path_of(row["path"]), row["token"], now)
