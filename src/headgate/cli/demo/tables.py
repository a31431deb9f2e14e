"""The tables at the end of the demo."""

from __future__ import annotations

from rich.table import Table

from headgate.cli.demo.verdict import Verdict
from headgate.upgrade.task import Kind


def fault_table(verdict: Verdict) -> Table:
    """Each fault, the cause it must end in, and whether it did."""
    table = titled("Faults, and the published causes they must end in")
    for name in ("kind", "fault", "must end so", "devices", "ended so"):
        table.add_column(name, justify="right" if name in ("devices", "ended so") else "left")
    for each in verdict.faults:
        style = "" if each.devices == each.ended_so else "red"
        counts = (str(each.devices), str(each.ended_so))
        table.add_row(each.kind.value, each.fault, each.published, *counts, style=style)
    return table


def cause_table(verdict: Verdict) -> Table:
    """Who ended how."""
    table = titled("Who ended how")
    table.add_column("end of the task")
    kinds = kinds_of(verdict)
    for kind in kinds:
        table.add_column(f"{kind.value} tasks", justify="right")
    endings = {name: sum(found.get(name, 0) for found in verdict.endings.values()) for name in named(verdict)}
    for name, _ in sorted(endings.items(), key=lambda each: (-each[1], each[0])):
        table.add_row(name, *(f"{verdict.endings[kind].get(name, 0):,}" for kind in kinds))
    return table


def concurrency_table(verdict: Verdict) -> Table:
    """The fullest cells of each class, as counted by the devices."""
    table = titled("Devices of either kind that upgraded at once, counted by themselves")
    for name in (
        *("class", "limit", "(cell, class) pairs", "with both kinds at once"),
        *("highest peak", "at their limit", "beyond it"),
    ):
        table.add_column(name, justify="left" if name == "class" else "right")
    for radio_class in sorted({each.radio_class for each in verdict.peaks}):
        peaks = [each for each in verdict.peaks if each.radio_class == radio_class]
        beyond = sum(each.most > each.limit for each in peaks)
        table.add_row(
            radio_class or "unknown to the device",
            str(peaks[0].limit),
            str(len(peaks)),
            str(sum(each.mixed for each in peaks)),
            str(max(each.most for each in peaks)),
            str(sum(each.most == each.limit for each in peaks)),
            str(beyond),
            style="red" if beyond else "",
        )
    return table


def waiting_table(verdict: Verdict) -> Table:
    """Whether slots lay idle while someone waited for one."""
    contention = verdict.contention
    table = titled("While devices of either kind waited for a (cell, class)")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("time in which someone waited, summed up", f"{contention.contended_s / 3600:,.1f} h")
    table.add_row("share of it in which a slot was free", f"{contention.idle_share:.2%}")
    table.add_row("share of the slots' time in it in which a device upgraded", f"{contention.used_share:.0%}")
    return table


def count_table(verdict: Verdict) -> Table:
    """What else was counted."""
    kinds = kinds_of(verdict)
    table = titled("Counted by the devices")
    table.add_column("")
    for kind in kinds:
        table.add_column(kind.value, justify="right")
    upgraded = [f"{verdict.upgraded[kind]:,} of {verdict.devices[kind]:,}" for kind in kinds]
    table.add_row("devices upgraded, with the right digest", *upgraded)
    for name in verdict.counts[kinds[0]]:
        table.add_row(name, *(f"{verdict.counts[kind][name]:,}" for kind in kinds))
    return table


def kinds_of(verdict: Verdict) -> list[Kind]:
    """Those that there are, firmware first."""
    return [kind for kind in Kind if verdict.devices.get(kind)]


def named(verdict: Verdict) -> set[str]:
    """All ways in which tasks ended."""
    return {name for found in verdict.endings.values() for name in found}


def titled(title: str) -> Table:
    """A table with its title at the left."""
    return Table(title=title, title_justify="left")
