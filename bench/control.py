"""How much does deciding cost? Nanoseconds of CPU per event of a negotiation, and per slot that moves on."""

from __future__ import annotations

import time
from typing import Any

import pytest

from headgate.upgrade import advance
from headgate.upgrade.admission import Admission, Limits, Scope
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
from headgate.upgrade.radio import Cell, Measurement, RadioClass, RadioReport, RadioRules, measured
from headgate.upgrade.task import Kind, Plan, State, Task, evolved

NOON_S = 1_767_268_800.0
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
NEGOTIATIONS = {
    "advance, each event a step": BEFORE + AFTER,
    "advance, with 20 reports of progress": BEFORE + PROGRESS + AFTER,
}


@pytest.mark.benchmark(group="control", timer=time.process_time)
@pytest.mark.parametrize("events", NEGOTIATIONS.values(), ids=NEGOTIATIONS)
def bench_negotiation(benchmark: Any, events: tuple[Event, ...], quick: bool) -> None:
    """Whole firmware negotiations, one after the other, from CREATED to SUCCESS."""
    rounds = 50 if quick else 2_000
    new = Task.created(id="1", endpoint="urn:imei:860000000000001", plan=PLAN, now=NOON_S, uri="coap://h/k")

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
