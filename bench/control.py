"""How much does the control plane cost? Per event decided, per slot, per report stored, per task restored."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.upgrade import advance
from headgate.upgrade.admission import Admission, Limits, Scope
from headgate.upgrade.campaign import CampaignState
from headgate.upgrade.events import (
    Activated,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    Event,
    ExecuteAccepted,
    RadioReported,
    SlotGranted,
    VersionReported,
)
from headgate.upgrade.object5 import (
    ObservationEnded,
    ResultReported,
    StateObserved,
    StateReported,
    UriAccepted,
)
from headgate.upgrade.object19 import (
    DataObserved,
    DownloadReported,
    FrameDelivered,
    NotificationAccepted,
    SegmentRequested,
    UpgradeReported,
)
from headgate.upgrade.radio import Cell, Measurement, RadioClass, RadioReport, RadioRules, measured
from headgate.upgrade.task import Kind, Plan, State, Task, evolved
from orchestra import House
from orchestra_pcp import PLAN as SOFTWARE_PACKAGE
from wired import WiredHouse

NOON_S = 1_767_268_800.0
BATCH = 256  # datagrams that one turn of the pump takes
BATCH_ROWS = 8_000
PLAN = Plan(kind=Kind.FIRMWARE, target_version="V1.1", pid=bytes(8))
REPORT = RadioReport(rsrp=-98, sinr=9, cell_id=187654321, smcc=460, smnc=0)
BEFORE: tuple[Event, ...] = (
    Activated(),
    DeviceHeard(),
    VersionReported(version="V1.0"),
    RadioReported(radio=measured(REPORT, RadioRules())),
    SlotGranted(awake=True),
    StateObserved(state=0),
    UriAccepted(),
    StateReported(state=1),
    DownloadStarted(),
)
PROGRESS: tuple[Event, ...] = (DownloadProgressed(),) * 20
AFTER: tuple[Event, ...] = (
    StateReported(state=2),
    ExecuteAccepted(),
    StateReported(state=3),
    DeviceRegistered(),
    StateObserved(state=0),
    ResultReported(result=1),
    ObservationEnded(),
)
SOFTWARE_PLAN = Plan(
    kind=Kind.SOFTWARE,
    target_version="V1.1",
    pid=bytes(8),
    size_bytes=16_384,
    segment_size_bytes=500,
    version_check_code=0x4EA0,
)
SOFTWARE_BEFORE: tuple[Event, ...] = (
    Activated(),
    DeviceHeard(),
    VersionReported(version="V1.0"),
    DataObserved(),
    RadioReported(radio=measured(REPORT, RadioRules())),
    SlotGranted(awake=True),
    FrameDelivered(),
    NotificationAccepted(),
    SegmentRequested(version="V1.1", segment_index=0),
)
SOFTWARE_AFTER: tuple[Event, ...] = (
    DownloadReported(result=0),
    FrameDelivered(),
    ExecuteAccepted(),
    DeviceRegistered(),
    DataObserved(),
    UpgradeReported(result=0, version="V1.1"),
)
NEGOTIATIONS = {
    "advance, each event a step": (PLAN, BEFORE + AFTER),
    "advance, with 20 reports of progress": (PLAN, BEFORE + PROGRESS + AFTER),
    "advance by PCP, each event a step": (SOFTWARE_PLAN, SOFTWARE_BEFORE + SOFTWARE_AFTER),
    "advance by PCP, with 20 reports of progress": (
        SOFTWARE_PLAN,
        SOFTWARE_BEFORE + PROGRESS + SOFTWARE_AFTER,
    ),
}
PCP = PcpProfile(generation=Generation.NEWER, repeat_s=60.0, install_s=0.05)
FIRMWARE, SOFTWARE = "c1", "c2"
IDLE_ROUNDS = 10  # of 10 ms without a word: longer than an installation
SHARES = {"firmware": 0.0, "half of it by PCP": 0.5, "all by PCP": 1.0}


@pytest.mark.benchmark(group="control", timer=time.process_time)
@pytest.mark.parametrize(("plan", "events"), NEGOTIATIONS.values(), ids=NEGOTIATIONS)
def bench_negotiation(benchmark: Any, plan: Plan, events: tuple[Event, ...], quick: bool) -> None:
    """Whole negotiations, one after the other, from CREATED to SUCCESS."""
    rounds = 50 if quick else 2_000
    new = Task.created(id="1", endpoint="urn:imei:860000000000001", plan=plan, now=NOON_S, uri="coap://h/k")

    def negotiate() -> Task:
        for _ in range(rounds):
            task, now = new, NOON_S
            for event in events:
                now += 1.0
                task, _ = advance(task, event, now)
        return task

    assert benchmark.pedantic(negotiate, rounds=9, warmup_rounds=1).state is State.SUCCESS
    seconds = benchmark.stats.stats.median
    benchmark.extra_info.update(per=rounds * len(events), per_s=round(rounds * len(events) / seconds))


@pytest.mark.benchmark(group="control", timer=time.process_time)
@pytest.mark.parametrize("waiting", [100, 10_000, 100_000])
@pytest.mark.parametrize("scope", Scope)
def bench_slot(benchmark: Any, scope: Scope, waiting: int, quick: bool) -> None:
    """A holder ends, the next in line is granted its slot and settled, another arrives: in one cell."""
    waiting = min(waiting, 1_000) if quick else waiting
    rounds = 200 if quick else 5_000
    new = Task.created(id="", endpoint="", plan=PLAN, now=NOON_S)
    radio = {each: Measurement(cell=Cell(7), radio_class=each) for each in RadioClass}
    classes = [RadioClass.CLASS_0, RadioClass.CLASS_1, RadioClass.UNKNOWN]
    count = 0
    tasks: dict[str, Task] = {}
    admission = Admission(Limits(scope=scope))

    def arrive() -> None:
        nonlocal count
        each = radio[classes[count % len(classes)]]
        place = {"id": str(count), "state": State.WAIT_SLOT, "radio": each, "queued_s": NOON_S + count}
        task = evolved(new, place)
        count += 1
        tasks[task.id] = task
        admission.settle(task)

    for _ in range(waiting):
        arrive()
    holders: list[Task] = []

    def grant() -> None:
        while (name := admission.grant(NOON_S + count)) is not None:
            holder = evolved(tasks.pop(name), {"state": State.OBSERVE})
            admission.settle(holder)
            holders.append(holder)

    def turn_over() -> None:
        for _ in range(rounds):
            admission.settle(evolved(holders.pop(0), {"state": State.SUCCESS}))
            arrive()
            grant()

    grant()
    benchmark.pedantic(turn_over, rounds=5, warmup_rounds=1)
    benchmark.extra_info.update(per=rounds, waiting=len(tasks), holding=len(holders))


# -- the whole control plane --


@pytest.mark.benchmark(group="control")
@pytest.mark.parametrize("share", SHARES.values(), ids=SHARES)
def bench_reports_durable(benchmark: Any, tmp_path: Path, share: float, quick: bool) -> None:
    """Datagrams of devices through Exchange, LwM2M server, advance and a durable commit: one thread.

    Each report is a message of a device that changes something, or answers a command. The devices' own work
    is done between the rounds that are measured, whose times are added up. A share of the devices is upgraded
    by PCP; here their segments, three of them, are answered by the orchestrator too, where a server has the
    edge for that.
    """
    devices = 200 if quick else 4_000
    house = WiredHouse(tmp_path)
    names = [f"urn:imei:86{number:013d}" for number in range(devices)]
    software = names[round(devices * (1.0 - share)) :]
    by_pcp = set(software)
    for number, name in enumerate(names):
        cell_id = 1 + number % max(devices // 40, 1)
        if name in by_pcp:
            house.software_device(name, cell_id=cell_id, pcp=PCP)
        else:
            house.device(name, cell_id=cell_id)
    clients = list(house.clients.values())
    reports, spent_s, spent_cpu_s, commits = 0, 0.0, 0.0, 0
    arriving: list[tuple[Any, bytes]] = []

    def serve() -> None:
        """What the server does about what has arrived, up to its commit and what leaves after that."""
        nonlocal reports, spent_s, spent_cpu_s, commits
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        desk, orchestrator = house.desk, house.orchestrator
        for remote, datagram in arriving:
            for happening in desk.receive(remote, datagram, house.now):
                reports += 1
                orchestrator.happened(happening, house.now)
        while (due := orchestrator.next_timer()) is not None and due <= house.now:
            orchestrator.expire(house.now)
            if orchestrator.gathered > BATCH_ROWS:
                break
        turn = orchestrator.turn()
        if turn is not None:
            house.database.commit(turn.batch)
            orchestrator.committed(turn, house.now)
            commits += 1
        spent_s += time.perf_counter() - begun_s
        spent_cpu_s += time.process_time() - begun_cpu_s

    def upgrade() -> None:
        if firmware := [name for name in names if name not in by_pcp]:
            house.campaign(*firmware, id=FIRMWARE)
        if software:
            house.campaign(*software, id=SOFTWARE, plan=SOFTWARE_PACKAGE)
        idle = 0
        while idle < IDLE_ROUNDS:
            house.now += 0.01
            for name in software:
                house.devices[name].expire(house.now)
            leaving = house.desk.take()
            answers = [(house.clients[remote[0].decode()], datagram) for remote, datagram in leaving]
            said = [(each.remote, each.receives(datagram, house.now)) for each, datagram in answers]
            said += [(each.remote, each.says(house.now)) for each in clients]
            heard = [(remote, datagram) for remote, datagram in said if datagram is not None]
            idle = 0 if heard else idle + 1
            for start in range(0, max(len(heard), 1), BATCH):
                arriving[:] = heard[start : start + BATCH]
                serve()

    benchmark.pedantic(upgrade, rounds=1)
    succeeded = sum(house.database.counters(id).get("state success", 0) for id in (FIRMWARE, SOFTWARE))
    assert succeeded == devices
    benchmark.extra_info.update(
        per=reports,
        reports_per_s=round(reports / spent_s),
        reports_per_cpu_s=round(reports / spent_cpu_s),
        commits=commits,
        per_commit=round(reports / commits),
    )
    house.close()


@pytest.fixture
def hundred_thousand(quick: bool) -> list[str]:
    """Their names."""
    return [f"urn:imei:86{number:013d}" for number in range(1_000 if quick else 100_000)]


def made(house: House, names: list[str]) -> None:
    """A campaign for these devices, each of its transactions committed."""
    house.campaign(*names)
    while house.orchestrator.next_timer() == 0.0:
        house.orchestrator.expire(house.now)
        house.commit()


@pytest.mark.benchmark(group="control")
def bench_create_100000_tasks(benchmark: Any, tmp_path: Path, hundred_thousand: list[str]) -> None:
    """A campaign until it runs: a task for each device is stored, and the first begin."""
    house = House(tmp_path)

    def create() -> None:
        house.campaign(*hundred_thousand)
        while house.orchestrator.campaign("c1").state is CampaignState.CREATING:
            house.orchestrator.expire(house.now)
            house.commit()

    benchmark.pedantic(create, rounds=1)
    assert sum(house.database.counters("c1").values()) == len(hundred_thousand)
    benchmark.extra_info.update(per=len(hundred_thousand), commits=house.commits)
    house.close()


@pytest.mark.benchmark(group="control")
def bench_restore_100000_tasks(benchmark: Any, tmp_path: Path, hundred_thousand: list[str]) -> None:
    """A restart with so many active tasks: until the orchestrator would take the first datagram."""
    house = House(tmp_path)
    made(house, hundred_thousand)
    benchmark.pedantic(house.kill, rounds=3)
    assert len(house.orchestrator.roster.active) == len(hundred_thousand)
    benchmark.extra_info.update(per=len(hundred_thousand))
    house.close()
