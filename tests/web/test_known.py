"""What a forecast reads of the store, on both databases: devices by stage, cell and class, paces, slots."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from device_rows import NOW_S, any_devices, device
from headgate.store import tables
from headgate.store.batch import Batch, Row
from headgate.store.database import Database
from headgate.upgrade.admission import Limits
from headgate.upgrade.airtime import Cargo
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.task import Kind, State, Timers
from headgate.upgrade.windows import ALWAYS
from headgate.web import known
from headgate.web.forecasting import foretold
from headgate.web.targets import DeviceFilter, failed_in, filtered

DAY_S = 86_400.0
C0, C1, C2, U = RadioClass


@pytest.fixture
def database(new_url: Callable[[], str]) -> Iterator[Database]:
    """An open database, empty at first."""
    opened = Database.open(new_url())
    yield opened
    opened.close()


def stored(database: Database, **rows: list[Row]) -> None:
    """Rows by table, in one commit; those of events in their order."""
    batch = Batch()
    for name, each in rows.items():
        for row in each:
            if name == "events":
                batch.append(tables.events, row)
            else:
                batch.put(tables.metadata.tables[name], row)
    database.commit(batch)


def task(number: int, **said: Any) -> Row:
    """A row of tasks: one that succeeded, in class 1."""
    row = {"id": f"c-{number:07}", "campaign_id": "c", "endpoint": f"d{number:05}", "entered_s": 0.0}
    row |= {"stage_s": 0.0, "created_s": 0.0, "active": False, "cell_id": 0x1A2B, "smcc": 460, "smnc": 0}
    return row | {"radio_class": "1", "state": State.SUCCESS.value, "ended_s": NOW_S + 900.0} | said


def reports(**said: Any) -> known.Reports:
    """When devices report."""
    return known.Reports(**{"now_s": NOW_S, "interval_s": None, "online_s": DAY_S} | said)


def test_a_sleeper_reports_until_its_registration_ends():
    """By its lifetime and when it was heard; who has not registered comes within T_online."""
    row = reports().row("A", "1", True, 7200, NOW_S - 7000.0)
    assert row == ("A", C1, True, 200.0, 7200.0)
    assert reports().row("A", "1", True, 7200, NOW_S - 8000.0).within_s == 1.0
    assert reports(interval_s=600.0).row("A", "1", True, 7200, NOW_S - 7000.0)[3:] == (600.0, 600.0)
    assert reports().row("A", "1", False, 7200, NOW_S - 7000.0).within_s == 0.0
    assert reports().row("A", "", True, 7200, None)[:2] == (None, None)
    assert reports().row(None, None, None, None, None) == (None, None, False, DAY_S, DAY_S)


def test_stages_are_runs_of_the_list(database):
    """Of a query, by ranges of endpoints; a cell is thinned by the database."""
    rows = [device(n, f"{n % 3:X}", "01"[n % 2]) for n in range(60)]
    rows += [device(n, None, None) for n in range(60, 70)]
    stored(database, devices=rows)
    query = filtered(DeviceFilter(endpoint_prefix="d"))
    first, last = known.stored_parts(database, query, [12, 58], reports())
    assert sum(first.counts.values()) == 12
    assert last.counts[None] == 10
    assert first.counts == {(f"{cell:X}", each): 2 for cell in range(3) for each in (C0, C1)}
    assert len(first.rows(["0", "1"], every=1)) == 8
    assert len(last.rows(["0"], every=4)) == 4
    assert [row.cell for row in last.rows(None, every=3)] == [None] * 3
    listed = known.listed_parts(database, [row["endpoint"] for row in rows], [12, 58], reports())
    for mine, theirs in zip(listed, (first, last), strict=True):
        assert mine.counts == theirs.counts
        assert sorted(mine.rows(["0"], every=1)) == sorted(theirs.rows(["0"], every=1))


def test_those_who_failed_need_not_be_registered(database):
    """Of whom nothing is known then, but their number."""
    stored(
        database,
        devices=[device(n) for n in range(3)],
        tasks=[task(n, state=State.FAILED.value, failure="x") for n in range(5)],
    )
    (whole,) = known.stored_parts(database, failed_in("c", ()), [5], reports())
    assert whole.counts == {("460-00-1A2B", C0): 3, None: 2}
    assert [row.within_s for row in whole.rows(None, every=1)] == [DAY_S] * 2


def test_the_pace_of_a_class_is_what_was_measured(database):
    """100 s until the URI was taken, 500 s of download, 300 s for the rest: of twenty, else it is assumed."""
    rows = [task(n) for n in range(known.ENOUGH)]
    rows += [task(n, radio_class="2") for n in range(100, 100 + known.ENOUGH - 1)]
    rows += [task(n, radio_class="0", state=State.FAILED.value) for n in range(200, 230)]
    campaign = {"id": "c", "kind": "firmware", "pid": "p", "state": "ended", "created_s": 1.0}
    package = {
        "pid": "p",
        "sha256": "",
        "kind": "firmware",
        "version": "V2",
        "size_bytes": 8000,
        "added_s": 1.0,
    }
    stored(
        database,
        campaigns=[campaign],
        packages=[package | {"added_s": 1.0}],
        tasks=rows,
        events=[
            {"at_s": NOW_S + at_s, "what": what, "detail": "", "campaign_id": "c", "step": None}
            | {"endpoint": row["endpoint"], "task_id": row["id"]}
            for row in rows
            for what, at_s in zip(known.steps(Kind.FIRMWARE), (0.0, 100.0, 600.0), strict=True)
        ],
    )
    found = known.paces(database, Kind.FIRMWARE)
    assert list(found) == [C1]
    assert found[C1].goodput_bytes_s == pytest.approx(8000 / 500)
    assert (found[C1].rest_s, found[C1].tasks) == (400.0, known.ENOUGH)
    assert known.paces(database, Kind.SOFTWARE) == {}


def test_who_holds_slots_is_counted_by_cell_and_class(database):
    """Active tasks alone."""
    rows = [task(n, state=State.DOWNLOADING.value, active=True) for n in range(3)]
    rows += [task(n, state=State.WAIT_SLOT.value, active=True) for n in range(3, 5)]
    rows += [task(5), task(6, state=State.WAIT_ONLINE.value, active=True)]
    stored(database, tasks=rows)
    (found,) = known.occupied(database, Limits())
    assert (found.cell, found.radio_class) == (Cell(0x1A2B, 460, 0), C1)
    assert (found.held, found.waiting, found.limit) == (3, 2, 10)


def test_any_fleet_has_a_forecast(database):
    """Whatever is in the rows, and though some of them are played for all: seeded, and printed."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    rows = any_devices(rng, 60)
    stored(database, devices=rows)
    wish = {"cargo": Cargo(kind=Kind.FIRMWARE, size_bytes=8000, segment_size_bytes=0), "begin_s": NOW_S}
    wish |= {"limits": Limits(), "timers": Timers(), "windows": ALWAYS}
    query = filtered(DeviceFilter(endpoint_prefix="d"))
    said = foretold(database, query, [1, 30, 29], reports(), wish, NOW_S)
    assert (said.devices, said.exact) == (60, True)
    for part in known.stored_parts(database, query, [1, 30, 29], reports()):
        unknown = part.rows(None, every=1)
        assert len(unknown) == part.counts.get(None, 0)
        assert len(part.rows(["1", "460-00-2"], every=1)) + len(unknown) == sum(part.counts.values())
        assert len(part.rows(None, every=4)) == len(unknown) // 4
