"""Tokens: who may ask for anything at all."""

from __future__ import annotations

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from headgate.web.access import Scope, Token, Tokens, new_secret
from headgate.web.office import Office
from headgate.web.paging import After, Limit, Page, Text, paged
from headgate.web.table import Route

PATH = "/tokens"


class TokenWanted(BaseModel):
    """A token that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Text = Field(description="Who is going to use it: it is said of what was done with it.")
    scope: Scope


class TokenInfo(BaseModel):
    """What is known of a token; not the token."""

    id: str
    name: str
    scope: Scope
    created_s: float
    used_s: float | None = Field(description="When it was last used; null: not since the server was started.")


class NewToken(TokenInfo):
    """A token. It is shown this once, and kept nowhere."""

    token: str


def info(token: Token, tokens: Tokens) -> dict[str, object]:
    """The fields of a token."""
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope,
        "created_s": token.created_s,
        "used_s": tokens.used_s(token),
    }


class TokenRoutes:
    """The rows of tokens."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def table(self) -> list[Route]:
        """What can be asked for."""
        return [
            Route(method="GET", path=PATH, call=self.list_tokens, scope=Scope.ADMIN, answers=Page[TokenInfo]),
            Route(
                method="POST",
                path=PATH,
                call=self.make_token,
                scope=Scope.ADMIN,
                answers=NewToken,
                status=201,
                problems=(409, 507),
            ),
            Route(
                method="DELETE",
                path=f"{PATH}/{{token_id}}",
                call=self.revoke_token,
                scope=Scope.ADMIN,
                status=204,
                problems=(404, 409, 507),
                response_class=Response,
            ),
        ]

    async def list_tokens(self, after: After = None, limit: Limit = 100) -> Page[TokenInfo]:
        """All tokens, by id."""
        tokens = [each for each in self._office.tokens.list() if after is None or each.id > after]
        return paged(
            tokens[: limit + 1],
            limit,
            lambda each: TokenInfo.model_validate(info(each, self._office.tokens)),
            lambda each: each.id,
        )

    async def make_token(self, request: Request, wanted: TokenWanted) -> Response:
        """Make a token. The answer is the only place where it is ever shown."""
        secret = new_secret()
        token = await self._office.tokens.add(wanted.name, wanted.scope, secret)
        made = NewToken.model_validate({**info(token, self._office.tokens), "token": secret})
        headers = {"Location": f"{request.url.path}/{token.id}", "Cache-Control": "no-store"}
        return JSONResponse(made.model_dump(mode="json"), 201, headers)

    async def revoke_token(self, token_id: Text) -> Response:
        """Make a token good for nothing. The last one that may make others stays."""
        await self._office.tokens.revoke(token_id)
        return Response(status_code=204)
