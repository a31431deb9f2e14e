"""A campaign: one package for many devices, a task for each, in stages, and who is tried again.

What is counted. A campaign's counters say how many of its tasks are in each state and how many ended by each
failure, retries being tasks of their own; `retried` says how many failed tasks have a later attempt, so that
all states together less `retried` are its devices. They change in the transaction that changes the tasks:
counting the rows gives the same at any time. Those of its stages are told of in `stages.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from headgate.upgrade.failure import Failure
from headgate.upgrade.records import plan_of, plan_text
from headgate.upgrade.stages import NO_GATE, Gate, Stage, gate_of, gate_text, stages_of, stages_text
from headgate.upgrade.task import Plan, State
from headgate.upgrade.windows import ALWAYS, Windows, windows_of, windows_text

RETRIED = "retried"
ENDPOINT_BYTES_MAX = 255  # as a Uri-Query option carries it


class CampaignState(StrEnum):
    """Where a campaign stands."""

    CREATING = "creating"
    """Its tasks are being made; none is active before all are there."""
    SCHEDULED = "scheduled"
    """Until its time."""
    WAITING = "waiting"
    """To be confirmed by an operator, before a stage begins."""
    RUNNING = "running"
    """Outside its windows it begins nothing."""
    PAUSED = "paused"
    """By an operator, or by a gate. Nothing begins, nobody is given a slot; who holds one goes on."""
    STOPPED = "stopped"
    """By an operator; its tasks are cancelled."""
    ENDED = "ended"
    """Every task is over, and none is tried again."""

    @property
    def terminal(self) -> bool:
        """Whether no task of it will be made any more."""
        return self in (CampaignState.STOPPED, CampaignState.ENDED)


class Confirm(StrEnum):
    """Before which stages an operator is asked."""

    NONE = "none"
    START = "start"
    """Before the first."""
    STAGES = "stages"
    """Before each."""


class Hold(StrEnum):
    """What paused a campaign."""

    OPERATOR = "operator"
    ERRORS = "errors"
    """Too many attempts failed."""
    GATE = "gate"
    """A stage that is through has not succeeded enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often devices are tried again that failed by one cause."""

    count: int
    """Attempts beside the first."""
    interval_s: float = 0.0
    """From the end of the batch until then."""

    def __post_init__(self) -> None:
        if self.count < 1 or not self.interval_s >= 0:
            raise ValueError(f"a retry has a count above 0 and an interval, not {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Which failures are worth another attempt. By default none is."""

    by_failure: Mapping[Failure, Retry] = field(default_factory=dict)

    def after(self, failure: Failure | None, attempt: int) -> Retry | None:
        """The retry that the end of this attempt deserves.

        >>> policy = RetryPolicy(by_failure={Failure.CONNECTION_LOST: Retry(count=1)})
        >>> policy.after(Failure.CONNECTION_LOST, 1), policy.after(Failure.CONNECTION_LOST, 2)
        (Retry(count=1, interval_s=0.0), None)
        """
        retry = None if failure is None else self.by_failure.get(failure)
        return retry if retry is not None and attempt <= retry.count else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One package for many devices."""

    id: str
    name: str
    plan: Plan
    retry: RetryPolicy = RetryPolicy()
    state: CampaignState = CampaignState.CREATING
    created_s: float
    started_s: float | None = None
    """When its tasks were all there."""
    ended_s: float | None = None
    stages: tuple[Stage, ...] = ()
    """None named: one, of all devices."""
    gate: Gate = NO_GATE
    """Of stages that have none of their own."""
    confirm: Confirm = Confirm.NONE
    start_s: float | None = None
    """Nothing begins before."""
    windows: Windows = ALWAYS
    stage: int = 0
    """The number of the stage that began last, from 1; 0 before the first."""
    confirmed: int = 0
    """The number of the last stage that an operator has confirmed."""
    hold: Hold | None = None
    """Set in PAUSED alone."""
    reason: str = ""
    """Why it is paused."""
    released_s: float | None = None
    """When it last went on after it could give nobody a slot: waits for one count from here."""
    revision: int = 1
    """Changes with each edit, and with what operators do."""

    @property
    def made(self) -> bool:
        """Whether its tasks are all there."""
        return self.started_s is not None

    @property
    def current(self) -> Stage:
        """The stage that began last, or that is to be the first."""
        return self.stages[max(self.stage, 1) - 1]

    @property
    def current_gate(self) -> Gate:
        """What that one must show."""
        return self.current.gate or self.gate

    def stage_of(self, task_id: str) -> int:
        """The number of the stage to which a task belongs, retries included: by its device's place.

        None is written for each task: the list of devices does not change.
        """
        if len(self.stages) <= 1:
            return 1
        index, number = int(task_id.partition(".")[0].rpartition("-")[2]), 0
        while index >= 0:
            index -= self.stages[number].devices
            number += 1
        return number

    def may_begin(self, now: float) -> bool:
        """Whether tasks may begin, and take slots."""
        return self.state is CampaignState.RUNNING and self.windows.open(now)

    def evolved(self, **changes: Any) -> Campaign:
        """The same with some fields changed."""
        return replace(self, **changes)


class CheckedEndpoints(tuple[str, ...]):
    """A list of devices that `checked_endpoints` has passed."""

    __slots__ = ()


def checked_endpoints(endpoints: Iterable[str]) -> CheckedEndpoints:
    """The devices of a campaign, each once. They need not have registered yet. Raises ValueError.

    A list that was checked is not checked again: a million names take half a second, which whoever runs a
    loop spends in a thread.

    >>> checked_endpoints(["a", "b", "a"])
    Traceback (most recent call last):
        ...
    ValueError: 'a' is in the list of devices twice
    """
    if isinstance(endpoints, CheckedEndpoints):
        return endpoints
    listed = CheckedEndpoints(endpoints)
    if not listed:
        raise ValueError("a campaign has at least one device")
    seen: set[str] = set()
    for endpoint in listed:  # one by one: a thread that does this lets others run in between
        if not 0 < len(endpoint.encode()) <= ENDPOINT_BYTES_MAX:
            raise ValueError(f"an endpoint name has 1 to {ENDPOINT_BYTES_MAX} bytes, not {endpoint[:32]!r}")
        if endpoint in seen:
            raise ValueError(f"{endpoint!r} is in the list of devices twice")
        seen.add(endpoint)
    return listed


def first_task_id(campaign_id: str, index: int) -> str:
    """The id of the first attempt for the device at this place of the list. In the order of the list.

    >>> first_task_id("c0ffee", 41)
    'c0ffee-0000041'
    """
    return f"{campaign_id}-{index:07d}"


def next_task_id(task_id: str, attempt: int) -> str:
    """The id of a later attempt.

    >>> next_task_id("c0ffee-0000041", 2), next_task_id("c0ffee-0000041.2", 3)
    ('c0ffee-0000041.2', 'c0ffee-0000041.3')
    """
    return f"{task_id.partition('.')[0]}.{attempt}"


# -- counters --


def state_counter(state: State) -> str:
    """The name under which tasks of a state are counted."""
    return STATE_COUNTERS[state]


def failure_counter(failure: Failure) -> str:
    """The name under which tasks are counted that ended so."""
    return f"failure {failure.value}"


STATE_COUNTERS: Mapping[State, str] = {state: f"state {state.value}" for state in State}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How a campaign stands, in numbers. What is 0 is left out."""

    states: Mapping[State, int]
    failures: Mapping[Failure, int]
    retried: int = 0

    @property
    def tasks(self) -> int:
        """All its tasks, retries included."""
        return sum(self.states.values())

    @property
    def devices(self) -> int:
        """The devices that it is for."""
        return self.tasks - self.retried


