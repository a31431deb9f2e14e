"""What is SQLite's own: the file, its lock, its disk."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from disks import fill, small_disk
from headgate.errors import StoreError, StoreFullError
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.store.tables import events, tasks
from rows import event, task

ROWS = 2_000  # a batch that needs more room than a small disk has left


def batch_of(start: int, count: int = ROWS) -> Batch:
    """Tasks, their events and their number, from `start` on."""
    batch = Batch()
    for number in range(start, start + count):
        batch.put(tasks, task(number))
        batch.append(events, event(number))
    batch.add(("c", "tasks"), count)
    return batch


def assert_holds(database: Database, count: int) -> None:
    """Everything up to `count` is there once."""
    assert database.counters("c") == ({"tasks": count} if count else {})
    assert sum(map(len, database.chunks(tasks))) == sum(map(len, database.chunks(events))) == count


def test_folders_are_made(tmp_path):
    """For nobody but us: tokens and addresses of devices are in there."""
    Database.open(f"sqlite:///{tmp_path}/a/b/headgate.db").close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o077 == 0


def test_every_commit_is_synced(tmp_path):
    """Invariant 2: a log that is synced with every commit, read by others meanwhile."""
    database = Database.open(f"sqlite:///{tmp_path}/headgate.db")
    seen = {}
    with database.reading() as reader:
        for pragma in ("journal_mode", "synchronous", "query_only"):
            seen[pragma] = reader.execute(text(f"PRAGMA {pragma}")).scalar_one()
    database.close()
    assert seen == {"journal_mode": "wal", "synchronous": 2, "query_only": 1}


def test_another_process_is_refused(tmp_path):
    """Its message names ours; once we have closed it may."""
    command = [sys.executable, "-c", "import sys; from headgate.store.database import Database; "]
    command[-1] += "Database.open(sys.argv[1]).close()"
    url = f"sqlite:///{tmp_path}/headgate.db"
    database = Database.open(url)
    done = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    assert f"open in another process (pid {os.getpid()})" in done.stderr
    database.close()
    subprocess.run([*command, url], check=True)


def test_one_file_has_one_lock(tmp_path):
    """Whatever path leads to it."""
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    database = Database.open(f"sqlite:///{tmp_path}/folder/headgate.db")
    with pytest.raises(StoreError, match="another process"):
        Database.open(f"sqlite:///{tmp_path}/link/headgate.db")
    database.close()


@pytest.mark.parametrize("name", ["file/headgate.db", "folder"])
def test_a_place_that_cannot_be_used(tmp_path, name):
    """A file where a folder must be, a folder where the file must be: the message names the place."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=name.split("/")[0]):
        Database.open(f"sqlite:///{tmp_path}/{name}")


def test_a_file_that_is_no_database(tmp_path):
    """Refused, and left as it is."""
    path = tmp_path / "headgate.db"
    path.write_bytes(b"no database, but somebody's notes" * 100)
    with pytest.raises(StoreError, match="no database"):
        Database.open(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"no database")


def test_a_damaged_file(tmp_path):
    """What SQLite finds wrong in it is said, with what can be done."""
    path = tmp_path / "headgate.db"
    database = Database.open(f"sqlite:///{path}")
    database.commit(batch_of(0))
    database.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreError, match="restore it from a backup"):
        list(Database.open(f"sqlite:///{path}").chunks(tasks))


def test_full_disk(tmp_path):
    """Nothing of the batch is stored, nothing of it is lost: the same batch is stored once there is room."""
    with small_disk(tmp_path / "disk", 16 << 20) as disk:
        database = Database.open(f"sqlite:///{disk}/headgate.db")
        database.commit(batch_of(0))
        ballast = fill(disk)
        batch = batch_of(ROWS)
        for _ in range(3):
            with pytest.raises(StoreFullError, match="free some"):
                database.commit(batch)
            assert_holds(database, ROWS)
        ballast.unlink()
        database.commit(batch)
        assert_holds(database, 2 * ROWS)
        database.close()
        again = Database.open(f"sqlite:///{disk}/headgate.db")
        assert_holds(again, 2 * ROWS)
        again.close()


def test_a_disk_that_fills_up_while_commits_go_on(tmp_path):
    """Whichever commit it is that finds no room, those before are there and it is stored later."""
    with small_disk(tmp_path / "disk", 3 << 20) as disk:
        database = Database.open(f"sqlite:///{disk}/headgate.db")
        (disk / "ballast").write_bytes(b"\0" * (1 << 20))
        count, batch = commit_until_full(database)
        assert_holds(database, count)
        (disk / "ballast").unlink()
        database.commit(batch)
        assert_holds(database, count + 100)
        database.close()


def commit_until_full(database: Database) -> tuple[int, Batch]:
    """How many tasks were stored, and the batch of the next 100 that found no room."""
    for count in range(0, 100_000, 100):
        batch = batch_of(count, 100)
        try:
            database.commit(batch)
        except StoreFullError:
            return count, batch
    raise AssertionError("the disk is not full yet")


def test_no_room_to_begin_with(tmp_path):
    """Opening says so too, and works later."""
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        ballast = fill(disk)
        with pytest.raises(StoreFullError, match="free some"):
            Database.open(f"sqlite:///{disk}/headgate.db")
        ballast.unlink()
        database = Database.open(f"sqlite:///{disk}/headgate.db")
        database.commit(batch_of(0, 10))
        assert_holds(database, 10)
        database.close()


LIMITED = """
import json, resource, sys
sys.path[:0] = json.loads(sys.argv[2])
from test_sqlite import ROWS, assert_holds, batch_of
from headgate.errors import StoreError
from headgate.store.database import Database
database = Database.open(sys.argv[1])
database.commit(batch_of(0, 10))
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, unlimited[1]))
batch = batch_of(10)
try:
    database.commit(batch)
except StoreError as error:
    print(error)
assert_holds(database, 10)
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
database.commit(batch)
assert_holds(database, 10 + ROWS)
database.close()
"""


def test_an_io_error(tmp_path):
    """What needs no root: a file that may not grow. Stored once it may."""
    url = f"sqlite:///{tmp_path}/headgate.db"
    path = json.dumps([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, "-c", LIMITED, url, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "look at the kernel's log and at limits" in done.stdout


def test_a_lock_of_another_program(tmp_path, monkeypatch):
    """Somebody's shell holds a transaction open: said, and stored when it has ended."""
    monkeypatch.setattr("headgate.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    path = tmp_path / "headgate.db"
    database = Database.open(f"sqlite:///{path}")
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    batch = batch_of(0, 10)
    with pytest.raises(StoreError, match="another program"):
        database.commit(batch)
    shell.execute("ROLLBACK")
    shell.close()
    database.commit(batch)
    assert_holds(database, 10)
    database.close()


def test_a_file_that_was_replaced(tmp_path):
    """Restored from a backup under a running server: what is in memory and what is stored do not agree."""
    path = tmp_path / "headgate.db"
    database = Database.open(f"sqlite:///{path}")
    for start in range(0, 30, 10):
        database.commit(batch_of(start, 10))
    refused = Batch()
    refused.put(tasks, {"id": 1})
    with sqlite3.connect(path) as shell:
        shell.execute("UPDATE commits SET number = 1")
    shell.close()
    with pytest.raises(IntegrityError):
        database.commit(refused)
    with pytest.raises(StoreError, match="restart"):
        database.commit(batch_of(30, 10))
    database.close()
