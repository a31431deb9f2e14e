"""Results, in three ways: JSON lines, tables on a terminal, and elsewhere lines with tabs between the fields.

All text that is shown is made plain first, and none of it is markup.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from headgate.cli.client import Pages
from headgate.cli.saying import complain, plain

ROWS = 500  # of one table: its widths are known when all of its rows are
NOTHING = "-"

Item = Mapping[str, Any]


class Column(NamedTuple):
    """One field of the items of a list."""

    name: str
    value: Callable[[Item], object]
    right: bool = False
    """Whether it holds numbers."""


def column(name: str, *, key: str = "", right: bool = False) -> Column:
    """The column of a field as it comes."""
    return Column(name, lambda item: item.get(key or name), right)


def shown(value: object) -> str:
    """A value, as people read it.

    >>> shown(None), shown(True), shown(1234567), shown(["a", "b"]), shown([])
    ('-', 'yes', '1,234,567', 'a, b', '-')
    """
    if value is None or value == "" or value == []:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return plain(value)


def field(value: object) -> str:
    """The same as programs read it: numbers without commas.

    >>> field(1234567), field(None)
    ('1234567', '-')
    """
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else shown(value)


def moment(at_s: float | None) -> str:
    """A time, in the zone of this machine."""
    return NOTHING if at_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_s))


def instant(name: str, key: str) -> Column:
    """The column of a time."""
    return Column(name, lambda item: moment(item.get(key)))


def on_terminal() -> bool:
    """Whether people read it as it comes."""
    return sys.stdout.isatty()


def say_json(item: object) -> None:
    """One line of JSON, in ASCII: nothing in it is a command for a terminal."""
    print(json.dumps(item), flush=True)


def show_list(
    items: Iterable[Item], columns: Sequence[Column], *, json: bool, nothing: str = "there are none"
) -> None:
    """A list, as it comes; people are told `nothing` of an empty one."""
    if json:
        for item in items:
            say_json(item)
    elif on_terminal():
        if not show_tables(iter(items), columns):
            complain(nothing)
    else:
        for item in items:
            print("\t".join(field(each.value(item)) for each in columns))
    if isinstance(items, Pages) and items.more and not json:
        complain("there are more: --limit says how many to list, 0 for all")


def show_tables(items: Iterator[Item], columns: Sequence[Column]) -> int:
    """A list on a terminal; how long it is. What names an item is not broken where it can be helped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, count = Console(), 0
    while rows := list(islice(items, ROWS)):
        table = Table(box=None, header_style="bold", pad_edge=False)
        cells = [[Text(shown(each.value(item))) for each in columns] for item in rows]
        whole = max(row[0].cell_len for row in cells) <= console.width // 2
        for number, each in enumerate(columns):
            table.add_column(
                each.name,
                justify="right" if each.right else "left",
                overflow="fold",
                no_wrap=whole and not number,
            )
        for row in cells:
            table.add_row(*row)
        console.print(table)
        count += len(rows)
    return count


def show_one(item: Item, columns: Sequence[Column], *, json: bool) -> None:
    """One thing, field by field."""
    if json:
        say_json(item)
        return
    if not on_terminal():
        for each in columns:
            print(f"{each.name}\t{field(each.value(item))}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for each in columns:
        table.add_row(Text(each.name), Text(shown(each.value(item))))
    Console().print(table)


def show_made(item: Item, id: str, sentence: str, *, json: bool) -> None:
    """What was made: on a terminal a sentence, elsewhere its id alone, for `$(...)`."""
    if json:
        say_json(item)
    else:
        print(plain(sentence if on_terminal() else item[id]))
