"""The course of campaigns: when a stage begins, when nothing may, and what an operator decides.

    made -> SCHEDULED until its time -> WAITING to be confirmed -> RUNNING, stage by stage -> ended

`look` moves a campaign on as far as it can go now; `through` is asked when all that has begun is over, and
judges the stage by its gate; `watch` looks for too many errors whenever tasks have ended. All of it may be
done again at any time, and changes nothing the second time: that is what a restart does.

What a pause means. Nothing begins, and nobody who waits is given a slot; who holds one goes on to its end. A
gate that has paused a campaign does not do so again by the same numbers: resumed, errors are counted anew,
and where the stage is through the next one begins, since that is what the operator has decided.
"""

from __future__ import annotations

from typing import Any

from headgate.engine.timers import NEVER, Timers
from headgate.errors import CampaignStateError
from headgate.store import tables
from headgate.upgrade.askers import Running
from headgate.upgrade.attempts import Attempts
from headgate.upgrade.campaign import Campaign, CampaignState, Confirm, Hold, campaign_row
from headgate.upgrade.explanation import instant, why
from headgate.upgrade.negotiator import Negotiator
from headgate.upgrade.stages import StageCounts, Verdict, gate, stage_counts
from headgate.upgrade.turns import Gathering, News
from headgate.upgrade.works import Works

PAST_S = 60.0  # by which a schedule may be past: clocks differ


