"""The vendors' archive: a zip with a package and `UpgradeDesc.json` beside it, which says what it is.

    {"specVersion": "1.0", "fileName": "app.bin", "packageType": "softwarePackage", "version": "V1.1",
     "deviceShard": 500, "versionCheckCode": "4EA0", "supportSourceVersionList": [], "date": "2024-05-01",
     "deviceType": "", "manufacturerName": "", "model": "", "protocolType": "", "platform": "",
     "description": ""}

An archive comes from outside, so nothing in it is believed. Nothing is written to a place that it names: the
package is handed over as chunks. Entries, sizes, and how far anything unpacks are bounded, before it is
unpacked and while it is; the directory is bounded before `zipfile` reads it, which would make an object of
each of a million entries. An archive with a name that leaves its folder, or that comes twice, with a link or
anything encrypted is refused as a whole.

    >>> with VendorArchive(Path("app.zip")) as archive:      # doctest: +SKIP
    ...     archive.description.version, sum(map(len, archive.chunks()))
    ('V1.1', 1300)
"""

from __future__ import annotations

import json
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from headgate.errors import ArchiveError

DESCRIPTOR = "UpgradeDesc.json"
CHUNK_SIZE = 64 * 1024
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
ENCRYPTED = 0x1

END = b"PK\x05\x06"  # end of central directory
END_SIZE = 22
END64_LOCATOR = b"PK\x06\x07"
END64_LOCATOR_SIZE = 20
COMMENT_SIZE_MAX = 0xFFFF
DIRECTORY_SIZE_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveBounds:
    """How large an archive may be, packed and unpacked."""

    archive_bytes: int = 64 * 1024 * 1024
    package_bytes: int = 64 * 1024 * 1024
    descriptor_bytes: int = 64 * 1024
    entries: int = 64
    ratio: int = 100
    """Unpacked bytes for each packed one; firmware reaches 4 or 5, padding with it perhaps 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDescription:
    """What `UpgradeDesc.json` says, as far as it matters to us. Empty where it says nothing."""

    file_name: str
    package_type: str = ""
    """`softwarePackage` or `firmwarePackage`."""
    version: str
    segment_size_bytes: int | None = None
    """deviceShard."""
    version_check_code: str = ""
    """versionCheckCode, four hexadecimal digits."""
    source_versions: frozenset[str] = frozenset()
    """supportSourceVersionList: the versions that may be upgraded from; empty for any."""
    product: str = ""
    """model."""
    manufacturer: str = ""
    device_type: str = ""
    protocol: str = ""
    description: str = ""


class VendorArchive:
    """An archive, opened and checked, for a `with` statement. Raises ArchiveError, also from `chunks`."""

    def __init__(self, path: Path, bounds: ArchiveBounds | None = None) -> None:
        self.bounds = bounds or ArchiveBounds()
        self._file = path.open("rb")
        try:
            check_directory(self._file, self.bounds)
            self._zip = zipfile.ZipFile(self._file)
            self._entries = checked_entries(self._zip.infolist(), self.bounds)
            self.description = self._described()
            self._package = self._entries[self.description.file_name]
            self._check_size(self._package, self.bounds.package_bytes)
        # As zipfile raises: damaged, of a method that it does not know, a name that is no text, cut off.
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, EOFError) as error:
            self._file.close()
            raise ArchiveError(f"no zip archive that we can read: {error}") from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """No chunks any more."""
        self._zip.close()
        self._file.close()

    @property
    def size_bytes(self) -> int:
        """Of the package. `chunks` comes to the same, or raises."""
        return self._package.file_size

    def chunks(self) -> Iterator[bytes]:
        """The package, from beginning to end; at most as many bytes as the archive says that it has."""
        yield from self._read(self._package)

    def _described(self) -> PackageDescription:
        found = [name for name in self._entries if name.rsplit("/", 1)[-1] == DESCRIPTOR]
        if len(found) != 1:
            raise ArchiveError(f"an archive has one {DESCRIPTOR}, this one has {len(found)}")
        entry = self._entries[found[0]]
        self._check_size(entry, self.bounds.descriptor_bytes)
        description = describe(b"".join(self._read(entry)), folder=found[0].removesuffix(DESCRIPTOR))
        if description.file_name not in self._entries:
            raise ArchiveError(f"{DESCRIPTOR} names {description.file_name!r}, which is not in the archive")
        return description

    def _check_size(self, entry: zipfile.ZipInfo, bytes_max: int) -> None:
        if not 0 < entry.file_size <= bytes_max:
            raise ArchiveError(f"{entry.filename!r} has {entry.file_size} bytes, not 1 to {bytes_max}")
        if entry.file_size > entry.compress_size * self.bounds.ratio:
            raise ArchiveError(f"{entry.filename!r} unpacks to more than {self.bounds.ratio} times its size")

    def _read(self, entry: zipfile.ZipInfo) -> Iterator[bytes]:
        """`zipfile` stops at the size that the entry declares, and compares its CRC there."""
        left = entry.file_size
        try:
            with self._zip.open(entry) as stream:
                while left > 0 and (chunk := stream.read(min(left, CHUNK_SIZE))):
                    left -= len(chunk)
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise ArchiveError(f"{entry.filename!r} is damaged: {error}") from error
        if left:
            raise ArchiveError(f"{entry.filename!r} ends {left} bytes early")


def check_directory(file: BinaryIO, bounds: ArchiveBounds) -> None:
    """Raises ArchiveError where the directory is larger than we read, judged as `zipfile` will find it.

    The archives of more than 4 GiB or 65535 entries have a second directory end: they are too large anyway.
    """
    size = file.seek(0, 2)
    if size > bounds.archive_bytes:
        raise ArchiveError(f"an archive has at most {bounds.archive_bytes} bytes, this one has {size}")
    tail_size = min(size, END_SIZE + COMMENT_SIZE_MAX + END64_LOCATOR_SIZE)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    file.seek(0)
    at = len(tail) - END_SIZE
    if at < 0 or not (tail.startswith(END, at) and tail.endswith(b"\0\0")):
        at = tail.rfind(END)
    if at < 0 or len(tail) - at < END_SIZE:
        raise ArchiveError("no zip archive: it has no directory")
    if END64_LOCATOR in tail[max(0, at - END64_LOCATOR_SIZE) : at]:
        raise ArchiveError("a zip64 archive is larger than a package can be")
    entries = int.from_bytes(tail[at + 10 : at + 12], "little")
    directory_size = int.from_bytes(tail[at + 12 : at + 16], "little")
    if entries > bounds.entries or directory_size > DIRECTORY_SIZE_MAX:
        raise ArchiveError(
            f"an archive has at most {bounds.entries} entries, this one has {entries}"
            f" in a directory of {directory_size} bytes"
        )


def checked_entries(entries: list[zipfile.ZipInfo], bounds: ArchiveBounds) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by their names. Raises ArchiveError where one of them is not what files are."""
    if len(entries) > bounds.entries:
        raise ArchiveError(f"an archive has at most {bounds.entries} entries, this one has {len(entries)}")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.orig_filename  # `filename` is cut at a zero byte, and has its backslashes turned
        check_name(name)
        if name in found:
            raise ArchiveError(f"{name!r} is twice in the archive")
        if entry.header_offset < 0:
            raise ArchiveError(f"{name!r} begins before the archive")
        if entry.flag_bits & ENCRYPTED:
            raise ArchiveError(f"{name!r} is encrypted")
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArchiveError(f"{name!r} is a link or a device")
        if entry.compress_type not in METHODS:
            raise ArchiveError(f"{name!r} is packed by method {entry.compress_type}, not stored or deflated")
        if not entry.is_dir():
            found[name] = entry
    return found


