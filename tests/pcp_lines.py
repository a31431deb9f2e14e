"""Lines of PCP for scripts: what the devices say, and what they are asked and answered."""

from __future__ import annotations

from headgate.upgrade.events import (
    AnnounceOutcome,
)
from headgate.upgrade.object19 import (
    AnswerSegment,
    DownloadReported,
    EnsureSubscription,
    GrantSegments,
    NotifyVersion,
    QueryVersion,
    SegmentRequested,
    UpgradeReported,
    WithdrawSegments,
)
from negotiations import TARGET

ASK = (EnsureSubscription(), QueryVersion())
TELL = (EnsureSubscription(), GrantSegments(), NotifyVersion())
OVER = (WithdrawSegments(), AnnounceOutcome())
NO_TASK, NO_SEGMENT = 0x80, 0x81
DOWNLOADED = DownloadReported(result=0)
DONE = UpgradeReported(result=0, version=TARGET)


def segment(index, version=TARGET):
    """21."""
    return SegmentRequested(version=version, segment_index=index)


def served(index, result=0):
    """Its answer."""
    return AnswerSegment(segment_index=index, result=result)
