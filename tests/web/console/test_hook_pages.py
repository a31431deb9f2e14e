"""Web hooks in the console: how they stand, added with a secret that is shown once, removed, replayed."""

from __future__ import annotations

import re

import pytest

from headgate.upgrade.announcements import Announced
from headgate.web.access import Scope
from headgate.web.console.hooks import EVENTS, state_of
from headgate.web.routes.hooks import Hook
from web_asking import waiting
from web_browsing import logged_in, shown

WANTED = {
    "url": "https://hooks.invalid/headgate?x=1",
    "events": ["task.ended", "campaign.paused"],
    "secret": "",
}
STANDS = {"id": "h", "url": "https://hooks.invalid/", "events": [], "created_s": 1.0, "pending": 0, "dead": 0}
STANDS |= {"lost": 0, "overflowed_s": None, "failing_since_s": None, "error": None, "delivered_s": None}
STANDS |= {"next_s": None}


def secret_in(text: str) -> str:
    """What is shown this once."""
    return re.search(r'<input id="made" value="([^"]+)" readonly', text)[1]


def id_in(text: str) -> str:
    """The hook of a page with one."""
    return re.search(r'action="/hooks/([0-9a-f]+)/remove"', text)[1]


def test_a_hook_is_added_and_its_secret_shown_once(run, api):
    """In the page that answers, which nobody keeps; what is listed after it has none."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            made = await client.post("/hooks", data=WANTED)
            assert "The web hook is added" in shown(made)
            assert made.headers["cache-control"] == "no-store"
            assert "location" not in made.headers
            secret = secret_in(made.text)
            assert len(secret) >= 32
            assert 'name="url" type="url" value=""' in made.text
            listed = await client.get("/hooks")
            assert secret not in listed.text
            text = shown(listed)
            assert "https://hooks.invalid/headgate?x=1" in text
            assert "campaign.paused, task.ended" in text
            assert "Nothing waits" in text
            (status,) = asked.server.hooks.statuses()
            assert status.hook.secret == secret
            own = await client.post("/hooks", data=WANTED | {"secret": "a <secret> of mine"})
            assert secret_in(own.text) == "a &lt;secret&gt; of mine"

    run(main())


def test_a_hook_is_removed(run, api):
    """Once; a second time there is none."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            path = f"/hooks/{id_in((await client.post('/hooks', data=WANTED)).text)}/remove"
            answer = await client.post(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/hooks")
            text = shown(await client.get("/hooks"))
            assert "The web hook is removed" in text
            assert "No web hooks yet" in text
            await client.post(path)
            assert "there is no hook" in shown(await client.get("/hooks"))

    run(main())


@pytest.mark.parametrize(
    ("field", "said", "what"),
    [
        ("url", {"url": "http://127.0.0.1:9/x"}, "127.0.0.1 is not a public address"),
        ("url", {"url": "http://2130706433/x"}, "2130706433: 127.0.0.1 is not a public address"),
        ("url", {"url": "ftp://hooks.invalid/"}, "http:// or https://"),
        ("url", {"url": ""}, "such as https://ops.example"),
        ("url", {"url": "https://hooks.invalid/" + "x" * 2000}, "such as https://ops.example"),
        ("events", {"events": []}, "choose at least one event"),
        ("events", {"events": ["task.begun"]}, "choose at least one event"),
        ("secret", {"secret": "short"}, "16 to 255 printable"),
        ("secret", {"secret": "ein Geheimnis für uns"}, "16 to 255 printable"),
    ],
    ids=lambda said: said if isinstance(said, str) else "",
)
def test_what_is_refused_is_told_beside_its_field(run, api, field, said, what):
    """And nothing that was typed or chosen is lost."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            form = WANTED | {"secret": "a secret of my own"} | said
            answer = await client.post("/hooks", data=form)
            assert what in shown(answer, 422)
            beside = re.search(rf'<p class="wrong" id="wrong-{field}">([^<]*)</p>', answer.text)[1]
            assert what in beside
            assert re.search(rf'id="{field}"[^>]* aria-describedby="wrong-{field}\b', answer.text)
            assert f'name="url" type="url" value="{form["url"]}"' in answer.text
            assert f'name="secret" value="{form["secret"]}"' in answer.text
            chosen = set(re.findall(r'name="events" value="([^"]+)" checked', answer.text))
            assert chosen == set(form["events"]) - {"task.begun"}
            assert asked.server.hooks.statuses() == []

    run(main())


def test_as_many_as_there_may_be(run, api):
    """One more is refused, and what was typed is still there."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            for _ in range(16):
                assert (await client.post("/hooks", data=WANTED)).status_code == 200
            answer = await client.post("/hooks", data=WANTED)
            assert "there are 16 hooks" in shown(answer, 409)
            assert f'value="{WANTED["url"]}"' in answer.text

    run(main())


def test_dead_letters_are_replayed_by_an_operator(run, api):
    """Who neither adds nor removes hooks; who may only read sees how they stand."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as admin:
            hook = id_in((await admin.post("/hooks", data=WANTED)).text)
            await waiting(asked, hook, 3)
            async with logged_in(asked, Scope.READ) as client:
                page = await client.get("/hooks")
                assert 'class="num">3</td>' in page.text
                assert "/replay" not in page.text
                assert (await client.post(f"/hooks/{hook}/replay")).status_code == 403
            async with logged_in(asked, Scope.OPERATE) as client:
                page = await client.get("/hooks")
                assert "/remove" not in page.text
                assert 'action="/hooks"' not in page.text
                assert f'action="/hooks/{hook}/replay"' in page.text
                await client.post(f"/hooks/{hook}/replay")
                page = await client.get("/hooks")
                assert "3 dead letters are delivered after all" in shown(page)
                assert "/replay" not in page.text
                assert (await client.post(f"/hooks/{hook}/remove")).status_code == 403
                assert (await client.post("/hooks", data=WANTED)).status_code == 403

    run(main())


@pytest.mark.parametrize(
    ("stands", "word"),
    [
        ({}, "Nothing waits"),
        ({"delivered_s": 2.0}, "Delivered"),
        ({"delivered_s": 2.0, "pending": 1}, "Delivering"),
        ({"pending": 1, "failing_since_s": 2.0, "error": "answered 500"}, "Failing"),
        ({"pending": 1, "failing_since_s": 2.0, "error": "x", "overflowed_s": 3.0}, "Overflowing"),
        ({"error": "127.0.0.1 is not a public address"}, "Not permitted"),
    ],
    ids=lambda said: said if isinstance(said, str) else "",
)
def test_how_a_hook_stands_has_a_word(stands, word):
    """The worst of what is so."""
    assert state_of(Hook(**STANDS | stands))[1] == word


def test_every_event_is_explained():
    """In the form that chooses them."""
    assert EVENTS.keys() == set(Announced)
