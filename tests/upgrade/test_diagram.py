"""docs/negotiation.md is what the tables say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headgate.upgrade import TABLES
from headgate.upgrade.diagram import document, picture
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import State

PAGE = Path(__file__).parents[2] / "docs" / "negotiation.md"


def test_the_page_is_drawn_from_the_tables():
    """After a change: `python -m headgate.upgrade.diagram > docs/negotiation.md`."""
    assert PAGE.read_text(encoding="utf-8") == document()


def test_the_command_prints_the_page_wherever_hashes_fall():
    """Tables hold sets: their order must not show."""
    printed = subprocess.run(
        [sys.executable, "-m", "headgate.upgrade.diagram"],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "77"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert printed.stdout == document()


def test_the_page_is_complete():
    """Every state, event, effect and failure text is on it."""
    page = document()
    effects = {
        effect.__name__ for table in TABLES.values() for row in table.rows.values() for effect in row.asking()
    }
    words = {state.name for state in State} | {failure.value for failure in Failure} | effects
    assert [word for word in sorted(words) if word not in page] == []
    assert page.startswith("# ")
    assert "stateDiagram-v2" in page


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.kind)
def test_every_arrow_of_the_picture_is_one_of_the_table(table):
    """And the other way round, but for those into FAILED and CANCELLED."""
    drawn = {
        tuple(line.split(":")[0].split(" --> "))
        for line in map(str.strip, picture(table))
        if " --> " in line and "[*]" not in line
    }
    assert drawn == {
        (state.name, lead.name)
        for state in table.rows
        for event in table.events
        for lead in table.leads(state, event) - {state, State.FAILED, State.CANCELLED}
    }
