"""Deadlines: due in their order, cancelled for nothing, and never more entries than twice those that wait."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from headgate.engine import timers as timers_module
from headgate.engine.timers import NEVER, STALE_MIN, Timed, Timers

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "cancel", "take"]), st.integers(0, 9), st.integers(0, 100)
    ),
    max_size=200,
)


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 100)), MOVES, st.sampled_from([0, STALE_MIN]))
def test_as_a_plain_dictionary_has_it(first, moves, stale_min):
    """Setting, moving and cancelling, against the slowest of all timers; with and without building anew.

    `first` are set all at once.
    """
    with mock.patch.object(timers_module, "STALE_MIN", stale_min):
        compare(first, moves)


def compare(first, moves):
    """The same moves of both."""
    timers, items, now = Timers(), [Timed() for _ in range(10)], 0.0
    model = {items[number]: float(seconds) for number, seconds in first.items()}
    timers.set_all(model.items())
    for move, number, seconds in moves:
        item = items[number]
        if move == "set":
            timers.set(item, now + seconds)
            model[item] = now + seconds
        elif move == "cancel":
            timers.cancel(item)
            model.pop(item, None)
        else:
            now += seconds
            while (taken := timers.take_due(now)) is not None:
                assert model.pop(taken) <= now
                assert taken.due_s == NEVER
            assert all(due > now for due in model.values())
        assert timers.next() == min(model.values(), default=None)
        assert len(timers) == len(model)
        for waiting, due in model.items():
            assert waiting.entry_s <= waiting.due_s == due


def test_items_come_in_the_order_of_their_deadlines():
    """And in that of their setting where these are equal."""
    timers, items = Timers(), [Timed() for _ in range(5)]
    for item, due in zip(items, (3.0, 1.0, 2.0, 1.0, 9.0), strict=True):
        timers.set(item, due)
    taken = [timers.take_due(5.0) for _ in range(5)]
    assert taken == [items[1], items[3], items[2], items[0], None]


def test_stale_entries_are_bounded():
    """Each of many items is set and cancelled: what is left of them is cleared away."""
    timers, kept = Timers(), Timed()
    timers.set(kept, 5.0)
    most = 0
    for number in range(50_000):
        item = Timed()
        timers.set(item, 1000.0 + number)
        timers.cancel(item)
        most = max(most, timers.entries)
    assert most <= STALE_MIN + 3
    assert timers.next() == 5.0
    assert len(timers) == 1


def test_moving_a_deadline_later_costs_no_entry():
    """As each new message to a device does."""
    timers, item = Timers(), Timed()
    for due in range(100_000):
        timers.set(item, float(due))
    assert timers.entries == 1
    assert timers.take_due(99_998.0) is None
    assert timers.take_due(99_999.0) is item
