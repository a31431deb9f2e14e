"""All settings, section by section: defaults, units, bounds, and what a person must know of each.

A default that belongs to a room is written there too, where it is explained; a test keeps the two equal.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "HEADGATE_"
DELIMITER = "__"  # a variable without it, such as HEADGATE_CONFIG, is not a setting

DAY_S = 86400.0
YEAR_S = 366 * DAY_S


def setting(default: Any, description: str, unit: str, **bounds: Any) -> Any:
    """A field with what a person must know of it; `unit` is "" for what has none."""
    return Field(default, description=description, json_schema_extra={"unit": unit}, **bounds)


def duration(default_s: float | None, description: str, *, least_s: float = 0.001) -> Any:
    """A time above 0, up to a year."""
    return setting(default_s, description, "s", ge=least_s, le=YEAR_S, allow_inf_nan=False)


def bound(default: int, description: str, unit: str) -> Any:
    """The bound of a table or a buffer, one at least."""
    return setting(default, description, unit, ge=1, le=1 << 40)


class Section(BaseModel):
    """Settings that belong together: a table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False)


class Coap(Section):
    """Where devices talk to us, and how packages are cut into blocks."""

    host: str | None = setting(None, "Address to listen on; without it, every address of both families.", "")
    port: int = setting(
        5683, "UDP port of LwM2M and of package downloads; 0 takes a free one.", "", ge=0, le=65535
    )
    threads: int = setting(
        0,
        "Native threads that serve blocks; 0: the loop does, or a thread while the loop is busy.",
        "threads",
        ge=0,
        le=64,
    )
    authority: str | None = setting(
        None, "host[:port] written into package URIs; without it, what is bound or this machine's name.", ""
    )
    smallest_block: int = setting(16, "Smallest block offered.", "bytes", ge=16, le=1024)
    largest_block: int = setting(1024, "Largest block sent.", "bytes", ge=16, le=1024)
    default_block: int = setting(512, "Block sent when the device names no size.", "bytes", ge=16, le=1024)
    receive_buffer_bytes: int = setting(
        4 << 20, "SO_RCVBUF, as far as the kernel grants it.", "bytes", ge=4096, le=(1 << 31) - 1
    )
    ring_bytes: int = setting(
        4 << 20, "Messages that wait for the loop, per listener.", "bytes", ge=1 << 16, le=1 << 30
    )
    grants_max: int = setting(
        1 << 20, "Downloads that may be permitted at a time.", "grants", ge=1, le=(1 << 24) - 1024
    )
    look_every_s: float = duration(1.0, "How often the progress of downloads is looked at.")


class Store(Section):
    """Where everything is kept that a restart must find again."""

    directory: Path = setting(
        Path("headgate-data"), "Data directory: database, packages, secret. One server at a time.", ""
    )
    url: str | None = setting(
        None, "Database, such as postgresql+psycopg://...; without it, SQLite in the data directory.", ""
    )
    events_keep_s: float = duration(90 * DAY_S, "How long the event log is kept.")
    events_max: int = bound(50_000_000, "Its newest lines; older ones go whatever their age.", "events")
    retry_s: float = duration(1.0, "After a commit failed, it is tried again this often.")


class Limits(Section):
    """How many devices of one cell may upgrade at once."""

    class_0: int = setting(50, "Devices of radio class 0.", "slots", ge=1, le=1 << 20)
    class_1: int = setting(10, "Devices of radio class 1.", "slots", ge=1, le=1 << 20)
    class_2: int = setting(1, "Devices of radio class 2.", "slots", ge=1, le=1 << 20)
    unknown: int = setting(10, "Devices of which only the cell is known.", "slots", ge=1, le=1 << 20)
    scope: Literal["class", "cell"] = setting(
        "class", "What shares the slots: each class of a cell, or all classes by their shares.", ""
    )
    ageing_s: float = duration(600.0, "In scope cell: who waited for this long is not overtaken any more.")
    silent_s: float = duration(
        600.0, "A sleeper with an unused slot goes to the back after this, if others wait."
    )


class Radio(Section):
    """Where the radio ranges end. The defaults are NB-IoT's coupling losses of 144, 154 and 164 dB."""

    rsrp_dbm: tuple[float, float, float] = setting(
        (-112.0, -122.0, -132.0), "Least RSRP of ranges 0, 1 and 2, descending.", "dBm"
    )
    sinr_db: tuple[float, float, float] = setting(
        (7.0, -3.0, -13.0), "Least SINR of ranges 0, 1 and 2, descending.", "dB"
    )
    strict_english: bool = setting(
        False, "Only the two pairs that the English text lists leave class 2; else the weaker decides.", ""
    )
    use_ce_level: bool = setting(False, "A missing SINR is replaced by the CE level, where there is one.", "")


