"""The house of `orchestra.py`, all of it real but the sockets: LwM2M server, Exchange, database, datagrams.

A `Client` says in CoAP what its `Device` says: one CON at a time, repeated until it is acknowledged.
"""

from __future__ import annotations

import random
from pathlib import Path as FilePath
from typing import Any

from headgate.lwm2m import commands
from headgate.lwm2m.commands import Command, Execute, Observe, Read, Write
from headgate.lwm2m.happenings import Answered, Observed, Refused, Registered
from headgate.lwm2m.objects import type_of
from headgate.lwm2m.server import LwM2mServer
from headgate.upgrade.orchestrator import Orchestrator
from headgate.upgrade.restoring import restore
from headgate.wire.coap import Message
from headgate.wire.formats import encode
from headgate.wire.numbers import (
    ACCEPT,
    ACK,
    CHANGED,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    GET,
    NOT_ACCEPTABLE,
    OBSERVE,
    POST,
    PUT,
    URI_PATH,
    URI_QUERY,
)
from headgate.wire.pcp import DOWNLINK, UPLINK
from headgate.wire.resources import RESOURCE_DEPTH, Path
from orchestra import Device, Edge, House
from orchestra_pcp import BODY, PID, PcpDevice, software_device

TLV = (11542).to_bytes(2)
AGAIN_S = 4.0  # a client repeats what was not acknowledged


