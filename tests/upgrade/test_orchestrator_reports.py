"""What outlives a task over PCP: reports after its end, what is lost by NON, dead processes' tokens, 20."""

from __future__ import annotations

import pytest

from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.lwm2m.commands import Observe
from headgate.lwm2m.happenings import (
    Deregistered,
    Notified,
    Unanswered,
)
from headgate.store import tables
from headgate.upgrade.campaign import Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.subscriptions import NOT_MADE_S
from headgate.wire.pcp import UPLINK, encode
from headgate.wire.pcp_messages import (
    DownloadReport,
    ExecuteAnswer,
    MessageCode,
    SegmentRequest,
    UpgradeReport,
    VersionAnswer,
)
from orchestra import PLAN as FIRMWARE_PLAN
from orchestra import TARGET
from orchestra_pcp import BODY, PID, PLAN, at_notify, clock, software_device, told, waiting

generations = pytest.mark.parametrize("generation", Generation)


# -- after the end --


def test_late_reports_are_answered(house):
    """3.2, note (b): 22 and 24 by 00, 21 by 80; nothing is stored for it."""
    device = software_device(house)
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 60)
    assert house.state() == "success"
    device.frames.clear()
    commits = house.commits
    asks = [
        UpgradeReport(version=TARGET),
        DownloadReport(),
        SegmentRequest(target_version=TARGET, segment_index=0),
        ExecuteAnswer(result=6),
        VersionAnswer(version=TARGET),
    ]
    device.says([encode(each) for each in asks])
    house.run()
    assert [frame[8:] for frame in device.frames] == [b"\x00", b"\x00", b"\x80\x00\x00"]
    assert waiting(house) == []
    assert house.commits - commits <= 3
    house.kill()
    device.says([encode(UpgradeReport(version=TARGET))])
    house.run()
    assert device.frames[-1][8:] == b"\x00"


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_a_report_after_the_end_and_a_register_is_answered(house, killed, away):
    """Traps 34 and 36: it comes by an observation made after the Register, and is repeated until answered."""
    device = software_device(house, pcp=PcpProfile(install_s=7200.0))
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 2400, step_s=10.0)
    assert house.state() == "failed"
    if away:
        house.tell(Deregistered(endpoint="ep-1", before=house.desk.registrations["ep-1"]))
        house.run()
    if killed:
        house.kill()
    device.frames.clear()
    clock(house, 5400, step_s=10.0)
    assert [frame[3:4] + frame[8:] for frame in device.frames] == [b"\x18\x00"]
    assert not device.client.active


def test_for_a_day_after_its_task_a_device_is_observed_after_each_register(house):
    """Not for ever."""
    device = software_device(house)
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 60)
    tokens = device.data_tokens
    for hours, more in ((23, 1), (2, 1)):
        house.now += 3600 * hours
        device.register(house.now)
        house.run()
        assert device.data_tokens == tokens + more


def test_a_late_answer_that_is_lost_is_not_kept(house):
    """As in a task."""
    device = software_device(house)
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 60)
    payload = encode(UpgradeReport(version=TARGET))
    house.tell(
        Notified(
            endpoint="ep-1",
            path=UPLINK,
            token=device.data_token,
            content_format=42,
            payload=payload,
            stale=False,
        )
    )
    house.commit()
    (command,) = waiting(house)
    house.tell(Unanswered(endpoint="ep-1", command=command))
    assert waiting(house) == []


def test_a_firmware_task_is_not_disturbed(house):
    """PCP of a device that has one is answered beside it, and proves that it is there."""
    device = software_device(house)
    device.links = b"</3/0>,</4/0>,</5/0>,</19/0>,</19/1>"
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 60)
    device.frames.clear()
    device.refuses[5, 0, 3] = "4.04"
    house.desk.asleep.add("ep-1")
    house.campaign("ep-1", plan=FIRMWARE_PLAN, id="c2")
    house.run()
    house.desk.asleep.discard("ep-1")
    device.says([encode(UpgradeReport(version=TARGET))])
    house.run()
    assert told(device) == [24]
    assert house.state("c2-0000000") != "wait_online"


