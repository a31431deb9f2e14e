"""A small campaign as the store has it when it is through, every row and line of it written by hand."""

from __future__ import annotations

from typing import Any

import rows
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.campaign import Campaign, CampaignState, campaign_row
from headgate.upgrade.failure import Failure
from headgate.upgrade.stages import Stage, stage_counter
from headgate.upgrade.task import Kind, Plan

T = 1_700_000_000.0
HOSTILE = "<script>alert('x')</script>\u202e"
LINED = "waiting for a slot of its cell"
PLAN = Plan(kind=Kind.FIRMWARE, target_version="V2", pid=bytes(8))

CAMPAIGN = Campaign(
    id="c",
    name=HOSTILE,
    plan=PLAN,
    state=CampaignState.ENDED,
    created_s=T,
    started_s=T,
    ended_s=T + 100,
    stages=(Stage(devices=2), Stage(devices=3)),
    stage=2,
)


def over(number: int, state: str, created: float, waiting: float, ended: float, **columns: Any) -> rows.Row:
    """A task that is over; times are seconds of the campaign."""
    times = {"created_s": T + created, "waiting_s": T + waiting, "ended_s": T + ended, "entered_s": T + ended}
    task = rows.task(number, state=state, active=False, **times)
    return task | {"id": f"c-{number:07d}", "endpoint": f"d{number}"} | columns


def failed(cause: Failure) -> dict[str, str]:
    """The column of a cause."""
    return {"failure": cause.value}


CLASS_2 = {"radio_class": "2"}
TASKS = [
    over(0, "success", 0, 5, 15),
    over(1, "failed", 0, 5, 20, **failed(Failure.CONNECTION_LOST)),
    over(1, "success", 30, 32, 50, id="c-0000001.2", attempt=2),
    over(2, "success", 0, 55, 80, **CLASS_2),
    over(3, "failed", 0, 55, 90, **CLASS_2, **failed(Failure.INVALID_URI)),
    over(4, "cancelled", 0, 55, 100, cell_id=7, smcc=None, smnc=None),
]
LINES = [  # when, which task, what, and the detail
    (5, "c-0000000", LINED, "RadioReported cell 460-00-B2F60B1, class 0, -98 dBm, 9 dB"),
    (5, "c-0000000", "waiting for the device to accept the observation", "SlotGranted True"),
    (5, "c-0000001", LINED, "RadioReported cell 460-00-B2F60B1, class 0, -98 dBm, 9 dB"),
    (6, "c-0000001", "waiting for the device's next uplink", "SlotGranted False"),
    (15, "c-0000000", "succeeded", ""),
    (20, "c-0000001", f"failed: {Failure.CONNECTION_LOST.value}", "SlotGranted True"),  # as a device may say
    (32, "c-0000001.2", LINED, "RadioReported cell 460-00-B2F60B1, class 0, -98 dBm, 9 dB"),
    (33, "c-0000001.2", "waiting for the device's next uplink", "SlotGranted False"),
    (40, "c-0000001.2", LINED, "SlotRevoked"),
    (41, "c-0000001.2", "waiting for the device's next uplink", "SlotGranted False"),
    (50, "c-0000001.2", "succeeded", ""),
    (55, "c-0000002", LINED, "RadioReported cell 460-00-B2F60B1, class 0, -98 dBm, 9 dB"),  # then it moves
    (56, "c-0000002", "waiting for the device's signal", "SlotGranted True"),
    (60, "c-0000002", LINED, "RadioReported cell 460-00-B2F60B1, class 2, -130 dBm, -9 dB"),
    (60, "c-0000002", "waiting for the device's signal", "SlotGranted True"),
    (80, "c-0000002", "succeeded", ""),
    (80, "c-0000003", "waiting for the device's signal", "SlotGranted True"),
    (90, "c-0000003", f"failed: {Failure.INVALID_URI.value}", ""),
    (100, "c-0000004", "cancelled", ""),  # which never had a slot
]
COUNTERS = {
    "state success": 3,
    "state failed": 2,
    "state cancelled": 1,
    f"failure {Failure.CONNECTION_LOST.value}": 1,
    f"failure {Failure.INVALID_URI.value}": 1,
    "retried": 1,
    stage_counter(1, "ended"): 2,
    stage_counter(1, "succeeded"): 2,
    stage_counter(2, "ended"): 3,
    stage_counter(2, "succeeded"): 1,
    stage_counter(2, "failed"): 1,
}


def small_campaign() -> Batch:
    """All of it, for a commit."""
    batch = Batch()
    batch.put(tables.campaigns, campaign_row(CAMPAIGN))
    for task in TASKS:
        batch.put(tables.tasks, task)
    created = {"at_s": T, "endpoint": "", "what": "campaign created", "detail": HOSTILE}
    batch.append(tables.events, {"task_id": None, "campaign_id": "c", "step": None} | created)
    for at, task_id, what, detail in LINES:
        endpoint = f"d{int(task_id[2:9])}"
        line = {"at_s": T + at, "endpoint": endpoint, "what": what, "detail": detail}
        batch.append(tables.events, {"task_id": task_id, "campaign_id": "c", "step": 9} | line)
    for name, value in COUNTERS.items():
        batch.add(("c", name), value)
    return batch
