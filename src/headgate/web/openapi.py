"""The OpenAPI document, as the framework makes it from the routes, with what it would get wrong put right."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from headgate.web.problems import ProblemDetails

DESCRIPTION = """What an operator does with a fleet.

Times are seconds since the epoch. Lists come in pages: `next` of one is `after` of the next. Every error is
`application/problem+json` (RFC 9457), and its `type` says which one. A token of scope `operate` may `read`
too, one of scope `admin` may both."""

UNUSED = ("HTTPValidationError", "ValidationError")


def document(app: FastAPI) -> None:
    """Have the application tell this document."""

    def made() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = made  # type: ignore[method-assign]  # as the framework's manual says


def _document(app: FastAPI) -> dict[str, Any]:
    said = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
    )
    schemas = said["components"]["schemas"]
    for name in UNUSED:
        schemas.pop(name, None)
    problem = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["ProblemDetails"] = problem
    return said
