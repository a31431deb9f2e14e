"""The orchestrator: what devices do becomes events of tasks, what tasks ask for becomes commands to devices.

    happened, downloading, expire, start, cancel, stop     what comes in, each with its time
    turn -> the caller commits turn.batch -> committed     store first, then act

Invariants
 1. Nothing leaves before the turn that it belongs to is committed: no answer to a device, no command, no
    grant. What is not owed to a change (an uplink that changes nothing) is answered at once.
 2. One uplink is one event of one task at most.
 3. A device has at most one active task.
 4. What gathers while nothing can be committed is bounded (`gathered_max`): beyond it, what happens is not
    taken. Not being answered, the device repeats it; a command that it answered is asked for again.
 5. A crash at any instant is the loss of the turns that were not committed: `restoring` makes the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.lwm2m.server import LwM2mServer

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from headgate.engine.timers import Timed, Timers
from headgate.errors import CampaignStateError
from headgate.lwm2m.happenings import (
    Answered,
    Deregistered,
    Expired,
    Happening,
    Heard,
    Notified,
    Observed,
    Refused,
    Registered,
    Sent,
    Unanswered,
    Unmatched,
    Updated,
    WasReset,
)
from headgate.lwm2m.registration import Registration
from headgate.store import tables
from headgate.upgrade.admission import Admission, Limits, Occupancy
from headgate.upgrade.announcements import OUTBOX_MAX, Announcements
from headgate.upgrade.askers import Active, Asker, Left, Roster, Running
from headgate.upgrade.asking import notified
from headgate.upgrade.attempts import Failed
from headgate.upgrade.campaign import Campaign, Counts
from headgate.upgrade.campaigns import Campaigns
from headgate.upgrade.containers import PURPOSE, Containers, Observing
from headgate.upgrade.events import (
    DeadlinePassed,
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    Event,
    RegistrationExpired,
    TaskCancelled,
)
from headgate.upgrade.explanation import explained, withheld
from headgate.upgrade.negotiator import Downloads, Negotiator
from headgate.upgrade.notices import Notices
from headgate.upgrade.object19 import DataObserved
from headgate.upgrade.places import waits_until
from headgate.upgrade.questions import AnswerTo, Questions
from headgate.upgrade.radio import RadioRules
from headgate.upgrade.records import registration_row
from headgate.upgrade.subscriptions import Subscriptions
from headgate.upgrade.task import HOUR_S, Kind, State
from headgate.upgrade.turns import Gathering, Turn
from headgate.wire.pcp import UPLINK

COUNTED = (
    "not taken",
    "commands crowded out",
    "pcp_messages",
    "pcp_ordinary",
    "pcp_suspect",
    "pcp_malformed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorSettings:
    """What the orchestrator is bounded by."""

    keep_s: float = 24 * HOUR_S
    """How long a package is served to a device after its task, and what is left to undo is kept."""
    observing: Observing = Observing.TASKS
    """Which devices are observed at 19/0/0."""
    work_max: int = 1000
    """Tasks that one `expire` makes, activates or cancels."""
    work_rows_max: int = 8_000
    """Changes in a turn up to which such work goes on: the next turn takes the rest."""
    gathered_max: int = 200_000
    """Changes in a turn that is not taken, as while the store fails: beyond, nothing is taken from devices,
    no deadline passes and no work goes on."""
    outbox_max: int = OUTBOX_MAX
    """Events that are kept for one web hook."""


class Orchestrator:
    """All campaigns of one process, sans-IO."""

    def __init__(
        self,
        *,
        lwm2m: LwM2mServer,
        downloads: Downloads,
        limits: Limits | None = None,
        radio: RadioRules | None = None,
        settings: OrchestratorSettings | None = None,
    ) -> None:
        self._lwm2m = lwm2m
        self.settings = settings or OrchestratorSettings()
        self.counts = Counter(dict.fromkeys(COUNTED, 0))
        """How often what a device did was not taken, as the store was behind; how often a command had to
        wait, as too many others did for its device; and what came in notifications of 19/0/0."""
        self.gathering = Gathering()
        self.announcements = Announcements(self.gathering, outbox_max=self.settings.outbox_max)
        self.timers = Timers()
        self.roster = Roster()
        self.subscriptions = Subscriptions(lwm2m, self.gathering)
        self.notices = Notices(self.gathering, keep_s=self.settings.keep_s)
        self.questions = Questions(
            lwm2m,
            self.gathering,
            self.roster,
            self.subscriptions,
            radio or RadioRules(),
            downloads.body,
            self.counts,
        )
        self.negotiator = Negotiator(
            lwm2m=lwm2m,
            downloads=downloads,
            admission=Admission(limits or Limits()),
            gathering=self.gathering,
            questions=self.questions,
            subscriptions=self.subscriptions,
            notices=self.notices,
            roster=self.roster,
            timers=self.timers,
            keep_s=self.settings.keep_s,
        )
        self.containers = Containers(
            lwm2m,
            subscriptions=self.subscriptions,
            notices=self.notices,
            negotiator=self.negotiator,
            gathering=self.gathering,
            roster=self.roster,
            counts=self.counts,
            observing=self.settings.observing,
        )
        self.campaigns = Campaigns(
            negotiator=self.negotiator,
            downloads=downloads,
            gathering=self.gathering,
            questions=self.questions,
            roster=self.roster,
            timers=self.timers,
            awake=lwm2m.awake,
        )
        self._takers: dict[type[Happening], Callable[[Any, float], None]] = {
            Registered: self._registered,
            Updated: self._updated,
            Deregistered: self._deregistered,
            Expired: self._expired,
            Notified: self._notified,
            Unmatched: self._unmatched,
            Sent: self._heard,
            Heard: self._heard,
            **dict.fromkeys((Answered, Observed, Refused, WasReset, Unanswered), self._told),
        }

    # -- what comes in --

    def happened(self, happening: Happening, now: float) -> bool:
        """One thing that a device did; False: it was not taken, and the device will have to repeat it."""
        if self._full and not isinstance(happening, Expired | Unanswered):
            self.counts["not taken"] += 1
            if isinstance(happening, Answered | Observed | Refused | WasReset):
                self.questions.untaken(happening)
            return False
        gathering = self.gathering
        before = gathering.turn.changes
        self._takers[type(happening)](happening, now)
        if happening.changed is not None:
            self._put(happening.changed, now)
        self._settle(now)
        if isinstance(happening, Unmatched) and happening.endpoint not in self.roster.active:
            self._lwm2m.reject(happening, now)
        elif gathering.turn.changes == before:
            self._lwm2m.confirm(happening, now)
        else:
            gathering.turn.confirmed.append(happening)
        return True

    def downloading(self, endpoint: str, pid: bytes, started: bool, now: float) -> None:
        """The device asked for the first block of a package, or for more than ever before."""
        self._lwm2m.heard(endpoint, now)
        active = self.roster.active.get(endpoint)
        if active is not None and active.task.plan.pid == pid and not self._full:
            event = DownloadStarted() if started else DownloadProgressed()
            self.negotiator.happens(active, event, now)
            self._settle(now)

    def expire(self, now: float) -> None:
        """Do what is due, and some of the work on campaigns."""
        while not self._full and (item := self.timers.take_due(now)) is not None:
            self._due(item, now)
        if self._may_work:
            self.campaigns.work(self.settings.work_max, now)
        self._settle(now)

    def next_timer(self) -> float | None:
        """When to call `expire`, perhaps a time that is past; None: not before something else happens."""
        if self._full:
            return None
        if self.campaigns.working and self._may_work:
            return 0.0
        times = (self.timers.next(), self.negotiator.admission.next_silent())
        return min((time for time in times if time is not None), default=None)

    def start(self, campaign: Campaign, endpoints: Iterable[str], now: float) -> None:
        """Make a task for each device, chunk by chunk; when all are there they begin.

        The devices need not have registered. ValueError: one comes twice, or none at all.
        """
        self.campaigns.start(campaign, endpoints, now)

    def stop(self, campaign_id: str, by: str, now: float) -> bool:
        """Cancel what is left of a campaign; False where it is through already."""
        running = self.roster.running.get(campaign_id)
        if running is None or running.campaign.state.terminal:
            return False
        self.campaigns.stop(running, by, now)
        return True

    def pause(self, campaign_id: str, reason: str, by: str, now: float) -> None:
        """Begin nothing of a campaign any more. Raises CampaignStateError."""
        self.campaigns.course.pause(self._under_way(campaign_id), reason, by, now)
        self._settle(now)

    def resume(self, campaign_id: str, by: str, now: float) -> None:
        """Go on with a paused campaign. Raises CampaignStateError."""
        self.campaigns.resume(self._under_way(campaign_id), by, now)
        self._settle(now)

    def confirm(self, campaign_id: str, by: str, now: float) -> None:
        """Let the stage begin that waits for it. Raises CampaignStateError."""
        self.campaigns.course.confirm(self._under_way(campaign_id), by, now)
        self._settle(now)

    def edit(self, campaign_id: str, changes: dict[str, Any], by: str, now: float) -> None:
        """Change fields of a campaign. Raises CampaignStateError, and ValueError for a start that is past."""
        self.campaigns.course.edit(self._under_way(campaign_id), changes, by, now)
        self._settle(now)

    def retry(
        self, running: Running, failed: list[Failed], by: str, now: float, done: Callable[[float], None]
    ) -> None:
        """Try failed devices again, of a campaign that may have ended; `done` when their tasks are made."""
        self.campaigns.retry(running, failed, by, now, done)
        self._settle(now)

    def _under_way(self, campaign_id: str) -> Running:
        running = self.roster.running.get(campaign_id)
        if running is None:
            raise CampaignStateError(f"campaign {campaign_id} is through")
        return running

    def cancel(self, task_id: str, by: str, now: float) -> bool:
        """End a task; False where it is over already."""
        active = self.roster.askers.get(task_id)
        if not isinstance(active, Active):
            return False
        self.negotiator.happens(active, TaskCancelled(by=by), now)
        self._settle(now)
        return True

    def maintain(self, endpoint: str, what: str) -> bool:
        """A maintenance command begins, unless the device is busy. Tasks that would begin now fail."""
        if endpoint in self.roster.active or endpoint in self.campaigns.attempts.maintained:
            return False
        self.campaigns.attempts.maintained[endpoint] = what
        return True

    def maintained(self, endpoint: str) -> None:
        """It is over."""
        self.campaigns.attempts.maintained.pop(endpoint, None)

    # -- what goes out --

    def turn(self) -> Turn | None:
        """Everything since the last turn: commit its batch, then say so by `committed`, turn after turn."""
        self.announcements.gather(self.gathering.turn)
        return self.gathering.take()

    def committed(self, turn: Turn, now: float) -> None:
        """The turn is on disk: devices are answered, commands leave, packages are granted."""
        for happening in turn.confirmed:
            self._lwm2m.confirm(happening, now)
        for act in turn.acts:
            act(now)
        self.questions.committed(now)

    def explain(self, endpoint: str, now: float) -> str:
        """Why the device stands where it stands, in one sentence."""
        active = self.roster.active.get(endpoint)
        device = self._lwm2m.explain(endpoint, now)
        if active is None:
            return f"no active task; {device}"
        place = self.negotiator.admission.explain(active.task_id)
        task, campaign = active.task, active.running.campaign
        return explained(
            task,
            place,
            device,
            now,
            withheld=withheld(campaign, active.stage, task, now),
            until_s=waits_until(active) if task.state is State.WAIT_SLOT else None,
        )

    def counts_of(self, campaign_id: str) -> Counts | None:
        """How a campaign stands; None where it is through: the store knows."""
        running = self.roster.running.get(campaign_id)
        return None if running is None else running.counts

    def campaign(self, campaign_id: str) -> Campaign | None:
        """A campaign that is not through."""
        running = self.roster.running.get(campaign_id)
        return None if running is None else running.campaign

    def occupancy(self) -> Iterable[Occupancy]:
        """The slots of all cells that have holders or a line."""
        return self.negotiator.admission.occupancy()

    @property
    def gathered(self) -> int:
        """Changes that wait to be committed, the turn that was handed out not among them."""
        return self.gathering.turn.changes

    # -- happenings --

    def _registered(self, happening: Registered, now: float) -> None:
        self._put(happening.after, now)
        self.gathering.log(
            now, "registered", happening.after.location, endpoint=happening.endpoint, step=None
        )
        self.subscriptions.registered(happening.endpoint)
        self._happens(happening.endpoint, DeviceRegistered(), now)
        self.containers.registered(happening, now)

    def _updated(self, happening: Updated, now: float) -> None:
        self._put(happening.after, now)
        self._happens(happening.endpoint, DeviceHeard(), now)

    def _deregistered(self, happening: Deregistered, now: float) -> None:
        self._gone(happening.endpoint, "deregistered", DeviceDeregistered(), now)

    def _expired(self, happening: Expired, now: float) -> None:
        self._gone(happening.endpoint, "registration expired", RegistrationExpired(), now)

    def _gone(self, endpoint: str, what: str, event: Event, now: float) -> None:
        self.gathering.delete(tables.devices, (endpoint,))
        self.gathering.log(now, what, endpoint=endpoint)
        self._happens(endpoint, event, now)
        self.containers.gone(endpoint)

    def _notified(self, happening: Notified, now: float) -> None:
        if happening.path == UPLINK and self.containers.notified(happening, now):
            return
        event = notified(happening)
        active = self.roster.active.get(happening.endpoint)
        if type(event) is not DeviceHeard and (active is None or active.task.plan.kind is not Kind.FIRMWARE):
            # The token of an earlier task: it lives on until that has nothing left.
            self.gathering.log(now, "notified without a task", str(event), endpoint=happening.endpoint)
            event = DeviceHeard()
        self._happens(happening.endpoint, event, now)

    def _unmatched(self, happening: Unmatched, now: float) -> None:
        self.containers.unmatched(happening.endpoint, now)
        self._happens(happening.endpoint, DeviceHeard(), now)

    def _heard(self, happening: Happening, now: float) -> None:
        self._happens(happening.endpoint, DeviceHeard(), now)

    def _told(self, happening: AnswerTo, now: float) -> None:
        if happening.command.purpose == PURPOSE:
            self.containers.told(happening, now)
        told = self.questions.told(happening, now)
        self._answered(told, happening, now)
        if isinstance(happening, Observed) and happening.command.path == UPLINK:
            self.containers.overtaken(happening, now)

    def _answered(self, told: tuple[Asker, Event] | None, happening: AnswerTo, now: float) -> None:
        if told is None:
            if not isinstance(happening, Unanswered):
                self._happens(happening.endpoint, DeviceHeard(), now)
            return
        asker, event = told
        if isinstance(asker, Active):
            if type(event) is DataObserved:
                self.negotiator.subscribed(asker)
            self.negotiator.happens(asker, event, now)
        elif isinstance(asker, Left):
            self.negotiator.tidy(asker)
            if not isinstance(happening, Unanswered):
                self._happens(happening.endpoint, DeviceHeard(), now)

    def _happens(self, endpoint: str, event: Event, now: float) -> None:
        active = self.roster.active.get(endpoint)
        if active is not None:
            self.negotiator.happens(active, event, now)

    def _put(self, registration: Registration, now: float) -> None:
        self.gathering.put(tables.devices, registration_row(registration, heard_s=now))

    # -- helpers --

    def _due(self, item: Timed, now: float) -> None:
        match item:
            case Active() if self.negotiator.places.patient(item, now):
                pass
            case Active():
                self.negotiator.happens(item, DeadlinePassed(), now)
                if not item.task.state.terminal and item.task.deadline_s is not None:
                    self.timers.set(item, item.task.deadline_s)
            case Left():
                self.negotiator.due(item, now)
            case Running():
                self.campaigns.course.due(item, now)

    def _settle(self, now: float) -> None:
        """What follows from what has just happened, for others too. A campaign may pause: slots come last."""
        self.campaigns.settle(now)
        self.negotiator.admit(now)

    @property
    def _full(self) -> bool:
        return self.gathering.turn.changes >= self.settings.gathered_max

    @property
    def _may_work(self) -> bool:
        return self.gathering.turn.changes < self.settings.work_rows_max
