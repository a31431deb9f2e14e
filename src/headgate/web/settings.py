"""The bounds of this room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """What one API holds at most, and how long it waits."""

    body_bytes_max: int = 4 << 20
    """A body that is no package. JSON is read on the loop: a megabyte takes some milliseconds."""
    package_bytes_max: int = 256 << 20
    """An uploaded package."""
    body_idle_s: float = 30.0
    """How long the next bytes of a body are waited for."""
    requests_max: int = 256
    """Requests that are being answered, those who follow the events not among them."""
    uploads_max: int = 4
    """Packages that are being received; each has a thread."""
    viewers_max: int = 200
    """Who follows the events or a page of the console at a time."""
    sessions_max: int = 256
    """Logins of the console at a time; beyond, the oldest ends."""
    session_s: float = 12 * 3600.0
    """How long a login of the console lasts."""
    events_kept: int = 5_000
    """The newest events in memory: who is further behind reads the log."""
    read_threads: int = 4
    """Threads that read the store."""
    reads_waiting_max: int = 256
    """Readings that wait for one of them."""
    tokens_max: int = 1_000
    """Access tokens that exist at a time."""
    failed_logins_max: int = 20
    """Wrong tokens of one address within a minute; beyond, it is told to wait."""
    devices_max: int = 2_000_000
    """Devices of one campaign."""
