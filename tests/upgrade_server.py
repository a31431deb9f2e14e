"""A tiny server on loopback that upgrades every device that registers: for the fleet's own tests.

No orchestrator: each device is asked the next thing when it has answered the last, and asked again by a clock
where it has not. Blocks are served to whoever asks for the package.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from counterpart import (
    ACCEPT,
    ACK,
    BLOCK2,
    CHANGED,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    CREATED,
    DELETE,
    DELETED,
    ETAG,
    GET,
    LOCATION_PATH,
    NOT_FOUND,
    OBSERVE,
    PACKAGE_ETAG,
    PACKAGE_KEY,
    POST,
    PUT,
    SIZE2,
    URI_PATH,
    URI_QUERY,
    uint,
)
from headgate.wire.block import Block
from headgate.wire.coap import Message

Address = tuple[str, int]
ASK_AGAIN_S = 0.2
DOWNLOADING, EXECUTING, ENDING = 3, 4, 6  # steps


@dataclass
class Known:
    """A device: where it is, and what it was asked and has not answered."""

    endpoint: str
    address: Address
    step: int = 0
    message_id: int = 0
    pending: bytes | None = None
    result: bytes = b""


class UpgradeServer(asyncio.DatagramProtocol):
    """`async with UpgradeServer(package) as server:` serves on a port of loopback."""

    def __init__(self, package: bytes) -> None:
        self.package = package
        self.devices: dict[str, Known] = {}
        self.by_token: dict[bytes, Known] = {}
        self.done = 0
        self.received = 0

    async def __aenter__(self) -> UpgradeServer:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        self.port = self.transport.get_extra_info("sockname")[1]
        self.clock = loop.create_task(self._ask_again())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.clock.cancel()
        self.transport.close()

    async def _ask_again(self) -> None:
        while True:
            await asyncio.sleep(ASK_AGAIN_S)
            for each in self.devices.values():
                if each.pending is not None:
                    self.transport.sendto(each.pending, each.address)
                elif each.step == ENDING and not each.result:
                    each.pending = self._request(each, GET, "5/0/5", ((ACCEPT, b""),))
                elif each.step == DOWNLOADING:  # its notification of State 2 may be lost
                    self._request(each, GET, "5/0/3", ((ACCEPT, b""),))

    @property
    def uri(self) -> str:
        """Where the package is."""
        return f"coap://127.0.0.1:{self.port}/{PACKAGE_KEY}"

    def datagram_received(self, datagram: bytes, address: Address) -> None:
        """Answer, and ask the next thing."""
        self.received += 1
        message = Message.parse(datagram)
        path = [value for number, value in message.options if number == URI_PATH]
        if message.code >> 5:
            self._heard(message, address)
        elif message.code == GET and path == [PACKAGE_KEY.encode()]:
            self._block(message, address)
        elif message.code == POST and path == [b"rd"]:
            self._registered(message, address)
        elif path[:1] == [b"rd"]:
            known = self.devices[path[1].decode()]
            known.address = address  # the newest address counts
            self._reply(message, address, DELETED if message.code == DELETE else CHANGED)
            if known.pending is not None:
                self.transport.sendto(known.pending, address)  # it is awake now
        elif message.code:
            sender = any(each.address == address for each in self.devices.values())
            self._reply(message, address, CHANGED if sender else NOT_FOUND)

    def _registered(self, message: Message, address: Address) -> None:
        endpoint = next(
            value[3:].decode()
            for number, value in message.options
            if number == URI_QUERY and value.startswith(b"ep=")
        )
        options = ((LOCATION_PATH, b"rd"), (LOCATION_PATH, endpoint.encode()))
        self._reply(message, address, CREATED, *options)
        known = self.devices.setdefault(endpoint, Known(endpoint, address))
        known.address = address
        if known.step == 0:
            self._next(known)
        elif known.step > EXECUTING and not known.result:  # it is back
            known.step = EXECUTING
            self._next(known)

    def _heard(self, message: Message, address: Address) -> None:
        """A response, or a notification."""
        if message.type == CON:
            self._put(Message(type=ACK, code=0, message_id=message.message_id), address)
        known = self.by_token.get(message.token)
        if known is None:
            return
        known.address = address
        if message.token == f"{known.step}".encode() + known.endpoint[-5:].encode() and known.pending:
            known.pending = None
            if known.step == ENDING:
                if message.payload != b"0":  # else it does not know yet, and is asked again by the clock
                    known.result = message.payload
                    self.done += 1
                return
            if known.step != DOWNLOADING:
                self._next(known)
        elif message.payload == b"2" and known.step == DOWNLOADING:
            self._next(known)

    def _next(self, known: Known) -> None:
        """Version, Observe, URI, (download), Execute, (reboot), Observe, result."""
        known.step += 1
        requests = {
            1: (GET, "3/0/3", ((ACCEPT, b""),)),
            2: (GET, "5/0/3", ((OBSERVE, b""), (ACCEPT, b""))),
            3: (PUT, "5/0/1", ((CONTENT_FORMAT, b""),)),
            4: (POST, "5/0/2", ()),
            5: (GET, "5/0/3", ((OBSERVE, b""), (ACCEPT, b""))),
            6: (GET, "5/0/5", ((ACCEPT, b""),)),
        }
        code, path, options = requests[known.step]
        known.pending = self._request(known, code, path, options)

    def _request(self, known: Known, code: int, path: str, options: tuple[tuple[int, bytes], ...]) -> bytes:
        token = f"{known.step}".encode() + known.endpoint[-5:].encode()
        known.message_id += 1
        message = Message(
            type=CON,
            code=code,
            message_id=known.message_id,
            token=token,
            options=(*((URI_PATH, each.encode()) for each in path.split("/")), *options),
            payload=self.uri.encode() if code == PUT else b"",
        )
        self.by_token[token] = known
        datagram = message.encode()
        self.transport.sendto(datagram, known.address)
        return datagram

    def _block(self, message: Message, address: Address) -> None:
        asked = Block.parse(next(value for number, value in message.options if number == BLOCK2))
        offset, length, more = asked.slice(len(self.package))
        self._reply(
            message,
            address,
            CONTENT,
            (ETAG, PACKAGE_ETAG),
            (BLOCK2, Block(asked.num, more, asked.szx).encode()),
            (SIZE2, uint(len(self.package))),
            payload=self.package[offset : offset + length],
        )

    def _reply(
        self,
        message: Message,
        address: Address,
        code: int,
        *options: tuple[int, bytes],
        payload: bytes = b"",
    ) -> None:
        self._put(
            Message(
                type=ACK,
                code=code,
                message_id=message.message_id,
                token=message.token,
                options=options,
                payload=payload,
            ),
            address,
        )

    def _put(self, message: Message, address: Address) -> None:
        self.transport.sendto(message.encode(), address)
