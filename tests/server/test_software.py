"""Software campaigns end to end: PCP over object 19, segments from the edge. Protocol 1.9, 1.10, 3.2, 3.6."""

from __future__ import annotations

import asyncio
import json
import os
import random
import zipfile
from dataclasses import replace

import pytest

from headgate.errors import PackageConflictError, PackageError
from headgate.fleet.device import Device
from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.fleet.pcp_faults import PCP_FAULTS, faulty_pcp
from headgate.fleet.profile import LITEOS, Profile
from headgate.fleet.runner import Fleet
from headgate.server import Server
from headgate.upgrade.campaign import Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import Kind, State, Timers
from peer import eventually, lasting_port

BODY = random.Random(1).randbytes(10_300)  # 21 segments of 500 bytes
SEGMENTS = 21
SPEED = 20.0
WAIT_S = 50.0
BURST = int(os.environ.get("BURST") or 40)  # devices that send every request five times
COPIES = 5
# Of the server's clock, which does not get faster with the devices.
SHORT = Timers(
    online_s=8.0,
    version_s=3.0,
    radio_s=4.0,
    download_start_s=3.0,
    download_s=6.0,
    update_start_s=3.0,
    update_s=5.0,
    check_s=3.0,
    resend_s=0.5,
)

generations = pytest.mark.parametrize("generation", Generation)


def profile(endpoint: str, generation: Generation = Generation.NEWER, pcp=None, **changes) -> Profile:
    """A device of that generation, at V1.0."""
    how = PcpProfile(generation=generation, **(pcp or {}))
    return replace(LITEOS, endpoint=endpoint, queue_mode=False, pcp=how, **changes)


def fleet_of(server: Server, *profiles: Profile, speed: float = SPEED) -> Fleet:
    """These devices on the loopback, which loses nothing."""
    devices = [Device(each, random.Random(number), 0.0) for number, each in enumerate(profiles)]
    return Fleet(devices, server=("127.0.0.1", server.port), speed=speed)


async def campaign_of(server: Server, fleet: Fleet, body: bytes = BODY, wait_s: float = WAIT_S, **how):
    """How a campaign for the whole fleet has ended."""
    package = await server.add_package(body, version="V2.0", kind=Kind.SOFTWARE)
    endpoints = [device.profile.endpoint for device in fleet.devices]
    campaign = await server.create_campaign(name="c", package=package.pid, endpoints=endpoints, **how)
    ended = await asyncio.wait_for(server.ended(campaign.id), wait_s)
    return ended.counts, await server.tasks(campaign.id, limit=1000)


def client_of(device: Device):
    """What PCP is to it."""
    return device.container.client


@generations
def test_a_device_is_upgraded(run, server_of, generation):
    """From its Register to the answer of 24. Segments never enter Python: 19, 20, 22, 23 and 24 do."""

    async def main() -> None:
        async with server_of() as server, fleet_of(server, profile("d", generation)) as fleet:
            counts, tasks = await campaign_of(server, fleet)
            assert counts.states == {State.SUCCESS: 1}, tasks
            client = client_of(fleet.devices[0])
            assert (client.version, client.image) == ("V2.0", BODY)
            assert client.requests == list(range(SEGMENTS))
            assert server.stats.edge.answered["segment"] == SEGMENTS
            newer = generation is Generation.NEWER
            assert server.stats.orchestrator["pcp_messages"] == (5 if newer else 4)

    run(main())


