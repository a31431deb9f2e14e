"""What does it cost to tell of a campaign of a whole fleet, and what does that hold up? Its report.

A server with its API, as `headgate serve` has it, and in its store a campaign that is through, with the lines
of its devices in the event log. In many cells little of that is of the busiest ones; in few all of it is.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.control import AFTER, BEFORE
from bench.peers import Server, start
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade import TABLES, advance
from headgate.upgrade.campaign import (
    RETRIED,
    Campaign,
    CampaignState,
    campaign_row,
    failure_counter,
    first_task_id,
    next_task_id,
    state_counter,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiator import ENDS, told
from headgate.upgrade.records import task_row
from headgate.upgrade.stages import Size, sized
from headgate.upgrade.task import Kind, Plan, State, Task
from headgate.web.reporting.page import page

CAMPAIGN = "c0ffee000001"
PLAN = Plan(kind=Kind.FIRMWARE, target_version="V1.1", pid=bytes(8))
ROWS = 5_000  # devices of a transaction
SPAN_S = 30 * 86_400.0
FAILS = 20  # one of so many attempts
CAUSES = (Failure.CONNECTION_LOST, Failure.DOWNLOADED_TIMEOUT, Failure.INTEGRITY, Failure.MEMORY)
CLASSES = "0000001122U"
CALM_S = 3.0
ANSWER_MAX_S = 600.0
FORGET_PEAK = "5"  # proc(5), clear_refs: VmHWM begins anew
PEAK_MAX_MIB = 160.0  # the pages that SQLite keeps of a reader are 64 of them

Row = dict[str, Any]


def steps() -> Iterator[tuple[State, int | None, str, str]]:
    """What the log tells of a device that is upgraded: the state, its step, and the line."""
    task = Task.created(id="", endpoint="", plan=PLAN, now=0.0)
    for event in (*BEFORE, *AFTER):
        state = task.state
        task, _ = advance(task, event, 0.0)
        if task.state is not state:
            row = TABLES[PLAN.kind].rows[task.state]
            what = ENDS[task.state] if task.state.terminal else f"waiting for {row.waits}"
            yield task.state, row.step, what, told(event)
    assert task.state is State.SUCCESS


STEPS = tuple(steps())


class Attempts:
    """The tasks of a campaign, and what the log tells of them: some fail, some of those are tried again."""

    def __init__(self, devices: int, cells: int) -> None:
        self.devices = devices
        self.cells = cells
        self.began_s = time.time() - SPAN_S - 86_400
        self._chance = random.Random(devices)

    def of(self, number: int) -> Iterator[tuple[Row, list[Row]]]:
        """The tasks of a device, with the lines of each."""
        chance = self._chance
        begin_s = self.began_s + SPAN_S * number / self.devices
        task_id, endpoint = first_task_id(CAMPAIGN, number), f"urn:imei:86{number:013d}"
        radio = {"cell_id": 1 + int(self.cells * chance.random() ** 1.2), "smcc": 460, "smnc": 0}
        radio |= {"radio_class": chance.choice(CLASSES), "rsrp_dbm": -98.0, "sinr_db": 9.0}
        for attempt in (1, 2):
            failure = chance.choice(CAUSES) if chance.random() * FAILS < 1 else None
            # joins the line, is given a slot, ends
            waiting_s = begin_s + chance.uniform(5, 3_600)
            granted_s = waiting_s + chance.expovariate(1 / 7_200)
            ended_s = granted_s + chance.uniform(120, 1_800)
            task = Task.created(id=task_id, endpoint=endpoint, plan=PLAN, now=begin_s, uri="coap://x/y")
            row = task_row(task, campaign_id=CAMPAIGN, attempt=attempt, created_s=begin_s) | radio
            row |= {"state": "failed" if failure else "success", "failure": failure, "active": False}
            row |= {"waiting_s": waiting_s, "ended_s": ended_s, "deadline_s": None, "version": "V1.0"}
            yield row, list(self._lines(row, granted_s))
            if failure is None or attempt == 2 or chance.random() < 0.5:
                return
            task_id, begin_s = next_task_id(task_id, 2), ended_s + 600.0

    def _lines(self, row: Row, granted_s: float) -> Iterator[Row]:
        place = f"460-00-{row['cell_id']:X}, class {row['radio_class']}"
        at_s, ended_s = row["created_s"], row["ended_s"]
        for number, (state, step, what, detail) in enumerate(STEPS):
            if state is State.WAIT_SLOT:
                at_s, detail = row["waiting_s"], f"RadioReported cell {place}, -98.0 dBm, 9.0 dB"
            elif detail.startswith("SlotGranted"):
                at_s = granted_s
            elif state.terminal:
                at_s = ended_s
                what = f"failed: {row['failure']}" if row["failure"] else what
            elif at_s >= granted_s:
                at_s += (ended_s - at_s) / (len(STEPS) - number + 1)
            line = {"at_s": at_s, "endpoint": row["endpoint"], "task_id": row["id"], "step": step}
            yield line | {"campaign_id": CAMPAIGN, "what": what, "detail": detail}


def fill(folder: Path, devices: int, cells: int) -> None:
    """A campaign that is through, by batches, with the lines of each in the order of time."""
    attempts = Attempts(devices, cells)
    stages = sized([Size(percent=1), Size(percent=20)], devices)
    campaign = Campaign(
        id=CAMPAIGN,
        name="all",
        plan=PLAN,
        state=CampaignState.ENDED,
        created_s=attempts.began_s,
        started_s=attempts.began_s,
        ended_s=attempts.began_s + SPAN_S + 86_400,
        stages=tuple(stages),
        stage=len(stages),
    )
    database = Database.open(f"sqlite:///{folder}/headgate.db")
    batch = Batch()
    batch.put(tables.campaigns, campaign_row(campaign))
    ends: Counter[str] = Counter()
    for first in range(0, devices, ROWS):
        lines: list[Row] = []
        for number in range(first, min(first + ROWS, devices)):
            for task, said in attempts.of(number):
                batch.put(tables.tasks, task)
                ends[state_counter(State(task["state"]))] += 1
                if task["failure"] is not None:
                    ends[failure_counter(Failure(task["failure"]))] += 1
                lines += said
        for line in sorted(lines, key=lambda line: line["at_s"]):
            batch.append(tables.events, line)
        database.commit(batch)
        batch = Batch()
    ends[RETRIED] = sum(ends[state_counter(each)] for each in (State.SUCCESS, State.FAILED)) - devices
    for name, count in ends.items():
        batch.add((CAMPAIGN, name), count)
    database.commit(batch)
    database.close()


class Asking:
    """What it takes to answer one question, and what that holds up."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._http = httpx.Client(
            base_url=server.facts["url"],
            headers={"Authorization": f"Bearer {server.facts['token']}"},
            timeout=ANSWER_MAX_S,
        )
        self.facts: dict[str, Any] = {}

    def calm(self) -> None:
        """How the loop comes round while nothing is asked."""
        self._http.get("/campaigns")  # the first answer of a server is dearer than others
        self._loop()
        time.sleep(CALM_S)  # the time that is looked at: nothing happens in it
        self.facts |= {f"calm {name}": value for name, value in self._loop().items()}

    def ask(self, path: str) -> Any:
        """Ask it."""
        server, pid = self._server, self._server.process.pid
        self._loop()
        Path(f"/proc/{pid}/clear_refs").write_text(FORGET_PEAK)
        before_bytes, cpu_s, begun_s = server.memory_bytes(), server.cpu_s(), time.perf_counter()
        answer = self._http.get(path)
        assert answer.status_code == 200, answer.text
        self.facts |= {
            "answered_s": time.perf_counter() - begun_s,
            "cpu_s": server.cpu_s() - cpu_s,
            "peak_mib": (server.memory_bytes("VmHWM") - before_bytes) / 2**20,
            "kept_mib": (server.memory_bytes() - before_bytes) / 2**20,
            "json_bytes": len(answer.content),
        } | self._loop()
        return answer.json()

    def _loop(self) -> dict[str, float]:
        self._server.command("loop")
        said = self._server.answer()
        return {name: said[name] for name in ("loop_p99_ms", "loop_max_ms", "loop_cpu_max_ms")}

    def close(self) -> None:
        """Let go."""
        self._http.close()


@pytest.mark.benchmark(group="report")
@pytest.mark.parametrize("cells", [10_000, 12])
def bench_report(benchmark: Any, body_file: Path, tmp_path: Path, cells: int, quick: bool) -> None:
    """The report of a campaign that is through, as `headgate campaign report` asks for it."""
    devices = 20_000 if quick else 1_000_000
    folder = tmp_path / "data"
    folder.mkdir()
    fill(folder, devices, cells)
    with start("api", "api", "--body", body_file, "--folder", folder, "--threads", 1) as server:
        asking = Asking(server)
        asking.calm()
        told: list[Any] = []
        benchmark.pedantic(lambda: told.append(asking.ask(f"/campaigns/{CAMPAIGN}/report")), rounds=1)
        asking.close()
    begun_s = time.perf_counter()
    asking.facts |= {"page_bytes": len(page(told[0]).encode()), "page_s": time.perf_counter() - begun_s}
    assert told[0]["campaign"]["devices"] == devices
    assert told[0]["cells"]["count"] == cells or quick
    assert asking.facts["peak_mib"] < PEAK_MAX_MIB
    benchmark.extra_info.update(ns=asking.facts["cpu_s"] / devices * 1e9, devices=devices, **asking.facts)
