"""Counters over time, in memory: rates are between samples, and rings end."""

from __future__ import annotations

from headgate.web.console.charts import BINS, HEIGHT, WIDTH, Point, chart
from headgate.web.console.words import number
from headgate.web.history import EVERY_S, MINUTE_S, History, Ring, Sample, between


def sample(at_s: float, per_s: float = 1.0) -> Sample:
    """Counters that grow evenly."""
    grown = int(at_s * per_s)
    return Sample(at_s=at_s, blocks=grown, bytes=512 * grown, downloads=grown, failures=grown)


def test_a_rate_is_between_two_samples_however_far_apart():
    """One that was missed makes a step wider."""
    rates = between(sample(10.0), sample(70.0))
    assert (rates.blocks_per_s, rates.bytes_per_s) == (1.0, 512.0)
    assert (rates.downloads_per_minute, rates.failures_per_minute) == (60.0, 60.0)


def test_a_ring_keeps_so_many_and_passes_over_what_is_too_near():
    """The newest; with less than two there is no rate."""
    ring = Ring(step_s=10.0, kept=3)
    assert ring.last().blocks_per_s == 0
    ring.take(sample(1000.0))
    assert ring.last().blocks_per_s == 0
    for second in range(1001, 1100):
        ring.take(sample(float(second)))
    assert [each.at_s for each in ring.rates()] == [1081.0, 1090.0, 1099.0]
    assert ring.last().blocks_per_s == 1


def test_the_history_is_fine_for_minutes_and_coarse_for_a_day():
    """Both are bounded; what a name does not say is the fine one."""
    now = 0.0
    history = History(lambda: sample(now))
    for _ in range(int(3600 / EVERY_S)):
        history.take()
        now += EVERY_S
    ring, minutes = history.of("minutes")
    assert len(minutes) == ring.kept
    ring, day = history.of("day")
    assert 3600 / MINUTE_S - 2 <= len(day) <= 3600 / MINUTE_S * 1.2
    assert history.of("nothing")[0] is history.minutes
    assert history.now().blocks_per_s == 1


def test_a_chart_stands_in_its_frame():
    """Its newest point at the right edge, none outside, so many and no more; without any it is empty."""
    points = [Point(at_s=7.0 + second, value=second % 50) for second in range(2000)]
    drawn = chart("c", "C", points, span_s=600.0, begin="then", unit="", written=number)
    places = [tuple(map(float, each.split(","))) for each in drawn.line.split()]
    assert places[-1][0] == WIDTH
    assert BINS <= len(places) <= BINS + 1
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert [tick.text for tick in drawn.ticks] == ["0", "25", "50"]
    empty = chart("c", "C", [], span_s=600.0, begin="then", unit="", written=number)
    assert (empty.line, empty.area, empty.now) == ("", "", "0")
