"""Stages, gates, pauses, schedules and windows, by way of the orchestrator and its store."""

from __future__ import annotations

import random

import pytest

from headgate.errors import CampaignStateError
from headgate.store import tables
from headgate.upgrade.admission import Limits
from headgate.upgrade.attempts import Failed
from headgate.upgrade.campaign import Confirm, Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.orchestrator import OrchestratorSettings
from headgate.upgrade.stages import Gate, Size
from headgate.upgrade.windows import Window, Windows
from orchestra import House

HALVES = (Size(percent=50),)
STRICT = Gate(success=0.9, error_threshold=0.5, minimum_executed=2)
NIGHT = Windows(each=(Window(begin="22:00", end="06:00"),))


def row(house: House, campaign_id: str = "c1") -> dict:
    """A campaign as it is stored."""
    found = house.database.row(tables.campaigns, (campaign_id,))
    assert found is not None
    return found


def states(house: House) -> list[str]:
    """Of all tasks, by id."""
    return [each["state"] for each in house.rows(tables.tasks)]


def told(house: House) -> list[str]:
    """What the event log says of the campaign, and why."""
    rows = house.rows(tables.events, endpoint="")
    return [": ".join(filter(None, (each["what"], each["detail"]))) for each in rows]


def fleet(house: House, count: int, bad: int = 0) -> None:
    """So many devices, the first of which fail."""
    for number in range(count):
        house.device(f"ep-{number}", fails_by=2 if number < bad else None)
    house.run()


def wake(house: House, endpoint: str) -> None:
    """A sleeper is heard, and stays awake."""
    house.desk.asleep.discard(endpoint)
    house.heard(endpoint)


def holding(house: House, endpoint: str, id: str = "holder") -> None:
    """A campaign of its own for a device, which falls asleep over its slot."""
    house.campaign(endpoint, id=id)
    while not any(each["state"] == "observe" for each in house.rows(tables.tasks)):
        assert house.step()
        house.commit()
    house.desk.asleep.add(endpoint)


def retry(house: House, *task_ids: str) -> list[float]:
    """An operator wants these tried again; when that is done is in the list."""
    house.commit()
    done: list[float] = []
    running = house.orchestrator.roster.running["c1"]
    rows = [house.task(task_id) for task_id in task_ids]
    failed = [
        Failed(task_id=each["id"], endpoint=each["endpoint"], attempt=each["attempt"], notified=False)
        for each in rows
    ]
    house.orchestrator.retry(running, failed, "anna", house.now, done.append)
    return done


# -- stages --


def test_a_stage_begins_when_the_one_before_has_passed(house):
    """None of the second is disturbed before all of the first are over."""
    fleet(house, 4)
    house.desk.asleep.add("ep-1")
    house.campaign(sizes=HALVES, gate=STRICT)
    house.run()
    assert states(house) == ["success", "wait_online", "created", "created"]
    assert house.orchestrator.explain("ep-2", house.now) == (
        "waiting for its campaign's turn, since stage 2 begins when stage 1 has passed its gate "
        "(step 1; awake)"
    )
    wake(house, "ep-1")
    house.run()
    assert states(house) == ["success"] * 4
    house.check_counters()
    assert told(house) == [
        "campaign created: test: 4 devices",
        "campaign running",
        "campaign stage 1 begun: 2 devices",
        "campaign stage 1 passed: 2 of 2 succeeded",
        "campaign stage 2 begun: 2 devices",
        "campaign ended",
    ]


def test_a_stage_that_does_not_pass_holds_its_campaign(house):
    """The next does not begin. Resumed, it does: that is what the operator has decided."""
    fleet(house, 4, bad=1)
    house.campaign(sizes=HALVES, gate=Gate(success=0.9))
    house.run()
    assert states(house) == ["failed", "success", "created", "created"]
    assert (row(house)["state"], row(house)["hold"]) == ("paused", "gate")
    assert row(house)["reason"] == "1 of 2 devices of stage 1 succeeded, less than 0.9"
    assert house.orchestrator.explain("ep-2", house.now) == (
        "waiting for its campaign's turn, since its campaign is paused: 1 of 2 devices of stage 1 succeeded, "
        "less than 0.9 (step 1; awake)"
    )
    house.kill()
    house.run()
    assert states(house)[2:] == ["created", "created"]
    house.resume()
    house.run()
    assert states(house) == ["failed", "success", "success", "success"]
    assert row(house)["state"] == "ended"
    house.check_counters()


