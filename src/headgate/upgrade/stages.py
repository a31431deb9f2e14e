"""Stages: a campaign begins with some of its devices, and goes on to more when those did well.

A stage is a run of the campaign's list of devices, in its order. What a stage has shown is judged by its
*gate*, a pure function of counters that the writer keeps in the transactions that change the tasks:

    devices      of the stage
    begun        whose first attempt has begun, or ended without
    ended        whose last attempt has ended; a retry takes its device back
    succeeded    of these, the upgraded and those that were up to date
    failed       of these; Task Conflict is a failure like any. Who was cancelled is in neither number
    executed     attempts that succeeded or failed since the campaign was last resumed, retries included
    errors       of these, the failed

The first five say how the stage stands, and counting the rows gives the same at any time. The last two are
what an automatic pause is decided by: a campaign that was resumed is judged by what happens from then on.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

STAGES_MAX = 100
EXACT = 1e-9
"""Shares are compared to within this: 0.07 of 100 is 7, whatever floats make of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a stage must show. The default lets every stage pass."""

    success: float = 0.0
    """The share of those who succeeded or failed that must have succeeded for the next stage to begin."""
    error_threshold: float = 1.0
    """The campaign pauses as soon as more than this share of the executed attempts failed,"""
    minimum_executed: int = 20
    """once there are at least so many of them."""

    def __post_init__(self) -> None:
        for name in ("success", "error_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        if self.minimum_executed < 1:
            raise ValueError(f"minimum_executed is at least 1, not {self.minimum_executed}")


NO_GATE = Gate()


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a stage shall be: a share of the campaign's devices, or so many of them."""

    percent: float | None = None
    count: int | None = None
    gate: Gate | None = None

    def __post_init__(self) -> None:
        if (self.percent is None) == (self.count is None):
            raise ValueError("a stage has a percent or a count")
        if self.percent is not None and not 0 < self.percent <= 100:
            raise ValueError(f"a stage has a percent above 0, up to 100, not {self.percent}")
        if self.count is not None and self.count < 1:
            raise ValueError(f"a stage has at least 1 device, not {self.count}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of a campaign that was made."""

    devices: int
    gate: Gate | None = None
    """None: its campaign's."""


def sized(sizes: Sequence[Size], devices: int) -> tuple[Stage, ...]:
    """The stages of so many devices. What the sizes leave over is a last stage; none is empty.

    A percentage is rounded up, so that each has a device. Sizes behind the last device make no stage: who
    asked for 500 and then the others, and has 300 devices, has one stage. Raises ValueError.

    >>> [stage.devices for stage in sized([Size(percent=1), Size(count=50), Size(percent=25)], 1010)]
    [11, 50, 253, 696]
    >>> [stage.devices for stage in sized([Size(count=500)], 300)]
    [300]
    """
    if len(sizes) > STAGES_MAX:
        raise ValueError(f"a campaign has up to {STAGES_MAX} stages, not {len(sizes)}")
    if sum(size.percent or 0.0 for size in sizes) > 100 + EXACT:
        raise ValueError("the stages have more than 100 percent together")
    stages: list[Stage] = []
    left = devices
    for size in sizes:
        wanted = size.count
        if size.percent is not None:
            wanted = math.ceil(devices * size.percent / 100 - EXACT)
        assert wanted is not None
        if left and wanted:
            stages.append(Stage(devices=min(wanted, left), gate=size.gate))
            left -= stages[-1].devices
    if left:
        stages.append(Stage(devices=left))
    return tuple(stages)


# -- counters --


def stage_counter(number: int, what: str) -> str:
    """The name under which something of a stage is counted.

    >>> stage_counter(2, "failed")
    'stage 2 failed'
    """
    return f"stage {number} {what}"


BEGUN, ENDED, SUCCEEDED, FAILED, EXECUTED, ERRORS = COUNTED = (
    "begun",
    "ended",
    "succeeded",
    "failed",
    "executed",
    "errors",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCounts:
    """How a stage stands, in devices and attempts: see the head of this file."""

    devices: int
    begun: int = 0
    ended: int = 0
    succeeded: int = 0
    failed: int = 0
    executed: int = 0
    errors: int = 0


def stage_counts(counters: Mapping[str, int], number: int, stage: Stage) -> StageCounts:
    """What counters say of a stage, by its number from 1."""
    values = {what: counters.get(stage_counter(number, what), 0) for what in COUNTED}
    return StageCounts(devices=stage.devices, **values)


# -- the gate --


class Verdict(StrEnum):
    """What a gate says."""

    GO_ON = "goes on"
    PASS = "passes"
    ERRORS = "pauses: errors"
    GATE = "pauses: gate"


def gate(counts: StageCounts, wanted: Gate) -> Verdict:
    """What becomes of a stage. Its truth table is docs/stages.md.

    >>> gate(StageCounts(devices=500, executed=25, errors=5), Gate(error_threshold=0.1))
    <Verdict.ERRORS: 'pauses: errors'>
    """
    if enough(counts, wanted) and too_many_errors(counts, wanted):
        return Verdict.ERRORS
    if counts.ended < counts.devices:
        return Verdict.GO_ON
    return Verdict.PASS if reached(counts, wanted) else Verdict.GATE


def enough(counts: StageCounts, wanted: Gate) -> bool:
    """Whether so many attempts were executed that their errors count."""
    return counts.executed >= wanted.minimum_executed


def too_many_errors(counts: StageCounts, wanted: Gate) -> bool:
    """Whether more than the threshold failed."""
    return counts.errors - wanted.error_threshold * counts.executed > EXACT


def reached(counts: StageCounts, wanted: Gate) -> bool:
    """Whether enough succeeded. A stage of which nobody succeeded or failed has shown nothing."""
    judged = counts.succeeded + counts.failed
    if not judged:
        return wanted.success == 0
    return counts.succeeded - wanted.success * judged >= -EXACT


# -- rows --


def gate_text(wanted: Gate | None) -> str:
    """A gate as JSON, nothing for none."""
    return "" if wanted is None else json.dumps(asdict(wanted))


def gate_of(text: str) -> Gate:
    """The gate that JSON tells, the default where it tells nothing."""
    return Gate(**json.loads(text)) if text else NO_GATE


def stages_text(stages: Iterable[Stage]) -> str:
    """Stages as JSON."""
    said = [[each.devices, None if each.gate is None else asdict(each.gate)] for each in stages]
    return json.dumps(said)


def stages_of(text: str) -> tuple[Stage, ...]:
    """The stages that JSON tells."""
    said = json.loads(text) if text else []
    return tuple(
        Stage(devices=devices, gate=None if wanted is None else Gate(**wanted)) for devices, wanted in said
    )


# -- the page --

HEAD = """\
# The gate of a stage

Worked out by the function itself, `headgate.upgrade.stages.gate`: `python -m headgate.upgrade.stages >
docs/stages.md`. A test compares the two. What is counted is written at the head of
`src/headgate/upgrade/stages.py`; what surrounds the gate in [operating](operating.md#stages) and in
[decision 21](adr/0021-stages.md).

A stage of 100 devices, of which some were cancelled where ended is more than succeeded and failed, under
`{"success": 0.9, "error_threshold": 0.2, "minimum_executed": 20}`. The numbers are examples; every
combination of the four conditions that can be stands here once.
"""
TITLES = (
    "executed",
    "errors",
    "ended",
    "succeeded",
    "failed",
    "executed enough",
    "too many errors",
    "all ended",
    "success reached",
    "verdict",
)
EXAMPLE = Gate(success=0.9, error_threshold=0.2, minimum_executed=20)
EXAMPLES = tuple(
    StageCounts(
        devices=100, begun=100, executed=executed, errors=errors, ended=ended, succeeded=good, failed=bad
    )
    for executed, errors, ended, good, bad in (
        (10, 0, 10, 10, 0),
        (10, 2, 10, 8, 2),
        (10, 5, 10, 5, 5),
        (10, 5, 60, 55, 5),
        (10, 1, 100, 91, 9),
        (10, 1, 100, 80, 20),
        (10, 5, 100, 90, 10),
        (10, 5, 100, 80, 20),
        (50, 0, 50, 50, 0),
        (50, 10, 50, 40, 10),
        (50, 11, 60, 55, 5),
        (50, 11, 50, 39, 11),
        (50, 5, 100, 90, 10),
        (50, 10, 100, 89, 11),
        (50, 11, 100, 90, 10),
        (50, 11, 100, 80, 20),
    )
)


def conditions(counts: StageCounts, wanted: Gate) -> tuple[bool, bool, bool, bool]:
    """All that a verdict depends on."""
    return (
        enough(counts, wanted),
        too_many_errors(counts, wanted),
        counts.ended == counts.devices,
        reached(counts, wanted),
    )


def document() -> str:
    """The truth table as a page."""
    return "\n".join([HEAD, *table(), ""])


def table() -> Iterator[str]:
    """Its rows."""
    yield f"| {' | '.join(TITLES)} |"
    yield "|" + "---|" * len(TITLES)
    for counts in EXAMPLES:
        numbers = (counts.executed, counts.errors, counts.ended, counts.succeeded, counts.failed)
        so = ("yes" if each else "no" for each in conditions(counts, EXAMPLE))
        yield f"| {' | '.join([*map(str, numbers), *so, gate(counts, EXAMPLE)])} |"


if __name__ == "__main__":
    sys.stdout.write(document())
