"""Rows of the outbox: in the turn that stores what they tell, or not at all; over kills too."""

from __future__ import annotations

import json

import pytest

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.announcements import Announced, Hook, hook_of, hook_row
from headgate.upgrade.failure import Failure
from headgate.upgrade.orchestrator import OrchestratorSettings
from headgate.upgrade.stages import Gate, Size
from orchestra import NOON_S, House


@pytest.fixture
def house(tmp_path):
    """A house with room for four events of each hook."""
    made = House(tmp_path, settings=OrchestratorSettings(outbox_max=4))
    yield made
    made.close()


def hook(house: House, *events: Announced, id: str = "h") -> Hook:
    """A hook, as it is made: stored first."""
    made = Hook(
        id=id, url="http://h.example/", events=frozenset(events), secret="s" * 16, created_s=house.now
    )
    batch = Batch()
    batch.put(tables.hooks, hook_row(made))
    house.database.commit(batch)
    house.orchestrator.announcements.add(made)
    return made


def told(house: House, hook_id: str = "h") -> list[dict]:
    """What it is to be told, in order."""
    rows = house.database.rows(tables.outbox, where={"hook_id": hook_id}, limit=100, by=("number",))
    return [json.loads(row["body"]) for row in rows]


def test_without_a_hook_nothing_is_written(house):
    """Nor counted, nor made into text."""
    house.device()
    house.campaign()
    house.run()
    assert house.state() == "success"
    assert house.rows(tables.outbox) == []
    assert house.orchestrator.announcements.counts.total() == 0


def test_a_failure_is_told_with_what_the_device_said(house):
    """Its published text, and the raw code beside it."""
    hook(house, Announced.TASK_ENDED)
    house.device(fails_by=8)
    house.campaign()
    house.run()
    (said,) = told(house)
    assert (said["event"], said["endpoint"], said["task"]) == ("task.ended", "ep-1", "c1-0000000")
    assert (said["state"], said["failure"]) == ("failed", Failure.UPDATE_FAILED.value)
    assert (said["detail_at"], said["detail_code"], said["version"]) == ("5/0/5", "8", "V1.0")
    assert said["id"] == house.rows(tables.outbox)[0]["event_id"]


@pytest.mark.parametrize("steps", [4, 5, 7])
def test_kills_on_the_way_tell_each_end_once(house, steps):
    """After each so many steps: a row is there if and only if what it tells is, and keeps its id."""
    wanted = hook(house, *Announced)
    ids: dict[str, str] = {}

    def look(when: str) -> None:
        if when == "after":
            rows = house.rows(tables.outbox)
            for row in rows:
                assert ids.setdefault(f"{row['hook_id']} {row['number']}", row["event_id"]) == row["event_id"]
            over = {row["id"] for row in house.rows(tables.tasks, active=False)}
            assert {json.loads(row["body"]).get("task") for row in rows} - {None} == over

    house.steps = look
    house.device()
    house.campaign()
    taken = 0
    while house.step():
        taken += 1
        assert taken < 1000, "this never ends"
        if taken % steps == 0:
            house.kill()
    assert house.state() == "success"
    assert [each["event"] for each in told(house)] == [
        "campaign.created",
        "campaign.running",
        "task.ended",
        "campaign.ended",
    ]
    assert told(house)[-1]["states"] == {"success": 1}
    assert house.orchestrator.announcements.hooks["h"].pending == 4
    assert hook_of(hook_row(wanted)).events == frozenset(Announced)


def test_one_event_has_one_id_for_all_hooks_that_want_it(house):
    """And who does not want it has no row."""
    hook(house, Announced.TASK_ENDED, id="1")
    hook(house, Announced.TASK_ENDED, Announced.CAMPAIGN_ENDED, id="2")
    hook(house, Announced.CAMPAIGN_PAUSED, id="3")
    house.device()
    house.campaign()
    house.run()
    first, second = told(house, "1"), told(house, "2")
    assert (len(first), len(second), told(house, "3")) == (1, 2, [])
    assert first[0] == second[0]


def test_what_finds_no_room_is_counted_and_said(house):
    """The oldest are kept; the mark is in the store, and goes when there is room again."""
    wanted = hook(house, Announced.TASK_ENDED)
    for number in range(6):
        house.device(f"ep-{number}", fails_by=8)
    house.campaign()
    house.run()
    kept = told(house)
    assert (len(kept), wanted.pending, wanted.lost, wanted.overflowed_s) == (4, 4, 2, NOON_S)
    row = house.database.row(tables.hooks, ("h",))
    assert (row["lost"], row["overflowed_s"]) == (2, NOON_S)
    assert house.log().count("hook overflows") == 1
    house.kill()
    announcements = house.orchestrator.announcements
    restored = announcements.hooks["h"]
    assert (restored.pending, restored.lost, restored.overflowed_s) == (4, 2, NOON_S)
    for row in house.rows(tables.outbox):
        announcements.delivered(restored, row["number"], house.now)
    house.commit()
    assert house.rows(tables.outbox) == []
    assert (restored.pending, restored.lost, restored.overflowed_s) == (0, 2, None)
    assert house.log().count("hook has room again") == 1


def test_what_was_given_up_is_counted_as_such_after_a_restart(house):
    """Pending and dead are what counting the rows gives; a replay starts its attempts anew."""
    wanted = hook(house, Announced.TASK_ENDED)
    for number in range(3):
        house.device(f"ep-{number}", fails_by=8)
    house.campaign()
    house.run()
    first, second, _ = (row["number"] for row in house.rows(tables.outbox))
    announcements = house.orchestrator.announcements
    announcements.failed(wanted, first, attempts=1, error="answered 500", dead=False)
    announcements.failed(wanted, second, attempts=9, error="answered 500", dead=True)
    house.commit()
    house.kill()
    announcements = house.orchestrator.announcements
    restored = announcements.hooks["h"]
    assert (restored.pending, restored.dead) == (2, 1)
    states = [(row["state"], row["attempts"], row["error"]) for row in house.rows(tables.outbox)]
    assert states == [("pending", 1, "answered 500"), ("dead", 9, "answered 500"), ("pending", 0, None)]
    announcements.revived(restored, [second], house.now + 7)
    house.commit()
    row = house.database.row(tables.outbox, ("h", second))
    assert (row["state"], row["attempts"], row["since_s"], row["at_s"]) == ("pending", 0, NOON_S + 7, NOON_S)
    assert (restored.pending, restored.dead) == (3, 0)


def test_a_stage_that_is_held_and_one_that_passes_are_told(house):
    """With the number of the stage and why; the pause is the campaign's."""
    house.orchestrator.announcements._max = 100
    events = [event for event in Announced if event is not Announced.TASK_ENDED]
    hook(house, *events)
    house.device("ep-0")
    house.device("ep-1", fails_by=8)
    house.device("ep-2")
    house.campaign(sizes=(Size(count=1), Size(count=1)), gate=Gate(success=0.95))
    house.run()
    assert [(each["event"], each["stage"]) for each in told(house)] == [
        ("campaign.created", None),
        ("campaign.running", None),
        ("stage.passed", 1),
        ("campaign.paused", None),
        ("stage.held", 2),
    ]
    assert told(house)[3]["detail"] == told(house)[4]["detail"] != ""
