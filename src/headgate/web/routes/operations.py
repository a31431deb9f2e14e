"""What an operator does with a campaign that is there: edit, pause, resume, confirm, stop, retry."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Header
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from headgate.store import tables
from headgate.upgrade.campaign import Confirm, campaign_of
from headgate.upgrade.failure import Failure
from headgate.web.access import Scope
from headgate.web.campaigning import CampaignStatus, RetryRule, policy_of
from headgate.web.gate import Caller
from headgate.web.office import Office
from headgate.web.paging import Text
from headgate.web.problems import Problem, missing
from headgate.web.routes.campaigns import ETAG, ONE, CampaignRoutes
from headgate.web.staging import GateSaid, Wanted, When, WindowsSaid, Zone, windows_of, windows_said
from headgate.web.table import Route

TASKS_MAX = 100_000
REVISION = re.compile(r'(?:W/)?"(\d{1,9})"')

IfMatch = Annotated[
    str | None, Header(max_length=255, description="The ETag of the campaign that is changed, or `*`.")
]


class PauseWanted(Wanted):
    """Why a campaign is paused."""

    reason: Text = ""


class RetryWanted(Wanted):
    """Failed devices that are tried again, said in one of these ways."""

    tasks: Annotated[list[Text], Field(min_length=1, max_length=TASKS_MAX)] | None = Field(
        None, description="Of these tasks, where they are last attempts that failed."
    )
    failures: Annotated[list[Failure], Field(min_length=1, max_length=len(Failure))] | None = Field(
        None, description="Whose last attempt failed by one of these causes."
    )
    all: bool = Field(False, description="Whose last attempt failed.")

    @model_validator(mode="after")
    def one_way(self) -> RetryWanted:
        """Refuse none and several."""
        if sum((self.tasks is not None, self.failures is not None, self.all)) != 1:
            raise ValueError("one of tasks, failures and all says who is tried again")
        return self


class Retried(BaseModel):
    """How many devices are tried again."""

    retried: int


class CampaignEdit(Wanted):
    """What is changed of a campaign; what is left out stays."""

    name: Text = ""
    retry: list[RetryRule] = Field([], max_length=len(Failure), description="Of who fails from now on.")
    gate: GateSaid = Field(GateSaid(), description="Of stages without one of their own.")
    windows: WindowsSaid = Field([])
    timezone: Zone = "UTC"
    start_s: When | None = Field(None, description="While nothing has begun; null: at once.")
    confirm: Confirm = Confirm.NONE


class CampaignOperations:
    """The rows of what is done with campaigns."""

    def __init__(self, office: Office, campaigns: CampaignRoutes) -> None:
        self._office = office
        self._campaigns = campaigns

    def table(self) -> list[Route]:
        """What can be asked for."""
        done: dict[str, Any] = {
            "method": "POST",
            "scope": Scope.OPERATE,
            "answers": CampaignStatus,
            "problems": (404, 409, 507),
            "responses": ETAG,
        }
        return [
            Route(
                method="PATCH",
                path=ONE,
                call=self.edit_campaign,
                scope=Scope.OPERATE,
                answers=CampaignStatus,
                problems=(404, 409, 412, 428, 507),
                responses=ETAG,
            ),
            Route(path=f"{ONE}/pause", call=self.pause_campaign, **done),
            Route(path=f"{ONE}/resume", call=self.resume_campaign, **done),
            Route(path=f"{ONE}/confirm", call=self.confirm_campaign, **done),
            Route(path=f"{ONE}/stop", call=self.stop_campaign, **done),
            Route(
                method="POST",
                path=f"{ONE}/retry",
                call=self.retry_campaign,
                scope=Scope.OPERATE,
                answers=Retried,
                problems=(404, 409, 507),
            ),
        ]

    async def edit_campaign(
        self, campaign_id: Text, wanted: CampaignEdit, caller: Caller, if_match: IfMatch = None
    ) -> Response:
        """Change a campaign that is not through.

        Problem 412 where somebody else has changed it, paused it or gone on with it meanwhile. What a gate
        has paused stays paused when the gate is changed, until it is resumed. The start can be moved while
        nothing has begun.
        """
        if if_match is None:
            raise Problem(428, "If-Match says which campaign is changed: send its ETag, or *")
        row = await self._office.reader.row(tables.campaigns, campaign_id)
        if row is None:
            raise missing(f"campaign {campaign_id}")
        said = wanted.model_fields_set
        changes: dict[str, Any] = {
            name: getattr(wanted, name) for name in said & {"name", "start_s", "confirm"}
        }
        if "retry" in said:
            changes["retry"] = policy_of(wanted.retry)
        if "gate" in said:
            changes["gate"] = wanted.gate.gate()
        if said & {"windows", "timezone"}:
            was = campaign_of(row).windows
            changes["windows"] = windows_of(
                wanted.windows if "windows" in said else windows_said(was),
                wanted.timezone if "timezone" in said else was.timezone,
            )
        if not changes:
            raise Problem(422, "nothing is said that would change")
        revisions = None if if_match.strip() == "*" else revisions_of(if_match)
        await self._office.desk.operations.edit(campaign_id, changes, revisions, caller.name)
        return await self._campaigns.get_campaign(campaign_id)

    async def pause_campaign(
        self, campaign_id: Text, caller: Caller, wanted: PauseWanted | None = None
    ) -> Response:
        """Begin nothing of a campaign any more, and give nobody a slot; who holds one goes on to its end."""
        await self._campaigns.show_campaign(campaign_id)
        reason = "" if wanted is None else wanted.reason
        await self._office.desk.operations.pause(campaign_id, reason, caller.name)
        return await self._campaigns.get_campaign(campaign_id)

    async def resume_campaign(self, campaign_id: Text, caller: Caller) -> Response:
        """Go on with a campaign that is paused, by whatever it was.

        Errors are counted anew from here. Where a gate has paused it and its stage is through, the next one
        begins, unless devices were tried again meanwhile.
        """
        await self._campaigns.show_campaign(campaign_id)
        await self._office.desk.operations.resume(campaign_id, caller.name)
        return await self._campaigns.get_campaign(campaign_id)

    async def confirm_campaign(self, campaign_id: Text, caller: Caller) -> Response:
        """Let the stage begin that waits for it; of a campaign that is scheduled, the first one."""
        await self._campaigns.show_campaign(campaign_id)
        await self._office.desk.operations.confirm(campaign_id, caller.name)
        return await self._campaigns.get_campaign(campaign_id)

    async def stop_campaign(self, campaign_id: Text, caller: Caller) -> Response:
        """Cancel what is left of a campaign. Problem 409 where it is through."""
        await self._campaigns.show_campaign(campaign_id)
        if not await self._office.desk.operations.stop(campaign_id, caller.name):
            raise Problem(409, f"campaign {campaign_id} is through already")
        return await self._campaigns.get_campaign(campaign_id)

    async def retry_campaign(self, campaign_id: Text, wanted: RetryWanted, caller: Caller) -> Retried:
        """Try failed devices again, whatever the policy says; the answer comes when their tasks are made.

        They belong to the stages they were in. A campaign that has ended runs again; of one that is paused
        they begin when it is resumed.
        """
        await self._campaigns.show_campaign(campaign_id)
        count = await self._office.desk.operations.retry(
            campaign_id, wanted.tasks, wanted.failures, caller.name
        )
        return Retried(retried=count)


def revisions_of(if_match: str) -> set[int]:
    """The revisions that an If-Match names; others are nobody's.

    >>> revisions_of('"3", W/"4", "x"')
    {3, 4}
    """
    return {int(found[1]) for found in map(REVISION.fullmatch, map(str.strip, if_match.split(","))) if found}
