"""Keyset pages: `after` is where the page before ended, `next` where this one did. Nothing is skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints

PAGE_MAX = 1000
PAGE = 100

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
    next: str | None = Field(description="`after` of the next page; null where there is none.")


def paged(
    rows: Sequence[Row], limit: int, item: Callable[[Row], Item], key: Callable[[Row], str]
) -> Page[Item]:
    """The page of rows of which one more than wanted was asked for."""
    more = len(rows) > limit
    return Page(items=[item(row) for row in rows[:limit]], next=key(rows[limit - 1]) if more else None)
