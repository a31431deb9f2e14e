"""Who comes in: the bearer token of a request (RFC 6750), and the scope that the route asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from headgate.web.access import FailedLogins, Scope, Token, Tokens
from headgate.web.problems import Problem

REALM = 'Bearer realm="headgate"'

bearer = HTTPBearer(scheme_name="token", bearerFormat="headgate_...", auto_error=False)

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


class Gate:
    """A dependency of every route that asks for a scope."""

    def __init__(
        self, tokens: Tokens, failed: FailedLogins, now: Callable[[], float], count: Callable[[str], None]
    ) -> None:
        """`count` hears of everybody who is not let in."""
        self._tokens = tokens
        self._failed = failed
        self._now = now
        self._count = count

    async def __call__(self, request: Request, scopes: SecurityScopes, credentials: Credentials) -> Token:
        """The token, if it is good for the route; problems 401, 403 and 429."""
        if credentials is None:
            self._count("no token")
            raise Problem(
                401, "this takes a token: Authorization: Bearer ...", headers={"WWW-Authenticate": REALM}
            )
        token = self._tokens.find(credentials.credentials)
        if token is None:
            self._count("wrong token")
            wait_s = self._failed.failed(request.client.host if request.client else "", self._now())
            if wait_s is not None:
                raise Problem(
                    429, "too many wrong tokens came from here", headers={"Retry-After": f"{wait_s:.0f}"}
                )
            wrong = f'{REALM}, error="invalid_token"'
            raise Problem(401, "there is no such token", headers={"WWW-Authenticate": wrong})
        for wanted in map(Scope, scopes.scopes):
            if not token.scope.contains(wanted):
                self._count("insufficient scope")
                short = f'{REALM}, error="insufficient_scope", scope="{wanted.value}"'
                raise Problem(
                    403,
                    f"the token is good for {token.scope.value}, and this takes one for {wanted.value}",
                    headers={"WWW-Authenticate": short},
                )
        request.state.token = token
        return token


def caller(request: Request) -> Token:
    """The token that the gate has let in."""
    token: Token = request.state.token
    return token


Caller = Annotated[Token, Depends(caller)]
