"""Campaigns: one package for many devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from headgate.store import tables
from headgate.upgrade.campaign import CheckedEndpoints, campaign_of, checked_endpoints, counts_of
from headgate.upgrade.draft import Draft
from headgate.upgrade.explanation import why
from headgate.upgrade.stages import sized
from headgate.upgrade.task import Timers
from headgate.web.access import Scope
from headgate.web.campaigning import Campaign, CampaignStatus, CampaignWanted, DryRun, campaign, policy_of
from headgate.web.choosing import Targets
from headgate.web.forecasting import Assumed, FailuresSaid, Interval, LossSaid
from headgate.web.gate import Caller
from headgate.web.office import Office
from headgate.web.paging import After, Limit, Page, Text, paged
from headgate.web.places import Place, place_of, text_of
from headgate.web.problems import Problem, missing
from headgate.web.repeats import Key
from headgate.web.staging import gate_said, sizes_of, stages_status, windows_of, windows_said
from headgate.web.table import Route
from headgate.web.targets import DeviceFilter, all_of, counted, endpoint_page, failed_in, filtered, listed

PATH = "/campaigns"
ONE = f"{PATH}/{{campaign_id}}"
ETAG: Mapping[int | str, dict[str, Any]] = {
    200: {
        "headers": {"ETag": {"description": "For If-Match.", "schema": {"type": "string"}, "required": True}}
    }
}


def answered(status: CampaignStatus) -> Response:
    """A campaign, with its revision as the ETag."""
    return JSONResponse(status.model_dump(mode="json"), headers={"ETag": f'"{status.revision}"'})


class CampaignRoutes:
    """The rows of campaigns."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        dry: dict[int | str, dict[str, Any]] = {200: {"model": DryRun, "description": "Of a dry run."}}
        return [
            Route(
                method="GET", path=PATH, call=self.list_campaigns, scope=Scope.READ, answers=Page[Campaign]
            ),
            Route(
                method="POST",
                path=PATH,
                call=self.create_campaign,
                scope=Scope.OPERATE,
                answers=CampaignStatus,
                status=201,
                problems=(409, 507),
                responses=dry,
            ),
            Route(
                method="GET",
                path=ONE,
                call=self.get_campaign,
                scope=Scope.READ,
                answers=CampaignStatus,
                problems=(404,),
                responses=ETAG,
            ),
        ]

    async def list_campaigns(self, after: After = None, limit: Limit = 100) -> Page[Campaign]:
        """All campaigns, the newest first."""
        rows = await self._office.reader.rows(
            tables.campaigns,
            by=("created_s", "id"),
            newest_first=True,
            after=place_of(after),
            limit=limit + 1,
        )
        return paged(
            rows,
            limit,
            lambda row: Campaign(**campaign(row)),
            lambda row: text_of(Place(row["created_s"], row["id"])),
        )

    async def get_campaign(self, campaign_id: Text) -> Response:
        """A campaign, with its stages, and its tasks by state and by cause of failure."""
        return answered(await self.show_campaign(campaign_id))

    async def show_campaign(self, campaign_id: str) -> CampaignStatus:
        """The same as a value. Problem 404."""
        reader = self._office.reader
        row = await reader.row(tables.campaigns, campaign_id)
        if row is None:
            raise missing(f"campaign {campaign_id}")
        counters = await reader.call(reader.database.counters, campaign_id)
        counts, kept = counts_of(counters), campaign_of(row)
        return CampaignStatus(
            **campaign(row),
            devices=counts.devices,
            tasks=counts.tasks,
            retried=counts.retried,
            states=dict(counts.states),
            failures=dict(counts.failures),
            stage=max(kept.stage, 1),
            stages=stages_status(kept, counters),
            reason=why(kept, self._office.desk.now()),
            confirm=kept.confirm,
            start_s=kept.start_s,
            windows=windows_said(kept.windows),
            timezone=kept.windows.timezone,
            gate=gate_said(kept.gate),
            revision=kept.revision,
        )

    async def create_campaign(
        self,
        request: Request,
        wanted: CampaignWanted,
        caller: Caller,
        key: Key = None,
        dry_run: Annotated[bool, Query(description="Make nothing: tell which devices it would be.")] = False,
        after: After = None,
        limit: Limit = 100,
        report_interval_s: Interval = None,
        loss: LossSaid = 0.02,
        failures: FailuresSaid = 0.0,
    ) -> Response:
        """Make a campaign, a task for each of its devices.

        The answer comes when the campaign and its list of devices are stored. Its tasks are then still being
        made while its state is `creating`, across restarts, and none begins before all are there. Of a dry
        run, `after` and `limit` choose the page of devices that is told, and `report_interval_s`, `loss` and
        `failures` are what its forecast assumes.
        """
        office = self._office
        if await office.reader.row(tables.packages, wanted.package) is None:
            raise Problem(422, f"there is no package {wanted.package}", name="no-such-package")
        if dry_run:
            assumed = Assumed(report_interval_s=report_interval_s, loss=loss, failures=failures)
            told = await self._told(wanted, after, limit, assumed)
            return JSONResponse(told.model_dump(mode="json"))
        timers = self._timers(wanted.timers)
        windows = windows_of(wanted.windows, wanted.timezone)
        asked = b"" if key is None else wanted.model_dump_json().encode()  # 9 ms for 100,000 names
        async with office.repeats.once(caller, key, asked) as repeat:
            if repeat is not None and repeat.made is not None:
                campaign_id = repeat.made
            else:
                endpoints = await self._endpoints(wanted.targets)
                draft = Draft(
                    name=wanted.name,
                    package=bytes.fromhex(wanted.package),
                    endpoints=endpoints,
                    retry=policy_of(wanted.retry),
                    timers=timers,
                    skip_same_package=wanted.skip_same_package,
                    stages=sizes_of(wanted.stages, len(endpoints)),
                    gate=None if wanted.gate is None else wanted.gate.gate(),
                    confirm=wanted.confirm,
                    start_s=wanted.start_s,
                    windows=windows,
                    source_versions=wanted.source_versions,
                )
                made = await office.desk.operations.begin(draft, None if repeat is None else repeat.row)
                campaign_id = made.id
        status = await self.show_campaign(campaign_id)
        place = {"Location": f"{request.url.path}/{campaign_id}"}
        return JSONResponse(status.model_dump(mode="json"), 201, place)

    # -- how --

    def _timers(self, wanted: BaseModel | None) -> Timers | None:
        if wanted is None:
            return None
        try:
            return replace(self._office.desk.timers, **wanted.model_dump(exclude_none=True))
        except ValueError as error:
            raise Problem(422, f"timers: {error}") from error

    async def _endpoints(self, targets: Targets) -> CheckedEndpoints:
        office = self._office
        try:
            if targets.endpoints is not None:
                return await office.reader.call(checked_endpoints, targets.endpoints)
            most = office.settings.devices_max
            query = await self._query(targets)
            found = await office.reader.call(all_of, office.reader.database, query, most=most)
        except ValueError as error:
            raise Problem(422, f"targets: {error}", name="no-such-devices") from error
        if found is None:
            raise Problem(422, f"these are more than {most} devices, the most of one campaign")
        return found

    async def _told(self, wanted: CampaignWanted, after: str | None, limit: int, assumed: Assumed) -> DryRun:
        office, targets = self._office, wanted.targets
        timers, windows = self._timers(wanted.timers), windows_of(wanted.windows, wanted.timezone)
        if targets.endpoints is not None:
            found: Any = await self._endpoints(targets)
            count = len(found)
            page = list(listed(targets.endpoints, after=after, limit=limit + 1))
        else:
            found = await self._query(targets)
            database = office.reader.database
            count = await office.reader.call(counted, database, found)
            page = await office.reader.call(endpoint_page, database, found, after=after, limit=limit + 1)
        more = len(page) > limit
        stages = [stage.devices for stage in sized(sizes_of(wanted.stages, count), count)]
        forecast = None
        if after is None:
            forecast = await office.forecasts.of(
                found,
                stages,
                package=wanted.package,
                timers=timers,
                windows=windows,
                start_s=wanted.start_s,
                assumed=assumed,
            )
        return DryRun(
            devices=count,
            stages=stages,
            endpoints=page[:limit],
            next=page[limit - 1] if more else None,
            forecast=forecast,
        )

    async def _query(self, targets: Targets) -> Any:
        if targets.failed_in is None:
            return filtered(targets.filter or DeviceFilter())
        await self.show_campaign(targets.failed_in.campaign)
        return failed_in(targets.failed_in.campaign, targets.failed_in.failures)
