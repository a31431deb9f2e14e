"""The bad batch: devices whose update fails, all in one stage of the campaign, which pauses itself there.

    stage 1    5 %    healthy devices of good coverage
    stage 2    25 %   as those; a quarter of them are the bad batch, whose Update Result is 8
    stage 3    the rest, each fault among them; without a gate, since the faults are to end in their causes

It pauses once, whatever the order in which devices end. More than the threshold of stage 2 fails: so it
pauses at the latest with the last of them. An operator's resuming counts anew, and then fewer than
`minimum_executed` are left of the stage: so its errors do not pause it again. Three quarters of it succeed,
which is more than its gate wants. And stage 3 is let begin.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from headgate.fleet.device import Device
from headgate.fleet.faults import FAULTS, faulty
from headgate.fleet.population import Population
from headgate.fleet.profile import STYLES, Profile
from headgate.upgrade.stages import Gate, Size, sized

BATCH = "bad batch"
BATCH_FAULT = "Result 8"
BATCH_CAUSE = FAULTS[BATCH_FAULT]
BATCH_PRODUCT = "meter-b"
"""The label of these devices, so that they can be chosen: a hardware revision of its own."""
BATCH_STAGE = 2
BATCH_SHARE = 0.24  # of its stage
ERROR_THRESHOLD = 0.1
EXECUTED_SHARE = 0.6  # of the stage, before its errors count: more than half, see above
CANARIES = Size(percent=5, gate=Gate(success=0.9, error_threshold=ERROR_THRESHOLD, minimum_executed=10))
BATCH_PERCENT = 25
BATCH_SUCCESS = 0.7
KEPT = (
    *("endpoint", "version", "target_version", "lifetime_s", "report_interval_s", "awake_s"),
    *("boot_after_s", "moves", "radio", "coverage"),
)
"""What a device of the batch has in common with the one in whose place it is."""


def sizes_of(devices: int) -> list[Size]:
    """The stages of a campaign for so many devices, but the last; nothing where they make no three."""
    sizes = [CANARIES, Size(percent=BATCH_PERCENT)]
    made = sized(sizes, devices)
    if len(made) < 3:
        return []
    executed = math.ceil(EXECUTED_SHARE * made[BATCH_STAGE - 1].devices)
    gate = Gate(success=BATCH_SUCCESS, error_threshold=ERROR_THRESHOLD, minimum_executed=executed)
    return [sizes[0], replace(sizes[1], gate=gate)]


def profiles_of(population: Population) -> list[Profile]:
    """The population, with a bad batch where it has healthy firmware devices enough for the first stages."""
    profiles = population.profiles()
    firmware = [each for each in profiles if each.pcp is None]
    counts = counts_of(len(firmware))
    prompt = [each for each in prompt_first(firmware) if not each.fault]
    count = batch_of(len(firmware))
    if not count or len(prompt) < sum(counts):
        return profiles
    bad = {each.endpoint for each in prompt[counts[0] : counts[0] + count]}
    return [spoilt(each, population.prefix) if each.endpoint in bad else each for each in profiles]


def made(population: Population, now: float) -> list[Device]:
    """The devices, switched on from `now` on."""
    return [
        Device(profile, random.Random(f"{population.seed} {profile.endpoint}"), now)
        for profile in profiles_of(population)
    ]


def counts_of(devices: int) -> list[int]:
    """How many devices the first two stages have."""
    return [stage.devices for stage in sized(sizes_of(devices), devices)[:BATCH_STAGE]]


def batch_of(devices: int) -> int:
    """How many of so many devices are the bad batch: enough for the threshold, few enough for the gate."""
    sizes = sizes_of(devices)
    if not sizes:
        return 0
    stage = counts_of(devices)[BATCH_STAGE - 1]
    count = round(BATCH_SHARE * stage)
    enough = count > ERROR_THRESHOLD * stage and stage - count >= BATCH_SUCCESS * stage
    return count if enough else 0


def in_stages(devices: Sequence[Device]) -> list[Device]:
    """A campaign's devices in the order in which their stages begin."""
    counts = counts_of(len(devices))
    bad = [each for each in devices if each.profile.fault == BATCH]
    by_endpoint = {each.profile.endpoint: each for each in devices}
    prompt = [
        by_endpoint[each.endpoint]
        for each in prompt_first([each.profile for each in devices])
        if not each.fault
    ]
    first = prompt[: counts[0]]
    second = [*bad, *prompt[counts[0] : sum(counts) - len(bad)]]
    chosen = {each.profile.endpoint for each in (*first, *second)}
    return [*first, *second, *(each for each in devices if each.profile.endpoint not in chosen)]


def stages_of(devices: Sequence[Device]) -> list[Size]:
    """The stages of a campaign for these devices; nothing where no bad batch is among them."""
    return sizes_of(len(devices)) if any(each.profile.fault == BATCH for each in devices) else []


def prompt_first(profiles: Sequence[Profile]) -> list[Profile]:
    """Those of good coverage before the others, and those without an oddity first."""
    return sorted(profiles, key=lambda each: (each.radio.radio_class != "0", each != plain(each)))


def plain(profile: Profile) -> Profile:
    """The device without oddities, faults and power cuts."""
    return replace(STYLES[profile.style], **{name: getattr(profile, name) for name in KEPT})


def spoilt(profile: Profile, prefix: str) -> Profile:
    """The device as one of the bad batch; its endpoint tells that it is."""
    number = profile.endpoint.removeprefix(prefix)
    bad = faulty(plain(profile), BATCH_FAULT)
    return replace(bad, endpoint=f"{prefix}B-{number}", fault=BATCH)
