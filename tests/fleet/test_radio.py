"""The link model, what devices report of their radio, and a device behind its link."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from headgate.fleet.attached import Attached
from headgate.fleet.device import Device
from headgate.fleet.outcome import peak
from headgate.fleet.profile import STYLES
from headgate.fleet.radio import DEEP, DOWN, GOOD, MEDIUM, NEAR, UP, Link, LinkSettings, conditions
from headgate.upgrade.radio import RadioReport, RadioRules, measured

SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("coverage", [GOOD, MEDIUM, DEEP])
def test_latency_and_loss_are_those_of_the_coverage(coverage, seed):
    """The median, the bound, and the share lost, of 4,000 datagrams sent apart."""
    link = Link(coverage, random.Random(seed))
    took = sorted(
        arrival - number * 100.0 for number in range(4000) for arrival in link.arrivals(UP, number * 100.0)
    )
    assert took[len(took) // 2] == pytest.approx(coverage.latency_s, rel=0.1), f"seed {seed}"
    assert took[-1] <= coverage.latency_max_s
    assert link.lost / link.sent == pytest.approx(coverage.loss, rel=0.5, abs=0.003), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_order_is_kept_unless_asked_otherwise(seed):
    """Each direction by itself."""
    for reorder in (0.0, 0.3):
        link = Link(DEEP, random.Random(seed), LinkSettings(loss=0.0, reorder=reorder))
        arrivals = [link.arrivals(DOWN, number * 0.1)[0] for number in range(500)]
        in_order = all(earlier <= later for earlier, later in pairwise(arrivals))
        assert in_order is (reorder == 0.0), f"seed {seed}"


@pytest.mark.parametrize("seed", SEEDS)
def test_copies_come_as_often_as_asked(seed):
    """Two arrivals of one datagram."""
    link = Link(GOOD, random.Random(seed), LinkSettings(loss=0.0, duplicate=0.25))
    copies = sum(len(link.arrivals(UP, 0.0)) - 1 for _ in range(4000))
    assert copies / 4000 == pytest.approx(0.25, abs=0.04), f"seed {seed}"


def test_the_same_seed_gives_the_same_air():
    """And another seed another."""
    once, again, other = (
        [Link(DEEP, random.Random(seed)).arrivals(UP, 0.0) for _ in range(1)] for seed in (1, 1, 2)
    )
    assert once == again != other


def test_latency_can_be_left_out():
    """For a demo in a hurry: loss stays."""
    link = Link(DEEP, random.Random(1), LinkSettings(latency=False))
    assert {arrival for _ in range(500) for arrival in link.arrivals(UP, 5.0)} == {5.0}
    assert link.lost > 0


@pytest.mark.parametrize("radio_class", ["0", "1", "2", "U"])
@pytest.mark.parametrize("quirks", [0.0, 1.0])
def test_a_server_finds_the_class_that_a_device_is_in(radio_class, quirks):
    """In tenths and without sign too."""
    for seed in range(200):
        found = conditions(random.Random(seed), radio_class, 0x0B2F60B1, quirks=quirks)
        read = measured(
            RadioReport(rsrp=found.rsrp, sinr=found.sinr, cell_id=found.cell_id, smcc=460, smnc=0),
            RadioRules(),
        )
        wanted = None if radio_class == "U" else radio_class
        assert read.radio_class == wanted, f"seed {seed}: {found}"
        assert found.radio_class == radio_class


def behind(link: LinkSettings | None = None, **changes: object) -> Attached:
    """A device behind a link."""
    profile = replace(STYLES["zephyr"], endpoint="a", **changes)
    return Attached(Device(profile, random.Random(1), 0.0), Link(profile.coverage, random.Random(2), link))


def test_what_a_device_sends_takes_its_time():
    """The Register leaves the air a latency after it was sent."""
    attached = behind(LinkSettings(loss=0.0), coverage=GOOD)
    assert not attached.run(0.0)
    due_s = attached.next_timer()
    assert due_s > 0.0
    (departure,) = attached.run(due_s)
    assert departure.generation == attached.device.port_generation == 1
    assert departure.datagram[:1] == b"D"


def test_without_latency_it_leaves_at_once():
    """NEAR is no radio at all."""
    assert len(behind(coverage=NEAR).run(0.0)) == 1


def test_what_comes_for_a_port_that_was_left_is_lost():
    """NAT does not know it any more."""
    attached = behind()
    attached.run(0.0)
    attached.arrive(bytes.fromhex("40001234"), 0.0, generation=0)
    assert not attached.run(0.0)
    assert attached.stale == 1
    attached.arrive(bytes.fromhex("40001234"), 0.0)
    assert [each.datagram.hex() for each in attached.run(0.0)] == ["70001234"]


def test_a_full_air_loses_what_comes_next():
    """Bounded, and counted."""
    attached = behind(coverage=DEEP)
    for _ in range(3000):
        attached.arrive(bytes(4), 0.0)
    assert attached.overflowed > 0


def test_intervals_that_touch_do_not_overlap():
    """A slot that is given back may be taken at once."""
    assert peak([(0.0, 1.0), (1.0, 2.0), (1.5, 1.7)]) == 2
    assert peak([]) == 0
