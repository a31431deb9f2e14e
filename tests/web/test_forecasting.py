"""The forecast of a dry run: read from what the store knows of the devices, and of campaigns before."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress

import pytest

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.radio import Cell, RadioClass
from headgate.upgrade.task import Kind, State
from headgate.web import forecasting, known
from headgate.web.forecasting import WAITING_MAX
from headgate.web.targets import DeviceFilter, filtered
from web_asking import add, problem
from web_browsing import logged_in, shown

NOW_S = 1_700_000_000.0
DAY_S = 86_400.0
C0, C1, C2, U = RadioClass


def device(number, cell="460-00-1A2B", radio_class="0", **said):
    """A row of devices: one that is always awake."""
    row = {"endpoint": f"d{number:05}", "location": str(number), "registered_s": 1.0, "expires_s": 9e9}
    return row | {"lifetime_s": 86_400, "cell": cell, "radio_class": radio_class, "heard_s": NOW_S} | said


async def stored(asked, table, rows):
    """Rows, in one commit."""
    batch = Batch()
    for row in rows:
        batch.put(table, row)
    await asked.server._in.write(asked.server._in.database.commit, batch)


def reports(**said):
    """When devices report."""
    return known.Reports(**{"now_s": NOW_S, "interval_s": None, "online_s": DAY_S} | said)


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


def test_a_sleeper_reports_until_its_registration_ends():
    """By its lifetime and when it was heard; who has not registered comes within T_online."""
    row = reports().row("A", "1", True, 7200, NOW_S - 7000.0)
    assert row == ("A", C1, True, 200.0, 7200.0)
    assert reports().row("A", "1", True, 7200, NOW_S - 8000.0).within_s == 1.0
    assert reports(interval_s=600.0).row("A", "1", True, 7200, NOW_S - 7000.0)[3:] == (600.0, 600.0)
    assert reports().row("A", "1", False, 7200, NOW_S - 7000.0).within_s == 0.0
    assert reports().row("A", "", True, 7200, None)[:2] == (None, None)
    assert reports().row(None, None, None, None, None) == (None, None, False, DAY_S, DAY_S)


def test_stages_are_runs_of_the_list(run, api):
    """Of a query, by ranges of endpoints; a cell is thinned by the database."""

    async def main() -> None:
        async with api() as asked:
            rows = [device(n, f"{n % 3:X}", "01"[n % 2]) for n in range(60)]
            rows += [device(n, None, None) for n in range(60, 70)]
            await stored(asked, tables.devices, rows)
            database = asked.server._in.database
            query = filtered(DeviceFilter(endpoint_prefix="d"))
            first, last = known.stored_parts(database, query, [12, 58], reports())
            assert sum(first.counts.values()) == 12
            assert last.counts[None] == 10
            assert first.counts == {(f"{cell:X}", each): 2 for cell in range(3) for each in (C0, C1)}
            assert len(first.rows(["0", "1"], every=1)) == 8
            assert len(last.rows(["0"], every=4)) == 4
            assert [row.cell for row in last.rows(None, every=3)] == [None] * 3
            listed = known.listed_parts(database, [row["endpoint"] for row in rows], [12, 58], reports())
            for mine, theirs in zip(listed, (first, last), strict=True):
                assert mine.counts == theirs.counts
                assert mine.rows(["0"], every=1) == theirs.rows(["0"], every=1)

    run(main())


def task(number, **said):
    """A row of tasks: one that succeeded, in class 1."""
    row = {"id": f"c-{number:07}", "campaign_id": "c", "endpoint": f"d{number:05}", "entered_s": 0.0}
    row |= {"stage_s": 0.0, "created_s": 0.0, "active": False, "cell_id": 0x1A2B, "smcc": 460, "smnc": 0}
    return row | {"radio_class": "1", "state": State.SUCCESS.value, "ended_s": NOW_S + 900.0} | said


def test_the_pace_of_a_class_is_what_was_measured(run, api):
    """100 s until the URI was taken, 500 s of download, 300 s for the rest: of twenty, else it is assumed."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            made = await add(client)
            campaign = {"id": "c", "kind": "firmware", "pid": made["pid"], "state": "ended"}
            await stored(asked, tables.campaigns, [campaign | {"created_s": 1.0}])
            rows = [task(n) for n in range(known.ENOUGH)]
            rows += [task(n, radio_class="2") for n in range(100, 100 + known.ENOUGH - 1)]
            rows += [task(n, radio_class="0", state=State.FAILED.value) for n in range(200, 230)]
            await stored(asked, tables.tasks, rows)
            batch = Batch()
            for row in rows:
                for what, at_s in zip(known.steps(Kind.FIRMWARE), (0.0, 100.0, 600.0), strict=True):
                    said = {
                        "at_s": NOW_S + at_s,
                        "what": what,
                        "detail": "",
                        "campaign_id": "c",
                        "step": None,
                    }
                    batch.append(tables.events, said | {"endpoint": row["endpoint"], "task_id": row["id"]})
            database = asked.server._in.database
            await asked.server._in.write(database.commit, batch)
            found = known.paces(database, Kind.FIRMWARE)
            assert list(found) == [C1]
            assert found[C1].goodput_bytes_s == pytest.approx(made["size_bytes"] / 500)
            assert (found[C1].rest_s, found[C1].tasks) == (400.0, known.ENOUGH)
            assert known.paces(database, Kind.SOFTWARE) == {}
            body = {"package": made["pid"], "targets": {"endpoints": ["d00000"]}}
            (each,) = (await dry(client, body))["classes"]
            assert (each["radio_class"], each["measured"]) == ("U", 0)

    run(main())


def test_who_holds_slots_is_counted_by_cell_and_class(run, api):
    """Active tasks alone."""

    async def main() -> None:
        async with api() as asked:
            rows = [task(n, state=State.DOWNLOADING.value, active=True) for n in range(3)]
            rows += [task(n, state=State.WAIT_SLOT.value, active=True) for n in range(3, 5)]
            rows += [task(5), task(6, state=State.WAIT_ONLINE.value, active=True)]
            await stored(asked, tables.tasks, rows)
            (found,) = known.occupied(
                asked.server._in.database, asked.server._in.orchestrator.negotiator.admission.limits
            )
            assert (found.cell, found.radio_class) == (Cell(0x1A2B, 460, 0), C1)
            assert (found.held, found.waiting, found.limit) == (3, 2, 10)

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
            rows = [
                device(
                    number,
                    rng.choice([None, "", "1", "460-00-2"]),
                    rng.choice([None, "", "0", "1", "2", "U"]),
                    queue_mode=rng.random() < 0.5,
                    heard_s=rng.choice([None, 0.0, NOW_S, 9e12]),
                    lifetime_s=rng.choice([0, 1, 86_400, 1 << 31]),
                )
                for number in range(60)
            ]
            await stored(asked, tables.devices, rows)
            window = {"begin": "22:00", "end": "23:00"}
            body = {"package": pid, "targets": {"all": True}, "windows": [window]}
            body |= {"stages": [{"count": 1}, {"percent": 50}]}
            assert (await dry(client, body))["devices"] == 60

    run(main())
