"""`headgate fleet`: simulated devices against a server, from the command line."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from headgate.cli.fleet import ServerUriError, server_address
from headgate.wire.coap import Message
from peer import loopback_addresses
from reference.block2_server import CON


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command, its lines to be read."""
    return subprocess.Popen(
        [sys.executable, "-m", "headgate", "fleet", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(*arguments: str) -> tuple[int, str]:
    """Exit code and complaint of a command that ends by itself."""
    with start(*arguments) as process:
        _, complaint = process.communicate(timeout=60)
        return process.returncode, complaint


@pytest.fixture
def udp() -> Iterator[tuple[socket.socket, int]]:
    """A socket on loopback that a test is the server of, and its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(30.0)
        yield server, server.getsockname()[1]


def test_devices_register_until_the_command_is_ended(udp):
    """Each with a name of its own; SIGINT ends it with exit code 0 and a last line."""
    server, port = udp
    with start(
        "--server", f"coap://127.0.0.1:{port}", "--devices", "5", "--speed", "100", "--loss", "0", "--json"
    ) as process:
        named = set()
        while len(named) < 5:
            message = Message.parse(server.recv(2048))
            assert message.type == CON
            named |= {value for number, value in message.options if number == 15 and value[:3] == b"ep="}
        process.send_signal(signal.SIGINT)
        lines, complaint = process.communicate(timeout=60)
        events = [json.loads(line) for line in lines.splitlines()]
        assert (process.returncode, complaint) == (0, "")
    assert named == {f"ep=urn:dev:headgate-{number:05}".encode() for number in range(5)}
    assert events[0]["event"] == "started"
    assert events[0]["devices"] == 5
    assert events[-1]["event"] == "stopped"
    assert events[-1]["counts"]["sent"] >= 5
    assert events[-1]["versions"] == {"V1.0": 5}


def test_a_share_of_the_devices_is_upgraded_by_pcp(udp):
    """Of both generations; a fault goes to the devices whose kind has it."""
    _, port = udp
    share = ("--devices", "40", "--software", "0.5", "--faulty", "0.2", "--faults", "22: 07", "--json")
    with start("--server", f"coap://127.0.0.1:{port}", *share) as process:
        started = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == ""
    styles = started["styles"]
    assert styles["older PCP"] == styles["newer PCP"] == 10
    assert sum(styles.values()) == 40
    assert started["faults"] == {"22: 07": 4}


@pytest.mark.parametrize("uri", ["http://127.0.0.1", "coap://127.0.0.1/path", "127.0.0.1", "coap://h:x"])
def test_a_server_that_is_none_is_wrong_usage(uri):
    """Exit code 2 and one line."""
    code, complaint = finished("--server", uri)
    assert code == 2
    assert complaint.count("\n") == 1
    assert "coap://host[:port]" in complaint


def test_a_fault_that_does_not_exist_is_wrong_usage():
    """The message names those that do."""
    code, complaint = finished("--server", "coap://127.0.0.1", "--faults", "melts")
    assert code == 2
    assert "stalls" in complaint


def test_addresses_of_both_families_are_taken():
    """With a port, or the one of CoAP."""
    assert server_address("coap://127.0.0.1") == ("127.0.0.1", 5683)
    if "::1" in loopback_addresses():
        assert server_address("coap://[::1]:9") == ("::1", 9)
    with pytest.raises(ServerUriError):
        server_address("coaps://127.0.0.1")
