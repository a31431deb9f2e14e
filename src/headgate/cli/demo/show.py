"""The demo as a person sees it, live on a terminal and line by line elsewhere; and as a machine reads it."""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from headgate.cli.demo.contention import Contention
from headgate.cli.demo.orders import kind_of
from headgate.cli.demo.pace import PacedClock
from headgate.cli.demo.tables import (
    cause_table,
    concurrency_table,
    count_table,
    fault_table,
    waiting_table,
)
from headgate.cli.demo.verdict import Verdict, values_of
from headgate.fleet.runner import Fleet
from headgate.server import Server
from headgate.upgrade.admission import Occupancy
from headgate.upgrade.task import Kind, State

if TYPE_CHECKING:
    from headgate.cli.demo.rehearsal import Demo

LIVE_EVERY_S = 0.5
JSON_EVERY_S = 1.0
LINE_EVERY_S = 5.0
SLOW_SHARE = 0.5  # of the speed that was asked for: below, it is said
PLAIN_WIDTH = 120  # where there is no terminal to ask
BAR = 30
CELL_BAR = 10
CELLS_SHOWN = 24
RATE_LOOKS = 6

STAGES: Mapping[str, tuple[State, ...]] = {
    "waits for its stage": (State.CREATED,),
    "not online yet": (State.WAIT_ONLINE,),
    "version and radio asked": (State.QUERY_VERSION, State.SUBSCRIBE, State.QUERY_RADIO, State.QUERY_CELL),
    "waits for a slot": (State.WAIT_SLOT,),
    "has a slot, prepares": (
        *(State.WAIT_AWAKE, State.REQUERY_RADIO, State.REQUERY_CELL, State.NOTIFY, State.OBSERVE),
        *(State.COMPARE, State.CLEAR_URI, State.WRITE_URI, State.CHECK_URI, State.WAIT_START),
    ),
    "downloads": (State.DOWNLOADING,),
    "updates": (State.EXECUTE, State.CHECK_EXECUTE, State.WAIT_EXECUTE, State.UPDATING),
    "result asked": (State.READ_RESULT, State.WAIT_RESULT, State.UNOBSERVE, State.CHECK),
    "succeeded": (State.SUCCESS, State.DONE_SAME),
    "failed": (State.FAILED, State.CANCELLED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How it stands at one look."""

    clock: PacedClock
    elapsed_s: float
    states: Mapping[Kind, Mapping[State, int]]
    occupancy: Sequence[Occupancy]
    contention: Contention
    served: int
    """Blocks and segments, by the server."""

    @property
    def stages(self) -> dict[str, dict[Kind, int]]:
        """Devices by stage and kind, all stages named."""
        return {
            name: {kind: sum(states.get(state, 0) for state in stage) for kind, states in self.states.items()}
            for name, stage in STAGES.items()
        }


class Show:
    """`with` it while the campaign runs; `look` whenever it is `due`."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self._console = Console()
        if not self._console.is_terminal:
            self._console = Console(width=PLAIN_WIDTH)
        self.is_terminal = self._console.is_terminal and not json
        self._live: Live | None = None
        self._every_s = JSON_EVERY_S if json else LIVE_EVERY_S if self.is_terminal else LINE_EVERY_S
        self._looked_s = time.monotonic()
        self._served: deque[tuple[float, int]] = deque(maxlen=RATE_LOOKS)

    def __enter__(self) -> Self:
        if self.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    @property
    def due(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._looked_s >= self._every_s

    # -- what happens --

    def began(self, demo: Demo, server: Server, fleet: Fleet, folder: str) -> None:
        """Say what is about to be done."""
        faults = Counter(
            (kind_of(device), device.profile.fault) for device in fleet.devices if device.profile.fault
        )
        classes = Counter(device.profile.radio.radio_class or "none" for device in fleet.devices)
        kinds = Counter(kind_of(device) for device in fleet.devices)
        if self.json:
            self._print(
                "started",
                port=server.port,
                folder=folder,
                devices=demo.devices,
                cells=demo.cells,
                seed=demo.seed,
                speed=demo.speed,
                loss=demo.loss,
                size_bytes=demo.size_bytes,
                classes=dict(sorted(classes.items())),
                kinds=dict(sorted(kinds.items())),
                faults={
                    kind: {fault: count for (of, fault), count in sorted(faults.items()) if of is kind}
                    for kind in sorted(kinds)
                },
            )
            return
        shares = ", ".join(f"{count:,} of class {name}" for name, count in sorted(classes.items()))
        upgrades = " and ".join(f"{kinds[kind]:,} of {kind.value}" for kind in Kind if kinds[kind])
        self._console.print(
            f"Server on UDP 127.0.0.1:{server.port}, data in {folder}. "
            f"[bold]{demo.devices:,} devices in {demo.cells} cells[/bold] ({shares}), "
            f"{faults.total():,} of them faulty in {len(faults)} ways; {demo.loss:.0%} of all datagrams are "
            f"lost each way. Upgrades: {upgrades}, packages of {demo.size_bytes:,} bytes; up to "
            f"{demo.speed:g} times as fast as life (seed {demo.seed}).",
            highlight=False,
        )

    def doors(self, url: str, console: str, token_file: Path | None) -> None:
        """Say where people and programs get in."""
        if self.json:
            self._print("http", url=url, console=console, token_file=str(token_file))
            return
        self._console.print(f"Console: {console} (once)", highlight=False, soft_wrap=True, markup=False)
        self._console.print(f"API: {url}/api/v1, its token in {token_file}", highlight=False, soft_wrap=True)

    def variables(self, values: Mapping[str, str | Path]) -> None:
        """Say what commands are to find in their environment."""
        self._console.print("For `headgate campaign`, `device` and the like in another terminal:")
        for name, value in values.items():
            self._console.print(f"  export {name}={value}", highlight=False, soft_wrap=True, markup=False)

    def next_steps(self, steps: Mapping[str, str]) -> None:
        """Say what one can do now: commands, each with what it shows."""
        self._console.print("What to try next, in another terminal with the environment named above:")
        for command, shows in steps.items():
            self._console.print(f"  {command}   # {shows}", highlight=False, soft_wrap=True, markup=False)

    def serves(self, after_s: float) -> None:
        """Say, to machines, that the first block or segment was served, so long after the campaigns began."""
        if self.json:
            self._print("serves", after_s=round(after_s, 3))

    def look(self, sight: Sight) -> None:
        """Show how it stands."""
        self._looked_s = time.monotonic()
        self._served.append((self._looked_s, sight.served))
        if self.json:
            self._print(
                "status",
                simulated_s=round(sight.clock.passed_s, 1),
                speed=round(sight.clock.achieved, 1),
                states={
                    kind: {state.value: count for state, count in states.items()}
                    for kind, states in sight.states.items()
                },
                slots_held=sum(each.held for each in sight.occupancy),
                waiting=sum(each.waiting for each in sight.occupancy),
                served=sight.served,
                idle_share=round(sight.contention.idle_share, 6),
            )
        elif self._live is not None:
            self._live.update(self._view(sight), refresh=True)
        else:
            totals = {name: sum(counts.values()) for name, counts in sight.stages.items()}
            stages = ", ".join(f"{count:,} {name}" for name, count in totals.items() if count)
            self._console.print(f"{self._head(sight)}: {stages}", highlight=False, soft_wrap=True)

    def says(self, sentence: str) -> None:
        """One sentence, for people."""
        if self.json:
            self._print("said", text=sentence)
        else:
            self._console.print(sentence, highlight=False)

    def ended(self, verdict: Verdict, clock: PacedClock) -> None:
        """Say who ended how, and whether that is as it must be."""
        if self.json:
            self._print(
                "ended",
                simulated_s=round(clock.passed_s, 1),
                ran_s=round(clock.ran_s, 1),
                held_s=round(clock.held_s, 1),
                speed=round(clock.achieved, 1),
                **values_of(verdict),
            )
            return
        for table in (
            fault_table(verdict),
            cause_table(verdict),
            concurrency_table(verdict),
            waiting_table(verdict),
            count_table(verdict),
        ):
            self._console.print(table)
        for reason in verdict.pauses:
            self._console.print(f"A campaign paused itself, and was resumed: {reason}.", highlight=False)
        self._console.print(self._time(clock), highlight=False)
        if verdict.good:
            self._console.print(
                f"[green]Everything holds: {sum(verdict.upgraded.values()):,} of "
                f"{sum(verdict.devices.values()):,} devices run the new "
                "version with the right digest, and each fault ended in its published cause.[/green]",
                highlight=False,
            )
        else:
            for violation in verdict.violations:
                self._console.print(f"[red]{violation}[/red]", highlight=False, soft_wrap=True)
            self._console.print(f"[red]{len(verdict.violations):,} things are not as they must be.[/red]")

    # -- how --

    def _head(self, sight: Sight) -> str:
        held, waiting = (sum(getattr(each, name) for each in sight.occupancy) for name in ("held", "waiting"))
        return (
            f"{sight.elapsed_s:4.0f} s, simulated {duration(sight.clock.passed_s)}, {held:,} slots held, "
            f"{waiting:,} wait, {self._rate():,.0f} blocks and segments/s"
        )

    def _rate(self) -> float:
        (began_s, first), (ended_s, last) = self._served[0], self._served[-1]
        return (last - first) / (ended_s - began_s) if ended_s > began_s else 0.0

    def _view(self, sight: Sight) -> RenderableType:
        devices = sum(sum(states.values()) for states in sight.states.values())
        stages = Table.grid(padding=(0, 1))
        stages.add_row("", *(Text(kind.value, style="dim") for kind in sight.states), "")
        for name, counts in sight.stages.items():
            columns = [Text(f"{count:,}", justify="right") for count in counts.values()]
            stages.add_row(name, *columns, bar(sum(counts.values()), devices, BAR))
        fullest = sorted(
            sight.occupancy, key=lambda each: (-each.waiting, -each.held / each.limit, each.cell.cell_id)
        )
        cells = Columns([cell_text(each) for each in fullest[:CELLS_SHOWN]], padding=(0, 3))
        shown = min(len(fullest), CELLS_SHOWN)
        title = f"the {shown} most waited-for of {len(fullest)} (cell, class): slots held / limit + waiting"
        return Group(
            Text(f"{self._head(sight)}, {sight.clock.achieved:.0f} times as fast as life", no_wrap=True),
            stages,
            Text(title, style="dim"),
            cells,
        )

    def _time(self, clock: PacedClock) -> str:
        """How long it took, and whether the machine could follow."""
        flown = ""
        if clock.flew_from_s is not None:
            flown = f", {duration(clock.passed_s - clock.flew_from_s + clock.started_s)} of it skipped"
        slow = "" if clock.achieved >= SLOW_SHARE * clock.asked else " Time waited for this machine."
        return (
            f"{clock.ran_s:.0f} s for {duration(clock.passed_s)} simulated{flown}: "
            f"{clock.achieved:.0f} times as fast as life on average, of {clock.asked:g}.{slow}"
        )

    def _print(self, event: str, **values: Any) -> None:
        print(json.dumps({"event": event, "time": time.time(), **values}), flush=True)


def duration(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> duration(4200.5)
    '1:10:00'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def bar(part: float, whole: float, width: int) -> Text:
    """A bar of this many characters.

    >>> bar(1, 2, 4).plain
    '██░░'
    """
    full = round(width * min(part / whole, 1.0)) if whole else 0
    return Text("█" * full + "░" * (width - full), style="cyan")


def cell_text(each: Occupancy) -> Text:
    """One cell and class, and who waits for it."""
    text = Text(f"{each.cell.cell_id:7X}/{each.radio_class.value} ", no_wrap=True)
    text.append_text(bar(each.held, each.limit, CELL_BAR))
    text.append(f" {each.held:2}/{each.limit}")
    text.append(f" +{each.waiting}".ljust(4) if each.waiting else "    ", style="yellow")
    return text
