"""Grants: one endpoint, one package, one URI that nobody else can guess, and a count of what was served."""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import socket
from itertools import count

import pytest

from headgate.errors import GrantLimitError, PathError
from headgate.model import Progress
from peer import Peer, get

SECRET = bytes(range(32))
NEVER = Progress(
    started_monotonic_s=0.0,
    served_monotonic_s=0.0,
    start_bytes=0,
    offset_bytes=0,
    position_bytes=0,
    length_bytes=0,
    blocks=0,
    bytes=0,
    repeats=0,
    runs=0,
)


def key_of(secret: bytes, endpoint: str, etag: bytes) -> str:
    """base64url, unpadded, of the first 12 bytes of HMAC-SHA-256(secret, endpoint NUL PID)."""
    digest = hmac.new(secret, endpoint.encode() + b"\x00" + etag, "sha256").digest()
    return base64.b64encode(digest[:12], altchars=b"-_").decode().rstrip("=")


# -- the URI --


@pytest.mark.parametrize("endpoint", ["urn:imei:867726030000001", "", "ü/€ 😀", "a\0b", "x" * 5000])
def test_the_key_is_the_same_wherever_it_is_computed(run, edge_of, body, endpoint):
    """One path segment of 16 characters that need no escaping, from secret, endpoint and package alone."""

    async def main() -> None:
        async with edge_of(secret=SECRET) as edge:
            package = await edge.load(body)
            grant = edge.grant(package, endpoint)
            assert grant.key == key_of(SECRET, endpoint, package.etag)
            assert re.fullmatch(r"[A-Za-z0-9_-]{16}", grant.key)
            assert grant.uri == f"coap://127.0.0.1:{edge.port}/{grant.key}"
            assert (grant.endpoint, grant.package) == (endpoint, package)
            assert grant.uri in repr(grant)

    run(main())


def test_a_restart_with_the_same_secret_is_not_noticed(run, edge_of, body, long_body):
    """The device resumes by URI on the new process; another secret, endpoint or package makes another key."""

    async def main() -> None:
        keys = []
        for secret in (SECRET, SECRET, bytes(32), None, None):
            async with edge_of(secret=secret) as edge:
                keys.append(edge.grant(await edge.load(body), "device").key)
        assert keys[0] == keys[1]
        async with edge_of(secret=SECRET) as edge:
            keys.append(edge.grant(await edge.load(body), "other device").key)
            keys.append(edge.grant(await edge.load(long_body), "device").key)
        assert len(set(keys)) == len(keys) - 1

    run(main())


@pytest.mark.parametrize(
    ("authority", "uri"),
    [
        ("edge.example", "coap://edge.example/"),
        ("edge.example:5000", "coap://edge.example:5000/"),
        ("[2001:db8::1]:5000", "coap://[2001:db8::1]:5000/"),
    ],
)
def test_the_authority_is_the_owners(run, edge_of, body, authority, uri):
    """What devices resolve is not what the edge is bound to."""

    async def main() -> None:
        async with edge_of(authority=authority) as edge:
            grant = edge.grant(await edge.load(body), "device")
            assert grant.uri == uri + grant.key

    run(main())


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.9", "127.0.0.9"), ("0.0.0.0", socket.gethostname()), (None, socket.gethostname())],
)
def test_without_one_it_is_the_bound_address(run, edge_of, host, expected):
    """Every address at once has the name of the machine."""

    async def main() -> None:
        async with edge_of(host=host) as edge:
            assert edge.authority == f"{expected}:{edge.port}"

    run(main())


def test_the_port_of_coap_is_left_out(run, edge_of):
    """RFC 7252 section 6.1: 5683 is the default. Each request repeats what is left in the URI."""

    async def main() -> None:
        async with edge_of(host="127.85.27.9", port=5683) as edge:
            assert edge.authority == "127.85.27.9"

    run(main())


def test_a_uri_has_255_bytes_at_most(run, edge_of, body):
    """LwM2M object 5, resource 1; bytes, not characters."""

    async def main() -> None:
        for authority, fits in [("a" * 231, True), ("a" * 232, False), ("ü" * 115, True), ("ü" * 116, False)]:
            async with edge_of(authority=authority) as edge:
                package = await edge.load(body)
                if fits:
                    assert len(edge.grant(package, "device").uri.encode()) in (254, 255)
                else:
                    with pytest.raises(PathError, match="at most 255 bytes, not 256"):
                        edge.grant(package, "device")
                    assert edge.stats.grants == 0

    run(main())


