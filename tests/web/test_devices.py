"""Devices and cells: shown as the store has them, labelled by one at a time, explained in a sentence."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from cli_asking import register
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.task import State
from headgate.web.access import Scope
from peer import eventually
from web_asking import add, problem, settle

HOSTILE = "<script>alert('x')</script>/\u202e\n%2F"


def device(endpoint: str, location: str) -> dict:
    """A registered device."""
    return {
        "endpoint": endpoint,
        "location": location,
        "registered_s": 1.0,
        "expires_s": 9e9,
        "lifetime_s": 86400,
    }


def task(number: int, state: State, radio_class: str, cell_id: int = 0x1A2B) -> dict:
    """A task that holds a slot, or waits for one."""
    return {
        "id": f"c-{number:07d}",
        "campaign_id": "c",
        "endpoint": f"d{number}",
        "state": state.value,
        "entered_s": 1.0,
        "stage_s": 1.0,
        "cell_id": cell_id,
        "smcc": 460,
        "smnc": 0,
        "radio_class": radio_class,
        "queued_s": float(100 - number),
        "created_s": 1.0,
        "active": True,
    }


async def put(asked, table, *rows: dict) -> None:
    """Rows, stored."""
    batch = Batch()
    for row in rows:
        batch.put(table, row)
    await asked.server._in.write(asked.server._in.database.commit, batch)


def test_labels_are_changed_by_who_has_read_them(run, api):
    """428 without If-Match, 412 with an old one, one of two at once (RFC 9110 section 13.1.1)."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            await put(asked, tables.devices, device("d", "1"))
            read = await client.get("/devices/d/labels")
            assert read.json() == {"product": None, "group": None}
            wanted = {"product": "meter", "group": "north"}
            problem(await client.put("/devices/d/labels", json=wanted), 428)
            match = {"If-Match": read.headers["ETag"]}
            both = await asyncio.gather(
                *(client.put("/devices/d/labels", json=wanted, headers=match) for _ in range(2))
            )
            assert sorted(each.status_code for each in both) == [200, 412]
            shown = (await client.get("/devices/d")).json()
            assert (shown["product"], shown["group"]) == ("meter", "north")
            answer = await client.put("/devices/d/labels", json={}, headers={"If-Match": "*"})
            assert answer.json() == {"product": None, "group": None}
            problem(await client.put("/devices/e/labels", json=wanted, headers={"If-Match": "*"}), 404)

    run(main())


def test_a_name_may_hold_anything(run, api):
    """It is data: in the path, in JSON, in a filter."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            await put(asked, tables.devices, device(HOSTILE, "1"), device("urn:imei:1/2", "2"))
            for name in (HOSTILE, "urn:imei:1/2"):
                path = f"/devices/{quote(name, safe='')}"
                assert (await client.get(path)).json()["endpoint"] == name
                assert (await client.get(f"{path}/explain")).json()["endpoint"] == name
            listed = (await client.get("/devices", params={"endpoint_prefix": HOSTILE[:9]})).json()
            assert [each["endpoint"] for each in listed["items"]] == [HOSTILE]

    run(main())


def test_a_timeline_is_paged_from_the_newest(run, api):
    """By the log's own numbers."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            batch = Batch()
            for number in range(5):
                row = {"at_s": float(number), "endpoint": "d", "what": "w", "detail": str(number)}
                batch.append(tables.events, row | dict.fromkeys(("task_id", "campaign_id", "step")))
            await asked.server._in.write(asked.server._in.database.commit, batch)
            first = (await client.get("/devices/d/timeline", params={"limit": 3})).json()
            rest = await client.get("/devices/d/timeline", params={"limit": 3, "after": first["next"]})
            assert [each["detail"] for each in first["items"]] == ["4", "3", "2"]
            assert [each["detail"] for each in rest.json()["items"]] == ["1", "0"]
            assert rest.json()["next"] is None

    run(main())


