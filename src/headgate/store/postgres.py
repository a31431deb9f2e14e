"""PostgreSQL by psycopg, for more than one machine carries. One writer per schema."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, NullPool, Table, create_engine, event
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from headgate.errors import StoreError, StoreFullError

# A server that is gone without a word is noticed within 15 s, so that a commit does not hang for hours.
CONNECTING = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
    "application_name": "headgate",
}
# What an operator can mend: connection (08), resources (53), object state (55), operator (57), system (58),
# wrong user or database (28, 3D), transaction rolled back (40), read-only server (25), internal (XX).
OPERATING = ("08", "25", "28", "3D", "40", "53", "55", "57", "58", "F0", "XX")
DISK_FULL = "53100"
UNREACHABLE = (InterfaceError, OperationalError)

# The lock of a process that was killed is free once its server process has noticed: a moment later.
CLAIM_BOUND_S = 2
CLAIM = "SELECT pg_advisory_lock(hashtext('headgate'), hashtext(current_schema()))"
LOCK_NOT_AVAILABLE = "55P03"
# The server gives up a client that is gone as soon, and with it the lock: its own default is two hours.
PROBING = (
    "SELECT set_config('tcp_keepalives_idle', '5', false), "
    "set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '2', false)"
)
# Who set it to something stricter keeps that.
DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)


class PostgresServer:
    """One schema of a PostgreSQL database, which this process alone writes as long as this is open."""

    dialect: Dialect = PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]

    def __init__(self, url: URL) -> None:
        if find_spec("psycopg") is None:
            raise StoreError("PostgreSQL needs psycopg: pip install 'headgate[postgres]'")
        self.place = url.render_as_string(hide_password=True)
        url = url.set(drivername="postgresql+psycopg")
        self.writer = engine(url, read_only=False, poolclass=NullPool)
        self.readers = engine(url, read_only=True, pool_pre_ping=True, isolation_level="REPEATABLE READ")

    def insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT."""
        return postgresql.insert(table)

    def claim(self, connection: Connection) -> None:
        """Hold a lock for as long as the connection lives; StoreError where another process does."""
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{CLAIM_BOUND_S}s'")
        try:
            connection.exec_driver_sql(CLAIM)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            raise StoreError(
                f"another process writes to {self.place}; stop it, or use another database or schema"
            ) from error

    def fault(self, error: DBAPIError) -> StoreError | None:
        """What an error of PostgreSQL means for an operator; None where it is a bug of ours."""
        state: str | None = getattr(error.orig, "sqlstate", None)
        said = " ".join(str(error.orig).split())
        if state == DISK_FULL:
            return StoreFullError(f"{self.place}: {said}; free some room on the server's disk")
        if error.connection_invalidated or (state is None and isinstance(error, UNREACHABLE)):
            return StoreError(
                f"{self.place} cannot be reached: {said}; see that the server runs and lets us in"
            )
        if state is not None and state.startswith(OPERATING):
            return StoreError(f"{self.place}: {said}; look at the server's log")
        return None

    def close(self) -> None:
        """Close all connections and let others write."""
        self.readers.dispose()
        self.writer.dispose()


def engine(url: URL, *, read_only: bool, **options: Any) -> Engine:
    """Connections to the server. What the URL says of connecting is kept."""
    defaults = {name: value for name, value in CONNECTING.items() if name not in url.query}
    made = create_engine(url, connect_args=defaults, **options)

    def connected(connection: Any, record: object) -> None:
        connection.execute(PROBING)
        connection.execute(DURABLE)
        connection.commit()
        connection.read_only = read_only

    event.listen(made, "connect", connected)
    return made
