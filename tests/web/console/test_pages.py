"""Every page of the console: it is there, it is closed to strangers, and its answers are secured."""

from __future__ import annotations

import re

from headgate.web.access import Scope
from headgate.web.console.headers import HEADERS
from web_asking import add
from web_browsing import browser, logged_in, registered, shown

PAGES = ("/", "/?span=day", "/campaigns", "/campaigns/new", "/cells", "/cells/460-00-1A2B", "/devices")
PAGES += ("/packages", "/hooks", "/tokens", "/settings", "/docs")
FILLED = {"campaign_id": "c0ffee", "task_id": "t", "endpoint": "e", "pid": "0" * 16, "cell": "1A2B"}
FILLED |= {"hook_id": "none", "token_id": "none"}


def url(path: str) -> str:
    """The path with something in the place of its parameters."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda found: FILLED[found[1]], path)


def test_pages_of_an_empty_server(run, api):
    """Each says what is not there yet, and every one has a title, a main part and one first heading."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            for path in PAGES:
                answer = await client.get(path)
                text = shown(answer)
                assert "None" not in text, path
                assert answer.text.count("<main ") == answer.text.count("<h1") == 1, path
                assert "<title>" in answer.text
                assert answer.headers["cache-control"] == "no-store"
            assert "No campaigns yet" in shown(await client.get("/campaigns"))

    run(main())


def test_pages_are_for_who_is_logged_in(run, api):
    """Others are sent to log in; what follows a page is refused, and so is every act."""

    async def main() -> None:
        async with api() as asked, browser(asked) as client:
            site = asked.web._site
            assert len(site.views()) >= 10
            for view in site.views():
                answer = await client.get(url(view.path))
                assert answer.status_code == 303, view.path
                assert answer.headers["location"].startswith("/login")
                if view.live:
                    assert (await client.get("/live" + url(view.path))).status_code == 401
            for act in site.acts():
                assert (await client.post(url(act.path))).status_code == 401, act.path
            assert (await client.get("/docs")).status_code == 200  # as its document is, for all

    run(main())


def test_every_answer_tells_the_browser_what_it_may_do(run, api):
    """Pages, files, redirects and errors alike."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            paths = [*PAGES, "/nowhere", "/static/nothing.js", "/cells/what", "/campaigns/none", "/login"]
            paths += [f"/static/{name}" for name in asked.web._site._templates.static]
            for path in paths:
                answer = await client.get(path)
                for name, value in HEADERS.items():
                    assert answer.headers[name] == value, path
            async with browser(asked) as stranger:
                for answer in (await stranger.get("/"), await stranger.post("/login", data={"token": "x"})):
                    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]

    run(main())


def test_pages_have_nothing_that_the_policy_forbids(run, api):
    """No script, style or handler in a page, and nothing from elsewhere."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            async with asked.client() as admin:
                package = await add(admin)
            for path in (*PAGES, f"/campaigns/new?package={package['pid']}"):
                page = (await client.get(path)).text
                assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page), path
                for script in re.findall(r"<script[^>]*>(?:(?!</script>).)*", page):
                    assert re.fullmatch(r'<script (type="module" )?src="/static/[\w.-]+">', script), path
                assert not re.search(r'(?:src|href)="(?:https?:)?//', page), path

    run(main())


def test_static_files_are_kept_by_their_etag(run, api):
    """A browser asks again, and is told that it has them."""

    async def main() -> None:
        async with api() as asked, browser(asked) as client:
            first = await client.get("/static/console.css")
            assert first.headers["content-type"] == "text/css; charset=utf-8"
            again = await client.get("/static/console.css", headers={"If-None-Match": first.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert (await client.get("/static/..%2fapp.py")).status_code == 404

    run(main())


def test_who_may_only_read_sees_no_buttons(run, api):
    """And what the buttons would do is refused."""

    async def main() -> None:
        async with api() as asked, asked.client() as admin:
            pid = (await add(admin))["pid"]
            made = await admin.post("/campaigns", json={"package": pid, "targets": {"endpoints": ["e"]}})
            await registered(asked, "e")
            paths = ["/", "/campaigns", f"/campaigns/{made.json()['id']}", "/devices/e", "/packages"]
            for scope, forms in ((Scope.READ, False), (Scope.OPERATE, True)):
                async with logged_in(asked, scope) as client:
                    posts = 0
                    for path in paths:
                        page = (await client.get(path)).text
                        posts += len(re.findall(r'<form method="post" action="(?!/logout)', page))
                        posts += page.count('href="/campaigns/new')
                    assert bool(posts) is forms
                    assert (await client.get("/campaigns/new")).status_code == (200 if forms else 403)
            for scope in (Scope.READ, Scope.OPERATE):
                async with logged_in(asked, scope) as client:
                    for act in asked.web._site.acts():
                        if not scope.contains(act.scope):
                            assert (await client.post(url(act.path))).status_code == 403, act.path

    run(main())


def test_settings_tell_value_and_origin(run, api):
    """Those that were said stand out; each has its unit and its meaning."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            page = (await client.get("/settings")).text
            row = next(each for each in page.split("<tr") if "<code>class_0</code>" in each)
            assert ">50<" in row
            assert "default" in row
            row = next(each for each in page.split("<tr") if "<code>retry_s</code>" in each)
            assert "program" in row
            assert "0.01" in row

    run(main())


def test_the_reference_names_every_operation(run, api):
    """It is made from the document."""

    async def main() -> None:
        async with api() as asked, browser(asked) as client, asked.client(None) as anybody:
            page = (await client.get("/docs")).text
            document = (await anybody.get("/openapi.json")).json()
            for path, operations in document["paths"].items():
                assert f"<code>{path}</code>" in page
                for operation in operations.values():
                    assert f'id="{operation["operationId"]}"' in page
            assert 'id="model-ProblemDetails"' in page

    run(main())


def test_devices_are_found_by_how_their_endpoint_begins(run, api):
    """Page by page, in order, nothing left out."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            await registered(asked, *(f"urn:a:{number:03}" for number in range(60)), "urn:b")
            first = await client.get("/devices", params={"endpoint_prefix": "urn:a:"})
            assert first.text.count('<a class="name"') == 50
            more = re.search(r'rel="next" href="([^"]+)"', first.text)[1].replace("&amp;", "&")
            second = await client.get(more)
            assert second.text.count('<a class="name"') == 10
            assert "urn:a:059" in second.text
            assert "urn:b" not in second.text
            assert "No device is so" in shown(await client.get("/devices?endpoint_prefix=zz"))

    run(main())
