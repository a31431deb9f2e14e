"""Web hooks: the list with how each stands, adding one, removing one, delivering its dead letters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from headgate.errors import HeadgateError, HookError, HookLimitError
from headgate.upgrade.announcements import Announced
from headgate.web.access import Scope
from headgate.web.console.acts import Act, Done, Shown, Write
from headgate.web.console.draft import Mistake
from headgate.web.console.pages import Context, Form, Question, View
from headgate.web.console.words import number
from headgate.web.office import Office
from headgate.web.paging import PAGE_MAX
from headgate.web.problems import problem_of
from headgate.web.routes.hooks import PATH, Hook, HookRoutes, HookWanted

TEMPLATE = "hooks.html"
EVENTS: Mapping[Announced, str] = {
    Announced.TASK_ENDED: "An attempt for a device is over, whatever its end",
    Announced.CAMPAIGN_CREATED: "A campaign is made",
    Announced.CAMPAIGN_SCHEDULED: "A campaign waits for its time",
    Announced.CAMPAIGN_WAITING: "A campaign waits to be confirmed",
    Announced.CAMPAIGN_RUNNING: "A campaign has begun",
    Announced.CAMPAIGN_PAUSED: "A campaign pauses, by hand or by its gate",
    Announced.CAMPAIGN_RESUMED: "A campaign goes on after a pause",
    Announced.CAMPAIGN_STOPPED: "A campaign is stopped by hand",
    Announced.CAMPAIGN_ENDED: "No task of a campaign is under way, and none will be",
    Announced.STAGE_PASSED: "The gate of a stage lets the next one begin",
    Announced.STAGE_HELD: "The gate of a stage does not let it begin",
}
SAID = {
    "url": "takes the address of a receiver, such as https://ops.example/headgate",
    "events": "choose at least one event",
    "secret": "takes 16 to 255 printable ASCII characters",
}
"""What is said of a field that is not as the API describes it."""


def here(question: Question) -> str:
    """The list."""
    return PATH


class HookPages:
    """One page."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._hooks = HookRoutes(office)

    def views(self) -> list[View]:
        """The pages."""
        return [View(path=PATH, template=TEMPLATE, context=self._list, live=True)]

    def acts(self) -> list[Act]:
        """What can be done."""
        one = f"{PATH}/{{hook_id}}"
        return [
            Act(path=PATH, call=self._add, back=here, scope=Scope.ADMIN),
            Act(path=f"{one}/remove", call=self._remove, back=here, scope=Scope.ADMIN),
            Act(path=f"{one}/replay", call=self._replay, back=here),
        ]

    async def _list(self, question: Question) -> Context:
        return await self._shown(Form())

    async def _add(self, write: Write) -> Shown:
        form = write.form
        try:
            said = {
                "url": form.one("url"),
                "events": form.get("events", []),
                "secret": form.one("secret") or None,
            }
            answer = await self._hooks.make_hook(write.request, HookWanted.model_validate(said))
        except ValidationError as error:
            found = dict.fromkeys(str(each["loc"][0]) for each in error.errors())
            return await self._refused(form, [Mistake(name, SAID[name]) for name in found], 422)
        except HeadgateError as error:
            at = "url" if isinstance(error, HookError) and not isinstance(error, HookLimitError) else "add"
            return await self._refused(form, [Mistake(at, str(error))], problem_of(error).status_code)
        return Shown(
            template=TEMPLATE, context=await self._shown(Form(), made=json.loads(bytes(answer.body)))
        )

    async def _remove(self, write: Write) -> Done:
        await self._hooks.remove_hook(write.question.params["hook_id"])
        return Done(to=PATH, said="The web hook is removed.")

    async def _replay(self, write: Write) -> Done:
        count = (await self._hooks.replay_hook(write.question.params["hook_id"])).replayed
        letters = "1 dead letter is" if count == 1 else f"{number(count)} dead letters are"
        return Done(to=PATH, said=f"{letters} delivered after all.")

    async def _refused(self, form: Form, mistakes: list[Mistake], status: int) -> Shown:
        return Shown(template=TEMPLATE, context=await self._shown(form, mistakes), status=status)

    async def _shown(
        self, form: Form, mistakes: list[Mistake] | None = None, made: dict[str, Any] | None = None
    ) -> Context:
        hooks = (await self._hooks.list_hooks(limit=PAGE_MAX)).items
        return {
            "hooks": [(each, *state_of(each)) for each in sorted(hooks, key=lambda each: each.created_s)],
            "events": EVENTS,
            "form": form,
            "mistakes": mistakes or [],
            "wrong": {each.field: each.what for each in mistakes or []},
            "made": made,
            "now": self._office.desk.now(),
        }


def state_of(hook: Hook) -> tuple[str, str]:
    """How a hook stands, and the word for it."""
    if hook.error is not None and hook.failing_since_s is None:
        return "refused", "Not permitted"
    if hook.overflowed_s is not None:
        return "overflowing", "Overflowing"
    if hook.failing_since_s is not None:
        return "failing", "Failing"
    if hook.pending:
        return "delivering", "Delivering"
    return ("created", "Nothing waits") if hook.delivered_s is None else ("delivered", "Delivered")
