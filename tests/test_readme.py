"""README's commands and examples, run as a reader would."""

from __future__ import annotations

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


def test_python_examples_run():
    """Each one in a fresh interpreter, to the end, without a warning."""
    examples = [text for kind, text in BLOCKS if kind == "python"]
    assert examples
    for example in examples:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert re.search(r"coap://127\.0\.0\.1:\d+/[\w-]{16} 0", done.stdout)


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