def check_name(name: str) -> None:
    """Raises ArchiveError for a name that would leave the folder, or be read as another one elsewhere."""
    parts = name.removesuffix("/").split("/")
    if not name.isprintable() or any(sign in name for sign in "\\:") or {"", ".", ".."} & set(parts):
        raise ArchiveError(f"{name!r} is no name of a file in an archive")


def describe(document: bytes, *, folder: str = "") -> PackageDescription:
    """What a descriptor says. Raises ArchiveError. `folder`: where in the archive it lies, with its slash.

    Numbers may be strings, as some vendors write them; keys that we do not know are not looked at.

    >>> describe(b'{"fileName": "a.bin", "version": "V1", "deviceShard": "256"}').segment_size_bytes
    256
    """
    try:
        said = json.loads(document.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"{DESCRIPTOR} is no JSON in UTF-8: {error}") from error
    if not isinstance(said, dict):
        raise ArchiveError(f"{DESCRIPTOR} holds an object, not {type(said).__name__}")
    name = text_of(said, "fileName")
    check_name(name)
    if not name or name.endswith("/"):
        raise ArchiveError(f"{DESCRIPTOR}: fileName says which file is the package")
    version = text_of(said, "version")
    if not version:
        raise ArchiveError(f"{DESCRIPTOR}: version says what the package makes of a device")
    return PackageDescription(
        file_name=folder + name,
        package_type=text_of(said, "packageType"),
        version=version,
        segment_size_bytes=number_of(said, "deviceShard"),
        version_check_code=code_of(said),
        source_versions=versions_of(said),
        product=text_of(said, "model"),
        manufacturer=text_of(said, "manufacturerName"),
        device_type=text_of(said, "deviceType"),
        protocol=text_of(said, "protocolType"),
        description=text_of(said, "description"),
    )


def refused(key: str, wanted: str, value: object) -> ArchiveError:
    """The error for a value of another kind."""
    return ArchiveError(f"{DESCRIPTOR}: {key} is {wanted}, not {str(value)[:40]!r}")


def text_of(said: dict[str, Any], key: str) -> str:
    """A string; empty where it is missing or null."""
    value = said.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise refused(key, "a string", value)
    return value


def number_of(said: dict[str, Any], key: str) -> int | None:
    """A number, or one in a string; None where it is missing or empty."""
    value = said.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise refused(key, "a number", value)
    return value


def code_of(said: dict[str, Any]) -> str:
    """The check code's digits. A number means its digits as they stand: 1234 is sent as the bytes 12 34."""
    key = "versionCheckCode"
    value = said.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 9999:
        return f"{value:04d}"
    if value is not None and not isinstance(value, str):
        raise refused(key, "four hexadecimal digits", value)
    return value or ""


def versions_of(said: dict[str, Any]) -> frozenset[str]:
    """A list of strings; empty where it is missing or null."""
    key = "supportSourceVersionList"
    value = said.get(key) or []
    if not isinstance(value, list) or not all(isinstance(version, str) for version in value):
        raise refused(key, "a list of strings", value)
    return frozenset(version for version in value if version)