class Timers(Section):
    """How long each step of an upgrade may last."""

    online_s: float = duration(DAY_S, "T_online; a wait for a slot is bounded by the same time again.")
    version_s: float = duration(180.0, "Until the version is reported.")
    radio_s: float = duration(180.0, "T_radio: half of it for the signal, what remains for the cell.")
    download_start_s: float = duration(180.0, "Until the device begins to download.")
    download_s: float = duration(3600.0, "T_download, from the moment the URI was acknowledged.")
    update_start_s: float = duration(180.0, "Until the device begins to update.")
    update_s: float = duration(1800.0, "T_update, from the moment Execute was acknowledged.")
    result_s: float = duration(180.0, "Until the result is reported.")
    read_again_s: float = duration(60.0, "After which a result that is still 0 is read once more.")
    check_s: float = duration(180.0, "Until the version is reported after an update without news.")
    unobserve_s: float = duration(93.0, "What the last request of a successful task may take.")
    poll_s: float = duration(300.0, "Without news for this long, an uplink is an occasion to ask.")
    resend_s: float = duration(30.0, "Over PCP: an uplink after this long repeats a question.")
    measurement_s: float = duration(600.0, "An older measurement is made again before its slot is used.")
    no_progress_s: float | None = duration(
        None, "Where set, a download ends after this long without progress, instead of after T_download."
    )


class Presence(Section):
    """When a device in queue mode can be reached. LwM2M 1.1 core, 6.5."""

    awake_s: float = duration(20.0, "How long a device that sleeps is taken to listen after it was heard.")
    awake_s_of: dict[str, Annotated[float, Field(ge=0.001, le=YEAR_S, allow_inf_nan=False)]] = setting(
        {}, "The same for single products, by the label that operators give to devices.", "s"
    )


class Lwm2m(Section):
    """What is accepted of registrations, and kept for each device."""

    grace_s: float = setting(
        300.0,
        "How long after its lifetime a registration is kept: an Update may be late.",
        "s",
        ge=0,
        le=DAY_S,
    )
    registrations_max: int = bound(1 << 20, "Devices that may be registered at a time.", "devices")
    links_bytes_max: int = bound(8192, "The object links of one registration.", "bytes")
    commands_max: int = bound(16, "Commands that wait for one device.", "commands")
    observations_max: int = bound(16, "Tokens of one device's observations.", "tokens")
    shared_links_max: int = bound(1024, "Object links kept whole; of others, what upgrades need.", "lists")
    expired_at_once: int = bound(1000, "Registrations that end without letting others pass.", "devices")


class Pcp(Section):
    """Software upgrades: PCP over object 19."""

    observe: Literal["tasks", "always"] = setting(
        "tasks",
        "Which devices are observed at 19/0/0: those with a software task, or all, after each Register.",
        "",
    )
    segment_size_bytes: int = setting(
        500, "Segment of a package that was added without one.", "bytes", ge=32, le=500
    )
    check_code: Literal["computed", "given", "zero"] = setting(
        "computed", "What devices are told as a package's check code.", ""
    )
    check_code_of: dict[str, Literal["computed", "given", "zero"]] = setting(
        {}, "The same for single products, by name.", ""
    )


class Exchange(Section):
    """The bounds of CoAP messaging; reaching one is counted."""

    devices_max: int = bound(1 << 20, "Devices that were sent a CON within EXCHANGE_LIFETIME.", "devices")
    requests_max: int = bound(1 << 20, "Live tokens: requests under way and observations.", "tokens")
    waiting_max: int = bound(16, "Requests of one device that wait for their turn.", "requests")
    separate_max: int = bound(1 << 16, "Separate responses of ours that await their ACK.", "messages")
    remembered_max: int = bound(1 << 18, "Messages remembered to recognise duplicates.", "messages")
    remembered_bytes_max: int = bound(64 << 20, "The answers stored with them.", "bytes")
    remembered_s: float = duration(
        300.0, "How long they are remembered; 560 covers devices with an ACK_TIMEOUT of 15 s."
    )
    uploads_max: int = bound(4096, "Bodies that devices are sending by Block1.", "bodies")
    uploads_bytes_max: int = bound(16 << 20, "All of them.", "bytes")
    upload_bytes_max: int = bound(64 << 10, "One of them.", "bytes")
    upload_szx_max: int = setting(6, "Size exponent of their blocks.", "", ge=0, le=6)
    upload_s: float = duration(247.0, "How long a body may wait for its next block.")
    bodies_bytes_max: int = bound(64 << 20, "Bodies that are being fetched by Block2.", "bytes")
    body_bytes_max: int = bound(64 << 10, "One of them.", "bytes")


