"""What the routes share: the desk, the threads that read, and those who keep something between requests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from headgate.web.access import Tokens
from headgate.web.desk import Desk
from headgate.web.forecasting import Forecasts
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
    forecasts: Forecasts
    report_turn: Turn
    labelling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Labels are read, compared and replaced by one at a time."""
