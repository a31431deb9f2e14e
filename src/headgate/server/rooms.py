"""From settings to the values that the rooms take. One function per room's value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from headgate.config import Config
from headgate.engine.bounds import Bounds
from headgate.errors import ConfigError
from headgate.lwm2m.settings import LwM2mSettings
from headgate.server.hooks.hooks import HookSettings
from headgate.server.hooks.outgoing import Patience
from headgate.upgrade.admission import Limits, Scope
from headgate.upgrade.campaign import Retry, RetryPolicy
from headgate.upgrade.containers import Observing
from headgate.upgrade.failure import Failure
from headgate.upgrade.orchestrator import OrchestratorSettings
from headgate.upgrade.package import CheckCodes
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


def lwm2m_of(config: Config) -> LwM2mSettings:
    """What is kept of devices, and how long they are taken to be awake."""
    return made("lwm2m", LwM2mSettings, **dict(config.lwm2m), awake_s=config.presence.awake_s)


def orchestrator_of(config: Config) -> OrchestratorSettings:
    """How long grants outlive their tasks."""
    return OrchestratorSettings(
        keep_s=config.grants.keep_s,
        observing=Observing(config.pcp.observe),
        outbox_max=config.hooks.outbox_max,
    )


def hooks_of(config: Config) -> HookSettings:
    """What web hooks may do, and how often each event is tried."""
    hooks = config.hooks
    return HookSettings(
        allow_private=hooks.allow_private,
        timeout_s=hooks.timeout_s,
        hooks_max=hooks.hooks_max,
        dead_keep_s=hooks.dead_keep_s,
        patience=Patience(
            concurrency=hooks.concurrency,
            backoff_s=hooks.backoff_s,
            backoff_max_s=hooks.backoff_max_s,
            attempts_max=hooks.attempts_max,
            dead_after_s=hooks.dead_after_s,
        ),
    )


def check_codes_of(config: Config) -> Callable[[str], CheckCodes]:
    """What devices of a product are told as a package's check code."""
    pcp = config.pcp
    return lambda product: CheckCodes(pcp.check_code_of.get(product, pcp.check_code))


def retry_of(config: Config) -> RetryPolicy:
    """Who is tried again where a campaign does not say so."""
    if not config.retry.count:
        return RetryPolicy()
    published = {failure.value: failure for failure in Failure}
    unknown = [text for text in config.retry.failures if text not in published]
    if unknown:
        raise ConfigError(f"retry.failures: {unknown[0]!r} is none of the published failure texts")
    worth = [published[text] for text in config.retry.failures] or list(Failure)
    retry = Retry(count=config.retry.count, interval_s=config.retry.interval_s)
    return RetryPolicy(by_failure=dict.fromkeys(worth, retry))
