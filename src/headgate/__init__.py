"""Headgate: the download edge and upgrade orchestrator for NB-IoT fleets.

`Edge` serves packages by CoAP Block2 on the caller's event loop.
"""

from __future__ import annotations

from headgate.edge import (
    DownloadCompleted,
    DownloadEvent,
    DownloadProgressed,
    DownloadStalled,
    DownloadStarted,
    Edge,
    Grant,
)
from headgate.errors import HeadgateError
from headgate.model import Progress, Stats

__all__ = [
    "DownloadCompleted",
    "DownloadEvent",
    "DownloadProgressed",
    "DownloadStalled",
    "DownloadStarted",
    "Edge",
    "Grant",
    "HeadgateError",
    "Progress",
    "Stats",
]
