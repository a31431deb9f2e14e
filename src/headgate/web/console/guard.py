"""What a request must bring: a session of enough scope; for a write, the word of the browser that it is ours.

A browser says where a write comes from: in `Origin`, and the newer ones in `Sec-Fetch-Site`. Ours come from
the host that they go to. One that says nothing is no browser: it has the API.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request

from headgate.web.access import Scope, Token
from headgate.web.console.sessions import COOKIE, Session, Sessions
from headgate.web.problems import Problem


class NotLoggedIn(Exception):
    """Whoever asks is to log in first."""


def session_of(sessions: Sessions, request: Request) -> tuple[Session, Token]:
    """Who asks. Raises NotLoggedIn."""
    found = sessions.find(request.cookies.get(COOKIE))
    if found is None:
        raise NotLoggedIn
    return found


def permitted(token: Token, wanted: Scope) -> None:
    """Problem 403 where the token is not good for it."""
    if not token.scope.contains(wanted):
        raise Problem(
            403, f"You are logged in with a token for {token.scope.value}. This takes one for {wanted.value}."
        )


def same_origin(request: Request) -> None:
    """Problem 403 where a write does not come from a page of ours."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    try:
        ours = bool(origin) and urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:  # that is no URL
        ours = False
    if not ours or site not in (None, "same-origin"):
        raise Problem(403, "This did not come from a page of this console, so nothing was done.")


def over_tls(request: Request) -> bool:
    """Whether the browser speaks to us, or to what stands before us, by HTTPS."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
