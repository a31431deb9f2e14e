"""Errors as problem details, `application/problem+json`: RFC 9457. No error leaves in another form.

`type` is a URN that ends in a short name which never changes: programs decide by it. `detail` is for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from headgate.errors import (
    CampaignChangedError,
    CampaignError,
    CampaignStateError,
    DeviceBusyError,
    HeadgateError,
    HookError,
    HookLimitError,
    PackageConflictError,
    PackageError,
    PackageTooLargeError,
    StoreError,
    StoreFullError,
)

MEDIA_TYPE = "application/problem+json"
URN = "urn:headgate:problem:"
ERRORS_MAX = 20  # mistakes that are listed of one request
DETAIL_MAX = 1000
WHAT_MAX = 1000  # all that there is of causes, or of events, is named where none of them was sent

# Which of our errors is which status. The first that fits.
STATUS_OF: Sequence[tuple[type[HeadgateError], HTTPStatus]] = (
    (StoreFullError, HTTPStatus.INSUFFICIENT_STORAGE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
    (PackageTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (PackageConflictError, HTTPStatus.CONFLICT),
    (PackageError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (CampaignStateError, HTTPStatus.CONFLICT),
    (DeviceBusyError, HTTPStatus.CONFLICT),
    (CampaignChangedError, HTTPStatus.PRECONDITION_FAILED),
    (CampaignError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (HookLimitError, HTTPStatus.CONFLICT),
    (HookError, HTTPStatus.UNPROCESSABLE_ENTITY),
)

# As RFC 9110 names them; http.HTTPStatus has older names for some.
TITLES: Mapping[int, str] = {413: "Content Too Large", 422: "Unprocessable Content"}


class Mistake(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Such as `body.targets.filter` or `query.limit`.")
    what: str


class ProblemDetails(BaseModel):
    """What went wrong. RFC 9457."""

    type: str = Field(description="A URN whose end is a short name that never changes.")
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    errors: list[Mistake] | None = Field(None, description="Of a request that is not as described.")


class Problem(HTTPException):
    """Answered as problem details; `headers` are sent with them.

    It is one of the framework's exceptions, since that takes all others for a body that cannot be read.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        name: str | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mistake] | None = None,
    ) -> None:
        """`name` tells causes apart that have one status; without it, the status names it."""
        super().__init__(status, detail, headers)
        self.name = name or title_of(status).lower().replace(" ", "-")
        self.errors = errors

    def response(self) -> JSONResponse:
        """As it is sent."""
        said: dict[str, Any] = {
            "type": URN + self.name,
            "title": title_of(self.status_code),
            "status": self.status_code,
            "detail": printable(self.detail)[:DETAIL_MAX],
        }
        if self.errors is not None:
            said["errors"] = [
                {"where": printable(each.where), "what": printable(each.what)} for each in self.errors
            ]
        return JSONResponse(said, self.status_code, dict(self.headers or {}), MEDIA_TYPE)


def title_of(status: int) -> str:
    """What the status means.

    >>> title_of(404), title_of(413)
    ('Not Found', 'Content Too Large')
    """
    return TITLES.get(status) or HTTPStatus(status).phrase


def printable(text: str) -> str:
    """The text, as UTF-8 can carry it: a request may quote what cannot be."""
    return text.encode("utf-8", "replace").decode()


def missing(what: str) -> Problem:
    """There is no such thing."""
    return Problem(404, f"there is no {what}")


def problem_of(error: HeadgateError) -> Problem:
    """What an error of ours means for who has asked."""
    for kind, status in STATUS_OF:
        if isinstance(error, kind):
            later = {"Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
            return Problem(status, str(error), headers=later)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))


def mistakes(error: RequestValidationError) -> list[Mistake]:
    """What is wrong with a request, without what was sent: that may be anything, of any size."""
    return [
        Mistake(where=".".join(map(str, each["loc"]))[:200], what=str(each["msg"])[:WHAT_MAX])
        for each in error.errors()[:ERRORS_MAX]
    ]


# -- handlers --


async def on_problem(request: Request, error: Exception) -> JSONResponse:
    """One of this room."""
    assert isinstance(error, Problem)
    return error.response()


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """One of ours, from another room."""
    assert isinstance(error, HeadgateError)
    return problem_of(error).response()


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """One of the framework: no such path, no such method."""
    assert isinstance(error, HTTPException)
    return Problem(error.status_code, str(error.detail), headers=error.headers).response()


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """A request that is not as the OpenAPI document describes it."""
    assert isinstance(error, RequestValidationError)
    unreadable = any(each["type"] == "json_invalid" for each in error.errors())
    status = 400 if unreadable else 422
    said = "the body is not JSON" if unreadable else "the request is not as described"
    return Problem(status, said, errors=mistakes(error)).response()


async def on_bug(request: Request, error: Exception) -> JSONResponse:
    """A bug; its trace goes into the log."""
    return Problem(500, "this is a bug of the server: its log says more").response()


def handle(app: FastAPI) -> None:
    """Have every error of the application answered here."""
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HeadgateError, on_error)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_bug)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These errors, as an operation of the OpenAPI document names them."""
    schema = {"$ref": "#/components/schemas/ProblemDetails"}
    return {
        status: {"description": title_of(status), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
