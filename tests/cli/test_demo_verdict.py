"""The demo's verdict: what is as it must be passes, and whatever is not is named by its device."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headgate.cli.demo.contention import Contention
from headgate.cli.demo.verdict import Verdict, verdict_of
from headgate.fleet.device import Device
from headgate.fleet.faults import faulty
from headgate.fleet.outcome import Interval
from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.fleet.pcp_faults import faulty_pcp
from headgate.fleet.profile import ZEPHYR
from headgate.fleet.radio import Conditions
from headgate.server import TaskStatus
from headgate.upgrade.admission import Occupancy
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.task import Kind, State

DIGEST = "d" * 64
SOFTWARE_DIGEST = "5" * 64
LIMITS = {"0": 50, "1": 10, "2": 1, "U": 10}


def device_of(endpoint: str, fault: str = "", radio_class: str = "2") -> Device:
    """One that has the new version, upgraded from 10 s to 20 s, unless it is faulty."""
    profile = replace(ZEPHYR, endpoint=endpoint, radio=Conditions(cell_id=7, radio_class=radio_class))
    device = Device(faulty(profile, fault) if fault else profile, random.Random(1), 0.0)
    if fault in ("", "asked twice"):
        device.firmware.version = "V2.0"
        device.log.digest = DIGEST
        device.log.upgrades.append(Interval(10.0, 20.0, radio_class))
    return device


def pcp_device_of(endpoint: str, fault: str = "", radio_class: str = "2") -> Device:
    """The same by PCP, of the newer generation."""
    profile = replace(
        ZEPHYR,
        endpoint=endpoint,
        radio=Conditions(cell_id=7, radio_class=radio_class),
        pcp=PcpProfile(generation=Generation.NEWER),
    )
    device = Device(faulty_pcp(profile, fault) if fault else profile, random.Random(1), 0.0)
    if not fault:
        device.container.client.version = "V2.0"
        device.log.digest = SOFTWARE_DIGEST
        device.log.upgrades.append(Interval(10.0, 20.0, radio_class))
    return device


def task_of(device: Device, failure: Failure | None = None, **changes: Any) -> TaskStatus:
    """Its task, ended."""
    values: dict[str, Any] = {
        **dict.fromkeys(TaskStatus.__slots__),
        "endpoint": device.profile.endpoint,
        "state": State.SUCCESS if failure is None else State.FAILED,
        "failure": failure,
        "ended_s": 30.0,
    }
    return TaskStatus(**values | changes)


@pytest.fixture
def judge() -> Callable[..., Verdict]:
    """The verdict on (device, task) pairs, and on second tasks."""

    def judged(*ends: tuple[Device, TaskStatus], second: dict[str, TaskStatus] | None = None) -> Verdict:
        return verdict_of(
            [device for device, _ in ends],
            {task.endpoint: task for _, task in ends},
            second or {},
            digests={Kind.FIRMWARE: DIGEST, Kind.SOFTWARE: SOFTWARE_DIGEST},
            version="V2.0",
            limits=LIMITS,
            contention=Contention(),
            now=100.0,
        )

    return judged


def test_what_must_be_is_good(judge):
    """A healthy device with the new version, a faulty one with its cause, one that was asked twice."""
    healthy, stalls = device_of("a"), device_of("b", "stalls")
    twice = device_of("c", "asked twice", radio_class="1")
    verdict = judge(
        (healthy, task_of(healthy)),
        (stalls, task_of(stalls, Failure.DOWNLOADED_TIMEOUT)),
        (twice, task_of(twice)),
        second={"c": task_of(twice, Failure.TASK_CONFLICT)},
    )
    assert verdict.good, verdict.violations
    assert verdict.upgraded == {Kind.FIRMWARE: 2}
    assert [(each.fault, each.devices, each.ended_so) for each in verdict.faults] == [
        ("stalls", 1, 1),
        ("asked twice", 1, 1),
    ]
    assert verdict.endings == {
        Kind.FIRMWARE: {
            "success": 2,
            str(Failure.DOWNLOADED_TIMEOUT): 1,
            str(Failure.TASK_CONFLICT): 1,
        }
    }


def test_each_kind_is_judged_by_its_own_package_and_causes(judge):
    """A fault's name may mean something to either kind; a healthy device holds the package of its own."""
    healthy, stalls = pcp_device_of("a"), pcp_device_of("b", "stalls")
    refuses, firmware = pcp_device_of("c", "22: 07", radio_class="1"), device_of("d", radio_class="1")
    ends = [
        (healthy, task_of(healthy)),
        (stalls, task_of(stalls, Failure.DOWNLOADED_TIMEOUT)),
        (refuses, task_of(refuses, Failure.INTEGRITY)),
        (firmware, task_of(firmware)),
    ]
    verdict = judge(*ends)
    assert verdict.good, verdict.violations
    assert verdict.upgraded == {Kind.FIRMWARE: 1, Kind.SOFTWARE: 1}
    assert [(each.kind, each.fault, each.ended_so) for each in verdict.faults] == [
        (Kind.SOFTWARE, "stalls", 1),
        (Kind.SOFTWARE, "22: 07", 1),
    ]
    healthy.log.digest = DIGEST
    assert judge(*ends).violations == [
        f"a (PCP, newer, class 2): succeeded with a package of SHA-256 {DIGEST}"
    ]


