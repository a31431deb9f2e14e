"""How a negotiation is driven: a table of rows, and `advance(task, event, now) -> (task, effects)`.

Two rules for the tables of this room: a row says everything about its state, and nothing here does anything.
There is no I/O, no clock (`now` is handed in, seconds since the epoch), no randomness; what must be done
comes out as effects, in the order in which it must be done.

    events.py    what happens, what is asked for        task.py        what is kept
    table.py     what the rows are made of
    opening.py   the shared rows up to the slot         rows.py        those after it
    firmware.py  the firmware table                     software.py    the software table

The states. Between the broken lines a slot of the cell is held.

    CREATED --> WAIT_ONLINE --> QUERY_VERSION --> QUERY_RADIO --> QUERY_CELL
                                     |                 |              |
                                     |                 v              |
                                     |             WAIT_SLOT <--------+ <------ another class, or silent
    - - - - - - - - - - - - - - - - -|- - - - - - - - -|- - - - - - - - - - - - - - - - ^ - - - - - - - - -
                                     |                 v                                |
                                     |          (WAIT_AWAKE) --> (REQUERY_RADIO, REQUERY_CELL)
                                     |                 v
                                     |   OBSERVE --> (COMPARE, CLEAR_URI) --> WRITE_URI <--> CHECK_URI
                                     |                                            v
                                     |                           WAIT_START --> DOWNLOADING
                                     |                                            v
                                     |                       CHECK_EXECUTE <--> EXECUTE
                                     |                                            v
                                     |   WAIT_RESULT <--> READ_RESULT <-------> UPDATING --> CHECK
                                     |                         v                               |
                                     |                     UNOBSERVE                           |
    - - - - - - - - - - - - - - - - -|- - - - - - - - - - - - -|- - - - - - - - - - - - - - - -|- - - - - - -
                                     v                         v                               v
                                 DONE_SAME                  SUCCESS                   SUCCESS or FAILED

That is firmware. Software has SUBSCRIBE after QUERY_VERSION, and between the slot and UPDATING

    NOTIFY --> WAIT_START (--> COMPARE) --> DOWNLOADING --> EXECUTE (--> CHECK_EXECUTE)

FAILED and CANCELLED are entered from everywhere. `docs/negotiation.md` is drawn from the tables themselves.

Invariants
 1. A terminal state is never left, and nothing in its task changes any more.
 2. A slot is held in the states of HOLDING and in no others. They are entered from WAIT_SLOT by SlotGranted
    alone, and left only for WAIT_SLOT or a terminal state.
 3. One deadline is armed in every state; none in CREATED and in the terminal states.
 4. A failure is set in FAILED alone, and always with its detail.
 5. What `advance` asks for is what the event's entry and the row of the state entered declare, nothing else.
 6. No URI is written before 5/0/3 was observed in the same task.
 7. What may be repeated has its Marks, and ends when they are used up.
 8. Every (state, event) has its entry, IGNORED where nothing happens.
 9. Every task ends: a state's deadline moves only with the device's own progress, a wait for a slot counts
    against one T_online, and repetitions are marked or count against their stage's timer.

What may be trusted in each state, beside what could be trusted before
    CREATED        the plan
    WAIT_ONLINE    no other task of the device is active
    QUERY_VERSION  the device was online when this began
    SUBSCRIBE      `version` is what it runs, and came by an observation of 19/0/0
    QUERY_RADIO    `version` is what it runs: not the target, and one that may be upgraded from
    QUERY_CELL     its signal was not to be had; `radio` may hold its network
    WAIT_SLOT      `radio` has cell and class; `queued_s` is the place in their line
    WAIT_AWAKE     the slot is this task's; the device has not been heard since
    REQUERY_*      the device is awake; `radio` says whose slot it is, though perhaps not where the device is
    NOTIFY         the same as OBSERVE; the edge answers segment requests from here on
    OBSERVE        the device is awake, its cell and class are no older than 10 minutes
    COMPARE        5/0/3 is observed; its State was Downloaded. Software: it said that it has the newest
    CLEAR_URI      5/0/3 is observed; its State was not Idle
    WRITE_URI      its State was Idle or has been reset; the edge serves the URI from here on
    CHECK_URI      `refused` is the code by which it refused the URI
    WAIT_START     it took the URI or the notification at `stage_s`; it has not begun
    DOWNLOADING    it has begun; `stage_s` is still when it took the URI
    EXECUTE        it said Downloaded; whether it heard of Execute is not known
    CHECK_EXECUTE  it refused Execute, or was not heard; why is not known. Software: it registered since 23
    WAIT_EXECUTE   it said Downloaded, and then Downloading: our acknowledgement was lost
    UPDATING       it took Execute at `stage_s`, or goes on by itself
    READ_RESULT    it may be through: `reading` is what it said since
    WAIT_RESULT    it said Idle, Result 0 and another version, as some do right after their reboot
    UNOBSERVE      the update succeeded
    CHECK          T_update is over, or it did not tell its result
    SUCCESS        Result 1, or the version is the target
    DONE_SAME      the version was the target before anything was done
    FAILED         `failure` and `detail`
    CANCELLED      `detail` says by whom
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from headgate.upgrade.events import (
    CommandReset,
    Conflicted,
    DeadlinePassed,
    DeviceDeregistered,
    Effect,
    Event,
    Refusal,
)
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.table import IGNORED, NOTHING, Choice, Decide, Failed, Ignored, Move, Row, Way, fail, go
from headgate.upgrade.task import OF_ONE_STATE, Kind, State, Task, evolved


class Negotiation:
    """A table, checked once, and driven."""

    def __init__(self, kind: Kind, rows: Mapping[State, Row], events: frozenset[type[Event]]) -> None:
        self.kind = kind
        self.rows: Mapping[State, Row] = MappingProxyType(dict(rows))
        self.events = events
        for state, row in rows.items():
            self._check(state, row)
        self._moves: dict[State, dict[type[Event], Move | Decide | None]] = {
            state: {
                **dict.fromkeys(row.ignored),
                **{event: driven(row, event, way) for event, way in row.ways()},
            }
            for state, row in rows.items()
        }

    def advance(self, task: Task, event: Event, now: float) -> tuple[Task, tuple[Effect, ...]]:
        """What becomes of the task, and what to do once that is committed.

        `event` came at `now`; what came before it was handed over before it.
        """
        move = self._moves[task.state][type(event)]
        if move is None:
            return task, ()
        if not isinstance(move, Move):
            move = move(task, event, now)
        if move.state is None:
            return (evolved(task, move.changes) if move.changes else task), move.effects
        return self._entered(task, move.state, move.changes, move.effects, now)

    def _entered(
        self, task: Task, state: State, changes: Mapping[str, Any], effects: tuple[Effect, ...], now: float
    ) -> tuple[Task, tuple[Effect, ...]]:
        row = self.rows[state]
        deadline_s: float | None = None
        same_stage = row.stage is not None and row.stage is self.rows[task.state].stage
        stage_s = task.stage_s if same_stage else now
        if row.deadline is not None:
            waiting_s = changes.get("waiting_s", task.waiting_s)
            timers = task.plan.timers
            deadline_s = row.deadline.ends_s(timers, now=now, stage_s=stage_s, waiting_s=waiting_s)
        all_changes = {
            **row.resets,
            "state": state,
            "entered_s": now,
            "stage_s": stage_s,
            "deadline_s": deadline_s,
            **changes,
        }
        marks = changes.get("marks", task.marks)
        if row.marks or not marks.isdisjoint(OF_ONE_STATE):
            all_changes["marks"] = marks - OF_ONE_STATE | row.marks
        task = evolved(task, all_changes)
        return task, effects + row.asks(task)

    def resume(self, task: Task) -> tuple[Effect, ...]:
        """What to ask for after a restart, beside what was committed and not done yet."""
        if task.state.terminal:
            return ()
        row = self.rows[task.state]
        return row.asks(task) if row.resume is None else row.resume

    def way(self, state: State, event: type[Event]) -> Way | Ignored:
        """The table's entry."""
        row = self.rows[state]
        if event in row.ignored:
            return IGNORED
        return dict(row.ways())[event]

    def leads(self, state: State, event: type[Event]) -> frozenset[State]:
        """The states in which the event may leave a task of that state."""
        match self.way(state, event):
            case State() as entered:
                leads, stays = {entered}, False
            case Failed():
                leads, stays = {State.FAILED}, False
            case Choice() as way:
                leads = {State.FAILED if isinstance(lead, Failure) else lead for lead in way.leads}
                stays = way.stays
            case Ignored.IGNORED:
                leads, stays = set(), True
        if stays or event is DeadlinePassed:  # which may come too early
            leads.add(state)
        return frozenset(leads)

    def _check(self, state: State, row: Row) -> None:
        """Invariants 1, 3 and 8, as far as a table can break them."""
        entries = [event for event, _ in row.ways()] + list(row.ignored)
        twice = {event.__name__ for event in entries if entries.count(event) > 1}
        missing = {event.__name__ for event in self.events.difference(entries)}
        foreign = {event.__name__ for event in set(entries) - self.events}
        assert not twice | missing | foreign, (
            f"{state}: {missing=}, {twice=} and {foreign=} should all be empty"
        )
        leads = {lead for event in entries for lead in self.leads(state, event)}
        assert leads <= self.rows.keys(), f"{state}: leads to {leads - self.rows.keys()}, which have no row"
        assert not state.terminal or leads == {state}, f"{state}: a terminal state leads to {leads}"
        clockless = state is State.CREATED or state.terminal
        assert (row.deadline is None) == clockless, (
            f"{state}: a deadline in all states that wait, in no other"
        )


