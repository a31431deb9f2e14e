"""The page of a campaign's report, written to a file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headgate.cli.saying import CommandError

REPORT_S = 600.0  # a million devices, and the event log of a long campaign, are counted first
HERE = Path("-")


def write_page(report: Mapping[str, Any], to: Path) -> None:
    """The page, in that file; what was there is gone. Raises CommandError where it cannot be written."""
    from headgate.web.reporting.page import page

    text = page(report)
    if to == HERE:
        sys.stdout.write(text)
        return
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {to}: {error.strerror}") from error
