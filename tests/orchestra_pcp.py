"""Devices of `orchestra.py` and `wired.py` that are upgraded by PCP; the orchestrator answers segments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headgate.fleet.pcp_client import Generation, PcpClient, PcpProfile
from headgate.lwm2m.commands import Command, Observe, Write
from headgate.lwm2m.happenings import Answered, Happening, Notified, Observed, Refused
from headgate.upgrade.task import Kind, Plan
from headgate.wire.pcp import DOWNLINK, UPLINK, identify
from headgate.wire.pcp_messages import MessageCode, Sender
from orchestra import OLD, TARGET, Device, House

HEALTHY = PcpProfile(generation=Generation.NEWER, install_s=20.0)
LINKS = b"</3/0>,</4/0>,</19/0>,</19/1>"
PID = bytes.fromhex("4EA021B62388BDD4")
BODY = bytes(index & 0xFF for index in range(1300))
PLAN = Plan(
    kind=Kind.SOFTWARE,
    target_version=TARGET,
    pid=PID,
    size_bytes=len(BODY),
    segment_size_bytes=500,
    version_check_code=0x4EA0,
)


@dataclass(eq=False)
class PcpDevice(Device):
    """A client with object 19. What it is told by PCP, and when its timers are due, is up to its `client`."""

    links: bytes = LINKS
    pcp: PcpProfile = HEALTHY
    client: PcpClient = field(init=False)
    data_token: bytes | None = None
    data_tokens: int = 0
    booted: bool = True
    frames: list[bytes] = field(default_factory=list)
    """What was written to 19/1/0."""
    now: float = 0.0

    def __post_init__(self) -> None:
        self.client = PcpClient(self.pcp, version=OLD)

    def says(self, frames: list[bytes]) -> None:
        """By notifications, where it is observed."""
        for frame in frames:
            self.tells(frame)

    def tells(self, payload: bytes, *, content_format: int | None = 42, stale: bool = False) -> None:
        """Any notification of 19/0/0."""
        token = self.data_token
        if token is not None:
            self.say(
                lambda: Notified(
                    endpoint=self.endpoint,
                    path=UPLINK,
                    token=self.data_token or token,  # the newest, also of an Observe that is being answered
                    content_format=content_format,
                    payload=payload,
                    stale=stale,
                    owed=object(),
                )
            )

    def register(self, now: float) -> None:
        self.data_token, self.booted = None, True
        super().register(now)

    def value(self, path: tuple[int, ...]) -> Any:
        found = super().value(path)
        if path == UPLINK:
            found = type(found)({(19, 0, 0): b"\0"})
        return found

    def answer(self, command: Command) -> Happening:
        told: dict[str, Any] = {"endpoint": self.endpoint, "command": command}
        code = self.refuses.get(tuple(command.path))
        if code is not None:
            return Refused(**told, code=code)
        match command:
            case Observe() if command.path == UPLINK:
                self.data_tokens += 1
                self.data_token = command.token or f"{self.endpoint}d{self.data_tokens}".encode()[-8:]
                if self.booted:
                    self.booted = False
                    self.says(self.client.registered(self.now))
                return Observed(
                    **told, token=self.data_token, observing=True, content_format=42, payload=b"\0"
                )
            case Write(value=bytes(frame)) if command.path == DOWNLINK:
                self.frames.append(frame)
                self.says(self.client.handle(frame, self.now))
                return Answered(**told)
        return super().answer(command)

    def expire(self, now: float) -> None:
        """Its own clock."""
        self.now = now
        self.says(self.client.expire(now))
        if self.client.reboots:
            self.client.lost_power()
            self.client.reboots = False
            self.register(now)


def software_device(house: House, endpoint: str = "ep-1", **how: Any) -> PcpDevice:
    """One in this house, registered."""
    house.edge.bodies[PID] = BODY
    device = house.devices[endpoint] = PcpDevice(endpoint, **how)
    device.now = house.now
    device.register(house.now)
    return device


def clock(house: House, seconds: float, step_s: float = 1.0) -> None:
    """So much time passes, for house and devices."""
    until_s = house.now + seconds
    house.run()
    while house.now < until_s:
        house.clock(step_s)
        for device in house.devices.values():
            if isinstance(device, PcpDevice):
                device.expire(house.now)
        house.run()


def told(device) -> list[int]:
    """The codes of what was written to it."""
    return [identify(frame, Sender.PLATFORM).message.code for frame in device.frames]


def waiting(house, endpoint="ep-1"):
    """What a device has to answer yet."""
    return house.desk.waiting.get(endpoint, [])


def at_notify(house, **how):
    """A device that was told of the version, and says nothing by itself."""
    device = software_device(house, pcp=PcpProfile(deaf_to=frozenset({MessageCode.NOTIFICATION})), **how)
    house.run()
    house.campaign(plan=PLAN)
    clock(house, 3)
    assert house.state() == "notify"
    device.frames.clear()
    return device
