"""Campaigns over the API: which devices, done once, told by pages, stopped."""

from __future__ import annotations

import asyncio

import pytest

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.upgrade.failure import Failure
from web_asking import add, problem

JSON = {"Content-Type": "application/json"}


async def devices(asked, **labels: dict[str, str]) -> None:
    """Registered devices, as the store knows them; keywords are names and what is said of them."""
    batch = Batch()
    for number, (name, said) in enumerate(labels.items()):
        row = {"endpoint": name, "location": str(number), "registered_s": 1.0, "expires_s": 9e9}
        batch.put(tables.devices, row | {"lifetime_s": 86400} | said)
    await asked.server._in.write(asked.server._in.database.commit, batch)


async def tasks_of(client, campaign_id: str) -> list[dict]:
    """The tasks of a campaign, once they are all made."""
    while (await client.get(f"/campaigns/{campaign_id}")).json()["state"] == "creating":
        pass
    return (await client.get("/tasks", params={"campaign": campaign_id})).json()["items"]


async def ended(client, campaign_id: str) -> dict:
    """The campaign, when it is through."""
    while True:
        status = (await client.get(f"/campaigns/{campaign_id}")).json()
        if status["ended_s"] is not None:
            return status


def test_a_campaign_is_made_shown_and_stopped(run, api):
    """With how many of its tasks are in each state."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            pid = (await add(client))["pid"]
            wanted = {
                "name": "all",
                "package": pid,
                "targets": {"endpoints": ["a", "b"]},
                "retry": [{"failure": Failure.CONNECTION_LOST.value, "count": 2, "interval_s": 5}],
                "timers": {"online_s": 60},
            }
            made = await client.post("/campaigns", json=wanted)
            assert made.status_code == 201
            status = made.json()
            assert status["retry"] == [
                {"failure": Failure.CONNECTION_LOST.value, "count": 2, "interval_s": 5.0}
            ]
            assert (status["timers"]["online_s"], status["timers"]["version_s"]) == (60.0, 180.0)
            path = made.headers["Location"].removeprefix("/api/v1")
            tasks = await tasks_of(client, status["id"])
            assert [task["endpoint"] for task in tasks] == ["a", "b"]
            one = f"/tasks/{tasks[0]['id']}"
            assert (await client.post(f"{one}/cancel")).json()["state"] == "cancelled"
            problem(await client.post(f"{one}/cancel"), 409)
            assert (await client.post(f"{path}/stop")).json()["state"] == "stopped"
            status = await ended(client, status["id"])
            assert (status["devices"], status["states"]) == (2, {"cancelled": 2})
            problem(await client.post(f"{path}/stop"), 409)
            problem(await client.post("/campaigns/none/stop"), 404)
            problem(await client.post("/tasks/none/cancel"), 404)
            assert [each["id"] for each in (await client.get("/campaigns")).json()["items"]] == [status["id"]]

    run(main())


def test_an_idempotency_key_makes_one_campaign(run, api):
    """Repeated, at once, after a restart; another request with it is refused; another token's is another."""

    async def main() -> None:
        wanted = {"targets": {"endpoints": ["a"]}}
        headers = {"Idempotency-Key": "k"}
        async with api() as asked, asked.client() as client:
            wanted["package"] = (await add(client))["pid"]
            both = await asyncio.gather(
                *(client.post("/campaigns", json=wanted, headers=headers) for _ in range(2))
            )
            assert sorted(answer.status_code for answer in both) == [201, 409]
            (made,) = [answer.json()["id"] for answer in both if answer.status_code == 201]
            again = await client.post("/campaigns", json=wanted, headers=headers)
            assert (again.status_code, again.json()["id"]) == (201, made)
            other = wanted | {"name": "other"}
            problem(await client.post("/campaigns", json=other, headers=headers), 422, "key-reused")
            rows = asked.server._in.database.rows(tables.requests, limit=10)
            assert [row["resource"] for row in rows] == [made]
            assert len((await client.get("/campaigns")).json()["items"]) == 1

    run(main())