def test_too_many_errors_pause_at_once(tmp_path):
    """Before the stage is through; resumed, the same errors do not pause it again, later ones do."""
    house = House(tmp_path, limits=Limits(class_0=1))
    fleet(house, 8, bad=6)
    house.campaign(gate=Gate(error_threshold=0.5, minimum_executed=2))
    house.run()
    assert states(house).count("failed") == 2
    assert (row(house)["state"], row(house)["hold"]) == ("paused", "errors")
    assert row(house)["reason"] == "2 of 2 attempts of stage 1 failed, more than 0.5"
    waits = house.orchestrator.explain("ep-7", house.now)
    assert waits.startswith("waiting for a slot of its cell, since its campaign is paused: 2 of 2 attempts")
    house.resume()
    house.run()
    assert states(house).count("failed") == 4
    house.kill()
    house.run()
    house.resume()
    house.run()
    assert states(house).count("failed") == 6
    assert row(house)["state"] == "paused"
    house.resume()
    house.run()
    assert row(house)["state"] == "ended"
    assert house.check_counters()["state success"] == 2
    house.close()


def test_a_stage_that_was_held_for_errors_goes_on_when_it_is_through(house):
    """Its last tasks end while it is paused: whoever resumes it has seen that."""
    fleet(house, 4, bad=2)
    house.campaign(sizes=HALVES, gate=STRICT)
    house.run()
    assert (row(house)["hold"], states(house)[:2]) == ("errors", ["failed", "failed"])
    house.resume()
    house.run()
    assert states(house) == ["failed", "failed", "success", "success"]
    house.check_counters()


def test_the_last_stage_needs_no_gate(house):
    """Nothing comes after it: the campaign ends however it went."""
    fleet(house, 2, bad=2)
    house.campaign(gate=Gate(success=1, error_threshold=0, minimum_executed=2))
    house.run()
    assert row(house)["state"] == "ended"


def test_a_stage_has_its_own_gate(house):
    """The campaign's is for those without."""
    fleet(house, 6, bad=1)
    sizes = (Size(count=2, gate=Gate(success=0.5)), Size(count=2))
    house.campaign(sizes=sizes, gate=Gate(success=1))
    house.devices["ep-2"].fails_by = 2
    house.run()
    assert states(house) == ["failed", "success", "failed", "success", "created", "created"]
    assert row(house)["stage"] == 2


def test_a_conflict_is_a_failure_of_its_stage(house):
    """Whether it comes when tasks are made, or when they begin."""
    fleet(house, 4)
    house.desk.asleep.add("ep-0")
    house.campaign("ep-0", id="other")
    house.run()
    house.orchestrator.maintain("ep-1", "reboot")
    house.campaign(sizes=HALVES, gate=STRICT)
    house.run()
    assert [each["state"] for each in house.rows(tables.tasks, campaign_id="c1")] == [
        *("failed", "failed", "created", "created")
    ]
    assert row(house)["hold"] == "errors"
    house.check_counters()


def test_who_is_cancelled_is_not_judged(house):
    """Neither for the stage nor against it; a stage of which nothing is left has shown nothing."""
    fleet(house, 6)
    house.desk.asleep.update({"ep-0", "ep-2", "ep-3"})
    house.campaign(sizes=(Size(count=2), Size(count=2)), gate=Gate(success=1))
    house.run()
    house.orchestrator.cancel("c1-0000000", "anna", house.now)
    house.run()
    assert row(house)["stage"] == 2
    for task_id in ("c1-0000002", "c1-0000003"):
        house.orchestrator.cancel(task_id, "anna", house.now)
    house.run()
    assert (row(house)["hold"], row(house)["reason"]) == (
        *("gate", "0 of 0 devices of stage 2 succeeded, less than 1"),
    )
    house.check_counters()


