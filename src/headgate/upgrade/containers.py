"""Object 19 of all devices: what they tell at 19/0/0 goes to their tasks, or is answered without one.

Outside of tasks nothing is kept: a device repeats what it is not answered, and a command that is under way is
one, however often it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.lwm2m.server import LwM2mServer

from collections import Counter
from enum import StrEnum
from functools import partial

from headgate.errors import CommandLimitError
from headgate.lwm2m.commands import Command, Observe
from headgate.lwm2m.happenings import Notified, Observed, Registered, Unanswered
from headgate.upgrade.askers import Active, Roster
from headgate.upgrade.asking import profile_of
from headgate.upgrade.events import DeviceHeard, Event
from headgate.upgrade.frames import heard, saying, subscribing
from headgate.upgrade.negotiator import Negotiator
from headgate.upgrade.notices import Notices
from headgate.upgrade.object19 import EnsureSubscription
from headgate.upgrade.questions import AnswerTo
from headgate.upgrade.software_choices import outside
from headgate.upgrade.subscriptions import Subscriptions
from headgate.upgrade.task import Kind
from headgate.upgrade.turns import Gathering
from headgate.wire.pcp import UPLINK

PURPOSE = "object 19"
"""Of commands that are no task's."""


class Observing(StrEnum):
    """Which devices are observed at 19/0/0."""

    TASKS = "tasks"
    """Those that have a software task, from its first question on."""
    ALWAYS = "always"
    """All that have object 19, right after every Register, as the documented platform does."""


class Containers:
    """All of them."""

    def __init__(
        self,
        lwm2m: LwM2mServer,
        *,
        subscriptions: Subscriptions,
        notices: Notices,
        negotiator: Negotiator,
        gathering: Gathering,
        roster: Roster,
        counts: Counter[str],
        observing: Observing,
    ) -> None:
        self._lwm2m = lwm2m
        self._subscriptions = subscriptions
        self._notices = notices
        self._negotiator = negotiator
        self._gathering = gathering
        self._roster = roster
        self._counts = counts
        self._observing = observing

    def registered(self, happening: Registered, now: float) -> None:
        """A new Register, which its task has heard of. That observes anew where there is one.

        Who had one until a day ago may come back with its report, and repeats that until it is answered.
        """
        endpoint = happening.endpoint
        always = self._observing is Observing.ALWAYS and happening.after.objects.has(UPLINK[0])
        if (always or self._notices.owed(endpoint, now)) and self._task(endpoint) is None:
            self._ask(endpoint, subscribing(PURPOSE), now)

    def unmatched(self, endpoint: str, now: float) -> None:
        """It notifies under a token that nobody knows, perhaps of an Observe that an earlier process sent.

        Who has a task is observed anew, so that what it says can be told to be its own.
        """
        active = self._task(endpoint)
        if active is not None and self._subscriptions.stands(endpoint):
            self._subscriptions.registered(endpoint)
            self._negotiator.begin(active, EnsureSubscription(), now)

    def gone(self, endpoint: str, now: float) -> None:
        """The registration has ended. Who has a task may be back with the result of an upgrade."""
        if self._task(endpoint) is None:
            self._lwm2m.drop_all(endpoint, PURPOSE, now)
            self._subscriptions.forget(endpoint)

    def notified(self, happening: Notified, now: float) -> bool:
        """A notification of 19/0/0; returns whether a task was told. Several frames are several events."""
        endpoint = happening.endpoint
        if happening.ended:
            self._subscriptions.ended(endpoint, happening.token)
        return self._heard(endpoint, heard(happening, self._counts), now)

    def overtaken(self, happening: Observed, now: float) -> None:
        """The answer to an Observe that came by itself may be a notification, and the answer be late or
        lost. What is no frame is the answer; a module that reports as soon as it is observed says it once.
        """
        if happening.separate and happening.observing:
            counts: Counter[str] = Counter()
            said = heard(happening, counts)
            if said:
                self._counts.update(counts)
                self._heard(happening.endpoint, said, now)

    def _heard(self, endpoint: str, said: list[Event], now: float) -> bool:
        ours = self._task(endpoint) is not None
        for event in said if said or not ours else [DeviceHeard()]:
            active = self._task(endpoint)
            if active is not None:
                self._negotiator.happens(active, event, now)
            else:
                self._answer(endpoint, event, now)
        return ours

    def told(self, happening: AnswerTo, now: float) -> None:
        """What came of a command that is no task's."""
        command, endpoint = happening.command, happening.endpoint
        match happening:
            case Unanswered() if not isinstance(command, Observe):
                self._lwm2m.drop(endpoint, command, now)  # the device asks again
            case Observed(observing=True, token=token):
                self._subscriptions.observed(endpoint, token, None, now)
                active = self._task(endpoint)
                if active is not None:
                    self._negotiator.subscribed(active)
            case Observed(token=token):
                self._lwm2m.forget(token, now)

    def _answer(self, endpoint: str, event: Event, now: float) -> None:
        """What a device is owed that has no active software task. Its last one may be about to be stored."""
        known = endpoint in self._notices or self._subscriptions.task_id(endpoint) is not None
        for effect in outside(event, known=known):
            command = saying(effect, PURPOSE)
            assert command is not None, "no segment is served here"
            self._gathering.act(partial(self._ask, endpoint, command))

    def _ask(self, endpoint: str, command: Command, now: float) -> None:
        profile = profile_of(None, self._lwm2m.registration(endpoint))
        try:
            self._lwm2m.ask(endpoint, command, now=now, profile=profile)
        except CommandLimitError:
            self._counts["commands crowded out"] += 1

    def _task(self, endpoint: str) -> Active | None:
        """Its active software task."""
        active = self._roster.active.get(endpoint)
        return active if active is not None and active.task.plan.kind is Kind.SOFTWARE else None
