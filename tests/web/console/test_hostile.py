"""Names that devices and people choose: they are shown as text, every character of them to be seen."""

from __future__ import annotations

import re

import pytest

from headgate.web.console.words import device_url, visible
from web_asking import add
from web_browsing import logged_in, registered, shown

NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "urn:dev:\u202egnp.exe",
    "line\nfeed\r",
    "tab\tnull\x7f",
    "{{ 7 * 7 }}",
    "a/b?c#d%20e",
    "..",
    ".",
    "\u200bzero",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_hostile_name_is_text_wherever_it_stands(run, api, name):
    """A device, its labels and version, a campaign, a token: in lists, on its page, and in links to it."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            await registered(asked, name, product=name, group_name=name, version=name)
            pid = (await add(admin, name=name, product=name))["pid"]
            wanted = {"name": name, "package": pid, "targets": {"endpoints": [name]}}
            campaign = (await admin.post("/campaigns", json=wanted)).json()["id"]
            assert (await admin.post("/tokens", json={"name": name, "scope": "read"})).status_code == 201
            paths = [
                "/",
                "/tokens",
                "/campaigns",
                f"/campaigns/{campaign}",
                "/devices",
                "/packages",
                "/campaigns/new",
            ]
            for path in [*paths, device_url(name)]:
                answer = await client.get(path)
                assert plain(name) in re.sub(r"\s+", " ", shown(answer)), path
                page = answer.text
                assert "<img" not in page
                assert "<script>" not in page
                assert not re.search(r"<[^>\"]*(?:\"[^\"]*\"[^>\"]*)*\son\w+=", page), path
                unseen = [sign for sign in name if not sign.isprintable() and sign != "\n"]
                body = re.sub(r'value="[^"]*"', "", page)  # a field holds what there is, to be sent again
                assert not any(sign in body for sign in unseen), path
            link = re.search(r'class="name" href="([^"]+)"', (await client.get("/devices")).text)[1]
            assert f'<h1 class="name"><bdi>{visible(name)}</bdi>' in (await client.get(link)).text

    run(main())


def plain(name: str) -> str:
    """The name as a page shows it, without the marks around its escapes."""
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("before", ["²", "9" * 5000, "9" * 19, "-1", "x"], ids=lambda said: said[:2])
def test_a_page_behind_nothing_is_refused(run, api, before):
    """A number that is none, or is larger than any database has, is no bug of ours."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            await registered(asked, "a")
            assert (await client.get("/devices/a", params={"before": before})).status_code == 422

    run(main())