def test_retries_belong_to_their_stage(house):
    """A stage is a batch: its retries come when it is through, and its gate judges after them."""
    fleet(house, 4, bad=1)
    again = RetryPolicy(by_failure={Failure.STORAGE: Retry(count=1, interval_s=600)})
    house.campaign(sizes=HALVES, gate=Gate(success=1), retry=again)
    house.run()
    assert states(house) == ["failed", "success", "created", "created"]
    assert row(house)["state"] == "running"
    house.kill()
    house.devices["ep-0"].fails_by = None
    house.clock(599)
    assert row(house)["stage"] == 1
    house.clock(1)
    assert house.state("c1-0000000.2") == "success"
    assert row(house)["state"] == "ended"
    house.check_counters()
    counters = house.database.counters("c1")
    assert (counters["stage 1 failed"], counters["stage 1 errors"], counters["stage 1 ended"]) == (0, 1, 2)


# -- tried again by hand --


def test_failed_devices_are_tried_again_by_hand(house):
    """While the campaign is held they wait; the gate judges their stage anew after them."""
    fleet(house, 4, bad=2)
    house.campaign(sizes=HALVES, gate=Gate(success=0.9))
    house.run()
    assert row(house)["hold"] == "gate"
    done = retry(house, "c1-0000000", "c1-0000001")
    house.run()
    assert len(done) == 1
    assert [house.state(f"c1-000000{number}.2") for number in (0, 1)] == ["created", "created"]
    house.kill()
    house.check_counters()
    house.devices["ep-0"].fails_by = None
    house.resume()
    house.run()
    assert [house.state(f"c1-000000{number}.2") for number in (0, 1)] == ["success", "failed"]
    assert row(house)["reason"] == "1 of 2 devices of stage 1 succeeded, less than 0.9"
    house.devices["ep-1"].fails_by = None
    retry(house, "c1-0000001.2")
    house.resume()
    house.run()
    assert house.state("c1-0000001.3") == "success"
    assert row(house)["state"] == "ended"
    house.check_counters()


def test_a_retrial_that_waits_is_brought_forward(house):
    """Once, and not another time when it would have been due."""
    fleet(house, 2, bad=1)
    house.desk.asleep.add("ep-1")
    again = RetryPolicy(by_failure={Failure.STORAGE: Retry(count=1, interval_s=600)})
    house.campaign(retry=again)
    house.run()
    house.devices["ep-0"].fails_by = None
    retry(house, "c1-0000000")
    house.run()
    assert house.state("c1-0000000.2") == "success"
    wake(house, "ep-1")
    house.clock(3600)
    assert len(house.rows(tables.tasks)) == 3
    assert row(house)["state"] == "ended"
    house.check_counters()


def test_devices_of_an_earlier_stage_are_tried_again_beside_the_present_one(house):
    """The present stage is through when they are over as well."""
    fleet(house, 4, bad=1)
    house.campaign(sizes=(Size(count=2, gate=Gate()), Size(count=1)))
    house.desk.asleep.add("ep-2")
    house.run()
    assert (row(house)["stage"], row(house)["state"]) == (2, "running")
    house.devices["ep-0"].fails_by = None
    retry(house, "c1-0000000")
    house.desk.asleep.add("ep-0")
    house.run()
    wake(house, "ep-2")
    house.run()
    assert row(house)["stage"] == 2
    wake(house, "ep-0")
    house.run()
    assert row(house)["state"] == "ended"
    house.check_counters()


# -- pauses --


