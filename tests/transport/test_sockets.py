"""Binding: one address or all of them, one socket or several, and a sentence when it cannot be."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections import Counter

import pytest

from headgate.errors import AddressError
from headgate.transport.listener import Listener
from headgate.transport.sockets import bind
from peer import Peer, loopback_addresses, ping

HAS_IPV6 = "::1" in loopback_addresses()
NOT_OURS = "203.0.113.7"  # documentation addresses: RFC 5737


@pytest.fixture
def bound(closing):
    """`bind`, with the sockets closed when the test ends."""

    def make(host, port=0, *, count=1, receive_buffer_bytes=1 << 18):
        made = bind(host, port, count=count, receive_buffer_bytes=receive_buffer_bytes)
        for one in made:
            closing.enter_context(one.socket)
        return made

    return make


def port_of(bound) -> int:
    """The port that was bound."""
    return bound.socket.getsockname()[1]


def test_no_host_is_every_address_of_both_families(bound):
    """One socket for IPv4 and IPv6, where the machine has IPv6."""
    [one] = bound(None)
    assert one.socket.family == (socket.AF_INET6 if HAS_IPV6 else socket.AF_INET)
    assert one.socket.getsockname()[0] == ("::" if HAS_IPV6 else "0.0.0.0")
    assert one.packet_info is True


@pytest.mark.parametrize("host", ["0.0.0.0", *(["::"] if HAS_IPV6 else [])])
def test_a_wildcard_needs_packet_information(bound, host):
    """Else replies would leave from whatever address routing prefers."""
    assert bound(host)[0].packet_info is True


@pytest.mark.parametrize("host", [*loopback_addresses(), "localhost"])
def test_one_address_needs_none(bound, host):
    """The kernel knows where replies leave from."""
    [one] = bound(host)
    assert one.packet_info is False
    if host != "localhost":
        assert one.socket.getsockname()[0] == host


def test_an_ipv6_address_leaves_the_ipv4_one_free(bound):
    """Two edges, one of each family, may have one port."""
    if not HAS_IPV6:
        return
    for _ in range(20):  # somebody else may have that port of the other one
        [first] = bound("::1")
        with contextlib.suppress(AddressError):
            [second] = bound("127.0.0.1", port_of(first))
            assert port_of(first) == port_of(second)
            return
    pytest.fail("no port is free in both families")


def test_the_receive_buffer_is_what_the_kernel_grants(bound):
    """At least some of what was asked; an absurd wish is clipped or refused by the kernel, not by us."""
    granted = [
        bound("127.0.0.1", receive_buffer_bytes=wish)[0].socket.getsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF
        )
        for wish in (1, 1 << 16, 1 << 18)
    ]
    assert 0 < granted[0] < granted[1] < granted[2]


# -- what cannot be --


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("theirs", [1, 3], ids=["alone", "sharing"])
def test_a_taken_port_is_an_error(bound, count, theirs):
    """Also where the other one shares its port: SO_REUSEPORT would split the devices between two servers."""
    port = port_of(bound("127.0.0.1", count=theirs)[0])
    with pytest.raises(AddressError, match=f"UDP port {port} of 127.0.0.1 is taken: stop what") as caught:
        bound("127.0.0.1", port, count=count)
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("count", [1, 2])
def test_an_address_of_another_machine_is_an_error(bound, count):
    """Said as what it is."""
    with pytest.raises(AddressError, match="not one of this machine's") as caught:
        bound(NOT_OURS, count=count)
    assert caught.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize("host", ["224.0.1.187", "ff05::fd"])
def test_a_group_is_no_address(bound, host):
    """What asks a group is not answered, so an edge bound to one would answer nothing."""
    with pytest.raises(AddressError, match="it is a group"):
        bound(host)


@pytest.mark.parametrize("host", ["", "no such host", "a" * 300, "127.0.0.256"])
def test_a_name_that_is_none_is_an_error(bound, host):
    """Whatever the resolver or the codec thinks of it."""
    with pytest.raises(AddressError, match="cannot listen on"):
        bound(host)


@pytest.mark.parametrize("port", [-1, 65536, 1 << 80])
def test_a_port_that_is_none_is_an_error(bound, port):
    """Ports have 16 bits, and none below 0."""
    with pytest.raises(AddressError):
        bound("127.0.0.1", port)


def test_a_failure_leaves_nothing_bound(bound):
    """Neither the port nor a socket (an unclosed one is a warning, which is an error here)."""
    [first] = bound("127.0.0.1")
    for _ in range(3):
        with pytest.raises(AddressError):
            bound("127.0.0.1", port_of(first), count=4)
    port = port_of(first)
    first.socket.close()
    bound("127.0.0.1", port, count=4)


# -- sharing a port --


def test_every_socket_of_a_port_gets_devices(bound, responder):
    """The kernel spreads 300 devices; each keeps its socket, and nothing is answered twice or not at all."""
    sockets = bound("127.0.0.1", count=4)
    assert len({port_of(one) for one in sockets}) == 1
    listeners = [Listener(one.socket.fileno(), responder) for one in sockets]
    threads = [threading.Thread(target=listener.run) for listener in listeners]
    for thread in threads:
        thread.start()
    peers = [Peer(port_of(sockets[0])) for _ in range(300)]
    try:
        for round_ in range(3):
            for peer in peers:
                peer.send(ping(round_))
            assert [peer.hear().message_id for peer in peers] == [round_] * 300
    finally:
        for listener in listeners:
            listener.stop()
        for thread in threads:
            thread.join(10)
        for peer in peers:
            peer.socket.close()
    shares = [listener.outcomes()["ping"] for listener in listeners]
    assert sum(shares) == 900
    assert all(share > 0 and share % 3 == 0 for share in shares)
    total = sum((Counter(listener.counts()) for listener in listeners), Counter())
    assert total["sent"] == 900
