"""The command line."""

from __future__ import annotations

from headgate.cli.commands import app

__all__ = ["app"]
