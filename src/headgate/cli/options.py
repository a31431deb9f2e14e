"""What the commands that talk to a server have in common: where it is, who asks, who reads the answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from headgate.cli.saying import WRONG_USAGE, CommandError, explained, plain

if TYPE_CHECKING:
    from headgate.cli.client import Client

URL = "http://127.0.0.1:8080"
SERVER = "The server that is asked"
MOST = 100

Url = Annotated[
    str, typer.Option("--url", envvar="HEADGATE_URL", help="Where it runs.", rich_help_panel=SERVER)
]
Secret = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="HEADGATE_TOKEN",
        help="A token; without it, the one that a server on this machine has left in its data directory.",
        show_default=False,
        rich_help_panel=SERVER,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="HEADGATE_STORE__DIRECTORY",
        help="Its data directory (default headgate-data).",
        rich_help_panel=SERVER,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON, one object per line, for machines.")]
Most = Annotated[int, typer.Option("--limit", min=0, help="How many to list; 0 for all.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether it is meant.")]


def somebody_is_there() -> None:
    """Raises CommandError where nobody can say whether it is meant."""
    if not sys.stdin.isatty():
        raise CommandError("nobody is there to ask whether it is meant: say --yes", exit_code=WRONG_USAGE)


def confirmed(question: str) -> bool:
    """Whether somebody says yes. The question does not mix with results, which may go elsewhere."""
    print(f"{plain(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        print(file=sys.stderr)  # what follows is the shell's
        raise


def part(name: str, what: str) -> str:
    """A name as one segment of a path: a device's may hold slashes and dots.

    >>> part("../a b", "endpoint")
    '%2E%2E%2Fa%20b'
    """
    if not name:
        raise CommandError(f"the {what} is empty", exit_code=WRONG_USAGE)
    try:
        return quote(name, safe="").replace(".", "%2E")
    except UnicodeEncodeError as error:
        raise CommandError(f"the {what} is no text: {name!r}", exit_code=WRONG_USAGE) from error


@contextmanager
def asked(url: str, token: str | None, data: Path | None) -> Iterator[Client]:
    """A client; what goes wrong with it ends the command with one line."""
    from headgate.cli.client import Client  # which brings a whole HTTP client

    with explained(), Client(url, token, data) as client:
        yield client
