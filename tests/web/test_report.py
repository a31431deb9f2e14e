"""The report of a campaign: its main numbers against counting by hand, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event

from headgate.store.database import Database
from headgate.upgrade.advice import ADVICE
from headgate.upgrade.campaign import CampaignState
from headgate.upgrade.failure import Failure
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.stages import Stage
from headgate.web.reporting import counting, slots
from headgate.web.routes.reports import Counted, counted, written
from report_rows import CAMPAIGN, HOSTILE, T, small_campaign
from web_asking import problem

CELL = "460-00-B2F60B1"


@pytest.fixture
def database(new_url: Callable[[], str]) -> Iterator[Database]:
    """An open database with a small campaign."""
    opened = Database.open(new_url())
    opened.commit(small_campaign())
    yield opened
    opened.close()


def at(found: Counted, series: list[int]) -> Callable[[float], int]:
    """What a series says of a moment of the campaign."""
    return lambda second: series[found.axis.place(T + second)]


@pytest.mark.parametrize(
    "how",
    [{}, {(counting, "SLICE"): 1}, {(slots, "SOUGHT_MAX"): 0}],
    ids=["as it is", "device by device", "all of the log"],
)
def test_the_numbers_are_those_of_counting_by_hand(database, how, monkeypatch):
    """Stages by the last attempt of each device, slots by the lines of the log, times and causes by tasks.

    However much of it the database looks at in one go, and however it comes to the lines.
    """
    for place, value in how.items():
        monkeypatch.setattr(*place, value)
    found = counted(database, CAMPAIGN, T + 1000)
    assert found.axis == (T, 0.5, 200)

    first, second = (found.progress[number] for number in (1, 2))
    assert [at(found, first.ended)(second) for second in (14, 15, 20, 29, 30, 49, 50, 99)] == [
        *(0, 1, 2, 2, 1, 1, 2, 2)
    ]
    assert [at(found, first.failed)(second) for second in (19, 20, 29, 30, 99)] == [0, 1, 1, 0, 0]
    assert (first.succeeded[-1], first.ended[-1]) == (2, 2)
    assert (second.ended[-1], second.succeeded[-1], second.failed[-1]) == (3, 1, 1)
    assert at(found, second.ended)(79) == 0

    assert [(str(each.cell), each.tasks) for each in found.occupied.cells] == [(CELL, 5), ("7", 1)]
    assert (found.occupied.all_cells, found.occupied.since_s) == (2, None)
    assert set(found.occupied.held) == {(CELL, RadioClass.CLASS_0), (CELL, RadioClass.CLASS_2)}
    strong, weak = (found.occupied.held[CELL, RadioClass(name)] for name in "02")
    held = at(found, strong.most)
    assert [held(second) for second in (4, 5, 6, 14, 16, 19, 21, 33, 40.5, 42, 51, 57, 61)] == [
        *(0, 1, 2, 2, 1, 1, 0, 1, 0, 1, 0, 1, 0)
    ]
    assert (strong.given, strong.held_s) == (5, 10 + 14 + 7 + 9 + 4)
    assert (max(weak.most), weak.given, weak.held_s) == (1, 2, 20 + 10)

    assert {name: each.devices for name, each in found.finishing.items()} == {"0": 2, "2": 1}
    strong_times = found.finishing[RadioClass.CLASS_0]
    assert (strong_times.quantiles["p10"], strong_times.quantiles["most"]) == (10.0, 18.0)
    assert found.finishing[RadioClass.CLASS_2].quantiles["p50"] == 25.0
    assert [(each.failure, each.attempts, each.devices) for each in found.causes] == [
        (Failure.CONNECTION_LOST, 1, 0),
        (Failure.INVALID_URI, 1, 1),
    ]
    assert [(each.number, each.tasks, each.succeeded, each.failed) for each in found.attempts] == [
        (1, 5, 2, 2),
        (2, 1, 1, 0),
    ]


def test_a_campaign_without_stages_has_one(database):
    """Of all devices; while it goes on, its time ends now."""
    whole = CAMPAIGN.evolved(stages=(Stage(devices=5),), ended_s=None, state=CampaignState.RUNNING)
    found = counted(database, whole, T + 190)
    assert found.axis == (T, 1.0, 190)
    assert {number: each.ended[-1] for number, each in found.progress.items()} == {1: 5}
    assert at(found, found.progress[1].succeeded)(80) == 3


def test_time_begins_when_the_campaign_does(database):
    """One that was made long before its start does not show the days in between."""
    later = CAMPAIGN.evolved(start_s=T + 50)
    found = counted(database, later, T + 1000)
    assert (found.axis.begin_s, found.axis.bin_s * found.axis.bins) == (T + 50, 50)
    assert found.progress[1].ended[0] == 2  # what was before counts from the beginning


@pytest.mark.parametrize("new_url", ["sqlite"], indirect=True)  # PostgreSQL plans by how much there is
@pytest.mark.parametrize("sought_max", [0, 20_000])
def test_lines_are_read_from_an_index(database, sought_max, monkeypatch):
    """Those of few tasks are looked up; those of many are read as they come, and nothing orders them."""
    monkeypatch.setattr(slots, "SOUGHT_MAX", sought_max)
    asked: list[tuple[str, Any]] = []
    with database.reading() as reader:
        event.listen(reader, "before_cursor_execute", lambda *said: asked.append(said[2:4]))
        cells, _ = slots.busiest(reader, CAMPAIGN)
        list(slots.lines(reader, CAMPAIGN, cells, T + 1000))
        plans = [
            " / ".join(step.detail for step in reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values))
            for text, values in list(asked)
        ]
    assert not any("SCAN events" in plan for plan in plans), "not even to see where the log ends"
    if sought_max:
        assert "tasks_campaign" in plans[-1]
        assert "events_endpoint" in plans[-1]
    else:
        assert "SEARCH events USING INTEGER PRIMARY KEY" in plans[-1]
        assert "TEMP B-TREE" not in plans[-1]


def test_lines_that_are_gone_are_said_to_be(database):
    """The event log keeps its newest lines: who was given a slot before them is not known."""
    assert database.forget_events(before_s=T + 18, keep=1000, limit=1000) == 6
    found = counted(database, CAMPAIGN, T + 1000).occupied
    assert found.since_s == T + 20
    assert found.held[CELL, RadioClass.CLASS_0].held_s == 7 + 9 + 4
    database.forget_events(before_s=T + 1000, keep=1000, limit=1000)
    found = counted(database, CAMPAIGN, T + 1000).occupied
    assert (found.since_s, found.held) == (T + 100, {})


def test_the_api_tells_it(run, api):
    """All series have a number for each bin; causes come with what to do about them."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            await asked.server._in.write(asked.server._in.database.commit, small_campaign())
            answer = await client.get("/campaigns/c/report")
            assert answer.status_code == 200, answer.text
            report: dict[str, Any] = answer.json()
            assert report["campaign"]["name"] == HOSTILE
            assert report["course"] == [{"at_s": T, "what": "campaign created", "detail": HOSTILE}]
            assert report["axis"] == {"begin_s": T, "bin_s": 0.5, "bins": 200}
            assert [(each["number"], each["devices"]) for each in report["stages"]] == [(1, 2), (2, 3)]
            assert [len(each["ended"]) for each in report["stages"]] == [200, 200]
            (busiest, other) = report["cells"]["busiest"]
            assert [(each["radio_class"], each["limit"]) for each in busiest["classes"]] == [
                ("0", 50),
                ("2", 1),
            ]
            assert (other["cell"], other["classes"]) == ("7", [])
            assert report["cells"]["since_s"] is None
            assert report["finish"]["edges_s"] == [10.0, 20.0]
            assert [each["histogram"] for each in report["finish"]["classes"]] == [[2, 0], [0, 1]]
            assert report["causes"][1]["advice"] == ADVICE[Failure.INVALID_URI]
            problem(await client.get("/campaigns/none/report"), 404)

    run(main())


def test_one_report_is_made_at_a_time(run, api, monkeypatch):
    """The next one is told to come again; afterwards it is made."""

    async def main() -> None:
        async with api() as asked, asked.client() as client:
            await asked.server._in.write(asked.server._in.database.commit, small_campaign())
            reader = asked.web._office.reader
            call, second = reader.call, []

            async def meanwhile(ask: Callable[..., Any], *args: Any) -> Any:
                if ask is written:
                    second.append(await client.get("/campaigns/c/report"))
                return await call(ask, *args)

            monkeypatch.setattr(reader, "call", meanwhile)
            assert (await client.get("/campaigns/c/report")).status_code == 200
            assert problem(second[0], 503)
            assert second[0].headers["Retry-After"] == "5"
            monkeypatch.undo()
            assert (await client.get("/campaigns/c/report")).status_code == 200

    run(main())
