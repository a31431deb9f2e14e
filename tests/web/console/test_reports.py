"""The report of a campaign in the console: the page that the command writes, under a policy of its own."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from headgate.web.access import Scope
from headgate.web.console.headers import HEADERS
from headgate.web.console.reports import drawn
from report_rows import small_campaign
from web_asking import add, problem
from web_browsing import browser, logged_in, shown

PATH = "/campaigns/c/report"


def test_whoever_has_logged_in_may_read_it(run, api):
    """It is whole by itself; its policy lets it have the style that it brings, and nothing else."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.READ) as client, browser(asked) as stranger:
            await asked.server._in.write(asked.server._in.database.commit, small_campaign())
            assert f'href="{PATH}"' in (await client.get("/campaigns/c")).text
            answer = await client.get(PATH)
            assert "3 of 5 devices run the new version" in shown(answer)
            assert "<script" not in answer.text
            style = re.search("<style>(.*?)</style>", answer.text, re.S)[1]
            digest = b64encode(sha256(style.encode()).digest()).decode()
            (policy,) = answer.headers.get_list("content-security-policy")
            assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
            assert "frame-ancestors 'none'" in policy
            others = {name: value for name, value in HEADERS.items() if name != "Content-Security-Policy"}
            assert others.items() <= {name: answer.headers[name] for name in others}.items()
            assert answer.headers["content-disposition"] == 'inline; filename="report-c.html"'
            assert answer.headers["cache-control"] == "no-store"
            assert "there is no campaign none" in shown(await client.get("/campaigns/none/report"), 404)
            sent = await stranger.get(PATH)
            assert (sent.status_code, sent.headers["location"]) == (
                303,
                "/login?next=%2Fcampaigns%2Fc%2Freport",
            )

    run(main())


def test_a_campaign_has_one_in_every_state(run, api):
    """From the first moment to when it was stopped."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.READ) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            wanted = {"package": pid, "targets": {"endpoints": ["a"]}, "confirm": "start"}
            page = f"/campaigns/{(await admin.post('/campaigns', json=wanted)).json()['id']}"
            for act in (None, "confirm", "pause", "resume", "stop"):
                if act is not None:
                    assert (await admin.post(f"{page}/{act}")).status_code == 200, act
                assert f'href="{page}/report"' in (await client.get(page)).text, act
                assert "0 of 1 devices run the new version" in shown(await client.get(f"{page}/report")), act

    run(main())


def test_it_waits_for_nobody(run, api, monkeypatch):
    """One is made at a time, of the API's and the console's together."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            await asked.server._in.write(asked.server._in.database.commit, small_campaign())
            reader = asked.web._office.reader
            call, second = reader.call, []

            async def meanwhile(ask: Callable[..., Any], *args: Any) -> Any:
                if ask is drawn:
                    second.extend([await client.get(PATH), await admin.get(PATH)])
                return await call(ask, *args)

            monkeypatch.setattr(reader, "call", meanwhile)
            assert (await client.get(PATH)).status_code == 200
            assert "another report is being made" in shown(second[0], 503)
            assert second[0].headers["Retry-After"] == "5"
            assert problem(second[1], 503)

    run(main())
