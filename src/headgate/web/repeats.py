"""Requests that are done once: whoever repeats one with the same Idempotency-Key is told what was made.

What is remembered is stored in the transaction that does it, so that there is no instant at which one is
true and the other is not. A key belongs to the token that it came with, for a day.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Header

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.web.access import Token
from headgate.web.desk import Desk
from headgate.web.problems import Problem
from headgate.web.reading import Reader

KEPT_S = 86_400.0
FORGOTTEN_AT_ONCE = 100

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same request with the same key, within a day, is done once.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is known of a request that carries a key."""

    row: dict[str, Any]
    """What is stored with what it makes; the resource is still to be named."""
    made: str | None
    """The id of what it made before."""


class Repeats:
    """All requests with a key."""

    def __init__(self, desk: Desk, reader: Reader) -> None:
        self._desk = desk
        self._reader = reader
        self._under_way: set[str] = set()

    @asynccontextmanager
    async def once(self, token: Token, key: str | None, asked: bytes) -> AsyncIterator[Request | None]:
        """The request with that key, None without one. While it is being answered, a second is refused.

        Problem 409 says that it is being answered; 422 that the key was another request's.
        """
        if key is None:
            yield None
            return
        name = sha256(f"{token.id}\0{key}".encode("utf-8", "replace")).hexdigest()
        fingerprint = sha256(asked).hexdigest()
        if name in self._under_way:
            raise Problem(409, "a request with this Idempotency-Key is being answered", name="in-progress")
        self._under_way.add(name)
        try:
            now = self._desk.now()
            row = await self._reader.row(tables.requests, name)
            if row is not None and row["at_s"] < now - KEPT_S:
                row = None
            if row is not None and row["fingerprint"] != fingerprint:
                raise Problem(422, "this Idempotency-Key came with another request before", name="key-reused")
            if row is None:
                await self._forget(now)
            yield Request(
                row={"key": name, "fingerprint": fingerprint, "resource": "", "at_s": now},
                made=None if row is None else row["resource"],
            )
        finally:
            self._under_way.discard(name)

    async def _forget(self, now: float) -> None:
        """Delete some that are too old: as many as may come, and more."""
        oldest = await self._reader.rows(tables.requests, by=("at_s", "key"), limit=FORGOTTEN_AT_ONCE)
        batch = Batch()
        for row in oldest:
            if row["at_s"] < now - KEPT_S:
                batch.delete(tables.requests, (row["key"],))
        if batch:
            await self._desk.write(batch)