# -- granting and withdrawing --


def test_a_key_is_served_from_grant_to_withdrawal(run, edge_of, download, code_of, threads, body):
    """Before and after it is 4.04: to grant and to withdraw is what admission does."""

    async def main() -> None:
        async with edge_of(secret=SECRET, threads=threads) as edge:
            package = await edge.load(body)
            key = key_of(SECRET, "device", package.etag)
            assert await code_of(edge, key) == "4.04"
            grant = edge.grant(package, "device")
            assert await download(edge, key, 3) == body
            assert edge.withdraw(grant) is True
            assert await code_of(edge, key) == "4.04"
            assert edge.withdraw(grant) is False
            assert edge.grant(package, "device").key == key
            assert await download(edge, key, 3) == body

    run(main())


def test_the_same_grant_again_is_the_same_grant(run, edge_of, body, download):
    """For the same endpoint and bytes, however often they were loaded; progress goes on."""

    async def main() -> None:
        async with edge_of() as edge:
            grant = edge.grant(await edge.load(body), "device")
            assert await download(edge, grant.key) == body
            assert edge.grant(await edge.load(body), "device") is grant
            assert grant.progress.blocks == 5
            assert edge.grant(await edge.load(body), "other") is not grant
            assert edge.stats.grants == 2

    run(main())


def test_a_grant_of_another_edge_is_not_withdrawn(run, edge_of, body, download):
    """Nor one that this edge has replaced by a newer one."""

    async def main() -> None:
        async with edge_of(secret=SECRET) as edge, edge_of(secret=SECRET) as other:
            package = await edge.load(body)
            ours, theirs = edge.grant(package, "device"), other.grant(package, "device")
            assert edge.withdraw(theirs) is False
            assert await download(edge, ours.key) == await download(other, theirs.key) == body
            edge.withdraw(ours)
            newer = edge.grant(package, "device")
            assert edge.withdraw(ours) is False
            assert await download(edge, newer.key) == body

    run(main())


def test_grants_are_not_listed_and_not_counted_as_packages(run, edge_of, body, download):
    """Their URIs are secrets."""

    async def main() -> None:
        async with edge_of() as edge:
            edge.grant(await edge.load(body), "device")
            await edge.publish("fw", body)
            links = b""
            while not links:  # the list is written at the loop's next turn
                links = await download(edge, ".well-known/core", 0)
            assert links == b"</fw>;ct=42;sz=5000"
            assert (edge.stats.packages, edge.stats.grants) == (1, 1)

    run(main())


def test_a_public_path_that_is_the_key_is_in_the_way(run, edge_of, body):
    """Somebody knew the secret; the grant is refused, and nothing of it stays."""

    async def main() -> None:
        async with edge_of(secret=SECRET) as edge:
            package = await edge.load(body)
            await edge.publish(key_of(SECRET, "device", package.etag), package)
            for _ in range(3):
                with pytest.raises(Exception, match="withdraw it"):
                    edge.grant(package, "device")
            assert edge.stats.grants == 0

    run(main())


def test_the_number_of_grants_is_bounded(run, edge_of, body, threads):
    """`grants_max` at once; what is withdrawn makes room."""

    async def main() -> None:
        async with edge_of(grants_max=3, threads=threads) as edge:
            package = await edge.load(body)
            grants = [edge.grant(package, f"device {number}") for number in range(3)]
            for _ in range(3):
                with pytest.raises(GrantLimitError, match="all 3 grants are given: withdraw some"):
                    edge.grant(package, "one more")
                assert edge.grant(package, "device 2") is grants[2]
                assert edge.stats.grants == 3
            for number in range(100):
                edge.withdraw(grants[number % 3])
                grants[number % 3] = edge.grant(package, f"next device {number}")
            assert edge.stats.grants == 3

    run(main())


# -- progress --


