"""Values to rows of the store and back: tasks, plans, effects, registrations.

Each pair of functions is exact: what was written reads back equal. A row is trusted, since only this file
writes it; a value that is none of ours is a KeyError or ValueError, and stops a restart before it harms.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from headgate.lwm2m.registration import Registration
from headgate.upgrade.events import Effect, ReadCell, ReadRadio
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.object5 import (
    CancelObservation,
    CancelUpdate,
    ClearUri,
    ExecuteUpdate,
    ObserveState,
    ReadPackage,
    ReadResult,
    ReadState,
    ReadVersion,
    WithdrawDownload,
    WriteUri,
)
from headgate.upgrade.object19 import ExecuteUpgrade, NotifyVersion, QueryVersion, SubscribeData
from headgate.upgrade.radio import Cell, Measurement, RadioClass
from headgate.upgrade.task import NOTHING_READ, Kind, Mark, Plan, Reading, State, Task, Timers
from headgate.wire.links import RegisteredObjects, parse_objects, write_objects

Row = Mapping[str, Any]

STATES: Mapping[str, State] = {state.value: state for state in State}
FAILURES: Mapping[str | None, Failure | None] = {None: None, **{each.value: each for each in Failure}}
CLASSES: Mapping[str | None, RadioClass | None] = {
    None: None,
    "": None,
    **{each.value: each for each in RadioClass},
}
INCOMPLETE = ""  # the class of a measurement that gives none; null: nothing was measured
MARKS_COMBINED = 1 << len(Mark)
PRODUCTS_MAX = 1024  # sets of links that are remembered as values

# -- tasks --


@lru_cache(MARKS_COMBINED)
def marks_text(marks: frozenset[Mark]) -> str:
    """Marks as words.

    >>> marks_text(frozenset({Mark.TLV, Mark.GRANTED}))
    'granted tlv'
    """
    return " ".join(sorted(marks))


@lru_cache(MARKS_COMBINED)
def marks_of(text: str) -> frozenset[Mark]:
    """The marks that words name."""
    return frozenset(map(Mark, text.split()))


def reading_text(reading: Reading) -> str:
    """A reading as JSON; nothing for nothing read."""
    if reading == NOTHING_READ:
        return ""
    return json.dumps(asdict(reading))


def reading_of(text: str) -> Reading:
    """The reading that JSON tells."""
    return Reading(**json.loads(text)) if text else NOTHING_READ


def task_row(task: Task, *, campaign_id: str, attempt: int, created_s: float) -> dict[str, Any]:
    """All columns of a task."""
    radio, detail = task.radio, task.detail
    over = task.state.terminal
    row: dict[str, Any] = {
        "id": task.id,
        "campaign_id": campaign_id,
        "endpoint": task.endpoint,
        "attempt": attempt,
        "state": task.state.value,
        "entered_s": task.entered_s,
        "stage_s": task.stage_s,
        "deadline_s": task.deadline_s,
        "uri": task.uri,
        "cell_id": None,
        "smcc": None,
        "smnc": None,
        "rsrp_dbm": None,
        "sinr_db": None,
        "radio_class": None,
        "measured_s": task.measured_s,
        "waiting_s": task.waiting_s,
        "queued_s": task.queued_s,
        "version": task.version,
        "state_seen_s": task.state_seen_s,
        "reading": "" if task.reading is NOTHING_READ else reading_text(task.reading),
        "refused": task.refused,
        "marks": marks_text(task.marks) if task.marks else "",
        "failure": None if task.failure is None else task.failure.value,
        "detail_at": None,
        "detail_code": None,
        "detail_note": None,
        "created_s": created_s,
        "ended_s": task.entered_s if over else None,
        "active": not over,
    }
    if radio is not None:
        row["cell_id"] = None if radio.cell is None else radio.cell.cell_id
        row["smcc"] = radio.smcc
        row["smnc"] = radio.smnc
        row["rsrp_dbm"] = radio.rsrp_dbm
        row["sinr_db"] = radio.sinr_db
        row["radio_class"] = INCOMPLETE if radio.radio_class is None else radio.radio_class.value
    if detail is not None:
        row["detail_at"], row["detail_code"], row["detail_note"] = detail.at, detail.code, detail.note
    return row


def task_of(row: Row, plan: Plan) -> Task:
    """The task of a row; `plan` is its campaign's."""
    radio: Measurement | None = None
    radio_class = row["radio_class"]
    if radio_class is not None:
        cell_id, smcc, smnc = row["cell_id"], row["smcc"], row["smnc"]
        radio = Measurement(
            cell=None if cell_id is None else Cell(cell_id, smcc, smnc),
            rsrp_dbm=row["rsrp_dbm"],
            sinr_db=row["sinr_db"],
            radio_class=CLASSES[radio_class],
            smcc=smcc,
            smnc=smnc,
        )
    detail: Detail | None = None
    if row["detail_at"] is not None:
        detail = Detail(at=row["detail_at"], code=row["detail_code"], note=row["detail_note"])
    return Task(
        id=row["id"],
        endpoint=row["endpoint"],
        plan=plan,
        uri=row["uri"],
        state=STATES[row["state"]],
        entered_s=row["entered_s"],
        stage_s=row["stage_s"],
        deadline_s=row["deadline_s"],
        radio=radio,
        measured_s=row["measured_s"],
        waiting_s=row["waiting_s"],
        queued_s=row["queued_s"],
        version=row["version"],
        state_seen_s=row["state_seen_s"],
        reading=reading_of(row["reading"]) if row["reading"] else NOTHING_READ,
        refused=row["refused"],
        marks=marks_of(row["marks"]),
        failure=FAILURES[row["failure"]],
        detail=detail,
    )


