"""The forecast: the admission itself in virtual time. What it must come to is reckoned here by hand."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from headgate.upgrade import rehearsal
from headgate.upgrade.admission import Limits, Occupancy, Scope
from headgate.upgrade.airtime import Cargo, Pace, bytes_of
from headgate.upgrade.forecast import BUDGET, forecast
from headgate.upgrade.premises import Loss, Wish
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.sampling import Row
from headgate.upgrade.task import Kind, Timers
from headgate.upgrade.windows import Window, Windows

NOON_S = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
HOUR_S, DAY_S = 3600.0, 86_400.0
C0, C1, C2, U = RadioClass
HELD_S = 200.0
"""100 s for the package, and as long beside it."""
WISH = Wish(
    cargo=Cargo(kind=Kind.FIRMWARE, size_bytes=51_200),
    begin_s=NOON_S,
    paces=dict.fromkeys(RadioClass, Pace(goodput_bytes_s=512.0, rest_s=100.0, tasks=20)),
    loss=0.0,
)


class Listed:
    """A stage of these devices."""

    def __init__(self, rows):
        self._rows = rows
        self.counts = Counter(None if row.cell is None else (row.cell, row.radio_class) for row in rows)

    def rows(self, cells, *, every):
        """As the store would."""
        if cells is None:
            return [row for row in self._rows if row.cell is None][::every]
        return [row for row in self._rows if row.cell in cells][::every]


def devices(count, cell="A", radio_class=C0, *, sleeps=False, within_s=0.0, interval_s=DAY_S):
    """So many that are alike."""
    return [Row(cell, radio_class, sleeps, within_s, interval_s)] * count


def mixed(count, cells, *, unknown=0.0, seed=7):
    """Of all classes, in cells of different sizes."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        (radio_class,) = rng.choices(list(RadioClass), [60, 25, 10, 5])
        row = Row(f"{int(cells * rng.random() ** 1.5):X}", radio_class, False, 0.0, DAY_S)
        rows.append(row._replace(cell=None, radio_class=None) if rng.random() < unknown else row)
    return rows


def told(*stages, wish=WISH, budget=4_000, **how):
    """The forecast of these stages."""
    return forecast(wish, [Listed(rows) for rows in stages], budget=budget, **how)


# -- the limits, the stages and the windows of the campaign --


@pytest.mark.parametrize("radio_class", [C0, C1, U])
def test_a_full_cell_takes_one_set_of_slots_after_the_other(radio_class):
    """2,000 devices in 50 slots of 200 s each take 8,000 s; 400 in 10 do as well."""
    limit = Limits().of(radio_class)
    said = told(devices(40 * limit, radio_class=radio_class))
    assert said.campaign_s.p50 == pytest.approx(40 * HELD_S, rel=0.05)
    assert said.device_s.p50 == pytest.approx(20 * HELD_S, rel=0.05)
    assert said.lost == {}


def test_half_the_limit_takes_twice_the_time():
    """It is the admission that decides."""
    wide = told(devices(1000))
    narrow = told(devices(1000), wish=replace(WISH, limits=Limits(class_0=25)))
    assert narrow.campaign_s.p50 == pytest.approx(2 * wide.campaign_s.p50, rel=0.07)


def test_classes_of_a_cell_wait_for_each_other_where_they_share_it():
    """Scope CELL: 500 of class 0 take ten sets of slots, and 10 of class 2 the whole cell ten times."""
    rows = devices(500) + devices(10, radio_class=C2)
    apart = told(rows)
    shared = told(rows, wish=replace(WISH, limits=Limits(scope=Scope.CELL)))
    assert apart.campaign_s.p50 == pytest.approx(10 * HELD_S, rel=0.2)
    assert shared.campaign_s.p50 > 1.8 * apart.campaign_s.p50


def test_a_stage_begins_when_the_one_before_is_through():
    """Two stages take as long as both of them."""
    said = told(devices(500), devices(1000))
    assert said.stages_s[0] == pytest.approx(
        10 * HELD_S, rel=0.2
    )  # and the last ones hold their slots longer
    assert said.stages_s[1] == pytest.approx(said.campaign_s.p50, rel=0.1)
    assert said.stages_s[1] - said.stages_s[0] == pytest.approx(20 * HELD_S, rel=0.15)


def test_nothing_begins_outside_its_windows():
    """Noon, and the window opens at ten in the evening; who is in line when it closes waits for the next."""
    night = Windows(each=(Window(begin="22:00", end="23:00"),))
    said = told(devices(1200), wish=replace(WISH, windows=night))  # 24 sets of slots, 18 in each hour
    assert said.device_s.p10 > 10 * HOUR_S
    assert 34 * HOUR_S < said.campaign_s.p50 < 36 * HOUR_S
    assert said.lost == {}


