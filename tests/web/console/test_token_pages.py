"""Tokens in the console: listed without what opens anything, made, shown once, revoked."""

from __future__ import annotations

import re

import pytest

from headgate.web.access import Scope
from headgate.web.console.sessions import COOKIE
from web_browsing import browser, logged_in, shown

WANTED = {"name": "ci <nightly>", "scope": "operate"}


def token_of(asked, scope: Scope):
    """The token that somebody logs in with."""
    return next(each for each in asked.web._office.tokens.list() if each.scope is scope)


def test_a_token_is_made_and_shown_once(run, api):
    """In the page that answers; it logs in, and is in no page after it."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            made = await client.post("/tokens", data=WANTED)
            assert "The token is made" in shown(made)
            assert made.headers["cache-control"] == "no-store"
            secret = re.search(r'<input id="made" value="(headgate_[\w-]+)" readonly', made.text)[1]
            listed = await client.get("/tokens")
            assert secret not in listed.text
            assert "ci <nightly>" in shown(listed)
            assert "not since the start" in shown(listed)
            async with browser(asked) as other:
                assert (await other.post("/login", data={"token": secret})).status_code == 303
                assert "ci <nightly> operate" in shown(await other.get("/"))
            row = next(each for each in (await client.get("/tokens")).text.split("<tr") if "nightly" in each)
            assert row.count("<time") == 2

    run(main())


@pytest.mark.parametrize(
    ("field", "said", "what"),
    [
        ("name", {"name": " "}, "who is going to use it"),
        ("name", {"name": "x" * 256}, "up to 255 characters"),
        ("name", {"name": "x\0"}, "up to 255 characters"),
        ("scope", {"scope": ""}, "choose what it is good for"),
        ("scope", {"scope": "root"}, "choose what it is good for"),
    ],
    ids=["empty", "long", "nul", "none", "unknown"],
)
def test_what_is_refused_is_told_beside_its_field(run, api, field, said, what):
    """And nothing that was typed or chosen is lost."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            form = WANTED | {"name": "ci"} | said
            answer = await client.post("/tokens", data=form)
            shown(answer, 422)
            assert what in re.search(rf'<p class="wrong" id="wrong-{field}">([^<]*)</p>', answer.text)[1]
            assert f'name="name" value="{form["name"].strip()}"' in answer.text
            if field == "name":
                assert 'value="operate" required checked' in answer.text
            assert len(asked.web._office.tokens.list()) == len(Scope)

    run(main())


def test_as_many_as_there_may_be(run, api):
    """One more is refused, and what was typed is still there."""

    async def main() -> None:
        async with api(tokens_max=3) as asked, logged_in(asked) as client:
            answer = await client.post("/tokens", data=WANTED)
            assert "there are 3 tokens" in shown(answer, 409)
            assert 'name="name" value="ci &lt;nightly&gt;"' in answer.text

    run(main())


def test_a_token_is_revoked(run, api):
    """Who is logged in with it is logged out; the last one that may make others stays."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, logged_in(asked, Scope.READ) as reader:
            path = f"/tokens/{token_of(asked, Scope.READ).id}/revoke"
            answer = await client.post(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/tokens")
            assert "The token is revoked" in shown(await client.get("/tokens"))
            assert (await reader.get("/")).headers["location"] == "/login"
            await client.post(path)
            assert "there is no token" in shown(await client.get("/tokens"))
            await client.post(f"/tokens/{token_of(asked, Scope.ADMIN).id}/revoke")
            assert "last admin token" in shown(await client.get("/tokens"))

    run(main())


def test_revoking_ones_own_token_logs_out(run, api):
    """It is marked in the list; the browser forgets the session at once."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            page = (await client.get("/tokens")).text
            (row,) = [each for each in page.split("<tr") if "this login" in each]
            own = token_of(asked, Scope.ADMIN).id
            assert f'action="/tokens/{own}/revoke"' in row
            assert "you are logged out" in row
            await client.post("/tokens", data={"name": "another", "scope": "admin"})
            answer = await client.post(f"/tokens/{own}/revoke")
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
            assert COOKIE not in client.cookies
            assert "Log in" in shown(await client.get("/login"))
            assert (await client.get("/tokens")).headers["location"].startswith("/login")

    run(main())


def test_tokens_are_for_administrators(run, api):
    """Others see no link to them, and are refused."""

    async def main() -> None:
        async with api() as asked:
            for scope in Scope:
                async with logged_in(asked, scope) as client:
                    allowed = scope is Scope.ADMIN
                    for path in ("/", "/settings"):
                        assert ('href="/tokens"' in (await client.get(path)).text) is allowed
                    assert (await client.get("/tokens")).status_code == (200 if allowed else 403)

    run(main())


def test_tokens_are_listed_in_pages_the_newest_first(run, api):
    """Nothing is left out."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            tokens = asked.web._office.tokens
            for number in range(60):
                await tokens.add(f"n{number:02}", Scope.READ, f"secret {number}")
            first = await client.get("/tokens")
            more = re.search(r'rel="next" href="([^"]+)"', first.text)[1]
            second = await client.get(more)
            names = [re.findall(r"<bdi>(n\d\d)</bdi></th>", page.text) for page in (first, second)]
            assert len(names[0]) == 50
            assert names[0] + names[1] == [f"n{number:02}" for number in reversed(range(60))]
            assert (await client.get("/tokens?after=x")).status_code == 422

    run(main())
