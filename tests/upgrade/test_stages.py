"""Stages and their gate, as values: sizes, verdicts, the page with the truth table."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.upgrade.campaign import Campaign, RetryPolicy, first_task_id, next_task_id
from headgate.upgrade.stages import (
    EXAMPLE,
    EXAMPLES,
    Gate,
    Size,
    Stage,
    StageCounts,
    Verdict,
    conditions,
    document,
    gate,
    gate_of,
    gate_text,
    sized,
    stages_of,
    stages_text,
)
from orchestra import PLAN

PAGE = Path(__file__).parents[2] / "docs" / "stages.md"


def test_the_page_is_worked_out_by_the_gate():
    """After a change: `python -m headgate.upgrade.stages > docs/stages.md`."""
    assert PAGE.read_text(encoding="utf-8") == document()


def test_the_page_has_every_combination_once():
    """Of the four conditions; the verdict is decided by them alone."""
    found = {conditions(counts, EXAMPLE): gate(counts, EXAMPLE) for counts in EXAMPLES}
    assert len(EXAMPLES) == 16
    assert set(found) == set(product((False, True), repeat=4))
    for (enough, errors, ended, reached), verdict in found.items():
        if enough and errors:
            assert verdict is Verdict.ERRORS
        elif not ended:
            assert verdict is Verdict.GO_ON
        else:
            assert verdict is (Verdict.PASS if reached else Verdict.GATE)


@pytest.mark.parametrize("percent", range(1, 100))
def test_a_share_that_is_just_met_is_met(percent):
    """0.07 of 100 are 7, and not 7.000000000000001; 0.29 are 29, and not 28.999999999999996."""
    share = percent / 100
    wanted = Gate(success=share, error_threshold=share, minimum_executed=1)
    counts = StageCounts(
        devices=100, ended=100, succeeded=percent, failed=100 - percent, executed=100, errors=percent
    )
    assert gate(counts, wanted) is Verdict.PASS
    one_less = StageCounts(devices=100, ended=100, succeeded=percent - 1, failed=101 - percent)
    assert gate(one_less, wanted) is Verdict.GATE
    one_more = StageCounts(devices=1000, executed=100, errors=percent + 1)
    assert gate(one_more, wanted) is Verdict.ERRORS


def test_a_stage_that_has_shown_nothing():
    """All of it cancelled: it passes where nothing was to be shown."""
    counts = StageCounts(devices=3, ended=3)
    assert gate(counts, Gate()) is Verdict.PASS
    assert gate(counts, Gate(success=0.01)) is Verdict.GATE


SIZES = st.lists(
    st.one_of(st.builds(Size, percent=st.floats(0.001, 20)), st.builds(Size, count=st.integers(1, 2000))),
    max_size=5,
)


@given(SIZES, st.integers(1, 10_000))
def test_stages_share_all_devices_out(sizes, devices):
    """None is empty, none is larger than was asked for, and no device is left out or comes twice."""
    stages = sized(sizes, devices)
    assert sum(stage.devices for stage in stages) == devices
    assert all(stage.devices > 0 for stage in stages)
    assert len(stages) <= len(sizes) + 1
    for stage, size in zip(stages, sizes, strict=False):
        most = size.count if size.count is not None else devices * size.percent / 100 + 1
        assert stage.devices <= most
    campaign = Campaign(id="c-1", name="", plan=PLAN, retry=RetryPolicy(), created_s=0.0, stages=stages)
    ends = [sum(stage.devices for stage in stages[:number]) for number in range(1, len(stages) + 1)]
    for number, end in enumerate(ends, start=1):
        last = first_task_id("c-1", end - 1)
        assert campaign.stage_of(last) == campaign.stage_of(next_task_id(last, 2)) == number
        if end < devices:
            assert campaign.stage_of(first_task_id("c-1", end)) == number + 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Size(),
        lambda: Size(percent=1, count=1),
        lambda: Size(percent=0),
        lambda: Size(percent=100.1),
        lambda: Size(count=0),
        lambda: Gate(success=1.1),
        lambda: Gate(error_threshold=-0.1),
        lambda: Gate(minimum_executed=0),
        lambda: sized([Size(percent=60), Size(percent=41)], 10),
        lambda: sized([Size(count=1)] * 101, 1000),
    ],
)
def test_what_is_no_stage_is_refused(wrong):
    """Whole or not at all."""
    with pytest.raises(ValueError, match=r"."):
        wrong()


def test_stages_and_gates_are_read_as_they_were_written():
    """None and the default too."""
    stages = (Stage(devices=3), Stage(devices=4, gate=Gate(success=0.5)))
    assert stages_of(stages_text(stages)) == stages
    assert stages_of("") == ()
    assert gate_of(gate_text(Gate(success=0.3, minimum_executed=7))) == Gate(success=0.3, minimum_executed=7)
    assert gate_of("") == Gate()
