"""What can be done: a form that is sent, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request

from headgate.web.access import Scope
from headgate.web.console.pages import Context, Form, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A form, by whom it was sent."""

    question: Question
    form: Form
    request: Request
    """Whose body an act without `form` reads by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It was done: where to go now, and what is said there."""

    to: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Nothing was done yet: a page is shown."""

    template: str
    context: Context
    status: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that can be done."""

    path: str
    call: Callable[[Write], Awaitable[Done | Shown]]
    back: Callable[[Question], str]
    """Where one goes where it is refused."""
    scope: Scope = Scope.OPERATE
    form: bool = True
    """Whether its body is a small form."""
