"""The tables at the end of the demo."""

from __future__ import annotations

from rich.table import Table

from headgate.cli.demo.verdict import Verdict


def fault_table(verdict: Verdict) -> Table:
    """Each fault, the cause it must end in, and whether it did."""
    table = titled("Faults, and the published causes they must end in")
    for name in ("fault", "must end so", "devices", "ended so"):
        table.add_column(name, justify="right" if name in ("devices", "ended so") else "left")
    for each in verdict.faults:
        style = "" if each.devices == each.ended_so else "red"
        table.add_row(each.fault, each.published, str(each.devices), str(each.ended_so), style=style)
    return table


def cause_table(verdict: Verdict) -> Table:
    """Who ended how."""
    table = titled("Who ended how")
    table.add_column("end of the task")
    table.add_column("tasks", justify="right")
    for name, count in sorted(verdict.endings.items(), key=lambda each: (-each[1], each[0])):
        table.add_row(name, f"{count:,}")
    return table


def concurrency_table(verdict: Verdict) -> Table:
    """The fullest cells of each class, as counted by the devices."""
    table = titled("Devices that upgraded at once, counted by themselves")
    for name in ("class", "limit", "(cell, class) pairs", "highest peak", "at their limit", "beyond it"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for radio_class in sorted({each.radio_class for each in verdict.peaks}):
        peaks = [each for each in verdict.peaks if each.radio_class == radio_class]
        beyond = sum(each.most > each.limit for each in peaks)
        table.add_row(
            radio_class or "unknown to the device",
            str(peaks[0].limit),
            str(len(peaks)),
            str(max(each.most for each in peaks)),
            str(sum(each.most == each.limit for each in peaks)),
            str(beyond),
            style="red" if beyond else "",
        )
    return table


def count_table(verdict: Verdict) -> Table:
    """What else was counted."""
    contention = verdict.contention
    table = titled("Counted")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("devices upgraded, with the right digest", f"{verdict.upgraded:,} of {verdict.devices:,}")
    table.add_row(
        "time in which someone waited for a (cell, class), summed up",
        f"{contention.contended_s / 3600:,.1f} h",
    )
    table.add_row(
        "share of it in which a slot of that (cell, class) was free", f"{contention.idle_share:.2%}"
    )
    table.add_row("share of the slots' time in it in which a device upgraded", f"{contention.used_share:.0%}")
    for name, count in verdict.counts.items():
        table.add_row(name, f"{count:,}")
    return table


def titled(title: str) -> Table:
    """A table with its title at the left."""
    return Table(title=title, title_justify="left")
