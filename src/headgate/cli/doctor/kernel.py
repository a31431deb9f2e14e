"""What the kernel, and what is installed, can do for the data plane."""

from __future__ import annotations

import ctypes
import errno
import importlib
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from types import MappingProxyType

from headgate.cli.doctor.findings import Finding, fail, ok, warn
from headgate.config import Config
from headgate.transport.sockets import bind

COMPILED = ("headgate.wire.coap", "headgate.engine.responder", "headgate.transport.listener")
BATCHES = MappingProxyType({"recvmmsg": "received", "sendmmsg": "sent"})
THERE = frozenset({0, errno.EAGAIN})
RMEM_MAX = "net.core.rmem_max"


def kernel(config: Config) -> Iterator[Finding]:
    """Everything of this file."""
    yield compiled()
    yield loop()
    for name, what in BATCHES.items():
        yield batches(name, what)
    yield shared_port(config.coap.threads)
    yield receive_buffer(config.coap.receive_buffer_bytes)


def compiled() -> Finding:
    """Whether the native modules can be loaded."""
    for name in COMPILED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            return fail("native modules", str(error), "install Headgate again, on this machine")
    return ok("native modules", "are there")


def loop() -> Finding:
    """Whether the fast event loop is there."""
    if find_spec("uvloop") is None:
        return warn("event loop", "asyncio: uvloop is not installed", "pip install uvloop")
    return ok("event loop", "uvloop")


def batches(name: str, what: str) -> Finding:
    """Whether many datagrams are received or sent by one call: the server knows no other way."""
    code = called(name)
    if code in THERE:
        return ok(name, f"datagrams are {what} in batches")
    why = f"{errno.errorcode.get(code, code)}"
    return fail(name, f"is refused: {why}", "use Linux 3.0 or newer, and let the sandbox (seccomp) permit it")


def called(name: str) -> int:
    """The error number of such a call that finds nothing to do, 0 for none."""
    library = ctypes.CDLL(None, use_errno=True)
    call = getattr(library, name, None)
    if call is None:
        return errno.ENOSYS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        messages = ctypes.create_string_buffer(256)  # one empty struct mmsghdr, and more
        extra = (None,) if name == "recvmmsg" else ()
        count = 1 if name == "recvmmsg" else 0
        ctypes.set_errno(0)
        if call(udp.fileno(), messages, count, socket.MSG_DONTWAIT, *extra) >= 0:
            return 0
        return ctypes.get_errno()


def shared_port(threads: int) -> Finding:
    """Whether several threads can have a socket each on one port."""
    name = "SO_REUSEPORT"
    try:
        for each in bind("127.0.0.1", 0, count=2, receive_buffer_bytes=4096):
            each.socket.close()
    except OSError as error:
        advice = "use a kernel that has it (Linux 3.9 or newer), or coap.threads = 1"
        said = f"is refused: {error}"
        return fail(name, said, advice) if threads > 1 else warn(name, said, advice)
    return ok(name, "threads can share a port")


def receive_buffer(wanted: int) -> Finding:
    """Whether a burst of devices finds room while the server is busy."""
    name = "receive buffer"
    (bound,) = bind("127.0.0.1", 0, count=1, receive_buffer_bytes=wanted)
    with bound.socket as udp:
        granted = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # the kernel counts its own part
    if granted < wanted:
        said = f"{granted:,} bytes are granted of {wanted:,}: bursts are dropped earlier"
        return warn(name, said, f"sysctl -w {RMEM_MAX}={wanted}, or set coap.receive_buffer_bytes")
    return ok(name, f"{granted:,} bytes are granted")
