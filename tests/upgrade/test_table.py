"""The table itself: nothing is missing, nothing is untrue, and nothing that happens breaks its rules."""

from __future__ import annotations

import pickle
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.upgrade import TABLES, advance, resume
from headgate.upgrade.events import (
    Activated,
    CellRefused,
    CellReported,
    CommandReset,
    CommandUnanswered,
    Conflicted,
    DeadlinePassed,
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    Effect,
    Event,
    ExecuteAccepted,
    ExecuteRefused,
    RadioRefused,
    RadioReported,
    RegistrationExpired,
    SlotGranted,
    SlotRevoked,
    TaskCancelled,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.failure import Failure
from headgate.upgrade.negotiation import IGNORED, Choice, Failed, Negotiation
from headgate.upgrade.object5 import (
    ClearRefused,
    ObservationEnded,
    ObserveRefused,
    PackageRefused,
    PackageReported,
    ResultRefused,
    ResultReported,
    StateObserved,
    StateRefused,
    StateReported,
    UriAccepted,
    UriCleared,
    UriRefused,
)
from headgate.upgrade.object19 import (
    DataObserved,
    DownloadReported,
    ExecuteDeclined,
    FrameDelivered,
    NotificationAccepted,
    NotificationDeclined,
    NotificationRefused,
    SegmentRequested,
    SubscriptionRefused,
    UpgradeReported,
)
from headgate.upgrade.radio import Measurement
from headgate.upgrade.task import HOLDING, TERMINAL, Kind, Mark, State, Task
from negotiations import NOON_S, OLD, PLAN, SOFTWARE_PLAN, TARGET, URI, WAYS, check_step, radio

FIRMWARE, SOFTWARE = TABLES[Kind.FIRMWARE], TABLES[Kind.SOFTWARE]
tables = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.kind)

CODES = ["4.00", "4.04", "4.05", "4.06", "4.15", "5.03"]
SHARED_SAMPLES: dict[type[Event], list[Event]] = {
    Activated: [Activated()],
    Conflicted: [Conflicted()],
    TaskCancelled: [TaskCancelled(by="anna")],
    DeadlinePassed: [DeadlinePassed()],
    DeviceHeard: [DeviceHeard()],
    DeviceRegistered: [DeviceRegistered()],
    DeviceDeregistered: [DeviceDeregistered()],
    RegistrationExpired: [RegistrationExpired()],
    CommandReset: [CommandReset(command="5/0/1")],
    CommandUnanswered: [CommandUnanswered()],
    VersionReported: [VersionReported(version=version) for version in (OLD, TARGET, "V0.1")],
    RadioReported: [RadioReported(radio=each) for each in (radio(), radio(rsrp=-130), Measurement())],
    CellReported: [CellReported(cell_id=cell_id) for cell_id in (0, 0x1A2B, 0x77)],
    SlotGranted: [SlotGranted(awake=awake) for awake in (True, False)],
    SlotRevoked: [SlotRevoked()],
    DownloadStarted: [DownloadStarted()],
    DownloadProgressed: [DownloadProgressed()],
    ExecuteAccepted: [ExecuteAccepted()],
    **{
        refusal: [refusal(code=code) for code in CODES]  # type: ignore[call-arg]
        for refusal in (VersionRefused, RadioRefused, CellRefused, ExecuteRefused)
    },
}
FIRMWARE_SAMPLES: dict[type[Event], list[Event]] = {
    StateObserved: [StateObserved(state=state) for state in range(5)],
    StateReported: [StateReported(state=state) for state in range(5)],
    PackageReported: [PackageReported(uri=uri, version=TARGET) for uri in (URI, "coap://other/x")],
    UriCleared: [UriCleared()],
    UriAccepted: [UriAccepted()],
    ResultReported: [ResultReported(result=result) for result in range(14)],
    ObservationEnded: [ObservationEnded()],
    **{
        refusal: [refusal(code=code) for code in CODES]  # type: ignore[call-arg]
        for refusal in (ObserveRefused, StateRefused, PackageRefused, ClearRefused, UriRefused, ResultRefused)
    },
}
RESULTS = [*range(11), 0x7F, 0x80, 0x81, 0xFF]
SOFTWARE_SAMPLES: dict[type[Event], list[Event]] = {
    FrameDelivered: [FrameDelivered()],
    DataObserved: [DataObserved()],
    SubscriptionRefused: [SubscriptionRefused(code=code) for code in CODES],
    NotificationAccepted: [NotificationAccepted()],
    NotificationDeclined: [NotificationDeclined(result=result) for result in RESULTS[1:]],
    NotificationRefused: [NotificationRefused(code=code) for code in CODES],
    SegmentRequested: [
        SegmentRequested(version=version, segment_index=index)
        for version, index in ((TARGET, 0), (TARGET, 2), (TARGET, 3), (OLD, 0), (TARGET, 65535))
    ],
    DownloadReported: [DownloadReported(result=result) for result in RESULTS],
    ExecuteDeclined: [ExecuteDeclined(result=result) for result in RESULTS[1:]],
    UpgradeReported: [
        UpgradeReported(result=result, version=version) for result in RESULTS for version in (TARGET, OLD)
    ],
}
SAMPLES = {
    FIRMWARE: SHARED_SAMPLES | FIRMWARE_SAMPLES,
    SOFTWARE: SHARED_SAMPLES | SOFTWARE_SAMPLES,
}
PLANS = {
    FIRMWARE: [
        PLAN,
        replace(
            PLAN,
            skip_same_package=True,
            automatic_upgrade=True,
            source_versions=frozenset({OLD}),
            timers=replace(PLAN.timers, no_progress_s=600.0),
        ),
    ],
    SOFTWARE: [
        SOFTWARE_PLAN,
        replace(
            SOFTWARE_PLAN,
            source_versions=frozenset({OLD}),
            timers=replace(PLAN.timers, no_progress_s=600.0),
        ),
    ],
}


def beginnings(table: Negotiation) -> list[Task]:
    """A new task of each plan, and one whose device heard of the version before."""
    return [
        Task.created(id="1", endpoint="ep", plan=plan, now=NOON_S, uri=URI, notified_before=before)
        for plan in PLANS[table]
        for before in ((False, True) if table is SOFTWARE else (False,))
    ]


def effects_of(task: Task, event: Event, now: float) -> tuple[Task, tuple[Effect, ...]]:
    """One step, checked."""
    after, effects = advance(task, event, now)
    check_step(TABLES[task.plan.kind], task, event, now, after, effects)
    return after, effects


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
        State.CHECK_EXECUTE,
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
OVER_PCP = {Mark.RESENT, Mark.RESENT_AGAIN, Mark.RENEWED, Mark.NOTIFIED_BEFORE, Mark.REGISTERED}


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
        task.refused if state is State.CHECK_URI else "",
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


# -- whatever happens --


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
