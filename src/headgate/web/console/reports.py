"""The report of a campaign, to whoever has logged in: the page that `headgate campaign report` writes."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

from starlette.responses import HTMLResponse, Response

from headgate.store.database import Database
from headgate.upgrade.admission import Limits
from headgate.upgrade.campaign import Campaign
from headgate.web.campaigning import CampaignStatus
from headgate.web.console.headers import NOT_KEPT
from headgate.web.console.pages import Question, Sheet
from headgate.web.office import Office
from headgate.web.reporting.page import page
from headgate.web.routes.campaigns import CampaignRoutes
from headgate.web.routes.reports import ReportRoutes, counted, told

STYLE = re.compile("<style>(.*?)</style>", re.DOTALL)


class ReportSheet:
    """One page."""

    def __init__(self, office: Office) -> None:
        self._reports = ReportRoutes(office, CampaignRoutes(office))

    def sheets(self) -> list[Sheet]:
        """The page."""
        return [Sheet(path="/campaigns/{campaign_id}/report", call=self._show)]

    async def _show(self, question: Question) -> Response:
        campaign_id = question.params["campaign_id"]
        text = await self._reports.made(campaign_id, drawn)
        headers = {
            "Content-Security-Policy": policy_of(text),
            "Content-Disposition": f'inline; filename="report-{campaign_id}.html"',
        }
        return HTMLResponse(text, headers={**NOT_KEPT, **headers})


def drawn(database: Database, campaign: Campaign, status: CampaignStatus, limits: Limits, now: float) -> str:
    """The report as a page. Blocking."""
    return page(told(status, counted(database, campaign, now), limits, now).model_dump(mode="json"))


def policy_of(text: str) -> str:
    """What a report may do: have its own style, and nothing else.

    >>> policy_of("<style>p{}</style>").split("; ")[1]
    "style-src 'sha256-gG2yISYereRMiG2lMXrbiUgi0Ubw9p7QCeWcroOvy9Y='"
    """
    style = STYLE.search(text)
    digest = b64encode(sha256(style[1].encode() if style else b"").digest()).decode()
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )
