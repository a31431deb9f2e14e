"""Cells, slots and lines. Protocol 4.5, design decision 2. What may be held is counted here, from outside."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.upgrade import advance
from headgate.upgrade.admission import Admission, Limits, Occupancy, Place, Scope
from headgate.upgrade.events import DeviceHeard, RadioReported, SlotGranted, SlotRevoked, TaskCancelled
from headgate.upgrade.radio import Cell, Measurement, RadioClass
from headgate.upgrade.task import State, Task
from negotiations import NOON_S, PLAN, SOFTWARE_PLAN

HERE, THERE = Cell(0x1A2B, smcc=460, smnc=0), Cell(0x77)
C0, C1, C2, U = RadioClass


def task(name, radio_class=C0, cell=HERE, *, state=State.WAIT_SLOT, queued_s=NOON_S):
    """A task in that state; its name is its id."""
    made = Task.created(id=name, endpoint=f"urn:{name}", plan=PLAN, now=NOON_S)
    radio = Measurement(cell=cell, radio_class=radio_class)
    return replace(made, state=state, radio=radio, queued_s=queued_s, entered_s=queued_s, measured_s=NOON_S)


def granted(admission, now=NOON_S):
    """The ids that are given slots now, in their order."""
    return list(iter(lambda: admission.grant(now), None))


def lined_up(count, radio_class=C0, cell=HERE, *, since_s=NOON_S, prefix=""):
    """So many tasks, a second apart."""
    return [
        task(f"{prefix or radio_class}{index:03d}", radio_class, cell, queued_s=since_s + index)
        for index in range(count)
    ]


def ended(each):
    """The same task, over."""
    return replace(each, state=State.SUCCESS)


def test_who_stands_in_a_cell_is_told_in_the_order_in_which_they_came():
    """Of all its classes together, and of no other cell, as far as is asked."""
    for scope in Scope:
        limits = Limits(scope=scope, class_0=2, class_1=1)
        waiting = [*lined_up(4, C0, since_s=NOON_S + 0.5), *lined_up(3, C1), task("there", cell=THERE)]
        admission = Admission(limits, waiting)
        given = granted(admission)
        stand = admission.standing(HERE, 10)
        by_time = [each.id for each in sorted(waiting, key=lambda each: each.queued_s) if each.id != "there"]
        assert stand.holders == [id for id in by_time if id in given]
        assert stand.waiting == [id for id in by_time if id not in given]
        assert admission.standing(HERE, 1).waiting == stand.waiting[:1]
        assert admission.standing(Cell(1), 10) == ([], [])


# -- limits --


def test_software_and_firmware_share_a_cell():
    """One counter for both, whatever travels."""
    holding = [replace(task(f"s{n}", C1, state=State.NOTIFY), plan=SOFTWARE_PLAN) for n in range(6)]
    waiting = lined_up(6, C1)
    waiting[0] = replace(waiting[0], plan=SOFTWARE_PLAN)
    assert granted(Admission(Limits(), [*holding, *waiting])) == [each.id for each in waiting[:4]]


@pytest.mark.parametrize(("radio_class", "limit"), [(C0, 50), (C1, 10), (C2, 1), (U, 10)])
@pytest.mark.parametrize("scope", Scope)
def test_a_cell_carries_so_many_of_a_class(radio_class, limit, scope):
    """50, 10, 1 and 10, in the order of their coming."""
    waiting = lined_up(60, radio_class)
    admission = Admission(Limits(scope=scope), reversed(waiting))
    assert granted(admission) == [each.id for each in waiting[:limit]]


def test_each_class_has_its_own_slots():
    """Scope CLASS: the original text counts devices "in the same coverage range"."""
    tasks = [each for radio_class in RadioClass for each in lined_up(60, radio_class)]
    ids = granted(Admission(Limits(), tasks))
    assert Counter(name[0] for name in ids) == {"0": 50, "1": 10, "2": 1, "U": 10}


def test_each_cell_has_its_own_slots():
    """The same cell ID in another network is another cell."""
    cells = [HERE, THERE, Cell(0x1A2B), Cell(0x1A2B, smcc=460, smnc=1)]
    tasks = [task(f"{index}{name}", C2, cell) for index, cell in enumerate(cells) for name in "ab"]
    assert Counter(name[0] for name in granted(Admission(Limits(), tasks))) == dict.fromkeys("0123", 1)


@pytest.mark.parametrize(
    ("holding", "classes"),
    [
        ({}, "012U"),
        ({C2: 1}, ""),
        ({C0: 1}, "01U"),
        ({C0: 45}, "01U"),
        ({C0: 46}, "0"),
        ({C0: 50}, ""),
        ({C1: 9}, "01U"),
        ({C1: 9, C0: 1}, "0"),
        ({C1: 5, U: 5}, ""),
        ({C1: 4, U: 5, C0: 5}, ""),
        ({C1: 4, U: 5, C0: 4}, "0"),
    ],
)
def test_no_mixture_in_a_cell_exceeds_any_limit(holding, classes):
    """Scope CELL: a device is 1/50, 5/50 or 50/50 of its cell."""
    fits = ""
    for radio_class in RadioClass:
        holders = [
            task(f"{each}-{index}", each, state=State.DOWNLOADING)
            for each, count in holding.items()
            for index in range(count)
        ]
        admission = Admission(Limits(scope=Scope.CELL), [*holders, task("next", radio_class)])
        fits += radio_class.value if granted(admission) else ""
    assert fits == classes


def test_limits_are_configuration():
    """Any figures, in both scopes."""
    limits = Limits(class_0=3, class_1=2, class_2=1, unknown=7)
    assert len(granted(Admission(limits, lined_up(9, U)))) == 7
    mixed = [*lined_up(1, C0), *lined_up(1, C1), *lined_up(2, U)]  # 1/3 + 1/2 + 1/7 = 41/42
    assert len(granted(Admission(replace(limits, scope=Scope.CELL), mixed))) == 3


def test_a_class_without_slots_is_refused():
    """Its devices would wait for ever."""
    with pytest.raises(ValueError, match="class 2"):
        Limits(class_2=0)


# -- settling --


@pytest.mark.parametrize("state", State)
def test_a_slot_is_held_in_the_holding_states_alone(state):
    """A place in line in WAIT_SLOT, and nothing elsewhere."""
    admission = Admission(Limits(), [task("a", C2, state=state), task("b", C2, queued_s=NOON_S + 1)])
    place = admission.explain("a")
    assert (place is not None) == (state.holds_slot or state is State.WAIT_SLOT)
    expected = {True: [], False: ["a" if state is State.WAIT_SLOT else "b"]}[state.holds_slot]
    assert granted(admission) == expected


def test_settling_again_changes_nothing():
    """A task may be told of twice."""
    waiting = lined_up(3, C2)
    admission = Admission(Limits(), waiting)
    assert granted(admission) == ["2000"]
    for _ in range(3):
        admission.settle(replace(waiting[0], state=State.OBSERVE))
        admission.settle(waiting[1])
        assert granted(admission) == []
    assert admission.explain("2001").position == 1


def test_a_slot_that_comes_free_goes_to_the_next():
    """At once."""
    waiting = lined_up(3, C2)
    admission = Admission(Limits(), waiting)
    for each, following in zip(waiting, [*waiting[1:], None], strict=True):
        assert granted(admission) == [each.id]
        admission.settle(replace(each, state=State.DOWNLOADING))
        assert granted(admission) == []
        admission.settle(ended(each))
        if following is None:
            assert granted(admission) == []
    assert list(admission.occupancy()) == []


def test_a_grant_that_comes_to_nothing_comes_back():
    """The task was cancelled while it was given its slot."""
    first, second = lined_up(2, C2)
    admission = Admission(Limits(), [first, second])
    assert granted(admission) == [first.id]
    admission.settle(ended(first))
    assert granted(admission) == [second.id]


def test_a_device_in_the_middle_of_the_line_may_leave():
    """Cancelled, or out of time."""
    waiting = lined_up(4, C2)
    admission = Admission(Limits(), waiting)
    assert granted(admission) == [waiting[0].id]
    admission.settle(ended(waiting[2]))
    assert [admission.explain(each.id) and admission.explain(each.id).position for each in waiting] == [
        0,
        1,
        None,
        2,
    ]


def test_a_device_found_elsewhere_moves_with_its_seniority():
    """Its slot goes to the next; in its new line it stands where it would have stood from the beginning."""
    here, there = lined_up(2, C2), lined_up(2, C2, THERE, since_s=NOON_S + 5, prefix="t")
    admission = Admission(Limits(), [*here, *there])
    assert granted(admission) == [here[0].id, there[0].id]
    radio = Measurement(cell=THERE, radio_class=C2)
    admission.settle(replace(here[0], radio=radio))
    assert granted(admission) == [here[1].id]
    assert [admission.explain(each.id).position for each in (here[0], there[1])] == [1, 2]


def test_limits_that_were_lowered_are_reached_by_waiting():
    """More holders than slots, after a restart with another configuration: nobody is thrown out."""
    holders = [replace(each, state=State.DOWNLOADING) for each in lined_up(5, C1)]
    waiting = lined_up(2, C1, prefix="w")
    admission = Admission(Limits(class_1=3), [*holders, *waiting])
    for each in holders[:2]:
        assert granted(admission) == []
        admission.settle(ended(each))
    assert granted(admission) == []
    admission.settle(ended(holders[2]))
    assert granted(admission) == ["w000"]


@pytest.mark.parametrize("radio", [None, Measurement(cell=HERE), Measurement(radio_class=C0)])
def test_a_task_without_cell_or_class_cannot_wait_for_a_slot(radio):
    """The negotiation does not let it: a bug."""
    with pytest.raises(AssertionError, match="without"):
        Admission(Limits(), [replace(task("a"), radio=radio)])


# -- explanations --


def test_a_place_is_explained():
    """Position 2 of 3, in cell 460-00-1A2B, class 1, all slots taken."""
    waiting = lined_up(13, C1)
    admission = Admission(Limits(), waiting)
    assert len(granted(admission)) == 10
    assert admission.explain("1011") == Place(
        cell=HERE,
        radio_class=C1,
        position=2,
        waiting=3,
        held=10,
        limit=10,
        share=1.0,
        since_s=NOON_S + 11,
    )
    assert admission.explain("1000").position == 0
    assert admission.explain("nobody") is None


def test_a_cell_that_is_shared_says_how_full_it_is():
    """Scope CELL: no slots of the class are in use, and yet none is free."""
    holders = [replace(each, state=State.DOWNLOADING) for each in lined_up(30, C0)]
    place = Admission(Limits(scope=Scope.CELL), [*holders, task("a", C2)]).explain("a")
    assert (place.held, place.limit, place.share) == (0, 1, 0.6)


def test_occupancy_lists_what_is_in_use():
    """Cells and classes with holders or a line."""
    tasks = [*lined_up(3, C2), *lined_up(2, C0, THERE)]
    admission = Admission(Limits(), tasks)
    granted(admission)
    assert sorted(admission.occupancy(), key=lambda each: each.cell.cell_id) == [
        Occupancy(cell=THERE, radio_class=C0, held=2, limit=50, waiting=0),
        Occupancy(cell=HERE, radio_class=C2, held=1, limit=1, waiting=2),
    ]


# -- sleepers --


def asleep(each, since_s):
    """The task was given its slot then, and has not been heard since."""
    return replace(each, state=State.WAIT_AWAKE, entered_s=since_s)


def test_a_silent_device_loses_its_slot_after_ten_minutes():
    """If others wait; and then it stands behind them."""
    first, second = lined_up(2, C2)
    admission = Admission(Limits(), [first, second])
    assert granted(admission) == [first.id]
    admission.settle(asleep(first, NOON_S))
    assert admission.silent(NOON_S + 599) is None
    assert admission.silent(NOON_S + 600) == first.id
    admission.settle(replace(first, queued_s=NOON_S + 600))
    assert admission.silent(NOON_S + 600) is None
    assert granted(admission) == [second.id]
    assert admission.explain(first.id).position == 1


def test_a_silent_device_keeps_a_slot_that_nobody_wants():
    """Until somebody does."""
    first, second = lined_up(2, C2)
    admission = Admission(Limits(), [asleep(first, NOON_S), task("other", C2, THERE)])
    assert admission.silent(NOON_S + 10_000) is None
    admission.settle(second)
    assert admission.silent(NOON_S + 10_000) == first.id
    admission.settle(ended(second))
    assert admission.silent(NOON_S + 10_000) is None


def test_a_device_that_woke_keeps_its_slot():
    """It is silent no more."""
    first, second = lined_up(2, C2)
    admission = Admission(Limits(), [asleep(first, NOON_S), second])
    admission.settle(replace(first, state=State.OBSERVE))
    assert admission.silent(NOON_S + 10_000) is None


def test_the_longest_sleeper_of_all_cells_comes_first():
    """One after the other, until none is left."""
    cells = [Cell(number) for number in range(1, 6)]
    sleepers = [asleep(task(f"s{cell.cell_id}", C2, cell), NOON_S - cell.cell_id) for cell in cells]
    admission = Admission(Limits(), [*sleepers, *(task(f"w{cell.cell_id}", C2, cell) for cell in cells)])
    found = []
    while (name := admission.silent(NOON_S + 600)) is not None:
        found.append(name)
        admission.settle(replace(task(name, C2, Cell(int(name[1:]))), queued_s=NOON_S + 600))
    assert found == ["s5", "s4", "s3", "s2", "s1"]


# -- one cell for all classes: overtaking and ageing --


def test_who_fits_may_overtake_who_does_not():
    """A class 2 device needs the cell to itself; until it has aged the others need not wait for that."""
    holder = task("h", C0, state=State.DOWNLOADING)
    admission = Admission(Limits(scope=Scope.CELL), [holder, task("two", C2), *lined_up(3, C0)])
    assert granted(admission, NOON_S + 599) == ["0000", "0001", "0002"]


def test_nobody_overtakes_who_has_waited_long():
    """The cell drains for it: the oldest that has aged is the next."""
    holder = task("h", C0, state=State.DOWNLOADING)
    younger = lined_up(3, C0, since_s=NOON_S + 1)
    admission = Admission(Limits(scope=Scope.CELL), [holder, task("two", C2), *younger])
    assert granted(admission, NOON_S + 600) == []
    admission.settle(ended(holder))
    assert granted(admission, NOON_S + 601) == ["two"]
    admission.settle(ended(task("two", C2)))
    assert granted(admission, NOON_S + 602) == ["0000", "0001", "0002"]


def test_an_older_device_that_fits_is_not_held_up_by_a_younger_that_has_aged():
    """Only those behind it are."""
    holder = task("h", C1, state=State.DOWNLOADING)
    older = task("old", C0, queued_s=NOON_S - 1)
    younger = lined_up(2, C0, since_s=NOON_S + 1)
    admission = Admission(Limits(scope=Scope.CELL), [holder, older, task("two", C2), *younger])
    assert granted(admission, NOON_S + 900) == ["old"]


@pytest.mark.parametrize("period_s", [1, 7, 40])
def test_a_weak_device_is_not_starved_by_a_stream_of_strong_ones(period_s):
    """Scope CELL under steady arrivals: it gets in when it has aged and those before it have gone."""
    duration_s, limits = 900, Limits(scope=Scope.CELL)
    admission = Admission(limits)
    ends: dict[float, list[Task]] = {}
    tasks: dict[str, Task] = {}
    weak_s = 100
    rounds_before = -(-(weak_s // period_s + 1) // limits.class_0)

    def arrive(each):
        tasks[each.id] = each
        admission.settle(each)

    for second in range(10_000):
        now = NOON_S + second
        for each in ends.pop(now, []):
            admission.settle(ended(each))
        if second % period_s == 0:
            arrive(task(f"s{second:05d}", C0, queued_s=now))
        if second == weak_s:
            arrive(task("weak", C2, queued_s=now))
        for name in granted(admission, now):
            if name == "weak":
                assert second <= weak_s + limits.ageing_s + duration_s * rounds_before
                return
            admission.settle(replace(tasks[name], state=State.DOWNLOADING))
            ends.setdefault(now + duration_s, []).append(tasks[name])
    pytest.fail("the weak device never got its turn")


# -- whatever happens, counted from outside --

CELLS = [HERE, THERE]
SMALL = Limits(class_0=4, class_1=2, class_2=1, unknown=2, ageing_s=50.0, silent_s=30.0)


class Outside:
    """The same cells, kept as a plain list of tasks: slow, and without any of the admission's ideas."""

    def __init__(self, limits):
        self.limits = limits
        self.tasks = {}

    def group(self, each):
        return each.radio.cell, each.radio.radio_class

    def holders(self):
        return Counter(self.group(each) for each in self.tasks.values() if each.state.holds_slot)

    def line(self, group):
        waiting = [each for each in self.tasks.values() if each.state is State.WAIT_SLOT]
        return sorted(
            (each for each in waiting if self.group(each) == group), key=lambda t: (t.queued_s, t.id)
        )

    def share(self, cell):
        """How much of a cell is in use, classes together."""
        held = {group: count for group, count in self.holders().items() if group[0] == cell}
        return sum(Fraction(count, self.limits.of(group[1])) for group, count in held.items())

    def fits(self, group):
        if self.limits.scope is Scope.CLASS:
            return self.holders()[group] < self.limits.of(group[1])
        return self.share(group[0]) + Fraction(1, self.limits.of(group[1])) <= 1

    def check_limits(self):
        for group, count in self.holders().items():
            assert count <= self.limits.of(group[1])
            if self.limits.scope is Scope.CELL:
                assert self.share(group[0]) <= 1

    def check_nothing_idle(self, now):
        for cell in CELLS:
            firsts = [line[0] for radio_class in RadioClass if (line := self.line((cell, radio_class)))]
            for each in firsts:
                if self.fits(self.group(each)):
                    assert self.limits.scope is Scope.CELL
                    assert any(
                        (other.queued_s, other.id) < (each.queued_s, each.id)
                        and now - other.queued_s >= self.limits.ageing_s
                        and not self.fits(self.group(other))
                        for other in firsts
                    ), f"{each.id} could have a slot"

    def check_grant(self, name):
        each = self.tasks[name]
        assert each.state is State.WAIT_SLOT
        assert self.line(self.group(each))[0] is each
        assert self.fits(self.group(each))

    def check_places(self, admission):
        holders = self.holders()
        seen = {(each.cell, each.radio_class): (each.held, each.waiting) for each in admission.occupancy()}
        groups = {self.group(each) for each in self.tasks.values() if admission.explain(each.id)}
        assert seen == {group: (holders[group], len(self.line(group))) for group in groups}
        for group in groups:
            for index, each in enumerate(self.line(group)):
                place = admission.explain(each.id)
                assert (place.cell, place.radio_class, place.position) == (*group, index + 1)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrives", "arrives", "ends", "ends", "sleeps", "wakes", "moves", "waits"]),
        st.integers(0, 2**16),
        st.sampled_from(CELLS),
        st.sampled_from(list(RadioClass)),
    ),
    max_size=120,
)


