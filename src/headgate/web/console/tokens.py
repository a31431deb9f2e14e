"""Tokens: the list, making one, revoking one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from headgate.errors import HeadgateError
from headgate.web.access import Scope
from headgate.web.console.acts import Act, Done, Shown, Write
from headgate.web.console.draft import Mistake
from headgate.web.console.pages import Context, Form, Question, View
from headgate.web.office import Office
from headgate.web.paging import paged
from headgate.web.places import Place, place_of, text_of
from headgate.web.problems import Problem, problem_of
from headgate.web.routes.tokens import PATH, TokenInfo, TokenRoutes, TokenWanted, info

TEMPLATE = "tokens.html"
PAGE = 50
SCOPES: Mapping[Scope, str] = {
    Scope.READ: "See everything but the tokens",
    Scope.OPERATE: "Add packages, begin and end campaigns too",
    Scope.ADMIN: "Give and take away tokens and web hooks too",
}
SAID = {
    "name": "takes up to 255 characters that say who is going to use it",
    "scope": "choose what it is good for",
}
"""What is said of a field that is not as the API describes it."""


def here(question: Question) -> str:
    """The list."""
    return PATH


class TokenPages:
    """One page."""

    def __init__(self, office: Office) -> None:
        self._tokens = office.tokens
        self._routes = TokenRoutes(office)

    def views(self) -> list[View]:
        """The pages."""
        return [View(path=PATH, template=TEMPLATE, context=self._list, scope=Scope.ADMIN)]

    def acts(self) -> list[Act]:
        """What can be done."""
        return [
            Act(path=PATH, call=self._make, back=here, scope=Scope.ADMIN),
            Act(path=f"{PATH}/{{token_id}}/revoke", call=self._revoke, back=here, scope=Scope.ADMIN),
        ]

    async def _list(self, question: Question) -> Context:
        return self._shown(Form(), after=place_of(question.said("after")))

    async def _make(self, write: Write) -> Shown:
        form = write.form
        if not form.one("name"):
            return self._refused(form, [Mistake("name", SAID["name"])], 422)
        try:
            wanted = TokenWanted.model_validate({"name": form.one("name"), "scope": form.one("scope")})
            answer = await self._routes.make_token(write.request, wanted)
        except ValidationError as error:
            found = dict.fromkeys(str(each["loc"][0]) for each in error.errors())
            return self._refused(form, [Mistake(name, SAID[name]) for name in found], 422)
        except (HeadgateError, Problem) as error:
            problem = error if isinstance(error, Problem) else problem_of(error)
            return self._refused(form, [Mistake("add", str(problem.detail))], problem.status_code)
        return Shown(template=TEMPLATE, context=self._shown(Form(), made=json.loads(bytes(answer.body))))

    async def _revoke(self, write: Write) -> Done:
        await self._routes.revoke_token(write.question.params["token_id"])
        return Done(to=PATH, said="The token is revoked.")

    def _refused(self, form: Form, mistakes: list[Mistake], status: int) -> Shown:
        return Shown(template=TEMPLATE, context=self._shown(form, mistakes), status=status)

    def _shown(
        self,
        form: Form,
        mistakes: list[Mistake] | None = None,
        made: dict[str, Any] | None = None,
        after: Place | None = None,
    ) -> Context:
        """What the template needs; the newest tokens first."""
        tokens = sorted(self._tokens.list(), key=lambda each: Place(each.created_s, each.id), reverse=True)
        rest = [each for each in tokens if after is None or Place(each.created_s, each.id) < after]
        page = paged(
            rest[: PAGE + 1],
            PAGE,
            lambda each: TokenInfo.model_validate(info(each, self._tokens)),
            lambda each: text_of(Place(each.created_s, each.id)),
        )
        return {
            "tokens": page,
            "scopes": SCOPES,
            "form": form,
            "mistakes": mistakes or [],
            "wrong": {each.field: each.what for each in mistakes or []},
            "made": made,
        }
