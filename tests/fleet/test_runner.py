"""Many devices on an event loop, against a tiny server on loopback."""

from __future__ import annotations

import asyncio
import resource
import socket
from hashlib import sha256
from typing import Any

import pytest

from headgate.fleet import runner
from headgate.fleet.download import make_package
from headgate.fleet.population import Population
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet, peaks, raise_file_limit
from peer import eventually, loopback_addresses
from upgrade_server import UpgradeServer

PACKAGE = make_package("V2.0", 24_000, seed=3)
TURNS_MAX = 100  # of the loop, until what was sent on loopback is read


def test_a_fleet_is_upgraded(run):
    """All styles, with loss and latency, moving ports and power cuts, 300 times as fast as life."""
    population = Population(
        devices=40, cells=3, seed=5, quirky=0.0, power_cuts=0.2, boot_within_s=10.0, report_interval_s=120.0
    )
    devices = population.make()

    async def main() -> dict[str, int]:
        async with (
            UpgradeServer(PACKAGE) as server,
            Fleet(
                devices,
                server=("127.0.0.1", server.port),
                link=LinkSettings(loss=0.01, duplicate=0.01, reorder=0.01),
                speed=300.0,
            ) as fleet,
        ):
            await eventually(lambda: server.done == len(devices))
            return fleet.totals()

    totals = run(main())
    assert {device.log.digest for device in devices} == {sha256(PACKAGE).hexdigest()}
    assert {device.version for device in devices} == {"V2.0"}
    assert totals["lost_on_air"] > 0
    assert totals["moved"] > 0
    assert totals["power_cuts"] > 0
    assert totals["forced_restarts"] == 0


def test_timers_may_be_due_at_once(run, monkeypatch):
    """Uvloop answers such a call with a handle that does not know its time."""
    monkeypatch.setattr(runner, "WAIT_MIN_S", 0.0)
    devices = Population(devices=20, cells=1, seed=5, quirky=0.0, boot_within_s=10.0).make()
    wrong: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context))
        async with (
            UpgradeServer(PACKAGE) as server,
            Fleet(devices, server=("127.0.0.1", server.port), speed=300.0),
        ):
            await eventually(lambda: server.done == len(devices))

    run(main())
    assert wrong == []


def test_devices_of_both_families_find_their_server(run):
    """IPv6 where the machine has it."""
    addresses = [address for address in loopback_addresses() if address in ("127.0.0.1", "::1")]

    async def main(address: str) -> int:
        with socket.socket(
            socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
        ) as server:
            server.bind((address, 0))
            server.setblocking(False)
            devices = Population(devices=3, boot_within_s=0.0).make()
            async with Fleet(devices, server=server.getsockname()[:2], speed=100.0) as fleet:
                await eventually(lambda: fleet.counts["sent"] >= 3)
                return len({server.recvfrom(2048)[1] for _ in range(3)})

    assert [run(main(address)) for address in addresses] == [3] * len(addresses)


