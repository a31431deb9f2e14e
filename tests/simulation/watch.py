"""What must hold after each commit, counted from the database and, from outside, from datagrams and devices.

1. No cell and class has more holders than its limit: by the rows of tasks, by what the orchestrator says, and
by the devices that were given a URI and have not come to their end.
2. Slots do not lie idle: nobody waits for one that is free.
3. Counters are what counting the rows gives.
4. A deadline lies ahead, or is being seen to.
5. A device has at most one command under way: of all that were sent to it, the newest alone is repeated.
6. A message id is used for another message only after EXCHANGE_LIFETIME.
7. No Execute leaves for a device once the server has heard that it took one.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate.engine.retransmission import DEFAULT
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import HOLDING, TERMINAL, State
from headgate.wire.coap import Message
from headgate.wire.numbers import CON, EMPTY, POST, REQUEST_LAST, URI_PATH
from stage_rows import STAGES

if TYPE_CHECKING:
    from simulation.house import House
    from simulation.world import World

LATE_S = 5.0
"""How far behind its time a deadline may be seen to: by a commit, or a restart."""
FREE_AFTER_S = DEFAULT.exchange_lifetime_s
"""The shortest EXCHANGE_LIFETIME of all profiles: what is older is not watched any more."""
UPDATE = b"5/0/2"
FULL_EVERY = 20
"""Commits between two counts of all rows and devices."""
AFTERLIFE_S = 600.0
"""How long devices are there after their task. They would report for hours, and nothing else would happen."""
SEGMENT_BIT = 0x8000
"""Of the message ids of segments: `engine/flight`."""
UNDONE = {"CancelObservation", "CancelUpdate", "SubscribeData"}
"""What an ended task may still ask of a device that has not been heard since."""

Group = tuple[int | None, int | None, int | None, str | None]
"""Cell, with its network where that is known, and class: protocol.md 4.2."""


class Watch:
    """Looks at everything, and changes nothing."""

    def __init__(self, world: World, database: Path) -> None:
        self._world = world
        self._file = database
        self._database: sqlite3.Connection | None = None
        self._commits = 0
        self._sent: dict[str, dict[int, tuple[bytes, float]]] = {}  # by device: id, its datagram and time
        self.over = False
        """Whether all tasks are."""
        self.fullest: Counter[Group] = Counter()
        """The most holders of each cell and class."""

    def close(self) -> None:
        """Look no more."""
        if self._database is not None:
            self._database.close()

    # -- datagrams --

    def to_device(self, endpoint: str, datagram: bytes) -> None:
        """Something leaves the server: invariants 5 to 7."""
        message = Message.parse(datagram)
        if message.type != CON or not EMPTY < message.code <= REQUEST_LAST:
            return
        if message.message_id & SEGMENT_BIT:
            return  # a segment: it is never repeated, and waits for nothing
        now = self._world.clock.now
        sent = self._sent.setdefault(endpoint, {})
        for id in [id for id, (_, at_s) in sent.items() if now - at_s > FREE_AFTER_S]:
            del sent[id]
        before, at_s = sent.get(message.message_id, (None, now))
        if before is not None:
            assert before == datagram, f"{endpoint}: the id of {message} was used {now - at_s} s ago"
            newest = next(reversed(sent))
            assert message.message_id == newest, (
                f"{endpoint}: {message} is repeated, though another command is under way"
            )
        sent[message.message_id] = datagram, at_s
        path = b"/".join(value for number, value in message.options if number == URI_PATH)
        if message.code == POST and path.endswith(UPDATE):
            firmware = self._world.hosts[endpoint].device.firmware
            assert not firmware.confirmed, f"{endpoint}: it is told to update, and was heard to do so"

    def forget(self) -> None:
        """A new process knows of no command of the one before."""
        self._sent.clear()

    # -- after a commit --

    def stored(self, house: House) -> None:
        """Something was committed and acted upon."""
        self._commits += 1
        held = self._tasks(house)
        self._admission(house, held)
        if self._commits % FULL_EVERY == 0:
            self._counters()
            self._devices()
            self._world.retire(
                endpoint
                for (endpoint,) in self._rows(
                    "SELECT endpoint FROM tasks GROUP BY 1 HAVING max(coalesce(ended_s, ?1)) < ?1 - ?2",
                    house.clock.now,
                    AFTERLIFE_S,
                )
            )

    def _tasks(self, house: House) -> Counter[Group]:
        """Invariants 1 and 4, by the rows; who holds."""
        limits = self._world.scenario.limits
        now = house.clock.now
        held: Counter[Group] = Counter()
        ended, under_way = 0, 0
        for *cell, radio_class, state, count, deadline_s in self._rows(
            "SELECT cell_id, smcc, smnc, radio_class, state, count(*), min(deadline_s) FROM tasks "
            "GROUP BY 1, 2, 3, 4, 5"
        ):
            if deadline_s is not None and now - house.born_s > LATE_S:
                assert deadline_s > now - LATE_S, f"a deadline of {state} passed {now - deadline_s} s ago"
            if State(state) in HOLDING:
                held[(*cell, radio_class)] += count
            if State(state) in TERMINAL:
                ended += count
            else:
                under_way += count
        for (*cell, radio_class), count in held.items():
            assert count <= limits.of(RadioClass(radio_class)), f"{count} hold in {cell}, {radio_class}"
        self.fullest |= held
        self.over = ended > 0 and under_way == 0
        return held

    def _admission(self, house: House, held: Counter[Group]) -> None:
        """Invariants 1 and 2, by what the orchestrator says. Its memory may be ahead of the rows."""
        for each in house.orchestrator.occupancy():
            assert each.held <= each.limit
            assert not each.waiting or each.held == each.limit, f"{each.waiting} wait for a free slot: {each}"

    def _counters(self) -> None:
        """Invariant 3."""
        states = self._rows("SELECT campaign_id, 'state ' || state, count(*) FROM tasks GROUP BY 1, 2")
        failures = self._rows(
            "SELECT campaign_id, 'failure ' || failure, count(*) FROM tasks WHERE failure IS NOT NULL "
            "GROUP BY 1, 2"
        )
        counters = self._rows("SELECT campaign_id, name, value FROM counters WHERE value <> 0")
        assert set(counters) == {*states, *failures, *self._rows(STAGES)}

    def _devices(self) -> None:
        """Invariant 1, from outside. Who was given up by the server may not know it yet; and a device whose
        signal could not be read counts as one of which only the cell is known.
        """
        limits = self._world.scenario.limits
        held: Counter[Group] = Counter()
        for endpoint, *group in self._rows(
            "SELECT endpoint, cell_id, smcc, smnc, radio_class FROM tasks WHERE active"
        ):
            if self._world.hosts[endpoint].device.log.upgrading_since_s is not None:
                held[tuple(group)] += 1
        for (*cell, radio_class), count in held.items():
            assert count <= limits.of(RadioClass(radio_class)), f"{count} upgrade in {cell}, {radio_class}"

    # -- in the end --

    def story(self, endpoint: str) -> Iterator[str]:
        """What the event log says of a device."""
        for at_s, step, what, detail in self._rows(
            "SELECT at_s, step, what, detail FROM events WHERE endpoint = ? ORDER BY id", endpoint
        ):
            yield f"{at_s - self._world.began_s:10.1f} {step or '':>3} {what} {detail}"

    def ends(self, campaign_id: str) -> list[tuple[str, State, str | None]]:
        """Endpoint, state and failure of each task of a campaign."""
        return [
            (endpoint, State(state), failure)
            for endpoint, state, failure in self._rows(
                "SELECT endpoint, state, failure FROM tasks WHERE campaign_id = ?", campaign_id
            )
        ]

    def campaign_ended(self) -> None:
        """No slot is held, nothing is pending but withdrawals that are due, and what is undone."""
        self._counters()
        assert self._rows("SELECT id FROM tasks WHERE active") == []
        left = {effect for (effect,) in self._rows("SELECT effect FROM effects WHERE due_s IS NULL")}
        assert left <= UNDONE, left

    def all_is_over(self) -> None:
        """Nothing is pending, nothing is observed, nothing is granted."""
        assert self._rows("SELECT effect, endpoint FROM effects") == []
        assert self._rows("SELECT path, endpoint FROM observations") == []
        house = self._world.house
        assert house is not None
        assert house.edge.granted() == set()
        assert list(house.orchestrator.occupancy()) == []

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        if self._database is None:
            self._database = sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)
        return self._database.execute(query, values).fetchall()
