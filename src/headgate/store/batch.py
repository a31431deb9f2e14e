"""The changes of one turn, gathered in memory until `Database.commit` stores them as one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from itertools import chain
from typing import Any

from sqlalchemy import Table

from headgate.store.tables import events

Key = tuple[Any, ...]
Row = Mapping[str, Any]


class Batch:
    """Changes to rows, at most one of a kind per key: the last of a turn is what its transaction writes.

    A row given is the batch's from then on, and must not be changed; nor must a batch that was handed to
    `Database.commit`. Values are str, bytes, int, float, bool or None, no subclasses of them.

    >>> from headgate.store.tables import counters
    >>> batch = Batch()
    >>> batch.add(("c1", "failed"), 1)
    >>> batch.add(("c1", "failed"), 2)
    >>> batch.counters, len(batch)
    ({('c1', 'failed'): 3}, 1)
    """

    __slots__ = ("_keys", "changes", "counters", "deletes", "events", "puts")

    def __init__(self) -> None:
        self.deletes: dict[Table, dict[Key, None]] = {}
        """Done first: a put that follows a delete makes a new row."""
        self.changes: dict[Table, dict[Key, Row]] = {}
        """Done next, to rows that were there before: what changes after a put is in the put."""
        self.puts: dict[Table, dict[Key, Row]] = {}
        self.events: list[Row] = []
        """Rows of the event log, in the order in which they came."""
        self.counters: dict[tuple[str, str], int] = {}
        """What is added to counters, by campaign and name."""
        self._keys: dict[Table, tuple[str, ...]] = {}

    def put(self, table: Table, row: Row) -> None:
        """Insert the row, or change the columns it names in the row of its key.

        A column that has a default, or may be null, can be left out: it keeps its value in a row that is
        there. A column of FIXED is written into a new row alone.
        """
        merge(self.puts.setdefault(table, {}), self._key(table, row), row)

    def change(self, table: Table, row: Row) -> None:
        """Change the columns that the row names besides its key, if there is such a row.

        Cheaper than a put where a few columns of many change, or where the others are not at hand.
        """
        key = self._key(table, row)
        puts = self.puts.get(table, {})
        if key in puts:
            merge(puts, key, row)
        elif key not in self.deletes.get(table, {}):
            merge(self.changes.setdefault(table, {}), key, row)

    def delete(self, table: Table, key: Key) -> None:
        """Delete the row of that key, if there is one; what was put or changed before is forgotten."""
        self.deletes.setdefault(table, {})[key] = None
        self.puts.get(table, {}).pop(key, None)
        self.changes.get(table, {}).pop(key, None)

    def append(self, table: Table, row: Row) -> None:
        """Insert into the event log, the one table that numbers its rows itself."""
        if table is not events:
            raise ValueError(f"rows are appended to events; {table.name} has keys: put its rows")
        self.events.append(row)

    def add(self, key: tuple[str, str], delta: int) -> None:
        """Add to the counter of a campaign (campaign_id, name); one that does not exist counts from 0."""
        self.counters[key] = self.counters.get(key, 0) + delta

    def __len__(self) -> int:
        """How many changes it holds."""
        by_key: Iterable[Sized] = chain(self.deletes.values(), self.puts.values(), self.changes.values())
        return len(self.events) + len(self.counters) + sum(len(rows) for rows in by_key)

    def _key(self, table: Table, row: Row) -> Key:
        names = self._keys.get(table)
        if names is None:
            names = self._keys[table] = tuple(column.name for column in table.primary_key)
        return tuple([row[name] for name in names])


def merge(rows: dict[Key, Row], key: Key, row: Row) -> None:
    """Let the row follow what stands there for its key. Neither of the two rows is changed."""
    before = rows.get(key)
    rows[key] = row if before is None else {**before, **row}
