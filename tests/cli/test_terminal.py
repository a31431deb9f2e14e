"""What people see on a terminal; how soon; and what their shell can complete."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from unittest.mock import patch

import pytest
from rich.console import Console

from cli_asking import Operator, register
from headgate.cli import status
from headgate.cli.options import confirmed
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


def on_terminal(
    operator: Operator, *arguments: object, stdin: str = "", columns: int = 100, **more: str
) -> tuple[int, str]:
    """The exit code of a command that has a terminal of so many columns, and what is drawn there."""
    ours, theirs = pty.openpty()
    environment = os.environ | {
        "HEADGATE_URL": operator.url,
        "HEADGATE_TOKEN": operator.token,
        "COLUMNS": str(columns),
        "TERM": "xterm",
        **more,
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


def test_who_breaks_off_a_question_has_a_line_of_their_own(capsys):
    """Ctrl-C leaves the shell's prompt at the beginning of one."""
    with patch.object(sys, "stdin") as stdin:
        stdin.readline.side_effect = KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            confirmed("Is it meant?")
    assert capsys.readouterr().err == "Is it meant? [y/N] \n"


def test_a_narrow_terminal_breaks_no_id_and_cuts_nothing(operator, pid):
    """An id can be copied from a list; bars are as wide as there is room."""
    code, drawn = on_terminal(operator, "package", "list", columns=40)
    assert code == 0
    assert pid in drawn
    counts = {failure.value: 1 for failure in Failure}
    shown = {"stages": [], "states": {"failed": 17}, "tasks": 17, "failures": counts}
    console = Console(width=40, file=io.StringIO())
    console.print(status.parts(shown))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert "…" not in "".join(lines)
    assert sum("█" in line or "·" in line for line in lines) == 1 + len(counts)


def test_stages_are_a_line_each_on_eighty_columns():
    """However many devices they have."""
    stage = {"state": "running", "begun": 1_000_000, "ended": 1, "succeeded": 1, "failed": 0}
    stages = [stage | {"number": number, "devices": 1_000_000} for number in (1, 2)]
    console = Console(width=80, file=io.StringIO())
    console.print(status.parts({"stages": stages, "states": {}, "failures": {}}))
    _, head, *lines = console.file.getvalue().splitlines()
    assert head.split() == ["stage", "state", "devices", "begun", "ended", "succeeded", "failed"]
    assert [line.split()[0] for line in lines] == ["1", "2"]


def test_no_color_is_none(operator, pid):
    """https://no-color.org: no colours, whatever else a terminal can."""
    code, drawn = on_terminal(operator, "doctor", NO_COLOR="1")
    assert code in (0, 1)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", drawn)
    assert "\x1b[" in on_terminal(operator, "doctor")[1]


def test_an_empty_list_is_said_to_be(operator):
    """On a terminal, where nothing at all looks as if nothing had been asked."""
    code, drawn = on_terminal(operator, "hook", "list")
    assert (code, drawn) == (0, "headgate: there are none\r\n")
    assert operator.get("hook", "list").err == ""
    code, drawn = on_terminal(operator, "cell", "show", "460-00-1A2B")
    assert "nobody holds a slot" in drawn
    assert "nobody waits" in drawn


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
    assert "--stage 1%:success=99%" in done.stdout  # an example
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
    assert {"--timer", "--report-interval"} <= completed("headgate campaign create --")
    assert completed("headgate campaign create --timer o") == {"online="}
    assert completed("headgate campaign create --timer down") == {"download=", "download-start="}
    assert completed("headgate campaign create --retry inv") == {"invalid-uri="}
    assert completed("headgate campaign create --stage 1%:s") == {"1%:success="}
    assert completed("headgate campaign tasks c --cause int") == {"integrity"}
    assert completed("headgate campaign retry c --cause an") == {"any"}
    assert completed("headgate hook add https://a --event stage.") == {"stage.passed", "stage.held"}


def test_a_cause_is_shown_with_what_to_do(capsys):
    """For each published cause that there is; of one that only a newer server knows, as it came."""
    status.advise({"failures": {failure.value: 1 for failure in Failure} | {"Melted\x1b[2J": 1}})
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    sentences = [" ".join(each.split()) for each in said.split("\n\n")]
    assert [each.partition(": ")[0] for each in sentences[:-1]] == [failure.value for failure in Failure]
    assert sentences[-1] == "Melted\\x1b[2J"
    status.advise({"failures": {}})
    assert capsys.readouterr().out == ""
