"""Campaigns: the list, and the page of one with all that can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.advice import ADVICE
from headgate.upgrade.campaign import Counts, counts_of
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import HOLDING, State
from headgate.web.campaigning import campaign
from headgate.web.console.acts import Act, Done, Write
from headgate.web.console.editing import CampaignEditing
from headgate.web.console.pages import Context, Question, View, with_query
from headgate.web.office import Office
from headgate.web.routes.campaigns import CampaignRoutes
from headgate.web.routes.operations import CampaignOperations, PauseWanted, RetryWanted
from headgate.web.routes.tasks import TaskQuery, TaskRoutes
from headgate.web.staging import StageStatus

PAGE = 25
TASKS_PAGE = 50
ONE = "/campaigns/{campaign_id}"


def counters_of(database: Database, campaign_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """The counters of some campaigns. Blocking."""
    counters = tables.counters
    found: dict[str, dict[str, int]] = {id: {} for id in campaign_ids}
    with database.reading() as reader:
        for row in reader.execute(select(counters).where(counters.c.campaign_id.in_(campaign_ids))):
            found[row.campaign_id][row.name] = row.value
    return found


async def summaries(office: Office, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Campaigns of these rows, with how far they are."""
    reader = office.reader
    counters = await reader.call(counters_of, reader.database, [row["id"] for row in rows])
    return [{**campaign(row), **progress(counts_of(counters[row["id"]]))} for row in rows]


def progress(counts: Counts) -> dict[str, Any]:
    """The devices of a campaign, by how far they are. A failed attempt that has a later one is none."""
    states = counts.states
    good = states.get(State.SUCCESS, 0) + states.get(State.DONE_SAME, 0)
    failed = states.get(State.FAILED, 0) - counts.retried
    cancelled = states.get(State.CANCELLED, 0)
    holding = sum(states.get(state, 0) for state in HOLDING)
    idle = states.get(State.CREATED, 0)
    return {
        "devices": counts.devices,
        "succeeded": good,
        "failed": failed,
        "cancelled": cancelled,
        "holding": holding,
        "idle": idle,
        "waiting": counts.devices - good - failed - cancelled - holding - idle,
        "failures": {failure.value: count for failure, count in counts.failures.items()},
    }


def stage_progress(stage: StageStatus) -> dict[str, Any]:
    """The devices of a stage, by how far they are."""
    return {
        "number": stage.number,
        "state": stage.state.value,
        "devices": stage.devices,
        "succeeded": stage.succeeded,
        "failed": stage.failed,
        "cancelled": stage.ended - stage.succeeded - stage.failed,
        "holding": stage.begun - stage.ended,
        "waiting": 0,
        "idle": stage.devices - stage.begun,
        "gate": stage.gate,
    }


class CampaignPages:
    """The list, and one."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._campaigns = CampaignRoutes(office)
        self._operations = CampaignOperations(office, self._campaigns)
        self._editing = CampaignEditing(office, self._operations)
        self._tasks = TaskRoutes(office)

    def views(self) -> list[View]:
        """The pages."""
        return [
            View(path="/campaigns", template="campaigns.html", context=self._list, live=True),
            View(path=ONE, template="campaign.html", context=self._show, live=True),
            *self._editing.views(),
        ]

    def acts(self) -> list[Act]:
        """What can be done."""
        return [
            Act(path=f"{ONE}/pause", call=self._pause, back=page_of),
            Act(path=f"{ONE}/resume", call=self._resume, back=page_of),
            Act(path=f"{ONE}/confirm", call=self._confirm, back=page_of),
            Act(path=f"{ONE}/retry", call=self._retry, back=page_of),
            Act(path=f"{ONE}/stop", call=self._stop, back=page_of),
            Act(path=f"{ONE}/tasks/{{task_id}}/cancel", call=self._cancel, back=list_of),
            *self._editing.acts(),
        ]

    async def _list(self, question: Question) -> Context:
        page = await self._campaigns.list_campaigns(after=question.said("after"), limit=PAGE)
        reader = self._office.reader
        counters = await reader.call(counters_of, reader.database, [each.id for each in page.items])
        items = [{**each.model_dump(), **progress(counts_of(counters[each.id]))} for each in page.items]
        return {"campaigns": items, "next": page.next}

    async def _show(self, question: Question) -> Context:
        campaign_id = question.params["campaign_id"]
        status = await self._campaigns.show_campaign(campaign_id)
        wanted = TaskQuery.model_validate(
            {
                "campaign": campaign_id,
                "state": question.said("state"),
                "failure": question.said("failure"),
                "after": question.said("after"),
                "limit": TASKS_PAGE,
            }
        )
        tasks = await self._tasks.list_tasks(wanted)
        counts = Counts(states=status.states, failures=status.failures, retried=status.retried)
        return {
            "campaign": status,
            "progress": progress(counts),
            "stages": [stage_progress(stage) for stage in status.stages],
            "states": [(state.value, status.states[state]) for state in State if state in status.states],
            "failures": [
                (failure, count, ADVICE[failure])
                for failure, count in sorted(status.failures.items(), key=lambda each: (-each[1], each[0]))
            ],
            "tasks": tasks,
            "filter": wanted,
            "all_states": list(State),
            "all_failures": list(Failure),
            "now": self._office.desk.now(),
        }

    async def _pause(self, write: Write) -> Done:
        wanted = PauseWanted(reason=write.form.one("reason"))
        await self._operations.pause_campaign(id_of(write), write.question.token, wanted)
        return Done(to=page_of(write.question), said="The campaign is paused: who holds a slot goes on.")

    async def _resume(self, write: Write) -> Done:
        await self._operations.resume_campaign(id_of(write), write.question.token)
        return Done(to=page_of(write.question), said="The campaign goes on.")

    async def _confirm(self, write: Write) -> Done:
        await self._operations.confirm_campaign(id_of(write), write.question.token)
        return Done(to=page_of(write.question), said="Confirmed: the next stage begins.")

    async def _retry(self, write: Write) -> Done:
        causes = write.form.get("failure", [])
        wanted = RetryWanted.model_validate({"failures": causes} if causes else {"all": True})
        answer = await self._operations.retry_campaign(id_of(write), wanted, write.question.token)
        devices = "1 device is" if answer.retried == 1 else f"{answer.retried:,} devices are"
        return Done(to=page_of(write.question), said=f"{devices} tried again.")

    async def _stop(self, write: Write) -> Done:
        await self._operations.stop_campaign(id_of(write), write.question.token)
        return Done(
            to=page_of(write.question), said="The campaign is stopped, and what was left of it cancelled."
        )

    async def _cancel(self, write: Write) -> Done:
        task = await self._tasks.cancel_task(write.question.params["task_id"], write.question.token)
        return Done(to=list_of(write.question), said=f"Task {task.id} is cancelled.")


def id_of(write: Write) -> str:
    """The campaign that is meant."""
    return write.question.params["campaign_id"]


def page_of(question: Question) -> str:
    """The page of the campaign."""
    return f"/campaigns/{question.params['campaign_id']}"


def list_of(question: Question) -> str:
    """The same, with the tasks that were listed there."""
    return with_query(page_of(question), question.query)
