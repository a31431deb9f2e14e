"""`headgate campaign`, against a server that runs; nothing is upgraded here (test_round_trip does that)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli_asking import Operator, register
from peer import until

ESCAPE = "e\x1b[2J"


@pytest.fixture(scope="module")
def pid(operator, tmp_path_factory) -> str:
    """A package."""
    file = tmp_path_factory.mktemp("package") / "fw.bin"
    file.write_bytes(b"the new firmware" * 100)
    return operator.get("package", "add", file, "--version", "V2").lines[0]


@pytest.fixture(scope="module", autouse=True)
def _devices(operator):
    register(operator.port, "d1", "d2", "d3", "other")


def created(operator: Operator, pid: str, *arguments: object, stdin: str | None = None) -> str:
    """The id of a new campaign."""
    said = operator.get("campaign", "create", "--package", pid, "--yes", *arguments, stdin=stdin)
    (campaign,) = said.lines
    show = ("campaign", "show", campaign, "--json")
    until(lambda: operator.get(*show).json["state"] != "creating")
    return campaign


def test_a_dry_run_names_the_devices_and_makes_nothing(operator, pid):
    """As lines, or an object with the count and then one for each."""
    there = operator.get("campaign", "list").out
    said = operator.get("campaign", "create", "--package", pid, "--prefix", "d", "--dry-run", "--limit", 2)
    assert said.lines == ["d1", "d2"]
    assert "it would be for 3 devices" in said.err
    assert "forecast: all are through after " in said.err
    assert "assumed: " in said.err
    assert "--limit" in said.err
    said = operator.get("campaign", "create", "--package", pid, "--all", "--dry-run", "--json", "--limit", 0)
    count, *rest = said.jsons
    assert count["devices"] == count["forecast"]["devices"] == 4
    assert [each["endpoint"] for each in rest] == ["d1", "d2", "d3", "other"]
    assert operator.get("campaign", "list").out == there


def test_a_campaign_is_made_looked_at_and_stopped(operator, pid):
    """On a pipe its id is the answer, for `$(...)`."""
    campaign = created(operator, pid, "--name", "north", "--endpoints", "-", stdin="x1\r\n\nx2\n")
    shown = operator.get("campaign", "show", campaign, "--json").json
    assert (shown["id"], shown["name"], shown["devices"], shown["state"]) == (campaign, "north", 2, "running")
    assert [fields[:3] for fields in operator.get("campaign", "list", "--limit", 1).fields] == [
        [campaign, "north", "running"]
    ]
    fields = operator.get("campaign", "show", campaign).fields
    assert ["devices", "2"] in fields
    assert ["state", "created", "2"] in fields or ["state", "wait_online", "2"] in fields
    tasks = operator.get("campaign", "tasks", campaign, "--json").jsons
    assert [each["endpoint"] for each in tasks] == ["x1", "x2"]
    assert operator.get("campaign", "tasks", campaign, "--state", "failed").out == ""
    assert len(operator.get("campaign", "tasks", campaign, "--state", "active").lines) == 2
    assert "say --yes" in operator.refused("campaign", "stop", campaign, code=2)
    assert operator.get("campaign", "stop", campaign, "--yes").out == f"campaign {campaign} is stopped\n"
    assert "through already" in operator.refused("campaign", "stop", campaign, "--yes", code=1)
    cancelled = ("campaign", "tasks", campaign, "--state", "cancelled")
    until(lambda: len(operator.get(*cancelled).lines) == 2)


def test_the_devices_that_failed_are_named_by_their_campaign(operator, pid):
    """--failed-in, by cause or by any; none there is no campaign."""
    campaign = created(operator, pid, "--endpoint", "y1")
    operator.get("campaign", "stop", campaign, "--yes")
    again = ("campaign", "create", "--package", pid, "--failed-in", campaign)
    assert operator.get(*again, "--cause", "invalid-uri", "--dry-run").out == ""
    assert "at least one device" in operator.refused(*again, "--yes", code=2)


def test_a_key_makes_one_campaign(operator, pid):
    """Whoever repeats a command with the same --idempotency-key is told what was made."""
    first = created(operator, pid, "--endpoint", "z1", "--idempotency-key", "k")
    assert created(operator, pid, "--endpoint", "z1", "--idempotency-key", "k") == first
    assert created(operator, pid, "--endpoint", "z2") != first


def test_a_policy_is_written_shown_and_changed(operator, pid):
    """What is left out of an edit stays as it is; a gate is changed by its parts."""
    policy = (
        *("--stage", "1", "--stage", "50%", "--gate-success", "95%", "--minimum-executed", 7),
        *("--confirm", "start", "--start", "2099-12-01T22:00", "--timezone", "Europe/Berlin"),
        *("--window", "mon-wed 22:00-6:00", "--window", "sun 1:00-5:00", "--retry", "any=1@1h"),
        *("--source-version", "V1", "--skip-same-package"),
    )
    campaign = created(operator, pid, "--all", *policy)
    shown = operator.get("campaign", "show", campaign, "--json").json
    assert shown["state"] == "scheduled"
    assert [each["devices"] for each in shown["stages"]] == [1, 2, 1]
    assert shown["start_s"] == datetime(2099, 12, 1, 21, tzinfo=UTC).timestamp()
    assert shown["windows"] == [
        {"days": ["mon", "tue", "wed"], "begin": "22:00", "end": "06:00"},
        {"days": ["sun"], "begin": "01:00", "end": "05:00"},
    ]
    assert (shown["source_versions"], shown["skip_same_package"]) == (["V1"], True)
    assert len(shown["retry"]) == 17
    fields = {each[0]: each[1] for each in operator.get("campaign", "show", campaign).fields}
    assert fields["windows"] == "mon,tue,wed 22:00-06:00; sun 01:00-05:00 (Europe/Berlin)"
    assert fields["tried again"] == "any cause: 1 more, 3600 s later"

    edit = ("campaign", "edit", campaign)
    changed = operator.get(
        *edit, "--error-threshold", "5%", "--start", "2099-12-02T22:00", "--name", "n", "--json"
    ).json
    gate = {"success": 0.95, "error_threshold": 0.05, "minimum_executed": 7}
    assert (changed["gate"], changed["name"]) == (gate, "n")
    assert changed["start_s"] == shown["start_s"] + 86_400
    assert (changed["windows"], changed["retry"]) == (shown["windows"], shown["retry"])
    assert "nothing is said" in operator.refused(*edit, code=2)
    operator.get("campaign", "stop", campaign, "--yes")
    assert "through" in operator.refused(*edit, "--name", "m", code=1)


def test_a_stage_has_a_gate_of_its_own_and_a_campaign_its_timers(operator, pid):
    """Both are shown as they are written; what a gate leaves out is as for the other stages."""
    policy = (
        *("--stage", "1:success=100%,minimum-executed=1", "--stage", "1"),
        *("--gate-success", "90%", "--error-threshold", "20%", "--start", "+1h"),
        *("--timer", "online=7d", "--timer", "download-start=90"),
    )
    campaign = created(operator, pid, "--all", *policy)
    shown = operator.get("campaign", "show", campaign, "--json").json
    gates = [each["gate"] for each in shown["stages"]]
    assert gates[0] == {"success": 1.0, "error_threshold": 0.2, "minimum_executed": 1}
    assert gates[1] == gates[2] == shown["gate"]
    assert shown["gate"] == {"success": 0.9, "error_threshold": 0.2, "minimum_executed": 20}
    assert (shown["timers"]["online_s"], shown["timers"]["download_start_s"]) == (7 * 86_400.0, 90.0)
    fields = operator.get("campaign", "show", campaign).fields
    (timers,) = [each[1] for each in fields if each[0] == "timers"]
    assert timers.startswith("online=7d, version=3m, radio=3m, download-start=90s, ")
    (said,) = [each[1] for each in fields if each[0] == "gate"]
    assert said == (
        "success 90 %, error threshold 20 %, minimum executed 20; "
        "stage 1: success 100 %, error threshold 20 %, minimum executed 1"
    )
    operator.get("campaign", "stop", campaign, "--yes")


def test_what_is_written_wrongly_is_told_with_how_it_is_written(operator, pid):
    """One line each, which names the option; what only the server can judge is its line."""
    create = ("campaign", "create", "--package", pid, "--all", "--yes")
    for option, text, wanted in (
        ("--stage", "1%:sucess=9%", "error-threshold="),
        ("--stage", "1%:success=95", "such as 95% or 0.95"),
        ("--timer", "onlin=1h", "download-start"),
        ("--timer", "online=soon", "--timer online is a duration"),
        ("--timer", "download=1m", "download_start_s lies within download_s"),
        ("--report-interval", "1s", "from 1m"),
        ("--loss", "2", "--loss is a share"),
        ("--failures", "1%", "--dry-run"),
    ):
        assert wanted in operator.refused(*create, option, text, code=2)


def test_a_forecast_assumes_what_is_said(operator, pid):
    """Losses, failures and how often devices report; the objects are those of any dry run."""
    dry = ("campaign", "create", "--package", pid, "--all", "--dry-run", "--json")
    said = operator.get(*dry, "--failures", "100%", "--loss", "10%", "--report-interval", "15m").jsons[0]
    assert said["forecast"]["lost"]["failed"] == 4
    assert any("10 %" in each or "0.1" in each for each in said["forecast"]["assumptions"])
    assert said.keys() == operator.get(*dry).jsons[0].keys()


def test_nobody_upgrades_a_fleet_by_leaving_something_out(operator, pid, tmp_path):
    """Without a terminal --yes is needed; devices are named in exactly one way."""
    create = ("campaign", "create", "--package", pid)
    assert "say --yes" in operator.refused(*create, "--all", code=2)
    for ways in ((), ("--all", "--group", "x"), ("--all", "--endpoint", "x"), ("--failed-in", "x", "--all")):
        assert "which devices?" in operator.refused(*create, "--yes", *ways, code=2)
    assert "--failed-in" in operator.refused(*create, "--all", "--cause", "any", code=2)
    assert "names no device" in operator.refused(*create, "--endpoints", "-", stdin=" \n", code=2)
    assert "cannot read" in operator.refused(*create, "--endpoints", tmp_path / "nothing", code=2)
    (tmp_path / "latin").write_bytes(b"\xe4")
    assert "not UTF-8" in operator.refused(*create, "--endpoints", tmp_path / "latin", code=2)
    said = operator.refused("campaign", "create", "--package", "V2", "--all", "--yes", code=2)
    assert "16 hexadecimal digits" in said
    said = operator.refused("campaign", "create", "--package", "0" * 16, "--all", "--yes", code=2)
    assert "there is no package" in said


def test_a_question_is_asked_on_a_terminal(operator, pid, monkeypatch):
    """With how many devices it is for, and what they will run; no is no."""
    monkeypatch.setattr("headgate.cli.creating.somebody_is_there", lambda: None)
    said = operator.say("campaign", "create", "--package", pid, "--prefix", "d", stdin="n\n")
    assert said.code == 1
    assert "Upgrade 3 devices to V2?" in said.err
    assert "nothing was made" in said.err
    nobody = ("campaign", "create", "--package", pid, "--product", "none")
    assert "nobody to upgrade" in operator.refused(*nobody, code=2)
    said = operator.get("campaign", "create", "--package", pid, "--endpoint", "q", stdin="y\n")
    assert len(said.lines) == 1
    assert said.out == said.out.strip() + "\n"


def test_a_hostile_name_is_no_command_for_a_terminal(operator, pid):
    """What people are shown holds no control character of a device's name; JSON escapes them itself."""
    campaign = created(operator, pid, "--endpoint", ESCAPE, "--name", "\x1b]0;x\x07")
    for command in (("tasks", campaign), ("show", campaign), ("list",)):
        said = operator.get("campaign", *command)
        assert "\x1b" not in said.out
        assert "\\x1b" in said.out
        said = operator.get("campaign", *command, "--json")
        assert "\x1b" not in said.out
    (task,) = operator.get("campaign", "tasks", campaign, "--json").jsons
    assert task["endpoint"] == ESCAPE
    assert "\\x1b" in operator.refused("campaign", "show", "\x1b[2J", code=1)
    operator.get("campaign", "stop", campaign, "--yes")
    assert operator.get("device", "timeline", ESCAPE, "--json").jsons