class Retry(Section):
    """Which devices a campaign tries again, unless it says otherwise."""

    count: int = setting(0, "Attempts after the first; 0 for none.", "attempts", ge=0, le=100)
    interval_s: float = setting(
        0.0,
        "From the end of a campaign's batch to its next attempts.",
        "s",
        ge=0,
        le=YEAR_S,
        allow_inf_nan=False,
    )
    failures: tuple[str, ...] = setting(
        (), "The published failure texts that are worth it; none listed means every one.", ""
    )


class Grants(Section):
    """Permissions to download."""

    keep_s: float = duration(DAY_S, "How long a device may still download after its task has ended.")


class Http(Section):
    """The API, for people and programs. Plain HTTP: over a network, put something that does TLS before it."""

    enabled: bool = setting(True, "Whether `headgate serve` serves the API.", "")
    host: str = setting("127.0.0.1", "Address to listen on.", "")
    port: int = setting(8080, "TCP port; 0 takes a free one.", "", ge=0, le=65535)
    body_bytes_max: int = bound(4 << 20, "The body of a request that sends no package.", "bytes")
    package_bytes_max: int = bound(256 << 20, "A package that is sent.", "bytes")
    body_idle_s: float = duration(30.0, "How long the next bytes of a body are waited for.")
    requests_max: int = bound(256, "Requests that are answered at a time.", "requests")
    uploads_max: int = setting(4, "Packages that are received at a time.", "threads", ge=1, le=64)
    viewers_max: int = bound(200, "Who follows events and pages of the console at a time.", "viewers")
    sessions_max: int = bound(256, "Logins of the console at a time; beyond, the oldest ends.", "sessions")
    session_s: float = duration(12 * 3600.0, "How long a login of the console lasts.")
    events_kept: int = setting(5_000, "Newest events in memory, for them.", "events", ge=1, le=1 << 20)
    read_threads: int = setting(4, "Threads that read the store for the API.", "threads", ge=1, le=64)
    reads_waiting_max: int = bound(256, "Questions that wait for one of them.", "questions")
    tokens_max: int = setting(1_000, "Access tokens that there may be.", "tokens", ge=1, le=10_000)
    failed_logins_max: int = bound(20, "Wrong tokens of one address within a minute.", "requests")
    devices_max: int = bound(2_000_000, "Devices of one campaign that is made over the API.", "devices")


class Hooks(Section):
    """Web hooks: what happens, told to other programs."""

    allow_private: bool = setting(
        False, "Whether hooks may lead to private, loopback and link-local addresses.", ""
    )
    timeout_s: float = duration(10.0, "How long one delivery may take, from the name to the whole answer.")
    concurrency: int = setting(8, "Deliveries of one hook at a time.", "requests", ge=1, le=64)
    backoff_s: float = duration(5.0, "After a delivery that failed; doubled by each further failure.")
    backoff_max_s: float = duration(900.0, "The longest pause between deliveries that fail.")
    attempts_max: int = bound(300, "Deliveries of one event that fail before it is given up.", "attempts")
    dead_after_s: float = duration(
        3 * DAY_S, "A delivery that fails so long after its event is the last one."
    )
    dead_keep_s: float = duration(30 * DAY_S, "How long events that were given up are kept to be replayed.")
    hooks_max: int = setting(16, "Hooks that there may be.", "hooks", ge=1, le=256)
    outbox_max: int = bound(100_000, "Events kept for one hook; beyond, the new ones are lost.", "events")


class Log(Section):
    """What the server says of itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting("info", "The least that is told.", "")
    format: Literal["text", "json"] = setting("text", "For people, or one JSON object per line.", "")


class Config(BaseSettings):
    """All settings. Made in Python it reads nothing but its arguments; `read` looks around."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
        nested_model_default_partial_update=True,
    )

    coap: Coap = Coap()
    store: Store = Store()
    limits: Limits = Limits()
    radio: Radio = Radio()
    timers: Timers = Timers()
    presence: Presence = Presence()
    lwm2m: Lwm2m = Lwm2m()
    pcp: Pcp = Pcp()
    exchange: Exchange = Exchange()
    retry: Retry = Retry()
    grants: Grants = Grants()
    http: Http = Http()
    hooks: Hooks = Hooks()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed, alone."""
        return (init_settings,)
