"""The database: opened and migrated, written by one thread in batches, read by any.

Invariants
 1. A batch is stored as a whole or not at all, and once: a commit that failed may be repeated as it is. Where
    the connection was lost while it committed, the number in `commits` says whether it was done.
 2. What `commit` returned from is on the disk: SQLite syncs its log, PostgreSQL its own.
 3. One process writes. A second one is refused when it opens.
 4. One thread at a time calls `open`, `commit`, `forget_events` and `close`; any thread reads, while one
    commits too, and sees the database as it was after some commit.
 5. A fault that an operator can mend is a StoreError, and leaves nothing behind but the wish to try again:
    the next call makes a new connection. Any other error is a bug, and passes through as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    func,
    make_url,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy import Row as Tuple
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError

from headgate.errors import StoreError
from headgate.store.backend import Backend
from headgate.store.batch import Batch, Key, Row
from headgate.store.postgres import PostgresServer
from headgate.store.schema import migrate
from headgate.store.sqlite import SqliteFile
from headgate.store.statements import Cleaner, Kind, Statements, as_they_are, by_columns, in_order, storable
from headgate.store.tables import commits, counters, events

CHUNK_ROWS = 5_000  # what a reader of a whole table holds at once
PAGE_ROWS_MAX = 10_000


class Database:
    """One open database. See the head of this file for what its callers can rely on."""

    def __init__(self, backend: Backend) -> None:
        """`open` is the way in."""
        self._backend = backend
        self._statements = Statements(backend.dialect, backend.insert)
        self._closed = False
        self._writer: Connection | None = None
        self._number = 0  # of the last commit known to be done
        self._unheard: Batch | None = None  # was being committed when its connection failed
        self._done: Batch | None = None  # was unheard, and turned out to be done

    @classmethod
    def open(cls, url: str) -> Self:
        """Open and migrate `sqlite:////path/file.db` (made if missing) or `postgresql://user@host/name`.

        StoreError says what is wrong: no room, no right, another process, a newer schema, no server.
        """
        backend = backend_of(url)
        database = cls(backend)
        try:
            with database._mending():
                database._connect(first=True)
        except DBAPIError as error:  # no fault of disk or server: what is in there is not ours
            database.close()
            raise StoreError(
                f"{backend.place} holds something else: {error.orig}; use an empty database"
            ) from error
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close all connections and let another process open it. A second time does nothing."""
        if not self._closed:
            self._closed = True
            self._disconnect()
            self._backend.close()

    # -- writing --

    def commit(self, batch: Batch) -> None:
        """Store the changes of a batch in one transaction. Nobody changes the batch any more.

        StoreError and StoreFullError: nothing is stored, the same batch can be committed later.
        """
        if not batch:
            return
        with self._mending():
            writer = self._writer or self._connect()
            if batch is self._done:
                self._done = None
                return
            self._unheard = batch
            try:
                self._store(writer, batch, as_they_are)
            except (UnicodeEncodeError, DataError):
                self._store(writer, batch, storable)
            self._number += 1
            self._unheard = None

    def forget_events(self, *, before_s: float, keep: int, limit: int) -> int:
        """Delete events before that time, and all but the `keep` newest, of the `limit` oldest ones.

        Returns how many were deleted. Numbers that the database has left out count as kept.
        """
        oldest = select(events.c.id, events.c.at_s).order_by(events.c.id).limit(limit).subquery()
        last = select(func.max(events.c.id)).scalar_subquery()
        old = select(oldest.c.id).where(or_(oldest.c.at_s < before_s, oldest.c.id <= last - keep))
        with self._mending():
            writer = self._writer or self._connect()
            with writer.begin():
                return writer.execute(events.delete().where(events.c.id.in_(old))).rowcount

    def _store(self, writer: Connection, batch: Batch, clean: Cleaner) -> None:
        def run(kind: Kind, table: Table, rows: Iterable[Row]) -> None:
            for names, alike in (in_order if kind == "append" else by_columns)(rows):
                text, parameters = self._statements.of(kind, table, names)
                writer.exec_driver_sql(text, clean([parameters(row) for row in alike]))

        with writer.begin():
            for table, keys in batch.deletes.items():
                names = [column.name for column in table.primary_key]
                run("delete", table, (dict(zip(names, key, strict=True)) for key in keys))
            for table, rows in batch.changes.items():
                run("change", table, rows.values())
            for table, rows in batch.puts.items():
                run("put", table, rows.values())
            run("append", events, batch.events)
            run("add", counters, (addition(*key, delta) for key, delta in batch.counters.items()))
            run("put", commits, [{"id": 1, "number": self._number + 1}])

    # -- the writer's connection --

    def _connect(self, *, first: bool = False) -> Connection:
        """A connection that is the only writer, to the database that we know."""
        assert not self._closed, "a closed database is not written to: it may be another's now"
        writer = self._writer = self._backend.writer.connect()
        with writer.begin():
            self._backend.claim(writer)
        with writer.begin():
            if first:
                migrate(writer)
            number = writer.execute(select(func.coalesce(func.max(commits.c.number), 0))).scalar_one()
        if number == self._number + 1 and self._unheard is not None:
            self._done = self._unheard
        elif first or number == self._number:
            self._done = None
        else:
            raise StoreError(
                f"the database has {number} commits where {self._number} were made: it was replaced or "
                "written by another; restart, so that all is read anew"
            )
        self._number = number
        self._unheard = None
        return writer

    def _disconnect(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    @contextmanager
    def _mending(self) -> Iterator[None]:
        """Drops the connection whose use failed, and says what an operator can do."""
        try:
            yield
        except DBAPIError as error:
            self._disconnect()
            fault = self._backend.fault(error)
            if fault is None:
                raise
            raise fault from error
        except BaseException:
            self._disconnect()
            raise

    # -- reading --

    def rows(
        self,
        table: Table,
        *,
        where: Mapping[str, Any] | None = None,
        after: Key | None = None,
        limit: int,
        by: Sequence[str] = (),
        newest_first: bool = False,
    ) -> list[dict[str, Any]]:
        """One page: the rows that have these values, in the order of their primary key or of `by`.

        `after` is what the last row of the page before has in these columns; together they tell rows apart.
        """
        if not 0 < limit <= PAGE_ROWS_MAX:
            raise ValueError(f"a page has 1 to {PAGE_ROWS_MAX} rows, not {limit}")
        order = [table.c[name] for name in by] or list(table.primary_key)
        query = select(table).where(having(table, where)).limit(limit)
        query = query.order_by(*(column.desc() if newest_first else column for column in order))
        if after is not None:
            place = tuple_(*order)
            end = tuple_(*after, types=[column.type for column in order])
            query = query.where(place < end if newest_first else place > end)
        with self.reading() as reader:
            result = reader.execute(query)
            names = tuple(result.keys())
            return [dict(zip(names, row, strict=True)) for row in result]

    def row(self, table: Table, key: Key) -> dict[str, Any] | None:
        """The row of that primary key."""
        names = [column.name for column in table.primary_key]
        found = self.rows(table, where=dict(zip(names, key, strict=True)), limit=1)
        return found[0] if found else None

    def chunks(
        self,
        table: Table,
        *,
        columns: Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        size: int = CHUNK_ROWS,
    ) -> Iterator[Sequence[Tuple[Any]]]:
        """All rows that have these values, in chunks and no order: tuples of these columns, or of all.

        All as of the moment when the first chunk is asked for.
        """
        query = select(*(table.c[name] for name in columns or table.columns.keys()))
        query = query.where(having(table, where))
        with self.reading() as reader, reader.execution_options(yield_per=size).execute(query) as result:
            yield from result.partitions()

    def counted(self, table: Table, by: str, *, where: Mapping[str, Any] | None = None) -> dict[Any, int]:
        """How many rows that have these values there are for each value of a column, by counting them."""
        column = table.c[by]
        with self.reading() as reader:
            query: Select[Any] = select(column, func.count()).where(having(table, where)).group_by(column)
            return dict(map(tuple, reader.execute(query)))

    def counters(self, campaign_id: str) -> dict[str, int]:
        """The counters of a campaign, by name."""
        query = select(counters.c.name, counters.c.value).where(counters.c.campaign_id == campaign_id)
        with self.reading() as reader:
            return dict(map(tuple, reader.execute(query)))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for other questions: it cannot write, and sees one moment until it is left."""
        try:
            with self._backend.readers.connect() as reader, reader.begin():
                yield reader
        except DBAPIError as error:
            fault = self._backend.fault(error)
            if fault is None:
                raise
            raise fault from error


def backend_of(url: str) -> Backend:
    """The database that a URL names, locked where it is a file."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"{url!r} is no database URL; sqlite:////path/file.db is one") from error
    match parsed.get_backend_name():
        case "sqlite":
            return SqliteFile(parsed)
        case "postgresql" | "postgres":
            return PostgresServer(parsed)
        case other:
            raise StoreError(f"{other} is no database for us; use sqlite:////path/file.db or postgresql://")


def having(table: Table, where: Mapping[str, Any] | None) -> ColumnElement[bool]:
    """The condition that these columns have these values; None is null, True as the indexes say it."""
    return and_(
        true(),
        *(
            column.is_(value) if value is None or value is True else column == value
            for column, value in ((table.c[name], value) for name, value in (where or {}).items())
        ),
    )


def addition(campaign_id: str, name: str, delta: int) -> Row:
    """What is added to a counter, as a row."""
    return {"campaign_id": campaign_id, "name": name, "value": delta}