def one_of(tasks, pick):
    """One of the tasks, or None."""
    return tasks[pick % len(tasks)] if tasks else None


@given(st.sampled_from(list(Scope)), STEPS)
def test_whatever_comes_and_goes(scope, steps):
    """Limits, work conservation, order, places; and a rebuilt admission is the same. After every step."""
    limits = replace(SMALL, scope=scope)
    admission, outside = Admission(limits), Outside(limits)
    now = NOON_S

    def settle(each):
        outside.tasks[each.id] = each
        admission.settle(each)

    for number, (verb, pick, cell, radio_class) in enumerate(steps):
        now += 5 + pick % 7
        radio = Measurement(cell=cell, radio_class=radio_class)
        alive = [each for each in outside.tasks.values() if not each.state.terminal]
        holding = [each for each in alive if each.state.holds_slot]
        each = None
        match verb:
            case "arrives":
                each = task(f"{number:03d}", radio_class, cell, queued_s=now)
            case "ends" if alive:
                each = replace(one_of(alive, pick), state=State.FAILED)
            case "sleeps" if holding:
                each = replace(one_of(holding, pick), state=State.WAIT_AWAKE, entered_s=now)
            case "wakes" if holding:
                each = replace(one_of(holding, pick), state=State.OBSERVE, entered_s=now)
            case "moves" if holding:
                each = replace(one_of(holding, pick), state=State.WAIT_SLOT, radio=radio)
        if each is not None:
            settle(each)
        while (name := admission.silent(now)) is not None:
            sleeper = outside.tasks[name]
            assert sleeper.state is State.WAIT_AWAKE
            assert now - sleeper.entered_s >= limits.silent_s
            assert any(other.state is State.WAIT_SLOT for other in outside.tasks.values())
            settle(replace(sleeper, state=State.WAIT_SLOT, queued_s=now))
        while (name := admission.grant(now)) is not None:
            outside.check_grant(name)
            settle(replace(outside.tasks[name], state=State.READ_RESULT, entered_s=now))
        outside.check_limits()
        outside.check_nothing_idle(now)
        outside.check_places(admission)
    again = Admission(limits, outside.tasks.values())
    assert granted(again, now) == []
    outside.check_places(again)
    assert {name: again.explain(name) for name in outside.tasks} == {
        name: admission.explain(name) for name in outside.tasks
    }


