"""A campaign is edited by a form: what is not touched is not sent, and nothing that was typed is lost."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx
import pytest

from headgate.upgrade.campaign import Campaign, Confirm, Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.stages import Gate
from headgate.upgrade.task import Kind, Plan
from headgate.upgrade.windows import Window, Windows
from headgate.web.access import Scope
from headgate.web.console.draft import DAYS
from headgate.web.console.entries import changes_of, fields_of, merged, rules
from headgate.web.console.pages import Form
from web_asking import Asked, add
from web_browsing import logged_in, shown

PLAN = Plan(kind=Kind.FIRMWARE, target_version="V2", pid=bytes(8))
LATER_S = 4_102_444_800.0  # 2100-01-01
ALIKE = RetryPolicy(by_failure={cause: Retry(count=2, interval_s=100) for cause in Failure})
TWO = {Failure.MEMORY: Retry(count=1), Failure.STORAGE: Retry(count=3, interval_s=0.25)}


def inputs(answer: httpx.Response) -> dict[str, Any]:
    """What a browser would send of the form that edits, nothing touched."""
    form = re.search(r'<form method="post" action="[^"]+/edit".*?</form>', answer.text, re.S)[0]
    said: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        found = {name: unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
        if found.get("type") != "checkbox" or tag.endswith(" checked>"):
            said.setdefault(found["name"], []).append(found.get("value", ""))
    chosen = re.search(r'<option value="(\w+)" selected>', form)
    return said | ({"confirm": chosen[1]} if chosen else {})


async def begun(asked: Asked, **wanted: Any) -> str:
    """A campaign whose devices never come; the path of its page."""
    async with asked.client() as admin:
        pid = (await add(admin))["pid"]
        wanted = {"name": "north", "package": pid, "targets": {"endpoints": ["a", "b"]}} | wanted
        answer = await admin.post("/campaigns", json=wanted)
        assert answer.status_code == 201, answer.text
        campaign = answer.json()["id"]
    await asked.server._watched.until(campaign, lambda row: row["state"] != "creating")
    return f"/campaigns/{campaign}"


async def told(asked: Asked, page: str) -> dict[str, Any]:
    """The campaign, as the API tells it."""
    async with asked.client() as admin:
        return (await admin.get(page)).json()


def test_every_field_is_edited(run, api):
    """By the rules of PATCH; the event log names what was touched, and nothing else."""

    async def main() -> None:
        async with api() as asked, logged_in(asked, Scope.OPERATE) as client:
            page = await begun(asked, start_s=LATER_S, stages=[{"count": 1}])
            assert f'href="{page}/edit"' in (await client.get(page)).text
            form = inputs(await client.get(f"{page}/edit"))
            form |= {"name": "south", "confirm": "stages", "gate_success": "97.5", "gate_errors": "7"}
            form |= {"start": "2100-01-02T03:04", "timezone": "Europe/Berlin"}
            form |= {"window_begin_1": "22:00", "window_end_1": "06:00", "window_days_1": ["mon", "sun"]}
            form |= {"retry_count": "1", "retry_minutes": "1.5", "retry_count_memory": "0"}
            answer = await client.post(f"{page}/edit", data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, page)
            assert "The campaign is changed: its name, what is confirmed," in shown(await client.get(page))
            campaign = await told(asked, page)
            assert (campaign["name"], campaign["confirm"]) == ("south", "stages")
            assert campaign["gate"] == {"success": 0.975, "error_threshold": 0.07, "minimum_executed": 20}
            assert campaign["start_s"] == LATER_S + 86400 + 2 * 3600 + 4 * 60
            assert campaign["windows"] == [{"days": ["mon", "sun"], "begin": "22:00", "end": "06:00"}]
            assert campaign["timezone"] == "Europe/Berlin"
            assert len(campaign["retry"]) == len(Failure) - 1
            assert campaign["retry"][0]["interval_s"] == 90
            form = inputs(await client.get(f"{page}/edit"))
            await client.post(f"{page}/edit", data=form)
            assert "Nothing was changed" in shown(await client.get(page))
            await client.post(f"{page}/edit", data=form | {"name": "", "start": ""})
            after = await told(asked, page)
            assert after == campaign | {
                "name": "",
                "start_s": None,
                "state": "waiting",
                "revision": campaign["revision"] + 1,
                "reason": after["reason"],
            }
            async with asked.client() as admin:
                course = (await admin.get(f"{page}/report")).json()["course"]
            edits = [each["detail"] for each in course if each["what"] == "campaign edited"]
            assert edits[-1] == "name, start_s by operate"

    run(main())


def test_who_was_faster_is_not_overwritten(run, api):
    """412 as of the API: entries are kept beside what is there now, what was not touched is as it is now."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            page = await begun(asked)
            form = inputs(await client.get(f"{page}/edit")) | {"name": "<mine>", "gate_success": "50"}
            edit = {"name": "theirs", "retry": [{"failure": Failure.MEMORY.value, "count": 7}]}
            assert (await admin.patch(page, json=edit, headers={"If-Match": "*"})).status_code == 200
            answer = await client.post(f"{page}/edit", data=form)
            text = shown(answer, 412)
            assert "Somebody was faster, and nothing was saved" in text
            assert "somebody changed its name, its retries" in text
            assert "There now: theirs" in text
            assert "There now: every stage passes" in text
            assert text.count("There now") == 2
            assert "<title>Not saved: " in answer.text
            assert (await told(asked, page))["name"] == "theirs"
            again = inputs(answer)
            assert (again["name"], again["gate_success"]) == (["<mine>"], ["50"])
            assert again["retry_count_memory"] == ["7"]
            assert (await client.post(f"{page}/edit", data=again)).status_code == 303
            campaign = await told(asked, page)
            assert (campaign["name"], campaign["gate"]["success"]) == ("<mine>", 0.5)
            assert campaign["retry"] == [{"failure": Failure.MEMORY.value, "count": 7, "interval_s": 0}]

    run(main())


