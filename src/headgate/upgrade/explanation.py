"""Why a task or a campaign stands where it stands, as one sentence that an operator can read."""

from __future__ import annotations

from datetime import UTC, datetime

from headgate.upgrade import TABLES
from headgate.upgrade.admission import Place
from headgate.upgrade.campaign import Campaign, CampaignState
from headgate.upgrade.task import HOUR_S, State, Task


def explained(
    task: Task,
    place: Place | None,
    device: str,
    now: float,
    *,
    withheld: str | None = None,
    until_s: float | None = None,
) -> str:
    """What is waited for, whose turn it is, and until when; `device` says where the device is.

    `withheld` is why its campaign does not let it begin, or take a slot; `until_s` is its deadline where that
    is another than the task knows. Times are UTC; those of another day have their date.
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
    if withheld is not None:
        parts.append(f"since {withheld}")
    elif task.deadline_s is not None:
        parts.append(f"until {clock(until_s or task.deadline_s, now)}")
    return f"{', '.join(parts)} (step {row.step}; {device})"


def withheld(campaign: Campaign, stage: int, task: Task, now: float, *, may_begin: bool) -> str | None:
    """Why the campaign of a task does not let it go on, None where it does; `stage` is the task's.

    `may_begin` is what the campaign would say: a thousand are explained at once, and windows take time.
    """
    if task.state not in (State.CREATED, State.WAIT_SLOT):
        return None
    reason = None if may_begin else why(campaign, now)
    if reason is not None:
        return f"its campaign is {reason}"
    if stage > max(campaign.stage, 1):
        return f"stage {stage} begins when stage {stage - 1} has passed its gate"
    return None


def why(campaign: Campaign, now: float) -> str | None:
    """Why a campaign begins nothing, as the end of "it is ...". None where it does, or is over."""
    match campaign.state:
        case CampaignState.PAUSED:
            return f"paused: {campaign.reason}"
        case CampaignState.CREATING:
            return "being created"
        case CampaignState.SCHEDULED if campaign.start_s is not None:
            return f"scheduled for {instant(campaign.start_s)}"
        case CampaignState.WAITING:
            return f"to be confirmed before stage {campaign.stage + 1} begins"
        case CampaignState.RUNNING if not campaign.windows.open(now):
            opens_s = campaign.windows.next_change(now)
            assert opens_s is not None, "windows that are shut open again"
            opens = campaign.windows.clock(opens_s)
            today = campaign.windows.clock(now).date() == opens.date()
            at = f"{opens:%H:%M}" if today else f"{opens:%Y-%m-%d %H:%M}"
            return f"outside its maintenance windows until {at} {campaign.windows.timezone}"
    return None


def instant(at_s: float) -> str:
    """A time in words.

    >>> instant(1_767_277_980.0)
    '2026-01-01 14:33 UTC'
    """
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M} UTC"


def clock(at_s: float, now: float) -> str:
    """A time of day, with its date where that is another than today's.

    >>> clock(1_767_277_980.0, 1_767_268_800.0), clock(1_767_355_200.0, 1_767_268_800.0)
    ('14:33', '2026-01-02 12:00')
    """
    at = datetime.fromtimestamp(at_s, UTC)
    today = datetime.fromtimestamp(now, UTC).date() == at.date() and abs(at_s - now) < 24 * HOUR_S
    return f"{at:%H:%M}" if today else f"{at:%Y-%m-%d %H:%M}"
