"""Campaigns: made in pieces, conflicts, retries after the batch, stops, a failing store. Protocol 3.1."""

from __future__ import annotations

import random
from collections import deque

import pytest

from headgate.errors import StoreError
from headgate.lwm2m.commands import Read
from headgate.lwm2m.happenings import Answered, Expired, Unanswered, Updated
from headgate.store import tables
from headgate.upgrade.admission import Limits
from headgate.upgrade.askers import Active
from headgate.upgrade.campaign import Retry, RetryPolicy
from headgate.upgrade.campaigns import PASSED_MAX, own_of
from headgate.upgrade.failure import Failure
from headgate.upgrade.orchestrator import OrchestratorSettings
from headgate.upgrade.task import State
from headgate.wire.resources import Resources
from orchestra import PID, House

AGAIN = RetryPolicy(by_failure={Failure.STORAGE: Retry(count=2, interval_s=600)})


def endpoints(count: int) -> list[str]:
    """So many names."""
    return [f"ep-{number}" for number in range(count)]


def pieces(house: House) -> int:
    """Commit whatever work there is, piece by piece; returns how many commits it took."""
    before = house.commits
    while house.orchestrator.next_timer() == 0.0:
        house.orchestrator.expire(house.now)
        house.commit()
    return house.commits - before


def test_a_campaign_is_made_in_pieces(tmp_path):
    """No transaction carries more than a piece; none begins before all are there."""
    house = House(tmp_path, settings=OrchestratorSettings(work_max=10))
    house.campaign(*endpoints(95))
    for _ in range(9):
        house.orchestrator.expire(house.now)
        house.commit()
    assert house.rows(tables.campaigns)[0]["state"] == "creating"
    assert house.check_counters() == {"state created": 90}
    assert pieces(house) >= 10
    assert house.rows(tables.campaigns)[0]["state"] == "running"
    assert house.check_counters() == {"state wait_online": 95}
    assert [row["id"] for row in house.rows(tables.tasks)][:2] == ["c1-0000000", "c1-0000001"]
    house.close()


def test_work_waits_for_the_commit(tmp_path):
    """A turn that nobody takes is not filled without end: no timer is due before it was taken."""
    house = House(tmp_path, settings=OrchestratorSettings(work_max=10, work_rows_max=25))
    house.campaign(*endpoints(95))
    while house.orchestrator.next_timer() == 0.0:
        house.orchestrator.expire(house.now)
    assert 25 <= house.orchestrator.gathered <= 60
    house.commit()
    pieces(house)
    assert house.check_counters() == {"state wait_online": 95}
    house.close()


def test_a_stopped_campaign_is_found_among_others_in_pieces(house):
    """Its tasks, each once and let go of when it was taken; what is looked through beside is told as None."""
    house.campaign(*[f"one-{number}" for number in range(PASSED_MAX + 1)])
    house.campaign(*[f"two-{number}" for number in range(PASSED_MAX)], id="c2")
    pieces(house)
    active = deque(house.orchestrator.roster.tasks())
    one, two = (active[0].running, active[-1].running)
    assert one is not two
    found = own_of(two, active.copy())
    assert next(found) is None
    assert [each.running for each in found] == [two] * PASSED_MAX
    left = active.copy()
    found = own_of(one, left)
    assert next(found) is active[0]
    assert len(left) == len(active) - 1
    assert list(found)[-1] is None


@pytest.mark.parametrize("killed_after", [6, 8, 12])
def test_killed_while_tasks_begin(tmp_path, killed_after):
    """Those that had not begun do so after the restart."""
    house = House(tmp_path, settings=OrchestratorSettings(work_max=10))
    house.campaign(*endpoints(50))
    for _ in range(killed_after):
        house.orchestrator.expire(house.now)
        house.commit()
    house.kill()
    house.run()
    assert house.check_counters() == {"state wait_online": 50}
    house.close()


def test_a_device_that_comes_twice_is_refused(house):
    """Before anything is made."""
    with pytest.raises(ValueError, match="twice"):
        house.campaign("ep-1", "ep-2", "ep-1")
    assert house.orchestrator.turn() is None
    house.campaign("ep-1")
    with pytest.raises(ValueError, match="exists"):
        house.campaign("ep-2")


def test_a_second_task_of_a_device_conflicts(house):
    """At once, as `Task Conflict`; the first is not disturbed."""
    house.device()
    house.run()
    house.desk.asleep.add("ep-1")
    house.campaign("ep-1")
    house.run()
    house.campaign("ep-1", "ep-2", id="c2")
    house.run()
    row = house.task("c2-0000000")
    assert (row["failure"], row["detail_note"]) == (Failure.TASK_CONFLICT.value, "task c1-0000000")
    assert house.state("c2-0000001") == house.state() == "wait_online"
    assert house.check_counters("c2") == {
        "state failed": 1,
        "failure Task Conflict": 1,
        "state wait_online": 1,
    }
    assert house.outcomes[-1].failure is Failure.TASK_CONFLICT


