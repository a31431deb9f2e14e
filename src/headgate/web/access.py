"""Who may do what. A token is 256 random bits, shown once; the store keeps its SHA-256.

So a copy of the database opens nothing, and looking a token up by its digest takes the same time however
much of it is right. Scopes contain one another: who may operate may read.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.web.desk import Desk
from headgate.web.problems import Problem, missing
from headgate.web.reading import Reader

PREFIX = "headgate_"  # so that programs which look for leaked secrets know one
SECRET_BYTES = 32
ID_BYTES = 6
FIRST = "first"  # the name of the token that a new server has
ADDRESSES_MAX = 4096
MINUTE_S = 60.0


class Scope(StrEnum):
    """What a token is good for."""

    READ = "read"
    """See everything but the tokens."""
    OPERATE = "operate"
    """Add packages, begin and end campaigns."""
    ADMIN = "admin"
    """Give and take away tokens, and web hooks."""

    def contains(self, other: Scope) -> bool:
        """Whether it is good for the other too.

        >>> Scope.OPERATE.contains(Scope.READ), Scope.OPERATE.contains(Scope.ADMIN)
        (True, False)
        """
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of one."""

    id: str
    name: str
    scope: Scope
    created_s: float


def digest(secret: str) -> str:
    """What is kept of the secret."""
    return sha256(secret.encode("utf-8", "replace")).hexdigest()


def new_secret() -> str:
    """A token."""
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


class Tokens:
    """All tokens, in memory and in the store."""

    def __init__(self, desk: Desk, *, tokens_max: int) -> None:
        self._desk = desk
        self._max = tokens_max
        self._tokens: dict[str, Token] = {}  # by digest
        self._by_id: dict[str, Token] = {}
        self._used_s: dict[str, float] = {}  # by id, since the start
        self._changing = asyncio.Lock()

    async def restore(self, reader: Reader) -> None:
        """What the store has."""
        self.adopt(await reader.rows(tables.tokens, limit=self._max))

    def adopt(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows of the store."""
        for row in rows:
            self._keep(
                row["sha256"],
                Token(id=row["id"], name=row["name"], scope=Scope(row["scope"]), created_s=row["created_s"]),
            )

    def __len__(self) -> int:
        return len(self._tokens)

    def find(self, secret: str) -> Token | None:
        """The token with that secret, which is used by this."""
        return self._used(self._tokens.get(digest(secret)))

    def of(self, token_id: str) -> Token | None:
        """The token of that id, which is used by this; None where it was revoked."""
        return self._used(self._by_id.get(token_id))

    def used_s(self, token: Token) -> float | None:
        """When it was last used, None for not since the start."""
        return self._used_s.get(token.id)

    def list(self) -> list[Token]:
        """All of them, by id."""
        return sorted(self._tokens.values(), key=lambda each: each.id)

    async def add(self, name: str, scope: Scope, secret: str) -> Token:
        """A new one, stored on return."""
        async with self._changing:
            if len(self._tokens) >= self._max:
                raise Problem(409, f"there are {self._max} tokens, as many as there may be: revoke some")
            token = Token(id=secrets.token_hex(ID_BYTES), name=name, scope=scope, created_s=self._desk.now())
            batch = Batch()
            batch.put(
                tables.tokens,
                {
                    "id": token.id,
                    "sha256": digest(secret),
                    "name": name,
                    "scope": scope.value,
                    "created_s": token.created_s,
                },
            )
            await self._desk.write(batch)
            self._keep(digest(secret), token)
            return token

    async def revoke(self, token_id: str) -> None:
        """It is good for nothing from now on. The last one that may make others stays."""
        async with self._changing:
            found = [key for key, each in self._tokens.items() if each.id == token_id]
            if not found:
                raise missing(f"token {token_id}")
            (key,) = found
            admins = [each.id for each in self._tokens.values() if each.scope is Scope.ADMIN]
            if admins == [token_id]:
                raise Problem(409, "this is the last admin token: make another one first")
            batch = Batch()
            batch.delete(tables.tokens, (token_id,))
            await self._desk.write(batch)
            del self._tokens[key], self._by_id[token_id]
            self._used_s.pop(token_id, None)

    def _used(self, token: Token | None) -> Token | None:
        if token is not None:
            self._used_s[token.id] = self._desk.now()
        return token

    def _keep(self, key: str, token: Token) -> None:
        self._tokens[key] = self._by_id[token.id] = token


class FailedLogins:
    """How often each address came with a wrong token of late. A right one is let in all the same: many may
    stand behind one address, and nobody guesses 256 bits. What is bounded is the noise.
    """

    def __init__(self, *, most: int) -> None:
        """`most` within a minute."""
        self._most = most
        self._failed: OrderedDict[str, tuple[float, int]] = OrderedDict()  # since when, how often

    def failed(self, address: str, now: float) -> float | None:
        """Once more; how long it is to wait before the next time, None for not at all."""
        since_s, count = self._failed.pop(address, (now, 0))
        if now - since_s >= MINUTE_S:
            since_s, count = now, 0
        self._failed[address] = (since_s, count + 1)
        if len(self._failed) > ADDRESSES_MAX:
            self._failed.popitem(last=False)
        return None if count < self._most else MINUTE_S - (now - since_s)
