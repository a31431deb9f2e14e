"""Events as they happen: server-sent events (text/event-stream), which a viewer can leave and resume."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import Header, Query
from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as Connection

from headgate.errors import StoreError
from headgate.web.access import Scope
from headgate.web.office import Office
from headgate.web.paging import Text
from headgate.web.problems import Problem
from headgate.web.table import Route
from headgate.web.tail import Line

PATH = "/events"
MEDIA_TYPE = "text/event-stream"
BEAT_S = 15.0  # without events: so that neither side takes the other for gone
SEND_S = 30.0  # what a viewer does not take within this long, it will not take
BEAT = b":\n\n"
HELLO = b"retry: 2000\n\n"
EVENT_ID_MAX = (1 << 63) - 1

Wanted = Callable[[Line], bool]


class EventStream(Response):
    """Sends what it is given until the viewer is gone, or takes nothing any more."""

    media_type = MEDIA_TYPE

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Send, and listen for the end of the connection."""
        sending = asyncio.ensure_future(self._send(send))
        hearing = asyncio.ensure_future(gone(receive))
        try:
            await asyncio.wait([sending, hearing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (sending, hearing):
                each.cancel()
            await asyncio.wait([sending, hearing])
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for piece in self._pieces:
                async with asyncio.timeout(SEND_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            return


async def gone(receive: Receive) -> None:
    """Wait until the viewer is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventRoutes:
    """The row of events."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        stream: dict[int | str, dict[str, Any]] = {
            200: {
                "description": "A message per event; its data is JSON.",
                "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
            }
        }
        return [
            Route(
                method="GET",
                path=PATH,
                call=self.follow_events,
                scope=Scope.READ,
                responses=stream,
                response_class=EventStream,
            )
        ]

    async def follow_events(
        self,
        endpoint: Annotated[Text | None, Query(description="Of this device alone.")] = None,
        campaign: Annotated[Text | None, Query(description="Of this campaign alone.")] = None,
        after: Annotated[
            int | None, Query(ge=0, le=EVENT_ID_MAX, description="Begin behind this event of the log.")
        ] = None,
        last_event_id: Annotated[
            int | None,
            Header(ge=0, le=EVENT_ID_MAX, description="The same, as browsers say it when they come again."),
        ] = None,
    ) -> Response:
        """What happens from now on, or happened behind an event that is named."""
        office = self._office
        if office.metrics.viewers >= office.settings.viewers_max:
            raise Problem(503, "as many follow the events as may", headers={"Retry-After": "5"})
        place = last_event_id if last_event_id is not None else after

        def wanted(line: Line) -> bool:
            return (endpoint is None or line.endpoint == endpoint) and (
                campaign is None or line.campaign_id == campaign
            )

        return EventStream(self._pieces(office.tail.newest if place is None else place, wanted))

    async def _pieces(self, place: int, wanted: Wanted) -> AsyncIterator[bytes]:
        """What is sent, piece by piece."""
        office = self._office
        tail = office.tail
        if office.metrics.viewers >= office.settings.viewers_max:  # many may have been let in at once
            return
        office.metrics.viewers += 1
        try:
            yield HELLO
            while not tail.ended:
                try:
                    lines = await tail.after(place)
                except (StoreError, Problem):
                    return  # who comes again goes on from here
                if not lines:
                    await tail.wait(place, BEAT_S)
                    if place >= tail.newest:
                        yield BEAT
                    continue
                place = lines[-1].id
                piece = b"".join([line.data for line in lines if wanted(line)])
                if piece:
                    yield piece
        finally:
            office.metrics.viewers -= 1
