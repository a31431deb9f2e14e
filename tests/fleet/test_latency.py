"""The histogram of latencies: log-linear, eight buckets per power of two."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet.latency import _py_quantile


@given(times=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50), share=st.floats(0, 1))
def test_quantile_is_within_a_sixteenth(times, share):
    """A bucket is an eighth of its power of two wide, and its middle is reported."""
    exact = sorted(times)[min(len(times) - 1, math.floor(share * len(times)))]
    assert abs(_py_quantile(times, share) - exact) <= exact / 16 + 1e-6 * exact


def test_top_and_bottom_of_the_range():
    """0 ns and 2 ** 64 - 1 ns have buckets of their own."""
    assert _py_quantile([0], 0.5) == 0
    assert math.isclose(_py_quantile([2**64 - 1], 0.5), 2**64, rel_tol=1 / 16)
    assert _py_quantile([], 0.5) == 0


def test_quantiles_keep_their_order():
    """Of 1..1000 us, the median is near 500 and the 99th percentile near 990."""
    times = [n * 1000 for n in range(1, 1001)]
    assert math.isclose(_py_quantile(times, 0.5), 500_000, rel_tol=1 / 16)
    assert math.isclose(_py_quantile(times, 0.99), 990_000, rel_tol=1 / 16)
    assert _py_quantile(times, 0) <= _py_quantile(times, 1)
