"""What people see on a terminal; how soon; and what their shell can complete."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from cli_asking import Operator, register
from headgate.cli import status
from headgate.upgrade.failure import Failure

HEAVY = (
    "asyncio",
    "fastapi",
    "httpx",
    "pydantic_settings",  # pydantic itself is Typer's
    "sqlalchemy",
    "uvloop",
    "headgate.edge",
    "headgate.server",
)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(operator: Operator, *arguments: object, stdin: str = "") -> tuple[int, str]:
    """The exit code of a command that has a terminal of 100 columns, and what is drawn there."""
    ours, theirs = pty.openpty()
    environment = os.environ | {
        "HEADGATE_URL": operator.url,
        "HEADGATE_TOKEN": operator.token,
        "COLUMNS": "100",
        "TERM": "xterm",
    }
    command = [sys.executable, "-m", "headgate", *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        if stdin:
            os.write(ours, stdin.encode())
        drawn = b""
        try:
            while piece := os.read(ours, 65536):
                drawn += piece
        except OSError:
            pass  # EIO: the other side is closed
        os.close(ours)
        process.wait(30)
    return process.returncode, drawn.decode()


@pytest.fixture(scope="module")
def pid(operator, tmp_path_factory) -> str:
    """A package."""
    file = tmp_path_factory.mktemp("package") / "fw.bin"
    file.write_bytes(b"the new firmware" * 100)
    return operator.get("package", "add", file, "--version", "V2", "--name", "[red]two[/red]").lines[0]


def test_a_list_is_a_table_and_no_markup(operator, pid):
    """What somebody has named is shown as it is."""
    code, drawn = on_terminal(operator, "package", "list")
    assert code == 0
    head, row = [line.split() for line in CONTROL.sub("", drawn).splitlines()]
    assert head == ["pid", "version", "kind", "bytes", "product", "name", "added"]
    assert row[:6] == [pid, "V2", "firmware", "1,600", "-", "[red]two[/red]"]


def test_a_campaign_is_asked_about_made_and_watched(operator, pid):
    """The question names how many and what; the watch draws until the campaign is through."""
    register(operator.port, "t1")
    create = ("campaign", "create", "--package", pid, "--endpoint", "t1", "--name", "[b]\x1b[2J")
    code, drawn = on_terminal(operator, *create, stdin="n\n")
    assert code == 1
    assert "Upgrade 1 devices to V2? [y/N]" in drawn
    code, drawn = on_terminal(operator, *create, stdin="y\n")
    assert code == 0
    campaign = re.search(r"campaign (\w+): `headgate campaign watch", drawn)[1]
    operator.get("campaign", "stop", campaign, "--yes")
    code, drawn = on_terminal(operator, "campaign", "watch", campaign)
    assert code == 1
    assert "\x1b[2J" not in drawn
    shown = CONTROL.sub("", drawn)
    assert f"campaign {campaign} [b]\\x1b[2J: V2, stopped" in shown
    assert re.search(r"█{30} 1 of 1 devices", shown)
    assert re.search(r"cancelled +1 +█{30}", shown)


def test_help_is_there_at_once():
    """Nothing that takes long to import is imported for it, nor for a command that does not need it."""
    code = (
        "import sys\nfrom headgate.__main__ import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "campaign", "create", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert "--error-threshold" in done.stdout
    assert done.stderr == "[]\n"


def test_shells_complete_commands_options_and_choices():
    """As `headgate --install-completion` has the shell ask."""

    def completed(line: str) -> set[str]:
        environment = {"_HEADGATE_COMPLETE": "complete_bash", "COMP_WORDS": line}
        environment["COMP_CWORD"] = str(len(line.split(" ")) - 1)
        said = Operator("", "t", None).say(**environment)
        return set(said.out.split())

    assert {"package", "campaign", "device", "cell", "token", "hook", "doctor", "config"} <= completed(
        "headgate "
    )
    assert completed("headgate campaign re") == {"report", "resume", "retry"}
    assert "--gate-success" in completed("headgate campaign create --")
    assert completed("headgate campaign create --confirm ") == {"none", "start", "stages"}


def test_a_cause_is_shown_with_what_to_do(capsys):
    """For each published cause that there is."""
    status.advise({"failures": {failure.value: 1 for failure in Failure}})
    said = capsys.readouterr().out
    assert all(f"\n{failure.value}: " in said for failure in Failure)
    status.advise({"failures": {}})
    assert capsys.readouterr().out == ""
