"""Why a task stands where it stands, as one sentence that an operator can read."""

from __future__ import annotations

from datetime import UTC, datetime

from headgate.upgrade import TABLES
from headgate.upgrade.admission import Place
from headgate.upgrade.task import HOUR_S, State, Task


def explained(task: Task, place: Place | None, device: str, now: float) -> str:
    """What is waited for, whose turn it is, and until when; `device` says where the device is.

    Times are UTC; those of another day have their date.
    """
    row = TABLES[task.plan.kind].rows[task.state]
    if task.state.terminal:
        ended = f"{task.state.value.replace('_', ' ')} at {clock(task.entered_s, now)}"
        said = [text for text in (task.failure, str(task.detail) if task.detail is not None else "") if text]
        return ": ".join([ended, *said])
    if task.state is State.WAIT_SLOT and place is not None:
        waited = (
            f"a slot in cell {place.cell}, class {place.radio_class}, "
            f"position {place.position} of {place.waiting}"
        )
    else:
        waited = row.waits
    parts = [f"waiting for {waited}"]
    if task.deadline_s is not None:
        parts.append(f"until {clock(task.deadline_s, now)}")
    return f"{', '.join(parts)} (step {row.step}; {device})"


def clock(at_s: float, now: float) -> str:
    """A time of day, with its date where that is another than today's.

    >>> clock(1_767_277_980.0, 1_767_268_800.0), clock(1_767_355_200.0, 1_767_268_800.0)
    ('14:33', '2026-01-02 12:00')
    """
    at = datetime.fromtimestamp(at_s, UTC)
    today = datetime.fromtimestamp(now, UTC).date() == at.date() and abs(at_s - now) < 24 * HOUR_S
    return f"{at:%H:%M}" if today else f"{at:%Y-%m-%d %H:%M}"
