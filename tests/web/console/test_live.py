"""Pages that change while they are looked at: rendered once for all, sent to each."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, asynccontextmanager

import pytest

from headgate.web.access import Scope
from headgate.web.console.live import OVER
from headgate.web.console.pages import Question, View
from headgate.web.routes.events import BEAT, HELLO
from headgate.web.routes.tasks import TaskQuery
from web_asking import add
from web_browsing import logged_in


def view_of(site, path):
    """The page of that path."""
    return next(each for each in site.views() if each.path == path)


@asynccontextmanager
async def looking(asked, path="/", scope=Scope.ADMIN, good=lambda: True, **query):
    """Somebody who looks at a page: what he is sent, piece by piece."""
    site = asked.web._site
    token = asked.web._office.tokens.find(asked.secrets[scope])
    question = Question(path=path, query=query, token=token)
    async with aclosing(site.live.pieces(view_of(site, path), question, good)) as pieces:
        assert await anext(pieces) == HELLO
        yield pieces


def parts(piece: bytes) -> dict[str, str]:
    """The parts of a page in a message."""
    kind, data = piece.decode().rstrip().split("\n")
    assert kind == "event: parts"
    return json.loads(data.removeprefix("data: "))


async def change(pieces) -> bytes:
    """The next piece that says something: on a busy machine a beat may come before."""
    while (piece := await anext(pieces)) == BEAT:
        pass
    return piece


def test_a_hundred_viewers_are_one_question(run, api):
    """All are sent the same bytes, first all parts, then those that are otherwise."""

    async def main() -> None:
        async with api() as asked, asked.client() as admin:
            live, everybody = asked.web._site.live, asyncio.Barrier(101)

            async def look() -> list[bytes]:
                async with looking(asked) as pieces:
                    found = [await change(pieces)]
                    await everybody.wait()
                    while "live_campaigns" not in parts(found[-1]) or len(found) == 1:
                        found.append(await change(pieces))
                    return found

            watching = [asyncio.ensure_future(look()) for _ in range(100)]
            await everybody.wait()
            wanted = {"package": (await add(admin))["pid"], "targets": {"endpoints": ["a"]}}
            await admin.post("/campaigns", json=wanted)
            seen = await asyncio.gather(*watching)
            assert len(set(map(tuple, seen))) == 1
            names = ("figures", "charts", "campaigns", "failures")
            assert parts(seen[0][0]).keys() == {f"live_{name}" for name in names}
            assert "live_failures" not in parts(seen[0][-1])  # as it was
            assert live.renders < 20
            assert live._topics == {}
            assert asked.web._office.metrics.viewers == 0

    run(main())


def test_who_may_less_is_sent_less(run, api):
    """Buttons are rendered for those who may press them."""

    async def main() -> None:
        async with api() as asked, asked.client() as admin:
            pid = (await add(admin))["pid"]
            made = await admin.post("/campaigns", json={"package": pid, "targets": {"endpoints": ["a"]}})
            site, campaign = asked.web._site, made.json()["id"]
            view = view_of(site, "/campaigns/{campaign_id}")
            for scope, seen in ((Scope.OPERATE, True), (Scope.READ, False)):
                token = asked.web._office.tokens.find(asked.secrets[scope])
                question = Question(
                    path=f"/campaigns/{campaign}", params={"campaign_id": campaign}, token=token
                )
                async with aclosing(site.live.pieces(view, question, lambda: True)) as pieces:
                    await anext(pieces)
                    assert ("<form" in parts(await change(pieces))["live_state"]) is seen

    run(main())


def test_a_session_that_ends_ends_what_it_follows(run, api):
    """At the next change at the latest, or the next beat."""

    async def main() -> None:
        async with api() as asked, asked.client() as admin:
            ended = False
            async with looking(asked, good=lambda: not ended) as pieces:
                parts(await change(pieces))
                ended = True
                await add(admin)
                assert await change(pieces) == OVER
                assert [piece async for piece in pieces] == []

    run(main())


def test_nobody_is_followed_by_more_than_may(run, api):
    """Events and pages are counted together."""

    async def main() -> None:
        async with api(viewers_max=1) as asked, logged_in(asked) as client, looking(asked):
            assert (await client.get("/live/")).status_code == 503
            assert (await client.get("/live/settings")).status_code == 404  # which never changes
            async with asked.client() as program:
                assert (await program.get("/events")).status_code == 503

    run(main())


@pytest.mark.parametrize("bug", [False, True])
def test_a_page_that_cannot_be_shown_takes_no_other_with_it(run, api, caplog, bug):
    """Neither one whose question is wrong, nor one with a bug: that is in the log, once."""
    asked_for = []

    async def wrong(question):
        asked_for.append(question)
        if bug:
            raise ZeroDivisionError
        TaskQuery(state="none that there is")

    async def main() -> None:
        async with api() as asked:
            view, token = View(path="/wrong", template="", context=wrong), asked.web._office.tokens.list()[0]
            live = asked.web._site.live
            async with aclosing(live.pieces(view, Question(path="/wrong", token=token), lambda: True)) as bad:
                assert await anext(bad) == HELLO
                for _ in range(2):
                    async with looking(asked) as pieces:
                        parts(await change(pieces))
            assert asked_for
            assert caplog.text.count("met a bug") == bug

    run(main())


def test_viewers_are_let_go_when_the_server_ends(run, api):
    """At once."""

    async def main() -> None:
        async with api() as asked, looking(asked) as pieces:
            await anext(pieces)
            asked.web.end()
            assert [piece async for piece in pieces] == []

    run(main())


def test_who_may_more_is_shown_more(run, api):
    """An operator is not sent the part of a page that was rendered for an administrator."""

    async def main() -> None:
        async with api() as asked, asked.client() as admin:
            wanted = {"url": "https://hooks.invalid/", "events": ["task.ended"]}
            assert (await admin.post("/hooks", json=wanted)).status_code == 201
            async with (
                looking(asked, "/hooks") as first,
                looking(asked, "/hooks", scope=Scope.OPERATE) as second,
                looking(asked, "/hooks", scope=Scope.READ) as third,
            ):
                said = [parts(await change(each))["live_hooks"] for each in (first, second, third)]
                assert ["/remove" in each for each in said] == [True, False, False]
                assert ["Acts" in each for each in said] == [True, True, False]

    run(main())
