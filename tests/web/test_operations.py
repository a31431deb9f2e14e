"""What an operator does with a campaign over the API: stages, pause, edit with If-Match, confirm, retry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from headgate.upgrade.failure import Failure
from web_asking import add, problem

GATE = {"success": 0.9, "error_threshold": 0.2, "minimum_executed": 2}
OFTEN = 2000


async def made(client: httpx.AsyncClient, **said: Any) -> dict[str, Any]:
    """A campaign for four devices that are not there, or as is said."""
    wanted = {"package": (await add(client))["pid"], "targets": {"endpoints": ["a", "b", "c", "d"]}} | said
    answer = await client.post("/campaigns", json=wanted)
    assert answer.status_code == 201, answer.text
    return await until(client, answer.json()["id"], lambda each: each["started_s"] is not None)


async def until(
    client: httpx.AsyncClient, campaign_id: str, so: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The campaign, when it is so."""
    for _ in range(OFTEN):
        status = (await client.get(f"/campaigns/{campaign_id}")).json()
        if so(status):
            return status
    raise AssertionError(status)


def test_stages_are_made_and_shown(run, api):
    """Their sizes and gates, and why the campaign does not move."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            pid = (await add(client))["pid"]
            wanted = {
                "package": pid,
                "targets": {"endpoints": ["a", "b", "c", "d"]},
                "stages": [{"percent": 25}, {"count": 2, "gate": {"success": 0.5}}],
                "gate": GATE,
            }
            told = (await client.post("/campaigns?dry_run=true", json=wanted)).json()
            assert told["stages"] == [1, 2, 1]
            campaign_id = (await made(client, **wanted))["id"]
            status = await until(client, campaign_id, lambda each: each["stages"][0]["begun"] == 1)
            assert [each["devices"] for each in status["stages"]] == [1, 2, 1]
            assert [each["state"] for each in status["stages"]] == ["running", "waiting", "waiting"]
            gates = [each["gate"] for each in status["stages"]]
            assert gates == [GATE, {"success": 0.5, "error_threshold": 1.0, "minimum_executed": 20}, GATE]
            assert (status["stage"], status["reason"], status["revision"]) == (1, None, 1)
            assert status["stages"][0] | {"gate": None} == {
                "number": 1,
                "devices": 1,
                "begun": 1,
                "ended": 0,
                "succeeded": 0,
                "failed": 0,
                "state": "running",
                "gate": None,
            }
            explained = (await client.get("/devices/d/explain")).json()
            assert "since stage 3 begins when stage 2 has passed its gate" in explained["sentence"]

    run(main())


def test_a_campaign_is_paused_and_resumed(run, api):
    """With a reason; each is refused where it is so already. A pause needs no body."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            path = f"/campaigns/{(await made(client))['id']}"
            paused = await client.post(f"{path}/pause", json={"reason": "the vendor asked"})
            assert paused.status_code == 200
            assert (paused.json()["state"], paused.headers["ETag"]) == ("paused", '"2"')
            assert paused.json()["reason"] == "paused: by admin: the vendor asked"
            assert paused.json()["stages"][0]["state"] == "held"
            problem(await client.post(f"{path}/pause"), 409)
            resumed = await client.post(f"{path}/resume")
            assert (resumed.json()["state"], resumed.json()["reason"]) == ("running", None)
            problem(await client.post(f"{path}/resume"), 409)
            problem(await client.post(f"{path}/confirm"), 409)
            assert (await client.post(f"{path}/pause")).json()["reason"] == "paused: by admin"
            await client.post(f"{path}/stop")
            problem(await client.post(f"{path}/resume"), 409)
            for what in ("pause", "resume", "confirm"):
                problem(await client.post(f"/campaigns/none/{what}"), 404)
            problem(await client.post("/campaigns/none/retry", json={"all": True}), 404)

    run(main())


def test_an_edit_names_what_it_changes(run, api):
    """428 without an ETag, 412 with that of an earlier one, and nothing is changed by either."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            status = await made(client, windows=[{"begin": "22:00", "end": "06:00", "days": ["fri", "mon"]}])
            path = f"/campaigns/{status['id']}"
            assert status["windows"] == [{"days": ["mon", "fri"], "begin": "22:00", "end": "06:00"}]
            etag = (await client.get(path)).headers["ETag"]
            problem(await client.patch(path, json={"name": "x"}), 428)
            edit = {
                "name": "new",
                "gate": GATE,
                "timezone": "Europe/Berlin",
                "retry": [{"failure": Failure.STORAGE.value, "count": 1}],
            }
            edited = await client.patch(path, json=edit, headers={"If-Match": etag})
            assert (edited.status_code, edited.headers["ETag"]) == (200, '"2"')
            said = edited.json()
            assert (said["name"], said["gate"], said["timezone"]) == ("new", GATE, "Europe/Berlin")
            assert said["retry"] == [{"failure": Failure.STORAGE.value, "count": 1, "interval_s": 0.0}]
            assert said["windows"] == status["windows"]
            problem(await client.patch(path, json={"name": "x"}, headers={"If-Match": etag}), 412)
            problem(await client.patch(path, json={"name": "x"}, headers={"If-Match": '"x"'}), 412)
            either = {"If-Match": '"7", W/"2"'}
            assert (await client.patch(path, json={"windows": []}, headers=either)).json()["windows"] == []
            anyone = {"If-Match": "*"}
            problem(await client.patch(path, json={}, headers=anyone), 422)
            problem(await client.patch(path, json={"timezone": "Mars/Olympus"}, headers=anyone), 422)
            problem(await client.patch(path, json={"start_s": 4e9}, headers=anyone), 409)
            problem(await client.patch(path, json={"package": "x"}, headers=anyone), 422)
            problem(await client.patch("/campaigns/none", json={"name": "x"}, headers=anyone), 404)
            assert (await client.get(path)).json()["name"] == "new"

    run(main())


def test_a_schedule_and_a_confirmation(run, api):
    """Both before the first stage; the start can be moved while nothing has begun."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            start_s = asked.server._in.clock.now() + 3600
            status = await made(client, start_s=start_s, confirm="start")
            path = f"/campaigns/{status['id']}"
            assert (status["state"], status["start_s"]) == ("scheduled", start_s)
            assert status["reason"].startswith("scheduled for ")
            anyone = {"If-Match": "*"}
            past = await client.patch(path, json={"start_s": start_s - 7200}, headers=anyone)
            problem(past, 422)
            moved = await client.patch(path, json={"start_s": None}, headers=anyone)
            assert (moved.json()["state"], moved.json()["reason"]) == (
                *("waiting", "to be confirmed before stage 1 begins"),
            )
            assert (await client.post(f"{path}/confirm")).json()["state"] == "running"

    run(main())


