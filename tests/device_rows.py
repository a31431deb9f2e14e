"""Rows of devices, as forecasts read them."""

from __future__ import annotations

import random
from typing import Any

NOW_S = 1_700_000_000.0


def device(
    number: int, cell: str | None = "460-00-1A2B", radio_class: str | None = "0", **said: Any
) -> dict[str, Any]:
    """One that is always awake."""
    row = {"endpoint": f"d{number:05}", "location": str(number), "registered_s": 1.0, "expires_s": 9e9}
    return row | {"lifetime_s": 86_400, "cell": cell, "radio_class": radio_class, "heard_s": NOW_S} | said


def any_devices(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """So many, with whatever a row may hold."""
    return [
        device(
            number,
            rng.choice([None, "", "1", "460-00-2"]),
            rng.choice([None, "", "0", "1", "2", "U"]),
            queue_mode=rng.random() < 0.5,
            heard_s=rng.choice([None, 0.0, NOW_S, 9e12]),
            lifetime_s=rng.choice([0, 1, 86_400, 1 << 31]),
        )
        for number in range(count)
    ]
