"""A data directory as a busy server leaves it: devices, tasks in all states, effects, observations, slots."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import Counter
from pathlib import Path
from typing import Any

from headgate.lwm2m.registration import Registration
from headgate.server import Config, Server
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade import advance
from headgate.upgrade.campaign import Campaign, CampaignState, campaign_row, state_counter
from headgate.upgrade.events import (
    Activated,
    DeviceHeard,
    DownloadStarted,
    Event,
    ExecuteAccepted,
    RadioReported,
    SlotGranted,
    VersionReported,
)
from headgate.upgrade.object5 import StateObserved, StateReported, UriAccepted
from headgate.upgrade.radio import RadioReport, RadioRules, measured
from headgate.upgrade.records import EFFECTS, effect_text, registration_row, task_row
from headgate.upgrade.stages import BEGUN, Stage, stage_counter
from headgate.upgrade.task import Kind, Mark, Plan, State, Task
from headgate.wire.links import parse_objects

OBJECTS = parse_objects(b'</>;rt="oma.lwm2m",</1/0>,</2/0>,</3/0>,</4/0>,</5/0>,</19/0>,</19/1>')
CAMPAIGN = "c0ffee000001"
PER_CELL = 200
HOLDERS = 50  # of them: class 0 is full
ROWS = 2_000  # devices per transaction
LATE = (  # from the slot to the end of the update: where holders stand
    SlotGranted(awake=True),
    StateObserved(state=0),
    UriAccepted(),
    StateReported(state=1),
    DownloadStarted(),
    StateReported(state=2),
    ExecuteAccepted(),
    StateReported(state=3),
)
EARLY = (Activated(), DeviceHeard(), VersionReported(version="V1.0"))


def path_of(number: int, now: float) -> tuple[Event, ...]:
    """What has happened to this device: a quarter holds a slot, a half waits for one."""
    place = number % PER_CELL
    report = RadioReport(rsrp=-98, sinr=9, cell_id=1 + number // PER_CELL, smcc=460, smnc=0)
    early = (*EARLY, RadioReported(radio=measured(report, RadioRules())))
    if place < HOLDERS:
        return early + LATE[: 1 + place % len(LATE)]
    return early[: 1 + place % len(early)] if place % 3 == 0 else early


def task_at(number: int, plan: Plan, uri: str, now: float) -> tuple[Task, tuple[Any, ...]]:
    """The task of a device, and what it has asked for."""
    task = Task.created(
        id=f"{CAMPAIGN}-{number:07d}", endpoint=f"urn:imei:86{number:013d}", plan=plan, now=now, uri=uri
    )
    asked: tuple[Any, ...] = ()
    for event in path_of(number, now):
        task, asked = advance(task, event, now)
    return task, tuple(effect for effect in asked if type(effect).__name__ in EFFECTS)


def fill(folder: Path, count: int) -> dict[str, int]:
    """Make it; how many rows of each kind there are, and how many slots are held."""
    pid = asyncio.run(packaged(folder))
    plan = Plan(kind=Kind.FIRMWARE, target_version="V1.1", pid=pid)
    now = time.time()
    chance = random.Random(count)
    database = Database.open(f"sqlite:///{folder}/headgate.db")
    batch = Batch()
    states: Counter[State] = Counter()
    facts = Counter(devices=count, tasks=count)
    for number in range(count):
        task, asked = task_at(number, plan, f"coap://127.0.0.1/{number:016d}", now)
        states[task.state] += 1
        facts["slots"] += task.state.holds_slot
        batch.put(tables.tasks, task_row(task, campaign_id=CAMPAIGN, attempt=1, created_s=now))
        who = {"task_id": task.id, "endpoint": task.endpoint}
        for effect in asked:
            facts["effects"] += 1
            row = {"id": facts["effects"], "effect": type(effect).__name__, "arguments": effect_text(effect)}
            batch.put(tables.effects, row | who | {"asked_s": now, "due_s": None})
        if Mark.OBSERVED in task.marks:
            facts["observations"] += 1
            batch.put(
                tables.observations, who | {"token": chance.randbytes(8), "path": "/5/0/3", "made_s": now}
            )
        batch.put(tables.devices, registration_row(registered(number, task.endpoint, now), heard_s=now))
        if number % ROWS == 0:
            database.commit(batch)
            batch = Batch()
    for state, tasks in states.items():
        batch.add((CAMPAIGN, state_counter(state)), tasks)
    campaign = Campaign(
        id=CAMPAIGN,
        name="",
        plan=plan,
        state=CampaignState.RUNNING,
        stages=(Stage(devices=count),),
        stage=1,
        created_s=now,
        started_s=now,
    )
    batch.add((CAMPAIGN, stage_counter(1, BEGUN)), count)
    batch.put(tables.campaigns, campaign_row(campaign))
    database.commit(batch)
    database.close()
    return dict(facts)


def registered(number: int, endpoint: str, now: float) -> Registration:
    """A device that sleeps: nothing is sent to it before it is heard."""
    return Registration(
        endpoint=endpoint,
        location=f"{number:022d}",
        registered_s=now,
        expires_s=now + 86400,
        version=(1, 1),
        binding="UQ",
        queue_mode=True,
        objects=OBJECTS,
        remote=(struct.pack("<H", 2) + struct.pack(">HI8x", 1024 + number % 60_000, 0x7F000001), b""),
    )


async def packaged(folder: Path) -> bytes:
    """The PID of the package that all are given."""
    async with Server(Config(coap={"host": "127.0.0.1", "port": 0}, store={"directory": folder})) as server:
        return (await server.add_package(random.Random(1).randbytes(65_536), version="V1.1")).pid
