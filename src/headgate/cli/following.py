"""The events of the API (text/event-stream), read for as long as one likes: across restarts of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import httpx

from headgate.cli.client import CONNECT_S, Client, refused

SILENT_S = 45.0  # three beats of the server
AGAIN_S = 2.0  # until the server says otherwise
AGAIN_MAX_S = 30.0
LATER = frozenset({429, 500, 502, 503, 504})


@dataclass(slots=True)
class EventReader:
    r"""Messages of an event stream, line by line (HTML, 9.2.6).

    >>> reader = EventReader()
    >>> [reader.line(line) for line in ("retry: 500", "", ": beat", "id: 7", "data: {}", "")]
    [None, None, None, None, None, '{}']
    >>> reader.last_id, reader.again_s
    ('7', 0.5)
    """

    last_id: str | None = None
    """Of the last message: what is behind it is still to come."""
    again_s: float = AGAIN_S
    """How long to wait before one comes again."""
    _id: str | None = None
    _data: list[str] = field(default_factory=list)

    def line(self, line: str) -> str | None:
        """The data of a message, with its last line."""
        if not line:
            data, self._data = self._data, []
            if self._id is not None:
                self.last_id = self._id
            return "\n".join(data) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "retry" and value.isdecimal():
            self.again_s = min(int(value) / 1000, AGAIN_MAX_S)
        return None

    def broken(self) -> None:
        """The connection has ended: what was not whole will be sent again."""
        self._id, self._data = None, []


async def follow(
    client: Client,
    *,
    campaign: str | None = None,
    opened: Callable[[], None] = lambda: None,
    closed: Callable[[], None] = lambda: None,
) -> AsyncIterator[str]:
    """The data of each event from now on. When nothing can be missed any more `opened` is called, when a
    connection has ended `closed`.

    A connection that ends is made again, from where it ended. Raises RefusedError where that has no sense.
    """
    reader = EventReader()
    timeout = httpx.Timeout(SILENT_S, connect=CONNECT_S)
    params = {} if campaign is None else {"campaign": campaign}
    async with httpx.AsyncClient(**client.how, timeout=timeout) as http:
        while True:
            place = {} if reader.last_id is None else {"Last-Event-ID": reader.last_id}
            try:
                async with http.stream("GET", "/events", params=params, headers=place) as answer:
                    if answer.is_success:
                        opened()
                        async for line in answer.aiter_lines():
                            data = reader.line(line)
                            if data is not None:
                                yield data
                    elif answer.status_code not in LATER:
                        await answer.aread()
                        raise refused(client.url, answer)
            except httpx.TransportError:
                pass  # it is gone, or restarts: whoever follows goes on when it is there again
            reader.broken()
            closed()
            await asyncio.sleep(reader.again_s)
