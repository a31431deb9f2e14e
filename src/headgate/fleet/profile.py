"""What kind of device one is: every switch in which real devices differ, and four styles of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from headgate.fleet.messaging import Timing
from headgate.fleet.pcp_client import PcpProfile
from headgate.fleet.radio import NEAR, Conditions, Coverage
from headgate.wire.formats import ContentFormat
from headgate.wire.resources import Path

QUEUE_WINDOW_S = 20.0
FIRST_CELL = Conditions(cell_id=0x1A2B)
RFC_7252 = Timing()
EVERY_4_S = Timing(ack_timeout_s=4.0)


class Resume(Enum):
    """Where a download goes on after a power cut."""

    OFFSET = "at the offset kept"
    ZERO = "at block 0"
    FORGET = "nowhere: Idle, and nothing is known of the package"


class Notify(Enum):
    """How changes of observed resources are told."""

    CONFIRMABLE = "by CON"
    NON_CONFIRMABLE = "by NON"
    NEVER = "not at all"


class Moves(Enum):
    """When a device speaks from a new address."""

    REBOOT = "after a reboot only"
    WAKE = "after each sleep"
    UPDATE = "for each Update and De-register"


class Report(Enum):
    """What a device wakes for."""

    UPDATE = "Update"
    DATA = "notification of 19/0/0 where that is observed, else Update"
    SEND = "Send"


class Update(Enum):
    """How an update ends."""

    SUCCEEDS = "the new version runs, Result 1"
    FAILS = "the old version runs, Result 8"
    REVERTS = "the old version runs, State 0 and Result 0"
    DIES = "nothing is ever heard again"
    HANGS = "State 3 for ever, and the old version answers"


SILENT = 0
RESETS = -1
"""In `Misbehaviour.answers`, instead of a response code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What a faulty device does wrong. A healthy one does none of it."""

    never_boots: bool = False
    answers: Mapping[tuple[int, Path], int] = field(default_factory=dict)
    """By method and path: a code to refuse with, SILENT or RESETS."""
    never_starts: bool = False
    """Takes the URI and asks for nothing."""
    stalls: int | None = None
    """After this many blocks it asks for no more."""
    gives_up: tuple[int, int] | None = None
    """After this many blocks, or at the end, the download fails with this Update Result."""
    deregisters: int | None = None
    """After this many blocks it says goodbye, and does not return."""
    update: Update = Update.SUCCEEDS


HEALTHY = Misbehaviour()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One device as it leaves the factory."""

    endpoint: str
    style: str = "plain"
    fault: str = ""
    """The name in `faults.FAULTS`, empty for a healthy device."""
    misbehaviour: Misbehaviour = HEALTHY

    # What runs.
    version: str = "V1.0"
    target_version: str = "V2.0"
    """What runs after an update, where the package does not say it itself: see `download.package_version`."""
    manufacturer: str = "Headgate"
    model: str = "simulated"

    # Where it is.
    coverage: Coverage = NEAR
    radio: Conditions = FIRST_CELL

    # Software.
    pcp: PcpProfile | None = None
    """For a device that is upgraded by PCP: its application, which has the `version` above."""

    # Registration.
    lwm2m: str = "1.1"
    lifetime_s: int = 86400
    queue_mode: bool = True
    awake_s: float = QUEUE_WINDOW_S
    """In queue mode: how long it listens after the last message."""
    report_interval_s: float = 600.0
    report: Report = Report.DATA
    boot_after_s: float = 0.0
    """When it is switched on for the first time."""
    moves: Moves = Moves.REBOOT
    root: str = ""
    """The alternate root path, one segment."""
    says_formats: bool = False
    """Whether the links name the content formats (ct)."""
    register_szx: int | None = None
    """Registers by Block1, in blocks of this szx."""
    retry_s: float = 30.0
    """Pause after a Register without an answer; it doubles up to 16 times this."""

    # Messages.
    timing: Timing = RFC_7252
    separate_s: float = 0.0
    """Above 0: responses come separately, after this time."""
    first_message_id: int | None = None
    """Message ids count from here after every boot; None draws."""

    # Reads.
    formats: tuple[int, ...] = (
        ContentFormat.SENML_CBOR,
        ContentFormat.SENML_JSON,
        ContentFormat.TLV,
        ContentFormat.TEXT,
        ContentFormat.OPAQUE,
    )
    default_format: int = ContentFormat.TLV
    """What is answered where no format is asked for."""
    chunk_szx: int = 6
    """Longer answers go in blocks of this szx."""
    needs_accept: bool = False
    """5.00 to a Read without Accept."""
    refuses_accept: bool = False
    """4.06 to any Read with Accept."""
    silent_accepts: frozenset[int] = frozenset()
    """Formats whose mention silences the device."""
    bare_version: bool = False
    """3/0/3 is answered as text, without Content-Format."""
    needs_token: bool = False
    """4.00 to an Observe with an empty token."""

    # Firmware update.
    notify: Notify = Notify.CONFIRMABLE
    pmin_s: float = 0.0
    """Notifications of one resource come no closer; States in between are merged away."""
    acts_on_ack: bool = False
    """Each State takes effect when its notification was acknowledged; without that, State 0 and Result 8."""
    keeps_token: bool = False
    """After the reboot the result is notified with the token from before it."""
    results: frozenset[int] | None = None
    """The Update Results that it knows; 8 stands for the others. None: all."""
    delivery_at_8: bool = False
    """The delivery method stands at 5/0/8, and 5/0/9 is not there."""
    uri_formats: frozenset[int] = frozenset({ContentFormat.TEXT, ContentFormat.TLV})
    uri_only_idle: bool = False
    """4.00 to a package URI in other States than 0; else State 2 takes one too."""
    failed_in_downloaded: bool = False
    """A failed update leaves State 2 instead of 0."""
    has_cancel: bool = True
    """5/0/10, from object version 1.1."""
    install_s: float = 30.0
    reboot_s: float = 10.0
    zero_result_s: float = 0.0
    """For so long after the reboot, State and Result are 0."""

    # Download.
    own_socket: bool = False
    """Downloads come from a socket of their own."""
    szx: int = 5
    size2: bool = False
    """Every block request has Size2 0."""
    one_token: bool = False
    """One token for the whole transfer."""
    checks_etag: bool = True
    needs_block2: bool = False
    """An answer without Block2 ends the download."""
    query_in_path: bool = False
    """All that follows the host of the URI is put into the Uri-Path; else a query is dropped."""
    resume: Resume = Resume.ZERO
    block_pause_s: float = 0.0
    """Between a block and the next request: the flash is slow."""
    patience: int = 5
    """So often an unanswered block is asked for anew before the connection counts as lost."""
    power_cuts: tuple[int, ...] = ()
    """Power goes after this many blocks of one download, or segments, each once."""
    power_cut_s: float = 30.0

    @property
    def enabler(self) -> tuple[int, int]:
        """The LwM2M version, its first two numbers."""
        major, minor = self.lwm2m.split(".")[:2]
        return int(major), int(minor)


