"""Templates, and what they are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from headgate.web.access import Scope, Token
from headgate.web.console import words

FOLDER = Path(__file__).parent.parent
LIVE = "live_"  # begins the name of a block that is rendered again while it is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a page is asked for, by whom."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    token: Token

    @property
    def operates(self) -> bool:
        """Whether he may do more than look."""
        return self.token.scope.contains(Scope.OPERATE)

    @property
    def administers(self) -> bool:
        """Whether he may do everything."""
        return self.token.scope.contains(Scope.ADMIN)

    def said(self, name: str) -> str | None:
        """A parameter of the URL, None where it is missing or empty, as a form sends what is left out."""
        return self.query.get(name) or None


Context = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A page."""

    path: str
    template: str
    context: Callable[[Question], Awaitable[Context]]
    scope: Scope = Scope.READ
    live: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A page that is whole by itself: nothing of the console's stands around it."""

    path: str
    call: Callable[[Question], Awaitable[Response]]
    scope: Scope = Scope.READ


class Templates:
    """All templates, each compiled when it is first asked for."""

    def __init__(self) -> None:
        self.static = {each.name: each.read_bytes() for each in sorted((FOLDER / "static").iterdir())}
        self.tags = {name: sha256(body).hexdigest()[:16] for name, body in self.static.items()}
        env = self._env = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        env.filters |= words.FILTERS
        env.globals |= {"version": version("headgate"), "with_query": with_query}
        env.globals["ui"] = env.get_template("ui.html").module

    def page(self, name: str, context: Context) -> str:
        """A whole page."""
        return self._env.get_template(name).render(context)

    def live(self, name: str, context: Context) -> dict[str, str]:
        """The parts of a page that change, by their ids."""
        template = self._env.get_template(name)
        made = template.new_context(context)
        return {
            block: "".join(render(made))
            for block, render in template.blocks.items()
            if block.startswith(LIVE)
        }


def with_query(path: str, query: Mapping[str, str], **changes: Any) -> str:
    """A URL with some parameters changed; None takes one away.

    >>> with_query("/devices", {"limit": "10"}, after="x&y")
    '/devices?limit=10&after=x%26y'
    """
    said = {name: value for name, value in {**query, **changes}.items() if value not in (None, "")}
    return f"{path}?{urlencode(said)}" if said else path


class Form(dict[str, list[str]]):
    """What a form sent."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Form:
        """The fields of pairs; line feeds as we write them."""
        form = cls()
        for name, value in pairs:
            form.setdefault(name, []).append(value.replace("\r\n", "\n"))
        return form

    def one(self, name: str) -> str:
        """A field, without blanks around it; empty where it is missing."""
        return self.get(name, [""])[-1].strip()
