"""A mixed fleet: its shares are exact, and a seed gives the same fleet again."""

from __future__ import annotations

from collections import Counter

from headgate.fleet.faults import FAULTS
from headgate.fleet.pcp_client import Generation
from headgate.fleet.pcp_faults import PCP_FAULTS
from headgate.fleet.population import Population
from headgate.fleet.profile import STYLES, Moves


def test_shares_are_exact():
    """Bands 60/30/10 %, 5 % without SINR of those, 20 % moving, 5 % faulty, all styles alike."""
    profiles = Population(devices=2000, cells=40, seed=3, faulty=0.05).profiles()
    classes = Counter(each.coverage.latency_s for each in profiles)
    assert len(classes) == 3
    assert sum(each.radio.radio_class == "U" or each.radio.radio_class == "" for each in profiles) >= 100
    assert sum(bool(each.fault) for each in profiles) == 100
    assert sum(each.power_cuts != () for each in profiles) == 100
    assert set(Counter(each.style for each in profiles).values()) == {500}
    assert len({each.radio.cell_id for each in profiles} - {None}) == 40
    assert len({each.endpoint for each in profiles}) == 2000
    moving = sum(each.moves is not Moves.REBOOT for each in profiles)
    assert 400 <= moving <= 450  # a quirk of its own makes some more move


def test_each_fault_has_its_turn():
    """Before any has its second."""
    found = Counter(each.fault for each in Population(devices=200, faulty=0.2).profiles() if each.fault)
    assert set(found) == set(FAULTS)
    assert max(found.values()) - min(found.values()) <= 1


def test_faults_can_be_chosen():
    """Only those named."""
    found = {each.fault for each in Population(devices=50, faulty=0.5, faults=("stalls",)).profiles()}
    assert found == {"", "stalls"}


def test_a_seed_gives_the_same_fleet():
    """And another seed another."""
    first, again, other = (Population(devices=60, seed=seed, faulty=0.3).profiles() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_devices_are_switched_on_over_time():
    """None of them before `now`."""
    due = [device.next_timer() for device in Population(devices=50, boot_within_s=30.0).make(now=1000.0)]
    assert 1000.0 <= min(due) < max(due) <= 1030.0


def test_a_style_can_be_chosen():
    """One, or some."""
    assert {each.style for each in Population(devices=20, styles=("anjay",)).profiles()} == {"anjay"}
    assert {each.style for each in Population(devices=20).profiles()} == set(STYLES)


def test_software_devices_are_a_share_of_their_own():
    """Half of each generation; each kind has its faults, in the same share."""
    mixed = Population(devices=200, faulty=0.1, seed=3, software=0.4).profiles()
    software = [each for each in mixed if each.pcp is not None]
    generations = [each.pcp.generation for each in software]
    assert all(39 <= generations.count(each) <= 41 for each in Generation)  # a fault may belong to one
    assert {each.fault for each in software} <= {"", *PCP_FAULTS}
    assert sum(each.fault != "" for each in software) == 8
    assert sum(each.fault != "" for each in mixed if each.pcp is None) == 12
