"""The same over datagrams: LwM2M server, Exchange and database are the real ones. Protocol 3.3, 5.3, 6.7."""

from __future__ import annotations

import random

import pytest

from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.store import tables
from headgate.upgrade.admission import Limits
from headgate.upgrade.failure import Failure
from orchestra import LINKS_1_1, TARGET
from orchestra_pcp import BODY
from orchestra_pcp import PLAN as SOFTWARE_PLAN
from wired import WiredHouse


@pytest.fixture
def wired(tmp_path):
    """An empty house with a network."""
    house = WiredHouse(tmp_path)
    yield house
    house.close()


@pytest.mark.parametrize("how", [{}, {"state": 2}, {"sinr": None}, {"links": LINKS_1_1}], ids=str)
def test_a_device_is_upgraded(wired, how):
    """From its Register to the end of the observation."""
    device = wired.device(**how)
    wired.run()
    wired.campaign("ep-1")
    wired.until_idle(600)
    assert wired.state() == "success"
    assert (device.executed, len(device.written), device.token) == (1, 1, None)
    assert wired.desk.sizes()["observations"] == 0
    assert wired.rows(tables.observations) == []
    wired.check_counters()


@pytest.mark.parametrize("result", [2, 8])
def test_a_download_that_fails(wired, result):
    """Observation and tokens are gone, the grant stays its day."""
    device = wired.device(fails_by=result)
    wired.run()
    wired.campaign("ep-1")
    wired.until_idle(600)
    assert wired.task()["detail_code"] == str(result)
    assert device.token is None
    assert wired.desk.sizes()["observations"] == 0
    assert [row["effect"] for row in wired.rows(tables.effects)] == ["WithdrawDownload"]


def test_a_refused_uri(wired):
    """4.15 as text and as TLV: both were tried."""
    wired.device(refuses={(5, 0, 1): "4.15"})
    wired.run()
    wired.campaign("ep-1")
    wired.until_idle(600)
    assert (wired.task()["failure"], wired.task()["marks"]) == (
        Failure.UPDATE_FAILED.value,
        "granted observed tlv",
    )


@pytest.mark.parametrize("seed", range(4))
def test_many_over_a_lossy_network_killed_at_random(tmp_path, seed):
    """Each ends as it would have: nobody executes twice, no slot is over its limit, no token is left."""
    chance = random.Random(seed)
    house = WiredHouse(tmp_path, seed=seed, loss=0.05, limits=Limits(class_0=3))
    for number in range(8):
        house.device(f"ep-{number}", cell_id=chance.choice([7, 8]), fails_by=chance.choice([None] * 5 + [2]))
    while len(house.desk) < 8:
        if not house.step():
            house.now += 1.0
    house.campaign()
    house.step()
    house.commit()
    kills = 0
    start_s = house.now
    while house.orchestrator.roster.running:
        assert house.now - start_s < 6 * 3600, f"seed {seed}"
        if kills < 8 and chance.random() < 0.02:
            kills += 1
            house.kill()
        for each in house.orchestrator.occupancy():
            assert each.held <= each.limit, f"seed {seed}"
        if not house.step():
            house.now += 1.0
    house.commit()
    for device in house.devices.values():
        told = [
            (row["at_s"] - start_s, row["what"], row["detail"])
            for row in house.rows(tables.events, endpoint=device.endpoint)
        ]
        assert device.executed == (device.fails_by is None), f"seed {seed}: {told}"
    counters = house.check_counters()
    assert counters.get("state success", 0) + counters.get("state failed", 0) == 8
    assert {row["failure"] for row in house.rows(tables.tasks)} <= {None, Failure.STORAGE.value}, (
        f"seed {seed}"
    )
    house.close()


@pytest.mark.parametrize("generation", Generation)
def test_a_device_is_upgraded_by_pcp(wired, generation):
    """The same by notifications of 19/0/0 and writes to 19/1/0."""
    device = wired.software_device(pcp=PcpProfile(generation=generation))
    wired.run()
    wired.campaign("ep-1", plan=SOFTWARE_PLAN)
    wired.until_idle(600)
    assert wired.state() == "success"
    assert (device.client.version, device.client.image) == (TARGET, BODY)
    assert wired.desk.sizes()["observations"] == len(wired.rows(tables.observations)) == 3
    wired.check_counters()


@pytest.mark.parametrize("seed", range(4))
def test_many_by_pcp_over_a_lossy_network_killed_at_random(tmp_path, seed):
    """Each has the old image or the new one, and its task says which."""
    chance = random.Random(seed)
    house = WiredHouse(tmp_path, seed=seed, loss=0.05, limits=Limits(class_0=3))
    for number in range(8):
        generation = chance.choice(list(Generation))
        pcp = PcpProfile(generation=generation, repeat_s=4.0, copies=chance.choice([1, 1, 5]))
        house.software_device(f"ep-{number}", cell_id=chance.choice([7, 8]), pcp=pcp)
    while len(house.desk) < 8:
        if not house.step():
            house.now += 1.0
    house.campaign(plan=SOFTWARE_PLAN)
    house.step()
    house.commit()
    kills = 0
    start_s = house.now
    while house.orchestrator.roster.running:
        assert house.now - start_s < 6 * 3600, f"seed {seed}"
        if kills < 8 and chance.random() < 0.02:
            kills += 1
            house.kill()
        for each in house.orchestrator.occupancy():
            assert each.held <= each.limit, f"seed {seed}"
        if not house.step():
            house.now += 1.0
    house.commit()
    states = {row["endpoint"]: row["state"] for row in house.rows(tables.tasks)}
    for endpoint, device in house.devices.items():
        log = [(row["at_s"] - start_s, row["what"]) for row in house.rows(tables.events, endpoint=endpoint)]
        assert device.client.image in (None, BODY), f"seed {seed}: {log}"
        if states[endpoint] == "success":
            assert device.client.image == BODY, f"seed {seed}: {log}"
    counters = house.check_counters()
    assert counters.get("state success", 0) >= 7, f"seed {seed}: {counters}"
    house.close()
