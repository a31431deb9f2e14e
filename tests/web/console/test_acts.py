"""What can be done by the console: from its own pages alone, once, and said what came of it."""

from __future__ import annotations

import asyncio
import re

import pytest

from headgate.upgrade.advice import ADVICE
from headgate.upgrade.failure import Failure
from headgate.web.access import Scope
from web_asking import BODY, add
from web_browsing import ORIGIN, logged_in, registered, shown

ELSEWHERE = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://["},
    {"Origin": "http://console.test.evil.example"},
    {"Origin": "http://console.test:81"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_what_comes_from_elsewhere_is_refused(run, api, headers):
    """Every act, logging in and out too: nothing is done."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            for path in ("/login", "/logout", "/campaigns/new", "/packages", f"/packages/{pid}/remove"):
                answer = await client.post(path, headers=headers, data={"token": asked.secrets[Scope.ADMIN]})
                assert answer.status_code == 403, path
                assert "set-cookie" not in answer.headers
            assert (await client.get("/")).status_code == 200
            assert len((await admin.get("/packages")).json()["items"]) == 1
            del client.headers["Origin"]
            assert (await client.post("/logout")).status_code == 403  # a browser says where it comes from
            port = ORIGIN + ":8443"
            there = {"Origin": port, "Host": "console.test:8443"}
            assert (await client.post("/logout", headers=there)).status_code == 303

    run(main())


def test_a_package_is_added_and_removed_by_forms(run, api):
    """Fields that are empty are left out, as every browser sends them."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client:
            form = {"version": "V2", "kind": "firmware", "name": "", "product": "meter", "check_code": ""}
            form |= {"segment_size_bytes": "", "source_versions": ["V1", "", ""]}
            answer = await client.post("/packages", data=form, files={"file": ("fw.bin", BODY)})
            assert (answer.status_code, answer.headers["location"]) == (303, "/packages")
            page = await client.get("/packages")
            assert "of version V2 is added" in shown(page)
            pid = re.search(r"/packages/([0-9a-f]{16})/remove", page.text)[1]
            assert "is added" not in shown(await client.get("/packages"))  # it is said once
            await client.post("/packages", data=form, files={"file": ("fw.bin", BODY)})
            assert "was there already" in shown(await client.get("/packages"))
            await client.post("/packages", data=form | {"version": ""}, files={"file": ("fw.bin", BODY)})
            assert "version: Field required" in shown(await client.get("/packages"))
            await client.post(f"/packages/{pid}/remove")
            assert "No packages yet" in shown(await client.get("/packages"))

    run(main())


def test_a_campaign_is_stopped(run, api):
    """Once; a second time is refused, and said."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            wanted = {"name": "north", "package": pid, "targets": {"endpoints": ["a", "b"]}}
            campaign = (await admin.post("/campaigns", json=wanted)).json()["id"]
            answer = await client.post(f"/campaigns/{campaign}/stop")
            assert answer.headers["location"] == f"/campaigns/{campaign}"
            await asked.server.ended(campaign)  # its tasks end in pieces
            text = shown(await client.get(f"/campaigns/{campaign}"))
            assert "Stopped" in text
            assert "2 cancelled" in text
            await client.post(f"/campaigns/{campaign}/stop")
            assert "is through already" in shown(await client.get(f"/campaigns/{campaign}"))
            assert (await client.get("/campaigns/none")).status_code == 404

    run(main())


def test_a_campaign_is_paused_resumed_and_confirmed(run, api):
    """The buttons are those that its state permits; why it is paused is told."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            wanted = {"package": pid, "targets": {"endpoints": list("abcd")}, "confirm": "start"}
            wanted |= {"stages": [{"count": 1}], "gate": {"success": 0.9, "error_threshold": 0.05}}
            campaign = (await admin.post("/campaigns", json=wanted)).json()["id"]
            await asked.server._watched.until(campaign, lambda row: row["state"] != "creating")
            page = f"/campaigns/{campaign}"

            async def acts() -> set[str]:
                return set(re.findall(rf'action="{page}/(\w+)"', (await client.get(page)).text))

            assert await acts() == {"confirm", "pause", "stop"}
            await client.post(f"{page}/confirm")
            text = shown(await client.get(page))
            assert "the next stage begins" in text
            assert "90 % succeed, pauses beyond 5 % of 20 and more" in text
            assert await acts() == {"pause", "stop"}
            await client.post(f"{page}/pause", data={"reason": "too <warm>"})
            text = shown(await client.get(page))
            assert "Paused" in text
            assert "too <warm>" in text
            assert await acts() == {"resume", "stop"}
            await client.post(f"{page}/pause")
            assert 'role="alert"' in (await client.get(page)).text
            await client.post(f"{page}/resume")
            assert "Running" in shown(await client.get(page))

    run(main())


def test_failed_devices_are_tried_again_by_cause(run, api):
    """As many as there are; each cause is told with what to do about it."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            wanted = {"package": pid, "targets": {"endpoints": ["a", "b"]}, "timers": {"online_s": 0.05}}
            campaign = (await admin.post("/campaigns", json=wanted)).json()["id"]
            await asked.server.ended(campaign)
            page = f"/campaigns/{campaign}"
            cause = Failure.ONLINE_TIMEOUT
            text = shown(await client.get(page))
            assert cause.value in text
            assert ADVICE[cause] in text
            await client.post(f"{page}/retry", data={"failure": Failure.MEMORY.value})
            assert "0 devices are tried again" in shown(await client.get(page))
            await client.post(f"{page}/retry", data={"failure": cause.value})
            assert "2 devices are tried again" in shown(await client.get(page))
            await asked.server.ended(campaign)
            await client.post(f"{page}/retry")
            assert "2 devices are tried again" in shown(await client.get(page))
            listed = await client.get(page, params={"failure": cause.value, "state": "failed"})
            assert listed.text.count('<th scope="row"><a class="name"') >= 4

    run(main())


def test_there_is_advice_for_every_cause():
    """And none of it is empty."""
    assert ADVICE.keys() == set(Failure)
    assert all(text.endswith(".") for text in ADVICE.values())


def test_labels_are_saved_unless_somebody_was_faster(run, api):
    """The form carries which labels it replaces."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client:
            await registered(asked, "urn:a/b")
            page = "/devices/urn%3Aa%2Fb"
            etag = re.search(r'name="etag" value="([^"]+)"', (await client.get(page)).text)[1]
            form = {"etag": etag.replace("&#34;", '"'), "product": "meter", "group": ""}
            answer = await client.post(f"{page}/labels", data=form)
            assert answer.headers["location"] == page
            assert "Labels saved: product meter" in shown(await client.get(page))
            await client.post(f"{page}/labels", data=form | {"product": "valve"})
            assert "have changed meanwhile" in shown(answer := await client.get(page))
            assert 'value="meter"' in answer.text

    run(main())


def test_of_two_who_label_at_once_one_was_faster(run, api):
    """In the console or over the API: who comes second is told so, and nothing is lost silently."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            await registered(asked, "a")
            etag = (await admin.get("/devices/a/labels")).headers["ETag"]
            form = {"etag": etag, "product": "meter", "group": ""}
            wanted = {"product": "valve", "group": None}
            _, answer = await asyncio.gather(
                client.post("/devices/a/labels", data=form),
                admin.put("/devices/a/labels", json=wanted, headers={"If-Match": etag}),
            )
            page = shown(await client.get("/devices/a"))
            kept = (await admin.get("/devices/a/labels")).json()["product"]
            assert ("Labels saved" in page) == (answer.status_code == 412) == (kept == "meter")
            assert ("have changed meanwhile" in page) == answer.is_success == (kept == "valve")

    run(main())
