"""Package files: named by their content, whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from disks import fill, small_disk
from headgate.errors import StoreError, StoreFullError
from headgate.store.packages import PackageStore

BODY = bytes(range(256)) * 10_000


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    """An empty store."""
    return PackageStore(tmp_path / "packages")


def names(tmp_path: Path) -> list[str]:
    """All that is in the folder."""
    return sorted(os.listdir(tmp_path / "packages"))


def test_chunks_become_one_file_named_by_its_content(store, tmp_path):
    """SHA-256 of the whole, however it was cut."""
    package = store.add(BODY[start : start + 777] for start in range(0, len(BODY), 777))
    assert package.sha256 == sha256(BODY).hexdigest()
    assert package.size_bytes == len(BODY)
    assert package.path == store.path(package.sha256) == tmp_path / "packages" / package.sha256
    assert package.path.read_bytes() == BODY
    assert list(store) == [package.sha256]
    assert package.sha256 in store


def test_a_file_is_copied(store, tmp_path):
    """The original may change or go: the copy stays."""
    original = tmp_path / "v2.bin"
    original.write_bytes(BODY)
    package = store.add(original)
    original.write_bytes(b"")
    assert package.path.read_bytes() == BODY


def test_the_same_content_twice_is_one_file(store, tmp_path):
    """Two campaigns with one firmware cost one file."""
    first = store.add([BODY])
    assert store.add([BODY[:5], BODY[5:]]) == first
    assert names(tmp_path) == [first.sha256]


def test_a_file_is_read_only(store):
    """Nobody opens it for writing by mistake."""
    assert store.add([BODY]).path.stat().st_mode & 0o777 == 0o444


def test_an_empty_package_is_a_file_too(store):
    """Whether it makes sense is decided elsewhere."""
    package = store.add([])
    assert (package.size_bytes, package.sha256) == (0, sha256(b"").hexdigest())


def test_remove(store, tmp_path):
    """Twice is no error; whoever serves it keeps it."""
    package = store.add([BODY])
    with package.path.open("rb") as file:
        store.remove(package.sha256)
        store.remove(package.sha256)
        assert file.read() == BODY
    assert names(tmp_path) == []
    assert package.sha256 not in store
    with pytest.raises(StoreError, match="add the package again"):
        store.path(package.sha256)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "a" * 63,
        "a" * 65,
        "A" * 64,
        "g" * 64,
        "a" * 64 + "\n",
        "a/" * 32,
    ],
)
def test_no_name_leads_out_of_the_folder(store, name):
    """Invariant 4: what is no name of ours is refused before it is a path."""
    assert name not in store
    with pytest.raises(StoreError, match="64 hexadecimal digits"):
        store.path(name)
    with pytest.raises(StoreError, match="64 hexadecimal digits"):
        store.remove(name)


def test_what_was_not_finished_is_swept_at_the_start(store, tmp_path):
    """A process that was killed while it received a package leaves nothing for ever."""
    package = store.add([BODY])
    (tmp_path / "packages" / "tmpabc.part").write_bytes(b"half")
    PackageStore(tmp_path / "packages")
    assert names(tmp_path) == [package.sha256]


def test_an_upload_that_breaks_off_leaves_nothing(store, tmp_path):
    """What the source of the chunks raises passes through."""

    def chunks():
        yield BODY
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        store.add(chunks())
    assert names(tmp_path) == []


def test_a_file_that_cannot_be_read(store, tmp_path):
    """The message names the file."""
    with pytest.raises(StoreError, match=r"missing\.bin"):
        store.add(tmp_path / "missing.bin")
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    """A file is in the way: the message names the folder."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match="file/packages"):
        PackageStore(tmp_path / "file" / "packages")


def test_full_disk(tmp_path):
    """No room: says so, leaves nothing, and works again when there is room."""
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        store = PackageStore(disk / "packages")
        kept = store.add([b"kept"])
        ballast = fill(disk)
        with pytest.raises(StoreFullError, match="free some"):
            store.add([BODY])
        assert os.listdir(disk / "packages") == [kept.sha256]
        ballast.unlink()
        assert store.add([BODY]).path.read_bytes() == BODY
        assert kept.path.read_bytes() == b"kept"


LIMITED = """
import resource, sys
from pathlib import Path
from headgate.errors import StoreError
from headgate.store.packages import PackageStore
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
store = PackageStore(Path(sys.argv[1]))
try:
    store.add([b"x" * 100_000] * 2)
except StoreError as error:
    sys.exit(str(error))
"""


def test_a_limit_on_the_size_of_files(tmp_path):
    """What needs no root: the kernel takes a part of a chunk and refuses the rest."""
    folder = tmp_path / "packages"
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ulimit -f" in done.stderr
    assert os.listdir(folder) == []
