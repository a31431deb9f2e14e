"""What the tests of the upgrades share: a script to tell a negotiation by."""

from __future__ import annotations

import pytest

from negotiations import Script


@pytest.fixture
def script() -> Script:
    """A task that was just created, at noon."""
    return Script()
