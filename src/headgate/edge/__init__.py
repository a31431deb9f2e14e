"""The embeddable edge: catalog, listeners and grants, nothing else."""

from __future__ import annotations

from headgate.edge.edge import Edge
from headgate.edge.events import (
    DownloadCompleted,
    DownloadEvent,
    DownloadProgressed,
    DownloadStalled,
    DownloadStarted,
)
from headgate.edge.grant import Grant
from headgate.edge.paths import path_bytes

__all__ = [
    "DownloadCompleted",
    "DownloadEvent",
    "DownloadProgressed",
    "DownloadStalled",
    "DownloadStarted",
    "Edge",
    "Grant",
    "path_bytes",
]
