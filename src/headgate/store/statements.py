"""The statements that write batches, compiled once per database and set of columns.

SQLAlchemy makes the text, the driver runs it over many rows: what SQLAlchemy does for each row besides
(finding its parameters by name, processing each by its type) costs more than to store it: 20 us of 35 for a
task.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, NamedTuple

from sqlalchemy import Dialect, Table, and_, bindparam
from sqlalchemy.engine.interfaces import Compiled
from sqlalchemy.sql.compiler import SQLCompiler

from headgate.store.batch import Row

Kind = Literal["put", "change", "delete", "append", "add"]
Parameters = tuple[Any, ...]
Cleaner = Callable[[list[Parameters]], list[Parameters]]

# Each caller names its columns in few ways. Beyond this many, it is cheaper to compile anew than to keep all.
STATEMENTS_MAX = 256


class Statement(NamedTuple):
    """Its text, and what takes its parameters from a row."""

    text: str
    parameters: Callable[[Row], Parameters]


class Statements:
    """Compiled statements for one dialect. `insert` is the dialect's own, which knows ON CONFLICT."""

    def __init__(self, dialect: Dialect, insert: Callable[[Table], Any]) -> None:
        self._dialect = dialect
        self._insert = insert
        self._known: dict[tuple[Kind, Table, tuple[str, ...]], Statement] = {}

    def of(self, kind: Kind, table: Table, names: tuple[str, ...]) -> Statement:
        """The statement that does this to rows which have these columns."""
        statement = self._known.get((kind, table, names))
        if statement is None:
            if len(self._known) >= STATEMENTS_MAX:
                self._known.clear()
            statement = self._known[kind, table, names] = self._compiled(kind, table, names)
        return statement

    def _compiled(self, kind: Kind, table: Table, names: tuple[str, ...]) -> Statement:
        unknown = set(names) - set(table.columns.keys())
        if unknown:  # SQLAlchemy would leave them out without a word
            raise ValueError(f"{table.name} has no column {', '.join(sorted(unknown))}")
        set_names: list[str] | None = list(names)
        match kind:
            case "put":
                made = self._put(table, names)
            case "add":
                insert = self._insert(table)
                total = {"value": table.c.value + insert.excluded.value}
                made = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=total)
            case "append":
                made = table.insert()
            case "change":
                made = table.update().where(same_key(table))
                set_names = [name for name in names if not table.c[name].primary_key]
            case "delete":
                made = table.delete().where(same_key(table))
                set_names = None
        compiled = made.compile(dialect=self._dialect, column_keys=set_names)
        return Statement(str(compiled), one_or_more([name.removeprefix(KEY) for name in positions(compiled)]))

    def _put(self, table: Table, names: Collection[str]) -> Any:
        insert = self._insert(table)
        changed = {
            column.name: insert.excluded[column.name]
            for column in table.columns
            if column.name in names and not column.primary_key and not column.info.get("fixed")
        }
        if not changed:
            return insert.on_conflict_do_nothing(index_elements=list(table.primary_key))
        return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


KEY = "key of "  # tells the parameters of a key from those of columns


def same_key(table: Table) -> Any:
    """The condition that a row has the key given."""
    return and_(*(column == bindparam(KEY + column.name) for column in table.primary_key))


def positions(compiled: Compiled) -> Sequence[str]:
    """The names of the parameters in the order of their places in the text."""
    assert isinstance(compiled, SQLCompiler)
    assert compiled.positiontup is not None, "the dialect has numbered places"
    return compiled.positiontup


def one_or_more(names: Sequence[str]) -> Callable[[Row], Parameters]:
    """Takes these values from a row, as a tuple even of one."""
    take = itemgetter(*names)
    return take if len(names) > 1 else lambda row: (take(row),)


def by_columns(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, ...], Iterable[Row]]]:
    """The rows that one statement can write together, by their columns. In no order, since each has a key."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return groups.items()


def in_order(rows: Iterable[Row]) -> Iterable[tuple[tuple[str, ...], Iterable[Row]]]:
    """The same for rows whose order counts: only neighbours are written together."""
    return groupby(rows, tuple)


def as_they_are(rows: list[Parameters]) -> list[Parameters]:
    """The rows."""
    return rows


def storable(rows: list[Parameters]) -> list[Parameters]:
    """The rows, with U+FFFD in place of what a database does not take in text: surrogates, and NUL.

    No device shall stop the store by the name of its version. Looking at every text before it is stored would
    cost more than this: it is done when a database has refused a batch.
    """
    return [tuple([clean(value) if type(value) is str else value for value in row]) for row in rows]


def clean(text: str) -> str:
    r"""The text without what a database does not take.

    >>> clean("V1.1\0") == clean("V1.1\ud800") == "V1.1\ufffd"
    True
    """
    return "".join(["\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in text])
