"""Logging in: by a link or a token, for some hours, and how it ends."""

from __future__ import annotations

import pytest

from headgate.web.access import Scope
from headgate.web.console.sessions import CODE_S, CODES_MAX, COOKIE
from web_browsing import ORIGIN, browser, logged_in, shown


async def logs_in(client, said: str, **more: str) -> int:
    """What a login form is answered."""
    client.cookies.clear()
    return (await client.post("/login", data={"token": said} | more)).status_code


def test_a_link_logs_one_in_once(run, api):
    """With all rights, since it was read where the server was started."""

    async def main() -> None:
        async with api() as asked, browser(asked) as client:
            code = asked.web.login_code()
            assert await logs_in(client, code) == 303
            assert "admin" in shown(await client.get("/"))
            assert await logs_in(client, code) == 403
            assert (await client.get("/")).status_code == 303

    run(main())


def test_links_are_good_for_an_hour_and_few_at_a_time(run, api):
    """Or for as long as was said; a new one pushes the oldest out."""

    async def main() -> None:
        async with api() as asked, browser(asked) as client:
            sessions = asked.web._site.sessions
            code, now = asked.web.login_code(), sessions._now
            sessions._now = lambda: now() + CODE_S + 1
            assert await logs_in(client, code) == 403
            sessions._now = now
            code = asked.web.login_code(2 * CODE_S)
            sessions._now = lambda: now() + CODE_S + 1
            assert await logs_in(client, code) == 303
            sessions._now = now
            codes = [asked.web.login_code() for _ in range(CODES_MAX + 1)]
            assert await logs_in(client, codes[0]) == 403
            assert await logs_in(client, codes[1]) == 303

    run(main())


def test_a_session_is_a_cookie_for_our_pages_alone(run, api):
    """No script reads it, no other site sends it; over HTTPS it is sent by HTTPS alone."""

    async def main() -> None:
        async with api() as asked, browser(asked) as client:
            said = {"token": asked.secrets[Scope.READ]}
            cookie = (await client.post("/login", data=said)).headers["set-cookie"]
            assert cookie.startswith(f"{COOKIE}=")
            assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))
            assert "Secure" not in cookie
            tls = {"Origin": ORIGIN.replace("http:", "https:")}
            assert "Secure" in (await client.post("/login", data=said, headers=tls)).headers["set-cookie"]
            assert asked.secrets[Scope.READ] not in cookie

    run(main())


def test_sessions_end(run, api):
    """With their token, by themselves, by logging out, and when there are too many."""

    async def main() -> None:
        async with api(sessions_max=2) as asked:
            sessions = asked.web._site.sessions
            async with (
                logged_in(asked, Scope.READ) as first,
                logged_in(asked, Scope.READ) as second,
                logged_in(asked, Scope.OPERATE) as third,
            ):
                assert (await first.get("/")).status_code == 303  # the oldest of three
                assert (await second.get("/")).status_code == 200
                token = asked.web._office.tokens.find(asked.secrets[Scope.READ])
                await asked.web._office.tokens.revoke(token.id)
                assert (await second.get("/")).status_code == 303
                await third.post("/logout")
                assert (await third.get("/")).status_code == 303
            assert len(sessions) == 0
            async with logged_in(asked) as client:
                now = sessions._now
                sessions._now = lambda: now() + asked.web.settings.session_s
                assert (await client.get("/")).status_code == 303
                assert len(sessions) == 0

    run(main())


def test_wrong_tokens_are_told_to_wait_together_with_those_of_the_api(run, api):
    """One count for both; a right one is let in all the same."""

    async def main() -> None:
        async with api(failed_logins_max=3) as asked, browser(asked) as client:
            async with asked.client(None, Authorization="Bearer wrong") as program:
                for _ in range(2):
                    await program.get("/packages")
            assert await logs_in(client, "wrong") == 403
            answer = await client.post("/login", data={"token": "wrong"})
            assert answer.status_code == 429
            assert 0 < int(answer.headers["Retry-After"]) <= 60
            assert 'role="alert"' in answer.text
            assert await logs_in(client, asked.secrets[Scope.READ]) == 303

    run(main())


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "/\n/x"]
)
def test_logging_in_leads_to_a_page_of_ours(run, api, elsewhere):
    """Whatever the link said."""

    async def main() -> None:
        async with api() as asked, browser(asked) as client:
            said = {"token": asked.secrets[Scope.READ]}
            answer = await client.post("/login", data=said | {"next": elsewhere})
            assert answer.headers["location"] == "/"
            client.cookies.clear()
            answer = await client.get("/cells?after=1A2B")
            assert answer.headers["location"] == "/login?next=%2Fcells%3Fafter%3D1A2B"
            answer = await client.post("/login", data=said | {"next": "/cells?after=1A2B"})
            assert answer.headers["location"] == "/cells?after=1A2B"

    run(main())
