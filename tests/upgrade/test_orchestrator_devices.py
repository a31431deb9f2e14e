"""Devices that lose, repeat, refuse, re-register and go. Protocol 3.1, 3.3; traps T13 to T17, T22 to T28."""

from __future__ import annotations

import pytest

from headgate.errors import CommandLimitError
from headgate.lwm2m.commands import Execute, Observe, Read
from headgate.lwm2m.happenings import (
    Answered,
    Deregistered,
    Expired,
    Heard,
    Notified,
    Refused,
    Sent,
    Unanswered,
    Unmatched,
    Updated,
    WasReset,
)
from headgate.store import tables
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import Timers
from headgate.wire.resources import Path, Resources
from orchestra import LINKS_1_1, PLAN, House

EP = "ep-1"


def command(house: House) -> object:
    """The one command that waits for the device."""
    (found,) = house.desk.waiting[EP]
    return found


def until(house: House, kind: type, path: tuple[int, ...] | None = None) -> object:
    """Go on until such a command waits; it is not answered yet."""
    for _ in range(1000):
        house.commit()
        for each in house.desk.waiting.get(EP, ()):
            if isinstance(each, kind) and (path is None or tuple(each.path) == path):
                return each
        assert house.step(), f"nothing happens, and no {kind.__name__} {path} waits"
    raise AssertionError


def lose(house: House, lost: object) -> None:
    """Its exchange timed out."""
    house.tell(Unanswered(endpoint=EP, command=lost))
    house.commit()


def test_an_exchange_that_is_lost_fails_nothing(house):
    """Every command in turn: the device ends as it would have, told once what it heard once."""
    device = house.device()
    house.campaign(EP)
    lost = set()
    while house.step():
        house.commit()
        for waiting in list(house.desk.waiting.get(EP, ())):
            if waiting not in lost:
                lost.add(waiting)
                lose(house, waiting)
    assert house.state() == "success"
    assert (device.executed, len(device.written)) == (1, 1)
    assert len(lost) > 6


def test_execute_that_was_heard_though_its_answer_was_lost(house):
    """The device is asked for its State and told nothing twice."""
    device = house.device()
    house.campaign(EP)
    execute = until(house, Execute)
    device.answer(execute)
    lose(house, execute)
    assert command(house) == Read(path=Path(5, 0, 3), purpose="c1-0000000")
    house.run()
    assert (house.state(), device.executed) == ("success", 1)


def test_a_late_answer_to_a_dropped_command_is_an_uplink(house):
    """T25, T26: nobody waits for it, nothing breaks, and it is confirmed."""
    house.device()
    house.campaign(EP)
    execute = until(house, Execute)
    lose(house, execute)
    late = Answered(endpoint=EP, command=execute)
    house.tell(late)
    house.commit()
    assert late in house.desk.confirmed
    assert house.state() == "check_execute"


def test_a_question_of_an_earlier_state_is_not_repeated(house):
    """4/0 that took more than half of T_radio: its answer would count, its loss is the end of it."""
    device = house.device()
    house.campaign(EP)
    radio = until(house, Read, (4, 0))
    house.desk.asleep.add(EP)
    house.clock(90)
    assert [tuple(each.path) for each in house.desk.waiting[EP]] == [(4, 0), (4, 0, 8)]
    lose(house, radio)
    assert [tuple(each.path) for each in house.desk.waiting[EP]] == [(4, 0, 8)]
    house.desk.asleep.clear()
    house.run()
    assert house.state() == "success"
    assert house.task()["radio_class"] == "U"
    assert device.executed == 1


def test_a_question_of_an_earlier_state_stands_behind_after_a_restart(house):
    """4/0 that is not answered does not keep 4/0/8 waiting again, and is not repeated when it is lost."""
    house.device()
    house.campaign(EP)
    until(house, Read, (4, 0))
    house.desk.asleep.add(EP)  # as far as it is heard, that is
    house.clock(90)
    assert house.state() == "query_cell"
    house.kill()
    house.commit()
    assert [tuple(each.path) for each in house.desk.waiting[EP]] == [(4, 0, 8), (4, 0)]
    lose(house, house.desk.waiting[EP][1])
    assert [tuple(each.path) for each in house.desk.waiting[EP]] == [(4, 0, 8)]


@pytest.mark.parametrize("path", [(5, 0, 3), (5, 0, 1), (5, 0, 2), (5, 0, 5)])
def test_a_new_registration_in_the_middle(house, path):
    """T17, T26: task, commands and tokens are kept; 5/0/3 is observed again."""
    device = house.device()
    house.campaign(EP)
    kind = {(5, 0, 3): Observe, (5, 0, 2): Execute}.get(path, object)
    until(house, kind, path)
    device.register(house.now)
    house.run()
    assert house.state() == "success"
    assert device.executed == 1
    assert device.tokens >= 2


def test_old_tokens_stay_known_until_the_end(house):
    """T15: the result is notified by the token from before the reboot."""
    device = house.device()
    house.campaign(EP)
    until(house, Read, (5, 0, 5))
    assert len(house.desk.remembered) == 0  # the desk made them itself; nothing was forgotten
    assert len(house.rows(tables.observations, endpoint=EP)) >= 1
    first = house.rows(tables.observations, endpoint=EP)[0]["token"]
    house.kill()
    assert first in house.desk.remembered
    house.tell(
        Notified(endpoint=EP, path=Path(5, 0, 5), token=first, content_format=0, payload=b"1", stale=False)
    )
    house.run()
    assert (house.state(), device.executed) == ("success", 1)
    assert house.rows(tables.observations) == []
    assert house.desk.remembered == {}


@pytest.mark.parametrize(
    ("result", "failure"),
    [
        (2, Failure.STORAGE),
        (3, Failure.MEMORY),
        (4, Failure.CONNECTION_LOST),
        (5, Failure.INTEGRITY),
        (6, Failure.PACKAGE_TYPE),
        (7, Failure.INVALID_URI),
        (8, Failure.UPDATE_FAILED),
    ],
)
def test_a_download_that_fails(house, result, failure):
    """State 0: the result is read, and is the failure with its raw code. The observation is ended."""
    device = house.device(fails_by=result)
    house.campaign(EP)
    house.run()
    row = house.task()
    assert (row["state"], row["failure"]) == ("failed", failure.value)
    assert (row["detail_at"], row["detail_code"]) == ("5/0/5", str(result))
    assert device.token is None
    assert house.rows(tables.observations) == []
    assert house.outcomes[0].failure is failure
    assert house.check_counters() == {"state failed": 1, f"failure {failure.value}": 1}


@pytest.mark.parametrize(
    ("path", "code", "failure"),
    [
        ((3, 0, 3), "4.04", Failure.VERSION_TIMEOUT),
        ((5, 0, 3), "4.05", Failure.NOT_ONLINE),
        ((5, 0, 1), "4.00", Failure.INVALID_URI),
        ((5, 0, 1), "4.05", Failure.UPDATE_FAILED),
        ((5, 0, 1), "4.15", Failure.UPDATE_FAILED),
        ((5, 0, 2), "4.05", Failure.UPDATE_FAILED),
        ((5, 0, 2), "5.00", Failure.NOT_ONLINE),
    ],
)
def test_a_command_that_is_refused(house, path, code, failure):
    """With the code in the detail."""
    house.device(refuses={path: code})
    house.campaign(EP)
    house.run()
    assert house.task()["failure"] == failure.value
    assert house.task()["detail_code"] == code


def test_a_radio_that_cannot_be_read(house):
    """4/0 refused: the cell alone, class U. Neither: no cell."""
    house.device(refuses={(4, 0): "4.06"})
    house.campaign(EP)
    house.run()
    assert (house.state(), house.task()["radio_class"]) == ("success", "U")


def test_no_cell_at_all(house):
    """Step 9 refused as well."""
    house.device(refuses={(4, 0): "4.05", (4, 0, 8): "4.04"})
    house.campaign(EP)
    house.run()
    assert house.task()["failure"] == Failure.CELL_ID_TIMEOUT.value