def test_a_maintenance_command_conflicts(house):
    """Both ways: no task begins during it, and it does not begin during a task."""
    house.device()
    house.run()
    assert house.orchestrator.maintain("ep-1", "reboot")
    assert not house.orchestrator.maintain("ep-1", "log collection")
    house.campaign("ep-1")
    house.run()
    assert house.task()["failure"] == Failure.TASK_CONFLICT.value
    assert house.task()["detail_note"] == "reboot"
    house.orchestrator.maintained("ep-1")
    house.desk.asleep.add("ep-1")
    house.campaign("ep-1", id="c2")
    house.run()
    assert not house.orchestrator.maintain("ep-1", "reboot")


def test_a_conflict_may_be_retried(house):
    """Like any failure: after the batch."""
    house.device()
    house.run()
    house.orchestrator.maintain("ep-1", "reboot")
    house.campaign(
        "ep-1", retry=RetryPolicy(by_failure={Failure.TASK_CONFLICT: Retry(count=1, interval_s=60)})
    )
    house.run()
    house.orchestrator.maintained("ep-1")
    house.clock(60)
    assert house.state("c1-0000000.2") == "success"


def test_only_failed_devices_are_tried_again_and_only_after_the_batch(house):
    """DOC: after the batch finishes. The interval counts from there; attempts are tasks of their own."""
    bad = house.device("ep-1", fails_by=2)
    house.device("ep-2")
    house.run()
    house.desk.asleep.add("ep-2")
    house.campaign("ep-1", "ep-2", retry=AGAIN)
    house.clock(3600)
    assert house.state() == "failed"
    assert len(house.rows(tables.tasks)) == 2  # ep-2 is not through
    house.desk.asleep.clear()
    house.heard("ep-2")
    house.run()
    house.clock(599)
    assert len(house.rows(tables.tasks)) == 2
    house.clock(1)
    assert house.state("c1-0000000.2") == "failed"
    assert house.task("c1-0000000.2")["attempt"] == 2
    bad.fails_by = None
    house.clock(600)
    assert house.state("c1-0000000.3") == "success"
    assert house.check_counters() == {
        "state failed": 2,
        "state success": 2,
        f"failure {Failure.STORAGE.value}": 2,
        "retried": 2,
    }
    assert house.rows(tables.campaigns)[0]["state"] == "ended"


def test_retries_are_counted(house):
    """Two beside the first, by each cause; what has no rule is not tried again."""
    house.device("ep-1", fails_by=2)
    house.device("ep-2", fails_by=5)
    house.campaign(retry=AGAIN)
    house.clock(3600)
    ids = [row["id"] for row in house.rows(tables.tasks)]
    assert ids == ["c1-0000000", "c1-0000000.2", "c1-0000000.3", "c1-0000001"]
    assert house.rows(tables.campaigns)[0]["ended_s"] == house.now - 3600 + 1200
    assert not [row for row in house.rows(tables.effects) if row["effect"] == "Retry"]


def test_retries_survive_a_restart(house):
    """Before the batch is through, and between it and their time."""
    house.device("ep-1", fails_by=2)
    house.device("ep-2")
    house.run()
    house.desk.asleep.add("ep-2")
    house.campaign(retry=AGAIN)
    house.run()
    house.kill()
    house.heard("ep-2")
    house.run()
    house.clock(300)
    house.kill()
    house.clock(299)
    assert len(house.rows(tables.tasks)) == 2
    house.clock(1)
    assert house.state("c1-0000000.2") == "failed"
    assert house.check_counters()["retried"] == 1


def test_the_grant_of_an_earlier_attempt_is_taken_over(house):
    """The package is served until 24 hours after the last attempt."""
    device = house.device(fails_by=2)
    house.campaign("ep-1", retry=AGAIN)
    house.run()
    device.fails_by = None
    house.clock(600)
    assert house.state("c1-0000000.2") == "success"
    assert [row["task_id"] for row in house.rows(tables.effects)] == ["c1-0000000.2"]
    house.clock(24 * 3600 - 600)
    assert house.edge.granted == {("ep-1", PID)}
    house.kill()
    assert house.edge.granted == {("ep-1", PID)}
    house.clock(600)
    assert house.edge.granted == set()


def test_a_grant_is_not_withdrawn_under_a_task_of_the_same_package(house):
    """One that has not come to its own grant yet: it is looked at again a day later."""
    house.device(fails_by=2)
    house.campaign("ep-1")
    house.run()
    house.desk.asleep.add("ep-1")
    house.clock(23 * 3600)
    house.campaign("ep-1", id="c2")
    house.clock(3600)
    assert house.edge.granted == {("ep-1", PID)}
    house.clock(24 * 3600)
    assert house.state("c2-0000000") == "failed"
    assert house.edge.granted == set()