def test_a_report_is_written_where_it_is_wanted(operator, pid, tmp_path: Path):
    """To a file, to standard output, or as numbers; a file that cannot be written is told in a line."""
    campaign = created(operator, pid, "--endpoint", "r")
    operator.get("campaign", "stop", campaign, "--yes")
    show = ("campaign", "show", campaign, "--json")
    until(lambda: operator.get(*show).json["ended_s"] is not None)  # its task is cancelled a little later
    report = ("campaign", "report", campaign)
    page = operator.get(*report, "-o", "-").out
    assert page.rstrip().endswith("</html>")
    assert "0 of 1 devices run the new version; 1 cancelled." in page
    (tmp_path / "report.html").write_text("older, and longer" * 10_000)
    assert operator.get(*report, "--output", tmp_path / "report.html").out == ""
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
    assert operator.get(*report, "--json").json["stages"][0]["ended"][-1] == 1
    assert "-o report.html" in operator.refused(*report, code=2)
    assert "-o report.html" in operator.refused(*report, "--json", "-o", "-", code=2)
    assert "cannot write" in operator.refused(*report, "-o", tmp_path / "no" / "x.html", code=1)
    assert "there is no campaign nope" in operator.refused("campaign", "report", "nope", "--json", code=1)


def test_a_watch_ends_with_its_campaign(operator, pid):
    """Exit code 1 for one that was stopped: what a script waits for is not there."""
    campaign = created(operator, pid, "--endpoint", "w")
    operator.get("campaign", "stop", campaign, "--yes")
    said = operator.say("campaign", "watch", campaign)
    assert (said.code, said.lines[-1]) == (1, "stopped: 1 of 1 devices through, 1 cancelled")
    said = operator.say("campaign", "watch", campaign, "--json")
    assert (said.code, said.json["state"]) == (1, "stopped")
    assert "there is no campaign nope" in operator.refused("campaign", "watch", "nope", code=1)


def test_unknown_causes_and_ways_are_wrong_usage(operator):
    """The message names those that there are."""
    assert "invalid-uri" in operator.refused("campaign", "tasks", "c", "--cause", "melts", code=2)
    assert "--task, --cause and --all" in operator.refused("campaign", "retry", "c", code=2)
    said = operator.refused("campaign", "retry", "c", "--all", "--cause", "any", code=2)
    assert "Say one of" in said


def test_package_files_are_named_by_path(operator, pid, tmp_path: Path):
    """A list of endpoints is a file with a line for each."""
    file = tmp_path / "endpoints.txt"
    file.write_text("f1\nf2\n")
    said = operator.get("campaign", "create", "--package", pid, "--endpoints", file, "--dry-run")
    assert said.lines == ["f1", "f2"]
