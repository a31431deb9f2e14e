"""The demo's bad batch: where it is, that its campaign pauses just once, and how that is judged."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace
from typing import Any

import pytest

from headgate.cli.demo import pauses
from headgate.cli.demo.batch import (
    BATCH,
    BATCH_PRODUCT,
    BATCH_STAGE,
    batch_of,
    in_stages,
    made,
    sizes_of,
    stages_of,
)
from headgate.cli.demo.orders import PRODUCTS, Placed, orders_of, product_of
from headgate.cli.demo.pauses import Pause, pause_wrongs
from headgate.cli.demo.rehearsal import UNREAD_MAX_BYTES, behind_s, next_steps
from headgate.fleet.outcome import Interval
from headgate.fleet.population import Population
from headgate.upgrade.campaign import CampaignState, Hold
from headgate.upgrade.stages import Gate, Stage, StageCounts, Verdict, gate, sized
from headgate.upgrade.task import Kind, State


def population(devices: int = 400, faulty: float = 0.05) -> Population:
    """Half of it by PCP, as in the demo."""
    return Population(devices=devices, cells=8, seed=1, faulty=faulty, software=0.5)


def firmware_of(devices: int = 400, faulty: float = 0.05) -> list:
    """The firmware devices of one with a bad batch."""
    return [each for each in made(population(devices, faulty), 0.0) if each.profile.pcp is None]


def test_the_batch_is_in_one_stage_and_every_fault_in_the_last():
    """The first stages are healthy but for the batch: nobody holds them up for 24 h."""
    firmware = firmware_of()
    stages = sized(stages_of(firmware), len(firmware))
    assert [stage.devices for stage in stages] == [10, 50, 140]
    faults = [device.profile.fault for device in in_stages(firmware)]
    assert set(faults[:10]) == {""}
    assert set(faults[10:60]) == {"", BATCH}
    assert faults.count(BATCH) == faults[10:60].count(BATCH) == batch_of(200) == 12
    assert sorted(device.profile.endpoint for device in in_stages(firmware)) == sorted(
        device.profile.endpoint for device in firmware
    )


def test_the_order_tells_the_stage_of_each_device():
    """By its place in the list, as the server has it."""
    [order] = [
        each
        for each in orders_of(made(population(), 0.0), version="V2.0", size_bytes=100, seed=1)
        if each.kind is Kind.FIRMWARE and not each.conflicts
    ]
    numbers = [order.stage_of[endpoint] for endpoint in order.endpoints]
    assert numbers == [1] * 10 + [2] * 50 + [3] * 140
    assert {order.stage_of[each] for each in order.endpoints if "headgate-B-" in each} == {BATCH_STAGE}


def test_what_to_try_next_is_a_campaign_for_the_bad_batch():
    """Chosen by the label of its product, which no other device has."""
    devices = made(population(), 0.0)
    order = orders_of(devices, version="V2.0", size_bytes=100, seed=1)[0]
    placed = Placed(order=order, campaign_id="c0ffee", package="4ea021b62388bdd4")
    steps = next_steps(SimpleNamespace(devices=devices), [placed])
    [create] = [command for command in steps if "campaign create" in command]
    assert create == (
        f"headgate campaign create --package 4ea021b62388bdd4 --product {BATCH_PRODUCT} --dry-run"
    )
    bad = {each.profile.endpoint for each in devices if each.profile.fault == BATCH}
    assert {each.profile.endpoint for each in devices if product_of(each) == BATCH_PRODUCT} == bad
    assert {product_of(each) for each in devices} == {*PRODUCTS.values(), BATCH_PRODUCT}


@pytest.mark.parametrize(("devices", "faulty"), [(2, 0.0), (6, 0.0), (40, 1.0)])
def test_too_few_healthy_devices_make_no_batch(devices, faulty):
    """Then the campaign has one stage, as without."""
    firmware = firmware_of(devices, faulty)
    assert not [each for each in firmware if each.profile.fault == BATCH]
    assert stages_of(firmware) == []


@pytest.mark.parametrize("devices", [20, 60, 200, 1000, 15_000])
@pytest.mark.parametrize("order", ["bad first", "bad last", "shuffled"])
def test_it_pauses_once_whatever_comes_first(devices, order):
    """More than the threshold, fewer than the gate minds, and too few left to pause it again."""
    sizes = sizes_of(devices)
    stage: Stage = sized(sizes, devices)[BATCH_STAGE - 1]
    wanted = stage.gate
    assert isinstance(wanted, Gate)
    bad = batch_of(devices)
    assert bad
    ends = [True] * bad + [False] * (stage.devices - bad)
    if order == "bad last":
        ends.reverse()
    elif order == "shuffled":
        random.Random(devices).shuffle(ends)
    ended = failed = executed = errors = pauses = 0
    verdict = Verdict.GO_ON
    for is_bad in ends:
        ended, executed = ended + 1, executed + 1
        failed, errors = failed + is_bad, errors + is_bad
        counts = StageCounts(
            devices=stage.devices,
            begun=stage.devices,
            ended=ended,
            succeeded=ended - failed,
            failed=failed,
            executed=executed,
            errors=errors,
        )
        verdict = gate(counts, wanted)
        if verdict is Verdict.ERRORS:
            pauses += 1
            executed = errors = 0  # resumed at once, which is the hardest
    assert pauses == 1
    assert verdict in (Verdict.PASS, Verdict.ERRORS)  # by the last of all: resumed, the next stage begins


def test_a_pause_is_judged():
    """Once, in its stage, and nobody of a later one begins before it is over."""
    firmware = firmware_of()
    stages = dict.fromkeys((each.profile.endpoint for each in firmware), 2)
    late = firmware[0]
    stages[late.profile.endpoint] = 3
    late.log.upgrades.append(Interval(100.0, 120.0, "0"))

    def wrongs(*pauses: Pause) -> list[str]:
        return pause_wrongs(pauses, stages, firmware, "it")

    good = Pause(2, "8 of 30 failed", resumed_s=90.0)
    assert wrongs(good) == []
    assert wrongs() == ["it: had to pause itself once, and did so 0 times"]
    assert wrongs(good, good) == ["it: had to pause itself once, and did so 2 times"]
    assert wrongs(Pause(2, "", resumed_s=110.0)) == [
        f"{late.profile.endpoint}: is of stage 3, and began before it was resumed"
    ]
    assert "in stage 2, and did so in 3" in wrongs(Pause(3, "", resumed_s=90.0))[0]
    assert "7 devices of later stages had begun" in wrongs(Pause(2, "", begun_later=7, resumed_s=90.0))[0]
    assert pause_wrongs([good], stages, [late], "it") == ["it: paused itself in stage 2 (8 of 30 failed)"]


class Held:
    """A campaign that is paused until it is resumed, with its status; and who shows and resumes it."""

    def __init__(self, downloading: int = 1) -> None:
        self.states = {State.DOWNLOADING: downloading, State.SUCCESS: 5, State.WAIT_SLOT: 2, State.CREATED: 9}
        self.state, self.hold = CampaignState.PAUSED, Hold.ERRORS
        self.order = SimpleNamespace(endpoints=["a", "z"])
        self.said: list[str] = []
        self.resumed_by: list[str] = []

    async def status(self, server: object) -> SimpleNamespace:
        stages = [StageCounts(devices=7, begun=7), StageCounts(devices=8, begun=8), StageCounts(devices=9)]
        campaign = SimpleNamespace(
            id="c-1", name="firmware", state=self.state, hold=self.hold, stage=2, reason="8 of 30 failed"
        )
        return SimpleNamespace(campaign=campaign, counts=SimpleNamespace(states=self.states), stages=stages)

    async def resume_campaign(self, campaign_id: str, *, by: str) -> None:
        self.resumed_by.append(by)
        self.state, self.hold = CampaignState.RUNNING, None

    def says(self, sentence: str) -> None:
        self.said.append(sentence)

    def now(self) -> float:
        return 50.0


@pytest.fixture
def held(monkeypatch) -> Held:
    """One that is looked at whenever the operator is asked to."""
    monkeypatch.setattr(pauses, "LOOK_EVERY_S", 0.0)
    return Held()


def operator_of(held: Held, *, person: bool) -> Any:
    return pauses.Operator(held, held, held, held, person=person)


def test_the_operator_resumes_when_nobody_holds_a_slot(run, held):
    """And not before: whoever has one goes on to its end."""

    async def main() -> None:
        operator = operator_of(held, person=False)
        await operator.look()
        await operator.look()
        assert held.resumed_by == []
        assert len(held.said) == 1
        assert "paused itself in stage 2: 8 of 30 failed. 9 devices of later stages" in held.said[0]
        held.states[State.DOWNLOADING] = 0
        await operator.look()
        await operator.look()
        assert held.resumed_by == [pauses.OPERATOR]
        [pause] = operator.pauses
        assert (pause.stage, pause.begun_later, pause.resumed_s) == (2, 0, 50.0)

    run(main())


def test_a_person_is_left_the_time_to_resume(run, held, monkeypatch):
    """It is said how; and who does not is done without."""

    async def main() -> None:
        held.states[State.DOWNLOADING] = 0
        operator = operator_of(held, person=True)
        await operator.look()
        assert "`headgate campaign resume c-1`; else the demo does in 45 s" in held.said[1]
        assert "`headgate device explain z`" in held.said[1]
        assert held.resumed_by == []
        monkeypatch.setattr(pauses, "PERSON_S", 0.0)
        await operator.look()
        assert held.resumed_by == [pauses.OPERATOR]

    run(main())


def test_a_person_may_be_faster(run, held):
    """Then it went on at some time after it was last seen paused."""

    async def main() -> None:
        operator = operator_of(held, person=True)
        await operator.look()
        held.state, held.hold = CampaignState.RUNNING, None
        await operator.look()
        assert held.resumed_by == []
        assert "resumed by someone else" in held.said[-1]
        assert operator.pauses[0].resumed_s == 50.0

    run(main())


def test_what_an_operator_has_paused_is_left_to_him(run, held):
    """It did not pause itself."""

    async def main() -> None:
        held.hold, held.states = Hold.OPERATOR, {State.CREATED: 1}
        operator = operator_of(held, person=False)
        await operator.look()
        assert (operator.pauses, held.resumed_by, held.said) == ([], [], [])

    run(main())


@pytest.mark.parametrize(("unread", "wanted"), [(0, 0.75), (UNREAD_MAX_BYTES, 0.75), (1 << 20, math.inf)])
def test_time_waits_for_the_socket_the_store_and_the_devices(unread, wanted):
    """Whoever is furthest behind counts; nobody can say how long datagrams have waited."""
    server = SimpleNamespace(unread_bytes=unread, committing_s=0.75)
    assert behind_s(SimpleNamespace(behind_s=0.25), server) == wanted
