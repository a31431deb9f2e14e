"""Every page and every act on one page, and how each is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from headgate.errors import HeadgateError
from headgate.web.access import FailedLogins, Token
from headgate.web.console import guard
from headgate.web.console.acts import Act, Shown, Write
from headgate.web.console.campaigns import CampaignPages
from headgate.web.console.cells import CellPages
from headgate.web.console.devices import DevicePages
from headgate.web.console.headers import HEADERS, NOT_KEPT
from headgate.web.console.hooks import HookPages
from headgate.web.console.live import Live
from headgate.web.console.login import Login
from headgate.web.console.overview import Overview
from headgate.web.console.packages import PackagePages
from headgate.web.console.pages import Context, Form, Question, Sheet, Templates, View
from headgate.web.console.reference import Reference
from headgate.web.console.reports import ReportSheet
from headgate.web.console.sessions import COOKIE, Session, Sessions
from headgate.web.console.settings import SettingsPage
from headgate.web.console.static import Static
from headgate.web.console.tokens import TokenPages
from headgate.web.console.wizard import Wizard
from headgate.web.office import Office
from headgate.web.problems import Problem, problem_of, title_of
from headgate.web.routes.events import EventStream

LIVE_PATH = "/live"
FIELDS_MAX = 1000


class Site:
    """The console, as an ASGI application."""

    def __init__(
        self, office: Office, failed: FailedLogins, count: Callable[[str], None], document: Callable[[], Any]
    ) -> None:
        """`failed` is shared with the API; `document` is its OpenAPI document."""
        settings = office.settings
        self._office = office
        self._templates = Templates()
        self.sessions = Sessions(
            office.tokens, office.desk.now, most=settings.sessions_max, lasts_s=settings.session_s
        )
        self.live = Live(office, self._parts)
        self._login = Login(self.sessions, failed, office.desk.now, count)
        self._reference = Reference(document)
        self._running: asyncio.Task[None] | None = None
        self._campaigns = CampaignPages(office)
        self._devices = DevicePages(office)
        self._packages = PackagePages(office)
        self._hooks = HookPages(office)
        self._tokens = TokenPages(office)
        self._wizard = Wizard(office)
        self.asgi: ASGIApp = self._built()

    def start(self) -> None:
        """Serve viewers, from now on."""
        self._running = asyncio.get_running_loop().create_task(self.live.run())

    async def close(self) -> None:
        """Serve nobody any more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    # -- the tables --

    def views(self) -> list[View]:
        """Every page for who is logged in."""
        office = self._office
        return [
            *Overview(office).views(),
            *self._wizard.views(),
            *self._campaigns.views(),
            *CellPages(office).views(),
            *self._devices.views(),
            *self._packages.views(),
            *self._hooks.views(),
            *self._tokens.views(),
            *SettingsPage(office).views(),
        ]

    def acts(self) -> list[Act]:
        """Everything that can be done."""
        return [
            *self._wizard.acts(),
            *self._campaigns.acts(),
            *self._devices.acts(),
            *self._packages.acts(),
            *self._hooks.acts(),
            *self._tokens.acts(),
        ]

    def sheets(self) -> list[Sheet]:
        """Every page that is whole by itself."""
        return ReportSheet(self._office).sheets()

    def _built(self) -> ASGIApp:
        acts = [Route(each.path, self._act(each), methods=["POST"]) for each in self.acts()]
        views = self.views()
        streams = [Route(LIVE_PATH + each.path, self._stream(each)) for each in views if each.live]
        return Secured(
            Starlette(
                routes=[
                    Route("/static/{name}", Static(self._templates).answer),
                    Route("/login", self._login_page, methods=["GET"]),
                    Route("/login", self._log_in, methods=["POST"]),
                    Route("/logout", self._log_out, methods=["POST"]),
                    Route("/docs", self._reference_page),
                    *streams,
                    *acts,
                    *(Route(each.path, self._view(each)) for each in views),
                    *(Route(each.path, self._sheet(each)) for each in self.sheets()),
                ],
                exception_handlers={
                    guard.NotLoggedIn: self._on_stranger,
                    HeadgateError: self._on_error,
                    HTTPException: self._on_http,
                    RequestValidationError: self._on_invalid,
                    ValidationError: self._on_invalid,
                    Exception: self._on_bug,
                },
            )
        )

    # -- pages --

    def _view(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            session, token = guard.session_of(self.sessions, request)
            guard.permitted(token, view.scope)
            question = question_of(request, token)
            context = await view.context(question)
            live = LIVE_PATH + question.path if view.live else None
            return self._page(view.template, context, question, session, live=live)

        return answer

    def _sheet(self, sheet: Sheet) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            _, token = guard.session_of(self.sessions, request)
            guard.permitted(token, sheet.scope)
            return await sheet.call(question_of(request, token))

        return answer

    def _stream(self, view: View) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            _, token = guard.session_of(self.sessions, request)
            guard.permitted(token, view.scope)
            if self._office.metrics.viewers >= self._office.settings.viewers_max:
                raise Problem(503, "As many follow pages and events as may.", headers={"Retry-After": "5"})
            question = question_of(request, token)
            cookie = request.cookies.get(COOKIE)

            def good() -> bool:
                return self.sessions.find(cookie) is not None

            return EventStream(self.live.pieces(view, question, good))

        return answer

    async def _parts(self, view: View, question: Question) -> Mapping[str, str]:
        context = await view.context(question)
        return self._templates.live(view.template, common(question) | context)

    def _page(
        self,
        template: str,
        context: Context,
        question: Question,
        session: Session,
        *,
        status: int = 200,
        live: str | None = None,
    ) -> Response:
        said, session.said = session.said, None
        whole = common(question) | {"said": said, "live": live} | context
        return HTMLResponse(self._templates.page(template, whole), status, NOT_KEPT)

    # -- acts --

    def _act(self, act: Act) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            guard.same_origin(request)
            session, token = guard.session_of(self.sessions, request)
            guard.permitted(token, act.scope)
            question = question_of(request, token)
            form = await form_of(request) if act.form else Form()
            try:
                done = await act.call(Write(question=question, form=form, request=request))
            except (HeadgateError, Problem, RequestValidationError, ValidationError) as error:
                session.said = ("refused", sentence(error))
                return RedirectResponse(act.back(question), 303, NOT_KEPT)
            if isinstance(done, Shown):
                return self._page(done.template, done.context, question, session, status=done.status)
            if self.sessions.find(request.cookies.get(COOKIE)) is None:
                return self._left()  # he has revoked the token that he came with
            session.said = ("done", done.said)
            return RedirectResponse(done.to, 303, NOT_KEPT)

        return answer

    # -- who is not logged in --

    async def _login_page(self, request: Request) -> Response:
        if self.sessions.find(request.cookies.get(COOKIE)) is not None:
            return RedirectResponse(here(request.query_params.get("next")), 303, NOT_KEPT)
        return self._alone("login.html", {"next": here(request.query_params.get("next")), "wrong": None})

    async def _log_in(self, request: Request) -> Response:
        guard.same_origin(request)
        form = await form_of(request)
        token, wrong, headers = self._login.token(form.one("token"), request)
        to = here(form.one("next"))
        if token is None:
            status = 429 if "Retry-After" in headers else 403
            return self._alone("login.html", {"next": to, "wrong": wrong}, status, headers)
        answer = RedirectResponse(to, 303, NOT_KEPT)
        self._login.keep(answer, self.sessions.begin(token), secure=guard.over_tls(request))
        return answer

    async def _log_out(self, request: Request) -> Response:
        guard.same_origin(request)
        self.sessions.end(request.cookies.get(COOKIE))
        return self._left()

    def _left(self) -> Response:
        answer = RedirectResponse("/login", 303, NOT_KEPT)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    async def _reference_page(self, request: Request) -> Response:
        found = self.sessions.find(request.cookies.get(COOKIE))
        context = self._reference.context()
        if found is None:
            return self._alone("reference.html", context)
        session, token = found
        return self._page("reference.html", context, question_of(request, token), session)

    def _alone(
        self, template: str, context: Context, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        whole: Context = {"question": None, "said": None, "live": None, "path": "", "query": {}} | context
        return HTMLResponse(self._templates.page(template, whole), status, {**NOT_KEPT, **(headers or {})})

    # -- errors --

    async def _on_stranger(self, request: Request, error: Exception) -> Response:
        if request.method in ("GET", "HEAD") and not request.url.path.startswith(LIVE_PATH + "/"):
            to = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            said = "" if to == "/" else f"?next={quote(to, safe='')}"
            return RedirectResponse(f"/login{said}", 303, NOT_KEPT)
        return self._error(request, 401, "You are not logged in, or not any more.")

    async def _on_http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = "There is no such page." if error.detail == "Not Found" else str(error.detail)
        return self._error(request, error.status_code, said, error.headers)

    async def _on_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HeadgateError)
        problem = problem_of(error)
        return self._error(request, problem.status_code, str(problem.detail), problem.headers)

    async def _on_invalid(self, request: Request, error: Exception) -> Response:
        return self._error(request, 422, sentence(error))

    async def _on_bug(self, request: Request, error: Exception) -> Response:
        return self._error(request, 500, "This is a bug of the server: its log says more.")

    def _error(
        self, request: Request, status: int, said: str, headers: Mapping[str, str] | None = None
    ) -> Response:
        found = self.sessions.find(request.cookies.get(COOKIE))
        context = {"status": status, "title": title_of(status), "detail": said}
        if found is None:
            return self._alone("error.html", context, status, headers)
        session, token = found
        answer = self._page("error.html", context, question_of(request, token), session, status=status)
        answer.headers.update(headers or {})
        return answer


class Secured:
    """Puts on every answer what is said to the browser, where it does not say so itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = list(message.get("headers", ()))
                names = {name for name, _ in said}
                message["headers"] = said + [each for each in self._headers if each[0] not in names]
            await send(message)

        await self._app(scope, receive, sent)


def common(question: Question) -> Context:
    """What every page knows."""
    return {"question": question, "path": question.path, "query": question.query}


def question_of(request: Request, token: Token) -> Question:
    """What is asked; of a page that is followed, what its page is asked."""
    path = quote(request.scope["path"])  # in it may stand the name of a device
    return Question(
        path=path.removeprefix(LIVE_PATH) if path.startswith(LIVE_PATH + "/") else path,
        params={name: str(value) for name, value in request.path_params.items()},
        query=dict(request.query_params),
        token=token,
    )


async def form_of(request: Request) -> Form:
    """The fields of a form. Problem 400 for too many."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return Form.of(parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError as error:
        raise Problem(400, f"a form has up to {FIELDS_MAX} fields") from error


def here(path: str | None) -> str:
    r"""A page of ours to go to; the first one for whatever is none.

    >>> here("/cells?after=1A2B"), here("//evil.example"), here("/\\evil.example"), here("https://evil.example")
    ('/cells?after=1A2B', '/', '/', '/')
    """
    if path is None or not path.startswith("/") or path[1:2] in ("/", "\\") or not path.isprintable():
        return "/"
    return path


def sentence(error: Exception) -> str:
    """What went wrong, for people."""
    match error:
        case RequestValidationError() | ValidationError():
            mistakes = [
                f"{'.'.join(str(part) for part in each['loc'] if part != 'body') or 'this'}: {each['msg']}"
                for each in error.errors()[:5]
            ]
            return "; ".join(mistakes)
        case HTTPException():
            return str(error.detail)
        case _:
            return str(error)
