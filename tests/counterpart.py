"""A server for one simulated device, in lockstep with it and without a network.

It is written on the reference codec: what devices send is judged by other code than they share with us.

By itself it takes registrations, acknowledges notifications and serves one package; a test asks the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from headgate.fleet.device import DOWNLOAD, MAIN, SOCKETS, Device
from reference import block as block_reference
from reference import coap
from reference.block import Block
from reference.coap import Message

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = range(1, 5)
ETAG, OBSERVE, LOCATION_PATH, URI_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT = 4, 6, 8, 11, 12, 15, 17
BLOCK2, BLOCK1, SIZE2 = 23, 27, 28
CREATED, DELETED, CHANGED, CONTENT, CONTINUE = 0x41, 0x42, 0x44, 0x45, 0x5F
BAD_REQUEST, NOT_FOUND = 0x80, 0x84
STEPS_MAX = 200_000  # of one call of `run`: no device is so busy

PACKAGE_ETAG = bytes.fromhex("4ea021b62388bdd4")
PACKAGE_KEY = "Zm9vYmFyZm9vYmFy"
PACKAGE_URI = f"coap://192.0.2.1:5683/{PACKAGE_KEY}"


def uint(number: int) -> bytes:
    """The value of a uint option."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def option(message: Message, number: int) -> bytes | None:
    """The first value of an option."""
    return next((value for found, value in message.options if found == number), None)


def values(message: Message, number: int) -> list[str]:
    """All values of an option, as text."""
    return [value.decode() for found, value in message.options if found == number]


def code(message: Message) -> str:
    """A code as it is written: 2.05."""
    return f"{message.code >> 5}.{message.code & 31:02}"


class Came(NamedTuple):
    """A message of the device."""

    at_s: float
    socket: int
    generation: int
    message: Message