@given(st.sampled_from(list(Scope)), STEPS)
def test_everyone_has_a_turn(scope, steps):
    """When nobody comes any more and every holder ends, all who waited get their slots."""
    limits = replace(SMALL, scope=scope)
    arrivals = [
        task(f"{number:03d}", radio_class, cell, queued_s=NOON_S + number)
        for number, (_, _, cell, radio_class) in enumerate(steps)
    ]
    tasks = {each.id: each for each in arrivals}
    admission = Admission(limits, arrivals)
    now, served = NOON_S, []
    while batch := granted(admission, now):
        served += batch
        now += 20
        for name in batch:
            admission.settle(ended(tasks[name]))
    assert sorted(served) == sorted(tasks)
    assert list(admission.occupancy()) == []


# -- with the negotiation --


def test_a_granted_slot_is_the_tasks_until_it_ends():
    """Told, stored, settled: through sleep, a new measurement elsewhere, and cancelling."""
    first, second = lined_up(2, C2)
    admission = Admission(Limits(), [first, second])

    def happens(each, event, now):
        each, _ = advance(each, event, now)
        admission.settle(each)
        return each

    now = NOON_S + 700
    assert granted(admission, now) == [first.id]
    first = happens(first, SlotGranted(awake=False), now)
    assert first.state is State.WAIT_AWAKE
    assert admission.silent(now + 600) == first.id
    first = happens(first, SlotRevoked(), now + 600)
    assert granted(admission, now + 600) == [second.id]
    second = happens(second, SlotGranted(awake=False), now + 600)
    second = happens(second, DeviceHeard(), now + 700)
    assert second.state is State.REQUERY_RADIO
    moved = Measurement(cell=THERE, radio_class=C1, rsrp_dbm=-115, sinr_db=9)
    second = happens(second, RadioReported(radio=moved), now + 705)
    assert sorted(granted(admission, now + 705)) == [first.id, second.id]  # each in its own cell
    first = happens(first, SlotGranted(awake=True), now + 705)
    second = happens(second, SlotGranted(awake=True), now + 705)
    assert (first.state, second.state) == (State.REQUERY_RADIO, State.OBSERVE)
    for each in (first, second):
        happens(each, TaskCancelled(), now + 710)
    assert list(admission.occupancy()) == []