def test_cells_tell_their_holders_and_their_line(run, api):
    """Limits per class; positions in the order in which slots are given."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            rows = [
                task(1, State.DOWNLOADING, "2"),
                task(2, State.WAIT_SLOT, "2"),
                task(3, State.WAIT_SLOT, "2"),
                task(4, State.WAIT_SLOT, "1"),
                task(5, State.UPDATING, "0", cell_id=0x1A2C),
                task(6, State.WAIT_ONLINE, "0", cell_id=0x1A2D),
            ]
            await put(asked, tables.tasks, *rows)
            for row in rows:
                settle(asked.server, row)
            pages, after = [], {}
            while True:
                page = (await client.get("/cells", params={"limit": 1} | after)).json()
                pages += page["items"]
                if page["next"] is None:
                    break
                after = {"after": page["next"]}
            assert [each["cell"] for each in pages] == ["460-00-1A2B", "460-00-1A2C"]
            detail = (await client.get("/cells/460-00-1a2b")).json()
            counts = {each["radio_class"]: (each["held"], each["waiting"]) for each in detail["classes"]}
            assert counts == {"0": (0, 0), "1": (0, 1), "2": (1, 2), "U": (0, 0)}
            assert {each["radio_class"]: each["limit"] for each in detail["classes"]}["2"] == 1
            assert [each["endpoint"] for each in detail["holders"]] == ["d1"]
            line = [(each["endpoint"], each["radio_class"], each["position"]) for each in detail["queue"]]
            assert line == [("d4", "1", 1), ("d3", "2", 1), ("d2", "2", 2)]
            assert all(each["reason"] for each in detail["queue"])
            listed = await client.get("/tasks", params={"cell": "460-00-1A2B", "state": "wait_slot"})
            assert [each["endpoint"] for each in listed.json()["items"]] == ["d2", "d3", "d4"]
            problem(await client.get("/cells/nowhere"), 422)

    run(main())


def test_metrics_are_read_when_they_are_asked_for(run, api):
    """The native counters of the edge among them; what the API refused, too."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            async with asked.client(None) as stranger:
                await stranger.get("/packages")
            answer = await client.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=")
            lines = answer.text.splitlines()
            assert "headgate_edge_blocks_total 0.0" in lines
            assert "headgate_devices 0.0" in lines
            assert "headgate_store_failing_s 0.0" in lines
            assert 'headgate_web_total{what="no token"} 1.0' in lines

    run(main())


def test_a_registration_is_removed(run, api):
    """As if the device had deregistered: 404 from then on, after a restart too; its timeline says by whom."""

    async def main() -> None:
        async with api() as asked, asked.client(Scope.OPERATE) as client:
            await asyncio.to_thread(register, asked.server.port, "made up", "urn:imei:1/2")
            paths = [f"/devices/{quote(name, safe='')}" for name in ("made up", "urn:imei:1/2")]
            for path in paths:
                answer = await client.delete(path)
                assert (answer.status_code, answer.content) == (204, b"")
                problem(await client.get(path), 404)
                problem(await client.delete(path), 404)
            assert asked.server.stats.devices == 0
            happened = (await client.get(f"{paths[0]}/timeline")).json()["items"]
            said = [(each["what"], each["detail"]) for each in happened]
            assert said[0] == ("deregistered", "by operate")
            assert [what for what, _ in said] == ["deregistered", "registered"]
        async with api() as asked:
            assert asked.server.stats.devices == 0

    run(main())


def test_a_registration_is_not_removed_under_a_task(run, api):
    """Problem 409, which names it; when it is cancelled the device may go. Others are not disturbed."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            await asyncio.to_thread(register, asked.server.port, "d")
            package = await add(client)
            wanted = {"package": package["pid"], "targets": {"endpoints": ["d"]}}
            campaign = (await client.post("/campaigns", json=wanted)).json()["id"]
            await eventually(lambda: "d" in asked.server._in.orchestrator.roster.active)
            said = problem(await client.delete("/devices/d"), 409)
            assert f"{campaign}-0000000" in said["detail"]
            assert (await client.get("/devices/d")).status_code == 200
            await client.post(f"/campaigns/{campaign}/stop")
            await eventually(lambda: not asked.server._in.orchestrator.roster.active)
            assert (await client.delete("/devices/d")).status_code == 204

    run(main())
