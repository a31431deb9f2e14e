"""A simulated device through a whole upgrade, message by message: LwM2M 1.1 core, E.6."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import sha256

import pytest

from counterpart import GET, Counterpart, upgraded
from headgate.fleet.device import Device
from headgate.fleet.download import make_package
from headgate.fleet.profile import STYLES

PACKAGE = make_package("V2.0", 3000, seed=7)


@pytest.mark.parametrize("style", STYLES)
def test_each_style_goes_through_an_upgrade(style):
    """Register, version, radio, observe, URI, download, Execute, reboot, result: steps 3 to 14."""
    device = Device(replace(STYLES[style], endpoint="urn:dev:1"), random.Random(1), now=0.0)
    server = Counterpart(device, PACKAGE)
    server.until(lambda: device.log.registrations == 1)
    assert server.ask(GET, "3/0/3", accept=0).payload == b"V1.0"
    assert server.ask(GET, "4/0", accept=device.profile.formats[0]).code == 0x45
    assert upgraded(server) == b"1"
    assert server.ask(GET, "3/0/3", accept=0).payload == b"V2.0"
    assert device.log.digest == sha256(PACKAGE).hexdigest()
    assert (device.log.blocks, device.log.starts_at_zero, device.log.forced_restarts) == (6, 1, 0)
    assert (device.log.executes, device.log.executes_after_confirmed) == (1, 0)
    assert len(device.log.upgrades) == 1
