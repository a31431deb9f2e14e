"""Pages of few among very many: each looks at a bound of rows, and together they miss nothing."""

from __future__ import annotations

import pytest

from headgate.store import tables
from headgate.store.batch import Batch
from headgate.web import paging
from web_asking import add
from web_browsing import logged_in, registered, shown


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A page looks at four rows."""
    monkeypatch.setattr(paging, "LOOKED_MAX", 4)


async def paged(client, path, **wanted):
    """The items of all pages, and how many there were."""
    items, pages, after = [], 0, {}
    while True:
        page = (await client.get(path, params=wanted | after)).json()
        items += page["items"]
        pages += 1
        if page["next"] is None:
            return items, pages
        after = {"after": page["next"]}


def test_devices_of_a_rare_version_are_all_found(run, api):
    """Whatever page they are on; a filter that an index answers is no reason to stop."""

    async def main() -> None:
        async with api() as asked, asked.client() as client, logged_in(asked) as browser:
            await registered(asked, *(f"d{number:02}" for number in range(20)), version="V1", group_name="g")
            await registered(asked, "d07", "d19", "e", version="V9", group_name="g")
            for more in ({}, {"group": "g"}, {"endpoint_prefix": "d"}):
                items, pages = await paged(client, "/devices", version="V9", **more)
                found = [each["endpoint"] for each in items]
                assert found == (["d07", "d19"] if "endpoint_prefix" in more else ["d07", "d19", "e"])
                assert pages >= 5
            items, pages = await paged(client, "/devices", version="V9", limit=1)
            assert [each["endpoint"] for each in items] == ["d07", "d19", "e"]
            assert await paged(client, "/devices", group="none") == ([], 1)
            assert (await paged(client, "/devices"))[1] == 1
            text = shown(await browser.get("/devices?version=V9"))
            assert "None among those looked at" in text
            assert "Next page" in text

    run(main())


def test_tasks_in_a_rare_state_are_all_found_and_failed_ones_at_once(run, api):
    """The former in several pages, the latter by their index."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            names = [f"d{number:02}" for number in range(20)]
            wanted = {"package": (await add(client))["pid"], "targets": {"endpoints": names}}
            campaign = (await client.post("/campaigns", json=wanted)).json()["id"]
            await asked.server._watched.until(campaign, lambda row: row["state"] == "running")
            batch = Batch()
            for number, state, failure in ((9, "failed", "Invalid URI"), (17, "downloading", None)):
                row = {"id": f"{campaign}-{number:07d}", "state": state, "failure": failure}
                batch.change(tables.tasks, row | {"active": failure is None})
            await asked.web._office.desk.write(batch)
            of = {"campaign": campaign}
            for said, at, most in (
                (of | {"state": "downloading"}, "d17", 6),
                ({"state": "downloading"}, "d17", 6),
                (of | {"state": "failed"}, "d09", 1),
                (of | {"failure": "Invalid URI"}, "d09", 1),
                ({"failure": "Invalid URI"}, "d09", 6),
                ({"endpoint": "d17"}, "d17", 1),
            ):
                items, pages = await paged(client, "/tasks", **said)
                assert [each["endpoint"] for each in items] == [at]
                assert pages <= most, said
                assert (pages == 1) is (most == 1), said

    run(main())
