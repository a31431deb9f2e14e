"""Whatever happens, in any order: no rule of the tables is broken, and every task ends."""

from __future__ import annotations

import pickle

from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.upgrade import TABLES, advance, resume
from headgate.upgrade.events import (
    Activated,
    DeadlinePassed,
    DeviceHeard,
    Event,
    RadioReported,
    SlotGranted,
    TaskCancelled,
    VersionReported,
)
from headgate.upgrade.object5 import StateObserved, StateReported, UriCleared, UriRefused
from headgate.upgrade.table import IGNORED
from headgate.upgrade.task import Mark, State, Task
from negotiations import NOON_S, OLD, PLAN, URI, WAYS, radio
from samples import FIRMWARE, SAMPLES, beginnings, effects_of


@st.composite
def histories(draw):
    """From anywhere on the way: events of device, network and operator, in any order."""
    table = draw(st.sampled_from(list(TABLES.values())))
    task = draw(st.sampled_from(beginnings(table)))
    ways = WAYS[table.kind]
    way = ways[draw(st.sampled_from(sorted(ways)))]
    likely = st.integers(0, 9)
    pick = st.integers(0, 2**16)
    pause_s = st.sampled_from([0.0, 0.0, 1.0, 20.0, 60.0, 301.0, 650.0, 4000.0])
    return task, way, draw(st.lists(st.tuples(likely, pick, pause_s), max_size=60))


def chosen(task: Task, likely: int, pick: int) -> Event:
    """An event for this task: four times in five one that its state has an entry for."""
    table = TABLES[task.plan.kind]
    waited_for = table.rows[task.state].on.keys() - {TaskCancelled}
    known = SAMPLES[table]
    kinds = sorted(waited_for if waited_for and likely < 8 else known, key=lambda event: event.__name__)
    samples = known[kinds[pick % len(kinds)]]
    return samples[pick // len(kinds) % len(samples)]


def happens(task, way, steps):
    """Lets it all happen, checking each step; the task, and what time it is then."""
    now = NOON_S
    for event in way:
        task, _ = effects_of(task, event, now)
    for likely, pick, pause_s in steps:
        now += pause_s
        while task.deadline_s is not None and task.deadline_s <= now:
            task, _ = effects_of(task, DeadlinePassed(), now)
        task, _ = effects_of(task, chosen(task, likely, pick), now)
    return task, now


@given(histories())
def test_no_order_of_events_breaks_an_invariant(history):
    """Duplicates, late answers, answers nobody asked for, silence: `check_step` after each."""
    happens(*history)


@given(histories())
def test_every_task_ends_by_itself(history):
    """Whatever happened: when the device falls silent, deadlines alone bring the task to an end."""
    task, now = happens(*history)
    task, _ = effects_of(task, Activated(), now)
    deadlines = 0
    while task.deadline_s is not None:
        now = max(now, task.deadline_s)
        task, _ = effects_of(task, DeadlinePassed(), now)
        deadlines += 1
    assert task.state.terminal
    assert deadlines <= 5  # UPDATING, READ_RESULT, WAIT_RESULT, READ_RESULT, CHECK


@given(histories(), st.integers(0, 2**16))
@settings(max_examples=50)
def test_the_same_task_and_event_give_the_same(history, pick):
    """`advance` is a function: a task that was stored and read back goes on as if it had not been."""
    task, now = happens(*history)
    samples = sorted(SAMPLES[TABLES[task.plan.kind]].items(), key=lambda sample: sample[0].__name__)
    restored = pickle.loads(pickle.dumps(task))
    assert restored == task
    for event in samples[pick % len(samples)][1]:
        assert advance(restored, event, now) == advance(task, event, now)
    assert resume(restored) == resume(task)


@given(histories())
def test_what_is_asked_for_after_a_restart_is_what_the_state_asks_for(history):
    """Or the observation, where nothing is asked; never a write where the row has none."""
    task, _ = happens(*history)
    row = TABLES[task.plan.kind].rows[task.state]
    allowed = set(row.asking()) | set(map(type, row.resume or ()))
    assert {type(effect) for effect in resume(task)} <= (set() if task.state.terminal else allowed)


@given(histories(), st.integers(1, 3))
def test_a_duplicate_of_any_event_never_leads_further_than_the_table_says(history, times):
    """A message that arrives again is another event: it may be early or late, but breaks nothing."""
    task, way, steps = history
    happens(task, way, [step for step in steps for _ in range(times)])


def test_repetitions_are_bounded():
    """Each Mark of a repetition is set by one entry, and keeps that entry from being taken again."""
    assert {Mark.TLV, Mark.CLEARED, Mark.EXECUTED_AGAIN, Mark.READ_AGAIN} < set(Mark)
    task = Task.created(id="1", endpoint="ep", plan=PLAN, now=NOON_S, uri=URI)
    for event in (
        Activated(),
        DeviceHeard(),
        VersionReported(version=OLD),
        RadioReported(radio=radio()),
        SlotGranted(awake=True),
        StateObserved(state=0),
    ):
        task, _ = effects_of(task, event, NOON_S)
    refusals = 0
    while not task.state.terminal:  # a device that refuses everything that it is told
        event = UriRefused(code="4.15") if task.state is State.WRITE_URI and not refusals else None
        event = (
            event
            or {
                State.WRITE_URI: UriRefused(code="4.00"),
                State.CHECK_URI: StateReported(state=2),
                State.CLEAR_URI: UriCleared(),
            }[task.state]
        )
        refusals += 1
        task, _ = effects_of(task, event, NOON_S)
    assert refusals == 6  # the format, the URI, its State, the reset, the URI, its State
    assert FIRMWARE.way(State.SUCCESS, DeviceHeard) is IGNORED
