"""Headgate: the download edge and upgrade orchestrator for NB-IoT fleets.

`Edge` serves packages by CoAP Block2 on the caller's event loop. `Server` is the orchestrator, and needs
`pip install 'headgate[server]'`. Each is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.errors import HeadgateError
from headgate.model import Progress, Stats

if TYPE_CHECKING:
    from headgate.edge import (
        DownloadCompleted,
        DownloadEvent,
        DownloadProgressed,
        DownloadStalled,
        DownloadStarted,
        Edge,
        Grant,
    )
    from headgate.server import Config, Server

__all__ = [
    "Config",
    "DownloadCompleted",
    "DownloadEvent",
    "DownloadProgressed",
    "DownloadStalled",
    "DownloadStarted",
    "Edge",
    "Grant",
    "HeadgateError",
    "Progress",
    "Server",
    "Stats",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in ("Config", "Server"):
        from headgate import edge

        return getattr(edge, name)
    try:
        from headgate import server
    except ModuleNotFoundError as error:
        raise ImportError(
            f"headgate.{name} needs {error.name}: pip install 'headgate[server]'", name=error.name
        ) from error
    return getattr(server, name)