def test_a_mixed_fleet_that_asks_five_times_in_a_burst(server_of):
    """1.10, trap 35: copies draw one answer while that is under way. All images are the package.

    A device that was not answered soon enough sends another burst, and may be answered again. BURST=1000
    tries with so many devices.
    """

    async def main() -> None:
        async with server_of(coap={"receive_buffer_bytes": 64 << 20}, limits={"class_0": BURST}) as server:
            devices = [
                profile(f"d{number}", list(Generation)[number % 2], pcp={"copies": COPIES})
                for number in range(BURST)
            ]
            # The clock of many is as slow as their datagrams take.
            async with fleet_of(server, *devices, speed=min(SPEED, 800.0 / BURST)) as fleet:
                timers = Timers(resend_s=SHORT.resend_s)
                counts, tasks = await campaign_of(server, fleet, timers=timers, wait_s=max(WAIT_S, BURST / 5))
                assert counts.states == {State.SUCCESS: BURST}, tasks[:3]
                assert {client_of(device).image for device in fleet.devices} == {BODY}
                bursts = sum(len(client_of(device).requests) for device in fleet.devices) / COPIES
                answered = server.stats.edge.answered
                assert answered["segment copy"] > 3 * bursts
                assert BURST * SEGMENTS <= answered["segment"] < 1.25 * bursts
                print(f"{answered['segment']} answers, {answered['segment copy']} copies drew none")

    asyncio.run(main())


@generations
@pytest.mark.parametrize("after", [1, 11, 20])
def test_a_power_cut_at_any_segment(run, server_of, generation, after):
    """The newer generation goes on where it was, the older begins again at 0 (1.10)."""

    async def main() -> None:
        device = profile("d", generation, power_cuts=(after,))
        async with server_of() as server, fleet_of(server, device) as fleet:
            counts, tasks = await campaign_of(server, fleet)
            assert counts.states == {State.SUCCESS: 1}, tasks
            client = client_of(fleet.devices[0])
            assert client.image == BODY
            assert client.requests[: after + 1] == list(range(after + 1))  # the last one was never sent
            again = client.requests[after + 1 :]
            assert again[0] == (0 if generation is Generation.OLDER else after)
            assert sorted(set(again)) == list(range(again[0], SEGMENTS))

    run(main())


def test_a_device_that_finds_no_room_at_the_edge_is_served_all_the_same(run, server_of):
    """More devices than grants: the orchestrator answers, from the bytes of the package."""

    async def main() -> None:
        devices = [profile(f"d{number}") for number in range(3)]
        async with server_of(coap={"grants_max": 1}) as server, fleet_of(server, *devices) as fleet:
            counts, tasks = await campaign_of(server, fleet)
            assert counts.states == {State.SUCCESS: 3}, tasks
            assert {client_of(device).image for device in fleet.devices} == {BODY}
            assert server.stats.edge.answered["segment"] < 3 * SEGMENTS

    run(main())


def test_downloads_go_on_after_a_restart(run, server_of):
    """The device names the segment it wants; token, package and segment size are found again (2.2)."""
    body = random.Random(2).randbytes(500 * 5_000)

    async def main() -> None:
        coap = {"port": lasting_port()}
        async with server_of(coap=coap) as server:
            package = await server.add_package(body, version="V2.0", kind=Kind.SOFTWARE)
            fleet = fleet_of(server, profile("d"))
            fleet.start()
            campaign = await server.create_campaign(name="c", package=package.pid, endpoints=["d"])
            await eventually(lambda: server.stats.edge.answered["segment"] > 100)
        client = client_of(fleet.devices[0])
        asked = len(client.requests)
        assert asked < 5_000
        async with server_of(coap=coap) as server:
            ended = await asyncio.wait_for(server.ended(campaign.id), WAIT_S)
            assert ended.counts.states == {State.SUCCESS: 1}
            assert client.image == body
            assert server.stats.edge.answered["segment"] >= 5_000 - asked
            assert server.stats.orchestrator["pcp_messages"] < 10
        fleet.close()

    run(main())


def test_each_fault_ends_by_its_published_cause(run, server_of):
    """3.6: every fault of the fleet, in one campaign."""

    async def main() -> None:
        devices = [
            faulty_pcp(profile(f"d{number:02}", list(Generation)[number % 2]), name)
            for number, name in enumerate(PCP_FAULTS)
        ]
        async with server_of(limits={"class_0": 1000}) as server, fleet_of(server, *devices) as fleet:
            _, tasks = await campaign_of(server, fleet, timers=SHORT)
            ended = {
                device.profile.fault: task.failure for device, task in zip(fleet.devices, tasks, strict=True)
            }
            assert {name: failure and failure.value for name, failure in ended.items()} == PCP_FAULTS

    run(main())


