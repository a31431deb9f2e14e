"""`headgate cell`: who holds the slots of a cell, and who waits for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from headgate.cli.options import MOST, URL, Data, Json, Most, Secret, Url, asked, part

PATH = "/cells"

app = typer.Typer(help="Cells: who holds their slots, and who waits for one.", no_args_is_help=True)


def slots_of(item: Mapping[str, Any]) -> str:
    """What is held of each class that has anybody, of its limit, and how many wait.

    >>> of = lambda name, held, waiting: {"radio_class": name, "limit": 10, "held": held, "waiting": waiting}
    >>> slots_of({"classes": [of("0", 0, 0), of("1", 10, 3), of("2", 1, 0)]})
    'class 1: 10 of 10, 3 wait; class 2: 1 of 10'
    """
    return "; ".join(
        f"class {each['radio_class']}: {each['held']} of {each['limit']}"
        + (f", {each['waiting']} wait" if each["waiting"] else "")
        for each in item["classes"]
        if each["held"] or each["waiting"]
    )


@app.command("list")
def list_cells(
    limit: Most = MOST, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """List the cells in which slots are held or waited for."""
    from headgate.cli.tables import Column, column, show_list

    with asked(url, token, data) as client:
        columns = [
            column("cell"),
            Column("held", lambda item: sum(each["held"] for each in item["classes"]), right=True),
            Column("waiting", lambda item: sum(each["waiting"] for each in item["classes"]), right=True),
            Column("slots", slots_of),
        ]
        show_list(client.pages(PATH, most=limit), columns, json=json)


@app.command("show")
def show_cell(
    cell: Annotated[str, typer.Argument(help="Such as 460-00-1A2B.")],
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of each line to show.")] = MOST,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show a cell: its limits, who holds its slots since when, and the line with its reasons."""
    from headgate.cli.tables import Column, column, instant, say_json, show_list, show_one

    with asked(url, token, data) as client:
        said = client.get(f"{PATH}/{part(cell, 'cell')}", {"limit": limit})
        if json:
            say_json(said)
            return
        limits = "; ".join(f"class {each['radio_class']}: {each['limit']}" for each in said["classes"])
        head = [
            column("cell"),
            column("slots are shared by", key="scope"),
            Column("limits", lambda item: limits),
            Column("slots", slots_of),
        ]
        show_one(said, head, json=False)
        holders = [
            Column("", lambda item: "holds"),
            column("class", key="radio_class"),
            column("endpoint"),
            column("state"),
            instant("since", "entered_s"),
            column("campaign"),
        ]
        show_list(said["holders"], holders, json=False, nothing="nobody holds a slot")
        queue = [
            Column("", lambda item: f"waits {item['position']}"),
            column("class", key="radio_class"),
            column("endpoint"),
            instant("since", "queued_s"),
            column("campaign"),
            column("reason"),
        ]
        show_list(said["queue"], queue, json=False, nothing="nobody waits")
