"""What the demo's operator orders: a campaign of each kind at once, and one that comes too early.

The one of firmware goes in stages, and pauses itself at a bad batch of devices.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headgate.cli.demo.batch import BATCH, BATCH_PRODUCT, in_stages, stages_of
from headgate.fleet.device import Device
from headgate.fleet.download import make_package
from headgate.server import CampaignStatus, Server, TaskStatus
from headgate.upgrade.stages import Size, sized
from headgate.upgrade.task import Kind

ASKED_TWICE = "asked twice"
PAGE = 1000
PRODUCTS = {Kind.FIRMWARE: "meter", Kind.SOFTWARE: "tracker"}
"""Labels of packages, and of the devices that they are for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One campaign that is to be made."""

    name: str
    kind: Kind
    body: bytes
    version: str
    endpoints: Sequence[str]
    conflicts: bool = False
    """Another campaign has these devices already."""
    stages: Sequence[Size] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the package, in hex."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def stage_of(self) -> dict[str, int]:
        """The number of each device's stage, from 1."""
        found: dict[str, int] = {}
        endpoints = iter(self.endpoints)
        for number, stage in enumerate(sized(self.stages, len(self.endpoints)), start=1):
            found |= dict.fromkeys(itertools.islice(endpoints, stage.devices), number)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order, and the campaign that came of it."""

    order: Order
    campaign_id: str
    package: str
    """Its PID."""

    async def status(self, server: Server) -> CampaignStatus:
        """How it stands."""
        return await server.campaign(self.campaign_id)

    async def tasks(self, server: Server) -> Mapping[str, TaskStatus]:
        """All its tasks, by endpoint."""
        found: dict[str, TaskStatus] = {}
        after = None
        while page := await server.tasks(self.campaign_id, after=after, limit=PAGE):
            found |= {task.endpoint: task for task in page}
            after = page[-1].id
        return found


def kind_of(device: Device) -> Kind:
    """By what a device is upgraded."""
    return Kind.FIRMWARE if device.profile.pcp is None else Kind.SOFTWARE


def product_of(device: Device) -> str:
    """The label of its product."""
    return BATCH_PRODUCT if device.profile.fault == BATCH else PRODUCTS[kind_of(device)]


def orders_of(devices: Sequence[Device], *, version: str, size_bytes: int, seed: int) -> list[Order]:
    """Each device in the campaign of its kind; some of them in a second one, while that runs."""
    bodies = {
        Kind.FIRMWARE: make_package(version, size_bytes, seed),
        Kind.SOFTWARE: random.Random(f"{seed} software").randbytes(size_bytes),
    }
    orders = []
    for kind, body in bodies.items():
        own = [device for device in devices if kind_of(device) is kind]
        stages = stages_of(own)
        endpoints = [device.profile.endpoint for device in (in_stages(own) if stages else own)]
        orders.append(
            Order(name=kind.value, kind=kind, body=body, version=version, endpoints=endpoints, stages=stages)
        )
    orders.append(
        Order(
            name="too early",
            kind=Kind.FIRMWARE,
            body=bodies[Kind.FIRMWARE],
            version=version,
            endpoints=[each.profile.endpoint for each in devices if each.profile.fault == ASKED_TWICE],
            conflicts=True,
        )
    )
    return [order for order in orders if order.endpoints]


async def place(server: Server, order: Order) -> Placed:
    """Give the server the package, and make the campaign."""
    package = await server.add_package(
        order.body,
        version=order.version,
        kind=order.kind,
        name=order.name,
        product=PRODUCTS[order.kind],
    )
    campaign = await server.create_campaign(
        name=order.name, package=package.pid, endpoints=list(order.endpoints), stages=order.stages
    )
    return Placed(order=order, campaign_id=campaign.id, package=package.pid.hex())
