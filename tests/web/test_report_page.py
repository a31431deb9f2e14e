"""The page of a report: one file that loads nothing, hostile names being text, and drawings having words."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from headgate.store.database import Database
from headgate.upgrade.admission import Limits, Scope
from headgate.upgrade.campaign import campaign_row
from headgate.upgrade.task import State
from headgate.web.campaigning import CampaignStatus, campaign
from headgate.web.reporting.page import page
from headgate.web.routes.reports import counted, told
from headgate.web.staging import gate_said, stages_status
from report_rows import CAMPAIGN, COUNTERS, T, small_campaign

VOID = {"meta", "link", "br", "img", "rect", "line", "polygon", "input", "hr"}


class Read(HTMLParser):
    """A page, as a browser reads it. Every element must be closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """It is the last that was opened."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Outside style sheets."""
        if not {"style"} & set(self.open):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all such elements."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """With the small campaign."""
    opened = Database.open(f"sqlite:///{tmp_path}/headgate.db")
    opened.commit(small_campaign())
    yield opened
    opened.close()


def reported(database: Database, limits: Limits) -> dict[str, Any]:
    """The report of the small campaign, as the API tells it."""
    status = CampaignStatus(
        **campaign(campaign_row(CAMPAIGN)),
        devices=5,
        tasks=6,
        retried=1,
        states={State.SUCCESS: 3, State.FAILED: 2, State.CANCELLED: 1},
        failures={},
        stage=2,
        stages=stages_status(CAMPAIGN, COUNTERS),
        reason=None,
        confirm=CAMPAIGN.confirm,
        start_s=None,
        windows=[],
        timezone="UTC",
        gate=gate_said(CAMPAIGN.gate),
        revision=1,
    )
    return told(status, counted(database, CAMPAIGN, T + 1000), limits, T + 1000).model_dump(mode="json")


def test_it_loads_nothing_and_runs_nothing(database):
    """No script, no link, no image, nothing that is named by a URL; and a policy that says so."""
    text = page(reported(database, Limits()))
    read = Read(text)
    assert {name for name, _ in read.elements}.isdisjoint({"script", "link", "img", "iframe", "a", "form"})
    for _, attributes in read.elements:
        assert not {"src", "href", "xlink:href", "style"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    assert [each for each in ("url(", "@import", "http:", "https:") if each in text] == []
    policy = next(each for each in read.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_a_hostile_name_is_text(database):
    """What turns the direction of writing is to be seen, as its escape."""
    text = page(reported(database, Limits()))
    assert "<script" not in text
    assert "\u202e" not in text
    assert "<script>alert('x')</script>\\u202e" in Read(text).text


def test_every_drawing_has_a_name_and_its_figures_a_table(database):
    """What is only drawn is not there for who cannot see it."""
    read = Read(page(reported(database, Limits())))
    titles = {each["id"] for each in read.all("title") if "id" in each}
    drawings = [each for each in read.all("svg") if each.get("aria-hidden") != "true"]
    assert len(drawings) == 1 + 3 + 2 + 2 + 2  # the bar, progress, strips, classes, causes
    for each in drawings:
        assert each["role"] == "img"
        assert each.get("aria-label") or each["aria-labelledby"] in titles
    assert len(read.all("details")) == 3 + 1 + 1 + 1
    assert len(read.all("table")) == len(read.all("caption")) == 3 + 1 + 2 + 1 + 2
    ids = [each["id"] for _, each in read.elements if "id" in each]
    assert len(ids) == len(set(ids))


def test_it_says_the_numbers(database):
    """In words too: how it ended, when a stage was through, what a cell held, why attempts failed."""
    said = " ".join(Read(page(reported(database, Limits()))).text.split())
    assert "3 of 5 devices run the new version; 1 failed, 1 cancelled." in said
    assert "2 succeeded, 0 failed; half were through after 15 s, all after 50 s." in said
    assert "Class 0, limit 50 most 2, mean 0.4" in said
    assert "Half took up to 18 s" in said
    assert "1 attempt, 0 devices left" in said
    assert "coap.authority" in said
    assert "gone" not in said
    assert "share its slots" not in said


def test_it_says_where_it_is_partial(database):
    """Lines of the event log that are gone; a scope in which a class alone does not fill a cell."""
    database.forget_events(before_s=T + 18, keep=1000, limit=1000)
    said = " ".join(Read(page(reported(database, Limits(scope=Scope.CELL)))).text.split())
    assert "those from before 2023-11-14 22:13:40 UTC are gone" in said
    assert "the classes of a cell share its slots" in said


def test_what_only_a_newer_server_knows_is_shown_as_it_came(database):
    """A state, a class and a cause: `headgate campaign report` draws what any server tells."""
    report = reported(database, Limits())
    report["campaign"]["state"] = "melting"
    report["finish"]["classes"][0]["radio_class"] = "3"
    report["causes"][0]["failure"] = "Melted"
    said = " ".join(Read(page(report)).text.split())
    for word in ("Melting", "Class 3", "Melted"):
        assert word in said


def test_a_campaign_of_which_nothing_has_happened_has_a_page(tmp_path):
    """Nobody waited, nobody is through, nothing failed: it says so."""
    opened = Database.open(f"sqlite:///{tmp_path}/headgate.db")
    said = " ".join(Read(page(reported(opened, Limits()))).text.split())
    opened.close()
    for sentence in (
        "No device of this campaign has waited for a slot.",
        "No device has been upgraded.",
        "No attempt has failed.",
        "The event log holds no line of it any more.",
    ):
        assert sentence in said
