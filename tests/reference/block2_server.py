"""A plain Block2 server to download from: one thread, one socket, told how to misbehave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from headgate.wire.block import Block
from headgate.wire.coap import Message

CON, NON, ACK, RST = range(4)
CONTENT = 0x45
ETAG, URI_PATH, BLOCK2, SIZE2 = 4, 11, 23, 28
SERVER_ETAG = bytes.fromhex("4ea021b62388bdd4")
STOP = b"stop"  # a datagram that ends the server, behind all that came before it

Answer = Callable[["Block2Server", Message, Message], list[Message | bytes]]


def option(message: Message, number: int) -> bytes | None:
    """The value of the first option `number`, or None."""
    return next((value for found, value in message.options if found == number), None)


def block_of(message: Message) -> Block | None:
    """The Block2 option of a message, or None."""
    value = option(message, BLOCK2)
    return None if value is None else Block.parse(value)


def path_of(message: Message) -> str:
    """The Uri-Path of a request, segments joined by slashes."""
    return "/".join(value.decode() for number, value in message.options if number == URI_PATH)


def with_options(
    message: Message, *, code: int | None = None, payload: bytes | None = None, **changes: object
):
    """A copy of a reply with `block2`, `etag` or `size2` replaced; None leaves that option out."""
    numbers = {"block2": BLOCK2, "etag": ETAG, "size2": SIZE2, "oscore": 9}
    options = [pair for pair in message.options if pair[0] not in {numbers[name] for name in changes}]
    options += [(numbers[name], value) for name, value in changes.items() if value is not None]
    return Message(
        type=message.type,
        code=message.code if code is None else code,
        message_id=message.message_id,
        token=message.token,
        options=options,
        payload=message.payload if payload is None else payload,
    )


class Block2Server:
    """Serves `body` in blocks of at most `szx`. `answer` may replace each reply by other messages.

    `requests` keeps every datagram received, with its sender.
    """

    def __init__(
        self,
        body: bytes,
        *,
        szx: int = 6,
        answer: Answer | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.body = body
        self.szx = szx
        self.requests: list[tuple[tuple[object, ...], bytes]] = []
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind((host, port))
        self.host, self.port = host, self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def messages(self) -> list[Message]:
        """The messages received, parsed."""
        return [Message.parse(data) for _, data in self.requests]

    def reply(self, request: Message) -> Message:
        """The right answer: 2.05 with ETag, Block2, and Size2 with block 0 or when asked."""
        asked = block_of(request)
        block = Block(0, False, self.szx) if asked is None else asked
        if block.szx > self.szx:
            block = block.shrink(self.szx)
        offset, length, more = block.slice(len(self.body))
        options = [(ETAG, SERVER_ETAG), (BLOCK2, Block(block.num, more, block.szx).encode())]
        if block.num == 0 or option(request, SIZE2) is not None:
            size = len(self.body)
            options.append((SIZE2, size.to_bytes((size.bit_length() + 7) // 8, "big")))
        return Message(
            type=ACK if request.type == CON else NON,
            code=CONTENT,
            message_id=request.message_id if request.type == CON else request.message_id ^ 0x8000,
            token=request.token,
            options=options,
            payload=self.body[offset : offset + length],
        )

    def _serve(self) -> None:
        while True:
            data, remote = self._socket.recvfrom(2048)
            if data == STOP:
                return
            self.requests.append((remote, data))
            request = Message.parse(data)
            if request.code == 0:
                continue
            reply = self.reply(request)
            for answer in [reply] if self._answer is None else self._answer(self, request, reply):
                self._socket.sendto(answer if isinstance(answer, bytes) else answer.encode(), remote)

    def stop(self) -> None:
        """Answer what has arrived, end the thread and close the socket. May be called twice."""
        if not self._thread.is_alive():
            return
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as last:
            last.sendto(STOP, (self.host, self.port))
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._socket.close()