class Counterpart:
    """The server. `now` is the clock of both; `came` all that it received, in order."""

    def __init__(
        self,
        device: Device,
        package: bytes = b"",
        *,
        etag: bytes = PACKAGE_ETAG,
        root: str = "",
        now: float = 0.0,
    ) -> None:
        self.device = device
        self.package = package
        self.etag = etag
        self.root = root
        self.now = now
        self.came: list[Came] = []
        self.reachable = True
        """Off: what the device sends is lost."""
        self.hook: Callable[[Came], list[Message] | None] = lambda came: None
        """Answers in the server's place; None where it does not care."""
        self._message_id = 0x1000
        self._uploads = b""
        self._flush()

    # -- time --

    def step(self) -> bool:
        """Let the next thing happen that the device waits for; False where there is none."""
        due_s = self.device.next_timer()
        if due_s is None:
            return False
        self.now = max(self.now, due_s)
        self.device.expire(self.now)
        self._flush()
        return True

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_s = self.now + seconds
        for _ in range(STEPS_MAX):
            due_s = self.device.next_timer()
            if due_s is None or due_s > end_s:
                self.now = end_s
                return
            self.step()
        raise AssertionError("the device does not come to rest")

    def until(self, condition: Callable[[], object], seconds: float = 3600.0) -> None:
        """Let time pass until it holds; it has to within so many seconds."""
        end_s = self.now + seconds
        while not condition():
            due_s = self.device.next_timer()
            assert due_s is not None, f"never came to hold, the device is dead: {condition}"
            assert due_s <= end_s, f"did not come to hold within {seconds} s: {condition}"
            self.step()

    # -- what the server asks --

    def ask(
        self,
        code: int,
        path: str,
        *,
        accept: int | None = None,
        observe: int | None = None,
        content_format: int | None = None,
        payload: bytes = b"",
        token: bytes = b"\x01\x02\x03\x04",
        options: tuple[tuple[int, bytes], ...] = (),
        type: int = CON,
        message_id: int | None = None,
    ) -> Message | None:
        """Send a request; the answer that comes at once, or None. An empty ACK is no answer."""
        if message_id is None:
            self._message_id += 1
            message_id = self._message_id
        full = [*([self.root] if self.root else []), *(path.split("/") if path else [])]
        pairs = [(URI_PATH, segment.encode()) for segment in full]
        numbers = ((ACCEPT, accept), (OBSERVE, observe), (CONTENT_FORMAT, content_format))
        pairs += [(number, uint(value)) for number, value in numbers if value is not None]
        request = Message(
            type=type,
            code=code,
            message_id=message_id,
            token=token,
            options=tuple(sorted([*pairs, *options], key=lambda pair: pair[0])),
            payload=payload,
        )
        before = len(self.came)
        self.send(request)
        for each in self.came[before:]:
            answer = each.message
            if answer.type == RST and answer.message_id == message_id:
                return answer
            if answer.code and answer.code >> 5 and answer.token == token and option(answer, OBSERVE) is None:
                return answer
            if answer.code and answer.message_id == message_id and answer.type == ACK:
                return answer
        return None

    def send(self, message: Message, socket: int = MAIN) -> None:
        """Send anything."""
        self.device.receive(coap.encode(message), self.now, socket)
        self._flush()

    # -- what it received --

    def notifications(self) -> list[Message]:
        """All notifications, in order."""
        return [
            each.message
            for each in self.came
            if each.message.type in (CON, NON) and option(each.message, OBSERVE) is not None
        ]

    def requests(self, method: int, first_segment: str) -> list[Came]:
        """Requests of the device by method and first path segment, copies included."""
        return [
            each
            for each in self.came
            if each.message.code == method and values(each.message, URI_PATH)[:1] == [first_segment]
        ]

    def blocks(self) -> list[Came]:
        """All its block requests."""
        return self.requests(GET, PACKAGE_KEY)

    # -- how --

    def _flush(self) -> None:
        """Hand over what the device sends, and answer it, until both are silent."""
        for _ in range(STEPS_MAX):
            sent = [(socket, datagram) for socket in SOCKETS for datagram in self.device.take(socket)]
            if not sent:
                return
            for socket, datagram in sent:
                if self.reachable:
                    self._receive(socket, datagram)
        raise AssertionError("the device does not cease to send")

    def _receive(self, socket: int, datagram: bytes) -> None:
        message = coap.parse(datagram)
        came = Came(self.now, socket, self.device.generation(socket), message)
        self.came.append(came)
        answers = self.hook(came)
        for answer in self._answers(came) if answers is None else answers:
            self.device.receive(coap.encode(answer), self.now, socket)

    def _answers(self, came: Came) -> list[Message]:
        message = came.message
        if message.type not in (CON, NON) or message.code == 0:
            return []
        if message.code >> 5:  # a notification or a separate response
            return [Message(type=ACK, code=0, message_id=message.message_id)] if message.type == CON else []
        path = values(message, URI_PATH)
        if path == ["rd"]:
            return self._registered(message)
        if path[:1] in (["rd"], ["dp"]):
            return [self._reply(message, DELETED if message.code == DELETE else CHANGED)]
        if path[:1] == [PACKAGE_KEY] and self.package:
            return [self._block(message)]
        return [self._reply(message, NOT_FOUND)]

    def _registered(self, message: Message) -> list[Message]:
        block1 = option(message, BLOCK1)
        if block1 is not None:
            block = block_reference.parse(block1)
            self._uploads = (b"" if block.num == 0 else self._uploads) + message.payload
            if block.more:
                return [self._reply(message, CONTINUE, (BLOCK1, block1))]
            assert self._uploads
        return [self._reply(message, CREATED, (LOCATION_PATH, b"rd"), (LOCATION_PATH, b"5a3f"))]

    def _block(self, message: Message) -> Message:
        asked = block_reference.parse(option(message, BLOCK2) or b"\x05")
        offset, length, more = block_reference.slice_of(asked, len(self.package))
        options = [(ETAG, self.etag), (CONTENT_FORMAT, uint(42))]
        options.append((BLOCK2, block_reference.encode(Block(asked.num, more, asked.szx))))
        if asked.num == 0 or option(message, SIZE2) is not None:
            options.append((SIZE2, uint(len(self.package))))
        return self._reply(message, CONTENT, *options, payload=self.package[offset : offset + length])

    def _reply(
        self, message: Message, code: int, *options: tuple[int, bytes], payload: bytes = b""
    ) -> Message:
        return Message(
            type=ACK if message.type == CON else NON,
            code=code,
            message_id=message.message_id,
            token=message.token,
            options=options,
            payload=payload,
        )


def upgraded(server: Counterpart, uri: str = PACKAGE_URI) -> bytes:
    """Carry the device through steps 4 to 14 as a plain server would; the Update Result as it is read.

    Raises AssertionError where the device does not go along.
    """
    device = server.device
    server.until(lambda: device.log.registrations == 1)
    server.ask(GET, "5/0/3", observe=0, accept=0, token=b"state-1")
    written = server.ask(PUT, "5/0/1", content_format=0, payload=uri.encode())
    assert written is not None
    assert written.code == CHANGED
    server.until(lambda: device.firmware.state == 2)
    server.run(0.0)
    executed = server.ask(POST, "5/0/2")
    assert executed is not None
    assert executed.code == CHANGED
    server.until(lambda: device.log.registrations == 2)
    server.ask(GET, "5/0/3", observe=0, accept=0, token=b"state-2")
    server.until(lambda: device.firmware.result != 0)
    read = server.ask(GET, "5/0/5", accept=0)
    assert read is not None
    return read.payload


__all__ = ["DOWNLOAD", "MAIN", "Block", "Counterpart", "Device", "Message"]
