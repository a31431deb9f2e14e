"""README's commands and examples, run as a reader would."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "console" for line in text.splitlines() if line.strip()]


def printed(example: str) -> str:
    """What an example prints, in a fresh interpreter, to the end and without a warning."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_examples_run():
    """The edge gives a device a URI of its own; the server says why a device stands where it stands."""
    edge, server = (text for kind, text in BLOCKS if kind == "python")
    assert re.search(r"coap://127\.0\.0\.1:\d+/[\w-]{16} 0", printed(edge))
    explained, states = printed(server).splitlines()
    assert explained.startswith("waiting for ")
    assert explained.endswith("not known)")
    assert re.fullmatch(r"\{<State\.\w+: '\w+'>: 1\}", states)


def test_make_targets_exist_and_are_explained():
    """README's own, and every one that `make help` lists."""
    help_text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = set(re.findall(r"make (\w+)", help_text))
    named = {word for command in COMMANDS if command.startswith("make ") for word in command.split()[1:]}
    assert {"demo", "test"} <= named <= listed
    for target in listed:
        subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)


def test_every_command_is_one_this_file_knows():
    """A command that is added to README without a test fails here."""
    assert {shlex.split(command)[0] for command in COMMANDS} == {
        "make",
        "pip",
        "headgate",
        "coap-client-notls",
    }


def test_a_fleet_registers_as_shown(tmp_path):
    """`headgate serve` and `headgate fleet` exactly as README has them, but on a free port."""
    serve = next(command for command in COMMANDS if command.startswith("headgate serve"))
    fleet = next(command for command in COMMANDS if command.startswith("headgate fleet"))
    run = [sys.executable, "-m"]
    serving = subprocess.Popen(
        run + shlex.split(serve.replace("--port 5683", "--host 127.0.0.1 --port 0")),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = re.search(r"UDP port (\d+)", serving.stdout.readline())[1]
        devices = subprocess.Popen(
            run + shlex.split(fleet.replace("5683", port)) + ["--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            wanted = json.loads(devices.stdout.readline())["devices"]
            for line in devices.stdout:
                if json.loads(line)["counts"]["registered"] == wanted:
                    break
            else:
                pytest.fail("the devices never registered")
        finally:
            devices.terminate()
            devices.communicate()
    finally:
        serving.terminate()
        serving.communicate()
    assert (tmp_path / "headgate-data" / "headgate.db").exists()


def test_files_that_the_documents_name_exist():
    """A tour through rooms that are not there leads nowhere."""
    ours = re.compile(r"[`(]((?:src|ext|tests|bench|docs|adr)/[\w/.-]+)[`)]")
    named = [
        (document.name, path)
        for document in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for path in ours.findall(document.read_text(encoding="utf-8"))
    ]
    assert len(named) > 20
    missing = [
        each for each in named if not any((place / each[1]).exists() for place in (ROOT, ROOT / "docs"))
    ]
    assert missing == []


def test_served_files_can_be_fetched_as_shown(tmp_path):
    """`headgate edge` and a CoAP client exactly as README has them, but on a free port."""
    (serve,) = (command for command in COMMANDS if command.startswith("headgate edge"))
    (fetch,) = (command for command in COMMANDS if command.startswith("coap-client"))
    if shutil.which("coap-client-notls") is None:
        if os.environ.get("CI"):
            pytest.fail("coap-client-notls is missing: Debian's libcoap3-bin")
        pytest.skip("coap-client-notls is not installed (Debian: libcoap3-bin)")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        probe.bind(("::", 0))
        port = str(probe.getsockname()[1])
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "router-1.4.2.bin").write_bytes(os.urandom(100_001))
    serving = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(serve.replace("5683", port)), "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert "router-1.4.2.bin" in serving.stdout.readline()
        fetch = fetch.replace("127.0.0.1/", f"127.0.0.1:{port}/")
        subprocess.run(shlex.split(fetch), cwd=tmp_path, timeout=60, check=True)
    finally:
        serving.terminate()
        serving.communicate()
    assert (tmp_path / "copy.bin").read_bytes() == (tmp_path / "packages" / "router-1.4.2.bin").read_bytes()
