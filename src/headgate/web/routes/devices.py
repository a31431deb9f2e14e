"""Devices: those that are registered, what happened to them, and why they do not move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from headgate.store import tables
from headgate.upgrade.radio import RadioClass
from headgate.web.access import Scope
from headgate.web.gate import Caller
from headgate.web.office import Office
from headgate.web.paging import NO_NUL, Limit, Page, Text, paged
from headgate.web.problems import Problem, missing
from headgate.web.routes.tasks import Task, task_of
from headgate.web.table import Route
from headgate.web.targets import Filtered, device_page

PATH = "/devices"
EVENT_ID_MAX = (1 << 63) - 1
GONE = "registered device of that name"

Endpoint = Annotated[str, Path(max_length=255, pattern=NO_NUL)]


class Device(BaseModel):
    """A registered device."""

    endpoint: str
    registered_s: float
    expires_s: float
    lifetime_s: int
    lwm2m_version: str
    binding: str
    queue_mode: bool
    links: str = Field(description="Its objects and instances, as registered.")
    heard_s: float | None
    version: str | None = Field(description="The last that it reported.")
    cell: str | None
    radio_class: RadioClass | None
    product: str | None
    group: str | None


class Labels(BaseModel):
    """What an operator says of a device, while it is registered."""

    model_config = ConfigDict(extra="forbid")

    product: Text | None = None
    group: Text | None = None


class LoggedEvent(BaseModel):
    """One line of the event log."""

    id: int
    at_s: float
    endpoint: str
    task_id: str | None
    campaign_id: str | None
    step: int | None = Field(description="Of the published flow.")
    what: str
    detail: str


class Served(BaseModel):
    """What the edge has served of a package. Bytes `start_bytes` to `offset_bytes` without a gap."""

    blocks: int
    bytes: int
    repeats: int
    start_bytes: int
    offset_bytes: int
    length_bytes: int = Field(description="0 until a block was served.")


class Explanation(BaseModel):
    """Why a device stands where it stands."""

    endpoint: str
    sentence: str
    task: Task | None = Field(description="The one that is under way.")
    served: Served | None


def device_of(row: Mapping[str, Any]) -> Device:
    """The device of a row."""
    said = {name: row[name] for name in Device.model_fields if name in row}
    return Device(**{**said, "group": row["group_name"], "radio_class": row["radio_class"] or None})


def labels_of(row: Mapping[str, Any]) -> Labels:
    """The labels in a row."""
    return Labels(product=row["product"], group=row["group_name"])


def etag_of(labels: Labels) -> str:
    """What tells these labels from others.

    >>> etag_of(Labels()) == etag_of(Labels(group="g"))
    False
    """
    return f'"{sha256(labels.model_dump_json().encode()).hexdigest()[:16]}"'


class DeviceRoutes:
    """The rows of devices. A name may hold a slash: the longer paths are looked at first."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        one = f"{PATH}/{{endpoint:endpoint}}"
        etag: dict[int | str, dict[str, Any]] = {
            200: {
                "headers": {
                    "ETag": {"description": "For If-Match.", "schema": {"type": "string"}, "required": True}
                }
            }
        }
        return [
            Route(method="GET", path=PATH, call=self.list_devices, scope=Scope.READ, answers=Page[Device]),
            Route(
                method="GET",
                path=f"{one}/timeline",
                call=self.device_timeline,
                scope=Scope.READ,
                answers=Page[LoggedEvent],
            ),
            Route(
                method="GET",
                path=f"{one}/explain",
                call=self.explain_device,
                scope=Scope.READ,
                answers=Explanation,
            ),
            Route(
                method="GET",
                path=f"{one}/labels",
                call=self.show_labels,
                scope=Scope.READ,
                answers=Labels,
                problems=(404,),
                responses=etag,
            ),
            Route(
                method="PUT",
                path=f"{one}/labels",
                call=self.set_labels,
                scope=Scope.OPERATE,
                answers=Labels,
                problems=(404, 412, 428, 507),
                responses=etag,
            ),
            Route(
                method="GET",
                path=one,
                call=self.show_device,
                scope=Scope.READ,
                answers=Device,
                problems=(404,),
            ),
            Route(
                method="DELETE",
                path=one,
                call=self.remove_device,
                scope=Scope.OPERATE,
                status=204,
                problems=(404, 409, 507),
                response_class=Response,
            ),
        ]

    async def list_devices(self, wanted: Filtered) -> Page[Device]:
        """The registered devices that pass the filter, by endpoint."""
        reader = self._office.reader
        rows, looked = await reader.call(
            device_page, reader.database, wanted, after=wanted.after, limit=wanted.limit + 1
        )
        return paged(rows, wanted.limit, device_of, lambda row: str(row["endpoint"]), looked=looked)

    async def show_device(self, endpoint: Endpoint) -> Device:
        """One registered device."""
        return device_of(await self._row(endpoint))

    async def remove_device(self, endpoint: Endpoint, caller: Caller) -> Response:
        """End a registration as if the device had deregistered. Problem 409 while it has an active task.

        Its labels go, its timeline stays. A device that is there registers again at its next Update.
        """
        await self._row(endpoint)
        if not await self._office.desk.operations.remove_device(endpoint, caller.name):
            raise missing(GONE)
        return Response(status_code=204)

    async def device_timeline(
        self,
        endpoint: Endpoint,
        after: Annotated[
            int | None, Query(ge=0, le=EVENT_ID_MAX, description="`next` of the page before.")
        ] = None,
        limit: Limit = 100,
    ) -> Page[LoggedEvent]:
        """What happened to a device, the newest first, whether it is registered or not."""
        rows = await self._office.reader.rows(
            tables.events,
            where={"endpoint": endpoint},
            after=None if after is None else (after,),
            newest_first=True,
            limit=limit + 1,
        )
        return paged(rows, limit, lambda row: LoggedEvent(**row), lambda row: str(row["id"]))

    async def explain_device(self, endpoint: Endpoint) -> Explanation:
        """Why a device stands where it stands, in one sentence; with its task, and what it was served."""
        desk, reader = self._office.desk, self._office.reader
        rows = await reader.rows(tables.tasks, where={"endpoint": endpoint, "active": True}, limit=1)
        served = None
        if rows:
            campaign = await reader.row(tables.campaigns, rows[0]["campaign_id"])
            progress = None if campaign is None else desk.progress(endpoint, campaign["pid"])
            if progress is not None:
                said = asdict(progress)
                served = Served(**{name: said[name] for name in Served.model_fields})
        return Explanation(
            endpoint=endpoint,
            sentence=desk.explain(endpoint),
            task=task_of(rows[0]) if rows else None,
            served=served,
        )

    async def show_labels(self, endpoint: Endpoint) -> Response:
        """The product and the group of a device; its ETag is needed to change them."""
        return self._labelled(labels_of(await self._row(endpoint)))

    async def set_labels(
        self,
        endpoint: Endpoint,
        labels: Labels,
        if_match: Annotated[
            str | None, Header(max_length=255, description="The ETag of what is replaced, or `*`.")
        ] = None,
    ) -> Response:
        """Say of which product a device is, and in which group.

        Problem 412 where somebody else has said otherwise meanwhile. It is kept as long as the device stays
        registered.
        """
        if if_match is None:
            raise Problem(428, "If-Match says which labels are replaced: send their ETag, or *")
        async with self._office.labelling:
            there = etag_of(labels_of(await self._row(endpoint)))
            if if_match != "*" and there not in [each.strip() for each in if_match.split(",")]:
                raise Problem(412, "the labels have changed meanwhile: read them again")
            await self._office.desk.label(endpoint, product=labels.product, group=labels.group)
        return self._labelled(labels)

    def _labelled(self, labels: Labels) -> Response:
        return JSONResponse(labels.model_dump(mode="json"), headers={"ETag": etag_of(labels)})

    async def _row(self, endpoint: str) -> Mapping[str, Any]:
        row = await self._office.reader.row(tables.devices, endpoint)
        if row is None:
            raise missing(GONE)
        return row
