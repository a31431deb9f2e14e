"""Why an upgrade failed: the published texts, and beside them what the device or the clock really said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """The seventeen causes. A member's value is its published text, letter by letter.

    >>> str(Failure.INVALID_URI), Failure.INVALID_URI.by_device, Failure.TASK_CONFLICT.by_device
    ('Invalid URI', True, False)
    """

    # Ten causes that the platform finds.
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

    # Seven causes that the device reports: one for each of the Update Results 2 to 8 of LwM2M object 5.
    STORAGE = "Not enough storage for the new firmware package"
    MEMORY = "Out of memory during downloading process"
    CONNECTION_LOST = "Connection lost during downloading process"
    INTEGRITY = "Integrity check failure for new downloaded package"
    PACKAGE_TYPE = "Unsupported package type"
    INVALID_URI = "Invalid URI"
    UPDATE_FAILED = "Firmware update failed"

    @property
    def by_device(self) -> bool:
        """Whether it is one of the seven that a device reports."""
        return self in BY_DEVICE


BY_DEVICE = frozenset(list(Failure)[10:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """What a cause alone does not tell: where it was said, the raw code, and a note for people.

    >>> str(Detail(at="5/0/5", code="9", note="unsupported protocol"))
    '5/0/5: 9 (unsupported protocol)'
    >>> str(Detail(note="no answer for 180 s"))
    'no answer for 180 s'
    """

    at: str = ""
    """A resource (`5/0/5`) or a message (`PCP 24`)."""
    code: str = ""
    """As it came: a CoAP code (`4.05`), `RST`, an Update Result, a PCP result code."""
    note: str = ""

    def __str__(self) -> str:
        said = f"{self.at}: {self.code}" if self.at and self.code else self.at or self.code
        return f"{said} ({self.note})" if said and self.note else said or self.note