LITEOS = Profile(
    endpoint="",
    style="liteos",
    lwm2m="1.0",
    timing=EVERY_4_S,
    formats=(ContentFormat.TLV, ContentFormat.TEXT, ContentFormat.OPAQUE),
    chunk_szx=3,
    needs_token=True,
    acts_on_ack=True,
    keeps_token=True,
    results=frozenset({0, 1, 8}),
    delivery_at_8=True,
    uri_formats=frozenset({ContentFormat.TEXT}),
    failed_in_downloaded=True,
    has_cancel=False,
    zero_result_s=5.0,
    checks_etag=False,
    needs_block2=True,
    query_in_path=True,
)
"""Downloads on the registration's socket, acts on acknowledged notifications, tells with the old token."""

SEPARATE = Profile(
    endpoint="",
    style="separate",
    lwm2m="1.0",
    formats=(ContentFormat.LWM2M_JSON, ContentFormat.TLV, ContentFormat.TEXT, ContentFormat.OPAQUE),
    default_format=ContentFormat.TEXT,
    notify=Notify.NON_CONFIRMABLE,
    own_socket=True,
    has_cancel=False,
)
"""A socket of its own for the download, notifications by NON, the JSON of LwM2M 1.0."""

ZEPHYR = Profile(
    endpoint="",
    style="zephyr",
    formats=(ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, ContentFormat.TEXT, ContentFormat.OPAQUE),
    default_format=ContentFormat.SENML_JSON,
    size2=True,
    one_token=True,
    says_formats=True,
)
"""Asks for Size2 with each block, one token for the whole transfer, starts at block 0 after a power cut."""

ANJAY = Profile(
    endpoint="",
    style="anjay",
    formats=(ContentFormat.SENML_CBOR, ContentFormat.SENML_JSON, ContentFormat.TLV, ContentFormat.TEXT),
    default_format=ContentFormat.SENML_CBOR,
    uri_only_idle=True,
    resume=Resume.OFFSET,
    report=Report.SEND,
)
"""Resumes at the offset it kept, from a new port, if the ETag is still the same; 4.00 to a URI while busy."""

STYLES: dict[str, Profile] = {each.style: each for each in (LITEOS, SEPARATE, ZEPHYR, ANJAY)}

QUIRKS: dict[str, Mapping[str, object]] = {
    "refuses accept": {"refuses_accept": True},
    "needs accept": {
        "needs_accept": True,
        "formats": (ContentFormat.TEXT, ContentFormat.SENML_JSON),
        "default_format": ContentFormat.TEXT,
    },
    "silent on TLV": {
        "silent_accepts": frozenset({int(ContentFormat.TLV)}),
        "queue_mode": False,
        "report_interval_s": 45.0,  # so that there is an occasion to ask again within three minutes
    },
    "new port for each Update": {"moves": Moves.UPDATE},
    "alternate root": {"root": "lwm2m", "says_formats": True},
    "three-part version": {"lwm2m": "1.0.0"},
    "Register by Block1": {"register_szx": 2},
    "version without format": {"bare_version": True},
    "merged notifications": {"pmin_s": 30.0, "acts_on_ack": False},
    "no notifications": {"notify": Notify.NEVER, "acts_on_ack": False, "keeps_token": False},
    "late result": {"zero_result_s": 20.0},
    "separate responses": {"separate_s": 1.0},
    "same message ids after boot": {"first_message_id": 0},
}
"""Ways in which devices of any style depart from it, by name: changes to the profile."""


def with_quirk(profile: Profile, name: str) -> Profile:
    """The same device with one quirk more."""
    changes: dict[str, object] = dict(QUIRKS[name])
    return replace(profile, **changes)  # type: ignore[arg-type]
