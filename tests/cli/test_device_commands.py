"""`headgate device` and `headgate cell`, against a server that runs."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, insert

from cli_asking import Operator, register
from headgate.store.tables import tasks
from web_asking import settle

HOSTILE = "a/../%2F?#[bold] é"  # no device is let in by a name with control characters


@pytest.fixture(scope="module", autouse=True)
def _devices(operator):
    register(operator.port, "d1", "d2", "d3", "..", HOSTILE)


def test_devices_are_listed_as_lines_and_as_json(operator):
    """One line per device with tabs between the fields, one object per line for machines."""
    assert [fields[0] for fields in operator.get("device", "list").fields] == [
        "..",
        HOSTILE,
        "d1",
        "d2",
        "d3",
    ]
    named = [each["endpoint"] for each in operator.get("device", "list", "--json").jsons]
    assert named == ["..", HOSTILE, "d1", "d2", "d3"]


def test_a_list_that_is_cut_says_so(operator):
    """On standard error: what reads the lines is not disturbed."""
    said = operator.get("device", "list", "--prefix", "d", "--limit", 2)
    assert [fields[0] for fields in said.fields] == ["d1", "d2"]
    assert "--limit" in said.err
    for limit in (3, 0):
        said = operator.get("device", "list", "--prefix", "d", "--limit", limit)
        assert len(said.lines) == 3
        assert said.err == ""


@pytest.mark.parametrize("endpoint", ["d1", "..", HOSTILE])
def test_a_device_is_found_under_any_name(operator, endpoint):
    """A name is one segment of the path, whatever is in it."""
    assert operator.get("device", "show", endpoint, "--json").json["endpoint"] == endpoint
    said = operator.get("device", "explain", endpoint, "--json").json
    assert said["endpoint"] == endpoint
    happened = operator.get("device", "timeline", endpoint, "--json").jsons
    assert [each["what"] for each in happened] == ["registered"]
    assert {each["endpoint"] for each in happened} == {endpoint}


def test_labels_are_changed_one_by_one(operator):
    """What is left out stays as it is, an empty one goes."""
    operator.get("device", "label", "d1", "--product", "meter")
    labels = operator.get("device", "label", "d1", "--group", "north", "--json").json
    assert labels == {"product": "meter", "group": "north"}
    assert [fields[0] for fields in operator.get("device", "list", "--group", "north").fields] == ["d1"]
    labels = operator.get("device", "label", "d1", "--group", "", "--json").json
    assert labels == {"product": "meter", "group": None}
    assert "--product or --group" in operator.refused("device", "label", "d1", code=2)


def test_a_device_that_is_not_there_is_said_to_be_so(operator):
    """Exit code 1: it may be there later."""
    assert "no registered device" in operator.refused("device", "show", "nobody", code=1)
    assert "endpoint is empty" in operator.refused("device", "show", "", code=2)


def test_a_registration_is_removed(operator):
    """Whoever has no terminal says --yes; a second time there is nothing left to remove."""
    register(operator.port, "made up")
    assert "say --yes" in operator.refused("device", "remove", "made up", code=2)
    assert operator.get("device", "remove", "made up", "--yes").out == ""
    assert "no registered device" in operator.refused("device", "remove", "made up", "--yes", code=1)
    happened = operator.get("device", "timeline", "made up", "--json").jsons
    assert [each["what"] for each in happened] == ["deregistered", "registered"]


def test_cells_have_limits_without_anybody_in_them(operator):
    """And no cell is listed in which nobody holds or waits."""
    assert operator.get("cell", "list").out == ""
    shown = operator.get("cell", "show", "460-00-1A2B", "--json").json
    assert [each["limit"] for each in shown["classes"]] == [50, 10, 1, 10]
    assert dict(operator.get("cell", "show", "460-00-1A2B").fields)["slots are shared by"] == "class"
    assert "path.cell" in operator.refused("cell", "show", "nonsense", code=2)


def stand(operator: Operator, endpoint: str, state: str, radio_class: str, queued_s: float) -> None:
    """A task that holds a slot or waits for one, as the server would have stored it."""
    row = {
        "id": f"c-{endpoint}",
        "campaign_id": "c",
        "endpoint": endpoint,
        "state": state,
        "cell_id": 0x9F,
        "smcc": 460,
        "smnc": 0,
        "radio_class": radio_class,
        "queued_s": queued_s,
        "entered_s": queued_s,
        "stage_s": queued_s,
        "created_s": queued_s,
        "active": True,
    }
    engine = create_engine(f"sqlite:///{operator.data / 'headgate.db'}")
    with engine.begin() as connection:
        connection.execute(insert(tasks), row)
    engine.dispose()
    operator.on_loop(lambda server: settle(server, row))


def test_a_cell_shows_who_holds_and_who_waits(operator):
    """With the place in the line of its class, and the reason."""
    stand(operator, "h1", "downloading", "0", 1.0)
    stand(operator, "w2", "wait_slot", "2", 3.0)
    stand(operator, "w1", "wait_slot", "2", 2.0)
    (listed,) = operator.get("cell", "list").fields
    assert listed == ["460-00-9F", "1", "2", "class 0: 1 of 50; class 2: 0 of 1, 2 wait"]
    shown = operator.get("cell", "show", "460-00-9F").fields
    assert ["limits", "class 0: 50; class 1: 10; class 2: 1; class U: 10"] in shown
    (holder,) = [fields for fields in shown if fields[0] == "holds"]
    assert holder[1:4] == ["0", "h1", "downloading"]
    queue = [fields[:3] for fields in shown if fields[0].startswith("waits")]
    assert queue == [["waits 1", "2", "w1"], ["waits 2", "2", "w2"]]
