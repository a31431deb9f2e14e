"""Commands that ask a server, run in this process: as a pipe would see them."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from typer.main import get_command

from headgate.cli import app
from headgate.server import Server
from headgate.wire.coap import Message
from peer import Peer

CREATED = 0x41
COMMAND = get_command(app)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Of its results."""
        return self.out.splitlines()

    @property
    def fields(self) -> list[list[str]]:
        """The same, cut at the tabs."""
        return [line.split("\t") for line in self.lines]

    @property
    def json(self) -> Any:
        """Its one object."""
        (line,) = self.lines
        return json.loads(line)

    @property
    def jsons(self) -> list[Any]:
        """All of them."""
        return [json.loads(line) for line in self.lines]


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks a server."""

    url: str
    token: str
    data: Path
    port: int = 0
    """Where its devices are served."""
    on_loop: Callable[[Callable[[Server], None]], None] | None = None
    """Have the server do something, on its own loop."""

    def say(self, *arguments: object, stdin: str | None = None, **environment: str) -> Said:
        """Run a command to its end."""
        known = {"HEADGATE_URL": self.url, "HEADGATE_TOKEN": self.token}
        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, known | environment),
            patch.object(sys, "stdin", io.StringIO(stdin or "", newline="")),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            COMMAND.main(list(map(str, arguments)), prog_name="headgate")
        assert isinstance(end.value.code, int)
        return Said(end.value.code, out.getvalue(), err.getvalue())

    def get(self, *arguments: object, stdin: str | None = None, **environment: str) -> Said:
        """Run a command that does what it is asked."""
        said = self.say(*arguments, stdin=stdin, **environment)
        assert said.code == 0, said
        return said

    def refused(self, *arguments: object, code: int, stdin: str | None = None, **environment: str) -> str:
        """Run a command that does not; its one line."""
        said = self.say(*arguments, stdin=stdin, **environment)
        assert said.code == code, said
        assert said.out == ""
        assert said.err.startswith("headgate: ")
        assert said.err.count("\n") == 1
        return said.err


def register(port: int, *endpoints: str) -> None:
    """Devices that register and say nothing more; the server has stored them on return."""
    with Peer(port) as peer:
        for number, endpoint in enumerate(endpoints):
            name = f"ep={endpoint}".encode()
            options = [(11, b"rd"), (12, b"\x28"), (15, name), (15, b"lwm2m=1.1")]
            request = Message(
                type=0, code=2, message_id=number, token=b"t", options=options, payload=b"</5/0>"
            )
            assert peer.exchange(request.encode(), number).code == CREATED
