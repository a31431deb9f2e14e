"""Who ended how, and whether it is how he had to: what the devices remember, against what the server says.

Everything that must hold is looked at from outside: by the devices' own logs, and by the published causes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from headgate.cli.demo.batch import BATCH, BATCH_CAUSE
from headgate.cli.demo.contention import Contention
from headgate.cli.demo.orders import ASKED_TWICE, kind_of
from headgate.fleet.device import Device
from headgate.fleet.faults import FAULTS
from headgate.fleet.outcome import Interval, peak
from headgate.fleet.pcp_faults import PCP_FAULTS
from headgate.fleet.runner import CellClass
from headgate.server import TaskStatus
from headgate.upgrade.task import Kind, State

NEVER_ONLINE = "never online"
IDLE_SHARE_MAX = 0.01  # of the contended time; it is looked at now and then, and seen in between changes
NAMED_MAX = 5  # devices of one cell that was too full
CAUSES: Mapping[Kind, Mapping[str, str]] = {
    Kind.FIRMWARE: {**FAULTS, BATCH: BATCH_CAUSE},
    Kind.SOFTWARE: PCP_FAULTS,
}
"""The published cause of each fault; a name may mean something to either kind."""


class FaultEnd(NamedTuple):
    """One fault, and how its devices ended."""

    kind: Kind
    fault: str
    published: str
    devices: int
    ended_so: int


class Peak(NamedTuple):
    """The most devices that upgraded at once in one cell and class."""

    cell: str
    radio_class: str
    most: int
    limit: int
    mixed: bool
    """Whether devices of both kinds ever upgraded together there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The end of a demo."""

    devices: Mapping[Kind, int]
    upgraded: Mapping[Kind, int]
    """With the right digest, running the new version."""
    endings: Mapping[Kind, Mapping[str, int]]
    """How many tasks ended so, of all campaigns."""
    faults: Sequence[FaultEnd]
    peaks: Sequence[Peak]
    """The highest first, by its limit."""
    contention: Contention
    pauses: Sequence[str]
    """Why campaigns have paused themselves."""
    counts: Mapping[Kind, Mapping[str, int]]
    violations: Sequence[str]
    """What must not be, each by its device or cell."""

    @property
    def good(self) -> bool:
        """Whether everything holds."""
        return not self.violations


def verdict_of(
    devices: Sequence[Device],
    tasks: Mapping[str, TaskStatus],
    second: Mapping[str, TaskStatus],
    *,
    digests: Mapping[Kind, str],
    version: str,
    limits: Mapping[str, int],
    contention: Contention,
    now: float,
    pauses: Sequence[str] = (),
    wrongs: Sequence[str] = (),
) -> Verdict:
    """What the devices' logs and the tasks, by endpoint, come to. `second` is the campaign that conflicts.

    `pauses` are what campaigns have paused themselves for, `wrongs` what was not right about it.
    """
    violations = list(wrongs)
    upgraded: Counter[Kind] = Counter()
    right: Counter[tuple[Kind, str]] = Counter()
    endings: dict[Kind, Counter[str]] = {}
    for device in devices:
        endpoint, kind, fault = device.profile.endpoint, kind_of(device), device.profile.fault
        own, other = tasks[endpoint], second.get(endpoint)
        digest = digests[kind]
        wrong = wrongs_of(device, own, other, digest=digest, version=version)
        holds = device.version == version and device.log.digest == digest
        upgraded[kind] += holds and own.state is State.SUCCESS
        right[kind, fault] += not wrong
        endings.setdefault(kind, Counter()).update(ending(task) for task in (own, other) if task is not None)
        violations += [f"{endpoint} ({described(device)}): {each}" for each in wrong]
    peaks, crowded = peaks_of(devices, tasks, limits, now)
    violations += crowded
    if contention.idle_share > IDLE_SHARE_MAX:
        violations.append(
            f"slots were free in {contention.idle_share:.1%} of the time in which someone waited"
        )
    kinds = Counter(kind_of(device) for device in devices)
    injected = Counter((kind_of(device), device.profile.fault) for device in devices)
    return Verdict(
        devices=kinds,
        upgraded=upgraded,
        endings=endings,
        faults=[
            FaultEnd(kind, fault, published, injected[kind, fault], right[kind, fault])
            for kind, causes in CAUSES.items()
            for fault, published in causes.items()
            if injected[kind, fault]
        ],
        peaks=peaks,
        contention=contention,
        pauses=pauses,
        counts={kind: counts_of([each for each in devices if kind_of(each) is kind]) for kind in kinds},
        violations=violations,
    )


def wrongs_of(
    device: Device, task: TaskStatus, second: TaskStatus | None, *, digest: str, version: str
) -> list[str]:
    """What is wrong with how a device ended; nothing where it is as it must be."""
    fault, log = device.profile.fault, device.log
    causes = CAUSES[kind_of(device)]
    wrong = []
    if fault in ("", ASKED_TWICE):
        if task.state is not State.SUCCESS:
            wrong.append(f"had to succeed, and ended so: {ending(task)} ({detail(task)})")
        else:
            if device.version != version:
                wrong.append(f"runs {device.version} after its success")
            if log.digest != digest:
                wrong.append(f"succeeded with a package of SHA-256 {log.digest or 'none'}")
    elif ending(task) != causes[fault]:
        wrong.append(f"had to end so: {causes[fault]}; and ended so: {ending(task)} ({detail(task)})")
    if fault == ASKED_TWICE and (second is None or ending(second) != causes[fault]):
        came = "was not" if second is None else f"ended so: {ending(second)}"
        wrong.append(f"its second task had to end so: {causes[fault]}; it {came}")
    if log.executes_after_confirmed:
        wrong.append(f"{log.executes_after_confirmed} Executes after it had confirmed one")
    if log.forced_restarts:
        wrong.append(f"{log.forced_restarts} restarts at 0 that it did not choose")
    return wrong


def peaks_of(
    devices: Sequence[Device], tasks: Mapping[str, TaskStatus], limits: Mapping[str, int], now: float
) -> tuple[list[Peak], list[str]]:
    """The most devices that upgraded at once, by cell and class; and where that is more than the limit.

    A device upgrades from the URI it takes to the end that it is told. One that is gone is told nothing, and
    one that sleeps is told later: for these it ends with their task.
    """
    intervals: dict[CellClass, list[tuple[Device, Interval]]] = {}
    for device in devices:
        log, endpoint = device.log, device.profile.endpoint
        over_s = tasks[endpoint].ended_s or now
        found = list(log.upgrades)
        if log.upgrading_since_s is not None:
            found.append(Interval(log.upgrading_since_s, now, log.radio_class))
        for began_s, ended_s, radio_class in found:
            if began_s < over_s:
                interval = Interval(began_s, min(ended_s, over_s), radio_class)
                intervals.setdefault((device.profile.radio.cell_id, radio_class), []).append(
                    (device, interval)
                )
    peaks, crowded = [], []
    for (cell_id, radio_class), found_there in intervals.items():
        cell = "none" if cell_id is None else f"{cell_id:X}"
        most = peak((each.began_s, each.ended_s) for _, each in found_there)
        limit = limits.get(radio_class, 0)
        peaks.append(Peak(cell, radio_class, most, limit, mixed(found_there)))
        if most > limit:
            names = ", ".join(device.profile.endpoint for device, _ in found_there[:NAMED_MAX])
            crowded.append(
                f"cell {cell}, class {radio_class or 'unknown to the device'}: {most} upgraded at once, "
                f"{limit} may ({names}{', ...' if len(found_there) > NAMED_MAX else ''})"
            )
    return sorted(peaks, key=lambda each: (-each.most / max(each.limit, 1), each.cell)), crowded


def mixed(found: Sequence[tuple[Device, Interval]]) -> bool:
    """Whether an upgrade of one kind overlaps one of the other."""
    software = [each for device, each in found if kind_of(device) is Kind.SOFTWARE]
    return any(
        max(one.began_s, other.began_s) < min(one.ended_s, other.ended_s)
        for device, one in found
        if kind_of(device) is Kind.FIRMWARE
        for other in software
    )


def counts_of(devices: Sequence[Device]) -> dict[str, int]:
    """Sums of what the devices remember."""
    logs = [device.log for device in devices]
    return {
        "power cuts": sum(log.power_cuts for log in logs),
        "downloads that went on where the device was": sum(len(log.resumed_at) for log in logs),
        "downloads begun again at 0, by the device's choice": sum(
            max(log.starts_at_zero - 1, 0) for log in logs
        ),
        "restarts at 0 that no device chose": sum(log.forced_restarts for log in logs),
        "blocks or segments taken": sum(log.blocks + log.segments for log in logs),
        "ports moved": sum(device.port_generation for device in devices),
        "executes": sum(log.executes for log in logs),
        "executes repeated as the answer was lost": sum(log.executes_after_answer for log in logs),
        "executes after confirmation": sum(log.executes_after_confirmed for log in logs),
    }


def ending(task: TaskStatus) -> str:
    """How a task ended: its published cause where it failed."""
    return task.state.value.replace("_", " ") if task.failure is None else task.failure.value


def detail(task: TaskStatus) -> str:
    """What the server knows about it."""
    return (
        " ".join(each for each in (task.detail_at, task.detail_code, task.detail_note) if each) or "no detail"
    )


def described(device: Device) -> str:
    """What kind of device it is."""
    profile = device.profile
    style = profile.style if profile.pcp is None else f"PCP, {profile.pcp.generation.value}"
    return ", ".join(
        each for each in (style, profile.fault, f"class {profile.radio.radio_class or '-'}") if each
    )


def values_of(verdict: Verdict) -> dict[str, Any]:
    """For machines."""
    contention = verdict.contention
    return {
        "good": verdict.good,
        "devices": dict(verdict.devices),
        "upgraded": dict(verdict.upgraded),
        "endings": {kind: dict(found) for kind, found in verdict.endings.items()},
        "faults": [each._asdict() for each in verdict.faults],
        "peaks": [each._asdict() for each in verdict.peaks],
        "contended_s": round(contention.contended_s, 3),
        "idle_share": round(contention.idle_share, 6),
        "used_share": round(contention.used_share, 4),
        "pauses": list(verdict.pauses),
        "counts": {kind: dict(found) for kind, found in verdict.counts.items()},
        "violations": list(verdict.violations),
    }
