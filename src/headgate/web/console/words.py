"""How the console writes numbers, times, names and states: filters of its templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote

from markupsafe import Markup, escape

from headgate.upgrade.task import State

DAY_S = 86_400.0
HOUR_S = 3_600.0
MINUTE_S = 60.0
SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def number(value: float) -> str:
    """A count, in groups of three.

    >>> number(1234567), number(0.25), number(12.5), number(0.0)
    ('1,234,567', '0.2', '12', '0')
    """
    return f"{value:,.1f}" if value < 10 and value != int(value) else f"{value:,.0f}"


def size(value: float) -> str:
    """So many bytes.

    >>> size(512), size(1536), size(30 << 20)
    ('512 B', '1.5 KiB', '30 MiB')
    """
    step = 0
    while value >= 1024 and step < len(SIZES) - 1:
        value, step = value / 1024, step + 1
    return f"{value:.0f} {SIZES[step]}" if step == 0 or value >= 10 else f"{value:.1f} {SIZES[step]}"


def share(part: float, whole: float) -> str:
    """Part of a whole, in percent. What is neither nothing nor all is not said to be.

    >>> share(1, 3), share(1, 100_000), share(99_999, 100_000), share(0, 0)
    ('33 %', '< 1 %', '> 99 %', '0 %')
    """
    if not part or not whole:
        return "0 %"
    percent = 100 * part / whole
    if percent < 1:
        return "< 1 %"
    return "> 99 %" if 99 < percent < 100 else f"{percent:.0f} %"


def duration(seconds: float) -> str:
    """A span of time, in its two largest units.

    >>> duration(3.2), duration(90), duration(3660), duration(200_000)
    ('3 s', '1 min 30 s', '1 h 1 min', '2 d 7 h')
    """
    whole = int(seconds)
    for size_s, unit, below_s, below in (
        (DAY_S, "d", HOUR_S, "h"),
        (HOUR_S, "h", MINUTE_S, "min"),
        (MINUTE_S, "min", 1, "s"),
    ):
        if whole >= size_s:
            rest = int(whole % size_s // below_s)
            return f"{int(whole // size_s)} {unit}" + (f" {rest} {below}" if rest else "")
    return f"{whole} s"


def moment(at_s: float | None) -> Markup:
    """A time, as an element that machines read too; nothing where there is none."""
    if at_s is None:
        return Markup('<span class="none">–</span>')
    at = datetime.fromtimestamp(at_s, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S}"
    )


def visible(text: str) -> Markup:
    r"""A text that came from elsewhere, every character to be seen.

    What would end a line, turn the direction of writing or not be shown is written as its escape.

    >>> visible("a<b\n")
    Markup('a&lt;b<span class="escape">\\n</span>')
    """
    pieces = []
    plain = ""
    for sign in text:
        if sign.isprintable():
            plain += sign
            continue
        pieces += [escape(plain), Markup('<span class="escape">{}</span>').format(ascii(sign)[1:-1])]
        plain = ""
    return Markup("").join([*pieces, escape(plain)])


def device_url(endpoint: str) -> str:
    """The page of a device. Browsers take a dot alone, or two, for a way to another page.

    >>> device_url("urn:a/b"), device_url("..")
    ('/devices/urn%3Aa%2Fb', '/devices/?endpoint=..')
    """
    name = quote(endpoint, safe="")
    return f"/devices/?endpoint={name}" if endpoint.strip(".") == "" else f"/devices/{name}"


def act_url(endpoint: str, act: str) -> str:
    """Where something is done with a device.

    >>> act_url("urn:a/b", "labels"), act_url("..", "labels")
    ('/devices/urn%3Aa%2Fb/labels', '/devices//labels?endpoint=..')
    """
    path, mark, query = device_url(endpoint).partition("?")
    return f"{path}/{act}{mark}{query}"


def labels_url(endpoint: str) -> str:
    """Where the labels of a device are saved."""
    return act_url(endpoint, "labels")


def cancel_url(endpoint: str, task_id: str) -> str:
    """Where a task of a device is cancelled."""
    return act_url(endpoint, f"tasks/{task_id}/cancel")


# -- states --

STATES: dict[State, str] = {
    State.CREATED: "Not begun",
    State.WAIT_ONLINE: "Waiting for the device",
    State.QUERY_VERSION: "Asking its version",
    State.SUBSCRIBE: "Observing",
    State.QUERY_RADIO: "Asking its signal",
    State.QUERY_CELL: "Asking its cell",
    State.WAIT_SLOT: "Waiting for a slot",
    State.WAIT_AWAKE: "Slot held, asleep",
    State.REQUERY_RADIO: "Asking its signal again",
    State.REQUERY_CELL: "Asking its cell again",
    State.NOTIFY: "Announcing the package",
    State.OBSERVE: "Observing its update",
    State.COMPARE: "Comparing packages",
    State.CLEAR_URI: "Clearing an old address",
    State.WRITE_URI: "Writing the address",
    State.CHECK_URI: "Checking the address",
    State.WAIT_START: "Download about to begin",
    State.DOWNLOADING: "Downloading",
    State.EXECUTE: "Told to update",
    State.CHECK_EXECUTE: "Asking whether it updates",
    State.WAIT_EXECUTE: "Update about to begin",
    State.UPDATING: "Updating",
    State.READ_RESULT: "Reading the result",
    State.WAIT_RESULT: "Waiting for the result",
    State.UNOBSERVE: "Ending the observation",
    State.CHECK: "Asking the new version",
    State.SUCCESS: "Succeeded",
    State.DONE_SAME: "Up to date already",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
}

TONES = {
    "success": "good",
    "done_same": "good",
    "ended": "over",
    "passed": "good",
    "delivered": "good",
    "failed": "bad",
    "held": "bad",
    "refused": "bad",
    "overflowing": "bad",
    "failing": "warn",
    "paused": "warn",
    "waiting": "warn",
    "wait_slot": "wait",
    "wait_online": "wait",
    "wait_awake": "wait",
    "created": "idle",
    "scheduled": "wait",
    "creating": "wait",
    "cancelled": "over",
    "stopped": "over",
}
"""What is not here is under way."""


def tone(state: str) -> str:
    """The shape and colour of a state."""
    return TONES.get(state, "busy")


def state_word(state: str) -> str:
    """A state of a task, of a campaign or of a stage, for people."""
    try:
        return STATES[State(state)]
    except ValueError:
        return state[:1].upper() + state[1:].replace("_", " ")


FILTERS: Mapping[str, Callable[..., str]] = {
    each.__name__: each
    for each in (
        number,
        size,
        share,
        duration,
        moment,
        visible,
        device_url,
        labels_url,
        cancel_url,
        tone,
        state_word,
    )
}
"""What templates know these by."""
