"""How a campaign stands: in figures, in one line, and as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headgate.cli.policy import duration_text, short
from headgate.cli.saying import plain
from headgate.cli.tables import Column, column, field, moment, on_terminal, say_json, show_one, shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.measure import Measurement
    from rich.table import Table

Status = Mapping[str, Any]

SUCCEEDED = ("success", "done_same")
OVER = (*SUCCEEDED, "failed", "cancelled")
BAR = 30
BAR_LEAST = 8
CAUSES = 17  # that are published


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Devices of a campaign, each counted by its last attempt."""

    devices: int
    succeeded: int
    failed: int
    cancelled: int

    @property
    def over(self) -> int:
        """Those with which it is through, unless somebody has them tried again."""
        return self.succeeded + self.failed + self.cancelled


def figures_of(status: Status) -> Figures:
    """The figures of what the API tells: a failed task with a later attempt is no device.

    >>> figures_of({"devices": 9, "retried": 2, "states": {"success": 4, "failed": 3, "created": 4}})
    Figures(devices=9, succeeded=4, failed=1, cancelled=0)
    """
    states = status["states"]
    return Figures(
        devices=status["devices"],
        succeeded=sum(states.get(state, 0) for state in SUCCEEDED),
        failed=states.get("failed", 0) - status["retried"],
        cancelled=states.get("cancelled", 0),
    )


def bar_of(done: int, of: int, width: int = BAR) -> str:
    """How far it is. It is full only when all are done.

    >>> bar_of(1, 3, 6), bar_of(999, 1000, 6), bar_of(0, 0, 6)
    ('██····', '█████·', '······')
    """
    full = done * width // of if of else 0
    return "█" * full + "·" * (width - full)


