"""Binding UDP sockets: dual stack, one for the loop or several that share a port."""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from headgate.errors import AddressError

SO_RCVBUFFORCE = 33  # socket(7); past net.core.rmem_max, for whoever has CAP_NET_ADMIN
PORT_MAX = 65535
IP_PKTINFO = 8  # ip(7); the socket module has it from Python 3.14 on


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound socket, and whether it must ask the kernel which address each datagram was sent to."""

    socket: socket.socket
    packet_info: bool


def bind(host: str | None, port: int, *, count: int, receive_buffer_bytes: int) -> list[Bound]:
    """`count` blocking UDP sockets on one address; None is every address of both families.

    Port 0 takes a free one. More than one socket share the port by SO_REUSEPORT, and only among
    themselves. Raises AddressError, saying what to do.
    """
    family, address = _resolve(host, port)
    sockets: list[Bound] = []
    try:
        # Alone first: two servers that both set SO_REUSEPORT would silently share the port.
        first = _bound(family, address, reuse=False, receive_buffer_bytes=receive_buffer_bytes)
        if count == 1:
            return [first]
        address = (address[0], first.socket.getsockname()[1], *address[2:])
        first.socket.close()
        for _ in range(count):
            sockets.append(_bound(family, address, reuse=True, receive_buffer_bytes=receive_buffer_bytes))
    except OSError as error:
        for bound in sockets:
            bound.socket.close()
        raise _explained(error, host, port) from error
    return sockets


def _resolve(host: str | None, port: int) -> tuple[socket.AddressFamily, tuple[str | int, ...]]:
    if host is None:
        host = "::" if socket.has_ipv6 and _ipv6_is_there() else "0.0.0.0"
    if not 0 <= port <= PORT_MAX:
        # The resolver would keep the low 16 bits.
        raise AddressError(f"cannot listen on port {port}: a port is 0 (any free one) to {PORT_MAX}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise AddressError(f"cannot listen on {host} port {port}: {error}") from error
    family, _, _, _, address = found[0]
    if ipaddress.ip_address(address[0]).is_multicast:
        raise AddressError(f"cannot listen on {host}: it is a group, and what asks a group is not answered")
    return family, tuple(part for part in address if isinstance(part, str | int))


def _ipv6_is_there() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _bound(
    family: socket.AddressFamily, address: tuple[str | int, ...], *, reuse: bool, receive_buffer_bytes: int
) -> Bound:
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        wildcard = address[0] in ("::", "0.0.0.0")
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if wildcard else 1)
        if reuse:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if wildcard:
            if family == socket.AF_INET6:
                udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        _set_receive_buffer(udp, receive_buffer_bytes)
        udp.bind(address)
    except BaseException:
        udp.close()
        raise
    return Bound(udp, wildcard)


def _set_receive_buffer(udp: socket.socket, receive_buffer_bytes: int) -> None:
    try:
        udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer_bytes)
    except PermissionError:
        # The kernel clips this one to net.core.rmem_max; `stats` shows what was granted.
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)


def _explained(error: OSError, host: str | None, port: int) -> AddressError:
    place = f"UDP port {port}" + (f" of {host}" if host else "")
    advice = {
        errno.EADDRINUSE: "is taken: stop what listens there, or choose another port (0 takes a free one)",
        errno.EADDRNOTAVAIL: "cannot be used: the address is not one of this machine's",
        errno.EACCES: "is not permitted: ports below 1024 need privileges",
    }
    explained = AddressError(f"{place} {advice.get(error.errno or 0, f'cannot be used: {error.strerror}')}")
    explained.errno = error.errno
    return explained
