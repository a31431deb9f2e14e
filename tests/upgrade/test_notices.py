"""What devices were told of stays with the store, and goes when nothing depends on it any more."""

from __future__ import annotations

import pytest

from headgate.store import tables
from headgate.upgrade.notices import Notices
from headgate.upgrade.turns import Gathering

DAY_S = 86_400.0


@pytest.fixture
def gathering():
    """What would be stored."""
    return Gathering()


@pytest.fixture
def notices(gathering):
    """Kept for a day."""
    return Notices(gathering, keep_s=DAY_S)


def test_the_last_version_may_be_named_until_it_runs(notices):
    """A device keeps one notification."""
    assert not notices.names("ep", "V2.0")
    notices.told("ep", "V2.0")
    notices.ended("ep", 10.0, runs=False)
    notices.told("ep", "V3.0")
    assert (notices.names("ep", "V2.0"), notices.names("ep", "V3.0")) == (False, True)
    notices.ended("ep", 20.0, runs=True)
    assert not notices.names("ep", "V3.0")
    assert "ep" in notices


def test_a_report_is_owed_an_answer_for_a_day_after_the_end(notices):
    """While the task goes on it is the task that answers."""
    notices.ended("never told", 10.0, runs=True)
    notices.told("ep", "V2.0")
    assert not notices.owed("ep", 10.0)
    notices.ended("ep", 10.0, runs=False)
    assert (notices.owed("ep", 10.0 + DAY_S), notices.owed("ep", 11.0 + DAY_S)) == (True, False)
    assert not notices.owed("never told", 10.0)


def test_what_is_over_goes_and_what_may_be_misread_stays(notices, gathering):
    """A few with each that ends: a campaign of all devices leaves nothing for long."""
    for number in range(8):
        notices.told(f"ep-{number}", "V2.0")
        notices.ended(f"ep-{number}", float(number), runs=number != 2)
    gathering.take()
    notices.told("last", "V2.0")
    for _ in range(2):
        notices.ended("last", DAY_S + 100.0, runs=True)
    assert [number for number in range(8) if f"ep-{number}" in notices] == [2]
    assert len(gathering.take().batch.deletes[tables.notices]) == 7


def test_a_restart_knows_them(notices, gathering):
    """In the order in which they ended."""
    for number, runs in ((0, True), (1, False)):
        notices.told(f"ep-{number}", "V2.0")
        notices.ended(f"ep-{number}", 10.0 + number, runs=runs)
    notices.told("going on", "V2.0")
    rows = gathering.take().batch.puts[tables.notices].values()
    again = Notices(gathering, keep_s=DAY_S)
    for row in sorted(rows, key=lambda row: row["ended_s"] or 0.0):
        again.restore(row)
    assert (again.names("ep-0", "V2.0"), again.names("ep-1", "V2.0")) == (False, True)
    assert again.owed("ep-0", 20.0)
    again.ended("going on", 12.0 + DAY_S, runs=True)
    assert "ep-0" not in again
