"""The forecast of a campaign in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from headgate.cli.saying import plain

CELLS = 3
"""Of the slowest, how many are told."""
WHY = {
    "online": "do not report in time",
    "slot": "wait too long for their turn",
    "download": "download for too long",
    "failed": "fail",
    "late": "are not through within a year",
}


def forecast_lines(forecast: dict[str, Any] | None) -> Iterator[str]:
    """What a dry run foretells, nothing for none."""
    if forecast is None or not forecast["devices"]:
        return
    yield forecast_line(forecast)
    device = forecast["device_s"]
    yield (
        f"forecast: half of the devices after {duration(device['p50'])}, "
        f"90 % after {duration(device['p90'])}, 99 % after {duration(device['p99'])}"
    )
    for each in forecast["classes"]:
        known = f"as {each['measured']} were" if each["measured"] else "assumed"
        yield (
            f"forecast: {each['devices']:,} of class {each['radio_class']} after "
            f"{duration(each['finish_s']['max'])}, {each['goodput_bytes_s']:,.0f} bytes/s each ({known})"
        )
    if slow := forecast["slowest_cells"][:CELLS]:
        cells = (f"{plain(each['cell'])} after {duration(each['finish_s'])}" for each in slow)
        yield f"forecast: the slowest cells are {', '.join(cells)}"
    for name, count in forecast["lost"].items():
        if count:
            yield f"forecast: {count:,} devices {WHY.get(name, name)}"
    for sentence in forecast["assumptions"]:
        yield f"assumed: {plain(sentence)}"


def forecast_line(forecast: dict[str, Any]) -> str:
    """The most important of it.

    >>> quantiles = dict(p10=3000.0, p50=3600.0, p90=7200.0, p99=8000.0, max=8000.0)
    >>> forecast_line({"campaign_s": quantiles, "bytes": {"total": 45_000_000}})
    'forecast: all are through after 1.0 h (0.8 h to 2.0 h), with 45.0 MB over the air'
    """
    ends = forecast["campaign_s"]
    between = "" if ends["p10"] == ends["p90"] else f" ({duration(ends['p10'])} to {duration(ends['p90'])})"
    carried = size(forecast["bytes"]["total"])
    return f"forecast: all are through after {duration(ends['p50'])}{between}, with {carried} over the air"


def duration(seconds: float) -> str:
    """In the unit that suits it.

    >>> duration(59.0), duration(600.0), duration(5400.0), duration(864_000.0)
    ('59 s', '10 min', '1.5 h', '10.0 days')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2700:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def size(count: float) -> str:
    """In the unit that suits it.

    >>> size(999), size(1_500_000), size(7e12)
    ('999 bytes', '1.5 MB', '7,000.0 GB')
    """
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:,.1f} {unit}"
    return f"{count:.0f} bytes"
