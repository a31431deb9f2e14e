"""What a commit does to the rows, the same in SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.exc import IntegrityError

from headgate.errors import StoreError
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.tables import commits, counters, devices, effects, events, observations, tasks
from rows import Row, device, effect, event, task


def put(database: Database, table: Table, *rows: Row) -> None:
    """Commit these rows."""
    batch = Batch()
    for row in rows:
        batch.put(table, row)
    database.commit(batch)


def change(database: Database, table: Table, row: Row) -> None:
    """Commit this change."""
    batch = Batch()
    batch.change(table, row)
    database.commit(batch)


def only(database: Database, table: Table) -> dict[str, Any]:
    """The one row of a table."""
    (row,) = database.rows(table, limit=10)
    return row


@pytest.mark.parametrize(("table", "row"), [(tasks, task(1)), (devices, device(1)), (effects, effect(1))])
def test_a_row_comes_back_as_it_was_put(database, table, row):
    """Every column, with the type and the precision that it had."""
    put(database, table, row)
    found = only(database, table)
    assert found == row
    assert [type(value) for value in found.values()] == [type(row[name]) for name in found]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("version", "V1.0 \u00e9\U0001f6b0 'quoted' %s ? :x"),
        ("version", "v" * 100_000),
        ("cell_id", 2**63 - 1),
        ("smcc", -(2**63)),
        ("sinr_db", float("inf")),
        ("rsrp_dbm", -1e-300),
        ("deadline_s", 1_700_000_000.123456),
        ("active", False),
    ],
)
def test_values_that_are_unusual(database, column, value):
    """What a device may say, to the ends of its range."""
    put(database, tasks, task(1, **{column: value}))
    assert only(database, tasks)[column] == value


@pytest.mark.parametrize(("said", "kept"), [("V1.1\ud800", "V1.1\ufffd"), ("V1\udfff.1", "V1\ufffd.1")])
def test_text_that_is_no_text_is_kept_readable(database, said, kept):
    """A device cannot stop the store by what it says: the rest of the batch is stored with it."""
    batch = Batch()
    batch.put(tasks, task(1, version=said))
    batch.add(("c", "downloading"), 1)
    database.commit(batch)
    assert only(database, tasks)["version"] == kept
    assert database.counters("c") == {"downloading": 1}


def test_text_with_nul(database):
    """PostgreSQL does not take NUL in text, SQLite does: either keeps a text."""
    put(database, tasks, task(1, version="V1\0"))
    assert only(database, tasks)["version"] in ("V1\0", "V1\ufffd")


def test_a_put_replaces_the_row_of_its_key(database):
    """The next state of a task takes the place of the one before."""
    put(database, tasks, task(1), task(2))
    put(database, tasks, task(1, state="updating", version=None, active=False))
    assert database.rows(tasks, limit=10) == [
        task(1, state="updating", version=None, active=False),
        task(2),
    ]


def test_a_put_keeps_what_it_leaves_out(database):
    """A new registration does not know the version that was learned from the device before."""
    put(database, devices, device(1, version="V1", cell="460-00-1"))
    again = device(1, location="other")
    for name in ("version", "cell", "product"):
        del again[name]
    put(database, devices, again)
    assert only(database, devices) == device(1, location="other", version="V1", cell="460-00-1")


def test_what_a_new_row_leaves_out_has_its_default(database):
    """Null where it may be null, else what tables.py says."""
    put(database, effects, {"id": 1, "task_id": "t", "endpoint": "e", "effect": "x", "asked_s": 1.0})
    assert only(database, effects)["arguments"] == ""
    assert only(database, effects)["due_s"] is None


def test_what_is_fixed_is_written_once(database):
    """A task never changes its device or campaign: no commit pays for the indexes of them again."""
    put(database, tasks, task(1))
    put(database, tasks, task(1, endpoint="other", campaign_id="other", created_s=9.0, state="x"))
    assert only(database, tasks) == task(1, state="x")


def test_a_column_that_is_not_there_is_a_bug(database):
    """A misspelt name is not left out without a word."""
    with pytest.raises(ValueError, match="effects has no column due"):
        put(database, effects, effect(1) | {"due": 1.0})


def test_a_row_of_its_key_alone_can_be_put_twice(database):
    """Nothing is left to change; the row is there."""
    row = {"campaign_id": "c", "name": "n", "value": 1}
    put(database, counters, row)
    put(database, counters, row)
    assert only(database, counters) == row


def test_a_change_leaves_the_other_columns_alone(database):
    """An Update of a registration names the columns that it changes."""
    put(database, devices, device(1), device(2))
    change(database, devices, {"endpoint": device(1)["endpoint"], "expires_s": 5.0, "address": b"\0"})
    assert database.rows(devices, limit=10) == [device(1, expires_s=5.0, address=b"\0"), device(2)]


def test_a_change_of_a_row_that_is_not_there(database):
    """A device that is gone is not made anew."""
    change(database, devices, {"endpoint": "nobody", "expires_s": 5.0})
    assert database.rows(devices, limit=10) == []


def test_delete(database):
    """The row is gone, whatever was put before in the same turn; deleting what is not there is no error."""
    put(database, effects, effect(1), effect(2))
    batch = Batch()
    batch.put(effects, effect(1, effect="x"))
    batch.delete(effects, (1,))
    batch.delete(effects, (77,))
    database.commit(batch)
    assert only(database, effects) == effect(2)


def test_nothing_shines_through_a_row_made_anew(database):
    """A device that deregistered and registers again in one turn is a new device."""
    put(database, devices, device(1, version="V1", product="meter"))
    batch = Batch()
    batch.delete(devices, (device(1)["endpoint"],))
    fresh = device(1, location="new")
    del fresh["version"], fresh["product"]
    batch.put(devices, fresh)
    database.commit(batch)
    assert only(database, devices) == device(1, location="new")


def test_keys_of_bytes_and_of_two_columns(database):
    """Tokens are bytes, and NUL is one of them."""
    row = {"token": b"\0\xff\1", "endpoint": "e", "path": "5/0/3", "task_id": None, "made_s": 1.0}
    put(database, observations, row, row | {"token": b"\0\xff\2"})
    batch = Batch()
    batch.delete(observations, (b"\0\xff\2",))
    batch.put(counters, {"campaign_id": "c", "name": "n", "value": 3})
    batch.delete(counters, ("c", "m"))
    database.commit(batch)
    assert only(database, observations) == row
    assert database.row(counters, ("c", "n")) == {"campaign_id": "c", "name": "n", "value": 3}
    assert database.row(counters, ("c", "m")) is None


def test_events_are_numbered_in_their_order(database):
    """Within a batch and from batch to batch."""
    for start in (0, 3):
        batch = Batch()
        for number in range(start, start + 3):
            batch.append(events, event(number, what=f"happened {number}"))
        database.commit(batch)
    found = database.rows(events, limit=10)
    assert [row["what"] for row in found] == [f"happened {number}" for number in range(6)]
    ids = [row["id"] for row in found]
    assert ids == sorted(set(ids))


def test_events_of_different_columns_keep_their_order(database):
    """Some events concern a task, some do not: rows of either form alternate."""
    batch = Batch()
    for number in range(6):
        row = event(number, what=str(number))
        if number % 2:
            del row["task_id"], row["campaign_id"]
        batch.append(events, row)
    database.commit(batch)
    assert [row["what"] for row in database.rows(events, limit=10)] == list("012345")


def test_counters_are_added_to(database):
    """A counter that is not there counts from 0; one may fall below its start in a turn."""
    for delta in (5, -2):
        batch = Batch()
        batch.add(("c", "created"), delta)
        batch.add(("d", "created"), 1)
        database.commit(batch)
    assert database.counters("c") == {"created": 3}
    assert database.counters("d") == {"created": 2}
    assert database.counters("e") == {}


def test_an_empty_batch_is_no_transaction(database):
    """Nothing happened; the number of commits says so."""
    put(database, effects, effect(1))
    before = only(database, commits)["number"]
    database.commit(Batch())
    assert only(database, commits)["number"] == before


def test_a_batch_is_stored_as_a_whole_or_not_at_all(database):
    """Invariant 1. What the database refuses is a bug, and says so; nothing of its batch is there."""
    batch = Batch()
    batch.put(tasks, task(1))
    batch.add(("c", "downloading"), 1)
    batch.append(events, event(1) | {"what": None})
    with pytest.raises(IntegrityError, match="what"):
        database.commit(batch)
    assert database.rows(tasks, limit=1) == database.rows(events, limit=1) == []
    assert database.counters("c") == {}
    put(database, tasks, task(1))
    assert only(database, tasks) == task(1)


def test_what_is_stored_is_there_after_a_restart(url: str):
    """Opening again finds it and goes on."""
    for turn in range(3):
        database = Database.open(url)
        assert len(database.rows(effects, limit=10)) == turn
        put(database, effects, effect(turn))
        database.close()


def test_a_second_opening_is_refused(url: str, new_url: Callable[[], str]):
    """Invariant 3: two orchestrators would both command the devices. Another database is another matter."""
    first = Database.open(url)
    with pytest.raises(StoreError, match="another process"):
        Database.open(url)
    Database.open(new_url()).close()
    put(first, effects, effect(1))
    first.close()
    again = Database.open(url)
    assert only(again, effects) == effect(1)
    again.close()


def test_a_closed_database_is_not_written_to(url):
    """Another process may have it by then. Closing again is no error."""
    database = Database.open(url)
    database.close()
    database.close()
    with pytest.raises(AssertionError, match="closed"):
        put(database, effects, effect(1))


def test_only_the_newest_events_are_kept(database):
    """However young they are: who registers again and again does not fill the disk."""
    assert database.forget_events(before_s=0.0, keep=3, limit=5) == 0
    batch = Batch()
    for number in range(10):
        batch.append(events, event(number))
    database.commit(batch)
    deleted = [database.forget_events(before_s=0.0, keep=3, limit=5) for _ in range(3)]
    assert deleted == [5, 2, 0]
    assert [row["at_s"] for row in database.rows(events, limit=10)] == [
        event(number)["at_s"] for number in (7, 8, 9)
    ]


def test_old_events_are_forgotten(database):
    """The oldest first and no more at once than asked for; no id is used again afterwards."""
    batch = Batch()
    for number in range(10):
        batch.append(events, event(number))
    database.commit(batch)
    newest = database.rows(events, limit=1, newest_first=True)[0]["id"]
    before_s = event(8)["at_s"]
    assert database.forget_events(before_s=before_s, keep=100, limit=5) == 5
    assert [row["at_s"] for row in database.rows(events, limit=10)] == [
        event(n)["at_s"] for n in range(5, 10)
    ]
    assert database.forget_events(before_s=before_s, keep=100, limit=5) == 3
    assert database.forget_events(before_s=before_s, keep=100, limit=5) == 0
    assert database.forget_events(before_s=float("inf"), keep=100, limit=5) == 2
    batch = Batch()
    batch.append(events, event(1))
    database.commit(batch)
    assert only(database, events)["id"] > newest


@pytest.mark.parametrize("url", ["", "headgate.db", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_urls_that_name_no_database_of_ours(url):
    """Refused with an example of one that does."""
    with pytest.raises(StoreError, match="sqlite:////"):
        Database.open(url)