@dataclass(frozen=True, slots=True)
class Bar:
    """The same in a table: as wide as there is room."""

    done: int
    of: int

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """It gives way first."""
        from rich.measure import Measurement

        return Measurement(min(BAR_LEAST, options.max_width), min(BAR, options.max_width))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Itself, in one line."""
        from rich.text import Text

        yield Text(bar_of(self.done, self.of, min(BAR, options.max_width)))


def under_way(status: Status) -> dict[str, int]:
    """The tasks by state that are not over, in the order of the flow."""
    return {state: count for state, count in status["states"].items() if state not in OVER}


def line_of(status: Status) -> str:
    """All of it in one line.

    >>> line_of({"state": "running", "devices": 9, "retried": 0, "states": {"success": 4, "wait_slot": 5}})
    'running: 4 of 9 devices through, 4 succeeded; wait_slot 5'
    """
    figures = figures_of(status)
    stages = status.get("stages") or ()
    where = f", stage {status['stage']} of {len(stages)}" if len(stages) > 1 and status.get("stage") else ""
    said = f"{status['state']}{where}: {figures.over:,} of {figures.devices:,} devices through"
    for name in ("succeeded", "failed", "cancelled"):
        if count := getattr(figures, name):
            said += f", {count:,} {name}"
    if now := under_way(status):
        said += "; " + ", ".join(f"{state} {count:,}" for state, count in now.items())
    if status.get("reason"):
        said += f"; it is {status['reason']}"
    return plain(said)


# -- all of it --


def columns() -> list[Column]:
    """What is fixed of a campaign, and its figures."""
    return [
        column("id"),
        column("name"),
        column("state"),
        column("reason"),
        column("kind"),
        column("package"),
        column("to version", key="target_version"),
        column("from versions", key="source_versions"),
        Column("devices", lambda item: figures_of(item).devices),
        Column("succeeded", lambda item: figures_of(item).succeeded),
        Column("failed", lambda item: figures_of(item).failed),
        Column("cancelled", lambda item: figures_of(item).cancelled),
        Column("attempts", lambda item: item["tasks"]),
        Column("created", lambda item: moment(item["created_s"])),
        Column("begins", lambda item: moment(item.get("start_s"))),
        Column("started", lambda item: moment(item["started_s"])),
        Column("ended", lambda item: moment(item["ended_s"])),
        Column("windows", windows_text),
        Column("to be confirmed", lambda item: item.get("confirm")),
        Column("gate", gates_text),
        Column("tried again", retry_text),
        Column("timers", timers_text),
    ]


def windows_text(status: Status) -> str:
    """When it may begin tasks.

    >>> windows_text({"windows": [{"days": ["mon"], "begin": "22:00", "end": "06:00"}], "timezone": "UTC"})
    'mon 22:00-06:00 (UTC)'
    """
    windows = status.get("windows") or ()
    if not windows:
        return ""
    said = [" ".join([*[",".join(each["days"])][: bool(each["days"])], times(each)]) for each in windows]
    return f"{'; '.join(said)} ({status.get('timezone')})"


def times(window: Mapping[str, Any]) -> str:
    """From when until when."""
    return f"{window['begin']}-{window['end']}"


def gate_text(gate: Mapping[str, Any] | None) -> str:
    """What a stage must reach.

    >>> gate_text({"success": 0.95, "error_threshold": None})
    'success 95 %'
    """
    said = []
    for name, value in (gate or {}).items():
        if value is not None:
            number = f"{100 * value:g} %" if name in ("success", "error_threshold") else shown(value)
            said.append(f"{name.replace('_', ' ')} {number}")
    return ", ".join(said)


def gates_text(status: Status) -> str:
    """The gate of all stages, and of those that have another.

    >>> gates_text({"gate": {"success": 0.9}, "stages": [{"number": 1, "gate": {"success": 1.0}}]})
    'success 90 %; stage 1: success 100 %'
    """
    own = [each for each in status.get("stages") or () if each.get("gate") != status.get("gate")]
    said = [
        gate_text(status.get("gate")),
        *(f"stage {each['number']}: {gate_text(each['gate'])}" for each in own),
    ]
    return "; ".join(filter(None, said))


def timers_text(status: Status) -> str:
    """How long its steps may last, as `--timer` takes it.

    >>> timers_text({"timers": {"online_s": 86400.0, "download_start_s": 90.0, "no_progress_s": None}})
    'online=1d, download-start=90s'
    """
    return ", ".join(
        f"{short(name.removesuffix('_s'))}={duration_text(lasts_s)}"
        for name, lasts_s in (status.get("timers") or {}).items()
        if lasts_s is not None
    )


def retry_text(status: Status) -> str:
    """Who is tried again.

    >>> retry_text({"retry": [{"failure": "Invalid URI", "count": 2, "interval_s": 600.0}]})
    'Invalid URI: 2 more, 600 s later'
    """
    by_rule: dict[str, list[str]] = {}
    for each in status["retry"]:
        rule = f"{each['count']} more, {each['interval_s']:g} s later"
        by_rule.setdefault(rule, []).append(each["failure"])
    return "; ".join(
        f"{'any cause' if len(causes) == CAUSES else ' / '.join(causes)}: {rule}"
        for rule, causes in by_rule.items()
    )


def stage_columns() -> list[Column]:
    """Of each stage."""
    return [
        column("stage", key="number", right=True),
        column("state"),
        column("devices", right=True),
        column("begun", right=True),
        column("ended", right=True),
        column("succeeded", right=True),
        column("failed", right=True),
        Column("", lambda item: Bar(item["ended"], item["devices"])),
    ]


def show_status(status: Status, *, json: bool) -> None:
    """A campaign as it stands."""
    if json:
        say_json(status)
        return
    show_one(status, columns(), json=False)
    if on_terminal():
        from rich.console import Console

        Console().print(parts(status))
        advise(status)
        return
    for stage in status.get("stages") or ():
        print("\t".join(["stage", *(field(each.value(stage)) for each in stage_columns()[:-1])]))
    for kind in ("states", "failures"):
        for name, count in status[kind].items():
            print(f"{kind.removesuffix('s')}\t{plain(name)}\t{count}")


def advise(status: Status) -> None:
    """What to do about each cause of failure. Of one that a newer server may know, the text alone."""
    if not status["failures"]:
        return
    from rich.console import Console
    from rich.text import Text

    from headgate.upgrade.advice import ADVICE

    known = {cause.value: advice for cause, advice in ADVICE.items()}
    for cause in status["failures"]:
        said = f"{plain(cause)}: {known[cause]}" if cause in known else plain(cause)
        Console(highlight=False).print(Text(f"\n{said}"))


def live(status: Status) -> RenderableType:
    """A campaign as it stands, to be drawn again and again."""
    from rich.console import Group
    from rich.text import Text

    figures = figures_of(status)
    name = " ".join(filter(None, ("campaign", status["id"], status["name"])))
    head = f"{name}: {status['target_version']}, {status['state']}"
    share = f"{bar_of(figures.over, figures.devices)} {figures.over:,} of {figures.devices:,} devices"
    lines = [Text(plain(head), style="bold"), Text(share)]
    if status.get("reason"):
        lines.append(Text(plain(status["reason"]), style="yellow"))
    return Group(*lines, parts(status))


def parts(status: Status) -> RenderableType:
    """Stages, tasks by state, failures by cause: each where there are some."""
    from rich.console import Group

    drawn: list[Table] = []
    stages = status.get("stages") or ()
    if len(stages) > 1:
        drawn.append(table(stage_columns(), stages))
    if status["states"]:
        drawn.append(counted("tasks", status["states"], status["tasks"]))
    if status["failures"]:
        drawn.append(counted("failed by", status["failures"], sum(status["failures"].values())))
    return Group(*drawn)


def counted(what: str, counts: Mapping[str, int], of: int) -> Table:
    """How many there are of each."""
    items = [{"name": name, "count": count} for name, count in counts.items()]
    bar = Column("", lambda item: Bar(item["count"], of))
    return table([column(what, key="name"), column("", key="count", right=True), bar], items)


def table(of: list[Column], items: Any) -> Table:
    """A table, with an empty line above it."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False, title=" ", title_justify="left")
    for each in of:
        drawn.add_column(each.name, justify="right" if each.right else "left", overflow="fold")
    for item in items:
        values = (each.value(item) for each in of)
        drawn.add_row(*(each if isinstance(each, Bar) else Text(shown(each)) for each in values))
    return drawn
