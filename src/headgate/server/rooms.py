"""From settings to the values that the rooms take. One function per room's value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from headgate.config import Config
from headgate.engine.bounds import Bounds
from headgate.errors import ConfigError
from headgate.upgrade.admission import Limits, Scope
from headgate.upgrade.radio import RadioRules
from headgate.upgrade.task import Timers

Made = TypeVar("Made")


def made(section: str, make: Callable[..., Made], **values: Any) -> Made:
    """A room's value; what it refuses is a ConfigError that names the section."""
    try:
        return make(**values)
    except ValueError as error:
        raise ConfigError(f"{section}: {error}") from error


def bounds_of(config: Config) -> Bounds:
    """How much the exchange may keep."""
    return made("exchange", Bounds, **dict(config.exchange))


def limits_of(config: Config) -> Limits:
    """The slots of a cell."""
    return made("limits", Limits, **(dict(config.limits) | {"scope": Scope(config.limits.scope)}))


def radio_of(config: Config) -> RadioRules:
    """Where the radio ranges end."""
    return made("radio", RadioRules, **dict(config.radio))


def timers_of(config: Config) -> Timers:
    """How long each step may last."""
    return made("timers", Timers, **dict(config.timers))
