"""The one clock: epoch seconds, monotone, and no leaps whatever happens to the wall clock."""

from __future__ import annotations

import random

import pytest

from headgate.server import Config, Server
from headgate.server.clock import DRAWN_SHARE, Clock
from headgate.upgrade.failure import Failure


class Kernel:
    """Both clocks of a machine; `leap` sets its wall clock."""

    def __init__(self) -> None:
        self.wall_s = 1_700_000_000.0
        self.steady_s = 5000.0

    def pass_(self, seconds: float) -> None:
        """Time goes by."""
        self.wall_s += seconds
        self.steady_s += seconds

    def clock(self) -> Clock:
        """A clock that begins now."""
        return Clock(wall=lambda: self.wall_s, steady=lambda: self.steady_s)


@pytest.fixture
def kernel() -> Kernel:
    """A machine."""
    return Kernel()


def test_it_says_what_the_wall_clock_says(kernel):
    """As long as nobody sets that."""
    clock = kernel.clock()
    for seconds in (0.0, 0.001, 1.0, 86400.0):
        kernel.pass_(seconds)
        assert clock.now() == pytest.approx(kernel.wall_s, abs=1e-6)


@pytest.mark.parametrize("leap_s", [3600.0, -3600.0])
def test_a_leap_is_made_good_little_by_little(kernel, leap_s):
    """Durations are wrong by no more than the share, and at last the two agree."""
    clock = kernel.clock()
    before = clock.now()
    kernel.wall_s += leap_s
    assert clock.now() == before
    assert clock.behind_s == leap_s
    kernel.pass_(60.0)
    assert clock.now() - before == pytest.approx(60.0 + (DRAWN_SHARE * 60.0 if leap_s > 0 else -3.0))
    for _ in range(int(abs(leap_s) / DRAWN_SHARE / 60.0) + 1):
        kernel.pass_(60.0)
        clock.now()
    assert clock.now() == pytest.approx(kernel.wall_s)


def test_it_never_goes_back(kernel):
    """Whatever the wall clock does, and whatever the kernel says of the other one."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    clock = kernel.clock()
    last = clock.now()
    for _ in range(10_000):
        kernel.wall_s += chance.choice([0.0, 0.0, -1e6, 1e6, chance.uniform(-2, 2)])
        kernel.steady_s += chance.choice([0.0, 0.001, 1.0, -1e-9])
        assert clock.now() >= last
        last = clock.now()


def test_the_machines_own_clocks():
    """Two readings in a row, in order."""
    clock = Clock()
    assert 1_600_000_000 < clock.now() <= clock.now()


def test_waits_end_when_their_time_has_come(kernel):
    """In the loop's seconds, which are ours; what is past is not waited for."""
    clock = kernel.clock()
    assert clock.wait_s(clock.now() + 5.0) == pytest.approx(5.0)
    assert clock.wait_s(clock.now() - 5.0) == 0.0


def test_a_server_lives_by_the_clock_it_is_given(run, data):
    """A day passes at once where the clock says so, and its deadlines with it."""

    class Rehearsed:
        behind_s = 0.0

        def __init__(self) -> None:
            self.now_s = 1_700_000_000.0

        def now(self) -> float:
            return self.now_s

        def wait_s(self, until_s: float) -> float:
            return 0.001 if until_s > self.now_s else 0.0

    async def main() -> None:
        clock = Rehearsed()
        config = Config.model_validate(
            {"coap": {"host": "127.0.0.1", "port": 0}, "store": {"directory": data}}
        )
        async with Server(config, clock=clock) as server:
            package = await server.add_package(b"new" * 100, version="V2")
            campaign = await server.create_campaign(name="c", package=package.pid, endpoints=["absent"])
            assert campaign.created_s == clock.now_s
            clock.now_s += 24 * 3600.0
            ended = await server.ended(campaign.id)
            assert ended.counts.failures == {Failure.ONLINE_TIMEOUT: 1}
            assert server.committing_s == 0.0

    run(main())
