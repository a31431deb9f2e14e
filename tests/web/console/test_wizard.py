"""A campaign is made step by step, without a script: every step is a form that carries what was said."""

from __future__ import annotations

import re

import pytest

from headgate.upgrade.failure import Failure
from headgate.web.console.draft import drafted
from headgate.web.console.pages import Form
from web_asking import add
from web_browsing import fields, logged_in, registered, shown

NEW = "/campaigns/new"


def test_from_the_package_to_the_campaign(run, api):
    """The preview says how many devices, and which; nothing is made before the last step, and then once."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            await registered(asked, "urn:a:1", "urn:a:2", "urn:b:1")
            pid = (await add(admin, name="meter firmware"))["pid"]
            page = await client.get(NEW)
            assert "meter firmware" in shown(page)
            page = await client.post(NEW, data=fields(page) | {"package": pid, "step": "targets"})
            said = {"targets": "filter", "endpoint_prefix": "urn:a:", "product": ""}
            page = await client.post(NEW, data=fields(page) | said | {"step": "policy"})
            said = {"name": "all of a", "retry_count": "2", "retry_minutes": "1.5", "timer_online_s": "60"}
            page = await client.post(NEW, data=fields(page) | said | {"step": "preview"})
            text = shown(page)
            assert "2 devices would be given version V2" in text
            assert "half of the devices after" in text  # as the forecast says
            assert "What the forecast rests on" in text
            assert re.findall(r'href="/devices/(urn[^"]+)"', page.text) == ["urn%3Aa%3A1", "urn%3Aa%3A2"]
            assert (await admin.get("/campaigns")).json()["items"] == []
            carried = fields(page) | {"step": "create"}
            made = await client.post(NEW, data=carried)
            again = await client.post(NEW, data=carried)
            assert made.headers["location"] == again.headers["location"]
            (campaign,) = (await admin.get("/campaigns")).json()["items"]
            assert made.headers["location"] == f"/campaigns/{campaign['id']}"
            assert campaign["name"] == "all of a"
            assert campaign["timers"]["online_s"] == 60
            assert len(campaign["retry"]) == len(Failure)
            assert campaign["retry"][0]["interval_s"] == 90

    run(main())


def test_what_was_said_is_kept_on_the_way_back(run, api):
    """Line feeds and signs as they were; a step with a mistake is shown again, and says which field."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            said = {"package": pid, "targets": "list", "endpoints": "\nb<c>\r\na&amp;\r\n\r\n"}
            page = await client.post(NEW, data=said | {"step": "preview", "retry_count": "many"})
            assert page.status_code == 422
            assert re.search(r'<input id="retry_count"[^>]*value="many"[^>]*aria-invalid="true"', page.text)
            page = await client.post(NEW, data=fields(page) | {"step": "preview", "window_begin_0": "22:00"})
            assert '<p class="wrong" id="wrong-window_end_0">takes a time of day' in page.text
            page = await client.post(NEW, data=fields(page) | {"step": "preview", "retry_count": ""})
            assert "2 devices" in shown(page)
            page = await client.post(NEW, data=fields(page) | {"step": "targets"})
            shown_again = re.search(r'<textarea id="endpoints".*?>\n(.*?)</textarea>', page.text, re.S)[1]
            assert shown_again == "\nb&lt;c&gt;\na&amp;amp;\n\n"
            assert re.search(r'value="list"[^>]* checked', page.text)

    run(main())


def test_mistakes_that_the_api_finds_are_told_at_their_step(run, api):
    """A package that is gone, devices that are none, a device twice."""

    async def main() -> None:
        async with api() as asked, logged_in(asked) as client, asked.client() as admin:
            pid = (await add(admin))["pid"]
            for said, step, told in [
                (
                    {"package": "0" * 16, "targets": "list", "endpoints": "a"},
                    "package",
                    "there is no package",
                ),
                ({"package": pid, "targets": "list", "endpoints": "a\na"}, "targets", "twice"),
                ({"package": pid, "targets": "list", "endpoints": "a" * 256}, "targets", "at most 255"),
                ({"package": pid, "targets": "failed", "failed_campaign": "x"}, "targets", "no campaign"),
            ]:
                page = await client.post(NEW, data=said | {"step": "create"})
                assert told in shown(page, 422)
                assert f'<fieldset id="{step}">' in page.text, told
            said = {"package": pid, "targets": "filter", "product": "none"}
            page = await client.post(NEW, data=said | {"step": "preview"})
            assert "No device is so" in shown(page)
            assert 'value="create"' not in page.text
            assert (await admin.get("/campaigns")).json()["items"] == []

    run(main())


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"stages": "1 %, 500 25%"}, {"stages": [{"percent": 1.0}, {"count": 500}, {"percent": 25.0}]}),
        ({"gate_success": "95", "gate_executed": "20"}, {"gate": {"success": 0.95, "minimum_executed": 20}}),
        ({"confirm": "none"}, {}),
        ({"confirm": "stages"}, {"confirm": "stages"}),
        ({"start": "2026-01-31T22:00", "timezone": "Europe/Berlin"}, {"start_s": 1769893200.0}),
        ({"start": "2026-01-31 22:00"}, {"start_s": 1769896800.0}),
        (
            {"window_begin_0": "22:00", "window_end_0": "06:00", "window_days_0": ["mon", "tue"]},
            {"windows": [{"days": ["mon", "tue"], "begin": "22:00", "end": "06:00"}]},
        ),
        ({"retry_count": "0"}, {"retry": []}),
        ({"skip_same_package": "1"}, {"skip_same_package": True}),
        ({"timer_no_progress_s": "1,200"}, {"timers": {"no_progress_s": 1200.0}}),
    ],
)
def test_a_policy_is_what_the_api_takes(said, wanted):
    """What is left empty is left out: it is as the server is configured."""
    form = Form({name: value if isinstance(value, list) else [value] for name, value in said.items()})
    form |= {"package": ["0" * 16], "targets": ["all"]}
    found, step, mistakes = drafted(form, "preview")
    assert (step, mistakes) == ("preview", [])
    assert wanted.items() <= found.items()
    assert found.keys() - {"name", "package", "targets", "timezone"} == wanted.keys()


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"stages": "some"}, "stages"),
        ({"stages": "0%"}, "stages"),
        ({"stages": "1.5"}, "stages"),
        ({"gate_success": "101"}, "gate_success"),
        ({"stages": "9" * 5000}, "stages"),
        ({"gate_errors": "nan"}, "gate_errors"),
        ({"gate_executed": "inf"}, "gate_executed"),
        ({"gate_executed": "1.5"}, "gate_executed"),
        ({"timer_online_s": "1e999"}, "timer_online_s"),
        ({"retry_count": "1.5"}, "retry_count"),
        ({"timer_online_s": "-1"}, "timer_online_s"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"start": "tomorrow"}, "start"),
        ({"window_begin_0": "22:00"}, "window_end_0"),
        ({"window_begin_1": "25:00", "window_end_1": "06:00"}, "window_begin_1"),
        ({"window_days_0": "mon"}, "window_begin_0"),
        ({"window_begin_0": "22:00", "window_end_0": "22:00"}, "window_end_0"),
    ],
)
def test_a_mistake_names_its_field(said, field):
    """And the step is shown again."""
    form = Form({name: [value] for name, value in said.items()})
    form |= {"package": ["0" * 16], "targets": ["all"]}
    _, step, mistakes = drafted(form, "preview")
    assert step == "policy"
    assert [each.field for each in mistakes] == [field]