def test_a_device_is_tried_again(run, server_of):
    """Between 20 and its reboot a device names the target version: no later attempt believes it (trap 33)."""

    async def main() -> None:
        retry = RetryPolicy(by_failure={Failure.DOWNLOADED_TIMEOUT: Retry(count=1)})
        device = profile("d", pcp={"stalls": 2})
        async with server_of() as server, fleet_of(server, device) as fleet:
            _, tasks = await campaign_of(server, fleet, timers=SHORT, retry=retry)
            failures = [task.failure for task in tasks]
            assert failures == [Failure.DOWNLOADED_TIMEOUT, Failure.DOWNLOAD_START_TIMEOUT]

    run(main())


# -- packages --


def archive(path, **said):
    """A vendor's archive."""
    document = {"fileName": "app.bin", "version": "V2.0", "packageType": "softwarePackage", **said}
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("UpgradeDesc.json", json.dumps(document))
        written.writestr("app.bin", BODY)
    return path


def test_an_archive_is_a_package(run, server_of, tmp_path):
    """1.7: as the vendor made it, with his segment size and check code; devices are upgraded by it."""
    path = archive(tmp_path / "a.zip", deviceShard=256, versionCheckCode="1234", model="meter")

    async def main() -> None:
        async with server_of() as server, fleet_of(server, profile("d")) as fleet:
            package = await server.add_archive(path)
            assert (package.kind, package.version, package.product) == (Kind.SOFTWARE, "V2.0", "meter")
            assert (package.segment_size_bytes, package.check_code) == (256, 0x1234)
            assert package.pid[:2] == b"\x12\x34"
            campaign = await server.create_campaign(name="c", package=package.pid, endpoints=["d"])
            assert campaign.plan.version_check_code == 0x1234
            ended = await asyncio.wait_for(server.ended(campaign.id), WAIT_S)
            assert ended.counts.states == {State.SUCCESS: 1}
            assert client_of(fleet.devices[0]).image == BODY
        async with server_of() as server:
            assert server.packages() == [package]

    run(main())


@pytest.mark.parametrize(
    "said",
    [{"packageType": "picture"}, {"versionCheckCode": "12"}, {"version": "V" * 17}, {"deviceShard": 8}],
)
def test_an_archive_that_says_what_cannot_be(run, server_of, tmp_path, said):
    """Nothing of it is kept."""

    async def main() -> None:
        async with server_of() as server:
            with pytest.raises(PackageError):
                await server.add_archive(archive(tmp_path / "a.zip", **said))
            assert server.packages() == []

    run(main())


def test_check_codes_by_product(run, server_of):
    """2.2: computed, given, or zero; in zero mode no second package of a version, whatever its bytes."""
    pcp = {"check_code_of": {"old": "zero", "strict": "given"}}

    async def main() -> None:
        async with server_of(pcp=pcp) as server:

            async def added(body, **how):
                return await server.add_package(body, kind=Kind.SOFTWARE, **how)

            for product, told in (("new", None), ("old", 0)):
                package = await added(BODY + product.encode(), version="V2.0", product=product)
                campaign = await server.create_campaign(
                    name="c", package=package.pid, endpoints=[f"of {product}"]
                )
                assert campaign.plan.version_check_code == (package.check_code if told is None else told)
                assert campaign.plan.segment_size_bytes == 500
            with pytest.raises(PackageConflictError, match="would not notice"):
                await added(b"other bytes", version="V2.0", product="old")
            await added(b"other bytes", version="V2.0", product="new")
            with pytest.raises(PackageError, match="is given a check code"):
                await added(b"bytes", version="V2.0", product="strict")
            await added(b"bytes", version="V2.0", product="strict", check_code=0)
            with pytest.raises(PackageError, match="blocks"):
                await server.add_package(b"bytes", version="V9", segment_size_bytes=100)

    run(main())
