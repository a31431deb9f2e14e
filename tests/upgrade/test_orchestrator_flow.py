"""The firmware path through orchestrator and database, device by device. Protocol 3.3, design 4."""

from __future__ import annotations

import pytest

from headgate.store import tables
from orchestra import PID, TARGET, House


def test_a_device_is_upgraded(house):
    """From WAIT_ONLINE to SUCCESS: each step in the log, by its number."""
    device = house.device()
    house.run()
    house.campaign("ep-1")
    house.run()
    assert house.state() == "success"
    assert device.version == TARGET
    assert (device.executed, device.written) == (1, ["coap://edge.example/ep-1"])
    assert [row["step"] for row in house.rows(tables.events, task_id="c1-0000000")] == [
        *(3, 4, 6, 8, 9, 10, 11, 11, 12, 13, 14, 15, 16)
    ]
    assert house.check_counters() == {"state success": 1}
    assert [each.state.value for each in house.outcomes] == ["success"]
    assert house.rows(tables.campaigns)[0]["state"] == "ended"
    assert house.rows(tables.devices)[0]["version"] == TARGET


def test_what_was_begun_is_undone(house):
    """The grant stays for 24 hours (T28), the observation ends with the task."""
    house.device()
    house.campaign("ep-1")
    house.run()
    assert house.edge.granted == {("ep-1", PID)}
    assert house.rows(tables.observations) == []
    assert house.desk.remembered == {}
    assert [row["effect"] for row in house.rows(tables.effects)] == ["WithdrawDownload"]
    house.clock(24 * 3600 - 1)
    assert house.edge.granted
    house.clock(1)
    assert not house.edge.granted
    assert house.rows(tables.effects) == []
    assert not house.orchestrator.roster.askers


class Killed(Exception):
    """The process died."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("how", [{}, {"state": 2, "sinr": None}], ids=str)
def test_killed_at_every_commit_the_device_ends_the_same(tmp_path, when, how):
    """Whatever was committed last: no slot is leaked, and who has heard Execute or the URI hears it once.

    Before a commit: what the device did is not known. After it: nothing that was to follow has been done.
    """

    def upgraded(kill_at: int | None) -> int:
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        house = House(folder)
        device = house.device(**how)
        house.run()
        house.campaign("ep-1")
        house.step()
        house.commit()
        house.commits = 0

        def step(at: str) -> None:
            if (house.commits, at) == (kill_at, when):
                raise Killed

        house.steps = step
        try:
            house.run()
        except Killed:
            house.kill()
            house.run()
        assert house.state() == "success", f"killed {when} {kill_at}"
        assert (device.executed, len(device.written)) == (1, 1), f"killed {when} {kill_at}"
        assert list(house.orchestrator.occupancy()) == []
        assert house.edge.granted == {("ep-1", PID)}
        house.check_counters()
        assert [row["effect"] for row in house.rows(tables.effects)] == ["WithdrawDownload"]
        assert house.rows(tables.observations) == []
        house.close()
        return house.commits

    commits = upgraded(None)
    assert commits > 10
    for kill_at in range(1, commits + 1):
        upgraded(kill_at)
