"""Rows and values are the same thing said twice: what is written reads back equal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.lwm2m.registration import Registration
from headgate.store import tables
from headgate.store.batch import Batch
from headgate.store.database import Database
from headgate.upgrade.campaign import (
    Campaign,
    CampaignState,
    Retry,
    RetryPolicy,
    campaign_of,
    campaign_row,
    checked_endpoints,
)
from headgate.upgrade.events import Effect
from headgate.upgrade.failure import Detail, Failure
from headgate.upgrade.object5 import ClearUri, WriteUri
from headgate.upgrade.radio import Cell, Measurement, RadioClass
from headgate.upgrade.records import (
    EFFECTS,
    REGISTRATION_COLUMNS,
    TASK_COLUMNS,
    effect_of,
    effect_text,
    marks_of,
    marks_text,
    plan_of,
    plan_text,
    registration_row,
    registrations_of,
    task_row,
    tasks_of,
)
from headgate.upgrade.task import Kind, Mark, Plan, Reading, State, Task, Timers
from headgate.wire.links import RegisteredObjects
from headgate.wire.resources import Path

texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=20)
times = st.floats(0, 4e9)
positive = st.floats(0.1, 1e6)
maybe = st.none() | texts
integers = st.integers(-(1 << 63), (1 << 63) - 1)

timers = st.builds(
    Timers,
    online_s=positive,
    measurement_s=positive,
    poll_s=positive,
    no_progress_s=st.none() | positive,
)
plans = st.builds(
    Plan,
    kind=st.just(Kind.FIRMWARE),
    target_version=texts,
    pid=st.binary(min_size=8, max_size=8),
    source_versions=st.frozensets(texts),
    timers=timers,
    skip_same_package=st.booleans(),
    automatic_upgrade=st.booleans(),
) | st.builds(
    Plan,
    kind=st.just(Kind.SOFTWARE),
    target_version=st.from_regex(r"[ -\[\]-~]{0,16}", fullmatch=True),
    pid=st.binary(min_size=8, max_size=8),
    size_bytes=st.integers(1, 65535 * 32),
    segment_size_bytes=st.integers(32, 500),
    version_check_code=st.integers(0, 0xFFFF),
    timers=timers,
)
readings = st.builds(
    Reading,
    result=st.none() | integers,
    version=maybe,
    state=st.none() | integers,
    segment=st.none() | st.integers(0, 0xFFFF),
)


@st.composite
def measurements(draw):
    """As `radio.measured` makes them: a cell is of the network that the measurement names."""
    smcc, smnc = draw(st.tuples(st.integers(0, 999), st.integers(0, 999)) | st.just((None, None)))
    cell_id = draw(st.none() | st.integers(1, 0xFFFFFFFE))
    return Measurement(
        cell=None if cell_id is None else Cell(cell_id, smcc, smnc),
        rsrp_dbm=draw(st.none() | st.floats(-200, 0)),
        sinr_db=draw(st.none() | st.floats(-60, 60)),
        radio_class=draw(st.none() | st.sampled_from(RadioClass)),
        smcc=smcc,
        smnc=smnc,
    )


tasks = st.builds(
    Task,
    id=texts,
    endpoint=texts,
    plan=st.just(Plan(kind=Kind.FIRMWARE, target_version="V1.1", pid=bytes(8))),
    uri=texts,
    state=st.sampled_from(State),
    entered_s=times,
    stage_s=times,
    deadline_s=st.none() | times,
    radio=st.none() | measurements(),
    measured_s=times,
    waiting_s=times,
    queued_s=times,
    version=maybe,
    state_seen_s=times,
    reading=readings,
    refused=texts,
    marks=st.frozensets(st.sampled_from(Mark)),
    failure=st.none() | st.sampled_from(Failure),
    detail=st.none() | st.builds(Detail, at=texts, code=texts, note=texts),
)


def values(row, columns):
    """What a question for these columns is answered by."""
    return tuple(row[name] for name in columns)


@given(tasks, times, st.integers(1, 9))
def test_a_task_reads_back(task, created_s, attempt):
    """Every field, and the columns that only the row has."""
    row = task_row(task, campaign_id="c1", attempt=attempt, created_s=created_s)
    assert [*tasks_of([values(row, TASK_COLUMNS)], {"c1": task.plan})] == [(task, "c1", attempt, created_s)]
    assert row.keys() == {column.name for column in tables.tasks.columns}
    assert row["active"] == (not task.state.terminal)
    assert (row["ended_s"] is None) == row["active"]
    assert all(type(value) in (str, int, float, bool, type(None)) for value in row.values())


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One file for all examples."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('records')}/headgate.db")
    yield database
    database.close()


@given(task=tasks)
def test_a_task_reads_back_from_a_database(database, task):
    """Numbers are as precise there, text as long."""
    batch = Batch()
    batch.put(tables.tasks, task_row(task, campaign_id="c1", attempt=1, created_s=1.5))
    database.commit(batch)
    row = database.row(tables.tasks, (task.id,))
    # uri and endpoint are of the first put alone: the property is about one row each.
    row |= {"endpoint": task.endpoint, "uri": task.uri}
    assert next(tasks_of([values(row, TASK_COLUMNS)], {"c1": task.plan}))[0] == task


@given(plans)
def test_a_plan_reads_back(plan):
    """Timers and source versions included, as JSON."""
    assert plan_of(plan_text(plan)) == plan
    assert plan_of(json.dumps(json.loads(plan_text(plan)))) == plan


@given(
    st.builds(
        Campaign,
        id=texts,
        name=texts,
        plan=plans,
        retry=st.builds(
            RetryPolicy,
            by_failure=st.dictionaries(
                st.sampled_from(Failure), st.builds(Retry, count=st.integers(1, 9), interval_s=positive)
            ),
        ),
        state=st.sampled_from(CampaignState),
        created_s=times,
        started_s=st.none() | times,
        ended_s=st.none() | times,
    )
)
def test_a_campaign_reads_back(campaign):
    """With its retry policy."""
    row = campaign_row(campaign)
    assert campaign_of(row) == campaign
    assert row.keys() == {column.name for column in tables.campaigns.columns}


@given(st.frozensets(st.sampled_from(Mark)))
def test_marks_read_back(marks):
    """As words."""
    assert marks_of(marks_text(marks)) == marks


EXAMPLES: list[Effect] = [
    *(EFFECTS[name]() for name in EFFECTS if name != "WriteUri"),
    ClearUri(tlv=True),
    WriteUri(uri='coap://h/"k', tlv=True),
    WriteUri(uri=""),
]


@pytest.mark.parametrize("effect", EXAMPLES, ids=str)
def test_an_effect_reads_back(effect):
    """Its name, and what is particular to it."""
    assert effect_of(type(effect).__name__, effect_text(effect)) == effect


paths = st.builds(Path, st.integers(0, 100)) | st.builds(Path, st.integers(0, 100), st.integers(0, 3))
objects = st.builds(
    RegisteredObjects,
    paths=st.frozensets(paths, min_size=1).map(lambda found: tuple(sorted(found))),
    root=st.sampled_from([(), ("lwm2m",), ("a b", "c")]),
    content_formats=st.sampled_from([(), (110,), (60, 11543)]),
)


@given(
    st.builds(
        Registration,
        endpoint=texts,
        location=texts,
        registered_s=times,
        expires_s=times,
        lifetime_s=st.integers(1, 1 << 31),
        version=st.tuples(st.just(1), st.integers(0, 2)),
        binding=st.sampled_from(["U", "UQ", "UN"]),
        queue_mode=st.booleans(),
        sms=maybe,
        objects=objects,
        remote=st.tuples(st.binary(max_size=28), st.binary(max_size=40)),
        formats=st.sampled_from([(), (("read", 11542),), (("read", None), ("whole", 110))]),
    )
)
def test_a_registration_reads_back(registration):
    """Its objects by way of its links, its address as it was received."""
    row = registration_row(registration, heard_s=7.0)
    assert [*registrations_of([values(row, REGISTRATION_COLUMNS)])] == [registration]


def test_a_version_of_an_object_reads_back():
    """Where the client says it."""
    objects = RegisteredObjects(paths=(Path(5), Path(5, 0)), versions=((5, (1, 1)),))
    registration = Registration(
        endpoint="ep", location="x", registered_s=0.0, expires_s=1.0, objects=objects, remote=(b"", b"")
    )
    row = registration_row(registration, heard_s=0.0)
    assert next(registrations_of([values(row, REGISTRATION_COLUMNS)])).objects == objects


@pytest.mark.parametrize("listed", [[], ["a", "b", "a"], ["", "a"], ["x" * 256], ["ä" * 128]])
def test_a_list_of_devices_is_checked(listed):
    """Each once, none without a name, none with one that no Register could carry."""
    with pytest.raises(ValueError, match=r"device|endpoint"):
        checked_endpoints(listed)


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"count": 1, "interval_s": -1.0}, {"count": 1, "interval_s": float("nan")}]
)
def test_a_retry_is_checked(wrong):
    """A count above 0, an interval."""
    with pytest.raises(ValueError, match="retry"):
        Retry(**wrong)
