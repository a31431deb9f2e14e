"""`headgate hook`: who else is told what happens, by HTTP."""

from __future__ import annotations

from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any

import typer

from headgate.cli.options import MOST, URL, Data, Json, Most, Secret, Url, asked

PATH = "/hooks"

app = typer.Typer(help="Web hooks: who else is told what happens.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `headgate hook list` shows it.")]


class Deliveries(StrEnum):
    """What is not delivered."""

    PENDING = "pending"
    DEAD = "dead"


@app.command("add")
def add_hook(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent to, https://...")],
    event: Annotated[
        list[str] | None, typer.Option(help="Such as task.ended or campaign.paused; may be repeated.")
    ] = None,
    secret: Annotated[str | None, typer.Option(help="What signs them; drawn without it.")] = None,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Have events sent to a URL. A secret that was drawn is shown this once."""
    from headgate.cli.tables import column, show_one

    with asked(url, token, data) as client:
        body: dict[str, Any] = {"url": target}
        if event:
            body["events"] = event
        if secret is not None:
            body["secret"] = secret
        columns = [column("id"), column("url"), column("events"), column("secret")]
        show_one(client.post(PATH, body), columns, json=json)


@app.command("list")
def list_hooks(
    limit: Most = MOST, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """List the web hooks."""
    from headgate.cli.tables import column, instant, show_list

    with asked(url, token, data) as client:
        columns = [column("id"), column("url"), column("events"), instant("created", "created_s")]
        show_list(client.pages(PATH, most=limit), columns, json=json)


@app.command("show")
def show_hook(
    id: Id,
    state: Annotated[
        Deliveries | None, typer.Option("--deliveries", help="List those that wait, or were given up.")
    ] = None,
    limit: Most = MOST,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show a web hook, or what it was not told yet."""
    from headgate.cli.client import part
    from headgate.cli.tables import Column, column, instant, show_list, show_one

    with asked(url, token, data) as client:
        path = f"{PATH}/{part(id, 'id')}"
        if state is None:
            said = client.get(path)
            names = [name for name in said if name not in ("id", "url", "events", "created_s")]
            columns = [column("id"), column("url"), column("events"), instant("created", "created_s")]
            more = [Column(name.replace("_", " "), itemgetter(name)) for name in names]
            show_one(said, [*columns, *more], json=json)
            return
        pages = client.pages(f"{path}/deliveries", {"state": state}, most=limit)
        columns = [
            column("id"),
            column("event"),
            column("attempts", right=True),
            instant("next", "next_s"),
            column("error"),
        ]
        show_list(pages, columns, json=json)


@app.command("remove")
def remove_hook(id: Id, url: Url = URL, token: Secret = None, data: Data = None) -> None:
    """Have nothing sent there any more."""
    from headgate.cli.client import part

    with asked(url, token, data) as client:
        client.delete(f"{PATH}/{part(id, 'id')}")


@app.command("replay")
def replay_hook(id: Id, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False) -> None:
    """Send again what was given up."""
    from headgate.cli.client import part
    from headgate.cli.tables import say_json

    with asked(url, token, data) as client:
        said = client.post(f"{PATH}/{part(id, 'id')}/replay")
        if json:
            say_json(said)
        else:
            print(f"{said.get('replayed', 0):,} deliveries are tried again")
