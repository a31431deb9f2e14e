"""The settings: what each is, and where it was said."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from headgate.web.console.pages import Context, Question, View
from headgate.web.desk import Setting
from headgate.web.office import Office

SECTIONS = {
    "limits": "Slots of a cell",
    "radio": "Radio classes",
    "timers": "Timers",
    "retry": "Retries",
    "presence": "Sleepers",
    "grants": "Grants",
    "coap": "CoAP",
    "pcp": "Software over PCP",
    "lwm2m": "Registrations",
    "exchange": "CoAP messaging",
    "store": "Store",
    "http": "API and console",
    "hooks": "Web hooks",
    "log": "Log",
}
"""In the order in which they are looked for."""


class SettingsPage:
    """One page."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def views(self) -> list[View]:
        """The pages."""
        return [View(path="/settings", template="settings.html", context=self._settings)]

    async def _settings(self, question: Question) -> Context:
        return {"sections": sections(self._office.desk.settings())}


def sections(settings: Iterable[Setting]) -> list[dict[str, Any]]:
    """The settings by section, those that are looked for first."""
    found = {
        name: list(each) for name, each in groupby(settings, key=lambda each: each.key.partition(".")[0])
    }
    order = [*(name for name in SECTIONS if name in found), *(name for name in found if name not in SECTIONS)]
    return [
        {
            "name": name,
            "title": SECTIONS.get(name, name),
            "settings": [
                {
                    "key": each.key,
                    "value": written(each.value),
                    "unit": each.unit,
                    "origin": each.origin,
                    "given": each.origin != "default",
                    "description": each.description,
                }
                for each in found[name]
            ],
        }
        for name in order
    ]


def written(value: Any) -> str:
    """A value as a person would write it.

    >>> written(86400.0), written((-112.0, -122.0)), written(None), written(True), written("")
    ('86,400', '-112, -122', 'none', 'yes', 'none')
    """
    match value:
        case None | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
        case tuple() | list():
            return ", ".join(map(written, value)) or "none"
        case dict():
            return ", ".join(f"{key} = {written(each)}" for key, each in value.items()) or "none"
        case _:
            return str(value)
