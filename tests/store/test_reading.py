"""Reading: pages by key, whole tables in chunks, counts; on any thread, while batches are committed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from headgate.store.batch import Batch
from headgate.store.database import PAGE_ROWS_MAX, Database
from headgate.store.tables import devices, effects, events, metadata, tasks
from rows import device, effect, event, task
from store_process import CAMPAIGN, TASKS, batch_of

BOUND_S = 60


@pytest.fixture
def filled(database) -> Database:
    """Two campaigns of 25 tasks that interleave, the odd ones over; an event of each."""
    batch = Batch()
    for number in range(50):
        campaign = "ab"[number % 2]
        over = number % 4 > 1
        batch.put(tasks, task(number, campaign, active=not over, failure="Task Conflict" if over else None))
        batch.append(events, event(number // 10, step=number))
    database.commit(batch)
    return database


def pages(database, table, columns, **question) -> list[dict]:
    """All pages of 7 rows, one after the other."""
    found: list[dict] = []
    after = None
    while page := database.rows(table, after=after, limit=7, **question):
        assert len(page) <= 7
        found += page
        after = tuple(page[-1][name] for name in columns)
    return found


def test_pages_follow_each_other(filled):
    """Each row of the campaign once, in the order of the key, whole."""
    found = pages(filled, tasks, ["id"], where={"campaign_id": "a"})
    assert [row["id"] for row in found] == [f"a-{number:08d}" for number in range(0, 50, 2)]
    assert found[0] == task(0, "a", active=True, failure=None)


def test_pages_from_the_newest_back(filled):
    """What an operator looks at first."""
    found = pages(filled, events, ["id"], newest_first=True)
    assert [row["step"] for row in found] == list(range(49, -1, -1))


def test_events_of_one_device(filled):
    """In their order."""
    found = pages(filled, events, ["id"], where={"endpoint": event(3)["endpoint"]})
    assert [row["step"] for row in found] == list(range(30, 40))


def test_pages_by_other_columns(filled):
    """Equal values of the first are told apart by the second."""
    found = pages(filled, tasks, ["active", "id"], by=["active", "id"])
    assert [row["active"] for row in found] == [False] * 24 + [True] * 26
    assert sorted(row["id"] for row in found) == sorted({row["id"] for row in found})


@pytest.mark.parametrize(
    ("where", "count"),
    [
        ({}, 50),
        ({"active": True}, 26),
        ({"active": False}, 24),
        ({"failure": None}, 26),
        ({"failure": "Task Conflict", "campaign_id": "b"}, 12),
        ({"campaign_id": "z"}, 0),
    ],
)
def test_conditions(filled, where, count):
    """Null is a value to ask for; conditions hold together."""
    assert len(filled.rows(tasks, where=where, limit=100)) == count
    assert sum(filled.counted(tasks, "state", where=where).values()) == count
    assert sum(map(len, filled.chunks(tasks, where=where, size=7))) == count


def test_text_is_ordered_by_its_bytes(database):
    """In PostgreSQL too, whatever language it speaks: pages follow each other the same way."""
    names = ["Z", "a", "B", "_", "\u00e9", "1", "\U0001f6b0", "-"]
    batch = Batch()
    for number, name in enumerate(names):
        batch.put(devices, device(number, endpoint=name))
    database.commit(batch)
    found = [row["endpoint"] for row in pages(database, devices, ["endpoint"])]
    assert found == sorted(names, key=str.encode)


@pytest.mark.parametrize("limit", [0, -1, PAGE_ROWS_MAX + 1])
def test_pages_have_a_bound(database, limit):
    """Who wants all rows takes chunks."""
    with pytest.raises(ValueError, match="a page has"):
        database.rows(tasks, limit=limit)


def test_chunks_hold_rows_as_tuples(filled):
    """In the order of the table's columns, and by name."""
    chunks = list(filled.chunks(tasks, where={"active": True}, size=10))
    assert [len(chunk) for chunk in chunks] == [10, 10, 6]
    row = next(row for chunk in chunks for row in chunk if row.id == "a-00000000")
    assert tuple(row) == tuple(task(0, "a", active=True, failure=None).values())
    assert row.active is True


def test_a_reader_may_stop_early(filled):
    """Its connection goes back to the others; more are read than there are connections."""
    for _ in range(50):
        chunks = filled.chunks(tasks, size=7)
        assert len(next(chunks)) == 7
        chunks.close()


def test_a_single_row(filled):
    """By its primary key; None where there is none."""
    assert filled.row(tasks, ("b-00000001",))["endpoint"] == task(1)["endpoint"]
    assert filled.row(tasks, ("nothing",)) is None


def test_an_empty_database(database):
    """Every table is there and has no rows."""
    for table in metadata.tables.values():
        if table.name != "commits":
            assert database.rows(table, limit=1) == list(database.chunks(table)) == []


def test_readers_see_whole_commits(database):
    """Invariant 4: beside a writer that never stops, and on several threads, each reader sees one moment."""
    database.commit(batch_of(1))
    stop = threading.Event()

    def commit() -> int:
        number = 1
        while not stop.is_set():
            number += 1
            database.commit(batch_of(number))
        return number

    def read() -> int:
        moments = set()
        while len(moments) < 20:
            states = [row.state for chunk in database.chunks(tasks) for row in chunk]
            assert len(states) == TASKS
            assert len(set(states)) == 1
            moments.add(states[0])
        return len(moments)

    with ThreadPoolExecutor(4) as pool:
        writer = pool.submit(commit)
        readers = [pool.submit(read) for _ in range(3)]
        try:
            assert [reader.result(BOUND_S) for reader in readers] == [20, 20, 20]
        finally:
            stop.set()
        stored = writer.result(BOUND_S)
        assert database.counters(CAMPAIGN) == {"batches": stored}


def test_a_reader_sees_one_moment(database):
    """Several questions of one reader are answered from the same commit, whatever is committed meanwhile."""
    database.commit(batch_of(1))
    with database.reading() as reader:
        first = reader.execute(select(tasks.c.state).distinct()).scalars().all()
        database.commit(batch_of(2))
        assert reader.execute(select(effects.c.id)).scalars().all() == [1]
        assert reader.execute(select(tasks.c.state).distinct()).scalars().all() == first == ["1"]
    assert [row["id"] for row in database.rows(effects, limit=10)] == [2]


def test_effects_that_wait(database):
    """What a restart does again: those that are due and those that are not."""
    batch = Batch()
    batch.put(effects, effect(1))
    batch.put(effects, effect(2, due_s=5.0))
    database.commit(batch)
    assert [row["due_s"] for row in database.rows(effects, limit=10)] == [None, 5.0]
