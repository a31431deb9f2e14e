"""Where a device is, in one sentence."""

from __future__ import annotations

import pytest

from headgate.lwm2m.commands import Execute, Read
from headgate.lwm2m.happenings import Deregistered, Registered, Unanswered
from lwm2m_lines import STATE, UPDATE, VERSION, DeviceLines

NOON_S = 1_767_268_800.0


@pytest.fixture
def at_noon():
    """A device that registered at 12:00."""
    script = DeviceLines()
    script.now = NOON_S
    return script


def test_sentences(at_noon):
    """Awake, asleep, asked, silent: with what waits, and until when it has to be heard."""
    script = at_noon
    assert script.explained == "not known"
    script.ask(Read(path=VERSION))
    assert script.explained == "not registered, 1 command waits"
    script.registers(query=("b=UQ", "lt=7200")).tells(Registered)
    assert script.explained == (
        "awake until 2026-01-01 12:00:20, 1 command waits until its message is stored,"
        " expected by 2026-01-01 14:00"
    )
    script.confirm().server("ACK 2.01").server("CON GET")
    assert script.explained == (
        "awake until 2026-01-01 12:00:20, Read /3/0/3 is under way, expected by 2026-01-01 14:00"
    )
    script.ask(Read(path=STATE)).ask(Execute(path=UPDATE)).clock(60.0)
    assert script.explained == (
        "asleep since 2026-01-01 12:00, Read /3/0/3 is under way, 2 commands wait,"
        " expected by 2026-01-01 14:00"
    )
    script.clock(60.0).tells(Unanswered)
    assert script.explained == (
        "does not answer, last heard at 2026-01-01 12:00, 3 commands wait, expected by 2026-01-01 14:00"
    )


def test_a_product_of_its_own_window(at_noon):
    """Shorter or longer than that of all others, until the registration ends."""
    script = at_noon
    script.register(query=("b=UQ", "lt=7200"))
    lwm2m, endpoint = script.lwm2m, script.endpoint
    for window_s in (4.0, 60.0):
        lwm2m.listens(endpoint, window_s)
        assert lwm2m.awake(endpoint, NOON_S + window_s - 0.1)
        assert not lwm2m.awake(endpoint, NOON_S + window_s)
    assert script.explained.startswith("awake until 2026-01-01 12:01:00")
    script.register(query=("b=UQ", "lt=7200"))
    assert not lwm2m.awake(endpoint, NOON_S + 60.0)
    script.device("CON DELETE", f"rd/{script.location}").tells(Deregistered).confirm().server("ACK 2.02")
    script.register(query=("b=UQ", "lt=7200"))
    assert not lwm2m.awake(endpoint, NOON_S + 20.0)
    lwm2m.listens(endpoint, 60.0)
    lwm2m.listens(endpoint, None)
    assert not lwm2m.awake(endpoint, NOON_S + 20.0)
    lwm2m.listens("nobody", 60.0)
    assert lwm2m.sizes()["devices known"] == 1


def test_always_awake(at_noon):
    """Without queue mode."""
    at_noon.register(query=("b=U", "lt=7200")).clock(3600.0)
    assert at_noon.explained == (
        "always awake, last heard at 2026-01-01 12:00, no command waits, expected by 2026-01-01 14:00"
    )


def test_restored(at_noon):
    """Nothing was heard of it in this process."""
    registration = at_noon.register().registration
    after = DeviceLines()
    after.now = NOON_S + 60.0
    after.lwm2m.restore([registration], after.now)
    assert after.explained == ("not heard since the start, no command waits, expected by 2026-01-02 12:00")


def test_nobody_is_not_awake(script):
    """Nor registered."""
    assert not script.awake
    assert script.lwm2m.registration("nobody") is None
