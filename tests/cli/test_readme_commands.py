"""README's operating commands, run as a shell would, against a server with simulated devices."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from string import Template

from cli_asking import Operator, Said

README = Path(__file__).parent.parent.parent / "README.md"
ASSIGNED = re.compile(r"(\w+)=\$\((.*)\)")


def commands() -> list[str]:
    """Its commands in order, each in one line."""
    marked = rf"<!-- run by tests/cli/{Path(__file__).name} -->\n```sh\n(.*?)^```"
    (block,) = re.findall(marked, README.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def run(operator: Operator, command: str, variables: dict[str, str]) -> Said:
    """Run a command that may use variables, and may set one."""
    assigned = ASSIGNED.fullmatch(command)
    words = shlex.split(Template(assigned[2] if assigned else command).substitute(variables), comments=True)
    assert words[0] == "headgate"
    said = operator.get(*words[1:], HEADGATE_STORE__DIRECTORY=str(operator.data))
    if assigned:
        (variables[assigned[1]],) = said.lines
    return said


def test_an_operators_day(healthy_operator: Operator, tmp_path: Path, monkeypatch):
    """Every command does what it is asked; the devices run the new version at its end."""
    monkeypatch.chdir(tmp_path)
    Path("router-2.0.bin").write_bytes(os.urandom(2048))
    variables: dict[str, str] = {}
    said = {command: run(healthy_operator, command, variables) for command in commands()}
    (watched,) = [each for command, each in said.items() if "campaign watch" in command]
    assert watched.lines[-1].startswith("ended, stage 3 of 3: 12 of 12 devices through, 12 succeeded")
    (explained,) = [each for command, each in said.items() if "device explain" in command]
    assert explained.out.strip()
    (failed,) = [each for command, each in said.items() if "--state failed" in command]
    assert failed.out == ""
    (dry,) = [each for command, each in said.items() if "--dry-run" in command]
    assert len(dry.lines) == 12
    assert "12 of 12 devices run the new version." in Path("report.html").read_text("utf-8")
    assert len(said) > 10
