"""What an error of the file system means for an operator."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from headgate.errors import StoreError, StoreFullError

FULL_BYTES = 1 << 20
"""A disk with less than this left is full: not every error that comes from that says so."""


def disk_fault(error: OSError, folder: Path) -> StoreError:
    """The fault, and what to do about it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFullError(f"no room is left in {folder}: {error.strerror}; free some on its disk")
    advice = {
        errno.EFBIG: "a limit on the size of files is in the way (ulimit -f)",
        errno.EIO: "its disk fails; look at the kernel's log",
    }.get(error.errno or 0, "it must be a folder that we may write to")
    return StoreError(f"{folder}: {error.strerror}; {advice}")


def full(folder: Path) -> bool:
    """Whether no room to speak of is left where the folder is."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    return state.f_bavail * state.f_frsize < FULL_BYTES
