"""The console in a browser: Debian's Chromium, a real server, simulated devices.

One server for all: it takes longer to begin than to be looked at.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.sync_api import expect

from console_browsing import NEEDS_CHROMIUM, THEMES, Served, looking, picture, served_by
from headgate.fleet.population import Population
from headgate.fleet.runner import Fleet
from headgate.server import Server
from headgate.upgrade.announcements import Announced
from headgate.upgrade.stages import Size
from headgate.upgrade.task import State, Timers
from headgate.wire.coap import Message
from headgate.wire.numbers import CON, POST

DEVICES = 40
HOSTILE = "<script>document.title='x'</script><img src=x onerror=alert(1)>"
TURNED = "urn:dev:\u202egnp.\n<b>"
RECEIVER = "https://ops.headgate.invalid/fleet/meters/told-of-every-task-that-ended?site=north"

pytestmark = NEEDS_CHROMIUM


@asynccontextmanager
async def downloading(server: Server) -> AsyncIterator[tuple[bytes, str]]:
    """Devices that download slowly, in a campaign of stages."""
    package = await server.add_package(os.urandom(40_000), version="V2.0", name="meter firmware")
    await server.hooks.add(url=RECEIVER, events=[Announced.TASK_ENDED, Announced.CAMPAIGN_ENDED])
    devices = Population(devices=DEVICES, cells=3, quirky=0, power_cuts=0, boot_within_s=1).make()
    campaign = await server.create_campaign(
        name="meters, north",
        package=package.pid,
        endpoints=[device.profile.endpoint for device in devices],
        stages=[Size(percent=75.0), Size(count=5)],
    )
    async with Fleet(devices, server=("127.0.0.1", server.port), speed=2):
        yield package.pid, campaign.id


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """They are in cells that hold few of them at a time."""
    bounds = {"limits": {"class_0": 3, "class_1": 2}, "hooks": {"attempts_max": 1, "timeout_s": 1.0}}
    with served_by(tmp_path_factory.mktemp("browser") / "data", downloading, **bounds) as there:
        yield there


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_campaign_is_made_by_the_wizard(served, chromium, scripts):
    """From the button to its page; scripts are not needed."""
    with looking(served, chromium, java_script_enabled=scripts) as page:
        page.get_by_role("link", name="New campaign").click()
        page.get_by_role("radio", name="V2.0").check()
        page.get_by_role("button", name="Continue to devices").click()
        page.get_by_role("radio", name="These devices").check()
        page.get_by_label("Endpoints").fill(f"wizard-1-{scripts}\nwizard-2-{scripts}\n")
        page.get_by_role("button", name="Continue to policy").click()
        page.get_by_label("Name").fill("by hand")
        page.get_by_label("Sizes").fill("half")
        page.get_by_role("button", name="Continue to preview").click()
        expect(page.get_by_role("alert")).to_contain_text("a stage is a count or a percentage")
        picture(page, "wizard-policy")
        page.get_by_label("Sizes").fill("1")
        page.get_by_role("button", name="Continue to preview").click()
        expect(page.get_by_role("heading", name="2 devices would be given version V2.0")).to_be_visible()
        expect(page.get_by_text("1, then 1 devices")).to_be_visible()
        picture(page, "wizard-preview")
        page.get_by_role("button", name="Create the campaign").click()
        expect(page.get_by_role("heading", name="by hand")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("The campaign is made.")


def test_a_campaign_is_paused_and_resumed(served, chromium):
    """By the keyboard; another page that shows it follows, and says so to who listens."""
    campaign = served.begun("pause-1", "pause-2")
    with looking(served, chromium) as page, looking(served, chromium) as other:
        for each in (page, other):
            each.goto(f"{served.url}/campaigns/{campaign}")
            expect(each.locator("#live")).to_have_text("Live")
        page.locator("summary", has_text="Pause…").focus()
        page.keyboard.press("Enter")
        page.get_by_label("Why").fill("night")
        page.keyboard.press("Enter")
        expect(page.locator("#live_state")).to_contain_text("Paused")
        expect(page.locator("#live_state")).to_contain_text("night")
        expect(other.locator("#live_state")).to_contain_text("Paused")
        expect(other.locator("#announce")).to_have_text("Campaign paused")
        page.get_by_role("button", name="Resume").press("Enter")
        expect(other.locator("#live_state")).to_contain_text("Running")


def test_cells_fill_to_their_limits_while_one_looks(served, chromium):
    """The grid and the queue beside it change without being loaded again; the focus stays where it is."""
    with looking(served, chromium) as page:
        page.goto(f"{served.url}/cells")
        page.evaluate("window.loaded = 1")
        grid = page.locator("#live_grid")
        expect(grid.locator(".cell")).to_have_count(3)
        expect(grid.locator(".fulltext").first).to_be_visible()
        expect(grid.locator(".queue", has_text="wait").first).to_be_visible()
        page.locator(".cell a").nth(1).focus()
        name = page.locator(".cell a").nth(1).inner_text()
        before = grid.inner_text()
        tasks = served.ask(lambda: served.server.tasks(served.campaign))
        waiting = next(task.id for task in tasks if task.state is State.WAIT_SLOT)
        served.ask(lambda: served.server.cancel_task(waiting))
        expect(grid).not_to_have_text(before, use_inner_text=True)
        assert page.evaluate("window.loaded") == 1
        expect(page.locator(".cell a", has_text=name)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=f"Cell {name}")).to_be_visible()
        expect(page.locator("#live_slots tbody tr")).to_have_count(4)


def test_the_page_of_a_device_tells_where_it_stands(served, chromium):
    """The sentence, the blocks it was served and how fast, and what happened, as it happens."""
    with looking(served, chromium) as page:
        page.goto(f"{served.url}/campaigns/{served.campaign}?state=downloading")
        page.locator("#live_tasks a.name").first.click()
        expect(page.locator(".sentence")).to_contain_text("until")
        expect(page.locator(".served")).to_contain_text("served")
        served_before = page.locator(".served").inner_text()
        expect(page.locator("#live_why")).not_to_contain_text(served_before, use_inner_text=True)
        expect(page.locator(".timeline tbody tr").first).to_be_visible()
        page.get_by_label("Group").fill("north")
        page.get_by_role("button", name="Save labels").click()
        expect(page.get_by_role("status")).to_contain_text("group north")


def test_a_hostile_name_is_text(served, chromium):
    """One that a device has registered by, and one that a campaign names: every sign of them is seen."""
    options = [
        (11, b"rd"),
        (12, b"\x28"),
        (15, b"ep=" + HOSTILE.encode()),
        (15, b"lt=86400"),
        (15, b"lwm2m=1.1"),
    ]
    register = Message(
        type=CON, code=POST, message_id=7, token=b"t", options=tuple(options), payload=b"</1/0>,</5/0>"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(10)
        device.connect(("127.0.0.1", served.server.port))
        device.send(register.encode())
        assert device.recv(2048)[1] == 0x41  # 2.01 Created
    with looking(served, chromium) as page:
        page.goto(f"{served.url}/devices?endpoint_prefix=%3C")
        link = page.locator("table a.name")
        expect(link).to_have_text(HOSTILE)
        link.click()
        expect(page.locator("h1")).to_have_text(HOSTILE)
        expect(page).to_have_title(re.compile("^<script>"))
        expect(page.locator("#live_timeline")).to_contain_text("registered")
        page.goto(f"{served.url}/campaigns/{served.begun(TURNED)}")
        expect(page.locator("#live_tasks a.name")).to_have_text("urn:dev:\\u202egnp.\\n<b>")
        page.locator("#live_tasks a.name").click()
        expect(page.locator("h1")).to_have_text("urn:dev:\\u202egnp.\\n<b>")


def test_the_keyboard_reaches_everything(served, chromium):
    """The first stop leads past the navigation; the theme is chosen, and kept."""
    with looking(served, chromium, color_scheme="light") as page:
        page.goto(f"{served.url}/settings")
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.get_by_label("Theme").select_option("Dark")
        assert page.evaluate(background) != light
        page.reload()
        assert page.evaluate(background) != light


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_hook_is_added_and_removed(served, chromium, scripts, theme):
    """By the keyboard: what is refused is told where it was typed, the secret is ready to be copied."""
    with looking(served, chromium, java_script_enabled=scripts, color_scheme=theme) as page:
        page.get_by_role("link", name="Web hooks").first.click()
        url = page.get_by_label("URL")
        url.fill("http://127.1:9000/hook")
        page.get_by_role("checkbox", name="task.ended").focus()
        page.keyboard.press("Space")
        page.get_by_label("Secret").fill("a secret of my own")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("127.1: 127.0.0.1 is not a public address")
        expect(url).to_be_focused()
        expect(url).to_have_accessible_description(re.compile("127.0.0.1 is not a public address"))
        expect(page.get_by_role("checkbox", name="task.ended")).to_be_checked()
        expect(page.get_by_label("Secret")).to_have_value("a secret of my own")
        picture(page, f"hooks-refused-{theme}")
        url.fill(f"https://{theme}-{scripts}.hooks.invalid/headgate")
        page.keyboard.press("Enter")
        made = page.get_by_label("Secret shown this once")
        expect(made).to_be_focused()
        expect(made).to_have_value("a secret of my own")
        assert page.url == f"{served.url}/hooks"
        picture(page, f"hooks-made-{theme}")
        page.get_by_role("link", name="I have kept it").press("Enter")
        expect(page.get_by_text("a secret of my own")).to_have_count(0)
        row = page.get_by_role("row", name=re.compile(f"{theme}-{scripts}.hooks"))
        remove = row.locator("summary", has_text="Remove")
        expect(remove).to_have_accessible_name(re.compile("^Remove https://"))
        remove.press("Enter")
        picture(page, f"hooks-remove-{theme}")
        row.get_by_role("button", name="Remove it").press("Enter")
        expect(page.get_by_role("status")).to_have_text("The web hook is removed.")
        expect(row).to_have_count(0)


def test_dead_letters_are_replayed(served, chromium):
    """The list follows what becomes of them while one looks."""
    served.begun("dead-1", "dead-2", "dead-3", "dead-4", "dead-5", timers=Timers(online_s=0.01))
    with looking(served, chromium) as page:
        page.goto(f"{served.url}/hooks")
        row = page.get_by_role("row", name=re.compile("told-of-every-task"))
        replay = row.locator("summary", has_text="Replay")
        expect(replay).to_be_visible()
        expect(row).to_contain_text("Failing")
        replay.press("Enter")
        picture(page, "hooks-replay")
        row.get_by_role("button", name="Deliver them").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("delivered after all")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_token_is_made_and_revoked(served, chromium, scripts):
    """Who has logged in with it is told that he is logged out, and is."""
    with looking(served, chromium, java_script_enabled=scripts) as page:
        page.get_by_role("link", name="Tokens").first.click()
        page.get_by_label("Name").fill(f"desk {scripts}")
        page.get_by_role("radio", name="admin").check()
        page.get_by_role("button", name="Make the token").click()
        made = page.get_by_label("Token shown this once")
        expect(made).to_be_focused()
        secret = made.input_value()
        picture(page, "tokens-made")
        page.get_by_role("link", name="I have kept it").click()
        assert secret not in page.content()
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Token").fill(secret)
        page.get_by_role("button", name="Log in").click()
        page.goto(f"{served.url}/tokens")
        row = page.get_by_role("row", name=f"desk {scripts}")
        expect(row).to_contain_text("this login")
        row.locator("summary", has_text="Revoke").press("Enter")
        expect(row).to_contain_text("you are logged out")
        picture(page, "tokens-revoke")
        row.get_by_role("button", name="Revoke it").press("Enter")
        page.wait_for_url(f"{served.url}/login")
        page.goto(f"{served.url}/tokens")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("theme", THEMES)
def test_pictures(served, chromium, theme):
    """Of every kind of page, kept for people to look at; none is wider than the window."""
    pages = {
        "overview": "/",
        "campaigns": "/campaigns",
        "campaign": f"/campaigns/{served.campaign}",
        "wizard": f"/campaigns/new?package={served.package.hex()}",
        "cells": "/cells",
        "devices": "/devices",
        "device": "/devices/urn%3Adev%3Aheadgate-00000",
        "packages": "/packages",
        "hooks": "/hooks",
        "tokens": "/tokens",
        "settings": "/settings",
        "api": "/docs",
    }
    with looking(served, chromium, color_scheme=theme) as page:
        for name, path in pages.items():
            page.goto(served.url + path)
            picture(page, f"{name}-{theme}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_a_narrow_window_shows_what_is_to_be_confirmed(served, chromium):
    """Tables scroll by themselves, the page does not; what asks is seen as a whole."""
    with looking(served, chromium) as page:
        page.set_viewport_size({"width": 390, "height": 844})
        for name, act in (("hooks", "Remove it"), ("tokens", "Revoke it")):
            page.goto(f"{served.url}/{name}")
            page.locator("summary.danger").first.press("Enter")
            button = page.get_by_role("button", name=act).first
            expect(button).to_be_in_viewport(ratio=1)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            picture(page, f"{name}-narrow")
