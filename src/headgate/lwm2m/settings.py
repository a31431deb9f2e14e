"""What an LwM2M server may be told: how long it waits, how much it keeps. Every table has its bound here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LwM2mSettings:
    """The settings, and what happens when a bound is reached."""

    awake_s: float = 20.0
    """How long a device in queue mode can be sent to after it was heard. The standard hopes for 93 s; the
    networks release an NB-IoT device after about 20 s of silence."""
    grace_s: float = 300.0
    """How long after its lifetime a registration is kept: an Update may leave shortly before the end and be
    repeated for minutes where coverage is deep. After a restart all registrations have this long at least."""
    registrations_max: int = 1 << 20
    """Devices registered at a time. More: 5.03."""
    links_bytes_max: int = 8192
    """The object links of one registration. More: 4.13."""
    commands_max: int = 16
    """Commands that wait for one device. More: CommandLimitError."""
    observations_max: int = 16
    """Tokens of one device's observations. More: the oldest is forgotten and counted."""
    shared_links_max: int = 1024
    """Different object links that are kept whole. More: of others, what upgrades need."""
    expired_at_once: int = 1000
    """Registrations that end in one call of `expire`; the rest is due at once."""
