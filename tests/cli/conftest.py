"""Runs the command line as a user does: in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli_asking import Operator
from headgate.server import Config, Server
from headgate.wire.coap import Message

PATIENCE_S = 30.0  # far beyond what any of this takes


class Running:
    """`headgate edge --json ...`, up and listening on 127.0.0.1."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "headgate", "edge", "--json"),
                *("--host", "127.0.0.1", "--port", "0"),
                *map(str, arguments),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.listening = self.line()

    def line(self) -> dict[str, Any]:
        """The next JSON line."""
        text = self.process.stdout.readline()
        assert text, self.process.stderr.read()
        return json.loads(text)

    def line_of(self, event: str) -> dict[str, Any]:
        """The next JSON line of this event."""
        while (line := self.line())["event"] != event:
            pass
        return line

    def get(self, path: str) -> Message:
        """The answer to one GET without options but the path."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_S)
            client.connect(("127.0.0.1", self.listening["port"]))
            options = [(11, part.encode()) for part in path.split("/")]
            client.send(Message(type=0, code=1, message_id=1, token=b"t", options=options).encode())
            return Message.parse(client.recv(2048))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, dict[str, Any], str]:
        """Stop it: exit code, last line, standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, json.loads(out.splitlines()[-1]), err


@pytest.fixture
def edge() -> Iterator[Callable[..., Running]]:
    """Starts `headgate edge` with these arguments; what still runs at the end is killed."""
    started: list[Running] = []

    def start(*arguments: object) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()


@pytest.fixture
def refused() -> Callable[..., str]:
    """Runs a command that must end at once with exit code 2; its one line of standard error."""

    def run(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "headgate", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 2, done
        assert done.stdout == ""
        assert done.stderr.startswith("headgate: ")
        assert done.stderr.count("\n") == 1
        return done.stderr

    return run


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Who asks a server that a thread of its own runs, for all tests of a file."""
    data = tmp_path_factory.mktemp("served") / "data"
    there, over = threading.Event(), threading.Event()
    found: list[Operator] = []

    async def main() -> None:
        config = Config(coap={"host": "127.0.0.1", "port": 0}, store={"directory": data}, http={"port": 0})
        async with Server(config) as server:
            http = await server.serve_http()
            found.append(Operator(http.url, http.token_file.read_text().strip(), data, server.port))
            there.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=[main()])
    thread.start()
    try:
        assert there.wait(PATIENCE_S)
        yield found[0]
    finally:
        over.set()
        thread.join()
