"""An own copy of a package: what happens to the source afterwards never touches what is served.

A file is copied once into an unnamed file of ours and mapped from there, so it costs address space and
page cache, and truncating or replacing the source cannot take a served page away. The hashes are taken
while copying; the mapping itself is read by the kernel alone. A file that its owner never changes, such as
one that is named by its digest, can be mapped where it is.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from headgate.edge.mapping import map_file
from headgate.errors import PackageError, PackageTooLargeError
from headgate.wire.crc import check_code

CHUNK_BYTES = 1 << 20
BODY_MAX_BYTES = 1 << 30  # 2**20 blocks of 1024 bytes: RFC 7959 section 2.2
MAPPED_FROM_BYTES = 1 << 16  # below, a bytes object is smaller than a mapping's bookkeeping


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Bytes that no one else can change, with their SHA-256 and their PCP check code."""

    memory: bytes | memoryview
    sha256: bytes
    check_code: int


def snapshot_bytes(data: bytes | bytearray | memoryview) -> Snapshot:
    """A snapshot of bytes in memory; `bytes` are shared, anything that can change is copied."""
    body = bytes(data)
    return Snapshot(body, hashlib.sha256(body).digest(), check_code(body))


def snapshot_file(path: Path, spool: Path | None, abandoned: threading.Event) -> Snapshot:
    """A snapshot of a regular file, copied into `spool`. Blocking; run it outside the loop.

    Without a spool the file itself is mapped. Ends within a chunk once `abandoned` is set. Raises
    PackageError when that happens, when the file cannot be read or the copy not be written, and
    PackageTooLargeError when it has more bytes than Block2 can ever carry.
    """
    try:
        source = open(path, "rb", buffering=0, opener=_open)  # noqa: SIM115  (closed below)
    except (OSError, ValueError) as error:
        raise PackageError(f"cannot read {path}: {_reason(error)}") from error
    with source:
        kind = os.fstat(source.fileno()).st_mode
        if not stat.S_ISREG(kind):
            raise PackageError(f"cannot serve {path}: it is not a regular file")
        if spool is None:
            return _in_place(source.fileno(), path, abandoned)
        try:
            copy = tempfile.TemporaryFile(dir=spool, buffering=0)  # noqa: SIM115  (closed below)
        except OSError as error:
            raise PackageError(f"cannot keep a copy of {path} in {spool}: {error.strerror}") from error
        with copy:
            return _copied(source.fileno(), copy.fileno(), path, spool, abandoned)


def _in_place(source: int, path: Path, abandoned: threading.Event) -> Snapshot:
    digest = _Digest(path, abandoned)
    try:
        while chunk := os.read(source, CHUNK_BYTES):
            digest.add(chunk)
        return digest.of(_memory(source, digest.length))
    except OSError as error:
        raise PackageError(f"cannot read {path}: {error.strerror}") from error


def _copied(source: int, copy: int, path: Path, spool: Path, abandoned: threading.Event) -> Snapshot:
    digest = _Digest(path, abandoned)
    try:
        while chunk := os.read(source, CHUNK_BYTES):
            digest.add(chunk)
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(copy, rest) :]
        return digest.of(_memory(copy, digest.length))
    except OSError as error:
        raise PackageError(f"cannot copy {path} to {spool}: {error.strerror}") from error


class _Digest:
    """The hashes of a file that is being read chunk by chunk."""

    def __init__(self, path: Path, abandoned: threading.Event) -> None:
        self._path = path
        self._abandoned = abandoned
        self._sha256 = hashlib.sha256()
        self._check_code = 0
        self.length = 0

    def add(self, chunk: bytes) -> None:
        """Take the next chunk. Raises PackageError when nobody waits for the file, or nobody could."""
        if self._abandoned.is_set():
            raise PackageError(f"the copy of {self._path} was abandoned")
        self._sha256.update(chunk)
        self._check_code = check_code(chunk, self._check_code)
        self.length += len(chunk)
        if self.length > BODY_MAX_BYTES:
            raise PackageTooLargeError(
                f"{self._path} has more than {BODY_MAX_BYTES} bytes, the most that Block2 can carry"
            )

    def of(self, memory: bytes | memoryview) -> Snapshot:
        """The snapshot of what was read."""
        return Snapshot(memory, self._sha256.digest(), self._check_code)


def _memory(fd: int, length: int) -> bytes | memoryview:
    return map_file(fd, length) if length >= MAPPED_FROM_BYTES else os.pread(fd, length, 0)


def _open(path: str, flags: int) -> int:
    # A pipe without a writer would hold a plain open until one comes.
    return os.open(path, flags | os.O_NONBLOCK)


def _reason(error: OSError | ValueError) -> str:
    """What is wrong, without the path; ValueError is what a path with a NUL in it raises."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def default_spool() -> Path:
    """Where copies go unless told: /var/tmp, which is a disk where /tmp may be memory."""
    spool = Path("/var/tmp")
    return spool if os.access(spool, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
