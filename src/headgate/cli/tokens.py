"""`headgate token`: who may ask for anything at all."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli.options import MOST, URL, Data, Json, Most, Secret, Url, asked, part
from headgate.cli.saying import WRONG_USAGE, CommandError

PATH = "/tokens"

app = typer.Typer(help="Tokens: who may do what. Takes a token of scope admin.", no_args_is_help=True)


class Scope(StrEnum):
    """What a token is good for; each may what those before it may."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


@app.command("list")
def list_tokens(
    limit: Most = MOST, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """List the tokens; not what opens anything."""
    from headgate.cli.tables import column, instant, show_list

    with asked(url, token, data) as client:
        columns = [
            column("id"),
            column("name"),
            column("scope"),
            instant("created", "created_s"),
            instant("used", "used_s"),
        ]
        show_list(client.pages(PATH, most=limit), columns, json=json)


@app.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Who is going to use it: it is said of what was done with it.")],
    scope: Annotated[Scope, typer.Option(help="What it is good for.")] = Scope.READ,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a token, and show it this once. On a pipe the answer is the token alone."""
    from headgate.cli.tables import show_made

    with asked(url, token, data) as client:
        if not name.strip():
            raise CommandError("the name says who is going to use it: it is empty", exit_code=WRONG_USAGE)
        made = client.post(PATH, {"name": name, "scope": scope})
        sentence = f"token {made['id']} of scope {made['scope']}, shown this once: {made['token']}"
        show_made(made, "token", sentence, json=json)


@app.command("remove")
def remove_token(
    id: Annotated[str, typer.Argument(help="As `headgate token list` shows it.")],
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
) -> None:
    """Make a token good for nothing. The last one of scope admin stays."""
    with asked(url, token, data) as client:
        client.delete(f"{PATH}/{part(id, 'token')}")
