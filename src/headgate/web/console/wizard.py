"""Making a campaign, step by step: the package, the devices, the policy, and a look at what it comes to.

Each step is one form, which carries what the steps before have said: nothing is kept here in between, and no
script is needed. What is sent at the end is what the API takes.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from pydantic import ValidationError

from headgate.errors import HeadgateError
from headgate.upgrade.failure import Failure
from headgate.web.access import Scope
from headgate.web.campaigning import CampaignWanted
from headgate.web.console.acts import Act, Done, Shown, Write
from headgate.web.console.draft import DAYS, FILTERS, STEPS, TIMERS, WINDOWS, Mistake, drafted
from headgate.web.console.pages import Context, Form, Question, View
from headgate.web.office import Office
from headgate.web.problems import Problem
from headgate.web.routes.campaigns import CampaignRoutes
from headgate.web.routes.packages import PackageRoutes

PATH = "/campaigns/new"
TEMPLATE = "wizard.html"
PACKAGES = 100
LISTED = 20
CREATE = "create"
STEP_OF = {"package": "package", "targets": "targets"}
"""Where a mistake is shown that the API has found; the policy's step has all others."""


class Wizard:
    """One page."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._campaigns = CampaignRoutes(office)
        self._packages = PackageRoutes(office)

    def views(self) -> list[View]:
        """The pages."""
        return [View(path=PATH, template=TEMPLATE, context=self._begin, scope=Scope.OPERATE)]

    def acts(self) -> list[Act]:
        """What can be done."""
        return [Act(path=PATH, call=self._step, back=lambda _: PATH)]

    async def _begin(self, question: Question) -> Context:
        said = [(name, value) for name, value in question.query.items() if value]
        form = Form.of(said)
        form["key"] = [secrets.token_hex(16)]
        if form.one("failed_campaign"):
            form["targets"] = ["failed"]
        return await self._shown("package", form, [])

    async def _step(self, write: Write) -> Done | Shown:
        form, token = write.form, write.question.token
        asked = form.one("step")
        step = asked if asked in STEPS else "preview"
        wanted, step, mistakes = drafted(form, step)
        if mistakes or step != "preview":
            return await self._page(step, form, mistakes)
        try:
            campaign = CampaignWanted.model_validate(wanted)
            if asked == CREATE:
                answer = await self._campaigns.create_campaign(
                    write.request, campaign, token, key=form.one("key") or None
                )
                made = json.loads(bytes(answer.body))
                return Done(to=f"/campaigns/{made['id']}", said="The campaign is made.")
            answer = await self._campaigns.create_campaign(
                write.request, campaign, token, dry_run=True, limit=LISTED
            )
        except ValidationError as error:
            found = [
                Mistake(".".join(map(str, each["loc"])) or "policy", each["msg"])
                for each in error.errors()[:10]
            ]
            return await self._page(STEP_OF.get(found[0].field.partition(".")[0], "policy"), form, found)
        except Problem as problem:
            if problem.status_code not in (404, 409, 422, 503):
                raise
            devices = str(problem.detail).startswith(("targets", "there is no campaign"))
            at = "targets" if devices else "policy"
            at = "package" if problem.name == "no-such-package" else at
            return await self._page(at, form, [Mistake(at, str(problem.detail))])
        except HeadgateError as error:
            return await self._page("policy", form, [Mistake("policy", str(error))])
        dry = json.loads(bytes(answer.body))
        return await self._page("preview", form, [], wanted=campaign.model_dump(exclude_unset=True), dry=dry)

    async def _page(self, step: str, form: Form, mistakes: list[Mistake], **preview: Any) -> Shown:
        context = await self._shown(step, form, mistakes)
        return Shown(
            template=TEMPLATE, context=context | {"preview": preview}, status=422 if mistakes else 200
        )

    async def _shown(self, step: str, form: Form, mistakes: list[Mistake]) -> Context:
        """What the template needs; fields of other steps are carried as they are."""
        desk = self._office.desk
        packages = (await self._packages.list_packages(limit=PACKAGES)).items
        fields = {
            "package": {"package"},
            "targets": {"targets", "endpoints", "failed_campaign", "failed_failures", *FILTERS},
            "policy": {
                *("name", "skip_same_package", "retry_count", "retry_minutes", "retry_failures", "stages"),
                *("gate_success", "gate_errors", "gate_executed", "confirm", "start", "timezone"),
                *(f"timer_{name}" for name in TIMERS),
                *(
                    f"window_{part}_{number}"
                    for part in ("begin", "end", "days")
                    for number in range(WINDOWS)
                ),
            },
            "preview": set[str](),
        }
        return {
            "step": step,
            "steps": STEPS,
            "place": STEPS.index(step),
            "form": form,
            "mistakes": mistakes,
            "wrong": {each.field: each.what for each in mistakes},
            "carried": [
                (name, value)
                for name, values in form.items()
                if name not in fields[step] and name != "step"
                for value in values
            ],
            "packages": packages,
            "package": next((each for each in packages if each.pid == form.one("package")), None),
            "failures": list(Failure),
            "timers": [(name, getattr(desk.timers, name)) for name in TIMERS],
            "days": DAYS,
            "windows": range(WINDOWS),
            "preview": {},
        }
