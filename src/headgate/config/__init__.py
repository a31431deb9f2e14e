"""What an operator may set: defaults < TOML file < environment HEADGATE_SECTION__NAME < flags.

Only the server and the command line read this; every other room is handed plain values.

sections     all settings, with defaults, units, bounds and meanings
reading      where they come from, and what is said of a mistake
"""

from __future__ import annotations

from headgate.config.reading import (
    DEFAULT,
    ENVIRONMENT,
    FLAG,
    PROGRAM,
    Setting,
    Settings,
    read,
    settings_of,
)
from headgate.config.sections import DELIMITER, PREFIX, Config, Http

__all__ = [
    "DEFAULT",
    "DELIMITER",
    "ENVIRONMENT",
    "FLAG",
    "PREFIX",
    "PROGRAM",
    "Config",
    "Http",
    "Setting",
    "Settings",
    "read",
    "settings_of",
]
