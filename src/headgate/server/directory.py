"""The data directory: what a restart must find again, one server at a time."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from headgate.errors import StoreError

SECRET_BYTES = 32
DATABASE = "headgate.db"
PACKAGES = "packages"
SECRET = "secret"
LOCK = "lock"


class Directory:
    """An open data directory. It is ours until `close`, however the process ends."""

    def __init__(self, path: Path) -> None:
        """Made where it is missing. Raises StoreError when it cannot be used, or another server uses it."""
        self.path = path.absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot use the data directory {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StoreError(
                f"another server uses the data directory {self.path}: stop it, or choose another directory"
            ) from error

    def close(self) -> None:
        """Leave it to the next server."""
        os.close(self._lock)

    @property
    def packages(self) -> Path:
        """The folder of the packages."""
        return self.path / PACKAGES

    @property
    def url(self) -> str:
        """The database that is used unless another is named."""
        return f"sqlite:///{self.path / DATABASE}"

    def secret(self) -> bytes:
        """The secret of the URIs, drawn at the first start. Devices resume by URI: it must stay the same.

        Raises StoreError when it cannot be read or kept, or is not ours alone to read.
        """
        path = self.path / SECRET
        try:
            kept = self._kept(path)
            if kept is None:
                kept = secrets.token_bytes(SECRET_BYTES)
                keep_secret(path, kept)  # before anyone is given a URI
        except OSError as error:
            raise StoreError(f"cannot keep the secret of package URIs in {path}: {error.strerror}") from error
        if len(kept) != SECRET_BYTES:
            raise StoreError(
                f"{path} holds {len(kept)} bytes, not a secret of {SECRET_BYTES}: restore it from a backup, "
                "or remove it, and devices that download now start over"
            )
        return kept

    def _kept(self, path: Path) -> bytes | None:
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with open(file, "rb") as secret:
            os.fchmod(file, 0o600)  # a backup may have been restored with less care
            return secret.read(SECRET_BYTES + 1)


def keep_secret(path: Path, secret: bytes) -> None:
    """Put a secret into a file of ours alone: whole or not at all, and on the disk on return."""
    fresh = path.with_suffix(".new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as writing:
        os.fchmod(file, 0o600)
        writing.write(secret)
        writing.flush()
        os.fsync(file)
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
