"""A task is cancelled where it is seen: in the list of its campaign, and on the page of its device."""

from __future__ import annotations

import re
from html import unescape

from headgate.web.access import Scope
from headgate.web.console.words import device_url
from web_asking import add
from web_browsing import logged_in, registered, shown

NAMES = ["a", "urn:a/b", "..", '"><b>']


def acts(page: str) -> list[str]:
    """Where tasks of a page are cancelled."""
    return [unescape(each) for each in re.findall(r'action="([^"]+/cancel[^"]*)"', page)]


def test_each_task_that_is_not_over_has_a_button(run, api):
    """One that has not begun, too; the list that was looked at is shown again."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            wanted = {"package": pid, "targets": {"endpoints": NAMES}, "stages": [{"count": 1}]}
            campaign = (await admin.post("/campaigns", json=wanted)).json()["id"]
            await asked.server._watched.until(campaign, lambda row: row["state"] != "creating")
            page = f"/campaigns/{campaign}"
            listed = (await client.get(page)).text
            assert len(acts(listed)) == 4
            assert 'Cancel…<span class="unseen"> the task of &#34;&gt;&lt;b&gt;</span>' in listed
            (first,) = acts((await client.get(f"{page}?state=wait_online")).text)
            assert first == f"{page}/tasks/{campaign}-0000000/cancel?state=wait_online"
            answer = await client.post(first)
            assert answer.headers["location"] == f"{page}?state=wait_online"
            text = shown(await client.get(answer.headers["location"]))
            assert f"Task {campaign}-0000000 is cancelled" in text
            assert "1 cancelled" in text
            await client.post(first)
            assert "is over already" in shown(await client.get(page))
            assert len(acts((await client.get(page)).text)) == 3
            async with logged_in(asked, Scope.READ) as reader:
                assert acts((await reader.get(page)).text) == []
                assert (await reader.post(acts(listed)[1])).status_code == 403

    run(main())


def test_the_page_of_a_device_has_it_while_a_task_is_active(run, api):
    """Of a device of any name; afterwards there is none."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client, asked.client() as admin:
            await registered(asked, *NAMES)
            pid = (await add(admin))["pid"]
            for name in NAMES:
                page = device_url(name)
                assert acts((await client.get(page)).text) == []
                wanted = {"package": pid, "targets": {"endpoints": [name]}}
                campaign = (await admin.post("/campaigns", json=wanted)).json()["id"]
                await asked.server._watched.until(campaign, lambda row: row["state"] != "creating")
                async with logged_in(asked, Scope.READ) as reader:
                    assert acts((await reader.get(page)).text) == []
                (act,) = acts((await client.get(page)).text)
                answer = await client.post(act)
                assert answer.headers["location"] == page
                assert f"Task {campaign}-0000000 is cancelled" in shown(again := await client.get(page))
                assert acts(again.text) == []
                await client.post(act)
                assert "is over already" in shown(await client.get(page))

    run(main())
