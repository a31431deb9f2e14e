"""The forecast of a dry run: read from what the store knows of the devices, and of campaigns before."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress

import pytest

from device_rows import any_devices, device
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.radio import RadioClass
from headgate.web import forecasting
from headgate.web.forecasting import WAITING_MAX
from web_asking import add, problem
from web_browsing import logged_in, shown

DAY_S = 86_400.0
C0, C1, C2, U = RadioClass


async def stored(asked, table, rows):
    """Rows, in one commit."""
    batch = Batch()
    for row in rows:
        batch.put(table, row)
    await asked.server._in.write(asked.server._in.database.commit, batch)


async def dry(client, body, **params):
    """The forecast of a dry run."""
    said = await client.post("/campaigns", params={"dry_run": True, "limit": 1, **params}, json=body)
    assert said.status_code == 200, said.text
    return said.json()["forecast"]


def test_a_dry_run_tells_the_time_and_the_bytes(run, api):
    """By cells and classes, for devices that pass a filter and for those that are listed alike."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            pid = (await add(client))["pid"]
            rows = [device(number) for number in range(100)]
            rows += [device(number, "460-00-77", "2") for number in range(100, 120)]
            rows += [device(number, None, None) for number in range(120, 130)]
            await stored(asked, tables.devices, rows)
            stages = [{"count": 40}]
            everyone = {"package": pid, "targets": {"all": True}, "stages": stages}
            said = await dry(client, everyone)
            assert (said["devices"], said["devices_unknown_cell"], said["exact"]) == (130, 10, True)
            assert said["slowest_cells"][0]["cell"] == "460-00-77"
            assert [each["radio_class"] for each in said["classes"]] == ["0", "2"]
            assert len(said["stages_s"]) == 2
            assert said["stages_s"][1] == pytest.approx(said["campaign_s"]["p50"], rel=0.3)
            assert said["device_s"]["p50"] < said["campaign_s"]["p10"]
            assert said["lost"] == {"online": 0, "slot": 0, "download": 0, "failed": 0, "late": 0}
            parts = [said["bytes"][name] for name in ("payload", "headers", "commands", "retransmissions")]
            assert said["bytes"]["total"] == sum(parts) > 0
            assert any("nobody has measured" in each for each in said["assumptions"])

            names = [row["endpoint"] for row in rows]
            listed = everyone | {"targets": {"endpoints": names}}
            again = await dry(client, listed)
            assert again["campaign_s"] == pytest.approx(said["campaign_s"], rel=0.3)
            assert again["slowest_cells"][0]["cell"] == "460-00-77"
            later = await client.post("/campaigns?dry_run=true&limit=1&after=d00005", json=everyone)
            assert later.json()["forecast"] is None

    run(main())


def test_what_an_operator_assumes_is_used(run, api):
    """Reports, losses, failures and a start; what is out of bounds is a problem."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            pid = (await add(client))["pid"]
            await stored(asked, tables.devices, [device(n, queue_mode=True) for n in range(50)])
            body = {"package": pid, "targets": {"all": True}}
            often = await dry(client, body, report_interval_s=600)
            rarely = await dry(client, body, report_interval_s=36_000)
            assert rarely["device_s"]["p50"] > 5 * often["device_s"]["p50"]
            lossy = await dry(client, body, loss=0.3)
            assert lossy["bytes"]["retransmissions"] > 5 * often["bytes"]["retransmissions"]
            assert (await dry(client, body, failures=1))["lost"]["failed"] == 50
            start_s = asked.server._in.clock.now() + DAY_S
            assert (await dry(client, body | {"start_s": start_s}))["begin_s"] == start_s
            for wrong in ({"loss": 1}, {"failures": -1}, {"report_interval_s": 0}):
                problem(await client.post("/campaigns", params={"dry_run": True} | wrong, json=body), 422)

    run(main())


def test_few_wait_for_a_forecast(run, api):
    """Who comes beyond is told so at once: a crowd of dry runs does not keep other requests waiting."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            wanted = {"package": (await add(client))["pid"], "targets": {"endpoints": ["a"]}}
            many = [
                client.post("/campaigns", params={"dry_run": True}, json=wanted)
                for _ in range(WAITING_MAX + 10)
            ]
            said = await asyncio.gather(*many)
            refused = [answer for answer in said if answer.status_code == 503]
            assert 0 < len(refused) <= 10
            assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
            assert await dry(client, wanted) is not None

    run(main())


def test_api_and_console_make_one_forecast_at_a_time(run, api, monkeypatch):
    """Whoever asks, it is one core that they share; each is answered."""
    under_way, most, met = 0, 0, threading.Barrier(2)

    def slowly(*said):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        with suppress(threading.BrokenBarrierError):
            met.wait(0.2)  # for another one, which does not come
        under_way -= 1
        return made(*said)

    made = forecasting.foretold
    monkeypatch.setattr(forecasting, "foretold", slowly)

    async def main() -> None:
        async with api() as asked, asked.client() as client, logged_in(asked) as browser:
            wanted = {"package": (await add(client))["pid"], "targets": {"endpoints": ["a"]}}
            form = {"package": wanted["package"], "targets": "list", "endpoints": "a", "step": "preview"}
            said, page = await asyncio.gather(
                client.post("/campaigns", params={"dry_run": True}, json=wanted),
                browser.post("/campaigns/new", data=form),
            )
            assert said.json()["forecast"]["devices"] == 1
            assert "What the forecast rests on" in shown(page)
            assert most == 1

    run(main())


def test_any_fleet_has_a_forecast(run, api):
    """Whatever is in the rows: seeded, and printed."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    rng = random.Random(seed)

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            pid = (await add(client))["pid"]
            rows = any_devices(rng, 60)
            await stored(asked, tables.devices, rows)
            window = {"begin": "22:00", "end": "23:00"}
            body = {"package": pid, "targets": {"all": True}, "windows": [window]}
            body |= {"stages": [{"count": 1}, {"percent": 50}]}
            assert (await dry(client, body))["devices"] == 60

    run(main())
