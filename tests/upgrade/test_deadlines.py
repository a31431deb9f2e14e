"""One script per deadline: how long each state lasts, and what follows when that time has passed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headgate.upgrade import TABLES
from headgate.upgrade.events import (
    DeadlinePassed,
    DeviceRegistered,
    ExecuteRefused,
    RadioReported,
    SlotGranted,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.object5 import ResultReported, StateObserved, StateReported
from headgate.upgrade.radio import Measurement
from headgate.upgrade.task import Kind, State, Timers
from negotiations import OLD, PLAN, SOFTWARE_PLAN, Script

FIRMWARE, SOFTWARE = TABLES[Kind.FIRMWARE], TABLES[Kind.SOFTWARE]


def reach(state, kind=Kind.FIRMWARE):
    """A script in that state, and in no other before for longer than nothing."""
    script = Script(replace(PLAN, skip_same_package=True) if kind is Kind.FIRMWARE else SOFTWARE_PLAN)
    match state:
        case State.COMPARE if kind is Kind.SOFTWARE:
            script.reach(state)
        case State.REQUERY_RADIO | State.REQUERY_CELL:
            script.reach(State.WAIT_SLOT).clock(700).house(SlotGranted(awake=True))
            if state is State.REQUERY_CELL:
                script.asked.clear()
                script.device(RadioReported(radio=Measurement()))
        case State.COMPARE:
            script.reach(State.OBSERVE).device(StateObserved(state=2))
        case State.CHECK_EXECUTE if kind is Kind.SOFTWARE:
            script.reach(State.EXECUTE).device(DeviceRegistered())
            script.asked.clear()
            script.deadline(180)
        case State.CHECK_EXECUTE:
            script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05"))
        case State.WAIT_EXECUTE:
            script.reach(State.EXECUTE).device(ExecuteRefused(code="4.05"))
            script.asked.clear()
            script.device(StateReported(state=1, asked=True))
        case State.CHECK:
            script.reach(State.UPDATING).deadline()
        case State.WAIT_RESULT:
            script.reach(State.READ_RESULT).device(ResultReported(result=0))
            script.asked.clear()
            script.device(VersionReported(version=OLD))
        case State.UNOBSERVE:
            script.reach(State.READ_RESULT).device(ResultReported(result=1))
        case State.CLEAR_URI:
            script.reach(State.OBSERVE).device(StateObserved(state=1))
        case _:
            script.reach(state)
    script.asked.clear()
    return script.stands(state)


DEADLINES = {
    State.WAIT_ONLINE: (86400, Failure.ONLINE_TIMEOUT),
    State.QUERY_VERSION: (180, Failure.VERSION_TIMEOUT),
    State.QUERY_RADIO: (90, State.QUERY_CELL),
    State.QUERY_CELL: (180, Failure.CELL_ID_TIMEOUT),
    State.WAIT_SLOT: (86400, Failure.ONLINE_TIMEOUT),
    State.WAIT_AWAKE: (86400, Failure.ONLINE_TIMEOUT),
    State.REQUERY_RADIO: (90, State.REQUERY_CELL),
    State.REQUERY_CELL: (180, Failure.CELL_ID_TIMEOUT),
    State.OBSERVE: (180, Failure.DOWNLOAD_START_TIMEOUT),
    State.COMPARE: (180, Failure.DOWNLOAD_START_TIMEOUT),
    State.CLEAR_URI: (180, Failure.DOWNLOAD_START_TIMEOUT),
    State.WRITE_URI: (180, Failure.DOWNLOAD_START_TIMEOUT),
    State.CHECK_URI: (180, Failure.DOWNLOAD_START_TIMEOUT),
    State.WAIT_START: (180, Failure.DOWNLOAD_START_TIMEOUT),
    State.DOWNLOADING: (3600, Failure.DOWNLOADED_TIMEOUT),
    State.EXECUTE: (180, Failure.UPDATE_START_TIMEOUT),
    State.CHECK_EXECUTE: (180, Failure.UPDATE_START_TIMEOUT),
    State.WAIT_EXECUTE: (10, State.CHECK_EXECUTE),
    State.UPDATING: (1800, State.CHECK),
    State.READ_RESULT: (180, State.CHECK),
    State.WAIT_RESULT: (60, State.READ_RESULT),
    State.UNOBSERVE: (93, State.SUCCESS),
    State.CHECK: (180, Failure.CHECK_TIMEOUT),
}
SOFTWARE_DEADLINES = {state: leads for state, leads in DEADLINES.items() if state in SOFTWARE.rows} | {
    State.SUBSCRIBE: (180, State.QUERY_RADIO),
    State.NOTIFY: (180, Failure.DOWNLOAD_START_TIMEOUT),
    State.COMPARE: (180, Failure.VERSION_TIMEOUT),
}
ALL = [
    *((Kind.FIRMWARE, state, *leads) for state, leads in DEADLINES.items()),
    *((Kind.SOFTWARE, state, *leads) for state, leads in SOFTWARE_DEADLINES.items()),
]
deadlines = pytest.mark.parametrize(("kind", "state", "duration_s", "leads"), ALL)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.kind)
def test_every_state_that_waits_has_a_deadline(table):
    """And here is what each comes to."""
    states = {state for kind, state, _, _ in ALL if kind is table.kind}
    assert states == {state for state, row in table.rows.items() if row.deadline is not None}


@deadlines
def test_a_deadline_passes(kind, state, duration_s, leads):
    """At its second, and not one before."""
    script = reach(state, kind).deadline(duration_s)
    if isinstance(leads, Failure):
        script.server(*script.asked).ends(State.FAILED, leads)
    else:
        script.stands(leads)


@deadlines
def test_a_deadline_that_passed_while_the_server_was_down_passes_at_its_start(kind, state, duration_s, leads):
    """Deadlines are instants, not durations: a restart moves none."""
    script = reach(state, kind)
    script.now += 7 * 86400
    script.house(DeadlinePassed())
    script.asked.clear()
    script.stands(State.FAILED if isinstance(leads, Failure) else leads)


def test_after_a_long_night_the_check_still_has_its_time():
    """T_check counts from T_update's end, or from now where that is later."""
    script = reach(State.UPDATING)
    script.now += 7 * 86400
    script.house(DeadlinePassed())
    script.asked.clear()
    script.stands(State.CHECK, deadline_s=script.now + 180)


@deadlines
def test_a_timer_that_fires_early_changes_nothing(kind, state, duration_s, leads):
    """Nobody need cancel timers."""
    script = reach(state, kind)
    before = script.task
    script.now = before.deadline_s - 0.001
    script.house(DeadlinePassed())
    assert script.task is before


@pytest.mark.parametrize(
    "state", [State.CREATED, State.SUCCESS, State.FAILED, State.DONE_SAME, State.CANCELLED]
)
def test_states_without_a_deadline(state):
    """What has not begun, and what is over."""
    assert FIRMWARE.rows[state].deadline is None
    assert SOFTWARE.rows[state].deadline is None


def test_timers_are_the_products_own():
    """All are configurable."""
    timers = Timers(online_s=10, version_s=11, download_s=400, download_start_s=12, update_s=500)
    script = Script(replace(PLAN, timers=timers)).reach(State.WAIT_ONLINE)
    assert script.task.deadline_s - script.now == 10
    script = Script(replace(PLAN, timers=timers)).reach(State.DOWNLOADING)
    assert script.task.deadline_s - script.now == 400
