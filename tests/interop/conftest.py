"""A body that other people's clients download, and where those clients are."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

BODY = random.Random(9177).randbytes(300_001)  # 18,751 blocks of 16 bytes, the last one of one byte


@pytest.fixture(scope="session")
def body() -> bytes:
    """What is downloaded."""
    return BODY


@pytest.fixture
def body_file(tmp_path: Path) -> Path:
    """The same, as a file."""
    path = tmp_path / "v2.bin"
    path.write_bytes(BODY)
    return path


@pytest.fixture(scope="session")
def coap_client() -> str:
    """The client of libcoap without DTLS. The one program that may be missing, though not in CI."""
    found = shutil.which("coap-client-notls")
    if found is None:
        why = "coap-client-notls is not installed (Debian: libcoap3-bin)"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found
