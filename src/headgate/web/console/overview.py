"""The first page: how everything is, now and in the last hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import select

from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.campaign import CampaignState
from headgate.web.console import words
from headgate.web.console.campaigns import summaries
from headgate.web.console.charts import Chart, Point, chart
from headgate.web.console.pages import Context, Question, View
from headgate.web.history import History
from headgate.web.office import Office

CAMPAIGNS_MAX = 8
OVER = [state.value for state in CampaignState if state.terminal]


def under_way(database: Database, limit: int) -> list[dict[str, Any]]:
    """Campaigns that are not through, the newest first. Blocking."""
    campaigns = tables.campaigns
    query = (
        select(campaigns)
        .where(campaigns.c.state.not_in(OVER))
        .order_by(campaigns.c.created_s.desc(), campaigns.c.id.desc())
        .limit(limit)
    )
    with database.reading() as reader:
        return [dict(row._mapping) for row in reader.execute(query)]


class Overview:
    """One page."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def views(self) -> list[View]:
        """The pages."""
        return [View(path="/", template="overview.html", context=self._overview, live=True)]

    async def _overview(self, question: Question) -> Context:
        office = self._office
        reader, desk = office.reader, office.desk
        rows = await reader.call(under_way, reader.database, CAMPAIGNS_MAX)
        campaigns = await summaries(office, rows)
        figures = desk.figures()
        failures: Counter[str] = Counter()
        for each in campaigns:
            failures.update(each["failures"])
        occupancy = desk.occupancy()
        since_s = figures.store_failing_since_s
        return {
            "figures": figures,
            "now": office.history.now(),
            "campaigns": campaigns,
            "failures": failures.most_common(5),
            "failed": office.tail.failed,
            "held": sum(each.held for each in occupancy),
            "waiting": sum(each.waiting for each in occupancy),
            "failing": desk.failing(),
            "failing_s": None if since_s is None else desk.now() - since_s,
            "span": question.query.get("span", "minutes"),
            "charts": charts(office.history, question.query.get("span", "minutes")),
        }


def charts(history: History, span: str) -> Sequence[Chart]:
    """Downloads, goodput and failures over time."""
    ring, rates = history.of(span)
    span_s = ring.step_s * ring.kept
    drawn = partial(chart, span_s=span_s, begin=f"{words.duration(span_s)} ago")
    return [
        drawn(
            "downloads",
            "Downloads completed",
            [Point(each.at_s, each.downloads_per_minute) for each in rates],
            unit="a minute",
            written=words.number,
        ),
        drawn(
            "goodput",
            "Goodput",
            [Point(each.at_s, each.bytes_per_s) for each in rates],
            unit="a second",
            written=words.size,
            base=1024,
        ),
        drawn(
            "failures",
            "Tasks failed",
            [Point(each.at_s, each.failures_per_minute) for each in rates],
            unit="a minute",
            written=words.number,
        ),
    ]