@pytest.mark.parametrize("path", [(3, 0, 3), (4, 0), (4, 0, 8), (5, 0, 3), (5, 0, 5)])
def test_an_answer_without_its_value(house, path):
    """As if refused with 2.05; whatever becomes of the task, it ends, and nothing crashes."""
    house.device(answers={path: Resources({(6, 0, 0): 1})}, sinr=None if path == (4, 0, 8) else 9)
    house.campaign(EP)
    house.clock(3 * 3600)
    assert house.outcomes
    house.check_counters()


def test_a_package_that_is_there_already(house):
    """Two readings, one event; where both agree the download is skipped."""
    plan = type(PLAN)(kind=PLAN.kind, target_version="V1.1", pid=PLAN.pid, skip_same_package=True)
    device = house.device(state=2, uri="coap://edge.example/ep-1")
    house.campaign(EP, plan=plan)
    house.run()
    assert (house.state(), device.written, device.executed) == ("success", [], 1)


@pytest.mark.parametrize("path", [(5, 0, 1), (5, 0, 7)])
def test_a_package_that_cannot_be_compared(house, path):
    """5/0/7 is optional: refused, the device is reset and told the URI."""
    plan = type(PLAN)(kind=PLAN.kind, target_version="V1.1", pid=PLAN.pid, skip_same_package=True)
    device = house.device(state=2, uri="coap://edge.example/ep-1")
    device.answers[path] = Resources({(6, 0, 0): 1})
    house.campaign(EP, plan=plan)
    house.run()
    assert (house.state(), len(device.written)) == ("success", 1)


def test_reset_instead_of_an_answer(house):
    """The device does not know the command."""
    house.device()
    house.campaign(EP)
    asked = until(house, Read, (3, 0, 3))
    house.tell(WasReset(endpoint=EP, command=asked))
    house.commit()
    assert house.task()["failure"] == Failure.NOT_ONLINE.value
    assert house.task()["detail_at"] == "3/0/3"


@pytest.mark.parametrize("gone", [Deregistered, Expired])
def test_a_device_that_goes(house, gone):
    """While a command waits: not online. Its row goes, the log says so, what is left to undo waits for it."""
    house.device()
    house.campaign(EP)
    until(house, Observe)
    house.tell(gone(endpoint=EP, before=house.desk.registrations[EP]))
    house.commit()
    assert house.task()["failure"] == Failure.NOT_ONLINE.value
    assert house.rows(tables.devices) == []
    assert {"registered", "deregistered" if gone is Deregistered else "registration expired"} <= set(
        house.log(endpoint=EP)
    )


def test_what_is_learned_stands_with_the_device(house):
    """Version, cell and class in its row, the address as it moves."""
    house.device()
    house.campaign(EP)
    house.run()
    before = house.desk.registrations[EP]
    moved = before.evolved(remote=(b"elsewhere", b""))
    house.tell(Updated(endpoint=EP, before=before, after=moved))
    house.commit()
    (row,) = house.rows(tables.devices)
    assert (row["cell"], row["radio_class"], row["address"]) == ("460-00-1A2B", "0", b"elsewhere")


def test_a_notification_from_elsewhere_moves_the_address(house):
    """T13: it is stored with what it says."""
    device = house.device()
    house.campaign(EP)
    until(house, Execute)
    moved = house.desk.registrations[EP].evolved(remote=(b"elsewhere", b""))
    house.tell(
        Notified(
            endpoint=EP,
            path=Path(5, 0, 3),
            token=device.token,
            content_format=0,
            payload=b"3",
            stale=False,
            changed=moved,
        )
    )
    house.commit()
    assert house.rows(tables.devices)[0]["address"] == b"elsewhere"
    assert house.state() == "updating"
    assert house.desk.waiting[EP] == []  # Execute is not wanted any more


def test_an_unknown_token_is_confirmed_while_a_task_is_active(house):
    """T14: rejected by a Reset only where no upgrade is under way."""
    house.device()
    house.run()
    idle = Unmatched(endpoint=EP)
    assert house.tell(idle)
    house.campaign(EP)
    until(house, Read, (3, 0, 3))
    busy = Unmatched(endpoint=EP)
    assert house.tell(busy)
    house.commit()
    assert [each is idle for each in house.desk.rejected] == [True]
    assert any(each is busy for each in house.desk.confirmed)


