"""`python -m bench [--quick] [FILE ...]`: run the benchmarks, write JSON, print one table."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
QUESTIONS = (
    *("codec", "responder", "segments", "exchange", "loopback", "memory"),
    *("control", "uplinks", "store", "campaigns", "hooks", "idle", "planes", "console", "api", "report"),
    "start",
)
RESULTS = HERE / "results"


def main() -> int:
    """Measure and report; pytest's exit code."""
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument(
        "--quick", action="store_true", help="show that all runs; figures too short to quote"
    )
    arguments.add_argument("-k", default="", help="only benchmarks whose name matches, as of pytest")
    arguments.add_argument(
        "questions",
        nargs="*",
        choices=[*QUESTIONS, []],  # argparse holds the default of none at all against the choices, too
        metavar="|".join(QUESTIONS),
        help="of these files; all by default",
    )
    given = arguments.parse_args()
    RESULTS.mkdir(exist_ok=True)
    written = RESULTS / time.strftime("%Y%m%dT%H%M%S.json")
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "python_functions=bench_*"),
        *("--benchmark-json", str(written), "--benchmark-quiet", "--benchmark-disable-gc"),
        *(("-k", given.k) if given.k else ()),
        *(str(HERE / f"{question}.py") for question in given.questions or QUESTIONS),
    ]
    environment = os.environ | ({"HEADGATE_BENCH": "quick"} if given.quick else {})
    code = subprocess.run(command, cwd=HERE.parent, env=environment, check=False).returncode
    if written.exists():
        report(json.loads(written.read_text()))
        print(f"\nwritten to {written.relative_to(HERE.parent)}")
    return code


def report(results: dict[str, Any]) -> None:
    """One table: what each benchmark is about, its figure, and beside what it stands."""
    from rich.console import Console
    from rich.table import Table

    machine = results["machine_info"]["headgate"]
    table = Table(
        title=f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, "
        f"Python {machine['python']}, {machine['build']} build of {machine['commit']}",
        title_justify="left",
    )
    for heading, justify in (
        ("group", "left"),
        ("what", "left"),
        ("figure", "right"),
        ("ratio", "right"),
        ("facts", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for bench in results["benchmarks"]:
        facts = dict(bench["extra_info"])
        table.add_row(bench["group"], what(bench), figure(bench, facts), ratio(facts), spelled(facts))
    Console(width=150 if not sys.stdout.isatty() else None).print(table)


def what(bench: dict[str, Any]) -> str:
    """The benchmark's name in words."""
    name = bench["name"].split("[")[0].removeprefix("bench_").replace("_", " ")
    parameters = bench["param"]
    return f"{name}: {parameters}" if parameters else name


def figure(bench: dict[str, Any], facts: dict[str, Any]) -> str:
    """Time per unit: the median round, divided by the units in it."""
    per = facts.pop("per", 1)
    if "ns" in facts:
        return f"{facts.pop('ns'):,.0f} ns"
    if bench["group"] in ("memory", "latency", "start"):
        return ""
    return f"{bench['stats']['median'] / per * 1e9:,.2f} ns"


def ratio(facts: dict[str, Any]) -> str:
    """The ratio to the base, if there is one."""
    found = facts.pop("ratio", facts.pop("ratio_p99", None))
    return f"{found:.3f}" if found is not None else ""


def spelled(facts: dict[str, Any]) -> str:
    """The remaining facts in one line."""
    return ", ".join(
        f"{name} {value:,.1f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in facts.items()
    )


if __name__ == "__main__":
    sys.exit(main())
