"""Who has logged in. A session is a random cookie that stands for a token, in memory, for some hours.

What is kept of the cookie is its SHA-256, as of tokens. A session is good for what its token is good for, and
ends with it. Codes are for the link that a server prints at its start: each is good for one login, within an
hour, and stands for the oldest token that may do everything.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from headgate.web.access import Scope, Token, Tokens, digest

COOKIE = "headgate_session"
SECRET_BYTES = 32
CODE_BYTES = 18
CODES_MAX = 8
CODE_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Session:
    """One login."""

    token_id: str
    expires_s: float
    said: tuple[str, str] | None = None
    """What the next page says of the last act: `done` or `refused`, and a sentence."""


class Sessions:
    """All of them."""

    def __init__(self, tokens: Tokens, now: Callable[[], float], *, most: int, lasts_s: float) -> None:
        """Beyond `most`, the oldest ends."""
        self._tokens = tokens
        self._now = now
        self._most = most
        self._lasts_s = lasts_s
        self._sessions: OrderedDict[str, Session] = OrderedDict()  # by the digest of the cookie, oldest first
        self._codes: OrderedDict[str, float] = OrderedDict()  # by digest, until when

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, token: Token) -> str:
        """A session; its cookie."""
        cookie = secrets.token_urlsafe(SECRET_BYTES)
        if len(self._sessions) >= self._most:
            self._sessions.popitem(last=False)
        session = Session(token_id=token.id, expires_s=self._now() + self._lasts_s)
        self._sessions[digest(cookie)] = session
        return cookie

    def find(self, cookie: str | None) -> tuple[Session, Token] | None:
        """The session of a cookie, with its token; None where it has ended, or the token was revoked."""
        session = None if cookie is None else self._sessions.get(digest(cookie))
        if cookie is None or session is None:
            return None
        token = self._tokens.of(session.token_id)
        if token is None or session.expires_s <= self._now():
            self.end(cookie)
            return None
        return session, token

    def end(self, cookie: str | None) -> None:
        """Log out."""
        if cookie is not None:
            self._sessions.pop(digest(cookie), None)

    # -- codes --

    def code(self, lasts_s: float = CODE_S) -> str:
        """A code for one login, within that time."""
        code = secrets.token_urlsafe(CODE_BYTES)
        if len(self._codes) >= CODES_MAX:
            self._codes.popitem(last=False)
        self._codes[digest(code)] = self._now() + lasts_s
        return code

    def use(self, said: str) -> Token | None:
        """The token that a code or a token's own secret stands for. A code is used up."""
        until_s = self._codes.pop(digest(said), None)
        if until_s is None:
            return self._tokens.find(said)
        admins = [each for each in self._tokens.list() if each.scope is Scope.ADMIN]
        if until_s <= self._now() or not admins:
            return None
        return min(admins, key=lambda each: (each.created_s, each.id))
