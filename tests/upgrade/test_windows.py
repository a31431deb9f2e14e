"""Maintenance windows by the clocks of a zone, with the nights in which clocks are put forward and back."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.upgrade.windows import DAYS, Window, Windows, windows_of, windows_text

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    """The time at which the clock of the zone shows this."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def berlin(begin: str, end: str, *days: str) -> Windows:
    """One window in Berlin."""
    return Windows(each=(Window(begin=begin, end=end, days=frozenset(days)),), timezone="Europe/Berlin")


def test_without_windows_it_is_always_open():
    """And never changes."""
    assert Windows().open(0.0)
    assert Windows().next_change(0.0) is None


def test_a_night():
    """It ends on the next day; its ends are its own."""
    night = berlin("22:00", "06:00")
    assert not night.open(at("2026-01-10 21:59:59"))
    assert night.open(at("2026-01-10 22:00"))
    assert night.open(at("2026-01-11 05:59:59"))
    assert not night.open(at("2026-01-11 06:00"))
    assert night.next_change(at("2026-01-10 12:00")) == at("2026-01-10 22:00")
    assert night.next_change(at("2026-01-10 23:00")) == at("2026-01-11 06:00")
    assert night.next_change(at("2026-01-11 06:00")) == at("2026-01-11 22:00")


def test_days_are_those_on_which_it_begins():
    """Saturday's night is over on Sunday at six."""
    weekend = berlin("22:00", "06:00", "sat")
    assert weekend.open(at("2026-01-11 05:00"))  # a Sunday
    assert not weekend.open(at("2026-01-10 05:00"))
    assert weekend.next_change(at("2026-01-11 06:00")) == at("2026-01-17 22:00")


def test_windows_that_meet_are_one():
    """It does not close for an instant, nor where two overlap."""
    two = Windows(each=(Window(begin="20:00", end="22:00"), Window(begin="21:00", end="02:00")))
    three = Windows(each=(*two.each, Window(begin="02:00", end="03:00")))
    evening = at("2026-01-10 20:30", ZoneInfo("UTC"))
    assert (two.next_change(evening) - evening) / 3600 == 5.5
    assert (three.next_change(evening) - evening) / 3600 == 6.5
    always = Windows(each=(Window(begin="00:00", end="12:00"), Window(begin="12:00", end="00:00")))
    assert always.open(evening)
    assert always.next_change(evening) > evening + 7 * 86400


def test_the_night_in_which_clocks_are_put_forward():
    """2026-03-29: two o'clock is three. A night is shorter; an end that does not come still ends."""
    night = berlin("22:00", "06:00")
    assert at("2026-03-29 06:00") - at("2026-03-28 22:00") == 7 * 3600
    assert night.next_change(at("2026-03-28 23:00")) == at("2026-03-29 06:00")
    end_missing = berlin("01:00", "02:30")
    assert end_missing.next_change(at("2026-03-29 01:30")) == at("2026-03-29 03:30")
    begin_missing = berlin("02:30", "05:00")
    assert not begin_missing.open(at("2026-03-29 03:29"))
    assert begin_missing.open(at("2026-03-29 03:30"))
    swallowed = berlin("02:30", "03:00")
    assert swallowed.next_change(at("2026-03-29 01:00")) == at("2026-03-30 02:30")


def test_the_night_in_which_clocks_are_put_back():
    """2026-10-25: from two to three comes twice. A window that ends in it ends in the second."""
    night = berlin("22:00", "02:30")
    assert night.open(at("2026-10-25 02:45", fold=0))
    assert night.open(at("2026-10-25 02:15", fold=1))
    assert night.next_change(at("2026-10-25 01:00")) == at("2026-10-25 02:30", fold=1)
    late = berlin("02:30", "04:00")
    assert late.open(at("2026-10-25 02:45", fold=0))
    assert late.open(at("2026-10-25 02:15", fold=1))
    assert late.next_change(at("2026-10-25 01:00")) == at("2026-10-25 02:30", fold=0)


MINUTES = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
WINDOW = (
    st.tuples(MINUTES, MINUTES, st.frozensets(st.sampled_from(DAYS), max_size=7))
    .filter(lambda each: each[0] != each[1])
    .map(lambda each: Window(begin=each[0], end=each[1], days=each[2]))
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"])


@given(
    st.builds(Windows, each=st.lists(WINDOW, min_size=1, max_size=3).map(tuple), timezone=ZONES),
    st.floats(1_767_225_600, 1_798_761_600),
)
def test_nothing_changes_before_the_next_change(windows, now):
    """It is later than now, and what is open stays so until then; windows are read as they were written."""
    change = windows.next_change(now)
    assert change > now
    for part in range(20):
        assert windows.open(now + (change - now) * part / 20) == windows.open(now)
    if change < now + timedelta(days=7).total_seconds():
        assert windows.open(change) != windows.open(now)
    assert windows_of(windows_text(windows), windows.timezone) == windows


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Window(begin="22:00", end="22:00"),
        lambda: Window(begin="24:00", end="06:00"),
        lambda: Window(begin="9:00", end="10:00"),
        lambda: Window(begin="09:00", end="10:00", days=frozenset({"monday"})),
        lambda: Windows(timezone="Mars/Olympus"),
        lambda: Windows(timezone="../../etc/passwd"),
        lambda: Windows(timezone="Europe"),
        lambda: Windows(each=(Window(begin="09:00", end="10:00"),) * 51),
    ],
)
def test_windows_that_never_open_are_refused(wrong):
    """And zones that there are not."""
    with pytest.raises(ValueError, match=r"."):
        wrong()
