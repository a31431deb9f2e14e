"""`headgate serve` as an operator runs it: a process of its own, ended by a signal, explained in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from peer import Peer, get

PATIENCE_S = 60.0
CREATED = 0x41
SERVING = re.compile(r"headgate: serving on UDP port (\d+) of 127\.0\.0\.1, data in (.*): (.*)\n")
REGISTER = {
    "code": 2,
    "options": ((12, b"\x28"), (15, b"ep=device"), (15, b"lwm2m=1.1")),
    "payload": b"</5/0>",
}


RUNNING: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """A test that fails half-way leaves no process behind."""
    yield
    while RUNNING:
        with RUNNING.pop() as process:
            process.kill()


def command(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """The command, running."""
    process = subprocess.Popen(
        [sys.executable, "-m", "headgate", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HEADGATE_HTTP__ENABLED": "false"} | environment,
    )
    RUNNING.append(process)
    return process


class Serving:
    """`headgate serve`, up and listening on 127.0.0.1."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.process = command("--host", "127.0.0.1", "--port", 0, *arguments, **environment)
        line = self.process.stdout.readline()
        found = SERVING.fullmatch(line)
        assert found, line + self.process.stderr.read()
        self.port, self.data, self.there = int(found[1]), found[2], found[3]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stop it: exit code and standard error."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        assert out == ""
        return self.process.returncode, err


def refused(*arguments: object, **environment: str) -> tuple[int, str]:
    """The exit code of a command that ends by itself, and the one line that it says."""
    process = command(*arguments, **environment)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert out == ""
    assert err.count("\n") == 1, err
    return process.returncode, err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory."""
    return tmp_path / "data"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("threads", [0, 1])
def test_it_serves_until_it_is_told_to_stop(data, number, threads):
    """A registration that was answered is there after any end; a graceful one is a success without words."""
    server = Serving("--data", data, "--threads", threads)
    assert server.there == "0 devices, 0 campaigns under way, 0 packages"
    with Peer(server.port) as peer:
        assert peer.exchange(get("rd", **REGISTER), 1).code == CREATED
    code, err = server.end(number)
    assert (code, err) == ((0, "") if number != signal.SIGKILL else (-number, ""))
    again = Serving("--data", data)
    assert again.data == str(data)
    assert again.there.startswith("1 devices")
    assert again.end() == (0, "")


def test_flags_win_over_the_environment_and_the_file(data, tmp_path):
    """The data directory shows which one it was."""
    file = tmp_path / "headgate.toml"
    file.write_text(f"[store]\ndirectory = '{data}'\n")
    by_file = Serving(HEADGATE_CONFIG=str(file))
    assert by_file.data == str(data)
    by_file.end()
    by_environment = Serving("--config", file, HEADGATE_STORE__DIRECTORY=f"{data}-2")
    assert by_environment.data == f"{data}-2"
    by_environment.end()
    by_flag = Serving("--config", file, "--data", f"{data}-3", HEADGATE_STORE__DIRECTORY=f"{data}-2")
    assert by_flag.data == f"{data}-3"
    by_flag.end()


def test_what_keeps_it_from_starting_is_one_line(data, tmp_path):
    """1 for what failed, 2 for what was asked wrongly."""
    server = Serving("--data", data)
    code, line = refused("--data", data, "--port", 0)
    assert (code, "another server uses the data directory" in line) == (1, True)
    code, line = refused("--data", tmp_path / "other", "--host", "127.0.0.1", "--port", server.port)
    assert (code, f"UDP port {server.port} of 127.0.0.1 is taken" in line) == (2, True)
    server.end()
    code, line = refused("--data", data, HEADGATE_COAP__PROT="1")
    assert (code, "no setting coap.prot" in line) == (2, True)
    code, line = refused("--config", tmp_path / "missing.toml")
    assert (code, "missing.toml" in line) == (2, True)
    code, line = refused("--data", "/proc/headgate")
    assert (code, "cannot use the data directory" in line) == (1, True)


def test_a_newer_database_is_one_line(data):
    """Whoever goes back a version is told, and nothing is touched."""
    Serving("--data", data).end()
    with sqlite3.connect(data / "headgate.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    code, line = refused("--data", data, "--port", 0)
    assert code == 1
    assert "headgate: " in line
    assert "newer" in line


def test_the_log_can_be_for_machines(data):
    """One object per line, here of a store that fails: another program holds a lock."""
    server = Serving("--data", data, HEADGATE_LOG__FORMAT="json")
    other = sqlite3.connect(data / "headgate.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.sendto(get("rd", **REGISTER), ("127.0.0.1", server.port))
        while (failed := json.loads(server.process.stderr.readline()))["level"] != "error":
            assert failed["event"].startswith("old events could not be deleted")  # was it due just now?
        assert failed["event"].startswith("the store failed: no command is issued")
        assert "headgate.db" in failed["reason"]
        other.close()
        recovered = json.loads(server.process.stderr.readline())
        assert recovered["event"] == "the store takes commits again"
        assert device.recv(2048)[1] == CREATED
    assert server.end() == (0, "")


def test_the_api_is_served_and_its_first_token_is_named(tmp_path):
    """In a file of the operator's alone; the next start has a token already, and names none."""
    for start in range(2):
        server = Serving("--data", tmp_path, "--http-port", 0, HEADGATE_HTTP__ENABLED="true")
        line = server.process.stdout.readline()
        token_file = tmp_path / "api-token"
        named = f", its first token is in {token_file}" if start == 0 else ""
        found = re.fullmatch(rf"headgate: API at (http://127\.0\.0\.1:\d+/api/v1){re.escape(named)}\n", line)
        assert found, line
        assert token_file.stat().st_mode & 0o777 == 0o600
        with httpx.Client(headers={"Authorization": f"Bearer {token_file.read_text().strip()}"}) as client:
            assert client.get(f"{found[1]}/devices").json() == {"items": [], "next": None}
        line = server.process.stdout.readline()
        link = re.fullmatch(r"headgate: console at (http://127\.0\.0\.1:\d+)/login#(\S+) \(once.*\)\n", line)
        assert link, line
        with httpx.Client(base_url=link[1], headers={"Origin": link[1]}) as client:
            for code, after in ((link[2], 303), (link[2], 403)):
                client.cookies.clear()
                assert client.post("/login", data={"token": code}).status_code == after
        assert server.end() == (0, "")


def test_a_taken_tcp_port_is_told_in_one_line(tmp_path):
    """And devices are not served either: an operator who wanted an API shall notice."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused(
            *("--data", tmp_path, "--host", "127.0.0.1", "--port", 0, "--http-port", port),
            HEADGATE_HTTP__ENABLED="true",
        )
    assert code != 0
    assert f"TCP port {port} of 127.0.0.1 cannot be used: Address already in use" in said
