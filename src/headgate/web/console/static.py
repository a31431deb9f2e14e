"""Style sheets, scripts and pictures, from memory."""

from __future__ import annotations

from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response

from headgate.web.console.pages import Templates
from headgate.web.problems import Problem

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Static:
    """The files of the folder `static`."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates

    async def answer(self, request: Request) -> Response:
        """One of them; 304 where the browser has it."""
        name = request.path_params["name"]
        body = self._templates.static.get(name)
        if body is None:
            raise Problem(404, "There is no such file.")
        headers = {"ETag": f'"{self._templates.tags[name]}"', "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=TYPES[PurePath(name).suffix])
