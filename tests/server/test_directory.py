"""The data directory: one server at a time, and a secret that stays the same."""

from __future__ import annotations

import os
import stat

import pytest

from headgate.errors import StoreError
from headgate.server.directory import SECRET_BYTES, Directory


def test_it_is_made_and_private(tmp_path):
    """Nobody else on the machine reads the secret or the devices."""
    directory = Directory(tmp_path / "var" / "headgate")
    secret = directory.secret()
    assert len(secret) == SECRET_BYTES
    assert stat.S_IMODE((tmp_path / "var" / "headgate").stat().st_mode) == 0o700
    assert stat.S_IMODE((directory.path / "secret").stat().st_mode) == 0o600
    assert sorted(os.listdir(directory.path)) == ["lock", "secret"]
    directory.close()


def test_the_secret_outlives_the_process(tmp_path):
    """Devices resume by a URI that is made of it (design: grants)."""
    secrets = []
    for _ in range(2):
        directory = Directory(tmp_path)
        secrets.append(directory.secret())
        directory.close()
    assert secrets[0] == secrets[1]
    other = Directory(tmp_path / "other")
    assert other.secret() != secrets[0]
    other.close()


def test_a_restored_secret_becomes_private_again(tmp_path):
    """A backup may have been unpacked with less care."""
    directory = Directory(tmp_path)
    secret = directory.secret()
    (tmp_path / "secret").chmod(0o644)
    assert directory.secret() == secret
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    directory.close()


@pytest.mark.parametrize("kept", [b"", b"short", bytes(SECRET_BYTES + 1)])
def test_half_a_secret_is_none(tmp_path, kept):
    """It is not replaced behind the operator's back: every download would start over."""
    (tmp_path / "secret").write_bytes(kept)
    directory = Directory(tmp_path)
    with pytest.raises(StoreError, match=f"holds {len(kept)} bytes, not a secret of 32"):
        directory.secret()
    directory.close()


def test_a_second_server_is_refused(tmp_path):
    """Until the first one has let go of it."""
    first = Directory(tmp_path)
    with pytest.raises(StoreError, match=f"another server uses the data directory {tmp_path}"):
        Directory(tmp_path)
    first.close()
    Directory(tmp_path).close()


@pytest.mark.parametrize("what", ["file", "file/below"])
def test_what_is_no_directory_is_refused(tmp_path, what):
    """In one line, with the path and the reason."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot use the data directory .*file"):
        Directory(tmp_path / what)


def test_a_secret_that_cannot_be_kept_is_refused(tmp_path):
    """A directory stands where it should be."""
    (tmp_path / "secret").mkdir()
    directory = Directory(tmp_path)
    with pytest.raises(StoreError, match="cannot keep the secret"):
        directory.secret()
    directory.close()