def test_a_server_that_is_not_there_does_no_harm(run):
    """Its refusals are counted, and the devices try again."""

    async def main() -> dict[str, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            nobody.bind(("127.0.0.1", 0))
            address = nobody.getsockname()
        devices = Population(devices=5, boot_within_s=0.0, moving=0.0).make()
        async with Fleet(devices, server=address, link=LinkSettings(loss=0.0), speed=500.0) as fleet:
            await eventually(lambda: fleet.counts["receive_failed"] >= 5 and fleet.counts["sent"] >= 10)
            return fleet.totals()

    assert run(main())["registrations"] == 0


def test_a_closed_fleet_is_silent(run):
    """No socket, no timer; closing twice changes nothing."""

    async def main() -> None:
        fleet = Fleet(Population(devices=2, boot_within_s=0.0).make(), server=("127.0.0.1", 9))
        fleet.start()
        fleet.close()
        fleet.close()
        before = dict(fleet.counts)
        await eventually(lambda: True)
        assert fleet.counts == before

    run(main())


def test_the_devices_clock_runs_faster(run):
    """As many times as asked."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        async with Fleet([], server=("127.0.0.1", 9), speed=1000.0, started_s=5.0) as fleet:
            began_s = loop.time()
            await eventually(lambda: fleet.now > 20.0)
            return fleet.now - 5.0, loop.time() - began_s

    passed_s, ours_s = run(main())
    assert passed_s == pytest.approx(ours_s * 1000.0, rel=0.5)


def test_more_sockets_than_the_process_may_open(monkeypatch):
    """Said at the start, with what to do."""
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, 128))
    with pytest.raises(OSError, match="ulimit -n"):
        raise_file_limit(1000)


def test_the_limit_is_raised_as_far_as_needed(monkeypatch):
    """And never lowered."""
    raised = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (64, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: raised.append(limits))
    raise_file_limit(1000)
    raise_file_limit(60)
    assert raised == [(1000, resource.RLIM_INFINITY)]


def test_peaks_are_counted_by_cell_and_class():
    """From what each device remembers, ended or not."""
    devices = Population(devices=4, cells=1).make()
    for number, device in enumerate(devices[:3]):
        device.log.radio_class = "1"
        device.log.began(float(number))
    devices[0].log.ended(1.0)
    cell = devices[0].profile.radio.cell_id
    assert peaks(devices, now=10.0) == {(cell, "1"): 2}


class Stepped:
    """A clock that stands, unless it is set forward."""

    def __init__(self, wait_s: float) -> None:
        self.now_s = 1000.0
        self._wait_s = wait_s

    def now(self) -> float:
        return self.now_s

    def wait_s(self, until_s: float) -> float:
        return self._wait_s if until_s > self.now_s else 0.0


def test_a_datagram_before_a_timer_that_is_due_at_once(run, monkeypatch):
    """Uvloop has another kind of handle for those, which cannot say when it is due."""
    monkeypatch.setattr(runner, "WAIT_MIN_S", 0.0)
    clock = Stepped(wait_s=0.0)
    devices = Population(devices=1, cells=1, quirky=0.0, power_cuts=0.0).make(clock.now())
    wrong: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: wrong.append(context))
        link = LinkSettings(loss=0.0)
        async with (
            UpgradeServer(PACKAGE) as server,
            Fleet(devices, server=("127.0.0.1", server.port), link=link, clock=clock) as fleet,
        ):
            while not fleet.counts["received"]:
                clock.now_s += 1.0
                await asyncio.sleep(0)

    run(main())
    assert wrong == []


def test_a_fleet_lives_by_the_clock_it_is_given(run):
    """Nothing happens before its time has come, and who has missed it is behind."""
    clock = Stepped(wait_s=0.001)
    devices = Population(devices=1, cells=1, quirky=0.0, power_cuts=0.0).make(clock.now())

    async def main() -> None:
        async with (
            UpgradeServer(PACKAGE) as server,
            Fleet(
                devices, server=("127.0.0.1", server.port), link=LinkSettings(loss=0.0), clock=clock
            ) as fleet,
        ):
            assert fleet.now == 1000.0
            assert (server.received, fleet.behind_s) == (0, 0.0)
            clock.now_s += 100.0
            assert fleet.behind_s == 1100.0 - (1000.0 + devices[0].profile.boot_after_s)
            await eventually(lambda: fleet.behind_s == 0.0)
            clock.now_s += 10.0  # through the air
            await eventually(lambda: server.received > 0)
        assert fleet.behind_s == 0.0

    run(main())


def test_who_has_not_read_what_came_is_behind(run, monkeypatch):
    """Two sockets have datagrams, and a turn reads one: the other one is waited for."""
    monkeypatch.setattr(runner, "READY_MAX", 1)
    clock = Stepped(wait_s=0.001)
    devices = Population(devices=2, cells=1, quirky=0.0, power_cuts=0.0, boot_within_s=0.0).make(clock.now())

    async def main() -> None:
        link = LinkSettings(loss=0.0, latency=False)
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        async with Fleet(devices, server=server.getsockname(), link=link, clock=clock) as fleet:
            await eventually(lambda: fleet.counts["sent"] == 2)
            addresses = [server.recvfrom(runner.DATAGRAM_MAX)[1] for _ in devices]
            for address in addresses:
                server.sendto(b"?", address)
            for _ in range(TURNS_MAX):
                await asyncio.sleep(0)
                if fleet.counts["received"]:
                    break
            assert fleet.counts["received"] == 1
            clock.now_s += 1.0
            assert fleet.behind_s == 1.0
            await eventually(lambda: fleet.counts["received"] == 2)
            await eventually(lambda: fleet.behind_s == 0.0)
        server.close()

    run(main())
