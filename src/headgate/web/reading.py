"""The store, read beside the loop: a few threads of this room's own, and a bound on who waits for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Table

from headgate.store.database import Database
from headgate.web.problems import Problem

Said = TypeVar("Said")
How = ParamSpec("How")

Row = dict[str, Any]


class Reader:
    """Reads for the API. Slow questions make the API slow, and nothing else."""

    def __init__(self, database: Database, *, threads: int, waiting_max: int) -> None:
        self.database = database
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="headgate-reader")
        self._under_way = 0
        self._most = threads + waiting_max

    async def call(self, ask: Callable[How, Said], *args: How.args, **kwargs: How.kwargs) -> Said:
        """What a blocking call answers. Problem 503 where too many wait already."""
        if self._under_way >= self._most:
            raise Problem(503, "too many questions wait for the store", headers={"Retry-After": "1"})
        self._under_way += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: ask(*args, **kwargs))
        finally:
            self._under_way -= 1

    async def row(self, table: Table, *key: Any) -> Row | None:
        """The row of that primary key."""
        return await self.call(self.database.row, table, key)

    async def rows(
        self,
        table: Table,
        *,
        where: Mapping[str, Any] | None = None,
        after: tuple[Any, ...] | None = None,
        limit: int,
        by: Sequence[str] = (),
        newest_first: bool = False,
    ) -> list[Row]:
        """A page, as `Database.rows` reads it."""
        return await self.call(
            self.database.rows,
            table,
            where=where,
            after=after,
            limit=limit,
            by=by,
            newest_first=newest_first,
        )

    def close(self) -> None:
        """Take no more; what is being read is read to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
