"""What the kernel grants this process; that of the server may be another one, with other limits."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

from headgate.cli.doctor.findings import Finding, ok, warn
from headgate.config import Config
from headgate.server.http import CONNECTIONS_BESIDE

FILES_BESIDE = 128  # sockets of devices, the database and its readers, packages, libraries


def process(config: Config) -> Iterator[Finding]:
    """Everything of this file."""
    yield open_files(config)
    yield file_size()
    yield processors(config.coap.threads)


def open_files(config: Config) -> Finding:
    """Whether all who may ask at once can have a connection."""
    http = config.http
    needed = FILES_BESIDE + (http.requests_max + http.viewers_max + CONNECTIONS_BESIDE) * http.enabled
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        said = f"{soft:,} may be open, and {needed:,} may be needed"
        return warn("open files", said, f"ulimit -n {needed}, or LimitNOFILE={needed} of its unit")
    return ok("open files", "any number may be open" if soft < 0 else f"{soft:,} may be open")


def file_size() -> Finding:
    """Whether the database may grow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft != resource.RLIM_INFINITY:
        return warn("file size", f"files end at {soft:,} bytes, the database too", "ulimit -f unlimited")
    return ok("file size", "files may grow")


def processors(threads: int) -> Finding:
    """Whether serving threads leave one for the rest."""
    count = len(os.sched_getaffinity(0))
    if threads >= count:
        said = f"{count} for {threads} serving threads and the event loop"
        return warn("processors", said, f"coap.threads = {max(count - 1, 0)}")
    return ok("processors", f"{count}, for {threads} serving threads and the event loop")