def test_a_key_is_forgotten_after_a_day(run, api, monkeypatch):
    """The table would grow for ever."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            wanted = {"package": (await add(client))["pid"], "targets": {"endpoints": ["a"]}}
            first = await client.post("/campaigns", json=wanted, headers={"Idempotency-Key": "k"})
            now = asked.server._in.clock.now
            monkeypatch.setattr(asked.server._in.clock, "now", lambda: now() + 90_000)
            second = await client.post("/campaigns", json=wanted, headers={"Idempotency-Key": "k"})
            assert first.json()["id"] != second.json()["id"]
            wanted["name"] = "x"
            await client.post("/campaigns", json=wanted, headers={"Idempotency-Key": "l"})
            rows = asked.server._in.database.rows(tables.requests, limit=10)
            assert {row["resource"] for row in rows} >= {second.json()["id"]}
            assert len(rows) == 2

    run(main())


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"endpoint_prefix": "a_"}, ["a_1", "a_2"]),
        ({"product": "meter"}, ["a_1", "b"]),
        ({"group": "north", "product": "meter"}, ["b"]),
        ({"version": "V1"}, ["a_2"]),
        ({"cell": "460-00-1A2B"}, ["ab"]),
        ({"endpoint_prefix": "zz"}, []),
    ],
)
def test_a_filter_is_told_by_a_dry_run_and_used_by_the_campaign(run, api, wanted, names):
    """Exactly those; `_` and `%` mean nothing in a prefix."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            await devices(
                asked,
                a_1={"product": "meter"},
                a_2={"version": "V1"},
                ab={"cell": "460-00-1A2B"},
                b={"product": "meter", "group_name": "north"},
            )
            listed = (await client.get("/devices", params=wanted)).json()["items"]
            assert [each["endpoint"] for each in listed] == names
            body = {"package": (await add(client))["pid"], "targets": {"filter": wanted}}
            page = (await client.post("/campaigns?dry_run=true&limit=1", json=body)).json()
            assert page.pop("forecast")["devices"] == len(names)
            assert page == {
                "devices": len(names),
                "stages": [len(names)] if names else [],
                "endpoints": names[:1],
                "next": names[0] if len(names) > 1 else None,
            }
            assert (await client.get("/campaigns")).json()["items"] == []
            made = await client.post("/campaigns", json=body)
            if not names:
                problem(made, 422, "no-such-devices")
                return
            tasks = await tasks_of(client, made.json()["id"])
            assert [each["endpoint"] for each in tasks] == names

    run(main())


def test_devices_that_failed_are_upgraded_by_another_campaign(run, api):
    """Those whose last attempt failed, by the causes that are named."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            pid = (await add(client))["pid"]
            wanted = {"package": pid, "targets": {"endpoints": ["a", "b"]}, "timers": {"online_s": 0.05}}
            first = (await client.post("/campaigns", json=wanted)).json()
            status = await ended(client, first["id"])
            assert status["failures"] == {Failure.ONLINE_TIMEOUT.value: 2}
            failed = await client.get("/tasks", params={"failure": Failure.ONLINE_TIMEOUT.value})
            assert len(failed.json()["items"]) == 2
            for failures, count in (([], 2), ([Failure.MEMORY.value], 0)):
                targets = {"failed_in": {"campaign": first["id"], "failures": failures}}
                told = await client.post("/campaigns?dry_run=true", json={"package": pid, "targets": targets})
                assert told.json()["devices"] == count

    run(main())


@pytest.mark.parametrize(
    "targets",
    [
        {},
        {"filter": {}},
        {"filter": {"product": None}},
        {"endpoints": []},
        {"endpoints": ["a", "a"]},
        {"endpoints": ["a"], "all": True},
        {"endpoints": ["x" * 256]},
        {"endpoints": ["\0"]},
        {"filter": {"prodct": "x"}},
        {"all": True},
    ],
)
def test_devices_that_are_not_meant_clearly_are_refused(run, api, targets):
    """A whole fleet is not upgraded by leaving something out; here `all` is nobody."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            wanted = {"package": (await add(client))["pid"], "targets": targets}
            problem(await client.post("/campaigns", json=wanted), 422)
            assert (await client.get("/campaigns")).json()["items"] == []

    run(main())


def test_what_cannot_be_is_refused(run, api):
    """A package that is not there; timers that do not go together; more devices than allowed; no JSON."""

    async def main() -> None:
        async with api(devices_max=1) as asked, asked.client() as client:
            await devices(asked, a={}, b={})
            wanted = {"package": (await add(client))["pid"], "targets": {"all": True}}
            problem(await client.post("/campaigns", json=wanted), 422)
            problem(
                await client.post("/campaigns", json=wanted | {"package": "0" * 16}), 422, "no-such-package"
            )
            timers = {"download_start_s": 7200.0}
            said = problem(await client.post("/campaigns", json=wanted | {"timers": timers}), 422)
            assert "download_start_s lies within download_s" in said["detail"]
            problem(await client.post("/campaigns", content=b"{", headers=JSON), 400)

    run(main())


def test_nothing_begins_while_the_store_fails(run, api):
    """503 with Retry-After, not ready, and still healthy."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            wanted = {"package": (await add(client))["pid"], "targets": {"endpoints": ["a"]}}
            asked.server._in.pump._failing_since = 1.0
            answer = await client.post("/campaigns", json=wanted)
            problem(answer, 503)
            assert answer.headers["Retry-After"] == "1"
            problem(await client.get("/readyz"), 503, "not-ready")
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            asked.server._in.pump._failing_since = None
            assert (await client.get("/readyz")).json() == {"status": "ok"}

    run(main())