def test_a_paused_campaign_begins_nothing_and_gives_no_slot(tmp_path):
    """Who holds one goes on to its end; resumed, everyone stands where he stood."""
    house = House(tmp_path, limits=Limits(class_0=1))
    fleet(house, 5)
    house.campaign("ep-0", "ep-1")
    while "observe" not in states(house):
        assert house.step()
        house.commit()
    house.desk.asleep.update({"ep-0", "ep-4"})
    house.campaign("ep-2", "ep-3", "ep-4", id="c2")
    house.run()
    assert states(house) == ["observe", "wait_slot", "wait_slot", "wait_slot", "wait_online"]
    house.orchestrator.pause("c1", "the vendor asked", "anna", house.now)
    wake(house, "ep-0")
    wake(house, "ep-4")
    house.run()
    assert states(house) == ["success", "wait_slot", "success", "success", "success"]
    assert house.orchestrator.explain("ep-1", house.now) == (
        "waiting for a slot of its cell, since its campaign is paused: by anna: the vendor asked "
        "(step 8; awake)"
    )
    assert list(house.orchestrator.occupancy()) == []
    house.clock(48 * 3600)
    assert house.state("c1-0000001") == "wait_slot"
    house.kill()
    house.clock(3600)
    assert house.state("c1-0000001") == "wait_slot"
    house.resume()
    house.run()
    assert house.state("c1-0000001") == "success"
    house.check_counters()
    house.close()


def test_the_line_is_in_order_after_a_pause(tmp_path):
    """Tasks return to where they stood, before those that came later, of other campaigns as well."""
    house = House(tmp_path, limits=Limits(class_0=1), settings=OrchestratorSettings(work_max=2))
    fleet(house, 12)
    holding(house, "ep-0")
    house.campaign(*[f"ep-{number}" for number in range(1, 6)])
    house.run()
    assert house.check_counters()["state wait_slot"] == 5
    house.orchestrator.pause("c1", "", "anna", house.now)
    house.run()
    house.now += 1
    house.campaign(*[f"ep-{number}" for number in range(6, 11)], id="c2")
    house.run()
    assert [(each.held, each.waiting) for each in house.orchestrator.occupancy()] == [(1, 5)]
    house.resume()
    house.run()
    assert [(each.held, each.waiting) for each in house.orchestrator.occupancy()] == [(1, 10)]
    order = []
    house.outcomes.clear()
    wake(house, "ep-0")
    house.run()
    order = [each.campaign_id for each in house.outcomes]
    assert order == ["holder", *["c1"] * 5, *["c2"] * 5]
    house.close()


def test_who_waits_for_a_slot_is_given_the_time_anew(tmp_path):
    """T_online passes for nobody who could not have a slot; from the resumption on it does."""
    house = House(tmp_path, limits=Limits(class_0=1))
    fleet(house, 3)
    holding(house, "ep-0")
    house.campaign("ep-1")
    house.run()
    house.orchestrator.pause("c1", "", "", house.now)
    house.clock(30 * 3600)
    assert house.state("c1-0000000") == "wait_slot"
    holding(house, "ep-2", id="other")
    house.resume()
    assert "until 2026-01-03 18:00" in house.orchestrator.explain("ep-1", house.now)
    house.commit()
    house.kill()
    assert "until 2026-01-03 18:00" in house.orchestrator.explain("ep-1", house.now)
    house.clock(24 * 3600)
    assert house.state("c1-0000000") == "success"  # ep-2 has failed meanwhile
    house.close()


def test_paused_while_it_is_made(tmp_path):
    """It is made, and begins when it is resumed; a restart in between gives it up: nobody was told of it."""
    for kill in (False, True):
        folder = tmp_path / str(kill)
        folder.mkdir()
        house = House(folder, settings=OrchestratorSettings(work_max=10))
        house.campaign(*[f"ep-{number}" for number in range(50)])
        house.orchestrator.expire(house.now)
        house.orchestrator.pause("c1", "", "anna", house.now)
        house.commit()
        assert (row(house)["state"], row(house)["started_s"]) == ("paused", None)
        if kill:
            house.kill()
            house.run()
            assert row(house)["state"] == "stopped"
            assert house.check_counters() == {"state cancelled": 10}
        else:
            house.run()
            assert house.check_counters() == {"state created": 50}
            assert row(house)["started_s"] == house.now
            house.resume()
            house.run()
            assert house.check_counters() == {"state wait_online": 50}
        house.close()


