"""The command: looks at everything, and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from headgate.cli.configuration import (
    ConfigFile,
    DataDirectory,
    Host,
    HttpHost,
    HttpPort,
    Port,
    Threads,
    settings_of,
)
from headgate.cli.options import Json
from headgate.cli.saying import FAILED, explained, plain

if TYPE_CHECKING:
    from headgate.cli.doctor.findings import Finding
    from headgate.config import Config

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    config: ConfigFile = None,
    data: DataDirectory = None,
    host: Host = None,
    port: Port = None,
    threads: Threads = None,
    http_host: HttpHost = None,
    http_port: HttpPort = None,
    json: Json = False,
) -> None:
    """Look whether a server can run here: kernel, limits, ports, data directory, database.

    One line for each: ok, warn (it runs, but not as well as it could) or fail, with what to do. Takes the
    options of `headgate serve`, and changes nothing; it may run beside a server. Exit code 1 if anything
    fails.
    """
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
        worst = 0
        for finding in findings(settings.config):
            show(finding, json=json)
            worst = FAILED if finding.level == "fail" else worst
        raise typer.Exit(worst)


def findings(config: Config) -> Iterator[Finding]:
    """All of them, as they are found."""
    from headgate.cli.doctor.data import data, in_use
    from headgate.cli.doctor.database import database
    from headgate.cli.doctor.kernel import kernel
    from headgate.cli.doctor.ports import ports
    from headgate.cli.doctor.process import process

    yield from kernel(config)
    yield from process(config)
    yield from ports(config, running=in_use(config.store.directory))
    yield from data(config)
    yield from database(config)


def show(finding: Finding, *, json: bool) -> None:
    """One line."""
    from headgate.cli.tables import on_terminal, say_json

    if json:
        say_json(asdict(finding))
        return
    if not on_terminal():
        print("\t".join(plain(each) for each in (finding.level, finding.name, finding.said, finding.advice)))
        return
    from rich.console import Console
    from rich.text import Text

    advice = f": {finding.advice}" if finding.advice else ""
    line = Text(f"{finding.level:<5}", style=STYLES[finding.level])
    line.append(plain(f"{finding.name}: {finding.said}{advice}"), style="default not bold")
    Console(highlight=False).print(line, soft_wrap=True)