def test_who_holds_slots_already_is_waited_for():
    """Fifty hold them all, and a hundred stand in line before."""
    other = Occupancy(cell=Cell(0xA), radio_class=C0, held=50, limit=50, waiting=100)
    elsewhere = replace(other, cell=Cell(0xB))
    alone = told(devices(50))
    behind = told(devices(50), wish=replace(WISH, others=(other, elsewhere)))
    assert alone.device_s.p50 < 1.3 * HELD_S
    assert behind.device_s.p50 == pytest.approx(alone.device_s.p50 + 2.5 * HELD_S, rel=0.15)


# -- devices --


def test_a_sleeper_is_asked_when_it_reports():
    """Within a day, some time."""
    said = told(devices(20, sleeps=True, within_s=DAY_S))
    assert said.device_s.p50 == pytest.approx(DAY_S / 2, rel=0.3)
    assert said.campaign_s.max < DAY_S + 2 * HELD_S


def test_who_does_not_report_in_time_is_lost():
    """T_online is a day: of those that report once in two, half are."""
    said = told(devices(400, sleeps=True, within_s=2 * DAY_S, interval_s=2 * DAY_S))
    assert said.lost[Loss.ONLINE] == pytest.approx(200, rel=0.2)
    assert said.bytes.payload == pytest.approx((400 - said.lost[Loss.ONLINE]) * 51_200, rel=0.01)


def test_who_waits_too_long_for_a_slot_is_lost():
    """One slot of 200 s: 432 in a day, and that is T_online."""
    said = told(devices(600, radio_class=C2))
    assert said.lost[Loss.SLOT] == pytest.approx(600 - DAY_S / HELD_S, rel=0.1)


def test_a_sleeper_that_others_wait_for_loses_its_turn():
    """Each of them reports in the same hour, once: whom its turn does not find awake loses it."""
    said = told(devices(40, radio_class=C2, sleeps=True, within_s=HOUR_S))
    awake = told(devices(40, radio_class=C2, within_s=HOUR_S))
    assert said.campaign_s.p50 > DAY_S > 4 * awake.campaign_s.p50


def test_a_download_that_takes_too_long_is_lost():
    """A megabyte at the pace of the deepest coverage."""
    slow = replace(WISH, cargo=Cargo(kind=Kind.FIRMWARE, size_bytes=1 << 20), paces={})
    said = told(devices(1, radio_class=C2), wish=slow)
    assert (said.lost, said.classes[0].measured) == ({Loss.DOWNLOAD: 1}, 0)
    assert said.campaign_s.max == pytest.approx(slow.timers.download_s, rel=0.05)


def test_failures_free_their_slots_early():
    """At a rate that was given."""
    said = told(devices(1000), wish=replace(WISH, failures=0.5))
    assert said.lost[Loss.FAILED] == pytest.approx(500, rel=0.1)
    assert said.campaign_s.p50 == pytest.approx(0.75 * 20 * HELD_S, rel=0.1)


# -- what is not known --


def test_unknown_devices_are_in_the_cells_of_the_others():
    """Nine of ten known ones fill one cell: so do the others."""
    known, unknown = devices(400), devices(400, None, None)
    said = told(known + unknown)
    assert said.devices_unknown_cell == 400
    assert said.campaign_s.p50 == pytest.approx(told(devices(800)).campaign_s.p50, rel=0.05)
    assert [(each.cell, each.devices) for each in said.slowest_cells] == [("A", 800)]
    assert any("in the cells of the others" in each for each in said.assumptions)


def test_where_hardly_any_is_known_the_others_wait_for_nobody():
    """And it is said."""
    said = told(devices(5) + devices(400, None, None))
    assert said.campaign_s.max < 5 * HELD_S
    assert any("wait for nobody" in each for each in said.assumptions)
    assert [each.cell for each in said.slowest_cells] == ["A"]


def test_a_large_fleet_is_told_by_some_of_its_devices():
    """Within a tenth of what playing all of them tells; the slowest cell is among those that are played."""
    rows = mixed(4_000, 40, unknown=0.1)
    stages = rows[:300], rows[300:]
    exact, some = told(*stages), told(*stages, budget=3_000)
    assert exact.exact
    assert not some.exact
    assert some.played < 1_500
    assert some.devices == exact.devices
    assert some.campaign_s.p50 == pytest.approx(exact.campaign_s.p50, rel=0.1)
    assert some.device_s.p50 == pytest.approx(exact.device_s.p50, rel=0.1)
    assert some.device_s.p90 == pytest.approx(exact.device_s.p90, rel=0.15)
    assert {each.cell for each in exact.slowest_cells[:1]} <= {each.cell for each in some.slowest_cells}
    assert some.classes[0].devices == pytest.approx(exact.classes[0].devices, rel=0.1)