def test_a_campaign_is_stopped(tmp_path):
    """Its tasks are cancelled, in pieces; retries are given up. A restart goes on with it."""
    house = House(tmp_path, settings=OrchestratorSettings(work_max=10))
    house.device("ep-0", fails_by=2)
    house.run()
    house.campaign(*endpoints(50), retry=AGAIN)
    house.run()
    assert house.check_counters()["state wait_online"] == 49
    assert house.orchestrator.stop("c1", "anna", house.now)
    assert not house.orchestrator.stop("c1", "anna", house.now)
    house.orchestrator.expire(house.now)
    house.commit()
    assert 0 < house.check_counters()["state cancelled"] < 49
    house.kill()
    house.run()
    counters = house.check_counters()
    assert (counters["state cancelled"], counters["state failed"]) == (49, 1)
    (row,) = house.rows(tables.campaigns)
    assert (row["state"], row["ended_s"]) == ("stopped", house.now)
    assert not [row for row in house.rows(tables.effects) if row["effect"] == "Retry"]
    assert not house.orchestrator.stop("c1", "anna", house.now)
    house.close()


def test_a_campaign_is_stopped_while_it_is_made(tmp_path):
    """What is not made yet is not made."""
    house = House(tmp_path, settings=OrchestratorSettings(work_max=10))
    house.campaign(*endpoints(50))
    house.orchestrator.expire(house.now)
    house.orchestrator.stop("c1", "", house.now)
    house.run()
    assert house.check_counters() == {"state cancelled": 10}
    assert house.rows(tables.campaigns)[0]["state"] == "stopped"
    house.close()


def test_a_campaign_that_runs_says_how_it_stands(house):
    """From memory; once it is through the store knows."""
    house.device()
    house.run()
    house.desk.asleep.add("ep-1")
    house.campaign("ep-1", "ep-2")
    house.run()
    counts = house.orchestrator.counts_of("c1")
    assert (counts.states, counts.tasks, counts.devices) == ({State.WAIT_ONLINE: 2}, 2, 2)
    assert house.orchestrator.campaign("c1").state.value == "running"
    house.orchestrator.stop("c1", "", house.now)
    house.run()
    assert house.orchestrator.counts_of("c1") is None
    assert house.orchestrator.campaign("c1") is None


# -- the store fails --


def test_nothing_leaves_before_the_commit(house):
    """A turn that cannot be committed is kept by its caller; what follows gathers behind it."""
    house.device()
    house.run()
    asks, confirmed = house.desk.asks, len(house.desk.confirmed)
    house.campaign("ep-1")
    house.orchestrator.expire(house.now)
    kept = house.orchestrator.turn()
    registration = house.desk.registrations["ep-1"]
    house.tell(Updated(endpoint="ep-1", before=registration, after=registration))
    assert (house.desk.asks, len(house.desk.confirmed)) == (asks, confirmed)
    house.database.commit(kept.batch)
    house.orchestrator.committed(kept, house.now)
    assert house.desk.asks == asks + 1
    assert len(house.desk.confirmed) == confirmed  # the Update is of the next turn
    house.run()
    assert house.state() == "success"


def test_what_gathers_is_bounded(tmp_path):
    """Beyond the bound nothing is taken, no deadline passes; what the house itself tells still is."""
    house = House(tmp_path, settings=OrchestratorSettings(gathered_max=20))
    device = house.device()
    house.campaign("ep-1")
    while not house.desk.waiting.get("ep-1"):
        house.step()
        house.commit()
    (asked,) = house.desk.waiting["ep-1"]
    assert isinstance(asked, Read)
    registration = house.desk.registrations["ep-1"]
    update = Updated(endpoint="ep-1", before=registration, after=registration)
    while house.orchestrator.gathered < 20:
        assert house.tell(update)
    assert house.orchestrator.next_timer() is None
    assert not house.tell(update)
    house.desk.waiting["ep-1"].clear()
    assert not house.tell(device.answer(asked))
    assert house.orchestrator.counts["not taken"] == 2
    house.now += 7200
    house.orchestrator.expire(house.now)
    house.orchestrator.downloading("ep-1", PID, True, house.now)
    assert house.tell(Unanswered(endpoint="ep-1", command=asked))
    house.now -= 7200
    house.commit()
    assert house.desk.waiting["ep-1"] == [asked]  # its answer was not taken: it is asked again
    house.run()
    assert house.state() == "success"
    house.close()


