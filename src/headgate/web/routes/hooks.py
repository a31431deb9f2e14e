"""Web hooks: who is told what happens, and how its deliveries stand."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from headgate.store.tables import outbox
from headgate.upgrade.announcements import DEAD, PENDING, Announced
from headgate.web.access import Scope
from headgate.web.desk import HookStatus
from headgate.web.office import Office
from headgate.web.paging import After, Limit, Page, Text, number_of, paged
from headgate.web.problems import missing
from headgate.web.table import Route

PATH = "/hooks"
URL_MAX = 2000


class HookWanted(BaseModel):
    """A web hook that is to be made."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=8, max_length=URL_MAX, description="http:// or https://, no user.")]
    events: Annotated[
        list[Announced], Field(min_length=1, max_length=64, description="The events that it is told.")
    ]
    secret: Annotated[
        str | None,
        Field(
            min_length=16, max_length=255, pattern="^[ -~]*$", description="One is made where none is given."
        ),
    ] = None


class Hook(BaseModel):
    """A web hook, and how its deliveries stand."""

    id: str
    url: str
    events: list[Announced]
    created_s: float
    pending: int = Field(description="Events that are to be delivered.")
    dead: int = Field(description="Events that were given up, until they are replayed.")
    lost: int = Field(description="Events that were not kept, as too many waited already.")
    overflowed_s: float | None = Field(description="Since when new events are not kept; null: they are.")
    failing_since_s: float | None = Field(description="Since when no delivery has succeeded.")
    error: str | None = Field(description="Of the last attempt since the start; null where it succeeded.")
    delivered_s: float | None = Field(description="When the last one succeeded, since the start.")
    next_s: float | None = Field(
        description="When the next one is due; null: nothing waits, or as many as may are under way."
    )


class NewHook(Hook):
    """A web hook that was made. Its secret is shown this once."""

    secret: str


class DeliveryState(StrEnum):
    """Where an event that was not delivered stands."""

    PENDING = PENDING
    DEAD = DEAD


class Delivery(BaseModel):
    """An event that a hook was not told yet. What was delivered is kept no longer."""

    number: int = Field(description="In the order of the events.")
    event_id: str = Field(description="The same in every attempt.")
    event: str
    endpoint: str | None = Field(description="Null where a campaign as a whole is meant.")
    campaign: str
    at_s: float
    state: DeliveryState
    attempts: int = Field(description="That failed, since the last replay.")
    error: str | None = Field(description="Of the last attempt.")


class Replayed(BaseModel):
    """What a replay has done."""

    replayed: int = Field(description="Dead letters that are to be delivered now.")


def hook_of(status: HookStatus) -> dict[str, Any]:
    """The fields of a hook."""
    hook = status.hook
    return {
        "id": hook.id,
        "url": hook.url,
        "events": sorted(hook.events),
        "created_s": hook.created_s,
        "pending": hook.pending,
        "dead": hook.dead,
        "lost": hook.lost,
        "overflowed_s": hook.overflowed_s,
        "failing_since_s": status.failing_since_s,
        "error": status.error,
        "delivered_s": status.delivered_s,
        "next_s": status.next_s,
    }


def delivery_of(row: Mapping[str, Any]) -> Delivery:
    """The delivery of a row."""
    said = {name: row[name] for name in Delivery.model_fields if name in row}
    return Delivery(**said | {"endpoint": row["endpoint"] or None, "campaign": row["campaign_id"]})


class HookRoutes:
    """The rows of web hooks."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        one = f"{PATH}/{{hook_id}}"
        gone = (404, 507)
        return [
            Route(method="GET", path=PATH, call=self.list_hooks, scope=Scope.READ, answers=Page[Hook]),
            Route(
                method="POST",
                path=PATH,
                call=self.make_hook,
                scope=Scope.ADMIN,
                answers=NewHook,
                status=201,
                problems=(409, 507),
            ),
            Route(
                method="GET", path=one, call=self.show_hook, scope=Scope.READ, answers=Hook, problems=(404,)
            ),
            Route(
                method="DELETE",
                path=one,
                call=self.remove_hook,
                scope=Scope.ADMIN,
                status=204,
                problems=gone,
                response_class=Response,
            ),
            Route(
                method="GET",
                path=f"{one}/deliveries",
                call=self.list_deliveries,
                scope=Scope.READ,
                answers=Page[Delivery],
                problems=(404,),
            ),
            Route(
                method="POST",
                path=f"{one}/replay",
                call=self.replay_hook,
                scope=Scope.OPERATE,
                answers=Replayed,
                problems=gone,
            ),
        ]

    async def list_hooks(self, after: After = None, limit: Limit = 100) -> Page[Hook]:
        """All web hooks, by id."""
        hooks = [each for each in self._office.desk.hooks() if after is None or each.hook.id > after]
        return paged(hooks[: limit + 1], limit, lambda each: Hook(**hook_of(each)), lambda each: each.hook.id)

    async def make_hook(self, request: Request, wanted: HookWanted) -> Response:
        """Have a receiver told. The answer is the only place where its secret is ever shown."""
        status = await self._office.desk.add_hook(url=wanted.url, events=wanted.events, secret=wanted.secret)
        made = NewHook(**hook_of(status), secret=status.hook.secret)
        headers = {"Location": f"{request.url.path}/{status.hook.id}", "Cache-Control": "no-store"}
        return JSONResponse(made.model_dump(mode="json"), 201, headers)

    async def show_hook(self, hook_id: Text) -> Hook:
        """One web hook, and how its deliveries stand."""
        return Hook(**hook_of(self._status(hook_id)))

    async def remove_hook(self, hook_id: Text) -> Response:
        """Tell it nothing any more, what waits for it neither."""
        if not await self._office.desk.remove_hook(hook_id):
            raise missing(f"hook {hook_id}")
        return Response(status_code=204)

    async def list_deliveries(
        self,
        hook_id: Text,
        state: Annotated[DeliveryState, Query(description="Those that wait, or those given up.")],
        after: Annotated[str | None, Query(max_length=20, description="`next` of the page before.")] = None,
        limit: Limit = 100,
    ) -> Page[Delivery]:
        """What a hook was not told yet, in the order of the events."""
        self._status(hook_id)
        rows = await self._office.reader.rows(
            outbox,
            where={"hook_id": hook_id, "state": state.value},
            after=None if after is None else (number_of(after),),
            limit=limit + 1,
            by=("number",),
        )
        return paged(rows, limit, delivery_of, lambda row: str(row["number"]))

    async def replay_hook(self, hook_id: Text) -> Replayed:
        """Have all its dead letters delivered after all, under their old ids."""
        replayed = await self._office.desk.replay_hook(hook_id)
        if replayed is None:
            raise missing(f"hook {hook_id}")
        return Replayed(replayed=replayed)

    def _status(self, hook_id: str) -> HookStatus:
        for each in self._office.desk.hooks():
            if each.hook.id == hook_id:
                return each
        raise missing(f"hook {hook_id}")
