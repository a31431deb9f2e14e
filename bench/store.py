"""What does it cost to keep what happened? CPU per report of a turn, and per row that a restart reads."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.tables import devices, effects, events, tasks

REPORTS = 300
NOON_S = 1_767_268_800.0


def task(number: int, **columns: Any) -> dict[str, Any]:
    """A task in the middle of its download."""
    row = {column.name: None if column.nullable else "" for column in tasks.columns}
    row |= {column.name: NOON_S for column in tasks.columns if column.name.endswith("_s")}
    row |= {"id": f"c-{number:08d}", "campaign_id": "c", "endpoint": f"urn:imei:{number:015d}", "attempt": 1}
    row |= {"state": "downloading", "ended_s": None, "uri": "coap://server/abcdefghijklmnop", "active": True}
    row |= {"cell_id": 187654321, "smcc": 460, "smnc": 0, "rsrp_dbm": -98.3, "sinr_db": 9.0}
    row |= {"radio_class": "0", "version": "V1.0", "reading": '{"state":1}', "marks": "granted observed"}
    return row | columns


def filled(folder: Path, count: int) -> Database:
    """A SQLite file with so many active tasks."""
    database = Database.open(f"sqlite:///{folder}/headgate.db")
    for start in range(0, count, 5_000):
        batch = Batch()
        for number in range(start, min(start + 5_000, count)):
            batch.put(tasks, task(number))
        database.commit(batch)
    return database


def turn_of(chosen: list[int], turn: int) -> Batch:
    """A report changes its task, adds an event, ends an effect and asks for one, and moves two counters."""
    batch = Batch()
    for place, number in enumerate(chosen):
        row = task(number, state="updating", entered_s=NOON_S + turn)
        event = {"at_s": NOON_S, "endpoint": row["endpoint"], "task_id": row["id"], "campaign_id": "c"}
        id = turn * REPORTS + place
        batch.put(tasks, row)
        batch.append(events, event | {"step": 11, "what": "StateReported", "detail": "1"})
        batch.delete(effects, (id - REPORTS,))
        asked = {"task_id": row["id"], "endpoint": row["endpoint"], "effect": "ReadState", "arguments": ""}
        batch.put(effects, {"id": id} | asked | {"asked_s": NOON_S, "due_s": None})
        batch.add(("c", "downloading"), -1)
        batch.add(("c", "updating"), 1)
    return batch


@pytest.mark.benchmark(group="store", timer=time.process_time)
@pytest.mark.parametrize("active", [10_000, 100_000])
def bench_reports(benchmark: Any, tmp_path: Path, active: int, quick: bool) -> None:
    """Turns of 300 reports of any devices of the fleet, each turn a synced transaction."""
    count = 2_000 if quick else active
    database = filled(tmp_path, count)
    chance = random.Random(active)
    turns = iter(range(1_000_000))

    def gathered() -> tuple[tuple[Batch], dict[str, Any]]:
        return (turn_of(chance.sample(range(count), REPORTS), next(turns)),), {}

    benchmark.pedantic(database.commit, setup=gathered, rounds=5 if quick else 300, warmup_rounds=2)
    database.close()
    mean_s = benchmark.stats.stats.mean  # folding the log into the file is in it
    benchmark.extra_info.update(ns=mean_s / REPORTS * 1e9, us_per_row=mean_s / REPORTS / 3 * 1e6)


@pytest.mark.benchmark(group="store", timer=time.process_time)
def bench_registration_updates(benchmark: Any, tmp_path: Path, quick: bool) -> None:
    """Turns of 300 Updates, each of which changes four columns of a device."""
    count = 2_000 if quick else 200_000
    database = filled(tmp_path, 0)
    for start in range(0, count, 5_000):
        batch = Batch()
        for number in range(start, min(start + 5_000, count)):
            row = {"endpoint": f"e{number:015d}", "location": f"l{number}", "registered_s": NOON_S}
            batch.put(
                devices, row | {"expires_s": NOON_S, "lifetime_s": 86400, "links": "</1/0>,</3/0>,</5/0>"}
            )
        database.commit(batch)
    chance = random.Random(count)

    def gathered() -> tuple[tuple[Batch], dict[str, Any]]:
        batch = Batch()
        for number in chance.sample(range(count), REPORTS):
            heard = {"expires_s": NOON_S, "heard_s": NOON_S, "address": bytes(16), "control": bytes(32)}
            batch.change(devices, {"endpoint": f"e{number:015d}"} | heard)
        return (batch,), {}

    benchmark.pedantic(database.commit, setup=gathered, rounds=5 if quick else 200, warmup_rounds=2)
    database.close()
    benchmark.extra_info.update(ns=benchmark.stats.stats.mean / REPORTS * 1e9, devices=count)


@pytest.mark.benchmark(group="store", timer=time.process_time)
def bench_restart(benchmark: Any, tmp_path: Path, quick: bool) -> None:
    """All active tasks are read."""
    count = 2_000 if quick else 100_000
    database = filled(tmp_path, count)

    def read() -> int:
        return sum(len(chunk) for chunk in database.chunks(tasks, where={"active": True}))

    assert benchmark.pedantic(read, rounds=5) == count
    database.close()
    benchmark.extra_info.update(per=count, seconds=benchmark.stats.stats.median)