def test_a_cell_that_is_too_large_is_thinned():
    """One device holds its slot for as long as those would that it stands for."""
    rows = devices(20_000)
    some = told(rows, budget=9_000, wish=replace(WISH, timers=Timers(online_s=10 * DAY_S)))
    assert some.played < 1_000
    assert some.campaign_s.p50 == pytest.approx(20_000 / 50 * HELD_S, rel=0.1)
    assert some.device_s.p50 == pytest.approx(20_000 / 50 * HELD_S / 2, rel=0.1)


def test_so_much_may_happen_that_fewer_are_played(monkeypatch):
    """Each report of a sleeper and each turn that it misses is something that happens."""
    rows = mixed(3_000, 60)
    exact = told(rows)
    monkeypatch.setattr("headgate.upgrade.forecast.EVENTS_MAX", 4_000)
    some = told(rows)
    assert (exact.exact, some.exact) == (True, False)
    assert some.device_s.p50 == pytest.approx(exact.device_s.p50, rel=0.15)


def test_a_campaign_of_more_than_a_year_is_cut(monkeypatch):
    """Nobody wants to know more."""
    monkeypatch.setattr(rehearsal, "HORIZON_S", DAY_S)
    said = told(devices(600, radio_class=C2), wish=replace(WISH, timers=Timers(online_s=9 * DAY_S)))
    assert said.lost[Loss.LATE] == pytest.approx(600 - DAY_S / HELD_S, rel=0.1)


# -- the rest --


def test_the_same_seed_tells_the_same():
    """And another one tells it a little differently."""
    rows = mixed(400, 5, unknown=0.2)
    assert told(rows, seed=1) == told(rows, seed=1)
    assert told(rows, seed=1) != told(rows, seed=2)


def test_a_small_fleet_is_played_again_and_again():
    """So that there is a distribution of the end."""
    said = told(mixed(300, 5))
    assert said.runs == 10
    assert said.campaign_s.p10 < said.campaign_s.p90 <= said.campaign_s.max
    assert said.device_s.p10 < said.device_s.p50 < said.device_s.p90 < said.device_s.p99 < said.device_s.max
    assert sum(each.devices for each in said.classes) == 300


def test_the_air_carries_more_than_the_package():
    """Per block 52 bytes of answer and 65 of request; a loss of 10 % each way repeats a fifth of requests."""
    cargo = Cargo(kind=Kind.FIRMWARE, size_bytes=10 * 512)
    still = bytes_of(cargo, 0.0)
    assert (still.payload, still.headers, still.retransmissions) == (5120, 10 * (52 + 65), 0.0)
    lossy = bytes_of(cargo, 0.1)
    up, down = 10 * 65 + 720, 10 * (52 + 512) + 720
    assert lossy.retransmissions == pytest.approx(up * (1 / 0.81 - 1) + down * (1 / 0.9 - 1))
    assert bytes_of(replace(cargo, kind=Kind.SOFTWARE, segment_size_bytes=500), 0.0).headers > still.headers


def test_a_campaign_of_nobody_is_over():
    """A filter may pass nobody."""
    said = told([])
    assert (said.devices, said.campaign_s.max, said.bytes.total, said.classes) == (0, 0.0, 0.0, [])


def test_no_forecast_of_many_devices_plays_more_than_its_budget():
    """A million by their counts alone: only those that are chosen are looked at."""

    class Counted(Listed):
        """Whose devices are made when they are asked for."""

        def __init__(self):
            self.counts = {(f"{cell:X}", each): 25 for cell in range(10_000) for each in RadioClass}
            self.asked = 0

        def rows(self, cells, *, every):
            rows = [Row(cell, each, False, 0.0, DAY_S) for cell in cells for each in RadioClass] * 25
            self.asked += len(rows[::every])
            return rows[::every]

    fleet = Counted()
    said = forecast(replace(WISH, timers=Timers(online_s=9 * DAY_S)), [fleet], budget=3_000)
    assert (said.devices, said.exact) == (1_000_000, False)
    assert fleet.asked < BUDGET
    assert said.campaign_s.p50 == pytest.approx(25 * HELD_S, rel=0.2)
    assert math.isclose(sum(each.devices for each in said.classes), 1_000_000, rel_tol=0.01)
