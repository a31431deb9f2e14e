"""Where a hook may lead. Who may make hooks must not thereby reach what only this machine can reach.

A URL is checked when the hook is made, the addresses of its host at each attempt: a name may mean another
address tomorrow. What is connected to is the very address that was looked at, so there is no second answer of
a name server in between.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NoReturn

from headgate.errors import HookError

URL_MAX = 2000
# Stricter than RFC 3986: no user, no fragment, ASCII alone (a name in another script is xn--...).
URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>(?:[/?][A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]*)?)"
)
NUMBER = re.compile(r"[0-9]+|0[Xx][0-9A-Fa-f]*")
PORTS = {"http": 80, "https": 443}
NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
# Which the standard library takes for public, here or in some of its versions.
NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # RFC 6890, protocol assignments: a cloud keeps its secrets at 192.0.0.192
            "192.88.99.0/24",  # RFC 7526, the relays that 6to4 had
            "64:ff9b:1::/48",  # RFC 8215, NAT64 within one's own network
            "3fff::/20",  # RFC 9637, documentation
        ),
    )
)

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a URL says."""

    scheme: str
    host: str
    """A name, or an address without brackets."""
    port: int
    authority: str
    """As the Host field has it."""
    target: str
    """Path and query."""


def place_of(url: str, *, allow_private: bool) -> Place:
    """The place that a URL names. Raises HookError for none that a hook may have.

    >>> place_of("https://hooks.example/headgate?x=1", allow_private=False).target
    '/headgate?x=1'
    >>> place_of("http://127.0.0.1/", allow_private=False)
    Traceback (most recent call last):
        ...
    headgate.errors.HookError: 127.0.0.1 is not a public address; hooks.allow_private permits it
    """
    found = URL.fullmatch(url) if len(url) <= URL_MAX else None
    if found is None:
        raise HookError(
            "a hook's URL is http:// or https://, a host, and perhaps a port and a path, without user and"
            f" fragment: up to {URL_MAX} ASCII characters"
        )
    port = int(found["port"] or PORTS[found["scheme"]])
    if not 0 < port < 1 << 16:
        raise HookError(f"a port is 1 to 65535, not {port}")
    host = found["host"].strip("[]")
    address = address_of(host)
    if address is None and found["host"].startswith("["):
        raise HookError(f"{host} is no IPv6 address")
    if address is not None:
        check(address, allow_private=allow_private)
    elif NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        refuse_numbers(host, allow_private=allow_private)
    target = found["target"]
    return Place(
        scheme=found["scheme"],
        host=host,
        port=port,
        authority=found["host"] + (f":{found['port']}" if found["port"] else ""),
        target=target if target.startswith("/") else f"/{target}",
    )


def address_of(text: str) -> Address | None:
    """The address that a text is, None for what is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def refuse_numbers(host: str, *, allow_private: bool) -> NoReturn:
    """Raises HookError for a host that ends with a number and is no address as addresses are written.

    Resolvers take `2130706433`, `0x7f.1` and `127.1` for 127.0.0.1, and not all of them agree on `010.0.0.1`.
    No name is refused by this: the last label of one is alphabetic (RFC 1123 section 2.1).
    """
    try:
        address = IPv4Address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        raise HookError(f"{host} is no IPv4 address, and no name ends with a number") from None
    try:
        check(address, allow_private=allow_private)
    except HookError as error:
        raise HookError(f"{host}: {error}") from None
    raise HookError(f"{host} is {address} to some, and other addresses to others: write it as four numbers")


def check(address: Address, *, allow_private: bool) -> None:
    """Raises HookError for an address that hooks may not be sent to."""
    if not possible(address):
        raise HookError(f"{address} is no address that a hook can be sent to")
    if not allow_private and not public(address):
        raise HookError(f"{address} is not a public address; hooks.allow_private permits it")


def possible(address: Address) -> bool:
    """Whether one host may have it.

    >>> possible(ip_address("10.0.0.1")), possible(ip_address("224.0.0.1")), possible(ip_address("::"))
    (True, False, False)
    """
    inner = within(address)
    if inner is not None:
        return possible(inner)
    return not (address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255")


def public(address: Address) -> bool:
    """Whether it is reached over the Internet: not private, loopback, link-local, shared, or reserved.

    An IPv4 address inside an IPv6 one is what is reached.

    >>> [public(ip_address(text)) for text in ("8.8.8.8", "100.64.0.1", "::ffff:10.0.0.1", "2606:4700::1")]
    [True, False, False, True]
    """
    inner = within(address)
    if inner is not None:
        return public(inner)
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    if any(address in network for network in NOT_PUBLIC):
        return False
    return address.is_global and not address.is_reserved and not address.is_multicast


def within(address: Address) -> IPv4Address | None:
    """The IPv4 address to which an IPv6 address leads: mapped, or by NAT64, 6to4 or Teredo."""
    if not isinstance(address, IPv6Address):
        return None
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
