"""`headgate package`: what campaigns are made of."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli.options import MOST, URL, Data, Json, Most, Secret, Url, asked, part
from headgate.cli.saying import WRONG_USAGE, CommandError

PATH = "/packages"

app = typer.Typer(help="Packages: what campaigns are made of.", no_args_is_help=True)

Pid = Annotated[str, typer.Argument(help="Its identity, as `headgate package list` shows it.")]


class Kind(StrEnum):
    """How it travels."""

    FIRMWARE = "firmware"
    SOFTWARE = "software"


@app.command("add")
def add_package(
    file: Annotated[
        Path, typer.Argument(help="The bytes that devices are served.", exists=True, dir_okay=False)
    ],
    version: Annotated[str | None, typer.Option(help="What devices report when they run it.")] = None,
    archive: Annotated[
        bool,
        typer.Option(
            "--archive", help="The file is a vendor's zip, whose UpgradeDesc.json says all but name."
        ),
    ] = False,
    kind: Annotated[Kind | None, typer.Option(help="Firmware without it.")] = None,
    name: Annotated[str, typer.Option(help="For people.")] = "",
    product: Annotated[str | None, typer.Option(help="Whose devices it is for.")] = None,
    source_version: Annotated[
        list[str] | None, typer.Option(help="A version that may be upgraded from; may be repeated.")
    ] = None,
    check_code: Annotated[
        str | None, typer.Option(metavar="HEX", help="versionCheckCode of software: four digits, as 4EA0.")
    ] = None,
    segment_size: Annotated[
        int | None, typer.Option(min=32, max=500, help="Bytes of a segment of software.")
    ] = None,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Add a package.

    On a pipe the answer is its identity (PID) alone. The same package again is the one that is there.
    """
    from headgate.cli.tables import show_made

    with asked(url, token, data) as client:
        fields: dict[str, Any] = {"name": name}
        if product is not None:
            fields["product"] = product
        if archive:
            if version is not None or kind or source_version or check_code or segment_size:
                raise CommandError(
                    "an archive says version, kind, source versions, check code and segment size itself",
                    exit_code=WRONG_USAGE,
                )
            fields["archive"] = "true"
        else:
            if version is None:
                raise CommandError(
                    "--version is what devices report when they run it; or is this an --archive?",
                    exit_code=WRONG_USAGE,
                )
            fields |= {"version": version, "kind": kind or Kind.FIRMWARE}
            if source_version:
                fields["source_versions"] = source_version
            if check_code is not None:
                fields["check_code"] = code_of(check_code)
            if segment_size is not None:
                fields["segment_size_bytes"] = segment_size
        with file.open("rb") as content:
            made = client.upload(PATH, content, file.name, fields)
        what = f"{made['kind']} {made['version']}, {made['size_bytes']:,} bytes"
        show_made(made, "pid", f"package {made['pid']}: {what}", json=json)


def code_of(digits: str) -> int:
    """A check code. Raises CommandError.

    >>> code_of("4EA0")
    20128
    """
    try:
        code = int(digits, 16)
    except ValueError:
        code = -1
    if not 0 <= code <= 0xFFFF:
        raise CommandError(
            f"a check code is up to four hexadecimal digits, not {digits!r}", exit_code=WRONG_USAGE
        )
    return code


@app.command("list")
def list_packages(
    limit: Most = MOST, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """List the packages, the newest first."""
    from headgate.cli.tables import column, instant, show_list

    with asked(url, token, data) as client:
        columns = [
            column("pid"),
            column("version"),
            column("kind"),
            column("bytes", key="size_bytes", right=True),
            column("product"),
            column("name"),
            instant("added", "added_s"),
        ]
        show_list(client.pages(PATH, most=limit), columns, json=json)


@app.command("show")
def show_package(
    pid: Pid, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Show a package."""
    from headgate.cli.tables import Column, column, instant, show_one

    with asked(url, token, data) as client:
        columns = [
            column("pid"),
            column("version"),
            column("kind"),
            column("bytes", key="size_bytes"),
            column("segment bytes", key="segment_size_bytes"),
            Column("check code", lambda item: f"{item['check_code'] or 0:04X}"),
            column("upgrades from", key="source_versions"),
            column("product"),
            column("name"),
            instant("added", "added_s"),
            column("sha256"),
        ]
        show_one(client.get(f"{PATH}/{part(pid, 'package')}"), columns, json=json)


@app.command("remove")
def remove_package(pid: Pid, url: Url = URL, token: Secret = None, data: Data = None) -> None:
    """Remove a package that no campaign needs."""
    with asked(url, token, data) as client:
        client.delete(f"{PATH}/{part(pid, 'package')}")