class Client:
    """A device on the wire."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.remote = (device.endpoint.encode(), b"control")
        self.awaited: Message | None = None
        self.again_s = 0.0
        self.message_id = 0
        self.notifications = 1
        self.answered: dict[tuple[int, bytes], bytes] = {}

    def says(self, now: float) -> bytes | None:
        """The CON that it has to say, new or again."""
        if self.awaited is not None:
            if now < self.again_s:
                return None
            self.again_s = now + AGAIN_S
            return self.awaited.encode()
        if not self.device.said:
            return None
        happening = self.device.said[0]()
        self.message_id = (self.message_id + 1) & 0xFFFF
        if isinstance(happening, Registered):
            queries = (f"ep={self.device.endpoint}", "lt=86400", "lwm2m=1.1", "b=U")
            options = [(URI_PATH, b"rd"), (CONTENT_FORMAT, b"\x28")]
            options += [(URI_QUERY, query.encode()) for query in queries]
            code, token, payload = POST, b"R", self.device.links
        else:
            self.notifications += 1
            options = [(OBSERVE, self.notifications.to_bytes(3)), (CONTENT_FORMAT, b"")]
            code, token, payload = CONTENT, happening.token, happening.payload
        self.awaited = Message(
            type=CON, code=code, message_id=self.message_id, token=token, options=options, payload=payload
        )
        self.again_s = now + AGAIN_S
        return self.awaited.encode()

    def receives(self, datagram: bytes, now: float) -> bytes | None:
        """What it answers."""
        message = Message.parse(datagram)
        if message.type >= ACK:
            if self.awaited is not None and message.message_id == self.awaited.message_id:
                self.awaited = None
                self.device.now = now
                self.device.confirmed()
            return None
        key = (message.message_id, message.token)
        if key not in self.answered:
            self.answered[key] = self.answer(message).encode()
        return self.answered[key]

    def answer(self, message: Message) -> Message:
        """Piggybacked; a command that came before is answered by what was said then."""
        command, accept = command_of(message)
        happening = self.device.answer(command)
        code, options, payload = CHANGED, [], b""
        match happening:
            case Refused(code=refused):
                code = int(refused[0]) << 5 | int(refused[2:])
            case Observed() | Answered() if message.code == GET:
                code = CONTENT
                if isinstance(happening, Observed):
                    if command.path == UPLINK:
                        self.device.data_token = message.token
                    else:
                        self.device.token = message.token
                    self.notifications += 1
                    options.append((OBSERVE, self.notifications.to_bytes(3)))
                if command.path == UPLINK:
                    payload = b"\0"
                elif accept is not None and accept not in (0, 11542):
                    code, options = NOT_ACCEPTABLE, []
                else:
                    resources = happening.resources
                    if isinstance(command, commands.CancelObservation):
                        resources = self.device.value(command.path)
                    text = accept == 0 and len(command.path) == RESOURCE_DEPTH
                    payload = encode(0 if text else 11542, resources, command.path, type_of)
                    options.append((CONTENT_FORMAT, b"" if text else TLV))
        return Message(
            type=ACK,
            code=code,
            message_id=message.message_id,
            token=message.token,
            options=options,
            payload=payload,
        )


def command_of(message: Message) -> tuple[Command, int | None]:
    """The command that a request is, and the format it wants."""
    path = Path(*(int(value) for number, value in message.options if number == URI_PATH))
    said = dict(message.options)
    accept = said.get(ACCEPT)
    wanted = None if accept is None else int.from_bytes(accept)
    if message.code == PUT:
        payload = message.payload
        if path == DOWNLINK:
            return Write(path=path, value=payload), wanted
        if said[CONTENT_FORMAT] == TLV:
            payload = payload[2 + (payload[0] >> 3 & 3) :]
        return Write(path=path, value=payload.decode()), wanted
    if message.code == POST:
        return Execute(path=path), wanted
    if OBSERVE not in said:
        return Read(path=path), wanted
    if said[OBSERVE] == b"":
        return Observe(path=path), wanted
    return commands.CancelObservation(path=path, token=message.token), wanted


class WiredHouse(House):
    """A house whose devices are on a network that may lose datagrams, either way."""

    desk: Any

    def __init__(self, folder: FilePath, *, seed: int = 1, loss: float = 0.0, **how: Any) -> None:
        self.chance = random.Random(seed)
        self.loss = loss
        self.clients: dict[str, Client] = {}
        super().__init__(folder, **how)

    def _build(self) -> None:
        self.desk = LwM2mServer(rng=self.chance)
        self.edge = Edge()
        self.edge.bodies[PID] = BODY
        self.orchestrator = Orchestrator(
            lwm2m=self.desk, downloads=self.edge, limits=self.limits, settings=self.settings
        )
        restore(self.orchestrator, self.database, self.desk, self.edge, self.now)

    def device(self, endpoint: str = "ep-1", *, registered: bool = True, **how: Any) -> Device:
        device = super().device(endpoint, registered=registered, **how)
        self.clients[endpoint] = Client(device)
        return device

    def software_device(self, endpoint: str = "ep-1", **how: Any) -> PcpDevice:
        """One that is upgraded by PCP."""
        device = software_device(self, endpoint, **how)
        self.clients[endpoint] = Client(device)
        return device

    def step(self) -> bool:
        self.commit()
        moved = self.deliver()
        for client in self.clients.values():
            if isinstance(client.device, PcpDevice):
                client.device.expire(self.now)
            datagram = client.says(self.now)
            if datagram is not None:
                self.arrives(client, datagram)
                moved = True
        due = self.next_timer()
        if due is not None and due <= self.now:
            for happening in self.desk.expire(self.now):
                self.orchestrator.happened(happening, self.now)
            self.orchestrator.expire(self.now)
            moved = True
        return moved

    def next_timer(self) -> float | None:
        """Of server and orchestrator."""
        times = (self.desk.next_timer(), self.orchestrator.next_timer())
        return min((each for each in times if each is not None), default=None)

    def deliver(self) -> bool:
        """What the server has to send, and what comes back at once."""
        leaving = self.desk.take()
        for remote, datagram in leaving:
            client = self.clients[remote[0].decode()]
            if self.chance.random() >= self.loss:
                answer = client.receives(datagram, self.now)
                if answer is not None:
                    self.arrives(client, answer)
        return bool(leaving)

    def arrives(self, client: Client, datagram: bytes) -> None:
        if self.chance.random() >= self.loss:
            for happening in self.desk.receive(client.remote, datagram, self.now):
                self.orchestrator.happened(happening, self.now)

    def until_idle(self, longest_s: float) -> None:
        """Go on, time passing in steps of a second where nothing else happens, until all tasks are over."""
        end_s = self.now + longest_s
        while self.orchestrator.roster.active or self.orchestrator.roster.running:
            assert self.now < end_s, [
                self.orchestrator.explain(each, self.now) for each in self.orchestrator.roster.active
            ]
            if not self.step():
                self.now += 1.0
        self.run()