def test_paused_and_resumed_while_it_is_made(tmp_path):
    """As if nothing had been."""
    house = House(tmp_path, settings=OrchestratorSettings(work_max=10))
    house.campaign(*[f"ep-{number}" for number in range(50)])
    house.orchestrator.expire(house.now)
    house.orchestrator.pause("c1", "", "anna", house.now)
    house.resume()
    assert row(house)["state"] == "paused"  # not committed yet
    house.commit()
    assert row(house)["state"] == "creating"
    house.run()
    assert house.check_counters() == {"state wait_online": 50}
    house.close()


def test_paused_while_tasks_begin(tmp_path):
    """In the middle of a stage: those that have not begun wait."""
    house = House(tmp_path, settings=OrchestratorSettings(work_max=10))
    house.campaign(*[f"ep-{number}" for number in range(50)])
    for _ in range(8):
        house.orchestrator.expire(house.now)
        house.commit()
    house.orchestrator.pause("c1", "", "anna", house.now)
    house.run()
    counters = house.check_counters()
    assert 0 < counters["state created"] < 50
    house.kill()
    house.run()
    assert house.check_counters() == counters
    house.resume()
    house.run()
    assert house.check_counters() == {"state wait_online": 50}
    house.close()


def test_stopped_while_paused(house):
    """Everything is cancelled, what has not begun too."""
    fleet(house, 4, bad=2)
    house.campaign(sizes=HALVES, gate=STRICT)
    house.run()
    assert house.orchestrator.stop("c1", "anna", house.now)
    house.run()
    assert states(house) == ["failed", "failed", "cancelled", "cancelled"]
    assert (row(house)["state"], row(house)["hold"]) == ("stopped", None)
    assert row(house)["ended_s"] is not None
    house.check_counters()


def test_what_cannot_be_done_is_refused(house):
    """By the state of the campaign."""
    fleet(house, 1)
    house.desk.asleep.add("ep-0")
    house.campaign()
    house.run()
    orchestrator, now = house.orchestrator, house.now
    for call in (
        lambda: orchestrator.resume("c1", "", now),
        lambda: orchestrator.confirm("c1", "", now),
        lambda: orchestrator.edit("c1", {"start_s": now + 5}, "", now),
        lambda: orchestrator.pause("none", "", "", now),
    ):
        with pytest.raises(CampaignStateError):
            call()
    orchestrator.pause("c1", "", "", now)
    with pytest.raises(CampaignStateError):
        orchestrator.pause("c1", "", "", now)
    orchestrator.stop("c1", "", now)
    with pytest.raises(CampaignStateError):
        orchestrator.edit("c1", {"name": "x"}, "", now)


# -- schedules, confirmation, windows --


def test_a_campaign_begins_at_its_time(house):
    """Not before, after a restart as well; where that is past by then, at once."""
    fleet(house, 1)
    house.campaign(start_s=house.now + 3600)
    house.clock(3599)
    assert (row(house)["state"], states(house)) == ("scheduled", ["created"])
    assert "since its campaign is scheduled for 2026-01-01 13:00 UTC" in house.orchestrator.explain(
        "ep-0", house.now
    )
    house.kill()
    house.clock(1)
    assert states(house) == ["success"]
    house.campaign(id="c2", start_s=house.now + 3600)
    house.run()
    house.now += 7200
    house.kill()
    house.run()
    assert row(house, "c2")["state"] == "ended"


def test_a_start_that_is_past_is_refused(house):
    """It was meant otherwise; what clocks differ by is no mistake."""
    fleet(house, 1)
    with pytest.raises(ValueError, match="past"):
        house.campaign(start_s=house.now - 3600)
    house.campaign(start_s=house.now - 5)
    house.run()
    assert states(house) == ["success"]


