"""Values to rows of the store and back: tasks, plans, effects, registrations.

Each pair of functions is exact: what was written reads back equal. A row is trusted, since only this file
writes it; a value that is none of ours is a KeyError or ValueError, and stops a restart before it harms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from headgate.lwm2m.registration import Registration
from headgate.lwm2m.registration import made as registration_made
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
from headgate.upgrade.task import NOTHING_READ, Kind, Mark, Plan, Reading, State, Task, Timers, made
from headgate.wire.links import RegisteredObjects, parse_objects, write_objects

Values = Sequence[Any]

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


ORIGIN = ("id", "endpoint", "uri", "campaign_id", "attempt", "created_s")
PLACE = ("state", "entered_s", "stage_s", "deadline_s", "measured_s", "waiting_s", "queued_s")
RADIO = ("cell_id", "smcc", "smnc", "rsrp_dbm", "sinr_db", "radio_class")
SAID = ("version", "state_seen_s", "reading", "refused", "marks")
END = ("failure", "detail_at", "detail_code", "detail_note")
TASK_COLUMNS = (*ORIGIN, *PLACE, *RADIO, *SAID, *END)


def tasks_of(rows: Iterable[Values], plans: Mapping[str, Plan]) -> Iterator[tuple[Task, str, int, float]]:
    """The tasks of rows of TASK_COLUMNS: each with its campaign, attempt and creation. `plans`: by campaign.

    Values that are equal are one: a fleet has few versions, and many devices in each cell.
    """
    places, radios, saids = len(ORIGIN), len(ORIGIN + PLACE), len(ORIGIN + PLACE + RADIO)
    ends = len(TASK_COLUMNS) - len(END)
    measurements: dict[Values, Measurement | None] = {}
    cells: dict[Cell, Cell] = {}
    versions: dict[str | None, str | None] = {}
    for row in rows:
        id, endpoint, uri, campaign_id, attempt, created_s = row[:places]
        state, entered_s, stage_s, deadline_s, measured_s, waiting_s, queued_s = row[places:radios]
        measured = row[radios:saids]
        version, state_seen_s, reading, refused, marks = row[saids:ends]
        failure, detail_at, detail_code, detail_note = row[ends:]
        if measured not in measurements:
            measurements[measured] = measurement_of(measured, cells)
        task = made(
            (
                id,
                endpoint,
                plans[campaign_id],
                uri,
                STATES[state],
                entered_s,
                stage_s,
                deadline_s,
                measurements[measured],
                measured_s,
                waiting_s,
                queued_s,
                versions.setdefault(version, version),
                state_seen_s,
                reading_of(reading) if reading else NOTHING_READ,
                refused,
                marks_of(marks),
                FAILURES[failure],
                None if detail_at is None else Detail(at=detail_at, code=detail_code, note=detail_note),
            )
        )
        yield task, campaign_id, attempt, created_s


def measurement_of(values: Values, cells: dict[Cell, Cell]) -> Measurement | None:
    """The measurement of columns RADIO; its cell is the equal one of `cells`, where there is one."""
    cell_id, smcc, smnc, rsrp_dbm, sinr_db, radio_class = values
    if radio_class is None:
        return None
    cell = None if cell_id is None else Cell(cell_id, smcc, smnc)
    return Measurement(
        cell=None if cell is None else cells.setdefault(cell, cell),
        rsrp_dbm=rsrp_dbm,
        sinr_db=sinr_db,
        radio_class=CLASSES[radio_class],
        smcc=smcc,
        smnc=smnc,
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


OWN = ("endpoint", "location", "registered_s", "expires_s", "sms", "address", "control")
ALIKE = ("lifetime_s", "lwm2m_version", "binding", "queue_mode", "links", "formats")
REGISTRATION_COLUMNS = (*OWN, *ALIKE)


def registrations_of(rows: Iterable[Values]) -> Iterator[Registration]:
    """The registrations of rows of REGISTRATION_COLUMNS. What devices of a kind have alike is one."""
    alike = len(OWN)
    known: dict[Values, Values] = {}
    for row in rows:
        endpoint, location, registered_s, expires_s, sms, address, control = row[:alike]
        told = row[alike:]
        if told not in known:
            known[told] = alike_of(told)
        lifetime_s, version, binding, queue_mode, objects, formats = known[told]
        yield registration_made(
            (
                endpoint,
                location,
                registered_s,
                expires_s,
                lifetime_s,
                version,
                binding,
                queue_mode,
                sms,
                objects,
                (address, control),
                formats,
            )
        )


def alike_of(values: Values) -> Values:
    """What columns ALIKE mean."""
    lifetime_s, version, binding, queue_mode, links, formats = values
    major, _, minor = version.partition(".")
    worked = tuple((kind, accept) for kind, accept in json.loads(formats)) if formats else ()
    return lifetime_s, (int(major), int(minor)), binding, queue_mode, objects_of(links), worked


@lru_cache(PRODUCTS_MAX)
def links_text(objects: RegisteredObjects) -> str:
    """The links that register these objects."""
    return write_objects(objects).decode()


@lru_cache(PRODUCTS_MAX)
def objects_of(links: str) -> RegisteredObjects:
    """What links register. Devices of a product register the same, and share one value."""
    return parse_objects(links.encode())
