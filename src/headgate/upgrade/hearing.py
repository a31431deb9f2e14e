"""What devices do, as far as campaigns are concerned: each happening is one event of a task at most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
from headgate.upgrade.askers import Active, Asker, Left, Roster
from headgate.upgrade.asking import notified
from headgate.upgrade.containers import PURPOSE, Containers
from headgate.upgrade.events import (
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    Event,
    RegistrationExpired,
)
from headgate.upgrade.negotiator import Negotiator
from headgate.upgrade.object19 import DataObserved
from headgate.upgrade.questions import AnswerTo, Questions
from headgate.upgrade.records import registration_row
from headgate.upgrade.subscriptions import Subscriptions
from headgate.upgrade.task import Kind
from headgate.upgrade.turns import Gathering
from headgate.wire.pcp import UPLINK


class Hearing:
    """Takes happenings, one kind by one method."""

    def __init__(
        self,
        *,
        gathering: Gathering,
        roster: Roster,
        subscriptions: Subscriptions,
        questions: Questions,
        negotiator: Negotiator,
        containers: Containers,
    ) -> None:
        self._gathering = gathering
        self._roster = roster
        self._subscriptions = subscriptions
        self._questions = questions
        self._negotiator = negotiator
        self._containers = containers
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

    def take(self, happening: Happening, now: float) -> None:
        """One thing that a device did; the registration that it changed is kept."""
        self._takers[type(happening)](happening, now)
        if happening.changed is not None:
            self._put(happening.changed, now)

    def gone(self, endpoint: str, what: str, event: Event, now: float, detail: str = "") -> None:
        """A device is not registered any more: what became of it is said by `what`."""
        self._gathering.delete(tables.devices, (endpoint,))
        self._gathering.log(now, what, detail, endpoint=endpoint)
        self._happens(endpoint, event, now)
        self._containers.gone(endpoint, now)

    # -- one by one --

    def _registered(self, happening: Registered, now: float) -> None:
        self._put(happening.after, now)
        self._gathering.log(
            now, "registered", happening.after.location, endpoint=happening.endpoint, step=None
        )
        self._subscriptions.registered(happening.endpoint)
        self._happens(happening.endpoint, DeviceRegistered(), now)
        self._containers.registered(happening, now)

    def _updated(self, happening: Updated, now: float) -> None:
        self._put(happening.after, now)
        self._happens(happening.endpoint, DeviceHeard(), now)

    def _deregistered(self, happening: Deregistered, now: float) -> None:
        self.gone(happening.endpoint, "deregistered", DeviceDeregistered(), now)

    def _expired(self, happening: Expired, now: float) -> None:
        self.gone(happening.endpoint, "registration expired", RegistrationExpired(), now)

    def _notified(self, happening: Notified, now: float) -> None:
        if happening.path == UPLINK and self._containers.notified(happening, now):
            return
        event = notified(happening)
        active = self._roster.active.get(happening.endpoint)
        if type(event) is not DeviceHeard and (active is None or active.task.plan.kind is not Kind.FIRMWARE):
            # The token of an earlier task: it lives on until that has nothing left.
            self._gathering.log(now, "notified without a task", str(event), endpoint=happening.endpoint)
            event = DeviceHeard()
        self._happens(happening.endpoint, event, now)

    def _unmatched(self, happening: Unmatched, now: float) -> None:
        self._containers.unmatched(happening.endpoint, now)
        self._happens(happening.endpoint, DeviceHeard(), now)

    def _heard(self, happening: Happening, now: float) -> None:
        self._happens(happening.endpoint, DeviceHeard(), now)

    def _told(self, happening: AnswerTo, now: float) -> None:
        if happening.command.purpose == PURPOSE:
            self._containers.told(happening, now)
        told = self._questions.told(happening, now)
        self._answered(told, happening, now)
        if isinstance(happening, Observed) and happening.command.path == UPLINK:
            self._containers.overtaken(happening, now)

    def _answered(self, told: tuple[Asker, Event] | None, happening: AnswerTo, now: float) -> None:
        if told is None:
            if not isinstance(happening, Unanswered):
                self._happens(happening.endpoint, DeviceHeard(), now)
            return
        asker, event = told
        if isinstance(asker, Active):
            if type(event) is DataObserved:
                self._negotiator.subscribed(asker)
            self._negotiator.happens(asker, event, now)
        elif isinstance(asker, Left):
            self._negotiator.tidy(asker)
            if not isinstance(happening, Unanswered):
                self._happens(happening.endpoint, DeviceHeard(), now)

    def _happens(self, endpoint: str, event: Event, now: float) -> None:
        active = self._roster.active.get(endpoint)
        if active is not None:
            self._negotiator.happens(active, event, now)

    def _put(self, registration: Registration, now: float) -> None:
        self._gathering.put(tables.devices, registration_row(registration, heard_s=now))
