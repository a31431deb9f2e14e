"""Faults on demand: what a device does wrong, and the published cause that its upgrade must end with.

>>> FAULTS["stalls"]
'Waiting for device downloaded package timeout'
>>> faulty(Profile(endpoint="a"), "Result 5").misbehaviour.gives_up
(2, 5)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headgate.fleet.objects import CELL_ID, PACKAGE_URI, RESULT, STATE, UPDATE, VERSION
from headgate.fleet.profile import HEALTHY, RESETS, SILENT, Misbehaviour, Notify, Profile, Update
from headgate.wire.numbers import (
    BAD_REQUEST,
    GET,
    INTERNAL_SERVER_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    POST,
    PUT,
)
from headgate.wire.resources import Path

# The published texts, letter by letter.
NOT_ONLINE = "Device Abnormal is not online"
TASK_CONFLICT = "Task Conflict"
ONLINE_TIMEOUT = "Waiting for the device online timeout"
RESULT_TIMEOUT = "Wait for the device to report upgrade result timeout"
VERSION_TIMEOUT = "Waiting for report device firmware version timeout"
CELL_ID_TIMEOUT = "Waiting for report cellId timeout"
CHECK_TIMEOUT = "Updating timeout and query device version for check timeout"
DOWNLOADED_TIMEOUT = "Waiting for device downloaded package timeout"
UPDATE_START_TIMEOUT = "Waiting for device start to update timeout"
DOWNLOAD_START_TIMEOUT = "Waiting for device start download package timeout"
STORAGE = "Not enough storage for the new firmware package"
MEMORY = "Out of memory during downloading process"
CONNECTION_LOST = "Connection lost during downloading process"
INTEGRITY = "Integrity check failure for new downloaded package"
PACKAGE_TYPE = "Unsupported package type"
INVALID_URI = "Invalid URI"
UPDATE_FAILED = "Firmware update failed"

EARLY = 2  # blocks after which a download goes wrong
RADIO = Path(4, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong in a device, and how its upgrade must end."""

    failure: str
    misbehaviour: Misbehaviour = HEALTHY
    profile: Mapping[str, object] = field(default_factory=dict)
    """Further changes to the device, where its style would stand in the way."""
    no_cell: bool = False


def refuses(method: int, path: Path, code: int) -> Misbehaviour:
    """A device that answers so; SILENT and RESETS are answers too."""
    return Misbehaviour(answers={(method, path): code})


def gives_up(result: int, blocks: int = EARLY) -> Misbehaviour:
    """A device whose download fails with this Update Result."""
    return Misbehaviour(gives_up=(blocks, result))


ALL_RESULTS: Mapping[str, object] = {"results": None, "notify": Notify.CONFIRMABLE, "pmin_s": 0.0}
"""So that the Result is told at all, and in time: one that comes after a timer is that timer's cause."""
TALKATIVE: Mapping[str, object] = {"report_interval_s": 60.0}
"""So that it is awake, and answers, within three minutes of being asked again."""

