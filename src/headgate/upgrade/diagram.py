"""docs/negotiation.md, drawn from the tables: `python -m headgate.upgrade.diagram > docs/negotiation.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from headgate.upgrade import TABLES
from headgate.upgrade.events import DeadlinePassed, Event, TaskCancelled, Uplink
from headgate.upgrade.failure import BY_DEVICE, Failure
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.table import Choice, Failed, Row, Since, Way
from headgate.upgrade.task import State, Timers

HEAD = """\
# The negotiations

Drawn from the tables in the code: `python -m headgate.upgrade.diagram > docs/negotiation.md`. A test compares
the two. What may be trusted in each state is written at the head of `src/headgate/upgrade/negotiation.py`.

An operator's `TaskCancelled` leads to CANCELLED from every state that is not an end. Times are the defaults.
A time "of a stage" counts from entering the first state of that stage, all others from entering their own.
"""

UNITS = ((3600, "h"), (60, "min"), (1, "s"))


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for table in TABLES.values() for line in chapter(table))])


def chapter(table: Negotiation) -> Iterator[str]:
    """One negotiation: the picture, what is asked, where events lead, where failures come from."""
    yield f"## {table.kind.capitalize()}\n"
    yield from picture(table)
    yield "\n### States\n"
    yield from states(table)
    yield "\n### Events\n\nWhat is not listed for a state is ignored there; the table names it.\n"
    yield from entries(table)
    yield "\n### Failures\n"
    yield from failures(table)


def picture(table: Negotiation) -> Iterator[str]:
    """A Mermaid state diagram, without what leads to FAILED and CANCELLED."""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.CREATED.name}"
    for state, row in table.rows.items():
        arrows: dict[State, list[type[Event]]] = {}
        for event, way in row.ways():
            for lead in leads(way):
                if isinstance(lead, State) and lead is not state and event is not TaskCancelled:
                    arrows.setdefault(lead, []).append(event)
        for lead, events in arrows.items():
            yield f"    {state.name} --> {lead.name}: {named(table, events, row)}"
    for state in (State.DONE_SAME, State.SUCCESS):
        yield f"    {state.name} --> [*]"
    yield "```"


def states(table: Negotiation) -> Iterator[str]:
    """What is asked on entering, what is waited for, and how long."""
    yield "| Step | State | Slot | Asks on entering | Waits for | At most | Then |"
    yield "|---|---|---|---|---|---|---|"
    for state, row in table.rows.items():
        asked = ", ".join(effect.__name__ for effect in row.asking())
        slot = "held" if state.holds_slot else ""
        then = targets(row.deadline.passed) if row.deadline else ""
        yield f"| {row.step} | {state.name} | {slot} | {asked} | {row.waits} | {duration(row)} | {then} |"


def entries(table: Negotiation) -> Iterator[str]:
    """Where each event leads, in each state."""
    yield "| State | Event | Leads to | May ask for |"
    yield "|---|---|---|---|"
    for state, row in table.rows.items():
        same: dict[tuple[str, str], list[type[Event]]] = {}
        for event, way in row.on.items():
            asks = ", ".join(effect.__name__ for effect in way.effects) if isinstance(way, Choice) else ""
            if asks or event is not TaskCancelled:
                same.setdefault((targets(way), asks), []).append(event)
        for (lead, asks), events in same.items():
            yield f"| {state.name} | {named(table, events, row)} | {lead} | {asks} |"


def failures(table: Negotiation) -> Iterator[str]:
    """In which states a task may end with each cause."""
    yield "| Failure | Of a task in |"
    yield "|---|---|"
    for failure in Failure:
        found = (
            state.name
            for state, row in table.rows.items()
            if any(failure in leads(way) for _, way in row.ways())
        )
        yield f"| `{failure.value}` | {', '.join(found)} |"


def leads(way: Way) -> tuple[State | Failure, ...]:
    """Where an entry leads, failures by their cause."""
    match way:
        case State():
            return (way,)
        case Failed(failure=failure):
            return (failure,)
        case Choice(leads=leads):
            return leads


def targets(way: Way) -> str:
    """The same in words."""
    found = leads(way)
    names = [lead.name for lead in found if isinstance(lead, State)]
    causes = [lead for lead in found if isinstance(lead, Failure)]
    if isinstance(way, Choice) and way.stays:
        names.insert(0, "stays")
    if BY_DEVICE.issubset(causes):
        return ", ".join([*names, "the cause that the device tells"])
    return ", ".join([*names, *(f"`{cause.value}`" for cause in causes)])


def named(table: Negotiation, events: Iterable[type[Event]], row: Row) -> str:
    """Events in words: one for all that come from the device, the passing of the deadline by its time."""
    found = set(events)
    uplinks = {event for event in table.events if issubclass(event, Uplink)}
    words = ["any uplink"] if uplinks <= found else []
    if uplinks <= found:
        found -= uplinks
    words += sorted(event.__name__ for event in found - {DeadlinePassed})
    words += [duration(row)] if DeadlinePassed in found else []
    return ", ".join(words)


def duration(row: Row) -> str:
    """The default time of a state, and from when it counts."""
    if row.deadline is None:
        return ""
    seconds: float = getattr(Timers(), row.deadline.timer) * row.deadline.share
    unit_s, unit = next(each for each in UNITS if seconds >= 2 * each[0] and seconds % each[0] == 0)
    since = {
        Since.ENTERED: "",
        Since.STAGE: f" of stage {row.stage}",
        Since.WAITING: " after the first wait for a slot",
        Since.UPDATE: " after the end of T_update",
    }[row.deadline.since]
    return f"{seconds / unit_s:.0f} {unit}{since}"


if __name__ == "__main__":
    sys.stdout.write(document())