@pytest.mark.parametrize(
    "wrong",
    [
        {"stages": [{}]},
        {"stages": [{"percent": 1, "count": 1}]},
        {"stages": [{"percent": 60}, {"percent": 60}]},
        {"stages": [{"count": 0}]},
        {"gate": {"success": 1.5}},
        {"gate": {"succes": 0.5}},
        {"confirm": "never"},
        {"start_s": 1_000_000},
        {"windows": [{"begin": "22:00", "end": "22:00"}]},
        {"windows": [{"begin": "9", "end": "10:00"}]},
        {"windows": [{"begin": "22:00", "end": "06:00", "days": ["monday"]}]},
        {"timezone": "Mars/Olympus"},
    ],
)
def test_what_cannot_be_is_refused(run, api, wrong):
    """Nothing of it is made."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            wanted = {"package": (await add(client))["pid"], "targets": {"endpoints": ["a"]}}
            problem(await client.post("/campaigns", json=wanted | wrong), 422)
            assert (await client.get("/campaigns")).json()["items"] == []

    run(main())


def test_failed_devices_are_tried_again(run, api):
    """Chosen ones, by cause, or all; after the end of the campaign too. Who did not fail is not."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            status = await made(client, timers={"online_s": 0.05})
            path = f"/campaigns/{status['id']}"
            ended = await until(client, status["id"], lambda each: each["ended_s"] is not None)
            assert ended["stages"][0]["failed"] == 4
            tasks = (await client.get("/tasks", params={"campaign": status["id"]})).json()["items"]
            retry = f"{path}/retry"
            chosen = {"tasks": [tasks[0]["id"], "none"]}
            assert (await client.post(retry, json=chosen)).json() == {"retried": 1}
            ended = await until(
                client, status["id"], lambda each: each["ended_s"] is not None and each["retried"] == 1
            )
            assert (ended["state"], ended["devices"], ended["tasks"]) == ("ended", 4, 5)
            assert (await client.post(retry, json=chosen)).json() == {"retried": 0}
            for asked_for, count in (
                ({"failures": [Failure.MEMORY.value]}, 0),
                ({"failures": [Failure.ONLINE_TIMEOUT.value]}, 4),
            ):
                assert (await client.post(retry, json=asked_for)).json() == {"retried": count}
            ended = await until(
                client, status["id"], lambda each: each["ended_s"] is not None and each["retried"] == 5
            )
            assert (await client.post(retry, json={"all": True})).json() == {"retried": 4}
            assert ended["stages"][0] | {"gate": None} == {
                "number": 1,
                "devices": 4,
                "begun": 4,
                "ended": 4,
                "succeeded": 0,
                "failed": 4,
                "state": "passed",
                "gate": None,
            }
            for wrong in ({}, {"tasks": []}, {"all": True, "tasks": ["x"]}, {"all": False}):
                problem(await client.post(retry, json=wrong), 422)
            await until(client, status["id"], lambda each: each["ended_s"] is not None)
            await client.delete(f"/packages/{status['package']}")
            problem(await client.post(retry, json={"all": True}), 422)

    run(main())


def test_nobody_of_a_stopped_campaign_is_tried_again(run, api):
    """An operator wanted it to end."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            path = f"/campaigns/{(await made(client))['id']}"
            await client.post(f"{path}/stop")
            problem(await client.post(f"{path}/retry", json={"all": True}), 409)

    run(main())


def test_an_automatic_pause_is_told(run, api):
    """As soon as too many have failed; resumed, the campaign goes on."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            gate = {"success": 1.0, "error_threshold": 0.5, "minimum_executed": 2}
            stages = [{"count": 2}]
            status = await made(client, timers={"online_s": 0.05}, gate=gate, stages=stages)
            held = await until(client, status["id"], lambda each: each["state"] == "paused")
            assert held["reason"] == "paused: 2 of 2 attempts of stage 1 failed, more than 0.5"
            assert [each["state"] for each in held["stages"]] == ["held", "waiting"]
            resumed = (await client.post(f"/campaigns/{status['id']}/resume")).json()
            assert (resumed["state"], resumed["stage"]) == ("running", 2)
            ended = await until(client, status["id"], lambda each: each["ended_s"] is not None)
            assert ended["stages"][1]["failed"] == 2

    run(main())


def test_source_versions_of_a_campaign(run, api):
    """Without them those of its package hold."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            assert (await made(client))["source_versions"] == []
            targets = {"endpoints": ["x"]}
            assert (await made(client, targets=targets, source_versions=["V1", "V0"]))["source_versions"] == [
                "V0",
                "V1",
            ]

    run(main())
