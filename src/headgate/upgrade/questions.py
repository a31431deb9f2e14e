"""The commands of tasks: asked once they are committed, one for equal effects, until answered or not wanted.

Invariants
 1. A command leaves only after its effect's row was committed, and the row is deleted in the transaction that
    stores what came of it.
 2. A command of a state that was left stays only where the new state still wants its answer. What changes the
    device is wanted nowhere but where it is asked for: an Execute never outlives EXECUTE.
 3. Not asking needs no commit: what is not wanted is dropped at once, and a crash merely asks it once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headgate.lwm2m.server import LwM2mServer

from collections.abc import Callable, Mapping
from functools import partial

from headgate.errors import CommandLimitError
from headgate.lwm2m.commands import Command
from headgate.lwm2m.happenings import Answered, Observed, Refused, Unanswered, WasReset
from headgate.store import tables
from headgate.upgrade import TABLES
from headgate.upgrade.askers import Asker, Pending, Roster
from headgate.upgrade.asking import STATE, answer_of, commands_of, instead_of, profile_of, refusal_of
from headgate.upgrade.events import (
    CellReported,
    CommandReset,
    CommandUnanswered,
    DeviceHeard,
    Effect,
    Event,
    RadioReported,
    ReadCell,
    ReadRadio,
    VersionReported,
)
from headgate.upgrade.frames import SAID, Body
from headgate.upgrade.object5 import (
    ObserveState,
    PackageReported,
    ReadPackage,
    ReadResult,
    ReadState,
    ReadVersion,
    ResultReported,
    StateReported,
)
from headgate.upgrade.object19 import ANSWERS as REPLIES
from headgate.upgrade.object19 import SubscribeData
from headgate.upgrade.radio import RadioRules
from headgate.upgrade.records import effect_text
from headgate.upgrade.subscriptions import NOT_MADE_S, Subscriptions
from headgate.upgrade.task import Mark, Task
from headgate.upgrade.turns import Gathering
from headgate.wire.pcp import UPLINK
from headgate.wire.resources import Path

ANSWERS: Mapping[type[Effect], type[Event]] = {
    ReadVersion: VersionReported,
    ReadRadio: RadioReported,
    ReadCell: CellReported,
    ReadState: StateReported,
    ReadPackage: PackageReported,
    ReadResult: ResultReported,
}
"""Of what changes nothing in the device."""

OBSERVED: Mapping[type[Effect], Path] = {SubscribeData: UPLINK, ObserveState: STATE}
"""Effects that are Observes, and of what."""

AnswerTo = Answered | Observed | Refused | WasReset | Unanswered


def wanted(effect: Effect, task: Task) -> bool:
    """Whether a task still wants the answer to what an earlier state of it asked: invariant 2.

    An observation of its State is wanted from OBSERVE to the end, whichever state asked for it, and one of
    its data after the end too.
    """
    if isinstance(effect, SubscribeData):
        return True
    row = TABLES[task.plan.kind].rows[task.state]
    if isinstance(effect, ObserveState):
        return Mark.OBSERVED in task.marks and not task.state.terminal
    answer = ANSWERS.get(type(effect))
    return type(effect) in row.asking() if answer is None else answer not in row.ignored


class Questions:
    """All commands under way."""

    def __init__(
        self,
        lwm2m: LwM2mServer,
        gathering: Gathering,
        roster: Roster,
        subscriptions: Subscriptions,
        rules: RadioRules,
        body: Callable[[bytes], Body | None],
        counts: dict[str, int],
    ) -> None:
        """`body` has the bytes of a package, if they are at hand."""
        self._counts = counts
        self._lwm2m = lwm2m
        self._gathering = gathering
        self._roster = roster
        self._subscriptions = subscriptions
        self._rules = rules
        self._body = body
        self._last_id = 0
        self._untaken: list[AnswerTo] = []
        self._crowded: list[tuple[Asker, Pending]] = []

    def new_id(self) -> int:
        """The key of a new row of `effects`."""
        self._last_id += 1
        return self._last_id

    def known_id(self, id: int) -> None:
        """A key that an earlier process used."""
        self._last_id = max(self._last_id, id)

    def ask(self, asker: Asker, effect: Effect, now: float) -> None:
        """Let the device be asked, after the commit. What is being asked already is not asked twice."""
        if effect in asker.pending:
            return
        if type(effect) in REPLIES:
            pending = asker.pending[effect] = Pending(0, effect, asker.state)
            self._gathering.act(partial(self.send, asker, pending))
            return
        pending = Pending(self.new_id(), effect, asker.state)
        asker.pending[effect] = pending
        self._draw(asker, pending)
        self._gathering.put(
            tables.effects,
            {
                "id": pending.id,
                "task_id": asker.task_id,
                "endpoint": asker.endpoint,
                "effect": type(effect).__name__,
                "arguments": effect_text(effect),
                "asked_s": now,
                "due_s": None,
            },
        )
        self._gathering.act(partial(self.send, asker, pending))

    def put_behind(self, asker: Asker, now: float) -> None:
        """Let the device be observed before it is asked what it answers by a notification."""
        for pending in asker.pending.values():
            if type(pending.effect) in SAID and pending.commands:
                for command in pending.commands:
                    self._lwm2m.drop(asker.endpoint, command, now)
                self._gathering.act(partial(self.send, asker, pending))

    def send(self, asker: Asker, pending: Pending, now: float) -> None:
        """Hand the commands over, unless they have been dropped since. Equal commands are one.

        Where other people's commands leave no room they wait for a later commit.
        """
        if asker.pending.get(pending.effect) is not pending:
            return
        registration = self._lwm2m.registration(asker.endpoint)
        if not pending.commands:
            pending.commands = commands_of(
                pending.effect,
                task_id=asker.task_id,
                registration=registration,
                token=asker.tokens[-1] if asker.tokens else None,
                drawn=pending.drawn,
                plan=asker.plan,
                body=None if asker.plan is None else self._body(asker.plan.pid),
            )
            if not pending.commands:
                self.drop(asker, pending, now)
                return
        profile = profile_of(asker.radio, registration)
        for command in pending.commands:
            if command.path not in pending.answers:
                try:
                    self._lwm2m.ask(asker.endpoint, command, now=now, profile=profile)
                except CommandLimitError:
                    self._counts["commands crowded out"] += 1
                    if type(pending.effect) in REPLIES:
                        self.drop(asker, pending, now)
                    else:
                        self._crowded.append((asker, pending))
                    return

    def drop(self, asker: Asker, pending: Pending, now: float, *, done: Command | None = None) -> None:
        """Neither ask nor expect it any more; `done` is over in any case."""
        del asker.pending[pending.effect]
        if pending.drawn is not None:
            self._gathering.delete(tables.observations, (pending.drawn,))
            self._gathering.act(partial(self._lwm2m.forget, pending.drawn))
        for command in pending.commands:
            if command is not done and command.path not in pending.answers:
                self._lwm2m.drop(asker.endpoint, command, now)
        if pending.id:
            self._gathering.delete(tables.effects, (pending.id,))

    def told(self, happening: AnswerTo, now: float) -> tuple[Asker, Event] | None:
        """Whose command something came of, and which event that is; None where nobody waits for it."""
        command = happening.command
        asker = self._roster.askers.get(command.purpose)
        pending = None if asker is None else pending_of(asker, command)
        if asker is None or pending is None:
            return None
        match happening:
            case Unanswered() if type(pending.effect) in REPLIES:
                self.drop(asker, pending, now)
                return None
            case Unanswered():
                return asker, self._lost(asker, pending, now)
            case WasReset() if type(pending.effect) in REPLIES:
                return asker, self._refused(asker, pending, command, "", now)
            case WasReset():
                self.drop(asker, pending, now, done=command)
                return asker, CommandReset(command=str(command.path)[1:])
            case Refused(code=code):
                return asker, self._refused(asker, pending, command, code, now)
        answers = {**pending.answers, command.path: happening}
        whole = len(answers) == len(pending.commands)
        # Read before anything is changed: what a device says may find a bug, and that costs its message.
        event = answer_of(pending.effect, answers, self._rules) if whole else DeviceHeard()
        match happening:
            case Observed(token=token, observing=observing) if type(pending.effect) is SubscribeData:
                if observing:
                    self._answered_under(pending, token)
                    self._subscriptions.observed(asker.endpoint, token, asker.task_id, now)
                else:
                    self._gathering.act(partial(self._lwm2m.forget, token))
            case Observed(token=token):
                self._answered_under(pending, token)
                self._observes(asker, token, now)
        pending.answers[command.path] = happening
        if whole:
            self.drop(asker, pending, now)
        return asker, event

    def untaken(self, happening: AnswerTo) -> None:
        """An answer that could not be stored: when something can be, the device is asked again.

        Only then is it answered, if it awaits that: the next command would follow.
        """
        self._untaken.append(happening)

    def committed(self, now: float) -> None:
        """Something was stored: what could not be before, or found no room, is asked for again."""
        untaken, self._untaken = self._untaken, []
        for happening in untaken:
            self._lwm2m.confirm(happening, now)
            asker = self._roster.askers.get(happening.command.purpose)
            pending = None if asker is None else pending_of(asker, happening.command)
            if asker is not None and pending is not None:
                self.send(asker, pending, now)
        crowded, self._crowded = self._crowded, []
        for each, waiting in crowded:
            self.send(each, waiting, now)

    def forget(self, asker: Asker) -> None:
        """Let the tokens of its observations die."""
        for token in asker.tokens:
            self._gathering.delete(tables.observations, (token,))
            self._gathering.act(partial(self._lwm2m.forget, token))
        asker.tokens.clear()

    def _draw(self, asker: Asker, pending: Pending) -> None:
        """Store the token of an Observe before that leaves: what it brings is known after a kill, too."""
        path = OBSERVED.get(type(pending.effect))
        if path is not None:
            pending.drawn = self._lwm2m.new_token()
            self._put_observation(asker, path, pending.drawn, NOT_MADE_S)

    def _answered_under(self, pending: Pending, token: bytes) -> None:
        """The observation has this token. Of another one, under which it left first, nothing is kept."""
        if pending.drawn is not None and pending.drawn != token:
            self._gathering.delete(tables.observations, (pending.drawn,))
        pending.drawn = None

    def _observes(self, asker: Asker, token: bytes, now: float) -> None:
        asker.tokens.append(token)
        self._put_observation(asker, STATE, token, now)

    def _put_observation(self, asker: Asker, path: Path, token: bytes, made_s: float) -> None:
        self._gathering.put(
            tables.observations,
            {
                "token": token,
                "endpoint": asker.endpoint,
                "path": str(path),
                "task_id": asker.task_id,
                "made_s": made_s,
            },
        )

    def _lost(self, asker: Asker, pending: Pending, now: float) -> Event:
        """It stays queued, but for a question of an earlier state, behind which others wait; and what is left
        after the end is tried once.
        """
        if asker.state is None or (
            pending.asked_in is not asker.state
            and not isinstance(pending.effect, ObserveState | SubscribeData)
        ):
            self.drop(asker, pending, now)
        return CommandUnanswered()

    def _refused(self, asker: Asker, pending: Pending, command: Command, code: str, now: float) -> Event:
        other = instead_of(pending.effect, command)
        if other is None:
            self.drop(asker, pending, now, done=command)
            return refusal_of(pending.effect, code)
        pending.commands = (other,)
        self._gathering.act(partial(self.send, asker, pending))
        return DeviceHeard()


def pending_of(asker: Asker, command: Command) -> Pending | None:
    """What the command was sent for."""
    for pending in asker.pending.values():
        if command in pending.commands:
            return pending
    return None