class Course:
    """The course of all campaigns that are not through."""

    def __init__(
        self,
        *,
        attempts: Attempts,
        negotiator: Negotiator,
        gathering: Gathering,
        timers: Timers,
        works: Works,
    ) -> None:
        self._attempts = attempts
        self._negotiator = negotiator
        self._places = negotiator.places
        self._gathering = gathering
        self._timers = timers
        self._works = works

    # -- as far as it goes --

    def look(self, running: Running, now: float) -> None:
        """Go on with a campaign as far as it can."""
        campaign = running.campaign
        if campaign.state.terminal or not campaign.made:
            return
        if campaign.state is not CampaignState.PAUSED:
            if campaign.stage == 0:
                self._enter(running, 1, now)
            elif campaign.state is CampaignState.WAITING:
                self._enter(running, campaign.stage + 1, now)
        self._open(running, now)
        self._arm(running, now)

    def _enter(self, running: Running, number: int, now: float) -> None:
        """A stage begins, if it is its time, and confirmed."""
        campaign = running.campaign
        scheduled = number == 1 and campaign.start_s is not None and now < campaign.start_s
        if scheduled or not confirmed(campaign, number):
            state = CampaignState.SCHEDULED if scheduled else CampaignState.WAITING
            if state is not campaign.state:
                self.put(running, state=state)
                self.log(running, now, state.value, why(running.campaign, now) or "")
            return
        was = campaign.state
        self.put(running, state=CampaignState.RUNNING, stage=number)
        if was is not CampaignState.RUNNING:
            self.log(running, now, "running", why(running.campaign, now) or "")
        if len(campaign.stages) > 1:
            self.log(running, now, f"stage {number} begun", f"{campaign.stages[number - 1].devices} devices")

    def _open(self, running: Running, now: float) -> None:
        """See whether tasks may begin and take slots, and let them, or no longer."""
        campaign = running.campaign
        may = campaign.may_begin(now)
        if may is not running.may_begin:
            running.may_begin = may
            if may:
                self.put(running, released_s=now)
                self._works.do(running, self._places.withheld(running), self._places.release)
            else:
                self._works.do(
                    running, self._places.lined(running), lambda each, at: self._places.withhold(each)
                )
        self._attempts.begin(running)

    def _arm(self, running: Running, now: float) -> None:
        """Be due when something changes by itself."""
        campaign, times = running.campaign, []
        if campaign.state is CampaignState.SCHEDULED and campaign.start_s is not None:
            times.append(campaign.start_s)
        if campaign.state is CampaignState.RUNNING:
            times.append(campaign.windows.next_change(now) or NEVER)
        if running.may_begin:
            times.append(running.retrial_s)
        due_s = min(times, default=NEVER)
        if due_s < NEVER:
            self._timers.set(running, due_s)
        else:
            self._timers.cancel(running)

    def due(self, running: Running, now: float) -> None:
        """It is its time, a window opens or closes, or somebody is to be tried again."""
        ran, might = running.campaign.state is CampaignState.RUNNING, running.may_begin
        self.look(running, now)
        if ran and might is not running.may_begin:
            what = "window opened" if running.may_begin else "window closed"
            self.log(running, now, what, why(running.campaign, now) or "")
        if running.may_begin and running.retrial_s <= now:
            running.retrial_s = NEVER
            self._attempts.again(running, now)
            self._arm(running, now)

    # -- what was shown --

    def watch(self, running: Running, now: float) -> None:
        """Pause where too many attempts have failed, if there is anything left to pause."""
        campaign = running.campaign
        if campaign.state is not CampaignState.RUNNING or not (running.unfinished or running.retrials):
            return
        counts = self.counts(running)
        if gate(counts, campaign.current_gate) is Verdict.ERRORS:
            self._pause_by(running, Verdict.ERRORS, counts, now)

    def through(self, running: Running, now: float) -> None:
        """All of the stages that have begun is over, and none is tried again: the next one, if it may."""
        campaign = running.campaign
        if campaign.state is not CampaignState.RUNNING:
            return
        counts = self.counts(running)
        verdict = gate(counts, campaign.current_gate)
        if verdict is Verdict.PASS:
            self._pass(running, now)
        else:
            self._pause_by(running, verdict, counts, now)

    def _pass(self, running: Running, now: float) -> None:
        campaign = running.campaign
        counts = self.counts(running)
        judged = counts.succeeded + counts.failed
        self.log(running, now, f"stage {campaign.stage} passed", f"{counts.succeeded} of {judged} succeeded")
        self.tell(running, now, "stage.passed", "", stage=campaign.stage)
        self._enter(running, campaign.stage + 1, now)
        self.look(running, now)

    def _pause_by(self, running: Running, verdict: Verdict, counts: StageCounts, now: float) -> None:
        campaign = running.campaign
        wanted, stage = campaign.current_gate, campaign.stage
        if verdict is Verdict.ERRORS:
            failed = f"{counts.errors} of {counts.executed} attempts of stage {stage} failed"
            self._pause(running, Hold.ERRORS, f"{failed}, more than {wanted.error_threshold:.4g}", now)
        else:
            judged = counts.succeeded + counts.failed
            good = f"{counts.succeeded} of {judged} devices of stage {stage} succeeded"
            self._pause(running, Hold.GATE, f"{good}, less than {wanted.success:.4g}", now)

    def counts(self, running: Running) -> StageCounts:
        """How the current stage stands."""
        campaign = running.campaign
        return stage_counts(running.counters, max(campaign.stage, 1), campaign.current)

    # -- what operators decide --

    def pause(self, running: Running, reason: str, by: str, now: float) -> None:
        """Begin nothing any more. CampaignStateError where it is so already."""
        campaign = running.campaign
        if campaign.state is CampaignState.PAUSED or campaign.state.terminal:
            raise CampaignStateError(f"campaign {campaign.id} is {campaign.state} already")
        said = ": ".join(each for each in (f"by {by}" if by else "", reason) if each)
        self._pause(running, Hold.OPERATOR, said or "by an operator", now, revision=campaign.revision + 1)

    def _pause(self, running: Running, hold: Hold, reason: str, now: float, **changes: Any) -> None:
        self.put(running, state=CampaignState.PAUSED, hold=hold, reason=reason, **changes)
        self.log(running, now, "paused", reason)
        if hold is not Hold.OPERATOR:
            self.tell(running, now, "stage.held", reason, stage=running.campaign.stage)
        self.look(running, now)

    def resume(self, running: Running, by: str, now: float) -> None:
        """Go on. CampaignStateError where it is not paused."""
        campaign = running.campaign
        if campaign.state is not CampaignState.PAUSED:
            raise CampaignStateError(f"campaign {campaign.id} is not paused: it is {campaign.state}")
        self._negotiator.count_anew(running, max(campaign.stage, 1))
        state = CampaignState.RUNNING if campaign.made else CampaignState.CREATING
        self.put(running, state=state, hold=None, reason="", revision=campaign.revision + 1)
        self.log(running, now, "resumed", f"by {by}" if by else "")
        decided = campaign.hold in (Hold.ERRORS, Hold.GATE) and campaign.stage < len(campaign.stages)
        if decided and self.over(running):
            number = campaign.stage + 1
            self.put(running, confirmed=max(number, campaign.confirmed))
            self._enter(running, number, now)
        self.look(running, now)

    def over(self, running: Running) -> bool:
        """Whether all that has begun is over, and none is tried again."""
        return not (running.under_way or running.retrials)

    def confirm(self, running: Running, by: str, now: float) -> None:
        """Let the next stage begin. CampaignStateError where none waits for that."""
        campaign, number = running.campaign, running.campaign.stage + 1
        early = campaign.state is CampaignState.SCHEDULED and not confirmed(campaign, number)
        if campaign.state is not CampaignState.WAITING and not early:
            raise CampaignStateError(f"campaign {campaign.id} has nothing to confirm: it is {campaign.state}")
        self.put(running, confirmed=number, revision=campaign.revision + 1)
        self.log(running, now, "confirmed", f"stage {number}" + (f" by {by}" if by else ""))
        self.look(running, now)

    def edit(self, running: Running, changes: dict[str, Any], by: str, now: float) -> None:
        """Change some fields of a campaign. CampaignStateError: it is over, or its start is."""
        campaign = running.campaign
        if campaign.state.terminal:
            raise CampaignStateError(f"campaign {campaign.id} is {campaign.state}")
        if "start_s" in changes and changes["start_s"] != campaign.start_s:
            if campaign.stage:
                raise CampaignStateError(f"campaign {campaign.id} has begun: its start cannot be moved")
            check_start(changes["start_s"], now)
        self.put(running, revision=campaign.revision + 1, **changes)
        self.log(running, now, "edited", ", ".join(sorted(changes)) + (f" by {by}" if by else ""))
        self.look(running, now)
        self.watch(running, now)

    # -- rows --

    def put(self, running: Running, **changes: Any) -> None:
        """Change a campaign."""
        running.campaign = running.campaign.evolved(**changes)
        self._gathering.put(tables.campaigns, campaign_row(running.campaign))

    def log(self, running: Running, now: float, what: str, detail: str) -> None:
        """A line of the event log about a campaign as a whole."""
        self._gathering.log(now, f"campaign {what}", detail, campaign_id=running.campaign.id)
        self.tell(running, now, f"campaign.{what}", detail)

    def tell(self, running: Running, now: float, what: str, detail: str, stage: int | None = None) -> None:
        """News for the web hooks that want them; `what` as `Announced` names it, or they are nobody's."""
        campaign = running.campaign
        news = News(
            what=what,
            campaign_id=campaign.id,
            name=campaign.name,
            detail=detail,
            stage=stage,
            counters=dict(running.counters),
            at_s=now,
        )
        self._gathering.turn.news.append(news)


def confirmed(campaign: Campaign, number: int) -> bool:
    """Whether a stage may begin without anybody being asked, or has been confirmed."""
    asked = campaign.confirm is Confirm.STAGES or (campaign.confirm is Confirm.START and number == 1)
    return not asked or campaign.confirmed >= number


def check_start(start_s: float | None, now: float) -> None:
    """Raise ValueError for a time that is past: it was meant otherwise."""
    if start_s is not None and start_s < now - PAST_S:
        raise ValueError(f"start_s is past, by {instant(start_s)}: leave it out to begin at once")
