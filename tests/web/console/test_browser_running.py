"""What is done with a campaign that runs, in a browser; its devices never come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from console_browsing import NEEDS_CHROMIUM, THEMES, Served, looking, picture, served_by
from headgate.server import Server
from headgate.upgrade.campaign import Retry, RetryPolicy
from headgate.upgrade.failure import Failure
from headgate.upgrade.windows import Window, Windows
from web_asking import vendor_archive

pytestmark = NEEDS_CHROMIUM

HOURS = Windows(
    each=(Window(begin="22:00", end="06:00", days=frozenset({"mon", "fri"})),), timezone="Europe/Berlin"
)
TELEPHONE = 390  # CSS pixels across
RETRY = RetryPolicy(by_failure={Failure.MEMORY: Retry(count=2, interval_s=600)})


@asynccontextmanager
async def nobody(server: Server) -> AsyncIterator[tuple[bytes, str]]:
    """A package, and nobody who wants it."""
    yield (await server.add_package(b"new" * 1000, version="V2.0")).pid, ""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a package."""
    with served_by(tmp_path_factory.mktemp("running") / "data", nobody) as there:
        yield there


def fits(page: Page, *widths: int) -> bool:
    """Whether the page is not wider than the window, nor than windows of these widths."""
    wide = page.viewport_size
    assert wide is not None
    fit = True
    for width in (*widths, wide["width"]):
        page.set_viewport_size({"width": width, "height": wide["height"]})
        fit &= page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return fit


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_campaign_is_edited(served, chromium, scripts, theme):
    """By the keyboard: a mistake stands beside its field, a stale form keeps what was typed."""
    campaign = served.begun(f"edit-{scripts}-{theme}", windows=HOURS, retry=RETRY)
    with looking(served, chromium, java_script_enabled=scripts, color_scheme=theme) as page:
        page.goto(f"{served.url}/campaigns/{campaign}")
        page.get_by_role("link", name="Edit", exact=True).press("Enter")
        expect(page.get_by_role("heading", name="Edit trial")).to_be_visible()
        picture(page, f"edit-{theme}")
        assert fits(page, TELEPHONE)
        page.get_by_label("Name").fill("by hand")
        page.get_by_label("It pauses if more failed than").fill("lots")
        page.get_by_role("group", name="Maintenance window 2").get_by_label("from").fill("12:00")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Stages: takes a number from 0 to 100").press("Enter")
        wrong = page.get_by_label("It pauses if more failed than")
        expect(wrong).to_have_accessible_description("takes a number from 0 to 100, not “lots”")
        expect(page.get_by_label("Name")).to_have_value("by hand")
        second = page.get_by_role("group", name="Maintenance window 2")
        expect(second.get_by_label("from")).to_have_value("12:00")
        expect(second.get_by_text("takes a time of day")).to_be_visible()
        picture(page, f"edit-wrong-{theme}")
        assert fits(page, TELEPHONE)
        wrong.fill("5")
        second.get_by_label("to", exact=True).fill("13:30")
        edit = served.server.edit_campaign(campaign, {"name": "by another", "retry": RetryPolicy()})
        served.ask(lambda: edit)
        page.get_by_role("button", name="Save the changes").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Somebody was faster, and nothing was saved")
        group = page.get_by_role("group", name="Name")
        expect(group).to_have_accessible_description("There now: by another")
        expect(page.get_by_label("Name")).to_have_value("by hand")
        picture(page, f"edit-stale-{theme}")
        assert fits(page, TELEPHONE)
        page.get_by_role("button", name="Save the changes").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("The campaign is changed: its name")
        expect(page.get_by_role("heading", name="by hand")).to_be_visible()
        expect(page.locator("#live_about")).to_contain_text(
            "mon fri 22:00 to 06:00; every day 12:00 to 13:30"
        )
        expect(page.locator("#live_about")).to_contain_text("Retriesnone")


@pytest.mark.parametrize("theme", THEMES)
def test_a_task_is_cancelled(served, chromium, theme):
    """From the list of its campaign, and from the page of its device; it is asked first."""
    names = [f"cancel-{number}-{theme}" for number in range(3)]
    campaign = served.begun(*names)
    with looking(served, chromium, color_scheme=theme) as page:
        page.goto(f"{served.url}/campaigns/{campaign}?state=wait_online")
        row = page.get_by_role("row", name=names[0])
        row.locator("summary").focus()
        expect(row.locator("summary")).to_have_accessible_name(f"Cancel… the task of {names[0]}")
        page.keyboard.press("Enter")
        expect(row.get_by_text(f"The upgrade of {names[0]} ends where it is")).to_be_visible()
        picture(page, f"cancel-{theme}")
        assert fits(page, TELEPHONE)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text(f"Task {campaign}-0000000 is cancelled.")
        expect(page.get_by_role("row", name=names[0])).to_have_count(0)
        expect(page).to_have_url(f"{served.url}/campaigns/{campaign}?state=wait_online")
        page.get_by_role("link", name=names[1]).click()
        page.locator("summary", has_text="Cancel…").press("Enter")
        picture(page, f"cancel-device-{theme}")
        assert fits(page, TELEPHONE)
        page.get_by_role("button", name="Cancel the task").press("Enter")
        expect(page.get_by_role("status")).to_have_text(f"Task {campaign}-0000001 is cancelled.")
        expect(page.locator("summary", has_text="Cancel…")).to_have_count(0)


@pytest.mark.parametrize("theme", THEMES)
def test_a_report_is_read(served, chromium, theme):
    """With its style, which its own policy permits, and with nothing that it forbids."""
    campaign = served.begun(f"report-{theme}")
    with looking(served, chromium, color_scheme=theme) as page:
        page.goto(f"{served.url}/campaigns/{campaign}")
        page.get_by_role("link", name="Report", exact=True).press("Enter")
        expect(page.locator(".lead")).to_contain_text("0 of 1 devices run the new version")
        assert page.evaluate("getComputedStyle(document.body).marginTop") == "0px"
        picture(page, f"report-{theme}")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_an_archive_is_added(served, chromium, scripts, theme, tmp_path: Path):
    """The switch shows the form of archives, and what they say themselves; back, what was typed is there."""
    file = tmp_path / "app.zip"
    file.write_bytes(vendor_archive())
    with looking(served, chromium, java_script_enabled=scripts, color_scheme=theme) as page:
        page.goto(f"{served.url}/packages")
        page.get_by_label("Version as devices report it").fill("V9")
        switch = page.get_by_role("checkbox", name="This is a vendor’s archive")
        picture(page, f"packages-file-{theme}")
        switch.press("Space")
        expect(page.get_by_label("Version as devices report it")).to_be_hidden()
        expect(page.get_by_text("so they are not asked for here")).to_be_visible()
        picture(page, f"packages-archive-{theme}")
        assert fits(page)
        switch.press("Space")
        expect(page.get_by_label("Version as devices report it")).to_have_value("V9")
        switch.press("Space")
        page.get_by_label("Archive up to").set_input_files(file)
        page.get_by_role("button", name="Add the archive").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("of version V2")
