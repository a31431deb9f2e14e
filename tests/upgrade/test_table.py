"""The table itself: nothing is missing, nothing is untrue, and nothing that happens breaks its rules."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest

from headgate.upgrade import TABLES
from headgate.upgrade.events import DeadlinePassed, DeviceHeard, Effect, Event, SlotGranted
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.table import Choice, Failed
from headgate.upgrade.task import HOLDING, TERMINAL, Kind, Mark, State, Task
from negotiations import NOON_S
from samples import FIRMWARE, PLANS, SAMPLES, SOFTWARE, beginnings, effects_of

tables = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.kind)


# -- completeness --


@tables
def test_every_state_has_a_row_and_every_event_an_entry(table):
    """Explicit, IGNORED where nothing happens: no pair is forgotten."""
    assert table.events == SAMPLES[table].keys()
    for state in table.rows:
        for event in table.events:
            assert table.way(state, event) is not None


def test_no_state_is_nobodys():
    """Each is one of a table, and what is not shared is named here."""
    assert FIRMWARE.rows.keys() | SOFTWARE.rows.keys() == set(State)
    assert SOFTWARE.rows.keys() - FIRMWARE.rows.keys() == {State.SUBSCRIBE, State.NOTIFY}
    assert FIRMWARE.rows.keys() - SOFTWARE.rows.keys() == {
        State.OBSERVE,
        State.CLEAR_URI,
        State.WRITE_URI,
        State.CHECK_URI,
        State.WAIT_EXECUTE,
        State.READ_RESULT,
        State.WAIT_RESULT,
        State.UNOBSERVE,
    }


@pytest.mark.parametrize("change", ["forgets", "doubles", "adds"])
def test_a_table_with_a_hole_is_refused(change):
    """The checker can fail."""
    row = FIRMWARE.rows[State.WAIT_SLOT]
    ignored = {
        "forgets": row.ignored - {DeviceHeard},
        "doubles": row.ignored | {SlotGranted},
        "adds": row.ignored | {Event},
    }[change]
    rows = dict(FIRMWARE.rows) | {State.WAIT_SLOT: replace(row, ignored=ignored)}
    with pytest.raises(AssertionError, match="wait_slot"):
        Negotiation(Kind.FIRMWARE, rows, FIRMWARE.events)


@pytest.mark.parametrize("broken", ["a terminal state is left", "no deadline", "no row"])
def test_a_table_against_its_invariants_is_refused(broken):
    """Invariants 1 and 3, and leads into nowhere."""
    rows = dict(FIRMWARE.rows)
    success = rows[State.SUCCESS]
    if broken == "no deadline":
        rows[State.WAIT_SLOT] = replace(
            rows[State.WAIT_SLOT], deadline=None, ignored=rows[State.WAIT_SLOT].ignored | {DeadlinePassed}
        )
    elif broken == "no row":
        del rows[State.WAIT_RESULT]
    else:
        rows[State.SUCCESS] = replace(
            success, on={DeviceHeard: State.CHECK}, ignored=success.ignored - {DeviceHeard}
        )
    with pytest.raises(AssertionError):
        Negotiation(Kind.FIRMWARE, rows, FIRMWARE.events)


def test_steps_are_the_published_ones():
    """1 to 16, and never back along the way that leads to success."""
    steps = [row.step for row in FIRMWARE.rows.values()]
    assert set(steps) <= set(range(1, 17))
    way = [
        State.CREATED,
        State.WAIT_ONLINE,
        State.QUERY_VERSION,
        State.QUERY_RADIO,
        State.WAIT_SLOT,
        State.OBSERVE,
        State.WRITE_URI,
        State.WAIT_START,
        State.DOWNLOADING,
        State.EXECUTE,
        State.UPDATING,
        State.READ_RESULT,
        State.UNOBSERVE,
        State.SUCCESS,
    ]
    assert [FIRMWARE.rows[state].step for state in way] == [1, 3, 4, 6, 8, 9, 10, 11, 11, 12, 13, 14, 15, 16]
    way = [
        State.CREATED,
        State.WAIT_ONLINE,
        State.QUERY_VERSION,
        State.SUBSCRIBE,
        State.QUERY_RADIO,
        State.WAIT_SLOT,
        State.NOTIFY,
        State.WAIT_START,
        State.DOWNLOADING,
        State.EXECUTE,
        State.UPDATING,
        State.SUCCESS,
    ]
    assert [SOFTWARE.rows[state].step for state in way] == [1, 3, 4, 6, 7, 9, 10, 11, 11, 12, 14, 15]
    assert {row.step for row in SOFTWARE.rows.values()} <= set(range(1, 16))


def test_slots_are_held_from_the_grant_to_the_end():
    """States are listed in their order: before the slot, with it, after it."""
    states = list(State)
    assert states[7:-4] == [state for state in states if state in HOLDING]
    assert set(states[-4:]) == TERMINAL


def test_every_effect_says_why_it_may_be_repeated():
    """After a restart they are: the docstring has more than what it does."""

    def effects(kind: type[Effect]) -> list[type[Effect]]:
        return [each for child in kind.__subclasses__() for each in (child, *effects(child))]

    for effect in effects(Effect):
        assert effect.__doc__ is not None
        assert effect.__doc__.count(".") >= 2, f"{effect.__name__} says only what it does"


# -- truth: what the table declares is what happens --


ORDER = list(State)
TRIES = {Mark.TLV, Mark.CLEARED, Mark.EXECUTED_AGAIN}
OVER_PCP = {
    Mark.DELIVERED,
    Mark.RESENT,
    Mark.RESENT_AGAIN,
    Mark.RENEWED,
    Mark.NOTIFIED_BEFORE,
    Mark.REGISTERED,
}


def key(task: Task, now: float) -> tuple[object, ...]:
    """What of a task decides where events lead: values by their kind, times by whether something is due."""
    timers, reading, state = task.plan.timers, task.reading, task.state
    table = TABLES[task.plan.kind]
    measuring = ORDER.index(state) < ORDER.index(State.NOTIFY)
    weighing = state in {State.READ_RESULT, State.WAIT_RESULT, State.CHECK}
    tries = OVER_PCP if table is SOFTWARE else TRIES
    if table is FIRMWARE and (weighing or state is State.UPDATING):
        tries = {Mark.READ_AGAIN}
    asked_s = max(task.entered_s, task.state_seen_s)
    return (
        state,
        PLANS[table].index(task.plan),
        task.marks & tries,
        {None: "none", 0: "zero"}.get(reading.result, "other") if weighing else "",
        reading.version if weighing else "",
        {None: "none", 0: "zero"}.get(reading.state, "other") if weighing else "",
        task.refused if state in {State.CHECK_URI, State.CHECK_EXECUTE, State.WAIT_EXECUTE} else "",
        state is State.CHECK_EXECUTE and now < task.stage_s + timers.read_again_s,
        task.radio and task.radio.radio_class if measuring else None,
        measuring and now - task.measured_s > timers.measurement_s,
        not measuring and now - task.state_seen_s >= timers.poll_s,
        state is State.CHECK and now < task.stage_s + timers.update_s,
        table is SOFTWARE and now - asked_s >= timers.resend_s,
        table is SOFTWARE and not weighing and reading.segment,
    )


Step = tuple[State, Failure | None, frozenset[type[Effect]]]


def explored(table: Negotiation) -> dict[tuple[State, type[Event]], set[Step]]:
    """All that can happen: where each event leads each reachable task, and what is asked for."""
    led: dict[tuple[State, type[Event]], set[Step]] = {}
    todo = deque((task, NOON_S) for task in beginnings(table))
    seen = {key(task, now) for task, now in todo}
    while todo:
        task, before = todo.popleft()
        for samples in SAMPLES[table].values():
            for event in samples:
                for now in {before, before + 700.0, task.deadline_s or before}:
                    after, effects = effects_of(task, event, now)
                    step = after.state, after.failure, frozenset(map(type, effects))
                    led.setdefault((task.state, type(event)), set()).add(step)
                    if after is not task and not after.state.terminal and key(after, now) not in seen:
                        seen.add(key(after, now))
                        todo.append((after, now))
    return led


@pytest.fixture(scope="module", params=TABLES.values(), ids=lambda table: table.kind)
def led(request):
    """A table and its exploration, once for all."""
    return request.param, explored(request.param)


def test_every_state_can_be_reached(led):
    """From CREATED, by events alone."""
    table, led = led
    assert {state for steps in led.values() for state, _, _ in steps} == table.rows.keys()


def test_every_failure_can_be_reached(led):
    """All seventeen; Invalid URI has no source in PCP."""
    table, led = led
    without = {Failure.INVALID_URI} if table is SOFTWARE else set()
    assert {failure for steps in led.values() for _, failure, _ in steps} - {None} == set(Failure) - without


def test_every_lead_of_the_table_is_taken_and_no_other(led):
    """What the table says, and the page drawn from it, is all there is, and nothing that is not."""
    table, led = led
    for state in table.rows.keys() - TERMINAL:
        for event in table.events:
            steps, way = led[state, event], table.way(state, event)
            failures = {failure for _, failure, _ in steps} - {None}
            asked = {effect for entered, _, effects in steps if entered is state for effect in effects}
            named = f"{event.__name__} in {state}"
            assert {entered for entered, _, _ in steps} == table.leads(state, event), named
            if isinstance(way, Choice):
                assert failures == {lead for lead in way.leads if isinstance(lead, Failure)}, named
                assert asked - set(table.rows[state].asking()) <= set(way.effects), named
                assert set(way.effects) <= {effect for _, _, effects in steps for effect in effects}, named
            elif isinstance(way, Failed):
                assert failures == {way.failure}, named
