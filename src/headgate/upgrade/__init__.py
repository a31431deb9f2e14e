"""Upgrades: tasks, cells and campaigns. Decides; does nothing itself.

task, failure          what is kept of one device in one campaign, and how it may end
events                 what happens, and what is asked for
negotiation            the tables' machine
opening, rows          the rows that the negotiations share
firmware               the firmware table; choices and results decide where it leaves a choice
software               the same over PCP; software_choices decide
object5, object19      what the two say to devices, and hear
radio, admission       how well a device hears its cell, and how many of a cell may upgrade at once
orchestrator           the front: what devices do in, what is to be stored and done out
negotiator, places     what an event changes, task by task; who stands in line for a slot
campaign, campaigns    what is kept of a campaign; those that are not through
attempts, course       tasks made, begun, tried again; when stages begin, and when nothing may
stages, windows        the gate of a stage; maintenance windows
works                  what is done for many tasks, in pieces
questions, asking      the commands under way; effects as commands, answers as events
records, turns         values as rows; what gathers between two commits
restoring              what a restart finds
diagram                the tables as docs/negotiation.md
"""

from __future__ import annotations

from collections.abc import Mapping

from headgate.upgrade.events import Effect, Event
from headgate.upgrade.firmware import FIRMWARE
from headgate.upgrade.negotiation import Negotiation
from headgate.upgrade.software import SOFTWARE
from headgate.upgrade.task import Kind, Task

TABLES: Mapping[Kind, Negotiation] = {Kind.FIRMWARE: FIRMWARE, Kind.SOFTWARE: SOFTWARE}


def advance(task: Task, event: Event, now: float) -> tuple[Task, tuple[Effect, ...]]:
    """What becomes of the task, and what to do once that is committed. `now`: seconds since the epoch."""
    return TABLES[task.plan.kind].advance(task, event, now)


def resume(task: Task) -> tuple[Effect, ...]:
    """What to ask for again after a restart."""
    return TABLES[task.plan.kind].resume(task)
