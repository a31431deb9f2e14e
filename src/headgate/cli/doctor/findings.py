"""What was found of one thing that a server needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """A server runs, but not as well as it could."""
    FAIL = "fail"
    """It does not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing."""

    name: str
    level: Level
    said: str
    advice: str = ""
    """What to do; empty where all is well."""


def ok(name: str, said: str) -> Finding:
    """All is well."""
    return Finding(name=name, level=Level.OK, said=said)


def warn(name: str, said: str, advice: str) -> Finding:
    """It could be better."""
    return Finding(name=name, level=Level.WARN, said=said, advice=advice)


def fail(name: str, said: str, advice: str) -> Finding:
    """It cannot stay so."""
    return Finding(name=name, level=Level.FAIL, said=said, advice=advice)