@generations
def test_a_device_that_observes_us_no_more_is_observed_anew(house, generation):
    """RFC 7641, 4.5: who is not acknowledged ends the observation, and then cannot say that it did."""
    device = software_device(house, pcp=PcpProfile(generation=generation, repeat_s=4.0))
    tells = device.tells

    def tells_at_first(frame, **how):
        tells(frame, **how)
        if frame[3] == MessageCode.SEGMENT and device.data_tokens == 2:
            device.data_token = None

    device.tells = tells_at_first
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 310)
    assert house.state() == "downloading"
    house.heard()
    clock(house, 60)
    assert house.state() == "success"
    assert device.client.image == BODY


@pytest.mark.parametrize("lost", [{MessageCode.EXECUTE, MessageCode.UPGRADE}, {MessageCode.UPGRADE}])
def test_a_device_whose_answer_and_report_are_lost(house, lost):
    """Said once each by the older generation, by NON. What it runs after its Register decides."""
    device = software_device(house, pcp=PcpProfile(generation=Generation.OLDER))
    tells = device.tells
    device.tells = lambda frame, **how: None if frame[3] in lost else tells(frame, **how)
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 240 if len(lost) == 2 else 1860)
    assert house.state() == "success", house.log()


@pytest.mark.parametrize("answered", [False, True])
def test_an_observe_that_no_process_lived_to_see_answered(house, answered):
    """Its token was stored before it left: what the device says by it is known to be its own (trap 15)."""
    device = at_notify(house)
    device.register(house.now)
    house.step()
    house.desk.asleep.add("ep-1")
    (observe,) = [each for each in waiting(house) if isinstance(each, Observe)]
    rows = [row for row in house.rows(tables.observations) if row["token"] == observe.token]
    assert [(row["path"], row["made_s"]) for row in rows] == [("/19/0/0", NOT_MADE_S)]
    house.kill()
    house.edge.bodies[PID] = BODY
    assert observe.token in house.desk.remembered
    assert observe in waiting(house)
    assert not house.orchestrator.subscriptions.stands("ep-1")
    if answered:
        house.run()
        assert device.data_token == observe.token
        rows = [row for row in house.rows(tables.observations) if row["token"] == observe.token]
        assert [row["made_s"] for row in rows] == [house.now]
        house.kill()
        assert house.orchestrator.subscriptions.stands("ep-1")
    else:
        house.desk.asleep.add("ep-1")
        house.orchestrator.stop("c1", "me", house.now)
        house.run()
        house.now += 25 * 3600
        house.orchestrator.expire(house.now)
        house.run()
        assert NOT_MADE_S not in [row["made_s"] for row in house.rows(tables.observations)]
        assert observe.token not in house.desk.remembered


# -- later tasks --


@pytest.mark.parametrize("between", ["nothing", "kill", "away"])
def test_a_later_campaign_does_not_believe_the_target_version(house, between):
    """Trap 33, whichever campaign said 20; it holds through restarts and registrations."""
    device = software_device(house, pcp=PcpProfile(stalls=1))
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 30)
    house.orchestrator.stop("c1", "me", house.now)
    house.run()
    if between == "kill":
        house.kill()
        house.edge.bodies[PID] = BODY
    elif between == "away":
        house.tell(Deregistered(endpoint="ep-1", before=house.desk.registrations["ep-1"]))
        house.run()
        device.register(house.now)
    house.campaign(plan=PLAN, id="c2")
    clock(house, 30)
    assert house.state("c2-0000000") == "wait_start"


def test_a_device_that_runs_what_it_was_told_is_believed(house):
    """After success 19 names what runs; another version was never told."""
    software_device(house)
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 60)
    house.campaign(plan=PLAN, id="c2")
    clock(house, 10)
    assert (house.state(), house.state("c2-0000000")) == ("success", "done_same")


@pytest.mark.parametrize("killed", [False, True])
def test_a_later_attempt_does_not_believe_the_target_version(house, killed):
    """Trap 33: after 20 a device may name it, upgraded or not."""
    device = software_device(house, pcp=PcpProfile(stalls=1))
    house.run()
    retry = RetryPolicy(by_failure={Failure.DOWNLOADED_TIMEOUT: Retry(count=1, interval_s=60)})
    house.campaign(plan=PLAN, retry=retry)
    clock(house, 3640, step_s=20.0)
    assert house.task()["failure"] == Failure.DOWNLOADED_TIMEOUT.value
    if killed:
        house.kill()
        house.edge.bodies[PID] = BODY
    device.client.profile = PcpProfile()
    device.register(house.now)
    clock(house, 180)
    assert house.state("c1-0000000.2") == "success"
    assert "notified_before" in house.task("c1-0000000.2")["marks"]
    assert device.client.image == BODY
