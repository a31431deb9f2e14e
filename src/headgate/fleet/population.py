"""A mixed fleet from one seed: styles, quirks, cells, coverage, moving ports and faults, in given shares.

Shares are kept exactly, not only on average: of 2,000 devices with 5 % faulty, 100 are, and each fault has
its turn before any has its second.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headgate.fleet.device import Device
from headgate.fleet.faults import FAULTS, faulty
from headgate.fleet.pcp_client import Generation, PcpProfile
from headgate.fleet.pcp_faults import PCP_FAULTS, faulty_pcp
from headgate.fleet.profile import QUEUE_WINDOW_S, QUIRKS, STYLES, Moves, Profile, with_quirk
from headgate.fleet.radio import COVERAGES, Conditions, conditions

CELL_ID_FIRST = 0x0B2F6000
CUT_BETWEEN = (2, 40)  # blocks or segments after which power goes
GENERATIONS = tuple(Generation)
REPEAT_BETWEEN_S = (2.0, 4.0)
COPIES = (1, 1, 1, 5)
MUTE = frozenset({"merged notifications", "no notifications"})
"""Quirks of firmware devices. PCP speaks by notifications: one that is left out is never said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What the fleet is like. Shares are of 1."""

    devices: int = 100
    cells: int = 4
    seed: int = 1
    bands: tuple[float, float, float] = (0.6, 0.3, 0.1)
    """Of the coverage classes 0, 1 and 2."""
    without_sinr: float = 0.05
    """Of those, devices that do not report it: class U."""
    odd_readings: float = 0.1
    """Devices that report their signal in tenths or without its sign."""
    moving: float = 0.2
    """Devices that speak from a new port after each sleep, or for each Update."""
    faulty: float = 0.0
    faults: Sequence[str] = tuple(FAULTS)
    quirky: float = 0.3
    """Healthy devices with one of the quirks."""
    quirks: Sequence[str] = tuple(name for name in QUIRKS if name != "silent on TLV")
    """Of `profile.QUIRKS`. What silences a device costs its server a whole CoAP exchange: 93 s, and no less
    for devices that live faster. That belongs into fleets of speed 1."""
    software: float = 0.0
    """Devices that are upgraded by PCP, of either generation in turn; some of them send each request several
    times. Their faults are those of `pcp_faults`, each in its turn."""
    pcp_faults: Sequence[str] = tuple(PCP_FAULTS)
    power_cuts: float = 0.05
    """Healthy devices that lose power in the middle of a download."""
    styles: Sequence[str] = tuple(STYLES)
    version: str = "V1.0"
    target_version: str = "V2.0"
    boot_within_s: float = 60.0
    """They are switched on evenly over this time."""
    report_interval_s: float = 60.0
    """Where a datagram was lost, the next report is the next occasion: several have to come within the 180 s
    that most steps of an upgrade may take."""
    awake_s: float = QUEUE_WINDOW_S
    """How long they listen after a message. A server's retransmissions do not get faster with the devices:
    a fleet of speed 20 that shall hear the same ones listens for 400 s of its own."""
    lifetime_s: int = 86400
    prefix: str = "urn:dev:headgate-"

    def profiles(self) -> list[Profile]:
        """The devices, in the order of their endpoint names."""
        rng = random.Random(f"{self.seed} population")
        order = list(range(self.devices))
        rng.shuffle(order)
        faults = self._spread(order, self.faulty, self.faults)
        classes = self._classes(rng)
        styles = [self.styles[number % len(self.styles)] for number in range(self.devices)]
        rng.shuffle(styles)
        healthy = [number for number in order if number not in faults]
        rng.shuffle(healthy)
        quirks = self._spread(healthy, self.quirky, self.quirks)
        rng.shuffle(healthy)
        cuts = self._spread(healthy, self.power_cuts, ("cut",))
        rng.shuffle(order)
        moves = self._spread(order, self.moving, (Moves.WAKE.name, Moves.UPDATE.name))
        software = self._software()
        made: list[Profile] = []
        pcp_faulty: list[int] = []
        for number in range(self.devices):
            profile = replace(
                STYLES[styles[number]],
                endpoint=f"{self.prefix}{number:05}",
                version=self.version,
                target_version=self.target_version,
                lifetime_s=self.lifetime_s,
                report_interval_s=self.report_interval_s,
                awake_s=self.awake_s,
                boot_after_s=rng.uniform(0.0, self.boot_within_s),
                radio=self._conditions(rng, classes[number], number % self.cells),
                coverage=COVERAGES[classes[number]],
            )
            if number in software:
                profile = replace(profile, pcp=software[number])
            if number in quirks and not (number in software and quirks[number] in MUTE):
                profile = with_quirk(profile, quirks[number])
            if number in moves:
                profile = replace(profile, moves=Moves[moves[number]])
            if number in cuts:
                profile = replace(profile, power_cuts=(rng.randint(*CUT_BETWEEN),))
            if number in faults and number not in software:
                profile = faulty(profile, faults[number])
            elif number in faults:
                names = self.pcp_faults
                profile = faulty_pcp(profile, names[len(pcp_faulty) % len(names)])
                pcp_faulty.append(number)
            made.append(profile)
        return made

    def make(self, now: float = 0.0) -> list[Device]:
        """The devices themselves, which are switched on from `now` on."""
        return [
            Device(profile, random.Random(f"{self.seed} {profile.endpoint}"), now)
            for profile in self.profiles()
        ]

    def _software(self) -> dict[int, PcpProfile]:
        """The PCP devices; drawn apart, so that the others are what they would be without them."""
        rng = random.Random(f"{self.seed} software")
        chosen = rng.sample(range(self.devices), round(self.software * self.devices))
        return {
            number: PcpProfile(
                generation=GENERATIONS[place % len(GENERATIONS)],
                repeat_s=rng.uniform(*REPEAT_BETWEEN_S),
                copies=rng.choice(COPIES),
            )
            for place, number in enumerate(chosen)
        }

    def _spread(self, order: Sequence[int], share: float, names: Sequence[str]) -> dict[int, str]:
        """The first of `order`, as many as `share` of all devices, with the names in turn."""
        count = min(round(share * self.devices), len(order)) if names else 0
        return {number: names[place % len(names)] for place, number in enumerate(order[:count])}

    def _classes(self, rng: random.Random) -> list[str]:
        """Each device's class: the bands, and U in the place of some of each."""
        bounds = [round(sum(self.bands[: band + 1]) * self.devices) for band in range(len(self.bands))]
        found = [
            str(next((band for band, bound in enumerate(bounds) if number < bound), len(bounds) - 1))
            for number in range(self.devices)
        ]
        rng.shuffle(found)
        for number in rng.sample(range(self.devices), round(self.without_sinr * self.devices)):
            found[number] = "U"
        return found

    def _conditions(self, rng: random.Random, radio_class: str, cell: int) -> Conditions:
        return conditions(rng, radio_class, CELL_ID_FIRST + cell, quirks=self.odd_readings)
