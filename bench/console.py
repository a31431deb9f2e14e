"""What does the console cost? CPU of the server per page with a fleet in its store, and per viewer."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.idle import LINKS
from bench.peers import cpu_s
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade.campaign import Campaign, CampaignState, campaign_row, failure_counter, state_counter
from headgate.upgrade.failure import Failure
from headgate.upgrade.records import task_row
from headgate.upgrade.stages import Stage
from headgate.upgrade.task import Kind, Plan, State, Task
from headgate.wire.coap import Message
from headgate.wire.numbers import CON, POST

CAMPAIGNS = 10
ACTIVE = 10  # one task of so many is under way: a quarter holds a slot, the others wait for one
PER_CELL = 200  # of them
RARE = 50_000  # one task of so many failed
ROWS = 10_000  # of a transaction
VIEWERS = 100
ADDRESS = struct.pack("<H", 2) + struct.pack(">HI8x", 9, 0x7F000001)
PAGE_MS = 100.0
VIEWERS_SHARE = 0.02
PAGES = {
    "overview": "/",
    "overview of a day": "/?span=day",
    "campaigns": "/campaigns",
    "campaign": "/campaigns/c0000000",
    "its failed tasks": f"/campaigns/c0000000?failure={Failure.MEMORY.value}",
    "its updates, of which there are none": "/campaigns/c0000000?state=updating",
    "cells": "/cells",
    "cell": "/cells/460-00-1",
    "devices": "/devices",
    "devices by prefix": "/devices?endpoint_prefix=urn:imei:860000000000",
    "devices by a version that none has": "/devices?version=V9",
    "devices by a group that none has": "/devices?group=none",
    "device": "/devices/urn:imei:860000000000007",
    "packages": "/packages",
    "settings": "/settings",
    "new campaign": "/campaigns/new",
    "reference": "/docs",
}


def name_of(number: int) -> str:
    """The endpoint of a device."""
    return f"urn:imei:86{number:013d}"


def fill(folder: Path, devices: int) -> None:
    """Devices, and campaigns for all of them: most tasks are over, some wait, a few have failed."""
    now = time.time()
    database = Database.open(f"sqlite:///{folder}/headgate.db")
    plan = Plan(kind=Kind.FIRMWARE, target_version="V2", pid=bytes(8))
    each = devices // CAMPAIGNS
    for start in range(0, devices, ROWS):
        batch = Batch()
        for number in range(start, min(start + ROWS, devices)):
            row = {"endpoint": name_of(number), "location": f"{number:022d}", "registered_s": now}
            row |= {"expires_s": now + 86_400, "lifetime_s": 86_400, "lwm2m_version": "1.1", "binding": "UQ"}
            row |= {"heard_s": now, "version": "V1", "cell": f"460-00-{number // 200:X}", "links": "</5/0>"}
            row |= {"queue_mode": True, "address": ADDRESS, "control": b""}  # it sleeps: it is sent nothing
            batch.put(tables.devices, row)
            batch.put(tables.tasks, task_of(number, each, plan, now))
        database.commit(batch)
    batch = Batch()
    for number in range(CAMPAIGNS):
        campaign = Campaign(
            id=f"c{number:07d}",
            name=f"campaign {number}",
            plan=plan,
            state=CampaignState.RUNNING,
            created_s=now,
            started_s=now,
            stages=(Stage(devices=each),),
            stage=1,
        )
        batch.put(tables.campaigns, campaign_row(campaign))
        failed = each // RARE + 1
        active = -(-each // ACTIVE)
        holding = sum(holds(number * active + turn) for turn in range(active))
        for name, count in (
            (state_counter(State.WAIT_SLOT), active - holding),
            (state_counter(State.DOWNLOADING), holding),
            (state_counter(State.FAILED), failed),
            (failure_counter(Failure.MEMORY), failed),
            (state_counter(State.SUCCESS), each - active - failed),
        ):
            batch.add((campaign.id, name), count)
    database.commit(batch)
    database.close()


def holds(turn: int) -> bool:
    """Whether an active task holds a slot: as many of a cell as may."""
    return turn % PER_CELL < PER_CELL // 4


def task_of(number: int, each: int, plan: Plan, now: float) -> dict[str, Any]:
    """The row of the task for a device."""
    campaign, place = divmod(number, each)
    task = Task.created(
        id=f"c{campaign:07d}-{place:07d}",
        endpoint=name_of(number),
        plan=plan,
        now=now,
        uri=f"coap://x/{number}",
    )
    row = task_row(task, campaign_id=f"c{campaign:07d}", attempt=1, created_s=now)
    if place % ACTIVE == 0:
        turn = number // ACTIVE
        state = State.DOWNLOADING if holds(turn) else State.WAIT_SLOT
        radio = {"cell_id": 1 + turn // PER_CELL, "smcc": 460, "smnc": 0, "radio_class": "0"}
        radio |= {"rsrp_dbm": -98.0, "sinr_db": 9.0, "measured_s": now, "queued_s": now - turn}
        return row | radio | {"state": state.value, "deadline_s": now + 86_400, "version": "V1"}
    if place % RARE == RARE - 1 or place == each - 1:
        over = {"state": State.FAILED.value, "failure": Failure.MEMORY.value}
    else:
        over = {"state": State.SUCCESS.value}
    return row | over | {"ended_s": now, "active": False, "deadline_s": None}


@dataclass
class Console:
    """`headgate serve`, and a browser that has logged in."""

    pid: int
    url: str
    port: int
    browser: httpx.Client
    devices: int


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, quick: bool) -> Iterator[Console]:
    """One with the fleet in its store."""
    folder = tmp_path_factory.mktemp("console")
    devices = 5_000 if quick else 1_000_000
    fill(folder, devices)
    command = [sys.executable, "-m", "headgate", "serve", "--data", str(folder), "--http-port", "0"]
    log = (folder / "log").open("w")
    serving = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0"], stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        assert serving.stdout is not None
        first, _, link = (serving.stdout.readline() for _ in range(3))
        found = re.search(r"console at (\S+)/login#(\S+)", link)
        port = re.search(r"UDP port (\d+)", first)
        assert found, (link, (folder / "log").read_text())
        assert port
        assert f"{devices:,} devices" in first
        with httpx.Client(base_url=found[1], headers={"Origin": found[1]}, timeout=60) as browser:
            assert browser.post("/login", data={"token": found[2]}).status_code == 303
            yield Console(serving.pid, found[1], int(port[1]), browser, devices)
    finally:
        serving.kill()
        serving.communicate()
        log.close()


@pytest.mark.benchmark(group="console")
@pytest.mark.parametrize("page", PAGES)
def bench_page(benchmark: Any, console: Console, page: str, quick: bool) -> None:
    """One page, asked for again and again by one browser; the first time is not counted."""
    spent: list[float] = []

    def ask() -> None:
        before_s = cpu_s(console.pid)
        answer = console.browser.get(PAGES[page])
        spent.append(cpu_s(console.pid) - before_s)
        assert answer.status_code == 200, answer.text

    benchmark.pedantic(ask, rounds=3 if quick else 20, warmup_rounds=1)
    worst_ms = max(spent[1:]) * 1e3
    median_s = sorted(spent[1:])[len(spent[1:]) // 2]
    benchmark.extra_info.update(ns=median_s * 1e9, worst_ms=worst_ms, devices=console.devices)
    assert quick or median_s * 1e3 < PAGE_MS


@pytest.mark.benchmark(group="console")
@pytest.mark.parametrize("page", ["/", "/campaigns"])
def bench_viewers(benchmark: Any, console: Console, page: str, quick: bool) -> None:
    """A hundred viewers of a page that changes all the time, against none: the share of a core.

    Two devices register each second, so that the figures are other ones each time that they are asked for.
    """
    seconds = 2.0 if quick else 30.0
    facts: dict[str, float] = {}

    async def measured(viewers: int) -> float:
        cookies = "; ".join(f"{name}={value}" for name, value in console.browser.cookies.items())
        taken = 0

        async def view() -> None:
            nonlocal taken
            reader, writer = await asyncio.open_connection("127.0.0.1", int(console.url.rpartition(":")[2]))
            head = f"GET /live{page} HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n"
            writer.write(head.encode())
            try:
                while piece := await reader.read(1 << 16):
                    taken += len(piece)
            finally:
                writer.close()

        watching = [asyncio.ensure_future(view()) for _ in range(viewers)]
        registering = asyncio.ensure_future(register(console.port))
        await asyncio.sleep(2.0)  # all are there, and have what they are sent first
        before_s, begun_s, taken = cpu_s(console.pid), time.perf_counter(), 0
        await asyncio.sleep(seconds)
        share = (cpu_s(console.pid) - before_s) / (time.perf_counter() - begun_s)
        assert not any(each.done() for each in watching)
        for each in (*watching, registering):
            each.cancel()
        await asyncio.gather(*watching, registering, return_exceptions=True)
        facts[f"bytes_per_viewer_{viewers}"] = taken / max(viewers, 1) / seconds
        return share

    async def run() -> None:
        without = await measured(0)
        facts["share"] = await measured(VIEWERS) - without
        facts["share_without"] = without

    benchmark.pedantic(lambda: asyncio.run(run()), rounds=1)
    benchmark.extra_info.update(ns=facts["share"] / VIEWERS * 1e9, viewers=VIEWERS, **facts)
    assert quick or facts["share"] < VIEWERS_SHARE


async def register(port: int) -> None:
    """New devices, two a second."""
    chance = random.Random(time.time())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.connect(("127.0.0.1", port))
        for number in itertools.count():
            queries = (b"ep=new-%d" % chance.getrandbits(60), b"lt=86400", b"lwm2m=1.1", b"b=U")
            options = ((11, b"rd"), (12, b"\x28"), *((15, query) for query in queries))
            message = Message(
                type=CON, code=POST, message_id=number, token=b"tk", options=options, payload=LINKS
            )
            device.send(message.encode())
            await asyncio.sleep(0.5)
