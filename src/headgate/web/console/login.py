"""Logging in: by the link that the server prints at its start, or by a token."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from headgate.web.access import FailedLogins, Token
from headgate.web.console.sessions import COOKIE, Sessions

WRONG = (
    "That is no token or code that is good for anything now. "
    "A code from a link can be used once, within an hour."
)
WAIT = "Too many wrong tokens came from here. Wait a minute, then try again."


class Login:
    """What a login form sends becomes a session."""

    def __init__(
        self, sessions: Sessions, failed: FailedLogins, now: Callable[[], float], count: Callable[[str], None]
    ) -> None:
        self._sessions = sessions
        self._failed = failed
        self._now = now
        self._count = count

    def token(self, said: str, request: Request) -> tuple[Token | None, str, Mapping[str, str]]:
        """The token that was meant; else what to say, and in which headers."""
        found = self._sessions.use(said)
        if found is not None:
            return found, "", {}
        self._count("wrong token")
        address = request.client.host if request.client else ""
        wait_s = self._failed.failed(address, self._now())
        return (None, WRONG, {}) if wait_s is None else (None, WAIT, {"Retry-After": f"{wait_s:.0f}"})

    def keep(self, answer: Response, cookie: str, *, secure: bool) -> None:
        """Have the browser keep the session: until it ends, for no script, for our pages alone."""
        answer.set_cookie(COOKIE, cookie, path="/", httponly=True, samesite="strict", secure=secure)