def test_a_form_from_before_a_pause_says_so(run, api):
    """No field is otherwise, and still: who saves is told where the campaign stands."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            page = await begun(asked)
            form = inputs(await client.get(f"{page}/edit")) | {"name": "south"}
            await admin.post(f"{page}/pause", json={"reason": "night"})
            text = shown(await client.post(f"{page}/edit", data=form), 412)
            assert "the campaign was paused, resumed, confirmed or saved" in text
            assert "It is paused" in text
            assert "night" in text

    run(main())


@pytest.mark.parametrize(
    ("said", "field", "what"),
    [
        ({"name": "x" * 256}, "name", "at most 255"),
        ({"gate_success": "half"}, "gate_success", "from 0 to 100"),
        ({"gate_executed": "2.5"}, "gate_executed", "whole number"),
        ({"confirm": "never"}, "confirm", "'none', 'start' or 'stages'"),
        ({"retry_count_memory": "101"}, "retry_count_memory", "from 0 to 100"),
        ({"retry_minutes": "-1"}, "retry_minutes", "from 0 to"),
        ({"timezone": "Mars"}, "timezone", "no time zone “Mars”"),
        ({"start": "2020-01-01T00:00"}, "start", "is past"),
        ({"start": "1960-01-01T00:00"}, "start", "greater than or equal to 0"),
        ({"window_begin_0": "22:00"}, "window_end_0", "time of day"),
        ({"window_begin_1": "22:00", "window_end_1": "22:00"}, "window_end_1", "another time"),
    ],
)
def test_a_mistake_stands_beside_its_field(run, api, said, field, what):
    """The field points to it, all else that was typed is there; nothing is saved."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            page = await begun(asked, start_s=LATER_S)
            form = inputs(await client.get(f"{page}/edit")) | {"gate_errors": "3"} | said
            answer = await client.post(f"{page}/edit", data=form)
            assert what in shown(answer, 422)
            wrong = re.search(rf'<p class="wrong" id="wrong-{field}">(.*?)</p>', answer.text)
            assert what in unescape(wrong[1])
            tag = re.search(rf'<(?:input|select)[^>]* id="{field}"[^>]*>', answer.text)[0]
            assert f'aria-invalid="true" aria-describedby="wrong-{field}"' in tag
            assert f'<a href="#{field}">' in answer.text
            again = inputs(answer)
            kept = {name: value for name, value in said.items() if name != "confirm"}
            assert {name: again[name][-1] for name in kept} == kept
            assert again["gate_errors"] == ["3"]
            assert (await told(asked, page))["revision"] == 1

    run(main())


