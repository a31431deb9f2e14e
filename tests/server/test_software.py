"""Software campaigns end to end: PCP over object 19, segments from the edge. Protocol 3.2."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from headgate.fleet.device import Device
from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.fleet.profile import LITEOS, Profile
from headgate.fleet.runner import Fleet
from headgate.upgrade.task import Kind, State

BODY = bytes(random.Random(1).randbytes(10_300))  # 21 segments of 500 bytes
SPEED = 20.0


def profile(endpoint: str, generation: Generation, **changes) -> Profile:
    """A device of that generation, at V1.0."""
    pcp = PcpProfile(generation=generation, **changes.pop("pcp", {}))
    return replace(LITEOS, endpoint=endpoint, queue_mode=False, pcp=pcp, **changes)


def fleet_of(server, *profiles, speed=SPEED, **how) -> Fleet:
    """These devices on the loopback, which loses nothing."""
    devices = [Device(each, random.Random(number), 0.0) for number, each in enumerate(profiles)]
    return Fleet(devices, server=("127.0.0.1", server.port), speed=speed, **how)


@pytest.mark.parametrize("generation", Generation)
def test_a_device_is_upgraded(run, server_of, generation):
    """From its Register to the answer of 24; its image is the package."""

    async def main() -> None:
        async with server_of() as server:
            package = await server.add_package(BODY, version="V2.0", kind=Kind.SOFTWARE)
            async with fleet_of(server, profile("d", generation)) as fleet:
                campaign = await server.create_campaign(name="c", package=package.pid, endpoints=["d"])
                ended = await asyncio.wait_for(server.ended(campaign.id), 60)
                assert ended.counts.states == {State.SUCCESS: 1}, await server.tasks(campaign.id)
                client = fleet.devices[0].container.client
                assert (client.version, client.image) == ("V2.0", BODY)
                print(server.stats)

    run(main())
