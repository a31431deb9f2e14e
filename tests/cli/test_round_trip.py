"""An operator's round trip by command line alone, with simulated devices that are really upgraded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli_asking import Operator
from peer import until

FAILURE = "Integrity check failure for new downloaded package"  # the text published for Result 5


@contextmanager
def watching(operator: Operator, campaign: str) -> Iterator[subprocess.Popen[str]]:
    """`headgate campaign watch`, in a process of its own."""
    environment = os.environ | {"HEADGATE_URL": operator.url, "HEADGATE_TOKEN": operator.token}
    command = [sys.executable, "-m", "headgate", "campaign", "watch", campaign, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_from_the_package_to_the_last_device(fleet_operator: Operator, tmp_path: Path):
    """Add a package, try dry, create, confirm, watch, pause, explain, resume, report, retry."""
    operator = fleet_operator
    file = tmp_path / "fw.bin"
    file.write_bytes(os.urandom(2048))
    (pid,) = operator.get("package", "add", file, "--version", "V2.0").lines

    targets = ("--package", pid, "--prefix", "urn:dev:headgate-", "--stage", "25%")
    dry = operator.get("campaign", "create", *targets, "--dry-run")
    assert len(dry.lines) == 12
    assert "stages of 3, 9 devices" in dry.err
    policy = ("--gate-success", "50%", "--error-threshold", "90%", "--minimum-executed", 5)
    how = ("--name", "north", "--confirm", "stages", "--retry", "invalid-uri=1@1m")
    (campaign,) = operator.get("campaign", "create", *targets, *policy, *how, "--yes").lines

    def shown() -> dict[str, Any]:
        status: dict[str, Any] = operator.get("campaign", "show", campaign, "--json").json
        return status

    until(lambda: shown()["state"] == "waiting")
    assert shown()["gate"] == {"success": 0.5, "error_threshold": 0.9, "minimum_executed": 5}
    with watching(operator, campaign) as watch:
        lines = [json.loads(watch.stdout.readline())]
        assert "running" in operator.get("campaign", "confirm", campaign).out
        until(lambda: shown()["state"] == "waiting" and shown()["stage"] == 1)
        assert shown()["stages"][0]["state"] == "passed"
        assert shown()["stages"][1]["begun"] == 0

        operator.get("campaign", "confirm", campaign)
        paused = operator.get("campaign", "pause", campaign, "--reason", "a storm").out
        assert "a storm" in paused
        assert "a storm" in operator.get("campaign", "show", campaign).out
        assert operator.get("device", "explain", "urn:dev:headgate-00001").out
        assert "is not paused" not in operator.get("campaign", "resume", campaign).out
        assert "is not paused" in operator.refused("campaign", "resume", campaign, code=1)
        lines += [json.loads(line) for line in watch.stdout]
        assert watch.wait(30) == 1  # one device failed
    assert (lines[0]["state"], lines[-1]["state"]) == ("waiting", "ended")
    assert lines[-1]["failures"] == {FAILURE: 1}
    assert [each["state"] for each in lines[-1]["stages"]] == ["passed", "passed"]
    assert all(lines[at] != lines[at - 1] for at in range(1, len(lines)))

    (failed,) = operator.get("campaign", "tasks", campaign, "--cause", "integrity", "--json").jsons
    assert failed["failure"] == FAILURE
    explained = operator.get("device", "explain", failed["endpoint"]).out
    assert explained
    happened = operator.get("device", "timeline", failed["endpoint"], "--json").jsons
    assert any(FAILURE in each["detail"] or FAILURE in each["what"] for each in happened)
    assert len(operator.get("campaign", "tasks", campaign, "--state", "success").lines) == 11

    report = operator.get("campaign", "report", campaign, "--json").json
    assert [each["succeeded"][-1] + each["failed"][-1] for each in report["stages"]] == [3, 9]
    assert [(each["failure"], each["devices"]) for each in report["causes"]] == [(FAILURE, 1)]
    (cell,) = report["cells"]["busiest"]
    assert cell["tasks"] == 12
    assert sum(each["given"] for each in cell["classes"]) >= 12  # the lines that are really logged
    for each in cell["classes"]:
        assert 1 <= max(each["held"]) <= min(each["limit"], 9)
        assert each["held_s"] > 0
    assert sum(each["devices"] for each in report["finish"]["classes"]) == 11
    page = tmp_path / "report.html"
    assert operator.get("campaign", "report", campaign, "-o", page).out == ""
    assert "11 of 12 devices run the new version; 1 failed." in page.read_text("utf-8")

    again = operator.get("campaign", "create", "--package", pid, "--failed-in", campaign, "--dry-run")
    assert again.lines == [failed["endpoint"]]
    assert operator.get("campaign", "retry", campaign, "--all").out == "1 devices are tried again\n"
    until(lambda: shown()["state"] == "ended" and shown()["retried"] == 1)
    said = operator.say("campaign", "watch", campaign)
    assert said.code == 1
    assert said.lines[-1].startswith("ended, stage 2 of 2: 12 of 12 devices through, 11 succeeded, 1 failed")
