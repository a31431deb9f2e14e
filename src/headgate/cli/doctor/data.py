"""The data directory: whether a server can use it, and whether it has all that a restart must find."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from headgate.cli.doctor.findings import Finding, fail, ok, warn
from headgate.config import Config
from headgate.server.directory import DATABASE, LOCK, SECRET, SECRET_BYTES
from headgate.store.disk import FULL_BYTES

SPARE_BYTES = 1 << 30
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def in_use(folder: Path) -> bool:
    """Whether a server uses it."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def data(config: Config) -> Iterator[Finding]:
    """Everything of this file."""
    folder = config.store.directory.absolute()
    found = directory(folder)
    yield found
    if folder.is_dir():
        yield secret(folder)
    yield disk(folder)


def existing(folder: Path) -> Path:
    """It, or the nearest of those around it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists())


def directory(folder: Path) -> Finding:
    """Whether it can be made, read and written."""
    name = "data directory"
    there = existing(folder)
    if not there.is_dir():
        return fail(name, f"{there} is no folder", "set store.directory")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return fail(name, f"{there} cannot be written to", "give it to the user that runs the server")
    if there != folder:
        return ok(name, f"{folder} is made at the first start")
    if folder.stat().st_mode & OTHERS:
        return warn(name, f"{folder} can be read by others", f"chmod 700 {folder}")
    return ok(name, f"{folder}, in use by a server" if in_use(folder) else f"{folder}")


def secret(folder: Path) -> Finding:
    """Whether devices will find their packages where they were told."""
    name = "secret"
    path = folder / SECRET
    restore = "restore it from a backup; without it every device that resumes starts over"
    try:
        size, mode = path.stat().st_size, path.stat().st_mode
    except FileNotFoundError:
        if (folder / DATABASE).exists():
            return warn(name, f"{path} is missing, and there is a database", restore)
        return ok(name, "is drawn at the first start")
    except OSError as error:
        return fail(name, f"{path}: {error.strerror}", "give it to the user that runs the server")
    if size != SECRET_BYTES:
        return fail(name, f"{path} holds {size} bytes, not {SECRET_BYTES}", restore)
    if mode & OTHERS:
        return warn(name, f"{path} can be read by others", f"chmod 600 {path}")
    return ok(name, "is there")


def disk(folder: Path) -> Finding:
    """Whether there is room: without any nothing is stored, and nothing is issued."""
    state = os.statvfs(existing(folder))
    free = state.f_bavail * state.f_frsize
    said = f"{free / (1 << 30):,.1f} GiB are free"
    if free < FULL_BYTES:
        return fail("disk", f"{free:,} bytes are free", "free some: nothing can be stored")
    if free < SPARE_BYTES:
        return warn("disk", said, "free some: the event log and packages grow")
    return ok("disk", said)
