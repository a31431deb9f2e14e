"""A line of waiting: order and positions, against a sorted list."""

from __future__ import annotations

from bisect import bisect_left, insort

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.upgrade.line import Line

KEYS = st.tuples(st.floats(0, 9, width=16), st.sampled_from("abcdefgh"))


@given(st.lists(KEYS))
def test_a_line_is_a_sorted_list(keys):
    """Whoever comes takes his place, or leaves it when he comes again."""
    line, model = Line(), []
    for key in keys:
        assert line.position(key) == bisect_left(model, key)
        if key in model:
            line.remove(key)
            model.remove(key)
        else:
            line.add(key)
            insort(model, key)
        assert (len(line), line.first()) == (len(model), model[0] if model else None)
    assert list(line) == model


@pytest.mark.parametrize("order", ["arrivals", "the last first"])
def test_a_long_line(order):
    """100,000, in whatever order they come."""
    count = 100_000
    keys = [(float(index), "") for index in range(count)]
    line = Line()
    for key in keys if order == "arrivals" else reversed(keys):
        line.add(key)
    assert [line.position(keys[index]) for index in (0, 777, count - 1)] == [0, 777, count - 1]
    for key in keys[: count // 2]:
        line.remove(key)
    assert (line.first(), len(line)) == (keys[count // 2], count - count // 2)


@given(st.sets(KEYS), st.sets(KEYS))
def test_a_line_of_many_at_once(first, then):
    """It is the line that they make one by one, and others take their places in it."""
    line = Line(first)
    for key in then - first:
        line.add(key)
    assert list(line) == sorted(first | then)


def test_ties_are_broken_by_name():
    """Two tasks of one instant."""
    line = Line()
    line.add((1.0, "b"))
    line.add((1.0, "a"))
    assert list(line) == [(1.0, "a"), (1.0, "b")]


@pytest.mark.parametrize("mistake", ["add", "remove"])
def test_a_line_is_not_entered_or_left_twice(mistake):
    """Either is a bug of the caller."""
    line = Line()
    line.add((1.0, "a"))
    line.add((2.0, "b"))
    if mistake == "remove":
        line.remove((2.0, "b"))
    with pytest.raises(AssertionError, match="the line"):
        getattr(line, mistake)((2.0, "b"))
    assert (1.0, "a") in list(line)