def test_a_commit_that_fails_loses_nothing(house, monkeypatch):
    """The same turn again, as often as it takes."""
    house.device()
    house.campaign("ep-1")
    commit, failed = house.database.commit, 0

    def sometimes(batch):
        nonlocal failed
        failed += 1
        if failed % 3:
            raise StoreError("no room")
        commit(batch)

    def patient(batch):
        for _ in range(3):
            try:
                return sometimes(batch)
            except StoreError:
                continue

    monkeypatch.setattr(house.database, "commit", patient)
    house.run()
    assert house.state() == "success"
    house.check_counters()


# -- what an operator is told --


def test_explain(house):
    """One sentence: what is waited for, whose turn it is, until when."""
    now = house.now
    assert house.orchestrator.explain("ep-9", now) == "no active task; not registered"
    for number in range(3):
        house.device(f"ep-{number}", rsrp=-130)
    house.run()
    house.campaign("ep-0")
    while house.state() != "wait_start" if house.rows(tables.tasks) else True:
        house.step()
        house.commit()
    house.desk.asleep.add("ep-0")
    assert house.orchestrator.explain("ep-0", house.now) == (
        "waiting for the device to begin its download, until 12:03 (step 11; asleep)"
    )
    house.campaign("ep-1", "ep-2", "ep-3", id="c2")
    house.run()
    assert house.orchestrator.explain("ep-2", house.now) == (
        "waiting for a slot in cell 460-00-1A2B, class 2, position 2 of 2, until 2026-01-02 12:00 "
        "(step 8; awake)"
    )
    assert house.orchestrator.explain("ep-3", house.now) == (
        "waiting for the device's next uplink, until 2026-01-02 12:00 (step 3; not registered)"
    )
    assert [(each.held, each.waiting) for each in house.orchestrator.occupancy()] == [(1, 2)]


def test_every_active_state_has_its_sentence(house):
    """Whatever is waited for."""
    house.device(state=2)
    house.campaign("ep-1")
    said = {}
    while house.step():
        house.commit()
        active = house.orchestrator.roster.active.get("ep-1")
        if isinstance(active, Active):
            said[active.task.state] = house.orchestrator.explain("ep-1", house.now)
    assert len(set(said.values())) == len(said) > 8
    assert all(each.startswith("waiting for ") and "step" in each for each in said.values())


# -- many at once --


@pytest.mark.parametrize("seed", range(6))
def test_many_devices_killed_at_random(tmp_path, seed):
    """No cell over its limit, no device told Execute twice, all ended, counters true."""
    chance = random.Random(seed)
    house = House(tmp_path, limits=Limits(class_0=3, class_2=1))
    for number in range(20):
        house.device(
            f"ep-{number}",
            cell_id=chance.choice([7, 8]),
            rsrp=chance.choice([-98, -130]),
            state=chance.choice([0, 0, 0, 2]),
            fails_by=chance.choice([None] * 5 + [2]),
        )
    house.run()
    house.campaign(retry=RetryPolicy(by_failure={Failure.STORAGE: Retry(count=1)}))
    house.step()
    house.commit()
    steps = 0
    names = list(house.devices)
    while True:
        steps += 1
        assert steps < 20_000, f"seed {seed}"
        for each in house.orchestrator.occupancy():
            assert each.held <= each.limit, f"seed {seed}"
        if chance.random() < 0.01:
            house.kill()
        name = chance.choice(names)
        waiting = house.desk.waiting.get(name, [])
        if waiting and chance.random() < 0.1:
            lost = waiting[0]
            if chance.random() < 0.5:
                house.devices[name].answer(lost)
            house.tell(Unanswered(endpoint=name, command=lost))
        chance.shuffle(names)
        house.devices = {each: house.devices[each] for each in names}
        if not house.step():
            break
    for _ in range(3):
        house.clock(3600)
    counters = house.check_counters()
    assert counters["state success"] + counters.get("state failed", 0) - counters.get("retried", 0) == 20
    assert house.rows(tables.campaigns)[0]["state"] == "ended", f"seed {seed}"
    for device in house.devices.values():
        assert device.executed <= 1, f"seed {seed}: {device}"
        assert device.executed == (device.fails_by is None)
    assert list(house.orchestrator.occupancy()) == []
    assert house.rows(tables.observations) == []
    house.close()


def test_expiry_is_told_even_then(tmp_path):
    """What happens in the house is no message that would come again."""
    house = House(tmp_path, settings=OrchestratorSettings(gathered_max=1))
    house.device()
    house.step()
    before = house.desk.registrations["ep-1"]
    assert house.orchestrator.gathered >= 0
    house.tell(Updated(endpoint="ep-1", before=before, after=before))
    assert not house.tell(Updated(endpoint="ep-1", before=before, after=before))
    assert house.tell(Expired(endpoint="ep-1", before=before))
    assert not house.tell(Answered(endpoint="ep-1", command=Read(path=(3,)), resources=Resources({})))
    house.close()
