"""Maintenance windows: when a campaign may begin something, by the clocks of a time zone.

A window is a time of day, on some days of the week: those on which it begins. One that ends at an earlier
hour than it begins ends on the next day. Clocks that are put forward or back do not shut a window early: a
beginning that comes twice in a night is the first one, an end that does is the second, and an hour that does
not come is taken as if the clock had not been put forward yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WINDOWS_MAX = 50
ZONES_MAX = 64  # that are remembered
HORIZON_DAYS = 9  # every day of a week, and the window that began the day before
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `begin` to `end`, "HH:MM" each, on the days on which it begins; on none named: every day."""

    begin: str
    end: str
    days: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for said in (self.begin, self.end):
            if TIME.fullmatch(said) is None:
                raise ValueError(f"a time of day is HH:MM, 00:00 to 23:59, not {said!r}")
        if self.begin == self.end:
            raise ValueError(f"a window from {self.begin} to {self.end} never opens")
        unknown = self.days - set(DAYS)
        if unknown:
            raise ValueError(f"days are {', '.join(DAYS)}, not {min(unknown)!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The windows of a campaign. Without any it may begin at all times."""

    each: tuple[Window, ...] = ()
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        zone(self.timezone)
        if len(self.each) > WINDOWS_MAX:
            raise ValueError(f"a campaign has up to {WINDOWS_MAX} windows, not {len(self.each)}")

    def open(self, now: float) -> bool:
        """Whether something may begin."""
        return not self.each or any(begin <= now < end for begin, end in self.spans(now))

    def next_change(self, now: float) -> float | None:
        """When that may change; None where there are no windows, as it never does.

        >>> night = Windows(each=(Window(begin="22:00", end="06:00"),))
        >>> noon_s = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
        >>> night.open(noon_s), night.open(noon_s + 12 * 3600), (night.next_change(noon_s) - noon_s) / 3600
        (False, True, 10.0)
        """
        if not self.each:
            return None
        until = None
        for begin, end in self.spans(now):
            if until is None and now < begin:
                return begin
            if until is None and now < end:
                until = end
            elif until is not None and begin <= until < end:
                until = end  # one begins where, or before, another ends
        assert until is not None, "each window opens once in a week"
        return until

    def clock(self, at_s: float) -> datetime:
        """The clock of its zone at that time."""
        return datetime.fromtimestamp(at_s, zone(self.timezone))

    def spans(self, now: float) -> list[tuple[float, float]]:
        """When windows begin and end, from the day before `now` to a week later, in order."""
        return sorted(self._spans(self.clock(now).date()))

    def _spans(self, today: date) -> Iterator[tuple[float, float]]:
        where = zone(self.timezone)
        for offset in range(-1, HORIZON_DAYS):
            day = today + timedelta(days=offset)
            for window in self.each:
                if window.days and DAYS[day.weekday()] not in window.days:
                    continue
                begin, end = time.fromisoformat(window.begin), time.fromisoformat(window.end)
                last = day if begin < end else day + timedelta(days=1)
                begin_s = datetime.combine(day, begin, where).timestamp()
                ends = (datetime.combine(last, end.replace(fold=fold), where) for fold in (0, 1))
                end_s = max(each.timestamp() for each in ends)
                if begin_s < end_s:
                    yield begin_s, end_s


@lru_cache(ZONES_MAX)
def zone(name: str) -> tzinfo:
    """The time zone of that IANA name. Raises ValueError. UTC needs no data of the system."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r} here, such as Europe/Berlin") from error


ALWAYS = Windows()

# -- rows --


def windows_text(windows: Windows) -> str:
    """Windows as JSON, nothing for none; their zone is told beside them."""
    said = [[each.begin, each.end, sorted(each.days, key=DAYS.index)] for each in windows.each]
    return json.dumps(said) if said else ""


def windows_of(text: str, timezone: str) -> Windows:
    """The windows that JSON tells."""
    said = json.loads(text) if text else []
    each = tuple(Window(begin=begin, end=end, days=frozenset(days)) for begin, end, days in said)
    return Windows(each=each, timezone=timezone)
