"""`headgate edge`: what it serves, says and refuses."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headgate import Edge
from headgate.cli.serving import FileServer, ServedFile
from headgate.wire.block import Block
from headgate.wire.coap import Message


def test_files_and_folders_are_served_by_name(edge, tmp_path):
    """A file by its name, a folder's files by their names relative to it; hidden ones are passed over."""
    (tmp_path / "packages" / "radio" / ".git").mkdir(parents=True)
    (tmp_path / "one.bin").write_bytes(b"one")
    (tmp_path / "packages" / "two.bin").write_bytes(b"two")
    (tmp_path / "packages" / "radio" / "three.bin").write_bytes(b"three")
    (tmp_path / "packages" / ".hidden").write_bytes(b"hidden")
    (tmp_path / "packages" / "radio" / ".git" / "config").write_bytes(b"hidden")
    running = edge(tmp_path / "one.bin", tmp_path / "packages")
    listed = {package["path"]: package for package in running.listening["packages"]}
    assert set(listed) == {"one.bin", "two.bin", "radio/three.bin"}
    assert listed["one.bin"]["sha256"] == hashlib.sha256(b"one").hexdigest()
    assert listed["one.bin"]["uri"] == f"coap://127.0.0.1:{running.listening['port']}/one.bin"
    assert running.get("radio/three.bin").payload == b"three"
    assert running.get(".hidden").code == 0x84


def test_prefix_stands_before_every_path(edge, tmp_path):
    """With or without slashes around it."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    running = edge(tmp_path / "v2.bin", "--prefix", "/fw/router/")
    assert running.get("fw/router/v2.bin").payload == b"new"


def test_sigterm_and_sigint_end_well(edge, tmp_path):
    """Exit code 0, and a last line with what was served."""
    (tmp_path / "v2.bin").write_bytes(bytes(600))
    for number in (signal.SIGTERM, signal.SIGINT):
        running = edge(tmp_path / "v2.bin")
        assert len(running.get("v2.bin").payload) == 512
        code, stopped, errors = running.end(number)
        assert (code, errors) == (0, "")
        assert stopped["event"] == "stopped"
        assert (stopped["stats"]["blocks"], stopped["stats"]["payload_bytes"]) == (1, 512)


def test_sigterm_while_files_are_copied_ends_it_at_once(tmp_path):
    """The copy is given up, nothing was served, and nothing is said."""
    source, spool = tmp_path / "large.bin", tmp_path / "spool"
    spool.mkdir()
    with source.open("wb") as file:
        file.truncate(1 << 30)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "headgate", "edge", "--json", "--port", "0"),
            *("--smallest-block", "1024", "--spool", str(spool), str(source)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    def copied_bytes() -> int:
        found = [0]
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor).startswith(f"{spool}/"):
                    found.append(descriptor.stat().st_size)
        return max(found)

    while copied_bytes() == 0:
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 0


def test_nothing_is_answered_before_all_is_published(tmp_path):
    """A device that resumes after a restart would give up at a 4.04; a lost request it repeats."""
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(200 << 20)
    (tmp_path / "small.bin").write_bytes(b"small")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "headgate", "edge", "--host", "127.0.0.1", "--port", port),
            *("--smallest-block", "1024", str(tmp_path / "large.bin"), str(tmp_path / "small.bin")),
        ],
        stdout=subprocess.PIPE,
    )
    request = Message(type=0, code=1, message_id=1, token=b"t", options=[(11, b"small.bin")]).encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.connect(("127.0.0.1", int(port)))
        device.settimeout(0.01)
        answer = None
        while answer is None:
            assert process.poll() is None
            with contextlib.suppress(ConnectionRefusedError, TimeoutError):
                device.send(request)
                answer = Message.parse(device.recv(2048))
    process.terminate()
    process.communicate(timeout=30)
    assert answer.payload == b"small"


def test_status_lines_count_blocks_and_downloads(edge, tmp_path):
    """One a second: rates, downloads to the end in the last minute, and every counter."""
    (tmp_path / "v2.bin").write_bytes(b"small")
    running = edge(tmp_path / "v2.bin", "--threads", "2")
    running.get("v2.bin")
    running.get("nothing")
    while (status := running.line_of("status"))["stats"]["received"] < 2:
        pass
    assert status["downloads_last_minute"] == 1
    assert status["stats"]["answered"]["4.04"] == 1
    assert status["blocks_per_s"] >= 0
    assert status["bytes_per_s"] >= 0


@pytest.mark.parametrize("json_lines", [False, True])
def test_a_listener_that_fails_ends_it(tmp_path, monkeypatch, capfd, json_lines):
    """Nobody is served any more: exit code 1, so that a supervisor starts another one."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    monkeypatch.setattr(Edge, "failure", OSError(errno.EBADF, "Bad file descriptor"))
    served = [ServedFile("v2.bin", tmp_path / "v2.bin")]
    server = FileServer(served, json=json_lines, host="127.0.0.1", port=0)
    assert asyncio.run(server.serve()) == 1
    assert capfd.readouterr().err == "headgate: a listener failed: [Errno 9] Bad file descriptor\n"


