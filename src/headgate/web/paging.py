"""Keyset pages: `after` is where the page before ended, `next` where this one did. Nothing is skipped.

Where few of very many rows are wanted and no index finds them, a page looks at so many and no more: it may
then have fewer items than asked for, or none, and still a `next`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Column, ColumnElement, Connection, select

from headgate.web.problems import Problem

PAGE_MAX = 1000
PAGE = 100
LOOKED_MAX = 10_000  # rows that one page looks at: some 30 ms
NUMBER_MAX = (1 << 63) - 1  # of a row, in any database

Item = TypeVar("Item")
Row = TypeVar("Row")

NO_NUL = r"^[^\x00]*$"  # which no database takes in text
Text = Annotated[str, StringConstraints(max_length=255, pattern=NO_NUL)]
"""A short text that the store can hold, and compare."""

After = Annotated[Text | None, Query(description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="Most items of the page.")]


class Page(BaseModel, Generic[Item]):
    """Some of many, in order."""

    items: list[Item]
    next: str | None = Field(
        description="`after` of the next page; null where there is none. A page may have fewer items than "
        "asked for, and still a next one: where few of very many are wanted, it looks at some of them."
    )


def paged(
    rows: Sequence[Row],
    limit: int,
    item: Callable[[Row], Item],
    key: Callable[[Row], str],
    *,
    looked: str | None = None,
) -> Page[Item]:
    """The page of rows of which one more than wanted was asked for.

    `looked` is up to where it was looked for them, None where that is the end.
    """
    more = len(rows) > limit
    return Page(items=[item(row) for row in rows[:limit]], next=key(rows[limit - 1]) if more else looked)


def looked_to(reader: Connection, column: Column[Any], where: ColumnElement[bool]) -> str | None:
    """Up to where a page looks for what no index finds, None where that is the end: blocking.

    `where` is what an index on that column answers, and from where on it is looked.
    """
    query = select(column).where(where).order_by(column).offset(LOOKED_MAX - 1).limit(1)
    found: str | None = reader.execute(query).scalar_one_or_none()
    return found


def number_of(text: str) -> int:
    """The number that a page's `next` is. Problem 422 for none of ours.

    >>> number_of("4711")
    4711
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= NUMBER_MAX):
        raise Problem(422, "`after` is `next` of a page, and this is none")
    return int(text)
