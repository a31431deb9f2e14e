"""A route: what is called, who may call it, and all that it can answer, as the OpenAPI document says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Security
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.responses import JSONResponse, Response

from headgate.web.access import Scope
from headgate.web.problems import described

NAME = "endpoint"
"""`{x:endpoint}` in a path: a device's name, in which there may be anything, slashes and line feeds too."""

EVERYWHERE = (422, 500, 503)
WITH_TOKEN = (401, 403, 429)
WITH_BODY = (400, 408, 413)


class NameConvertor(PathConvertor):
    """`path` of the framework ends at a line feed."""

    regex = "(?s:.*)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. Its summary and description are the docstring of what is called."""

    method: str
    path: str
    call: Callable[..., Any]
    scope: Scope | None
    """None for everybody."""
    answers: Any = None
    """The model of its response."""
    status: int = 200
    problems: tuple[int, ...] = ()
    """Beside those that every operation of its kind may answer."""
    responses: Mapping[int | str, dict[str, Any]] = field(default_factory=dict)
    """Others that are no problems, and what else is to be said of its own."""
    body: Mapping[str, Any] | None = None
    """The requestBody, of one that reads it by itself."""
    response_class: type[Response] = JSONResponse

    @property
    def tag(self) -> str:
        """The kind of resource."""
        return self.path.strip("/").partition("/")[0]


def understand_names() -> None:
    """Have the framework know `endpoint` in paths. Again is the same."""
    register_url_convertor(NAME, NameConvertor())


def add(router: APIRouter, route: Route, gate: Callable[..., Any]) -> None:
    """Have the router answer it, for those whom the gate lets in."""
    problems = {*EVERYWHERE, *route.problems}
    if route.scope is not None:
        problems.update(WITH_TOKEN)
    if route.method in ("POST", "PUT", "PATCH"):
        problems.update(WITH_BODY)
    router.add_api_route(
        route.path,
        route.call,
        methods=[route.method],
        operation_id=route.call.__name__,
        summary=(route.call.__doc__ or "").partition("\n")[0].rstrip("."),
        tags=[route.tag],
        status_code=route.status,
        response_model=route.answers,
        response_class=route.response_class,
        responses=described(*sorted(problems)) | dict(route.responses),
        dependencies=[Security(gate, scopes=[route.scope.value])] if route.scope is not None else [],
        openapi_extra={"requestBody": dict(route.body)} if route.body is not None else None,
    )