def test_a_schedule_can_be_moved_until_it_begins(house):
    """Earlier, later, and to now; not into the past."""
    fleet(house, 1)
    house.campaign(start_s=house.now + 3600)
    house.run()
    house.orchestrator.edit("c1", {"start_s": house.now + 7200}, "anna", house.now)
    house.clock(3600)
    assert row(house)["state"] == "scheduled"
    with pytest.raises(ValueError, match="past"):
        house.orchestrator.edit("c1", {"start_s": house.now - 3600}, "anna", house.now)
    house.orchestrator.edit("c1", {"start_s": None}, "anna", house.now)
    house.run()
    assert states(house) == ["success"]
    assert row(house)["revision"] == 3


def test_stages_are_confirmed(house):
    """Before each, or before the first; a schedule can be confirmed before its time."""
    fleet(house, 4)
    house.campaign(sizes=HALVES, confirm=Confirm.STAGES)
    house.run()
    assert (row(house)["state"], states(house)) == ("waiting", ["created"] * 4)
    house.kill()
    house.run()
    assert row(house)["state"] == "waiting"
    house.orchestrator.confirm("c1", "anna", house.now)
    house.run()
    assert states(house) == ["success", "success", "created", "created"]
    assert row(house)["state"] == "waiting"
    assert "it" not in house.orchestrator.explain("ep-2", house.now).split()
    assert "to be confirmed before stage 2 begins" in house.orchestrator.explain("ep-2", house.now)
    house.orchestrator.pause("c1", "", "", house.now)
    house.resume()
    house.run()
    assert row(house)["state"] == "waiting"
    house.orchestrator.confirm("c1", "anna", house.now)
    house.run()
    assert row(house)["state"] == "ended"
    house.campaign(id="c2", start_s=house.now + 60, confirm=Confirm.START)
    house.run()
    house.orchestrator.confirm("c2", "anna", house.now)
    with pytest.raises(CampaignStateError):
        house.orchestrator.confirm("c2", "anna", house.now)
    house.clock(60)
    assert row(house, "c2")["state"] == "ended"


def test_nothing_begins_outside_the_windows(tmp_path):
    """Nor is a slot given; who holds one goes on. Windows open and close by themselves."""
    house = House(tmp_path, limits=Limits(class_0=1))
    fleet(house, 3)
    house.campaign(windows=NIGHT)
    house.run()
    assert (row(house)["state"], states(house)) == ("running", ["created"] * 3)
    assert house.orchestrator.explain("ep-0", house.now) == (
        "waiting for its campaign's turn, since its campaign is outside its maintenance windows until 22:00 "
        "UTC (step 1; awake)"
    )
    house.clock(10 * 3600 - 1)
    assert states(house) == ["created"] * 3
    house.desk.asleep.update({"ep-1", "ep-2"})
    house.clock(1)
    assert states(house) == ["success", "wait_online", "wait_online"]
    house.clock(8 * 3600 - 30)
    wake(house, "ep-1")
    while house.state("c1-0000001") != "observe":
        assert house.step()
        house.commit()
    house.desk.asleep.add("ep-1")  # with its slot
    wake(house, "ep-2")
    house.clock(60)
    assert states(house)[1:] == ["observe", "wait_slot"]
    wake(house, "ep-1")
    house.run()
    assert states(house)[1:] == ["success", "wait_slot"]
    house.clock(16 * 3600)
    assert states(house)[2] == "success"
    assert row(house)["state"] == "ended"
    house.close()


def test_a_closed_window_keeps_tasks_that_wait(tmp_path):
    """For days, and over restarts: nobody fails for a slot that could not be given."""
    house = House(tmp_path, limits=Limits(class_0=1))
    fleet(house, 3)
    holding(house, "ep-0")
    weekly = Windows(each=(Window(begin="12:00", end="12:01", days=frozenset({"thu"})),))
    house.campaign("ep-1", windows=weekly)  # noon is in it
    house.run()
    assert house.state("c1-0000000") == "wait_slot"
    house.clock(5 * 86400)
    assert house.state("c1-0000000") == "wait_slot"
    house.kill()
    house.clock(86400)
    assert house.state("c1-0000000") == "wait_slot"
    house.clock(86400)
    assert house.state("c1-0000000") == "success"
    assert [each for each in told(house) if "window" in each] == [
        *("campaign window closed: outside its maintenance windows until 2026-01-08 12:00 UTC",),
        *("campaign window opened",),
    ]
    house.close()


