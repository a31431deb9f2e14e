"""Deadlines: due in their order, cancelled for nothing, and never more entries than twice those that wait."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from headgate.engine import timers as timers_module
from headgate.engine.timers import AT_ONCE_MAX, MOVED, NEVER, STALE_MIN, Timed, Timers

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "cancel", "take"]), st.integers(0, 9), st.integers(0, 100)
    ),
    max_size=200,
)


@given(
    st.dictionaries(st.integers(0, 9), st.integers(0, 100)),
    MOVES,
    st.sampled_from([(0, AT_ONCE_MAX), (0, 0), (1, 2), (STALE_MIN, AT_ONCE_MAX)]),
)
def test_as_a_plain_dictionary_has_it(first, moves, bounds):
    """Setting, moving and cancelling, against the slowest of all timers; with and without building anew, at
    once and by and by.

    `first` are set all at once.
    """
    stale_min, at_once_max = bounds
    patches = {"STALE_MIN": stale_min, "AT_ONCE_MAX": at_once_max, "MOVED": 1}
    with mock.patch.multiple(timers_module, **patches):
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
        while (soon := timers.next()) not in (None, first_due := min(model.values(), default=None)):
            assert first_due is None or soon < first_due
        assert soon == first_due
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


def test_a_million_cancelled_are_not_cleared_away_at_once():
    """As when a campaign is stopped: each change clears away some, and in the end few are left."""
    count, timers = 4 * AT_ONCE_MAX, Timers()
    items = [Timed() for _ in range(count)]
    for number, item in enumerate(items):
        timers.set(item, 1000.0 + number)
    before = timers.entries
    for item in reversed(items[1:]):
        timers.cancel(item)
        assert before - timers.entries <= max(MOVED, AT_ONCE_MAX if before <= AT_ONCE_MAX else 0)
        before = timers.entries
    assert timers.entries <= AT_ONCE_MAX
    assert timers.next() == 1000.0


def test_many_stale_entries_are_not_looked_through_at_once():
    """Whoever asks when to come back is told an earlier time, and asks again then."""
    timers, last = Timers(), Timed()
    items = [Timed() for _ in range(2 * STALE_MIN)]
    for number, item in enumerate(items):
        timers.set(item, float(number))
    timers.set(last, 1e6)
    others = [Timed() for _ in items]
    for item in others:
        timers.set(item, 1e7)
    for item in items:
        timers.cancel(item)
    entries = timers.entries
    soon = timers.next()
    assert soon is not None
    assert soon < last.due_s
    assert entries - timers.entries <= STALE_MIN + 1
    assert timers.take_due(soon) is None
    assert timers.next() == last.due_s


def test_moving_a_deadline_later_costs_no_entry():
    """As each new message to a device does."""
    timers, item = Timers(), Timed()
    for due in range(100_000):
        timers.set(item, float(due))
    assert timers.entries == 1
    assert timers.take_due(99_998.0) is None
    assert timers.take_due(99_999.0) is item
