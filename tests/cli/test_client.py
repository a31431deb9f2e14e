"""Where a server is, who asks, and what it means when no answer comes."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli_asking import Operator
from headgate.cli.client import DATA, TOKEN_FILE, Client, secret_of
from headgate.cli.options import URL
from headgate.cli.saying import CommandError
from headgate.config import Config
from headgate.server.http import TOKEN


def test_defaults_are_those_of_the_server():
    """`headgate serve` and the commands beside it need no options."""
    config = Config()
    assert f"http://{config.http.host}:{config.http.port}" == URL
    assert (config.store.directory, TOKEN) == (DATA, TOKEN_FILE)


@contextmanager
def answering(status: int, headers: dict[str, str], body: bytes) -> Iterator[tuple[str, list[str]]]:
    """An HTTP server that always says the same; its address, and the keys that it was sent."""
    keys: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            keys.append(self.headers["Idempotency-Key"])
            self.rfile.read(int(self.headers["Content-Length"]))
            if len(keys) == 1:
                self.close_connection = True  # the answer is lost
                return
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", keys
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:8080", "http://", "http://x:nonsense", "http://x?y", "http://a@x", ""]
)
def test_a_url_that_is_none_is_wrong_usage(url):
    """One line says what is wanted."""
    said = Operator(url, "t", Path()).refused("device", "list", "--url", url, code=2)
    assert "--url is http://host[:port]" in said


def test_where_nobody_answers(tmp_path):
    """Exit code 1, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    said = Operator(url, "t", tmp_path).refused("device", "list", code=1)
    assert f"no server answers at {url}" in said


@pytest.mark.parametrize(
    ("status", "headers", "body", "wanted"),
    [
        (200, {}, b"", "no Headgate"),
        (502, {}, b"<html>bad gateway</html>", "answers 502"),
        (301, {"Location": "https://elsewhere/"}, b"", "answers 301 Moved Permanently to https://elsewhere/"),
        (404, {}, b'{"detail": "Not Found"}', "another version of Headgate"),
        (500, {}, b'{"detail": "\x1b[2J\\n"}', "headgate: http"),
    ],
)
def test_something_else_answers(tmp_path, status, headers, body, wanted):
    """It is named; a redirection is not followed, since whoever is there would be told the token."""
    with answering(status, headers, body) as (url, _):
        said = Operator(url, "t", tmp_path).refused("device", "list", code=1)
    assert wanted in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    "command",
    [
        ("campaign", "pause", "c", "--reason", "\udcff"),
        ("device", "list", "--prefix", "\udcff"),
        ("token", "add", "\udcff", "--scope", "read"),
        ("campaign", "create", "--package", "0" * 16, "--all", "--yes", "--idempotency-key", "\udcff"),
    ],
    ids=lambda command: "-".join(command[:2]),
)
def test_bytes_that_are_no_text_are_wrong_usage(tmp_path, command):
    """As a shell passes them: there is no character for them to be sent."""
    with answering(200, {}, b"{}") as (url, keys):
        keys.append("")
        said = Operator(url, "t", tmp_path).refused(*command, code=2)
    assert "no text" in said


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b'{"items": 1}', b"[" * 100_000, b'{"state": "running"}'],
    ids=lambda body: body[:8],
)
@pytest.mark.parametrize(
    "command",
    [
        ("campaign", "watch", "c"),
        ("campaign", "report", "c", "-o", "-"),
        ("campaign", "retry", "c", "--all"),
        ("device", "explain", "d"),
        ("cell", "show", "1A"),
        ("hook", "replay", "h"),
    ],
    ids="-".join,
)
def test_json_of_another_program_is_one_line(tmp_path, body, command):
    """Whatever is missing in it: no command ends by a trace."""
    with answering(200, {}, body) as (url, keys):
        keys.append("")  # no answer is lost
        said = Operator(url, "t", tmp_path).refused(*command, code=1)
    assert "no Headgate there" in said


def test_a_lost_answer_is_asked_for_again_with_the_same_key(monkeypatch):
    """So that a campaign whose making was not told is not made twice."""
    monkeypatch.setattr("headgate.cli.client.AGAIN_S", (0.0,))
    with answering(201, {}, b'{"id": "c"}') as (url, keys), Client(url, "t") as client:
        assert client.post_once("/campaigns", {}, "key") == {"id": "c"}
    assert keys == ["key", "key"]


def test_the_token_of_the_data_directory_is_told_to_this_machine_alone(tmp_path, monkeypatch):
    """Whoever asks another machine says with which token, or by --data that it is that server's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / DATA).mkdir()
    (tmp_path / DATA / TOKEN_FILE).write_text("secret\n")
    assert secret_of(None, None, local=True) == "secret"
    with pytest.raises(CommandError, match="--token or HEADGATE_TOKEN"):
        secret_of(None, None, local=False)
    assert secret_of(None, tmp_path / DATA, local=False) == "secret"
    assert secret_of("given", None, local=False) == "given"


@pytest.mark.parametrize("kept", [None, b"", b"\n", b"\xff", b"a\nb"])
def test_a_token_that_is_none_is_wrong_usage(tmp_path, kept):
    """Whether the file is missing, or holds something else."""
    if kept is not None:
        (tmp_path / TOKEN_FILE).write_bytes(kept)
    with pytest.raises(CommandError, match="token") as raised:
        secret_of(None, tmp_path, local=True)
    assert raised.value.exit_code == 2