def test_both_kinds_share_the_cells(judge):
    """One device of each where one may be: that is one too many, and seen to be of both kinds."""
    one, other = device_of("a"), pcp_device_of("b")
    verdict = judge((one, task_of(one)), (other, task_of(other)))
    assert verdict.violations == ["cell 7, class 2: 2 upgraded at once, 1 may (a, b)"]
    assert [(each.most, each.mixed) for each in verdict.peaks] == [(2, True)]
    other.log.upgrades[:] = [Interval(20.0, 30.0, "2")]
    verdict = judge((one, task_of(one)), (other, task_of(other)))
    assert verdict.good, verdict.violations
    assert not verdict.peaks[0].mixed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda device: setattr(device.log, "digest", "e" * 64), "SHA-256"),
        (lambda device: setattr(device.firmware, "version", "V1.0"), "runs V1.0"),
        (lambda device: setattr(device.log, "executes_after_confirmed", 1), "1 Executes after"),
        (lambda device: setattr(device.log, "forced_restarts", 2), "2 restarts at 0"),
    ],
)
def test_what_a_device_remembers_counts(judge, change, said):
    """The server's word for the success does not make up for it."""
    device = device_of("urn:dev:1")
    change(device)
    verdict = judge((device, task_of(device)))
    assert len(verdict.violations) == 1
    assert verdict.violations[0].startswith("urn:dev:1 (zephyr, class 2): ")
    assert said in verdict.violations[0]


def test_another_cause_than_the_published_one_is_named(judge):
    """Also where a faulty device succeeds, and where a healthy one fails."""
    stalls, healthy = device_of("b", "stalls"), device_of("a")
    for task in (task_of(stalls, Failure.INVALID_URI), task_of(stalls)):
        verdict = judge((stalls, task))
        assert "had to end so: Waiting for device downloaded package timeout" in verdict.violations[0]
        assert verdict.faults[0].ended_so == 0
    verdict = judge((healthy, task_of(healthy, Failure.NOT_ONLINE, detail_note="it was reset")))
    assert "ended so: Device Abnormal is not online (it was reset)" in verdict.violations[0]
    assert not verdict.good


def test_a_second_task_must_conflict(judge):
    """It may not be missing, nor succeed."""
    twice = device_of("c", "asked twice")
    for second in ({}, {"c": task_of(twice)}):
        assert (
            "its second task had to end so: Task Conflict"
            in judge((twice, task_of(twice)), second=second).violations[0]
        )


def test_a_cell_that_was_too_full_is_named(judge):
    """Two at once where one may, by the devices' own account."""
    one, other = device_of("a"), device_of("b")
    verdict = judge((one, task_of(one)), (other, task_of(other)))
    assert verdict.violations == ["cell 7, class 2: 2 upgraded at once, 1 may (a, b)"]
    assert [(each.most, each.limit) for each in verdict.peaks] == [(2, 1)]


def test_who_is_gone_upgrades_until_his_task_ends(judge):
    """A device that died is told nothing; nor does one that is told later hold the cell until then."""
    died, next_one = device_of("a", "stalls"), device_of("b")
    died.log.upgrading_since_s, died.log.radio_class = 0.0, "2"
    task = task_of(died, Failure.DOWNLOADED_TIMEOUT, ended_s=10.0)
    assert judge((died, task), (next_one, task_of(next_one))).good
    task = task_of(died, Failure.DOWNLOADED_TIMEOUT, ended_s=11.0)
    assert not judge((died, task), (next_one, task_of(next_one))).good


def test_a_slot_that_lies_idle_while_someone_waits_is_counted():
    """Each look stands for the time since the one before; what nobody waits for may be free."""
    contention = Contention()

    def occupied(held: int, waiting: int) -> list[Occupancy]:
        cell = Cell(7)
        return [Occupancy(cell=cell, radio_class=RadioClass.CLASS_1, held=held, limit=10, waiting=waiting)]

    contention.look(100.0, occupied(1, 5), {})
    assert contention.idle_share == 0.0
    contention.look(130.0, occupied(10, 5), {(7, "1"): 8})
    assert (contention.contended_s, contention.idle_s) == (30.0, 0.0)
    assert contention.used_share == 0.8
    contention.look(140.0, occupied(9, 5), {(7, "1"): 9})
    contention.look(200.0, occupied(1, 0), {})
    assert (contention.contended_s, contention.idle_s) == (40.0, 10.0)
    assert contention.idle_share == 0.25