# -- plans --


def plan_text(plan: Plan) -> str:
    """A plan as JSON, with every timer: a later default changes no campaign that exists."""
    said = {field.name: getattr(plan, field.name) for field in fields(plan)}
    said["kind"] = plan.kind.value
    said["pid"] = plan.pid.hex()
    said["source_versions"] = sorted(plan.source_versions)
    said["timers"] = asdict(plan.timers)
    return json.dumps(said)


def plan_of(text: str) -> Plan:
    """The plan that JSON tells."""
    said = json.loads(text)
    said["kind"] = Kind(said["kind"])
    said["pid"] = bytes.fromhex(said["pid"])
    said["source_versions"] = frozenset(said["source_versions"])
    said["timers"] = Timers(**said["timers"])
    return Plan(**said)


# -- effects --

# What may be committed and not done yet. Grants and AnnounceOutcome are not among them: who has a grant is
# told by the tasks, and outcomes by the event log. Nor are answers over PCP: the device repeats its question.
EFFECTS: Mapping[str, type[Effect]] = {
    effect.__name__: effect
    for effect in (
        ReadVersion,
        ReadRadio,
        ReadCell,
        ObserveState,
        ReadState,
        ReadPackage,
        ClearUri,
        WriteUri,
        ExecuteUpdate,
        ReadResult,
        CancelObservation,
        CancelUpdate,
        WithdrawDownload,
        SubscribeData,
        QueryVersion,
        NotifyVersion,
        ExecuteUpgrade,
    )
}


def effect_text(effect: Effect) -> str:
    """What is particular to an effect, as JSON; nothing where nothing is."""
    names: tuple[str, ...] = type(effect).__slots__
    said = {name: getattr(effect, name) for name in names}
    return json.dumps(said) if said else ""


def effect_of(name: str, text: str) -> Effect:
    """The effect of that name."""
    effect: Effect = EFFECTS[name](**(json.loads(text) if text else {}))
    return effect


# -- registrations --


def registration_row(registration: Registration, *, heard_s: float) -> dict[str, Any]:
    """The columns that a Register or Update sets. `remote` is an address and its control data."""
    remote: Any = registration.remote  # opaque to LwM2M; here it is what the socket told
    address, control = remote
    major, minor = registration.version
    return {
        "endpoint": registration.endpoint,
        "location": registration.location,
        "registered_s": registration.registered_s,
        "expires_s": registration.expires_s,
        "lifetime_s": registration.lifetime_s,
        "lwm2m_version": f"{major}.{minor}",
        "binding": registration.binding,
        "queue_mode": registration.queue_mode,
        "sms": registration.sms,
        "links": links_text(registration.objects),
        "address": address,
        "control": control,
        "heard_s": heard_s,
        "formats": json.dumps(registration.formats) if registration.formats else "",
    }


def registration_of(row: Row) -> Registration:
    """The registration of a row."""
    major, _, minor = row["lwm2m_version"].partition(".")
    formats = json.loads(row["formats"]) if row["formats"] else ()
    return Registration(
        endpoint=row["endpoint"],
        location=row["location"],
        registered_s=row["registered_s"],
        expires_s=row["expires_s"],
        lifetime_s=row["lifetime_s"],
        version=(int(major), int(minor)),
        binding=row["binding"],
        queue_mode=row["queue_mode"],
        sms=row["sms"],
        objects=objects_of(row["links"]),
        remote=(row["address"], row["control"]),
        formats=tuple((kind, accept) for kind, accept in formats),
    )


@lru_cache(PRODUCTS_MAX)
def links_text(objects: RegisteredObjects) -> str:
    """The links that register these objects."""
    return write_objects(objects).decode()


@lru_cache(PRODUCTS_MAX)
def objects_of(links: str) -> RegisteredObjects:
    """What links register. Devices of a product register the same, and share one value."""
    return parse_objects(links.encode())
