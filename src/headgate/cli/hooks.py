"""`headgate hook`: who else is told what happens, by HTTP."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from headgate.cli import completing
from headgate.cli.options import MOST, URL, Data, Json, Most, Secret, Url, asked, part
from headgate.cli.saying import WRONG_USAGE, CommandError

PATH = "/hooks"

app = typer.Typer(help="Web hooks: who else is told what happens.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `headgate hook list` shows it.")]


class Undelivered(StrEnum):
    """Why an event was not delivered."""

    PENDING = "pending"
    """It is tried again."""
    DEAD = "dead"
    """It was given up."""


@app.command("add")
def add_hook(
    target: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent to, https://...")],
    event: Annotated[
        list[str],
        typer.Option(
            help="Such as task.ended or campaign.paused; may be repeated.", autocompletion=completing.events
        ),
    ],
    secret: Annotated[str | None, typer.Option(help="What signs them; drawn without it.")] = None,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Have events sent to a URL, signed with a secret, which is shown this once.

    Takes a token of scope admin.
    """
    from headgate.cli.tables import column, show_one

    with asked(url, token, data) as client:
        if not target.startswith(("http://", "https://")):
            raise CommandError(
                f"URL is https://host/path or http://..., not {target!r}", exit_code=WRONG_USAGE
            )
        body: dict[str, Any] = {"url": target, "events": event}
        if secret is not None:
            body["secret"] = secret
        columns = [column("id"), column("url"), column("events"), column("secret")]
        show_one(client.post(PATH, body), columns, json=json)


@app.command("list")
def list_hooks(
    limit: Most = MOST, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """List the web hooks."""
    from headgate.cli.tables import column, show_list

    with asked(url, token, data) as client:
        columns = [
            column("id"),
            column("url"),
            column("events"),
            column("pending", right=True),
            column("dead", right=True),
            column("error"),
        ]
        show_list(client.pages(PATH, most=limit), columns, json=json)


@app.command("show")
def show_hook(
    hook: Id,
    deliveries: Annotated[
        Undelivered | None, typer.Option(help="List the events that wait for it, or were given up.")
    ] = None,
    limit: Most = MOST,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show a web hook, or what it was not told yet."""
    from headgate.cli.tables import column, instant, show_list, show_one

    with asked(url, token, data) as client:
        path = f"{PATH}/{part(hook, 'id')}"
        if deliveries is not None:
            columns = [
                column("number", right=True),
                instant("at", "at_s"),
                column("event"),
                column("campaign"),
                column("endpoint"),
                column("attempts", right=True),
                column("error"),
            ]
            pages = client.pages(f"{path}/deliveries", {"state": deliveries}, most=limit)
            show_list(pages, columns, json=json)
            return
        columns = [
            column("id"),
            column("url"),
            column("events"),
            instant("created", "created_s"),
            column("pending"),
            column("dead"),
            column("lost"),
            instant("delivered", "delivered_s"),
            instant("next", "next_s"),
            instant("failing since", "failing_since_s"),
            instant("overflowed", "overflowed_s"),
            column("error"),
        ]
        show_one(client.get(path), columns, json=json)


@app.command("remove")
def remove_hook(hook: Id, url: Url = URL, token: Secret = None, data: Data = None) -> None:
    """Have nothing sent there any more."""
    with asked(url, token, data) as client:
        client.delete(f"{PATH}/{part(hook, 'id')}")


@app.command("replay")
def replay_hook(
    hook: Id, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Send again what was given up, under the same event ids."""
    from headgate.cli.tables import say_json

    with asked(url, token, data) as client:
        said = client.post(f"{PATH}/{part(hook, 'id')}/replay")
        if json:
            say_json(said)
        else:
            print(f"{said['replayed']:,} events are sent again")
