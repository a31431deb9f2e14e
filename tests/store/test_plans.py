"""The questions that are asked often are answered from an index, and a restart reads its tasks in no time."""

from __future__ import annotations

import time

import pytest

from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.tables import devices, events, outbox, tasks
from rows import task

TASKS = 20_000
CPU_PER_TASK_S = 50e-6
"""100,000 tasks in 5 s; measured 9 us. Builds and machines differ."""


@pytest.fixture
def plans(tmp_path, monkeypatch):
    """Asks a new database something, and tells how SQLite went about it."""
    database = Database.open(f"sqlite:///{tmp_path}/headgate.db")

    def of(ask) -> str:
        asked = []
        with database.reading() as reader:
            connection = reader.connection.dbapi_connection
        connection.set_trace_callback(asked.append)
        ask(database)
        connection.set_trace_callback(None)
        (query,) = [text for text in asked if text.startswith("SELECT")]
        return " / ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))

    yield of
    database.close()


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda d: d.rows(tasks, where={"campaign_id": "c"}, after=("x",), limit=9), "tasks_campaign"),
        (lambda d: d.rows(tasks, where={"endpoint": "e"}, limit=9, newest_first=True), "tasks_endpoint"),
        (
            lambda d: d.rows(events, where={"endpoint": "e", "task_id": "t"}, after=(7,), limit=9),
            "events_endpoint",
        ),
        (lambda d: d.rows(events, after=(7,), limit=9), "PRIMARY KEY"),
        (lambda d: d.rows(devices, where={"location": "l"}, limit=9), "devices_location"),
        (lambda d: d.row(devices, ("e",)), "autoindex_devices"),
        (lambda d: list(d.chunks(tasks, where={"active": True})), "tasks_active"),
        (
            lambda d: d.rows(
                outbox, where={"hook_id": "h", "state": "pending"}, after=(7,), limit=9, by=("number",)
            ),
            "outbox_state",
        ),
    ],
)
def test_questions_that_are_answered_from_an_index(plans, ask, index):
    """No page costs more the longer the table, and nothing is sorted for it."""
    plan = plans(ask)
    assert index in plan
    assert "TEMP B-TREE" not in plan


def test_what_a_restart_reads(database):
    """A restart with 100,000 active tasks is ready in 5 s: reading them takes the smaller part of that."""
    for start in range(0, TASKS, 5_000):
        batch = Batch()
        for number in range(start, start + 5_000):
            batch.put(tasks, task(number, active=number % 2 == 0))
        database.commit(batch)
    before_s = time.process_time()
    read = sum(len(chunk) for chunk in database.chunks(tasks, where={"active": True}))
    assert read == TASKS // 2
    assert time.process_time() - before_s < read * CPU_PER_TASK_S