TABLE: dict[str, Fault] = {
    # What the platform finds.
    "never online": Fault(failure=ONLINE_TIMEOUT, misbehaviour=Misbehaviour(never_boots=True)),
    "silent on version": Fault(failure=VERSION_TIMEOUT, misbehaviour=refuses(GET, VERSION, SILENT)),
    "has no version": Fault(failure=VERSION_TIMEOUT, misbehaviour=refuses(GET, VERSION, NOT_FOUND)),
    "has no cell": Fault(failure=CELL_ID_TIMEOUT, no_cell=True),
    "silent on cell": Fault(
        failure=CELL_ID_TIMEOUT,
        misbehaviour=Misbehaviour(answers={(GET, RADIO): SILENT, (GET, CELL_ID): SILENT}),
    ),
    "resets the Observe": Fault(failure=NOT_ONLINE, misbehaviour=refuses(GET, STATE, RESETS)),
    "resets the query": Fault(failure=NOT_ONLINE, misbehaviour=refuses(GET, VERSION, RESETS)),
    "cannot be observed": Fault(failure=NOT_ONLINE, misbehaviour=refuses(GET, STATE, METHOD_NOT_ALLOWED)),
    "answers errors": Fault(
        failure=NOT_ONLINE, misbehaviour=refuses(PUT, PACKAGE_URI, INTERNAL_SERVER_ERROR)
    ),
    "deregisters": Fault(failure=NOT_ONLINE, misbehaviour=Misbehaviour(deregisters=EARLY)),
    "never starts": Fault(failure=DOWNLOAD_START_TIMEOUT, misbehaviour=Misbehaviour(never_starts=True)),
    "stalls": Fault(failure=DOWNLOADED_TIMEOUT, misbehaviour=Misbehaviour(stalls=EARLY)),
    "ignores Execute": Fault(failure=UPDATE_START_TIMEOUT, misbehaviour=refuses(POST, UPDATE, SILENT)),
    "dies updating": Fault(failure=CHECK_TIMEOUT, misbehaviour=Misbehaviour(update=Update.DIES)),
    "hangs updating": Fault(
        failure=RESULT_TIMEOUT, misbehaviour=Misbehaviour(update=Update.HANGS), profile=TALKATIVE
    ),
    "hides its result": Fault(
        failure=RESULT_TIMEOUT,
        misbehaviour=Misbehaviour(update=Update.REVERTS, answers={(GET, RESULT): NOT_FOUND}),
    ),
    "asked twice": Fault(failure=TASK_CONFLICT),
    # What the device reports.
    "Result 2": Fault(failure=STORAGE, misbehaviour=gives_up(2, blocks=0), profile=ALL_RESULTS),
    "Result 3": Fault(failure=MEMORY, misbehaviour=gives_up(3), profile=ALL_RESULTS),
    "Result 4": Fault(failure=CONNECTION_LOST, misbehaviour=gives_up(4), profile=ALL_RESULTS),
    "Result 5": Fault(failure=INTEGRITY, misbehaviour=gives_up(5), profile=ALL_RESULTS),
    "Result 6": Fault(failure=PACKAGE_TYPE, misbehaviour=gives_up(6, blocks=1), profile=ALL_RESULTS),
    "Result 7": Fault(failure=INVALID_URI, misbehaviour=gives_up(7, blocks=0), profile=ALL_RESULTS),
    "Result 8": Fault(failure=UPDATE_FAILED, misbehaviour=Misbehaviour(update=Update.FAILS)),
    "Result 9": Fault(failure=INVALID_URI, misbehaviour=gives_up(9, blocks=0), profile=ALL_RESULTS),
    "comes back old": Fault(
        failure=UPDATE_FAILED, misbehaviour=Misbehaviour(update=Update.REVERTS), profile=TALKATIVE
    ),
    "refuses URI": Fault(failure=INVALID_URI, misbehaviour=refuses(PUT, PACKAGE_URI, BAD_REQUEST)),
    "forbids URI": Fault(failure=UPDATE_FAILED, misbehaviour=refuses(PUT, PACKAGE_URI, METHOD_NOT_ALLOWED)),
    "refuses Execute": Fault(failure=UPDATE_FAILED, misbehaviour=refuses(POST, UPDATE, METHOD_NOT_ALLOWED)),
}
"""Every fault by its name.

The device of "asked twice" is healthy: the operator is to start a second campaign for it while one runs.
"""

FAULTS: dict[str, str] = {name: fault.failure for name, fault in TABLE.items()}
"""The published failure text that a device with the fault must end with, by the fault's name."""


def faulty(profile: Profile, name: str) -> Profile:
    """The same device with the fault."""
    fault = TABLE[name]
    changes: dict[str, object] = {"fault": name, "misbehaviour": fault.misbehaviour, **fault.profile}
    if fault.no_cell:
        changes["radio"] = replace(profile.radio, cell_id=None, sinr=None, radio_class="")
    return replace(profile, **changes)  # type: ignore[arg-type]
