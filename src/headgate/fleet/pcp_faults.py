"""Faults of PCP devices, and the published cause that their upgrade must end with. Protocol 3.2 and 3.6.

>>> PCP_FAULTS["22: 07"]
'Integrity check failure for new downloaded package'
>>> faulty_pcp(Profile(endpoint="a", pcp=PcpProfile()), "23: 04").pcp.executes
4
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from headgate.fleet.faults import (
    CHECK_TIMEOUT,
    CONNECTION_LOST,
    DOWNLOAD_START_TIMEOUT,
    DOWNLOADED_TIMEOUT,
    INTEGRITY,
    MEMORY,
    NOT_ONLINE,
    ONLINE_TIMEOUT,
    PACKAGE_TYPE,
    RESULT_TIMEOUT,
    STORAGE,
    TALKATIVE,
    UPDATE_FAILED,
    UPDATE_START_TIMEOUT,
    VERSION_TIMEOUT,
)
from headgate.fleet.pcp_client import Generation, Installs, PcpProfile
from headgate.fleet.profile import HEALTHY, Misbehaviour, Profile
from headgate.wire.pcp_messages import MessageCode

NEWER: Mapping[str, object] = {"generation": Generation.NEWER}
"""Says 24 until it is answered. The older generation says it once: where that is lost, the cause is too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PcpFault:
    """What goes wrong in a device, and how its upgrade must end."""

    failure: str
    pcp: Mapping[str, object] = field(default_factory=dict)
    misbehaviour: Misbehaviour = HEALTHY
    profile: Mapping[str, object] = field(default_factory=dict)
    """Further changes to the device."""


def says(failure: str, **results: int) -> PcpFault:
    """A device that answers by this result."""
    return PcpFault(failure=failure, pcp=results)


def deaf_to(message: MessageCode, failure: str) -> PcpFault:
    """A device that does not react to this message."""
    return PcpFault(failure=failure, pcp={"deaf_to": frozenset({int(message)})})


PCP_TABLE: dict[str, PcpFault] = {
    # What the platform finds.
    "never online": PcpFault(failure=ONLINE_TIMEOUT, misbehaviour=Misbehaviour(never_boots=True)),
    "deaf to 19": deaf_to(MessageCode.VERSION, VERSION_TIMEOUT),
    "19: 7F": says(NOT_ONLINE, queries=0x7F),
    "deaf to 20": deaf_to(MessageCode.NOTIFICATION, DOWNLOAD_START_TIMEOUT),
    "stalls": PcpFault(failure=DOWNLOADED_TIMEOUT, pcp={"stalls": 2}),
    "deaf to 23": deaf_to(MessageCode.EXECUTE, UPDATE_START_TIMEOUT),
    "hangs": PcpFault(failure=RESULT_TIMEOUT, pcp={"installs": Installs.HANGS, **NEWER}, profile=TALKATIVE),
    "dies": PcpFault(failure=CHECK_TIMEOUT, pcp={"installs": Installs.DIES}),
    # What the device reports.
    "20: 01": says(UPDATE_FAILED, welcomes=0x01),
    "20: 02": says(CONNECTION_LOST, welcomes=0x02),
    "20: 05": says(STORAGE, welcomes=0x05),
    "20: 09": says(MEMORY, welcomes=0x09),
    "22: 05": says(STORAGE, downloads=0x05),
    "22: 06": says(CONNECTION_LOST, downloads=0x06),
    "22: 07": says(INTEGRITY, downloads=0x07),
    "22: 08": says(PACKAGE_TYPE, downloads=0x08),
    "23: 04": says(UPDATE_FAILED, executes=0x04),
    "23: 05": says(STORAGE, executes=0x05),
    "24: 0A": PcpFault(failure=UPDATE_FAILED, pcp={"upgrades": 0x0A, **NEWER}),
    "24: 08": PcpFault(failure=PACKAGE_TYPE, pcp={"upgrades": 0x08, **NEWER}),
    "comes back old": PcpFault(failure=UPDATE_FAILED, pcp={"installs": Installs.REVERTS, **NEWER}),
}
"""Every fault by its name: what the device does, or the message and result that it says."""

PCP_FAULTS: dict[str, str] = {name: fault.failure for name, fault in PCP_TABLE.items()}
"""The published failure text that a device with the fault must end with, by the fault's name."""


def faulty_pcp(profile: Profile, name: str) -> Profile:
    """The same PCP device with the fault."""
    fault = PCP_TABLE[name]
    assert profile.pcp is not None
    pcp: PcpProfile = replace(profile.pcp, **fault.pcp)  # type: ignore[arg-type]
    changes: dict[str, object] = {
        "fault": name,
        "misbehaviour": fault.misbehaviour,
        "pcp": pcp,
        **fault.profile,
    }
    return replace(profile, **changes)  # type: ignore[arg-type]
