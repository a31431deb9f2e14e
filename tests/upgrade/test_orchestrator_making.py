"""A campaign whose tasks are being made, and a process that dies meanwhile. Operators know of it already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.campaign import Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.lists import LINE, packed, unpacked
from headgate.upgrade.orchestrator import OrchestratorSettings
from headgate.upgrade.stages import Size
from orchestra import House

COUNT = 25
ENDPOINTS = [f"ep-{number}" for number in range(COUNT)]
MADE = [(f"c1-{number:07d}", endpoint) for number, endpoint in enumerate(ENDPOINTS)]


class Killed(Exception):
    """The process died."""


@pytest.fixture
def new_house(tmp_path: Path, new_url: Callable[[], str]) -> Callable[[], House]:
    """Makes houses that make ten tasks at a time, each with an empty database."""
    return lambda: House(tmp_path, url=new_url(), settings=OrchestratorSettings(work_max=10))


def made(house: House) -> list[tuple[str, str]]:
    """The tasks that are there, by id, each with its device."""
    return [(row["id"], row["endpoint"]) for row in house.rows(tables.tasks, campaign_id="c1")]


def campaign(house: House) -> dict[str, Any]:
    """Its row."""
    row = house.database.row(tables.campaigns, ("c1",))
    assert row is not None
    return row


def lists(house: House) -> list[dict[str, Any]]:
    """All lists that are kept."""
    return house.rows(tables.campaign_lists)


def some_made(house: House, pieces: int) -> None:
    """The campaign is acknowledged, and so many pieces of it are made."""
    house.campaign(*ENDPOINTS)
    house.commit()
    for _ in range(pieces):
        house.orchestrator.expire(house.now)
        house.commit()
    assert made(house) == MADE[: 10 * pieces]


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_commit_every_task_is_there_once(new_house, when):
    """And the campaign runs as if nothing had been: stages, retries and counters are the same.

    One device has a task already: its second one fails as it is made.
    """
    retry = RetryPolicy(by_failure={Failure.TASK_CONFLICT: Retry(count=1, interval_s=60)})

    def runs(kill_at: int | None) -> int:
        house = new_house()
        house.campaign("ep-7", id="c0")
        house.run()
        house.campaign(*ENDPOINTS, retry=retry, sizes=[Size(count=10)])
        house.commit()
        house.commits = 0

        def step(at: str) -> None:
            if (house.commits, at) == (kill_at, when):
                raise Killed

        house.steps = step
        try:
            house.run()
        except Killed:
            house.kill()
            house.run()
        assert made(house) == MADE, f"killed {when} {kill_at}"
        assert (campaign(house)["state"], campaign(house)["stage"]) == ("running", 1), f"{when} {kill_at}"
        assert house.check_counters() == {
            "state wait_online": 9,
            "state created": 15,
            "state failed": 1,
            "failure Task Conflict": 1,
        }, f"killed {when} {kill_at}"
        assert [row["task_id"] for row in house.rows(tables.effects)] == ["c1-0000007"]
        assert lists(house) == []
        house.close()
        return house.commits

    commits = runs(None)
    assert commits > 3
    for kill_at in range(1, commits + 1):
        runs(kill_at)


def test_killed_before_it_was_stored_there_is_no_campaign(new_house):
    """Nobody was told of it: neither its row is there, nor its list."""
    house = new_house()
    house.campaign(*ENDPOINTS)
    house.kill()
    house.run()
    assert house.rows(tables.campaigns) == lists(house) == made(house) == []
    house.close()


def test_killed_again_and_again(new_house):
    """Each process makes a piece, and the next one goes on with the list where it ended."""
    house = new_house()
    some_made(house, 0)
    for process in range(1, 4):
        house.orchestrator.expire(house.now)
        house.commit()
        assert made(house) == MADE[: 10 * process]
        kept = [unpacked(row["packed"]) for row in lists(house)]
        assert kept == ([ENDPOINTS] if process < 3 else [])
        house.kill()
    house.run()
    assert made(house) == MADE
    assert house.check_counters() == {"state wait_online": COUNT}
    house.close()


@pytest.mark.parametrize("killed_between", [False, True])
def test_stopped_after_a_restart_while_it_is_made(new_house, killed_between):
    """No more is made, what there was is cancelled, and the list goes with it: in one transaction."""
    house = new_house()
    some_made(house, 1)
    house.kill()
    house.orchestrator.expire(house.now)
    assert house.orchestrator.stop("c1", "anna", house.now)
    house.commit()
    assert lists(house) == []
    if killed_between:
        house.kill()
    house.run()
    assert made(house) == MADE[:20]
    assert house.check_counters() == {"state cancelled": 20}
    assert (campaign(house)["state"], campaign(house)["ended_s"]) == ("stopped", house.now)
    house.close()


def test_a_schedule_outlives_it(new_house):
    """Nothing begins before its time, though the process that was told of it is gone."""
    house = new_house()
    house.campaign(*ENDPOINTS, start_s=house.now + 3600)
    house.commit()
    house.kill()
    house.clock(3599)
    assert house.check_counters() == {"state created": COUNT}
    assert campaign(house)["state"] == "scheduled"
    house.clock(1)
    assert house.check_counters() == {"state wait_online": COUNT}
    house.close()


def test_one_of_an_earlier_version_has_no_list(new_house):
    """It is stopped, and says so: nobody is upgraded by half a list."""
    house = new_house()
    some_made(house, 2)
    batch = Batch()
    batch.delete(tables.campaign_lists, ("c1",))
    house.database.commit(batch)
    house.kill()
    house.run()
    assert house.check_counters() == {"state cancelled": 20}
    assert campaign(house)["state"] == "stopped"
    said = [row["detail"] for row in house.rows(tables.events) if row["what"] == "campaign stopped"]
    assert said == ["by a restart, since not all of its tasks had been made"]
    house.close()


@pytest.mark.parametrize("count", [1, LINE - 1, LINE, LINE + 1, 2 * LINE])
def test_a_list_is_what_was_packed(count):
    """From any place on, also at the edges of its lines."""
    names = [f"device-{number}" for number in range(count)]
    for start in {0, 1, count - 1, count, min(LINE, count)}:
        assert unpacked(packed(names), start) == names[start:]


def test_a_list_holds_any_name():
    """A name is what a Uri-Query carries: line breaks, too."""
    names = ["a\nb", "\r\n", "\0", "é", "\u2028", "\U0001f600", '"', "\\n", "["]
    assert unpacked(packed(names)) == names