def test_progress_says_what_was_served(run, edge_of, threads, body):
    """By the edge's own count: nothing is asked of the device."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            grant = edge.grant(await edge.load(body), "device")
            assert grant.progress == NEVER
            assert grant.progress.served_to_end is False
            with Peer(edge.port) as peer:
                for num in (0, 1, 1, 3):  # one is repeated, one is left out
                    await asyncio.to_thread(peer.ask, grant.key, (num, 6))
            progress = grant.progress
            assert (progress.start_bytes, progress.offset_bytes) == (3072, 4096)
            assert (progress.position_bytes, progress.length_bytes) == (4096, 5000)
            assert (progress.blocks, progress.repeats, progress.runs) == (4, 1, 2)
            assert progress.bytes == 4096
            assert 0 < progress.started_monotonic_s < progress.served_monotonic_s
            assert progress.served_to_end is False

    run(main())


def test_errors_are_no_progress(run, edge_of, code_of, body):
    """Only 2.05 is counted."""

    async def main() -> None:
        async with edge_of() as edge:
            grant = edge.grant(await edge.load(body), "device")
            assert await code_of(edge, grant.key, code=0x02) == "4.05"
            assert await code_of(edge, grant.key, options=((17, b"\x3c"),)) == "4.06"
            assert await code_of(edge, grant.key, options=((4, grant.package.etag),)) == "2.03"
            assert grant.progress == NEVER

    run(main())


def test_a_withdrawal_makes_room_at_once(run, edge_of, body):
    """At the limit and under load: a listener that is still busy with the old one is no reason to refuse."""

    async def main() -> None:
        async with edge_of(grants_max=2, threads=1) as edge:
            package = await edge.load(body)
            grant = edge.grant(package, "device")
            with Peer(edge.port) as peer:
                for number in range(300):
                    peer.send(get(grant.key, (0, 6), message_id=number))
                    edge.withdraw(grant)
                    grant = edge.grant(package, f"device {number}")
                    edge.withdraw(edge.grant(package, f"other {number}"))
            assert edge.stats.grants == 1

    run(main())


def test_progress_is_frozen_by_the_withdrawal(run, edge_of, code_of, threads, body):
    """The record goes to another grant: the old one keeps what had been served, the new one starts at 0."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            package = await edge.load(body)
            old = edge.grant(package, "device")
            with Peer(edge.port) as peer:
                for num in (0, 1):
                    await asyncio.to_thread(peer.ask, old.key, (num, 6))
                edge.withdraw(old)
                frozen = old.progress
                assert (frozen.offset_bytes, frozen.blocks) == (2048, 2)
                assert await code_of(edge, old.key) == "4.04"

                # Until the old one's record is free the others take new ones, and keep them.
                grants = (edge.grant(package, f"other device {number}") for number in count())
                new = next(grant for grant in grants if grant.index == old.index)
                assert new.progress == NEVER
                await asyncio.to_thread(peer.download, new.key)
            assert new.progress.served_to_end
            assert old.progress == frozen

    run(main())


def test_a_resumed_download_is_one_grant(run, edge_of, threads, body):
    """From a new port, at a block of another size, after a while: the same record goes on."""

    async def main() -> None:
        async with edge_of(threads=threads) as edge:
            grant = edge.grant(await edge.load(body), "device")
            with Peer(edge.port) as peer:
                for num in (0, 1):
                    await asyncio.to_thread(peer.ask, grant.key, (num, 6))
            with Peer(edge.port) as peer:
                rest = await asyncio.to_thread(peer.download, grant.key, 4, first=8)
            assert rest == body[2048:]
            assert grant.progress.served_to_end
            assert (grant.progress.start_bytes, grant.progress.runs) == (0, 1)

    run(main())


def test_secrets_are_random(run, edge_of, body):
    """When none is given, URIs of one process say nothing about the next one's."""

    async def main() -> None:
        keys = set()
        for _ in range(20):
            async with edge_of() as edge:
                keys.add(edge.grant(await edge.load(body), "device").key)
        assert len(keys) == 20

    run(main())


def test_a_uri_is_known_before_the_grant(run, edge_of, body):
    """It is part of what a task stores first; the package may not even be loaded yet."""

    async def main() -> None:
        async with edge_of(secret=b"the same after a restart") as edge:
            package = await edge.load(body)
            uri = edge.uri(package.etag, "device")
            assert edge.uri(package, "device") == uri
            assert edge.stats.grants == 0
            assert edge.grant(package, "device").uri == uri
            assert edge.uri(package, "another device") != uri

    run(main())


def test_a_uri_that_no_device_can_be_given_is_refused(run, edge_of):
    """LwM2M's Package URI has at most 255 bytes."""

    async def main() -> None:
        async with edge_of(authority="x" * 240) as edge:
            with pytest.raises(PathError, match="at most 255 bytes"):
                edge.uri(bytes(8), "device")

    run(main())