def test_a_late_notification_of_a_finished_task_is_logged(house):
    """And changes nothing."""
    house.device()
    house.campaign(EP)
    house.run()
    late = Notified(
        endpoint=EP, path=Path(5, 0, 3), token=b"old", content_format=0, payload=b"1", stale=False
    )
    house.tell(late)
    house.commit()
    assert house.log(endpoint=EP)[-1] == "notified without a task"
    assert house.state() == "success"
    assert late in house.desk.confirmed


def test_uplinks_that_change_nothing_are_answered_at_once(house):
    """No commit for them; one that changes something waits for its commit."""
    house.device()
    house.run()
    for happening in (Heard(endpoint=EP), Sent(endpoint=EP, records=())):
        house.tell(happening)
        assert any(each is happening for each in house.desk.confirmed)
    assert house.orchestrator.turn() is None
    first, second = (
        Updated(endpoint=EP, before=house.desk.registrations[EP], after=house.desk.registrations[EP])
        for _ in range(2)
    )
    house.tell(first)
    house.tell(second)
    assert not any(each is first or each is second for each in house.desk.confirmed)
    house.commit()
    assert sum(each is first or each is second for each in house.desk.confirmed) == 2


def test_a_sleeping_device_waits_with_its_task(house):
    """WAIT_ONLINE: the next uplink begins it (step 3)."""
    house.device()
    house.run()
    house.desk.asleep.add(EP)
    house.campaign(EP)
    house.clock(3600)
    assert house.state() == "wait_online"
    house.desk.asleep.clear()
    house.heard()
    house.run()
    assert house.state() == "success"


def test_a_device_that_never_comes(house):
    """It may be in a campaign without ever having registered: T_online decides."""
    house.campaign(EP)
    house.clock(24 * 3600 - 1)
    assert house.state() == "wait_online"
    house.clock(1)
    assert house.task()["failure"] == Failure.ONLINE_TIMEOUT.value


def test_progress_at_the_edge(house):
    """The first block is the start; a device whose State is not notified is asked for it after 5 minutes."""
    device = house.device()
    device.token = None
    house.campaign(EP, plan=type(PLAN)(kind=PLAN.kind, target_version="V1.1", pid=PLAN.pid))
    until(house, Read, (4, 0))
    device.notifies = lambda state, done=None: None  # none of its notifications arrives
    house.run()
    assert house.state() == "wait_start"
    house.orchestrator.downloading(EP, PLAN.pid, True, house.now)
    house.run()
    assert house.state() == "downloading"
    device.state = 1
    house.now += 301
    house.orchestrator.downloading(EP, PLAN.pid, False, house.now)
    house.commit()
    assert tuple(command(house).path) == (5, 0, 3)
    house.orchestrator.downloading(EP, bytes(8), True, house.now)  # another package
    device.state = 2
    house.run()
    assert (house.state(), device.executed) == ("updating", 1)


def test_what_is_left_of_a_cancelled_task(house):
    """The device is told to forget; 1.1 by 5/0/10, and where it refuses by an empty URI."""
    device = house.device(links=LINKS_1_1, refuses={(5, 0, 10): "4.05"})
    house.campaign(EP)
    until(house, Execute)
    assert house.orchestrator.cancel("c1-0000000", "anna", house.now)
    house.run()
    assert house.state() == "cancelled"
    assert (device.state, device.uri, device.executed) == (0, "", 0)
    assert [row["effect"] for row in house.rows(tables.effects)] == ["WithdrawDownload"]
    assert not house.orchestrator.cancel("c1-0000000", "anna", house.now)


def test_what_is_left_is_tried_once(house):
    """Best effort: a loss ends it, and so does the day."""
    house.device(fails_by=2)
    house.campaign(EP)
    until(house, Read, (5, 0, 5))
    waiting = command(house)
    house.tell(Answered(endpoint=EP, command=waiting, resources=Resources({(5, 0, 5): 2})))
    house.desk.waiting[EP].clear()
    house.commit()
    cancel = command(house)
    lose(house, cancel)
    assert [row["effect"] for row in house.rows(tables.effects)] == ["WithdrawDownload"]
    assert house.rows(tables.observations) == []


