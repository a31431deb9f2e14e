"""Package bytes as files, each named by the SHA-256 of what is in it.

Invariants
 1. A file under such a name holds those bytes, all of them, on the disk: it got the name when it was whole.
 2. The same content twice is one file.
 3. Nothing else stays in the folder: what was not finished is swept when the store is opened.
 4. A name is 64 hexadecimal digits, so none leads out of the folder.

The row of a package is put after its file is there, and deleted before its file is: a crash in between leaves
a file that no row names, never a row without a file.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from headgate.errors import StoreError
from headgate.store.disk import disk_fault

CHUNK_BYTES = 1 << 20
UNFINISHED = ".part"
NAME = re.compile(r"[0-9a-f]{64}")
MODE = 0o444  # nobody changes a package, we neither


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPackage:
    """A file of the store."""

    sha256: str
    """Its name: 64 hexadecimal digits."""
    size_bytes: int
    path: Path


class PackageStore:
    """The files of one folder. Methods do blocking I/O: call them beside the loop. Any thread may."""

    def __init__(self, folder: Path) -> None:
        """Make the folder where it is missing, and remove what an earlier process left unfinished."""
        self._folder = folder.absolute()
        with self._mending():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._folder.glob(f"*{UNFINISHED}"):
                path.unlink(missing_ok=True)

    def add(self, source: Path | Iterable[bytes]) -> StoredPackage:
        """Store a file's content, or what these chunks make together.

        StoreFullError, StoreError, and what the chunks' source raises: nothing is left behind.
        """
        if isinstance(source, Path):
            with opened(source) as chunks:
                return self._add(chunks)
        return self._add(source)

    @contextmanager
    def received(self, chunks: Iterable[bytes]) -> Iterator[Path]:
        """What these chunks make together, in a file without a name, which goes when the context ends.

        For what comes slowly, and is known to be a package when it is there. StoreError.
        """
        with self._mending():
            descriptor, name = tempfile.mkstemp(suffix=UNFINISHED, dir=self._folder)
        unfinished = Path(name)
        try:
            with open(descriptor, "wb", buffering=0) as file:
                for chunk in chunks:
                    with self._mending():
                        write_all(file.fileno(), chunk)
            yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)

    def _add(self, chunks: Iterable[bytes]) -> StoredPackage:
        with self._mending():
            descriptor, name = tempfile.mkstemp(suffix=UNFINISHED, dir=self._folder)
        unfinished = Path(name)
        digest = sha256()
        size_bytes = 0
        try:
            with open(descriptor, "wb", buffering=0) as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size_bytes += len(chunk)
                    with self._mending():
                        write_all(file.fileno(), chunk)
                with self._mending():
                    os.fchmod(file.fileno(), MODE)
                    os.fsync(file.fileno())
            path = self._folder / digest.hexdigest()
            with self._mending():
                os.replace(unfinished, path)
                self._sync()
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        return StoredPackage(sha256=path.name, size_bytes=size_bytes, path=path)

    def path(self, sha256: str) -> Path:
        """Where the file of that name is; StoreError where there is none."""
        path = self._named(sha256)
        if not path.is_file():
            raise StoreError(f"no package file {sha256} in {self._folder}: add the package again")
        return path

    def remove(self, sha256: str) -> None:
        """Remove the file of that name, if there is one. Whoever has opened it keeps it."""
        path = self._named(sha256)
        with self._mending():
            path.unlink(missing_ok=True)
            self._sync()

    def __contains__(self, sha256: str) -> bool:
        """Whether there is a file of that name."""
        return NAME.fullmatch(sha256) is not None and self._named(sha256).is_file()

    def __iter__(self) -> Iterator[str]:
        """The names of all files."""
        with self._mending():
            names = sorted(path.name for path in self._folder.iterdir() if NAME.fullmatch(path.name))
        return iter(names)

    def _named(self, sha256: str) -> Path:
        if not NAME.fullmatch(sha256):
            raise StoreError(f"a package file is named by 64 hexadecimal digits, not {sha256!r}")
        return self._folder / sha256

    def _sync(self) -> None:
        """Put the folder itself on the disk: which names it has."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _mending(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_fault(error, self._folder) from error


@contextmanager
def opened(path: Path) -> Iterator[Iterator[bytes]]:
    """The content of a file in chunks; StoreError where it cannot be read."""
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield iter(lambda: file.read(CHUNK_BYTES), b"")


def write_all(descriptor: int, chunk: bytes) -> None:
    """Write all of it: the kernel takes less at once where a disk is nearly full."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
