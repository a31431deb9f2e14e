"""What the routes share: the desk, the threads that read, and those who keep something between requests."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.web.access import Tokens
from headgate.web.desk import Desk
from headgate.web.history import History
from headgate.web.metrics import Metrics
from headgate.web.reading import Reader
from headgate.web.repeats import Repeats
from headgate.web.reporting.turn import Turn
from headgate.web.settings import WebSettings
from headgate.web.tail import Tail
from headgate.web.upload import Uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """One API's."""

    desk: Desk
    settings: WebSettings
    reader: Reader
    tokens: Tokens
    repeats: Repeats
    uploads: Uploads
    tail: Tail
    metrics: Metrics
    history: History
    report_turn: Turn
