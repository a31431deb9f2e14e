"""`headgate config`: every setting as a server here would have it, and where each comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.options import Json
from headgate.cli.saying import WRONG_USAGE, CommandError, explained

app = typer.Typer(help="Settings, and where each comes from.", no_args_is_help=True)

PASSWORD = re.compile(r"(?<=://)([^/@:?]*:).*(?=@)|(?<=password=)()[^&]*")
"""Of a URL: `user:password@`, in which anything may stand that should be escaped, and `?password=`."""
SECRET = re.compile(r"secret|password|token$")
MASK = "***"

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Settings, as TOML.", envvar="HEADGATE_CONFIG", dir_okay=False)
]
DataDirectory = Annotated[Path | None, typer.Option("--data", help="Data directory (store.directory).")]
Host = Annotated[str | None, typer.Option(help="Address to listen on (coap.host).")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="UDP port (coap.port).")]
Threads = Annotated[int | None, typer.Option(min=0, max=64, help="Native serving threads (coap.threads).")]
HttpHost = Annotated[str | None, typer.Option(help="Address of the API (http.host).")]
HttpPort = Annotated[int | None, typer.Option(min=0, max=65535, help="TCP port of the API (http.port).")]


@app.callback()
def configuration() -> None:
    """Settings, and where each comes from."""


@app.command("show")
def show_config(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="These alone, such as coap.port, or all of coap.", show_default=False
        ),
    ] = None,
    config: ConfigFile = None,
    data: DataDirectory = None,
    host: Host = None,
    port: Port = None,
    threads: Threads = None,
    http_host: HttpHost = None,
    http_port: HttpPort = None,
    json: Json = False,
) -> None:
    """Show every setting with its value and its origin: default, the file, environment or option.

    As `headgate serve` with the same options and in the same environment would have it. Passwords are masked;
    --json says what each setting is for.
    """
    from headgate.cli.tables import Column, column, show_list

    with explained():
        settings = settings_of(
            config,
            data=data,
            host=host,
            port=port,
            threads=threads,
            http_host=http_host,
            http_port=http_port,
        )
        items = [
            {
                "setting": each.key,
                "value": told(each.key, each.value),
                "unit": each.unit,
                "origin": each.origin,
                "description": each.description,
            }
            for each in chosen(settings, names)
        ]
        columns = [
            column("setting"),
            Column("value", lambda item: text_of(item["value"])),
            column("unit"),
            column("origin"),
        ]
        show_list(items, columns, json=json)


def settings_of(
    config: Path | None,
    *,
    data: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    threads: int | None = None,
    http_host: str | None = None,
    http_port: int | None = None,
) -> Any:
    """The settings of this environment with these options. Raises ConfigError."""
    from headgate.config import read  # which brings what checks them

    return read(
        config,
        {
            "coap": {"host": host, "port": port, "threads": threads},
            "store": {"directory": data},
            "http": {"host": http_host, "port": http_port},
        },
    )


def chosen(settings: Iterable[Any], names: Iterable[str] | None) -> list[Any]:
    """Those that are named, by themselves or by their section; all where none is. Raises CommandError."""
    found = list(settings)
    if not names:
        return found
    sections = {each.key.partition(".")[0] for each in found}
    known = sections | {each.key for each in found}
    for name in names:
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            hint = (
                f"; did you mean {near[0]}?" if near else f"; its sections are {', '.join(sorted(sections))}"
            )
            raise CommandError(f"there is no setting {name}{hint}", exit_code=WRONG_USAGE)
    return [each for each in found if {each.key, each.key.partition(".")[0]} & set(names)]


def told(key: str, value: Any) -> Any:
    """The value as JSON has it, without what opens something.

    >>> told("store.url", "postgresql://headgate:s3/cret@db/headgate")
    'postgresql://headgate:***@db/headgate'
    >>> told("store.url", "postgresql://db/headgate?password=s3cret&x=1")
    'postgresql://db/headgate?password=***&x=1'
    >>> told("hooks.secret", "s3cret"), told("http.tokens_max", 1000)
    ('***', 1000)
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {name: told(f"{key}.{name}", each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [told(key, each) for each in value]
    if SECRET.search(key):
        return MASK
    return PASSWORD.sub(lambda found: f"{found[1] or ''}{MASK}", str(value))


def text_of(value: Any) -> str:
    """The value as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