def counts_of(counters: Mapping[str, int]) -> Counts:
    """What counters say."""
    states = {state: counters.get(state_counter(state), 0) for state in State}
    failures = {failure: counters.get(failure_counter(failure), 0) for failure in Failure}
    return Counts(
        states={state: count for state, count in states.items() if count},
        failures={failure: count for failure, count in failures.items() if count},
        retried=counters.get(RETRIED, 0),
    )


# -- rows --


def retry_text(retry: RetryPolicy) -> str:
    """A retry policy as JSON."""
    return json.dumps(
        [[failure.value, each.count, each.interval_s] for failure, each in retry.by_failure.items()]
    )


def retry_of(text: str) -> RetryPolicy:
    """The retry policy that JSON tells."""
    rules = json.loads(text)
    return RetryPolicy(
        by_failure={
            Failure(name): Retry(count=count, interval_s=interval_s) for name, count, interval_s in rules
        }
    )


def campaign_row(campaign: Campaign) -> dict[str, Any]:
    """All columns of a campaign."""
    return {
        "id": campaign.id,
        "name": campaign.name,
        "kind": campaign.plan.kind.value,
        "pid": campaign.plan.pid.hex(),
        "plan": plan_text(campaign.plan),
        "retry": retry_text(campaign.retry),
        "state": campaign.state.value,
        "created_s": campaign.created_s,
        "started_s": campaign.started_s,
        "ended_s": campaign.ended_s,
        "stages": stages_text(campaign.stages),
        "gate": gate_text(campaign.gate),
        "confirm": campaign.confirm.value,
        "start_s": campaign.start_s,
        "windows": windows_text(campaign.windows),
        "timezone": campaign.windows.timezone,
        "stage": campaign.stage,
        "confirmed": campaign.confirmed,
        "hold": None if campaign.hold is None else campaign.hold.value,
        "reason": campaign.reason,
        "released_s": campaign.released_s,
        "revision": campaign.revision,
    }


def campaign_of(row: Mapping[str, Any]) -> Campaign:
    """The campaign of a row."""
    return Campaign(
        id=row["id"],
        name=row["name"],
        plan=plan_of(row["plan"]),
        retry=retry_of(row["retry"]),
        state=CampaignState(row["state"]),
        created_s=row["created_s"],
        started_s=row["started_s"],
        ended_s=row["ended_s"],
        stages=stages_of(row["stages"]),
        gate=gate_of(row["gate"]),
        confirm=Confirm(row["confirm"]),
        start_s=row["start_s"],
        windows=windows_of(row["windows"], row["timezone"]),
        stage=row["stage"],
        confirmed=row["confirmed"],
        hold=None if row["hold"] is None else Hold(row["hold"]),
        reason=row["reason"],
        released_s=row["released_s"],
        revision=row["revision"],
    )
