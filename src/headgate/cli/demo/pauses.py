"""What the demo's operator does about a campaign that pauses itself, and what must be true of it.

An operator looks what failed, waits until those who hold a slot have ended, and resumes: the stages to come
have no device of the bad batch. With a person at the terminal he leaves this to the person for a while.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headgate.cli.demo.batch import BATCH, BATCH_STAGE
from headgate.cli.demo.orders import Placed
from headgate.cli.demo.pace import PacedClock
from headgate.cli.demo.show import Show
from headgate.errors import CampaignStateError
from headgate.fleet.device import Device
from headgate.server import CampaignStatus, Server
from headgate.upgrade.campaign import CampaignState, Hold
from headgate.upgrade.task import State

LOOK_EVERY_S = 0.2  # ours
PERSON_S = 45.0  # ours: how long a person is left to resume
OPERATOR = "the demo's operator"
WITHOUT_SLOT = frozenset({State.CREATED, State.WAIT_ONLINE, State.WAIT_SLOT})


@dataclass(slots=True)
class Pause:
    """A campaign that has paused itself. Times are simulated."""

    stage: int
    reason: str
    begun_later: int = 0
    """Devices of later stages that had begun at any look before it went on."""
    resumed_s: float | None = None
    """When it went on, at the earliest."""
    quiet_s: float | None = None
    """Since when nobody holds a slot, in our seconds."""


@dataclass(slots=True)
class Operator:
    """Looks after one campaign."""

    server: Server
    clock: PacedClock
    show: Show
    placed: Placed
    person: bool
    """Whether there is one who may want to resume it."""
    pauses: list[Pause] = field(default_factory=list)
    _looked_s: float = 0.0
    _still_s: float = 0.0

    async def look(self) -> None:
        """See how it stands, and do what an operator would."""
        if time.monotonic() - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = time.monotonic()
        looked_at_s = self.clock.now()
        status = await self.placed.status(self.server)
        campaign = status.campaign
        pause = self.pauses[-1] if self.pauses else None
        if campaign.state is CampaignState.PAUSED and campaign.hold is not Hold.OPERATOR:
            if pause is None or pause.resumed_s is not None:
                pause = Pause(campaign.stage, campaign.reason)
                self.pauses.append(pause)
                self._says_paused(status)
            self._still_s = looked_at_s
            pause.begun_later = max(pause.begun_later, begun_after(status, campaign.stage))
            await self._resume(pause, status)
        elif pause is not None and pause.resumed_s is None:
            pause.resumed_s = self._still_s
            self.show.says(f"The {campaign.name} campaign was resumed by someone else.")

    async def _resume(self, pause: Pause, status: CampaignStatus) -> None:
        """Go on, when those who had begun are through and whoever may want to do it has had the time."""
        campaign = status.campaign
        if any(count for state, count in status.counts.states.items() if holds_slot(state)):
            return
        if pause.quiet_s is None:
            pause.quiet_s = time.monotonic()
            if self.person:
                self.show.says(
                    "Everyone who held a slot has ended. Resume it in the console, or by `headgate campaign "
                    f"resume {campaign.id}`; else the demo does in {PERSON_S:.0f} s. Meanwhile, try "
                    f"`headgate device explain {self.placed.order.endpoints[-1]}`."
                )
        if self.person and time.monotonic() - pause.quiet_s < PERSON_S:
            return
        resumed_s = self.clock.now()
        try:
            await self.server.resume_campaign(campaign.id, by=OPERATOR)
        except CampaignStateError:
            return  # a person was faster: the next look says so
        pause.resumed_s = resumed_s
        self.show.says(
            f"The {campaign.name} campaign is resumed: no other stage has devices of the bad batch."
        )

    def _says_paused(self, status: CampaignStatus) -> None:
        campaign = status.campaign
        waiting = sum(stage.devices for stage in status.stages[campaign.stage :])
        self.show.says(
            f"The {campaign.name} campaign has paused itself in stage {campaign.stage}: {campaign.reason}. "
            f"{waiting:,} devices of later stages have not begun."
        )


def holds_slot(state: State) -> bool:
    """Whether a task in this state goes on while its campaign is paused, until it has ended."""
    return not state.terminal and state not in WITHOUT_SLOT


def begun_after(status: CampaignStatus, number: int) -> int:
    """How many devices of the stages after this one have begun."""
    return sum(stage.begun for stage in status.stages[number:])


def pause_wrongs(
    pauses: Sequence[Pause], stages: Mapping[str, int], devices: Sequence[Device], name: str
) -> list[str]:
    """What must not be. `stages` are those of the campaign's devices, by endpoint."""
    if not any(device.profile.fault == BATCH for device in devices):
        return [f"{name}: paused itself in stage {each.stage} ({each.reason})" for each in pauses]
    if len(pauses) != 1:
        return [f"{name}: had to pause itself once, and did so {len(pauses)} times"]
    pause, wrong = pauses[0], []
    if pause.stage != BATCH_STAGE:
        wrong.append(f"{name}: had to pause itself in stage {BATCH_STAGE}, and did so in {pause.stage}")
    if pause.begun_later:
        wrong.append(f"{name}: {pause.begun_later} devices of later stages had begun while it was paused")
    for device in devices:
        endpoint, log = device.profile.endpoint, device.log
        begun = [each.began_s for each in log.upgrades]
        if log.upgrading_since_s is not None:
            begun.append(log.upgrading_since_s)
        early = pause.resumed_s is None or (begun and min(begun) < pause.resumed_s)
        if begun and early and stages.get(endpoint, 0) > pause.stage:
            wrong.append(f"{endpoint}: is of stage {stages[endpoint]}, and began before {name} was resumed")
    return wrong
