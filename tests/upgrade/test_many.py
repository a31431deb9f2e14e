"""Many devices in few cells on a network that loses messages: negotiation and admission by one clock."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count
from random import Random

import pytest

from headgate.upgrade import TABLES, advance
from headgate.upgrade.admission import Admission, Limits, Scope
from headgate.upgrade.events import (
    Activated,
    CellReported,
    DeadlinePassed,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    ExecuteAccepted,
    RadioReported,
    ReadCell,
    ReadRadio,
    SlotGranted,
    SlotRevoked,
    VersionReported,
)
from headgate.upgrade.object5 import (
    CancelObservation,
    ClearUri,
    ExecuteUpdate,
    ObservationEnded,
    ObserveState,
    ReadResult,
    ReadState,
    ReadVersion,
    ResultReported,
    StateObserved,
    StateReported,
    UriAccepted,
    UriCleared,
    WriteUri,
)
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import Kind, State, Task
from negotiations import NOON_S, OLD, PLAN, TARGET, check_step, radio

CELLS = [1, 2]
RETRY_S = 30.0  # what was lost is sent again about then
SILENCE_S = 900.0  # a device says something of its own at least as often
BOUND = 400_000


class Device:
    """A device that does what it is told, and says so unless the message is lost."""

    def __init__(self, name, random, *, loss):
        self.name = name
        self.random = random
        self.loss = loss
        self.version = TARGET if random.random() < 0.05 else OLD
        self.state = random.choice([0, 0, 0, 2])
        self.result = 0
        self.radio = radio(
            cell_id=random.choice(CELLS),
            rsrp=random.choice([-98, -98, -115, -125]),
            sinr=random.choice([9, 9, 9, None]),
        )
        self.online = True

    def told(self, effect):
        """What comes back for a command, and when: pairs of seconds and event."""
        random = self.random
        rtt_s = random.uniform(0.5, 4.0) + RETRY_S * (random.random() < self.loss)
        match effect:
            case ReadVersion():
                return [(rtt_s, lambda: VersionReported(version=self.version))]
            case ReadRadio():
                return [(rtt_s, lambda: RadioReported(radio=self.radio))]
            case ReadCell():
                return [(rtt_s, lambda: CellReported(cell_id=self.radio.cell.cell_id))]
            case ObserveState():
                return [(rtt_s, lambda: StateObserved(state=self.state))]
            case ReadState():
                return [(rtt_s, lambda: StateReported(state=self.state))]
            case ReadResult():
                return [(rtt_s, lambda: ResultReported(result=self.result))]
            case CancelObservation():
                return [(rtt_s, ObservationEnded)]
            case ClearUri():
                self.state = self.result = 0
                return [(rtt_s, UriCleared)]
            case WriteUri():
                self.state, self.result = 1, 0
                size_s = random.uniform(200.0, 1500.0)
                return [
                    (rtt_s, UriAccepted),
                    (rtt_s + 1, DownloadStarted),
                    *self.noticed(rtt_s + 2, 1),
                    *((rtt_s + size_s * part / 10, DownloadProgressed) for part in range(1, 10)),
                    *self.noticed(rtt_s + size_s, 2),
                ]
            case ExecuteUpdate():
                reboot_s = random.uniform(30.0, 600.0)
                return [
                    (rtt_s, ExecuteAccepted),
                    *self.noticed(rtt_s + 1, 3),
                    (rtt_s + reboot_s, self.rebooted),
                    *self.noticed(rtt_s + reboot_s + 5, 0),
                ]
        return []

    def noticed(self, after_s, state):
        """A change of State, and its notification, which may be lost."""

        def changed():
            if state == 0 and self.state != 0:
                return None
            self.state = state
            return None if self.random.random() < self.loss else StateReported(state=state)

        return [(after_s, changed)]

    def rebooted(self):
        """The update is done."""
        self.state, self.result, self.version = 0, self.random.choice([0, 1]), TARGET
        return DeviceRegistered()


class House:
    """An orchestrator in miniature, whose tasks and slots are checked after each event."""

    def __init__(self, seed, devices, *, scope, loss):
        self.random = Random(seed)
        self.now = NOON_S
        self.order = count()
        self.due = []
        self.tasks = {}
        self.limits = Limits(class_0=6, class_1=3, class_2=1, unknown=3, scope=scope)
        self.admission = Admission(self.limits)
        self.devices = {}
        for index in range(devices):
            name = f"{index:03d}"
            self.devices[name] = Device(name, self.random, loss=loss)
            self.tasks[name] = Task.created(
                id=name, endpoint=name, plan=PLAN, now=self.now, uri=f"coap://h/{name}"
            )
            self.at(self.random.uniform(0, 60), name, Activated)
            self.at(self.random.uniform(60, SILENCE_S), name, self.murmur(name))

    def murmur(self, name):
        """Something of the device's own, again and again while its task lasts."""

        def heard():
            if not self.tasks[name].state.terminal:
                self.at(self.random.uniform(10, SILENCE_S), name, self.murmur(name))
            return DeviceHeard()

        return heard

    def at(self, after_s, name, make):
        heapq.heappush(self.due, (self.now + after_s, next(self.order), name, make))

    def happens(self, name, event):
        before = self.tasks[name]
        after, effects = advance(before, event, self.now)
        check_step(TABLES[Kind.FIRMWARE], before, event, self.now, after, effects)
        self.tasks[name] = after
        self.admission.settle(after)
        if after.deadline_s is not None and after.deadline_s != before.deadline_s:
            self.at(after.deadline_s - self.now, name, DeadlinePassed)
        for effect in effects:
            for after_s, make in self.devices[name].told(effect):
                self.at(after_s, name, make)

    def admit(self):
        while (name := self.admission.silent(self.now)) is not None:
            self.happens(name, SlotRevoked())
        while (name := self.admission.grant(self.now)) is not None:
            self.happens(name, SlotGranted(awake=self.random.random() < 0.5))

    def check(self):
        holders = [task for task in self.tasks.values() if task.state.holds_slot]
        held = Counter((task.radio.cell, task.radio.radio_class) for task in holders)
        shares = Counter()
        for (cell, radio_class), slots in held.items():
            assert slots <= self.limits.of(radio_class)
            shares[cell] += slots / self.limits.of(radio_class)
        assert self.limits.scope is Scope.CLASS or all(share < 1.0001 for share in shares.values())

    def run(self):
        """Until nothing is due any more."""
        for _ in range(BOUND):
            if not self.due:
                return
            self.now, _, name, make = heapq.heappop(self.due)
            event = make()
            if event is not None:
                was = self.tasks[name].state
                self.happens(name, event)
                self.admit()
                if self.tasks[name].state is not was:
                    self.check()
        pytest.fail("it never ends")


@pytest.mark.parametrize("scope", Scope)
def test_on_a_good_network_every_device_is_upgraded(scope):
    """Idle or holding an old package, any class, Result 0 or 1 afterwards; and all slots come back."""
    house = House(1, 120, scope=scope, loss=0.0)
    house.run()
    assert {task.state for task in house.tasks.values()} == {State.SUCCESS, State.DONE_SAME}
    assert list(house.admission.occupancy()) == []
    assert {task.radio.radio_class for task in house.tasks.values() if task.radio} == set(RadioClass)
    assert max(task.entered_s for task in house.tasks.values()) < NOON_S + 24 * 3600


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("seed", range(3))
def test_on_a_bad_network_every_task_ends(scope, seed):
    """A third of all messages lost: most devices get through, every task ends, no slot is left behind."""
    house = House(seed, 80, scope=scope, loss=0.33)
    house.run()
    ends = Counter(task.state for task in house.tasks.values())
    assert set(ends) <= {State.SUCCESS, State.DONE_SAME, State.FAILED}
    assert ends[State.SUCCESS] > 0.9 * 80
    assert list(house.admission.occupancy()) == []
