"""Editing a campaign: one form, which carries the revision that it was filled from.

Whoever was faster is not overwritten: the form comes again with what was typed, and with what is there now.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError

from headgate.errors import CampaignChangedError, CampaignError, CampaignStateError, HeadgateError
from headgate.store import tables
from headgate.upgrade.campaign import Campaign, campaign_of
from headgate.upgrade.explanation import why
from headgate.upgrade.failure import Failure
from headgate.upgrade.windows import WINDOWS_MAX
from headgate.web.access import Scope
from headgate.web.console.acts import Act, Done, Shown, Write
from headgate.web.console.draft import DAYS, WINDOWS, Mistake, slots
from headgate.web.console.entries import (
    beginning,
    changes_of,
    fields_of,
    merged,
    part_of,
    retried,
    suffix,
    touched,
)
from headgate.web.console.pages import Context, Form, Question, View
from headgate.web.office import Office
from headgate.web.problems import Problem, missing, problem_of
from headgate.web.routes.operations import CampaignEdit, CampaignOperations

PATH = "/campaigns/{campaign_id}/edit"
TEMPLATE = "edit.html"
ROOM = 1  # for windows beyond those that are there
FIELD_OF = {"retry": "retry_count", "gate": "gate_success", "windows": "window_begin_0", "start_s": "start"}
"""Where a mistake is shown that the API has found; others stand at the field of their name."""
LEGENDS = {"name": "Name", "confirm": "Stages", "gate": "Stages", "when": "When", "retry": "Retries"}
OWN = ("retry_count_", "retry_minutes_")
WORDS = {"name": "its name", "confirm": "what is confirmed", "gate": "its gate", "retry": "its retries"}
WORDS |= {"when": "its schedule"}


class CampaignEditing:
    """One page."""

    def __init__(self, office: Office, operations: CampaignOperations) -> None:
        self._office = office
        self._operations = operations

    def views(self) -> list[View]:
        """The page."""
        return [View(path=PATH, template=TEMPLATE, context=self._begin, scope=Scope.OPERATE)]

    def acts(self) -> list[Act]:
        """What can be done."""
        return [Act(path=PATH, call=self._save, back=lambda question: question.path)]

    async def _begin(self, question: Question) -> Context:
        kept = await self._kept(question)
        if kept.state.terminal:
            raise Problem(409, f"The campaign is {kept.state}: nothing of it can be changed any more.")
        return self._shown(kept, fields_of(kept), [])

    async def _save(self, write: Write) -> Done | Shown:
        form, question = write.form, write.question
        was = Form.of(parse_qsl(form.one("was"), keep_blank_values=True))
        kept = await self._kept(question)
        changes, mistakes = changes_of(form, was, begun=kept.stage > 0)
        to = f"/campaigns/{kept.id}"
        if not mistakes and not changes:
            return Done(to=to, said="Nothing was changed.")
        status, refused, stale = 422, None, False
        if not mistakes:
            try:
                wanted = CampaignEdit.model_validate(changes)
                revision = f'"{form.one("revision")}"'
                await self._operations.edit_campaign(kept.id, wanted, question.token, revision)
                said = ", ".join(WORDS[part] for part in touched(form, was))
                return Done(to=to, said=f"The campaign is changed: {said}.")
            except ValidationError as error:
                mistakes = [placed(tuple(each["loc"]), each["msg"]) for each in error.errors()[:10]]
            except CampaignChangedError:
                status, stale = 412, True
            except CampaignStateError as error:
                status, refused = 409, str(error)
            except CampaignError as error:
                mistakes = [Mistake("start" if "start_s" in changes else "name", str(error))]
            except HeadgateError as error:
                problem = problem_of(error)
                status, refused = problem.status_code, str(problem.detail)
            except Problem as problem:
                status, refused = problem.status_code, str(problem.detail)
        kept = await self._kept(question)
        stale = stale or form.one("revision") != str(kept.revision)
        now = fields_of(kept)
        context = self._shown(kept, merged(form, was, now), mistakes) | {
            "refused": refused,
            "stale": stale,
            "mine": touched(form, was),
            "theirs": [WORDS[part] for part in touched(now, was)],
            "late": form.one("start") if kept.stage and beginning(form) != beginning(was) else "",
        }
        return Shown(template=TEMPLATE, context=context, status=status)

    async def _kept(self, question: Question) -> Campaign:
        campaign_id = question.params["campaign_id"]
        row = await self._office.reader.row(tables.campaigns, campaign_id)
        if row is None:
            raise missing(f"campaign {campaign_id}")
        return campaign_of(row)

    def _shown(self, kept: Campaign, form: Form, mistakes: list[Mistake]) -> Context:
        """What the template needs, of a form that was not refused."""
        wrong = {each.field: each.what for each in mistakes}
        room = max(WINDOWS, *(each + 1 + ROOM for each in slots(form)), 0)
        return {
            "campaign": kept,
            "reason": why(kept, self._office.desk.now()),
            "form": form,
            "was": urlencode([(name, each) for name, values in fields_of(kept).items() for each in values]),
            "causes": [(cause, suffix(cause)) for cause in Failure],
            "retried": retried(kept.retry),
            "days": DAYS,
            "windows": range(min(room, WINDOWS_MAX)),
            "mistakes": [(LEGENDS[part_of(each.field)], each) for each in mistakes],
            "wrong": wrong,
            "own": any(name.startswith(OWN) for name in (*form, *wrong)),
            "refused": None,
            "stale": False,
            "mine": [],
            "theirs": [],
            "late": "",
        }


def placed(where: tuple[Any, ...], what: str) -> Mistake:
    """A mistake of the API's, at its field.

    >>> placed(("gate", "success"), "no share").field, placed(("name",), "too long").field
    ('gate_success', 'name')
    """
    name = str(where[0]) if where else "name"
    return Mistake(FIELD_OF.get(name, name), what)
