"""A campaign that is asked for, and not made yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headgate.upgrade.campaign import Confirm, RetryPolicy
from headgate.upgrade.stages import Gate, Size
from headgate.upgrade.task import Timers
from headgate.upgrade.windows import Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Its parts, as `Server.create_campaign` takes them; without `retry` and `timers` the configured hold."""

    name: str
    package: bytes
    endpoints: Sequence[str]
    retry: RetryPolicy | None = None
    timers: Timers | None = None
    skip_same_package: bool = False
    automatic_upgrade: bool = False
    stages: Sequence[Size] = ()
    gate: Gate | None = None
    confirm: Confirm = Confirm.NONE
    start_s: float | None = None
    windows: Windows | None = None
    source_versions: Iterable[str] | None = None
    """Those of the package where it is None."""