def test_several_mistakes_are_told_at_once(run, api):
    """One of each part."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            page = await begun(asked)
            form = inputs(await client.get(f"{page}/edit"))
            form |= {"gate_success": "x", "retry_count": "y", "timezone": "z"}
            answer = await client.post(f"{page}/edit", data=form)
            assert answer.status_code == 422
            assert answer.text.count('class="wrong"') == 3

    run(main())


def test_the_start_of_what_has_begun_is_no_field(run, api):
    """Who typed one before it began is told, and what he typed is shown; without it, the rest is saved."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            page = await begun(asked, confirm="start")
            form = inputs(await client.get(f"{page}/edit")) | {"start": "2100-01-01T00:00", "name": "south"}
            await admin.post(f"{page}/confirm")
            answer = await client.post(f"{page}/edit", data=form)
            text = shown(answer, 422)
            assert "it has begun meanwhile" in text
            assert "Somebody was faster" in text
            assert "You typed 2100-01-01T00:00; saved again, that is left out" in text
            again = inputs(answer)
            assert "start" not in again
            await client.post(f"{page}/edit", data=again)
            campaign = await told(asked, page)
            assert (campaign["name"], campaign["start_s"]) == ("south", None)

    run(main())


def test_a_campaign_that_is_through_is_not_edited(run, api):
    """Its page has no link, the form is refused; one that was open keeps its entries."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            page = await begun(asked)
            form = inputs(await client.get(f"{page}/edit")) | {"name": "too late"}
            await admin.post(f"{page}/stop")
            await asked.server.ended(page.rpartition("/")[2])
            answer = await client.post(f"{page}/edit", data=form)
            assert "is through" in shown(answer, 409)
            assert inputs(answer)["name"] == ["too late"]
            assert "Save the changes" not in answer.text
            assert "nothing of it can be changed" in shown(await client.get(f"{page}/edit"), 409)
            assert "/edit" not in (await client.get(page)).text
            assert (await client.get("/campaigns/none/edit")).status_code == 404
            assert (await client.post("/campaigns/none/edit")).status_code == 303

    run(main())


@pytest.mark.parametrize("revision", ["", "x", "²", "9" * 5000], ids=lambda said: said[:6])
def test_a_form_of_no_revision_is_stale(run, api, revision):
    """Whatever a form says that is none of ours, nothing is saved by it."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client:
            page = await begun(asked)
            form = {"revision": revision, "was": "&&=%00", "name": "x", "window_begin_²": "1"}
            assert (await client.post(f"{page}/edit", data=form)).status_code in (412, 422)
            assert (await told(asked, page))["name"] == "north"

    run(main())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": " blank \n", "confirm": Confirm.START},
        {"start_s": LATER_S + 0.5, "windows": Windows(timezone="Asia/Kathmandu")},
        {"start_s": 100.0, "stage": 1},
        {"gate": Gate(success=0.07, error_threshold=1 / 3, minimum_executed=1)},
        {"retry": ALIKE},
        {"retry": RetryPolicy(by_failure=TWO)},
        {"retry": RetryPolicy(by_failure={**ALIKE.by_failure, **TWO})},
        {
            "windows": Windows(
                each=tuple(Window(begin="01:00", end="02:00", days=frozenset(DAYS)) for _ in "xyz")
            )
        },
    ],
    ids=lambda changes: "-".join(changes) or "plain",
)
def test_what_is_there_goes_through_the_form_and_back(changes):
    """What is not touched is not said; where all is said, it is what is there."""
    campaign = Campaign(id="c", name="n", plan=PLAN, created_s=1.0).evolved(**changes)
    form = fields_of(campaign)
    was = Form.of((name, value) for name, values in form.items() for value in values)
    assert changes_of(form, was, begun=campaign.stage > 0) == ({}, [])
    assert merged(form, was, form) == {name: [each.strip() for each in form[name]] for name in form}
    said = {each["failure"]: (each["count"], each["interval_s"]) for each in rules(form)}
    assert said == {
        cause.value: (rule.count, rule.interval_s) for cause, rule in campaign.retry.by_failure.items()
    }