def test_what_is_left_waits_for_the_device_no_longer_than_a_day(house):
    """A device that went with a task's observation keeps no row for ever. Restarts do not prolong it."""
    house.device()
    house.campaign(EP)
    until(house, Observe)
    house.desk.asleep.add(EP)
    house.devices[EP].answer(command(house))
    house.orchestrator.cancel("c1-0000000", "anna", house.now)
    house.clock(12 * 3600)
    house.kill()
    house.desk.asleep.add(EP)
    house.clock(12 * 3600)
    assert house.rows(tables.effects) == []
    assert house.rows(tables.observations) == []
    assert not house.orchestrator.roster.askers


def test_a_slot_that_a_sleeper_does_not_use(house):
    """After 10 minutes with others waiting it goes to the back: by a timer of its own."""
    house.device(EP, rsrp=-130)
    house.campaign(EP)
    until(house, Observe)
    house.desk.asleep.add(EP)
    for campaign, name in (("c2", "ep-2"), ("c3", "ep-3")):
        house.device(name, rsrp=-130)
        house.campaign(name, id=campaign)
        house.run()
        assert house.state(f"{campaign}-0000000") == "wait_slot"
    house.desk.asleep = {"ep-2"}
    house.run()
    assert [house.state(f"c{n}-0000000") for n in (1, 2, 3)] == ["success", "wait_awake", "wait_slot"]
    house.clock(599)
    assert house.state("c3-0000000") == "wait_slot"
    house.clock(1)
    assert house.state("c3-0000000") == "success"
    house.desk.asleep.clear()
    house.heard("ep-2")
    house.run()
    assert house.state("c2-0000000") == "success"


def test_deadlines_survive_a_restart(house):
    """They are instants, stored with the task."""
    plan = type(PLAN)(kind=PLAN.kind, target_version="V1.1", pid=PLAN.pid, timers=Timers(version_s=60))
    device = house.device()
    house.campaign(EP, plan=plan)
    until(house, Read, (3, 0, 3))
    house.desk.asleep.add(EP)
    house.clock(40)
    house.kill()
    house.desk.asleep.add(EP)
    house.clock(19)
    assert house.state() == "query_version"
    house.clock(1)
    assert house.task()["failure"] == Failure.VERSION_TIMEOUT.value
    assert device.executed == 0


def test_a_refusal_of_the_end_of_the_observation(house):
    """UNOBSERVE ends with any answer."""
    house.device()
    house.campaign(EP)
    for _ in range(1000):
        house.commit()
        waiting = [
            each for each in house.desk.waiting.get(EP, ()) if type(each).__name__ == "CancelObservation"
        ]
        if waiting:
            break
        house.step()
    house.desk.waiting[EP].clear()
    house.tell(Refused(endpoint=EP, command=waiting[0], code="4.04"))
    house.run()
    assert house.state() == "success"
    assert house.rows(tables.observations) == []


def test_commands_that_find_no_room_wait_for_some(house, monkeypatch):
    """Other people's commands fill the queue of a device: ours are asked for again after a later commit."""
    house.device()
    house.run()
    ask, full = house.desk.ask, True

    def crowded(endpoint, asked, **how):
        if full:
            raise CommandLimitError("16 commands wait")
        ask(endpoint, asked, **how)

    monkeypatch.setattr(house.desk, "ask", crowded)
    house.campaign(EP)
    house.run()
    assert house.state() == "query_version"
    assert house.orchestrator.counts["commands crowded out"] >= 1
    full = False
    registration = house.desk.registrations[EP]
    house.tell(Updated(endpoint=EP, before=registration, after=registration))
    house.run()
    assert house.state() == "success"


def test_a_device_says_goodbye_before_it_reboots(house):
    """Once told to update, its absence is what an update looks like: it is asked when it returns."""
    device = house.device()
    house.campaign(EP)
    execute = until(house, Execute)
    house.desk.waiting[EP].clear()
    device.notifies = lambda state, done=None: None
    house.tell(device.answer(execute))
    house.tell(Deregistered(endpoint=EP, before=house.desk.registrations[EP]))
    house.run()
    assert house.state() == "updating"
    house.clock(1200)
    device.now = house.now
    device.reboot()
    house.run()
    assert house.state() == "success"