# -- edits --


def test_a_gate_is_edited(house):
    """A stricter one pauses by what there is; a laxer one does not resume what is held."""
    fleet(house, 6, bad=1)
    house.desk.asleep.add("ep-2")
    house.campaign(sizes=(Size(count=3), Size(count=2)), gate=Gate(success=0.1))
    house.run()
    strict = Gate(success=1, error_threshold=0.4, minimum_executed=2)
    house.orchestrator.edit("c1", {"gate": strict}, "anna", house.now)
    house.run()
    assert row(house)["hold"] == "errors"
    house.resume()
    wake(house, "ep-2")
    house.run()
    assert row(house)["hold"] == "gate"
    house.orchestrator.edit("c1", {"gate": Gate()}, "anna", house.now)
    house.run()
    assert (row(house)["hold"], row(house)["stage"]) == ("gate", 1)
    house.resume()
    house.run()
    assert row(house)["state"] == "ended"
    house.check_counters()


def test_an_edited_policy_counts_from_then_on(house):
    """Who would have been tried again is not, once the rule is gone."""
    fleet(house, 2, bad=1)
    house.desk.asleep.add("ep-1")
    again = RetryPolicy(by_failure={Failure.STORAGE: Retry(count=1, interval_s=600)})
    house.campaign(retry=again)
    house.run()
    house.orchestrator.edit("c1", {"retry": RetryPolicy()}, "anna", house.now)
    wake(house, "ep-1")
    house.run()
    assert row(house)["state"] == "ended"
    assert len(house.rows(tables.tasks)) == 2
    assert not [each for each in house.rows(tables.effects) if each["effect"] == "Retry"]


# -- all at once --


@pytest.mark.parametrize("seed", range(3))
def test_staged_campaigns_killed_at_random(tmp_path, seed):
    """Paused, resumed, edited and killed at any instant: counters true, every stage after the one before."""
    chance = random.Random(seed)
    house = House(tmp_path, limits=Limits(class_0=2), settings=OrchestratorSettings(work_max=3))
    for number in range(8):
        house.device(f"ep-{number}", fails_by=chance.choice([None, None, 2]))
    house.run()
    again = RetryPolicy(by_failure={Failure.STORAGE: Retry(count=1, interval_s=60)})
    gate = Gate(success=0.6, error_threshold=0.5, minimum_executed=2)
    house.campaign(
        sizes=(Size(count=2), Size(count=3)), gate=gate, retry=again, confirm=chance.choice(list(Confirm))
    )
    while house.rows(tables.campaigns) == [] or row(house)["state"] == "creating":
        house.step()
        house.commit()
    for step in range(20_000):
        house.commit()
        campaign = house.orchestrator.campaign("c1")
        if campaign is None:
            break
        assert step < 19_999, f"seed {seed}: {campaign}"
        if step % 10 == 0:
            begun = [each["id"] for each in house.rows(tables.tasks) if each["state"] != "created"]
            assert all(campaign.stage_of(task_id) <= campaign.stage for task_id in begun), f"seed {seed}"
        what = chance.random()
        if what < 0.02:
            house.kill()
        elif what < 0.03 and campaign.state.value in ("running", "waiting"):
            house.orchestrator.pause("c1", "", "", house.now)
        elif what < 0.1 and campaign.state.value == "paused":
            house.resume()
        elif what < 0.2 and campaign.state.value == "waiting":
            house.orchestrator.confirm("c1", "", house.now)
        elif what < 0.22:
            house.orchestrator.edit("c1", {"gate": gate}, "", house.now)
        elif not house.step():
            house.clock(30)
        if step % 50 == 0:
            house.commit()
            house.check_counters()
    counters = house.check_counters()
    assert counters["state success"] + counters.get("state failed", 0) - counters.get("retried", 0) == 8
    for device in house.devices.values():
        assert device.executed == (device.fails_by is None), f"seed {seed}: {device}"
    assert list(house.orchestrator.occupancy()) == []
    house.close()