def test_block_sizes_are_as_told(edge, tmp_path):
    """Default and largest block; a smaller one than offered is refused with 4.00."""
    (tmp_path / "v2.bin").write_bytes(bytes(3000))
    running = edge(
        tmp_path / "v2.bin", "--smallest-block", "64", "--default-block", "128", "--largest-block", "256"
    )
    block2 = dict(running.get("v2.bin").options)[23]
    assert Block.parse(block2) == Block(0, True, 3)


def test_a_served_file_may_be_truncated(edge, tmp_path):
    """What is served is an own copy."""
    source = tmp_path / "v2.bin"
    source.write_bytes(bytes(1 << 20))
    running = edge(source)
    source.write_bytes(b"")
    assert running.get("v2.bin").payload == bytes(512)


def test_people_get_a_table_and_a_line(tmp_path):
    """On a terminal: what is served and where, then one line that is rewritten."""
    (tmp_path / "v2.bin").write_bytes(b"small")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "headgate",
            "edge",
            str(tmp_path / "v2.bin"),
            "--host",
            "127.0.0.1",
            "--port",
            "0",
        ],
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "160"},
    )
    os.close(theirs)
    shown = ""
    while "blocks/s" not in shown:
        shown += os.read(ours, 4096).decode()
    process.send_signal(signal.SIGINT)
    while True:
        try:
            more = os.read(ours, 4096).decode()
        except OSError:  # the other end is closed
            break
        shown += more
    os.close(ours)
    assert process.wait(30) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert re.search(r"coap://127\.0\.0\.1:\d+/v2\.bin", plain)
    assert "downloads in the last minute" in plain
    assert "served 0 blocks" in plain


class TestRefused:
    """Wrong usage: one line that says what to do, exit code 2."""

    def test_nothing_there(self, refused, tmp_path):
        """A path that does not exist."""
        assert str(tmp_path / "nothing") in refused("edge", tmp_path / "nothing")

    def test_a_name_that_a_terminal_would_obey(self, refused, tmp_path):
        """What it says stays one line, and moves no cursor."""
        said = refused("edge", tmp_path / "no\x1b[2J\nsuch \udcff")
        assert said.endswith("no\\x1b[2J\\nsuch \\udcff\n")

    def test_empty_folder(self, refused, tmp_path):
        """A folder without files."""
        assert "nothing to serve" in refused("edge", tmp_path)

    def test_not_a_regular_file(self, refused, tmp_path):
        """A named pipe would block for ever."""
        os.mkfifo(tmp_path / "pipe")
        assert "not a regular file" in refused("edge", tmp_path / "pipe", "--port", "0")

    def test_unreadable(self, refused, tmp_path):
        """A file that no one can open, root neither: a link to itself."""
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        assert "loop" in refused("edge", tmp_path / "loop", "--port", "0")

    def test_two_files_of_one_path(self, refused, tmp_path):
        """Only one of them could be served."""
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "v2.bin").write_bytes(folder.encode())
        assert "would both be served" in refused("edge", tmp_path / "a", tmp_path / "b")

    def test_too_large_for_the_smallest_block(self, refused, tmp_path):
        """RFC 7959 section 2.2: 2**20 blocks; the message says which smallest block would do."""
        with (tmp_path / "large").open("wb") as file:
            file.truncate((16 << 20) + 1)
        assert "no block below 32 bytes" in refused("edge", tmp_path / "large", "--port", "0")

    def test_too_large_for_block2(self, refused, tmp_path):
        """2**20 blocks of 1024 bytes are the most; a sparse file of more is refused unread."""
        with (tmp_path / "large").open("wb") as file:
            file.truncate((1 << 30) + 1)
        assert "the most that Block2 can carry" in refused(
            "edge", tmp_path / "large", "--port", "0", "--smallest-block", "1024"
        )

    @pytest.mark.parametrize("threads", ["0", "2"])
    def test_port_taken(self, refused, tmp_path, threads):
        """Also by someone who would share it: two servers on one port lose each other's datagrams."""
        (tmp_path / "v2.bin").write_bytes(b"new")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            said = refused(
                "edge", tmp_path / "v2.bin", "--host", "127.0.0.1", "--port", port, "--threads", threads
            )
        assert f"UDP port {port}" in said
        assert "is taken" in said

    def test_address_of_another_machine(self, refused, tmp_path):
        """192.0.2.0/24 is for documentation (RFC 5737): nobody has it."""
        (tmp_path / "v2.bin").write_bytes(b"new")
        assert "not one of this machine's" in refused("edge", tmp_path / "v2.bin", "--host", "192.0.2.1")

    def test_impossible_block_size(self, refused, tmp_path):
        """A power of two in 16..1024."""
        (tmp_path / "v2.bin").write_bytes(b"new")
        assert "not 500" in refused("edge", tmp_path / "v2.bin", "--default-block", "500")

    def test_no_spool(self, refused, tmp_path):
        """The own copies need a place."""
        (tmp_path / "v2.bin").write_bytes(b"new")
        said = refused("edge", tmp_path / "v2.bin", "--port", "0", "--spool", tmp_path / "nowhere")
        assert str(tmp_path / "nowhere") in said


