"""`headgate campaign watch`: looks at a campaign whenever something has happened in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from headgate.cli.client import Client, RefusedError, UnreachableError
from headgate.cli.following import LATER, follow
from headgate.cli.saying import FAILED, complain
from headgate.cli.status import Status, figures_of, line_of, live
from headgate.cli.tables import on_terminal, say_json

AT_MOST_EVERY_S = 0.5  # a thousand events are one look
AT_LEAST_EVERY_S = 10.0  # for what is no event of a task: a window that opens, a stage that is confirmed
PATIENCE_S = 300.0  # with a server that does not answer


View = Callable[[Status], None]
"""Shows how it stands."""


@dataclass(slots=True)
class Watch:
    """One campaign, watched by `run`."""

    client: Client
    path: str
    campaign_id: str
    json: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> int:
        """Watch until it is through; the exit code. Raises RefusedError, and UnreachableError at last."""
        status = await self._look()  # is there such a campaign at all?
        following = asyncio.get_running_loop().create_task(self._follow())
        try:
            with self._view() as view:
                view(status)
                while status["ended_s"] is None:  # one that is stopped has tasks that are being cancelled
                    await self._change(following)
                    status = await self._look_again()
                    view(status)
        finally:
            following.cancel()
            await asyncio.wait([following])
        return code_of(status)

    async def _follow(self) -> None:
        look = self._changed.set
        async for _ in follow(self.client, campaign=self.campaign_id, opened=look, closed=look):
            look()

    async def _change(self, following: asyncio.Task[None]) -> None:
        """Wait until something has happened, or for so long."""
        await asyncio.sleep(AT_MOST_EVERY_S)
        waiting = asyncio.get_running_loop().create_task(self._changed.wait())
        await asyncio.wait(
            [waiting, following], timeout=AT_LEAST_EVERY_S, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        if following.done():
            following.result()  # the server does not let us follow
        self._changed.clear()

    async def _look(self) -> dict[str, Any]:
        status: dict[str, Any] = await asyncio.to_thread(self.client.get, self.path)
        return status

    async def _look_again(self) -> dict[str, Any]:
        """The same, from a server that may restart meanwhile, or be busy."""
        loop = asyncio.get_running_loop()
        patience_s = loop.time() + PATIENCE_S
        told = False
        while True:
            try:
                return await self._look()
            except (UnreachableError, RefusedError) as error:
                for_good = isinstance(error, RefusedError) and error.status not in LATER
                if for_good or loop.time() > patience_s:
                    raise
                if not told:
                    complain(f"{error}; it is waited for")
                    told = True
            await asyncio.sleep(AT_MOST_EVERY_S)

    @contextmanager
    def _view(self) -> Iterator[View]:
        if self.json:
            yield changes(say_json)
        elif not on_terminal():
            yield changes(lambda status: print(line_of(status), flush=True))
        else:
            from rich.live import Live

            with Live(auto_refresh=False) as drawing:
                yield lambda status: drawing.update(live(status), refresh=True)


def changes(show: View) -> View:
    """Shows what is not as it was."""
    last: list[Status] = []

    def view(status: Status) -> None:
        if last != [status]:
            show(status)
        last[:] = [status]

    return view


def code_of(status: Status) -> int:
    """What a campaign that is through comes to, for a script.

    >>> code_of({"state": "ended", "devices": 1, "retried": 1, "states": {"success": 1, "failed": 1}})
    0
    """
    figures = figures_of(status)
    return FAILED if status["state"] != "ended" or figures.failed or figures.cancelled else 0
