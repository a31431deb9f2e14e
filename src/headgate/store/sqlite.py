"""SQLite: one file in WAL mode, one writer, readers beside it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, NullPool, Table, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from headgate.errors import StoreError, StoreFullError
from headgate.store.disk import disk_fault, full

# Of the file's pages. A page that changes often is copied from the log to its place once per checkpoint;
# SQLite's 1,000 would be reached by each commit of a thousand rows of a large fleet. 64 MB of log at most.
CHECKPOINT_PAGES = 16_000
LOG_BYTES = CHECKPOINT_PAGES * 4096
CACHE_KIB = 64 * 1024
BUSY_TIMEOUT_S = 5.0

OURS = (IntegrityError, ProgrammingError, DataError)  # bugs


class SqliteFile:
    """One database file, which this process alone writes as long as this is open."""

    dialect: Dialect = sqlite.dialect(paramstyle="qmark")

    def __init__(self, url: URL) -> None:
        if not url.database or url.database == ":memory:" or url.query:
            raise StoreError(f"a database file is wanted, such as sqlite:////var/lib/headgate.db, not {url}")
        self.path = Path(url.database).resolve()  # one lock, by whatever path it is reached
        self.place = str(self.path)
        self._lock = locked(self.path)
        self.writer = engine(self.path, begin="BEGIN IMMEDIATE", poolclass=NullPool)
        self.readers = engine(self.path, begin="BEGIN", query_only=True)

    def insert(self, table: Table) -> Any:
        """An INSERT that knows ON CONFLICT."""
        return sqlite.insert(table)

    def claim(self, connection: Connection) -> None:
        """Nothing to do: the lock is held since the start."""

    def fault(self, error: DBAPIError) -> StoreError | None:
        """What an error of SQLite means for an operator; None where it is a bug of ours."""
        cause = error.orig
        if isinstance(error, OURS):
            return None
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        said = f"{cause} ({getattr(cause, 'sqlite_errorname', 'no code')})"
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and full(self.path.parent)):
            return StoreFullError(f"no room is left for {self.place}: {said}; free some on its disk")
        match code:
            case sqlite3.SQLITE_IOERR:
                advice = "its disk fails, or the file may not grow; look at the kernel's log and at limits"
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                advice = "the file is damaged or no database; restore it from a backup"
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                advice = "another program holds a lock on it; let it end"
            case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
                advice = "it must be readable and writable, as must its folder"
            case sqlite3.SQLITE_ERROR:
                return None  # the statement is wrong
            case _:
                advice = "look up what SQLite says of it"
        return StoreError(f"{self.place}: {said}; {advice}")

    def close(self) -> None:
        """Close all connections and let others write."""
        self.readers.dispose()
        self.writer.dispose()
        os.close(self._lock)


def locked(path: Path) -> int:
    """A descriptor that holds the lock beside the database; its folder is made where it is missing.

    The lock ends with the process, however it ends; the file stays.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise disk_fault(error, path.parent) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except BlockingIOError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StoreError(
            f"{path} is open in another process (pid {holder}); stop it, or use another data directory"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise disk_fault(error, path.parent) from error
    return descriptor


def engine(path: Path, *, begin: str, query_only: bool = False, **options: Any) -> Engine:
    """Connections to the file. sqlite3 begins no transaction by itself, SQLAlchemy does, by `begin`."""
    made = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        **options,
    )

    def connected(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise StoreError(f"{path} lies on a file system without shared memory; SQLite needs a local disk")
        for pragma in (
            "synchronous=FULL",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"journal_size_limit={LOG_BYTES}",
            f"cache_size=-{CACHE_KIB}",
            "temp_store=MEMORY",
            f"query_only={int(query_only)}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(made, "connect", connected)
    event.listen(made, "begin", begun)
    return made
