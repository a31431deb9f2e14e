"""The other side of the wire: a plain blocking socket that asks, asks again, and says what it heard."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import select
import socket
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from datagrams import ACK, BLOCK2, CON, ETAG, NON, RST, empty, request
from headgate.engine.package import Package
from headgate.wire.crc import check_code
from reference import block as block_reference
from reference import coap
from reference.coap import Message

__all__ = [
    "ACK",
    "CON",
    "NON",
    "RST",
    "ChangedError",
    "Message",
    "Peer",
    "eventually",
    "get",
    "lasting_port",
    "loopback_addresses",
    "package_of",
    "ping",
    "until",
]

CONTENT = 0x45  # 2.05
SILENCE_S = 2.0  # how long an answer may take on a busy machine before the question is repeated
PATIENCE_S = 20.0  # after which nobody is there


def package_of(body: bytes, **how: int) -> Package:
    """A package with the identity that its bytes give it."""
    return Package(body, sha256=sha256(body).digest(), check_code=check_code(body), **how)


def ping(message_id: int) -> bytes:
    """An Empty CON, which is answered by a Reset: RFC 7252 section 4.3."""
    return empty(CON, message_id)


def get(
    path: str,
    block: tuple[int, int] | None = None,
    *,
    message_id: int = 1,
    options: tuple[tuple[int, bytes], ...] = (),
    **how: Any,
) -> bytes:
    """A request for `path`, without a token unless given; `block` is (NUM, SZX)."""
    return request(path, *options, block2=block, message_id=message_id, **({"token": b""} | how))


def loopback_addresses() -> list[str]:
    """Addresses of this machine that need no network; a machine without IPv6 has no ::1."""
    addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return addresses
    return [*addresses, "::1"]


def lasting_port() -> int:
    """A free port that the kernel gives to nobody who asks for any: it is still free after a restart."""
    while True:
        port = random.randrange(10_000, 32_000)  # below net.ipv4.ip_local_port_range
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Return when it holds; fail when it does not come to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s: {condition}"
        select.select([], [], [], 0.001)


async def eventually(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`; other callbacks of the loop run meanwhile."""
    while not (value := condition()):  # noqa: ASYNC110  (what it waits for is not the loop's own)
        await asyncio.sleep(0)
    return value


class ChangedError(Exception):
    """What was being downloaded is not there any more."""


class Peer:
    """A device. Its socket is connected: it hears nothing but what comes from the address it asked."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(SILENCE_S)
        # Most kernels allow room for 512 small datagrams, twice what they give unasked.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.connect((host, port))
        self._message_ids = itertools.count(int.from_bytes(os.urandom(2), "big"))

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, datagram: bytes) -> None:
        """Send, and wait for nothing."""
        self.socket.send(datagram)

    def hear(self) -> Message:
        """The next message; TimeoutError when there is none."""
        return coap.parse(self.hear_any())

    def hear_any(self) -> bytes:
        """The bytes of the next datagram, message or not."""
        return self.socket.recv(65536)

    def waiting(self) -> list[Message]:
        """Every message that has arrived by now."""
        self.socket.setblocking(False)
        heard = []
        try:
            while True:
                heard.append(self.hear())
        except BlockingIOError:
            return heard
        finally:
            self.socket.settimeout(SILENCE_S)

    def ask(self, path: str, block: tuple[int, int] | None = None, **how: object) -> Message:
        """The answer to a GET, which is repeated while none comes; older answers are passed over."""
        message_id = next(self._message_ids) & 0xFFFF
        return self.exchange(get(path, block, message_id=message_id, **how), message_id)

    def exchange(self, datagram: bytes, message_id: int) -> Message:
        """The message that carries the same message id back."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                self.send(datagram)
                while (heard := self.hear()).message_id != message_id:
                    pass
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                select.select([], [], [], 0.05)  # nobody is there now; somebody may come
                continue
            return heard
        raise TimeoutError(f"no answer to {datagram.hex()}")

    def download(self, path: str, szx: int = 6, *, first: int = 0) -> bytes:
        """The body from block `first` on; ChangedError when it is another one, or none, half-way."""
        body, num, etags = b"", first, set()
        while True:
            answer = self.ask(path, (num, szx))
            options = dict(answer.options)
            if answer.code != CONTENT:
                raise ChangedError(f"{answer} to block {num}")
            block = block_reference.parse(options[BLOCK2])
            assert (block.num, block.szx) == (num, szx)
            etags.add(options[ETAG])
            if len(etags) > 1:
                raise ChangedError(f"block {num} has another ETag")
            body += answer.payload
            if not block.more:
                return body
            num += 1
