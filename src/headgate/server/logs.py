"""What the server says of itself, by the standard library's logger "headgate": who embeds it decides.

A message is a sentence and values; a plain handler shows both, `JsonLines` writes each as it is.
"""

from __future__ import annotations

import json
import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

VALUES = "headgate"  # the attribute of a LogRecord that holds the values


def rendered(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, Any]]:
    """As the standard library takes it: a text with the values behind it, and the values by themselves."""
    exc_info = event.pop("exc_info", None)
    said = str(event.pop("event"))
    values = dict(event)
    message = "  ".join([said, *(f"{name}={value!r}" for name, value in values.items())])
    return (message,), {"exc_info": exc_info, "extra": {VALUES: {"event": said, **values}}}


def logger() -> structlog.stdlib.BoundLogger:
    """The logger of this room's files."""
    wrapped: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger("headgate"),
        processors=[structlog.stdlib.filter_by_level, rendered],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return wrapped


class JsonLines(logging.Formatter):
    """One object per line: time, level, event, and its values."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = getattr(record, VALUES, None) or {"event": record.getMessage()}
        line = {"time": record.created, "level": record.levelname.lower(), **said}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
