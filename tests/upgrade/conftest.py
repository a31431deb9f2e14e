"""What the tests of the upgrades share: a script to tell a negotiation by, and a house to run them in."""

from __future__ import annotations

import pytest

from negotiations import SOFTWARE_PLAN, Script
from orchestra import House


@pytest.fixture
def script() -> Script:
    """A task that was just created, at noon."""
    return Script()


@pytest.fixture
def software() -> Script:
    """The same over PCP: three segments, 500, 500 and 300 bytes."""
    return Script(SOFTWARE_PLAN)


@pytest.fixture
def house(tmp_path):
    """An empty house, at noon."""
    house = House(tmp_path)
    yield house
    house.close()
