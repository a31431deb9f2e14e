"""`headgate demo`: small enough for a test, with every fault, and able to fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headgate.fleet.faults import FAULTS
from headgate.fleet.pcp_faults import PCP_FAULTS
from headgate.fleet.runner import Fleet
from headgate.server import Server
from headgate.store import tables

PATIENCE_S = 300.0  # far beyond what it takes on a busy machine
SMALL = ("--devices", "64", "--cells", "2", "--size", "2000", "--speed", "1000")


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    """One run in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "headgate", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_every_fault_ends_in_its_cause():
    """One device of each, of either kind, among as many healthy ones: the last line tells."""
    done = demo("--devices", "120", "--cells", "3", *SMALL[4:], "--faulty", "0.5", "--json")
    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    ended = lines[-1]
    assert done.returncode == 0, f"{ended.get('violations')} {done.stderr}"
    assert done.stderr == ""
    assert lines[0]["event"] == "started"
    assert lines[0]["kinds"] == {"firmware": 60, "software": 60}
    assert lines[1]["event"] == "http"
    assert lines[1]["console"].startswith(lines[1]["url"])
    assert [line["event"] for line in lines].count("serves") == 1
    assert any(line["event"] == "status" for line in lines)
    assert ended["event"] == "ended"
    assert ended["good"]
    assert ended["violations"] == []
    [reason] = ended["pauses"]
    assert "attempts of stage 2 failed, more than 0.1" in reason
    said = [line["text"] for line in lines if line["event"] == "said"]
    assert [reason in text for text in said[:2]] == [True, False]
    assert "is resumed" in said[1]
    staged = {**FAULTS, "bad batch": FAULTS["Result 8"]}
    for kind, causes in (("firmware", staged), ("software", PCP_FAULTS)):
        faults = {each["fault"]: each["published"] for each in ended["faults"] if each["kind"] == kind}
        assert faults == causes
        assert ended["counts"][kind]["executes after confirmation"] == 0
        assert ended["counts"][kind]["restarts at 0 that no device chose"] == 0
    assert all(each["ended_so"] == each["devices"] > 0 for each in ended["faults"])
    assert all(each["most"] <= each["limit"] for each in ended["peaks"])
    assert ended["idle_share"] <= 0.01
    twice = sum(each["devices"] for each in ended["faults"] if each["fault"] == "asked twice")
    assert {kind: sum(ends.values()) for kind, ends in ended["endings"].items()} == {
        "firmware": 60 + twice,
        "software": 60,
    }


@pytest.mark.parametrize("threads", ["0", "1"])
def test_a_healthy_fleet_is_told_of_in_words(threads):
    """Without a terminal it is a line now and then, the tables, and the end."""
    done = demo(
        *("--devices", "30", "--cells", "2", "--faulty", "0", "--no-bad-batch"),
        *("--speed", "1000", "--threads", threads),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("Server on UDP 127.0.0.1:")
    assert "Console: http://127.0.0.1:" in done.stdout
    assert "30 of 30 devices run the new version" in done.stdout
    assert "What to try next" in done.stdout
    assert done.stderr == ""


def test_what_does_not_hold_is_named_and_fails_the_demo(monkeypatch, capsys):
    """A demo that could not end badly would prove nothing: here the devices ought to hold other bytes."""
    from headgate.cli.commands import run
    from headgate.cli.demo import rehearsal
    from headgate.cli.demo.verdict import verdict_of

    def other(*ends: Any, **how: Any) -> Any:
        return verdict_of(*ends, **how | {"digests": dict.fromkeys(how["digests"], "0" * 64)})

    label, products = rehearsal.label, {}

    async def labelled(server: Server, fleet: Fleet) -> None:
        await label(server, fleet)
        rows = server._in.database.rows(tables.devices, limit=10)
        products.update({row["endpoint"]: row["product"] for row in rows})

    monkeypatch.setattr(rehearsal, "verdict_of", other)
    monkeypatch.setattr(rehearsal, "label", labelled)
    shown = rehearsal.Demo(
        devices=2,
        cells=1,
        seed=1,
        speed=1000.0,
        loss=0.0,
        faulty=0.0,
        software=0.5,
        size_bytes=1000,
        threads=0,
        json=True,
        exit=True,
        bad_batch=False,
    )
    assert run(shown.run) == 1
    ended = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each.partition(" ")[0] for each in ended["violations"]] == [
        "urn:dev:headgate-00000",
        "urn:dev:headgate-00001",
    ]
    assert sorted(products) == ["urn:dev:headgate-00000", "urn:dev:headgate-00001"]
    assert sorted(products.values()) == ["meter", "tracker"]


def test_ctrl_c_ends_it_without_a_traceback():
    """In the middle of the campaign: what it made is gone with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "headgate", "demo", *SMALL, "--speed", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started = json.loads(process.stdout.readline())
    assert json.loads(process.stdout.readline())["event"] == "http"
    assert json.loads(process.stdout.readline())["event"] == "status"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode not in (0, 2)
    assert "Traceback" not in errors
    assert not Path(started["folder"]).exists()


def test_a_lack_of_descriptors_is_one_line():
    """Each device has a port of its own, some have two."""
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 128; exec "$0" -m headgate demo --devices 200', sys.executable],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "open files are needed and 128 permitted" in done.stderr
