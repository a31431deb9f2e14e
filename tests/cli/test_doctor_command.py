"""`headgate doctor`: what it finds on this machine, and that it finds what is wrong; it changes nothing."""

from __future__ import annotations

import errno
import resource
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cli_asking import Operator
from headgate.cli.doctor import kernel
from headgate.server.directory import SECRET_BYTES

FREE = ("--host", "127.0.0.1", "--port", 0, "--http-port", 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory that is not there."""
    return tmp_path / "data"


def found(folder: Path, *options: object, code: int, **environment: str) -> dict[str, dict[str, str]]:
    """What the doctor says of it, by name."""
    somebody = Operator("http://127.0.0.1:1", "t", folder)
    said = somebody.say("doctor", "--data", folder, *FREE, *options, "--json", **environment)
    assert said.code == code, said
    assert all(each["advice"] for each in said.jsons if each["level"] != "ok")
    assert (code == 1) == any(each["level"] == "fail" for each in said.jsons)
    return {each["name"]: each for each in said.jsons}


def levels(findings: dict[str, dict[str, str]], *names: str) -> list[str]:
    """How bad each of them is."""
    return [findings[name]["level"] for name in names]


def test_a_new_machine_is_looked_at_and_left_as_it_is(folder):
    """Kernel, limits, ports, data directory, database; exit code 0 as long as nothing fails."""
    findings = found(folder, code=0)
    needed = ("native modules", "recvmmsg", "sendmmsg", "SO_REUSEPORT", "data directory", "database")
    assert levels(findings, *needed) == ["ok"] * len(needed)
    assert {"open files", "receive buffer", "disk", "event loop", "UDP port 0", "TCP port 0"} < set(findings)
    assert not folder.exists()
    said = Operator("", "t", folder).get("doctor", "--data", folder, *FREE)
    assert [fields[:2] for fields in said.fields] == [
        [each["level"], name] for name, each in findings.items()
    ]


def test_beside_a_server_its_ports_are_as_they_should_be(operator):
    """They are taken by who holds the data directory."""
    tcp = int(operator.url.rpartition(":")[2])
    findings = found(operator.data, "--port", operator.port, "--http-port", tcp, code=0)
    assert findings[f"UDP port {operator.port}"]["said"].startswith("is taken, as it should be")
    assert findings[f"TCP port {tcp}"]["said"].startswith("is taken, as it should be")
    assert "in use by a server" in findings["data directory"]["said"]
    assert findings["secret"]["level"] == "ok"
    assert "; schema " in findings["database"]["said"]
    assert operator.get("device", "list").code == 0


def test_ports_that_others_have_fail(folder):
    """With the reason that a start would give."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", 0)) as tcp,
    ):
        udp.bind(("127.0.0.1", 0))
        ports = (udp.getsockname()[1], tcp.getsockname()[1])
        findings = found(folder, "--port", ports[0], "--http-port", ports[1], code=1)
    assert levels(findings, f"UDP port {ports[0]}", f"TCP port {ports[1]}") == ["fail", "fail"]
    assert findings[f"UDP port {ports[0]}"]["said"] == "is taken"
    tcp_said = findings[f"TCP port {ports[1]}"]
    assert tcp_said["said"] == "cannot be used: Address already in use"
    assert tcp_said["advice"] == "stop what listens there, or set http.host and http.port"


def test_a_database_of_a_newer_version_fails(folder):
    """As a start would refuse it; one without a schema gets it at the start."""
    folder.mkdir(mode=0o700)
    with closing(sqlite3.connect(folder / "headgate.db")) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        assert levels(found(folder, code=0), "database", "secret") == ["ok", "warn"]
        database.execute("INSERT INTO alembic_version VALUES ('zzzz')")
    findings = found(folder, code=1)
    assert "of a newer Headgate" in findings["database"]["said"]


def test_databases_that_do_not_answer_fail(folder):
    """A file that is none, a server that is not there, a URL that is none."""
    folder.mkdir(mode=0o700)
    (folder / "headgate.db").write_bytes(b"nonsense" * 100)
    assert "file is not a database" in found(folder, code=1)["database"]["said"]
    for url, said in (
        ("postgresql://headgate:s3cret@127.0.0.1:1/x", "Connection refused"),
        ("nonsense", "no database URL"),
        ("mysql://x/y", "mysql is no database for us"),
    ):
        finding = found(folder, code=1, HEADGATE_STORE__URL=url)["database"]
        assert said in finding["said"]
        assert "s3cret" not in finding["said"]


def test_a_data_directory_with_something_wrong(folder):
    """Who can read it, and whether the secret is one."""
    folder.write_text("")
    assert levels(found(folder, code=1), "data directory") == ["fail"]
    folder.unlink()
    folder.mkdir(mode=0o755)
    secret = folder / "secret"
    secret.write_bytes(bytes(SECRET_BYTES))
    secret.chmod(0o644)
    assert levels(found(folder, code=0), "data directory", "secret") == ["warn", "warn"]
    folder.chmod(0o700)
    secret.chmod(0o600)
    assert levels(found(folder, code=0), "data directory", "secret") == ["ok", "ok"]
    secret.write_bytes(b"short")
    assert levels(found(folder, code=1), "secret") == ["fail"]


def test_limits_that_are_too_low_are_warned_of(folder, monkeypatch):
    """The server runs with them, but not with all whom it should let in."""
    monkeypatch.setattr(resource, "getrlimit", lambda what: (256, 256))
    findings = found(folder, "--threads", 64, code=0, HEADGATE_COAP__RECEIVE_BUFFER_BYTES=str((1 << 31) - 1))
    assert levels(findings, "open files", "file size", "processors", "receive buffer") == ["warn"] * 4


@pytest.mark.parametrize("name", ["recvmmsg", "sendmmsg"])
def test_a_call_that_a_sandbox_refuses_fails(folder, monkeypatch, name):
    """The server knows no other way; that it is asked for at all is another test."""
    called = kernel.called
    monkeypatch.setattr(kernel, "called", lambda each: errno.EPERM if each == name else called(each))
    finding = found(folder, code=1)[name]
    assert (finding["level"], "EPERM" in finding["said"]) == ("fail", True)


def test_calls_are_really_made():
    """There is no such call, and the kernel says so."""
    assert kernel.called("recvmmsg") == errno.EAGAIN
    assert kernel.called("sendmmsg") == 0
    assert kernel.called("sendmmsg_of_tomorrow") == errno.ENOSYS


def test_a_setting_that_is_none_is_wrong_usage(folder):
    """There is nothing to look at before that is mended."""
    said = Operator("", "t", folder).refused("doctor", code=2, HEADGATE_COAP__PROT="1")
    assert "did you mean coap.port?" in said
