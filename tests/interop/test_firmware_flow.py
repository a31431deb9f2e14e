"""A device made of aiocoap alone goes through the whole firmware upgrade at our server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiocoap_device import (
    CONNECTION_LOST,
    HOST,
    INTEGRITY_FAILED,
    UPDATE_FAILED,
    AiocoapDevice,
    Formats,
)
from headgate import Server
from headgate.config import Config
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import State

ENDPOINT = "urn:imei:860000000000042"
IMAGE = bytes(range(256)) * 40 + b"the end"


async def upgraded(folder: Path, **how: Any) -> tuple[Any, AiocoapDevice]:
    """The task, when it is over, and the device."""
    config = Config(
        coap={"host": HOST, "port": 0},
        store={"directory": folder},
        timers={"read_again_s": 0.5, "unobserve_s": 5.0},
        log={"level": "error"},
    )
    async with Server(config) as server:
        package = await server.add_package(IMAGE, version="V1.1")
        async with AiocoapDevice(ENDPOINT, server.port, **how) as device:
            campaign = await server.create_campaign(name="one", package=package.pid, endpoints=[ENDPOINT])
            await server.ended(campaign.id)
            (task,) = await server.tasks(campaign.id)
            return task, device


@pytest.mark.parametrize("formats", Formats)
@pytest.mark.parametrize("lwm2m", ["1.0", "1.1"])
def test_a_device_of_any_format_is_upgraded(run, tmp_path, formats, lwm2m):
    """protocol.md 3.3, steps 1 to 16, and T37: what it does not know is asked in another format."""
    task, device = run(upgraded(tmp_path, formats=formats, lwm2m=lwm2m))
    assert (task.state, task.failure, device.version) == (State.SUCCESS, None, "V1.1")
    assert device.told.images == [IMAGE]
    assert (device.told.executions, len(device.told.uris)) == (1, 1)
    assert len(set(device.told.registrations)) == 2  # another port after the reboot


@pytest.mark.parametrize(
    ("fails", "failure"),
    [
        (CONNECTION_LOST, Failure.CONNECTION_LOST),
        (INTEGRITY_FAILED, Failure.INTEGRITY),
        (UPDATE_FAILED, Failure.UPDATE_FAILED),
    ],
)
def test_its_failure_has_the_published_text(run, tmp_path, fails, failure):
    """protocol.md 3.6: by its Update Result."""
    task, device = run(upgraded(tmp_path, fails=fails))
    assert (task.state, task.failure, device.version) == (State.FAILED, failure, "V1.0")
    assert (task.detail_at, task.detail_code) == ("5/0/5", str(fails))


def test_a_device_on_the_target_version_is_left_alone(run, tmp_path):
    """Step 5."""
    task, device = run(upgraded(tmp_path, version="V1.1"))
    assert (task.state, device.told.uris, device.told.images) == (State.DONE_SAME, [], [])
