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
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli_asking import Operator
from headgate.fleet.population import Population
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet
from headgate.server import Config, Server
from headgate.wire.coap import Message
from peer import until

PATIENCE_S = 30.0  # far beyond what any of this takes
SPEED = 100.0  # how much faster simulated devices live


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


@contextmanager
def served(data: Path, population: Population | None = None) -> Iterator[Operator]:
    """A server in a thread of its own, with devices where some are wanted, and who asks it."""
    there, over = threading.Event(), threading.Event()
    found: list[Operator] = []

    async def main() -> None:
        config = Config(coap={"host": "127.0.0.1", "port": 0}, store={"directory": data}, http={"port": 0})
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(Server(config))
            http = await server.serve_http()
            if population is not None:
                address = ("127.0.0.1", server.port)
                link = LinkSettings(loss=0.0)
                fleet = Fleet(population.make(), server=address, link=link, seed=population.seed, speed=SPEED)
                await stack.enter_async_context(fleet)
            loop = asyncio.get_running_loop()

            def on_loop(do: Callable[[Server], None]) -> None:
                async def doing() -> None:
                    do(server)

                asyncio.run_coroutine_threadsafe(doing(), loop).result(PATIENCE_S)

            found.append(Operator(http.url, http.token_file.read_text().strip(), data, server.port, on_loop))
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


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Who asks a server that has no devices but those that a test registers; one for all tests of a file."""
    with served(tmp_path_factory.mktemp("served") / "data") as somebody:
        yield somebody


def twelve(faulty: int) -> Population:
    """Devices in one cell, so many of which say Result 5 to each package; all quick to answer."""
    return Population(
        devices=12,
        cells=1,
        bands=(1.0, 0.0, 0.0),
        faulty=faulty / 12,
        faults=("Result 5",),
        moving=0.0,
        quirky=0.0,
        power_cuts=0.0,
        boot_within_s=1.0,
        report_interval_s=0.2 * SPEED,
        awake_s=20.0 * SPEED,
    )


@pytest.fixture
def fleet_operator(tmp_path: Path) -> Iterator[Operator]:
    """Who asks a server with twelve devices, one of which fails."""
    with served(tmp_path / "data", twelve(1)) as somebody:
        until(lambda: len(somebody.get("device", "list").lines) == 12)
        yield somebody


@pytest.fixture
def healthy_operator(tmp_path: Path) -> Iterator[Operator]:
    """The same where none does."""
    with served(tmp_path / "data", twelve(0)) as somebody:
        until(lambda: len(somebody.get("device", "list").lines) == 12)
        yield somebody
