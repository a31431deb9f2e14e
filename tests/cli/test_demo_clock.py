"""The demo's time: no faster than asked for, and never past someone who is behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from headgate.cli.demo import pace
from headgate.cli.demo.pace import BEHIND_MAX_S, PASSED_MAX_S, STEPS_MAX, PacedClock
from peer import eventually


def test_it_stands_before_it_is_started_and_after_it_is_stopped(run):
    """Nothing happens by itself while the server and the fleet are made."""

    async def main() -> None:
        clock = PacedClock(1000.0)
        assert clock.now() == clock.now() == clock.started_s
        clock.start(lambda: 0.0)
        await eventually(lambda: clock.passed_s > 1.0)
        clock.stop()
        stood = clock.now()
        await asyncio.sleep(0)
        assert clock.now() == stood

    run(main())


def test_it_is_no_faster_than_asked(run):
    """However often the loop turns."""

    async def main() -> None:
        clock = PacedClock(50.0)
        clock.start(lambda: 0.0)
        await eventually(lambda: clock.passed_s > 1.0)
        clock.stop()
        assert clock.achieved <= 50.0 * (1 + 1e-5)  # epoch seconds are floats of 0.2 µs
        assert clock.held_s >= -1e-5

    run(main())


def test_a_busy_loop_does_not_make_time_leap(run):
    """What would be due in between can still be done in between: one tick passes little."""

    async def main() -> None:
        clock = PacedClock(1e9)
        seen = [clock.now()]
        clock.start(lambda: seen.append(clock.now()) or 0.0)
        await eventually(lambda: len(seen) > 20)
        clock.stop()
        assert all(0.0 <= later - earlier <= PASSED_MAX_S for earlier, later in pairwise(seen))

    run(main())


def test_it_waits_for_whoever_is_behind(run):
    """And says how long it was held up."""

    async def main() -> None:
        behind = [BEHIND_MAX_S]
        asked: list[float] = []
        clock = PacedClock(1000.0)

        def behind_s() -> float:
            asked.append(clock.now())
            return behind[0]

        clock.start(behind_s)
        await eventually(lambda: len(asked) > 5)
        assert clock.passed_s == 0.0
        assert clock.held_s == pytest.approx(clock.ran_s)
        behind[0] = 0.0
        await eventually(lambda: clock.passed_s > 1.0)
        clock.stop()

    run(main())


class Loop:
    """A loop whose time the test sets, and that calls when the test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.paused = False

    def time(self) -> float:
        """In our seconds."""
        return self.now_s

    def call_later(self, _delay_s: float, call: Callable[[], None]) -> None:
        """After a pause."""
        self.turn, self.paused = call, True

    def call_soon(self, call: Callable[[], None]) -> None:
        """After whatever else is due."""
        self.turn, self.paused = call, False


def test_a_tick_that_came_late_is_made_up_for_in_steps(monkeypatch):
    """The loop turns in between; what a long absence owes, or who was behind, is not made up for."""
    loop, clock, behind = Loop(), PacedClock(1000.0), [0.0]
    monkeypatch.setattr(pace.asyncio, "get_running_loop", lambda: loop)
    clock.start(lambda: behind[0])

    def passed_after(elapsed_s: float) -> float:
        before_s = clock.now()
        loop.now_s += elapsed_s
        loop.turn()
        return clock.now() - before_s

    assert passed_after(0.0016) == pytest.approx(PASSED_MAX_S)
    for last, paused in ((0.5, False), (0.5, False), (0.1, True)):
        assert not loop.paused
        assert passed_after(0.0) == pytest.approx(last, abs=1e-5)
        assert loop.paused == paused
    assert clock.held_s == pytest.approx(0.0, abs=1e-8)

    passed = [passed_after(10.0)]
    while not loop.paused:
        passed.append(passed_after(0.0))
    assert passed == pytest.approx([PASSED_MAX_S] * STEPS_MAX)

    assert passed_after(0.0016) == pytest.approx(PASSED_MAX_S)
    behind[0] = BEHIND_MAX_S
    assert passed_after(0.0) == 0.0
    assert loop.paused
    behind[0] = 0.0
    assert passed_after(0.0) == 0.0


def test_what_is_due_is_not_waited_for():
    """And what is not is waited for as long as it takes at the full speed, so that it may wake too early."""
    clock = PacedClock(100.0)
    assert clock.wait_s(clock.now()) == 0.0
    assert clock.wait_s(clock.now() - 1.0) == 0.0
    assert clock.wait_s(clock.now() + 50.0) == pytest.approx(0.5)
    assert clock.wait_s(clock.now() + 1e-6) > 0.0
