"""libcoap's client downloads from the edge."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from headgate import Edge

PATIENCE_S = 60


def fetch(client: str, out: Path, uri: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Download to `out`; the client says on its standard error what it does not like."""
    return subprocess.run(
        [client, "-v", "4", "-B", str(PATIENCE_S), *options, "-o", str(out), uri],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def fetched(coap_client, body_file, tmp_path):
    """Downloads `path` of an Edge that serves the body as "fw/v2.bin"; returns the bytes."""

    def fetching(path: str, *options: str, threads: int = 0) -> bytes:
        out = tmp_path / "out.bin"

        async def main() -> None:
            edge = Edge(host="127.0.0.1", port=0, threads=threads, spool=tmp_path)
            edge.bind()
            grant = edge.grant(await edge.publish("fw/v2.bin", body_file), "device")
            uri = f"coap://127.0.0.1:{edge.port}/{path.format(key=grant.key)}"
            async with edge:
                done = await asyncio.to_thread(fetch, coap_client, out, uri, *options)
                assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

        asyncio.run(main())
        return out.read_bytes()

    return fetching


@pytest.mark.parametrize("threads", [0, 2])
@pytest.mark.parametrize("size", [None, 16, 64, 512, 1024])
def test_the_body_arrives_in_blocks_of_any_size(fetched, body, size, threads):
    """Byte for byte; without a size the edge chooses."""
    options = () if size is None else ("-b", str(size))
    assert fetched("fw/v2.bin", *options, threads=threads) == body


def test_a_grant_is_downloaded_by_its_uri(fetched, body):
    """The URI is all that a device needs to know."""
    assert fetched("{key}", "-b", "512") == body


def test_non_confirmable_requests_are_answered(fetched, body):
    """NON for a NON, also in blocks."""
    assert fetched("fw/v2.bin", "-N", "-b", "1024") == body


@pytest.mark.parametrize(("num", "size"), [(37, 512), (37, 16), (18_750, 16), (292, 1024)])
def test_any_block_may_be_asked_first(fetched, body, num, size):
    """By a client that nobody has heard of. It asks for that one alone."""
    assert fetched("fw/v2.bin", "-b", f"{num},{size}") == body[num * size :][:size]


def test_lost_requests_are_asked_again(fetched, body):
    """One datagram does not leave the client; its repetition is answered like anything else."""
    assert fetched("fw/v2.bin", "-b", "1024", "-l", "40") == body


def test_the_list_of_packages_is_found(fetched):
    """`/.well-known/core`: what an application asks first. RFC 6690."""
    assert fetched(".well-known/core") == b"</fw/v2.bin>;ct=42;sz=300001"