def test_nowhere_to_write_to_is_one_line(tmp_path):
    """A log on a full disk: a fault, not a wrong usage."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "headgate", "edge", "--json", "--port", "0", str(tmp_path / "v2.bin")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "headgate: No space left on device\n")


def test_a_reader_that_has_stopped_stops_no_download(tmp_path):
    """Nobody empties the pipe any more: status lines are left out, requests are answered, and it ends."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    readable, writable = os.pipe()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "headgate", "edge", "--json"),
            *("--host", "127.0.0.1", "--port", "0", str(tmp_path / "v2.bin")),
        ],
        stdout=writable,
    )
    with open(readable, "rb") as reader, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        listening = json.loads(reader.readline())
        os.set_blocking(writable, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writable, bytes(4096))
        os.set_blocking(writable, True)
        os.close(writable)
        device.settimeout(30)
        device.connect(("127.0.0.1", listening["port"]))
        until_s = time.monotonic() + 1.5  # a status line was due in the meantime
        while time.monotonic() < until_s:
            device.send(b"\x40\x00\x00\x01")
            assert device.recv(100) == b"\x70\x00\x00\x01"
        process.terminate()
        assert process.wait(30) == 0


def test_it_runs_with_its_standard_streams_closed(tmp_path):
    """As under some supervisors: no socket gets a number of theirs, and it ends well."""
    (tmp_path / "v2.bin").write_bytes(b"new")
    process = subprocess.Popen(
        [
            *("/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, "-m", "headgate", "edge"),
            *("--json", "--host", "127.0.0.1", "--port", "0", str(tmp_path / "v2.bin")),
        ]
    )

    def sockets() -> set[int]:
        found = set()
        for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor).startswith("socket:"):
                    found.add(int(descriptor.name))
        return found

    while len(sockets()) < 3:  # two of the loop, and the edge's own
        assert process.poll() is None
    assert min(sockets()) > 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_more_files_than_the_soft_limit_allows_open(tmp_path):
    """A package that is served holds no descriptor."""
    for number in range(40):
        (tmp_path / f"{number}").write_bytes(bytes(1 << 16))
    process = subprocess.Popen(
        [
            *("/bin/sh", "-c", 'ulimit -Sn 32; exec "$0" "$@"', sys.executable, "-m", "headgate", "edge"),
            *("--json", "--host", "127.0.0.1", "--port", "0", str(tmp_path)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert said.count('"path"') == 40, errors


def test_unknown_option_is_wrong_usage():
    """Exit code 2, with the way to the help."""
    done = subprocess.run(
        [sys.executable, "-m", "headgate", "edge", "--frobnicate"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--help" in done.stderr


def test_version_and_help():
    """Both end well; help names the commands."""
    for arguments, expected in (
        (["--version"], "headgate 0."),
        (["--help"], "edge"),
        (["edge", "--help"], "--threads"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "headgate", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout


def test_without_the_extra_the_command_says_what_to_install():
    """The base install has neither Typer nor Rich: one line, exit code 1."""
    program = (
        "import importlib.util, sys; real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'typer' else real(name, *rest)\n"
        "import headgate.__main__ as command; command.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "headgate: the command line needs typer: pip install 'headgate[server]'\n"
