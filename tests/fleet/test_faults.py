"""Each fault ends in exactly its published cause, whatever style the device has."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from headgate.fleet.device import Device
from headgate.fleet.download import make_package
from headgate.fleet.faults import FAULTS, faulty
from headgate.fleet.profile import QUIRKS, STYLES, Profile, Resume, with_quirk
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import State
from negotiator import Negotiator

PACKAGE = make_package("V2.0", 4000, seed=2)
BY_OPERATOR = "asked twice"


def device_of(profile: Profile) -> Device:
    """The device, named and seeded."""
    return Device(replace(profile, endpoint="urn:dev:1"), random.Random(4), now=0.0)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leads_to_its_cause(fault, style):
    """The published text, letter by letter."""
    negotiator = Negotiator(device_of(faulty(STYLES[style], fault)), PACKAGE)
    task = negotiator.run()
    if fault == BY_OPERATOR:
        assert task.state is State.SUCCESS  # the second campaign fails, which is not the device's doing
        return
    assert task.failure is not None, f"ended as {task.state}"
    assert str(task.failure) == FAULTS[fault], f"{task.detail}"
    assert negotiator.device.log.executes_after_confirmed == 0


def test_every_published_cause_has_a_fault():
    """Ten causes of the platform, seven of the device, and nothing that is not published."""
    assert set(FAULTS.values()) == {str(failure) for failure in Failure}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_quirk_hinders_no_upgrade(quirk, style):
    """A careful server upgrades devices with each oddity."""
    negotiator = Negotiator(device_of(with_quirk(STYLES[style], quirk)), PACKAGE)
    task = negotiator.run()
    assert task.state is State.SUCCESS, f"{task.failure}: {task.detail}"
    assert negotiator.device.version == "V2.0"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("resume", [Resume.OFFSET, Resume.ZERO])
def test_power_cuts_hinder_no_upgrade(style, resume):
    """The device is back before T_download ends, and goes on where it says."""
    profile = replace(STYLES[style], power_cuts=(2, 5), resume=resume)
    negotiator = Negotiator(device_of(profile), PACKAGE)
    assert negotiator.run().state is State.SUCCESS
    assert negotiator.device.log.power_cuts == 2


def test_a_device_that_forgets_its_download_never_ends_it():
    """State 0 and Result 0 are no result: T_download decides."""
    profile = replace(STYLES["zephyr"], power_cuts=(2,), resume=Resume.FORGET)
    assert Negotiator(device_of(profile), PACKAGE).run().failure is Failure.DOWNLOADED_TIMEOUT
