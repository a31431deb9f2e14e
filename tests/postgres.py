"""A PostgreSQL server of our own for tests: in a folder of its own, on a Unix socket, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",  # what is tested is our side; no test here pulls the plug of the server's machine
    "max_connections": "60",
    "shared_buffers": "32MB",
}
START_BOUND_S = 60


def programs() -> Path | None:
    """The folder with initdb and pg_ctl, None where PostgreSQL is not installed. Debian keeps it off PATH."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    return versions[-1].parent if versions else None


class PostgresServer:
    """A running server. Each schema is a database to us."""

    def __init__(self, folder: Path, run: Callable[..., None]) -> None:
        self.folder = folder
        self._run = run
        self._numbers = count()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        self._run(
            "pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", f"-k {self.folder} {settings}"
        )

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")

    @property
    def socket(self) -> Path:
        """Where clients connect to."""
        return self.folder / ".s.PGSQL.5432"

    def short_folder(self) -> Path:
        """A folder whose path is short enough for a socket in it."""
        folder = self.folder / f"f{next(self._numbers)}"
        folder.mkdir()
        return folder

    def connect(self) -> psycopg.Connection:
        """A connection beside those that are tested."""
        return psycopg.connect(f"host={self.folder} user=headgate dbname=postgres", autocommit=True)

    def new(self, host: Path | None = None) -> str:
        """The URL of an empty database."""
        schema = f"s{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE SCHEMA {schema}")
        return self.url(schema, host)

    def url(self, schema: str, host: Path | None = None) -> str:
        """The URL of a database, by another socket where that is wanted."""
        options = f"options=-csearch_path%3D{schema}"
        return f"postgresql://headgate@/postgres?host={host or self.folder}&{options}"


@contextmanager
def started(bin: Path) -> Iterator[PostgresServer]:
    """A server as long as the context lasts. It refuses to be root: `postgres` or `nobody` runs it then."""
    user = {}
    folder = Path(tempfile.mkdtemp(prefix="headgate-pg-", dir="/tmp"))  # a socket's path must be short
    if os.geteuid() == 0:
        names = {entry.pw_name for entry in pwd.getpwall()}
        account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [bin / program, "-D", folder / "data", *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=START_BOUND_S,
            check=False,
            **user,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"

    try:
        run("initdb", "-U", "headgate", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        server = PostgresServer(folder, run)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)
