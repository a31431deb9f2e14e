"""Many devices on an event loop, against a tiny server on loopback."""

from __future__ import annotations

from hashlib import sha256

from headgate.fleet.download import make_package
from headgate.fleet.population import Population
from headgate.fleet.radio import LinkSettings
from headgate.fleet.runner import Fleet
from peer import eventually
from upgrade_server import UpgradeServer

PACKAGE = make_package("V2.0", 24_000, seed=3)


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
