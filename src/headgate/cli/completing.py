"""What a shell completes beside names of commands and options: the names that stand in what options say."""

from __future__ import annotations

from collections.abc import Iterable


def beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    """Those that begin so."""
    return [name for name in names if name.startswith(incomplete)]


def causes(incomplete: str) -> list[str]:
    """Causes of failure, each in one word."""
    from headgate.cli.policy import ANY, short
    from headgate.upgrade.failure import Failure

    return beginning(incomplete, [ANY, *(short(failure.name) for failure in Failure)])


def retries(incomplete: str) -> list[str]:
    """The same, before how often."""
    return beginning(incomplete, [f"{cause}=" for cause in causes("")])


def timers(incomplete: str) -> list[str]:
    """The steps that have one."""
    from headgate.cli.policy import timer_names

    return beginning(incomplete, [f"{name}=" for name in timer_names()])


def stages(incomplete: str) -> list[str]:
    """The words of a gate, behind the size of its stage.

    >>> stages("1%:success=99%,m")
    ['1%:success=99%,minimum-executed=']
    """
    from headgate.cli.policy import GATE

    size, colon, gate = incomplete.partition(":")
    if not colon:
        return []
    there = gate.rpartition(",")[0]
    before = f"{size}:{there}," if there else f"{size}:"
    return beginning(incomplete, [f"{before}{word}=" for word in GATE if f"{word}=" not in there])


def events(incomplete: str) -> list[str]:
    """What a hook may be told."""
    from headgate.upgrade.announcements import Announced

    return beginning(incomplete, [each.value for each in Announced])
