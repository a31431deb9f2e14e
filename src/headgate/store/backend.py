"""What the two databases do each in their own way."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, Engine, Table
from sqlalchemy.exc import DBAPIError

from headgate.errors import StoreError


class Backend(Protocol):
    """One database: how to reach it, to be its only writer, and to say what is wrong with it."""

    place: str
    """Where it is, as an operator may read it."""
    writer: Engine
    """Gives a new connection each time."""
    readers: Engine
    """Gives pooled connections that cannot write."""
    dialect: Dialect
    """Whose statements have numbered places."""

    def insert(self, table: Table) -> Any:
        """The dialect's own INSERT, which knows ON CONFLICT."""

    def claim(self, connection: Connection) -> None:
        """Be the only writer on a connection that was just made; StoreError where there is another."""

    def fault(self, error: DBAPIError) -> StoreError | None:
        """What an error of the driver means for an operator; None where it is a bug of ours."""

    def close(self) -> None:
        """Close all connections and let others write."""