def driven(row: Row, event: type[Event], way: Way) -> Move | Decide:
    """An entry in the form in which `advance` uses it."""
    match way:
        case State():
            decided: Move | Decide = go(way)
        case Failed(failure=failure):
            decided = failing(row, failure)
        case Choice(decide=decide):
            decided = decide
    return in_time(decided) if event is DeadlinePassed else decided


def in_time(decided: Move | Decide) -> Decide:
    """The same, but nothing before the deadline: timers fire early, or for a deadline that has moved."""

    def decide(task: Task, event: Event, now: float) -> Move:
        if task.deadline_s is None or now < task.deadline_s:
            return NOTHING
        return decided if isinstance(decided, Move) else decided(task, event, now)

    return decide


def failing(row: Row, failure: Failure) -> Decide:
    """Ends a task in that row's state, with that failure and what the event tells of it."""

    def decide(task: Task, event: Event, now: float) -> Move:
        match event:
            case Refusal():
                detail = Detail(at=row.at, code=event.code)
            case CommandReset():
                detail = Detail(at=event.command or row.at, code="RST")
            case Conflicted():
                detail = Detail(note=event.other or "the device is busy")
            case DeadlinePassed():
                detail = Detail(at=row.at, note=f"waited {now - task.entered_s:.0f} s for {row.waits}")
            case DeviceDeregistered():
                detail = Detail(note=f"deregistered while waiting for {row.waits}")
            case _:
                detail = Detail(note=f"registration expired while waiting for {row.waits}")
        return fail(failure, detail)

    return decide
