"""A script with an LwM2mServer: what it does not read fails the test."""

from __future__ import annotations

import pytest

from lwm2m_lines import DeviceLines


@pytest.fixture
def script():
    """A device that has not registered yet."""
    lines = DeviceLines()
    yield lines
    lines.quiet()


@pytest.fixture
def make_script():
    """The same with settings or bounds of one's own."""
    scripts = []

    def make(**how):
        scripts.append(DeviceLines(**how))
        return scripts[-1]

    yield make
    for lines in scripts:
        lines.quiet()


@pytest.fixture
def sleeper(script):
    """A device of LwM2M 1.0 in queue mode, registered a moment ago."""
    return script.register()
