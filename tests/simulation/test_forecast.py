"""The forecast against the campaign itself: simulated devices over the whole control plane, one clock."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from headgate.fleet.population import Population
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.admission import Limits
from headgate.upgrade.airtime import Cargo
from headgate.upgrade.forecast import forecast
from headgate.upgrade.premises import Wish
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.sampling import Row
from headgate.upgrade.task import Kind, State
from headgate.web import known
from simulation.network import FAIR
from simulation.world import MADE_S, Scenario, World

SEED = int(os.environ.get("SEED") or random.SystemRandom().getrandbits(32))
DEVICES = 32
REPORT_S = 60.0
PACKAGE_BYTES = 6_000
LIMITS = Limits(class_0=2, class_1=2, class_2=1, unknown=2)
"""So that most have to wait."""
NEAR = 0.25
"""How far the forecast may be off: one campaign is one throw of dice."""


def test_a_campaign_ends_when_its_forecast_says(tmp_path, monkeypatch):
    """By the paces that its own event log tells: half of the devices, nine of ten, and the last one."""
    print(f"SEED={SEED}")
    population = Population(
        devices=DEVICES,
        cells=1,
        bands=(0.6, 0.4, 0.0),
        without_sinr=0.0,
        quirky=0.0,
        power_cuts=0.0,
        moving=0.0,
        styles=("liteos",),
        report_interval_s=REPORT_S,
        boot_within_s=REPORT_S,
    )
    world = World(
        Scenario(seed=SEED, population=population, limits=LIMITS, weather=FAIR, package_bytes=PACKAGE_BYTES),
        tmp_path,
    )
    world.run()
    try:
        assert world.house is not None
        database = world.house.database
        batch = Batch()
        batch.put(tables.packages, package_row(world))
        database.commit(batch)
        monkeypatch.setattr(known, "ENOUGH", 10)
        paces = known.paces(database, Kind.FIRMWARE)
        assert set(paces) == {RadioClass.CLASS_0, RadioClass.CLASS_1}
        rows = database.rows(tables.tasks, limit=DEVICES)
        assert {row["state"] for row in rows} == {State.SUCCESS.value}
        ends_s = sorted(row["ended_s"] - world.began_s - MADE_S for row in rows)
    finally:
        world.close()
    wish = Wish(
        cargo=Cargo(kind=Kind.FIRMWARE, size_bytes=PACKAGE_BYTES),
        begin_s=world.began_s,
        limits=LIMITS,
        paces=paces,
        loss=0.005,
        awake_s=population.awake_s,
    )
    said = forecast(wish, [Fleet(world)], seed=SEED)
    print(said, ends_s)
    assert said.exact
    assert said.lost == {}
    assert said.device_s.p50 == pytest.approx(ends_s[DEVICES // 2], rel=NEAR)
    assert said.device_s.p90 == pytest.approx(ends_s[DEVICES * 9 // 10], rel=NEAR)
    assert said.campaign_s.p50 == pytest.approx(ends_s[-1], rel=NEAR)


class Fleet:
    """The devices of a world."""

    def __init__(self, world):
        self._rows = [
            Row(
                str(device.profile.radio.cell_id),
                RadioClass(device.profile.radio.radio_class),
                sleeps=True,
                within_s=REPORT_S,
                interval_s=REPORT_S,
            )
            for device in world.devices
        ]
        self.counts = Counter((row.cell, row.radio_class) for row in self._rows)

    def rows(self, cells, *, every):
        """All of them are known."""
        return [row for row in self._rows if cells is not None and row.cell in cells][::every]


def package_row(world):
    """What the store of a whole server would have."""
    row = {"pid": world.package.etag.hex(), "sha256": "", "kind": "firmware", "version": "V2.0"}
    return row | {"size_bytes": world.scenario.package_bytes, "added_s": 0.0}
