"""What an operator writes of a campaign's policy: the ways that are known, and all others in one line."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.cli import policy
from headgate.cli.saying import CommandError
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import Timers


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (policy.stage_of, ""),
        (policy.stage_of, "0"),
        (policy.stage_of, "-1"),
        (policy.stage_of, "0%"),
        (policy.stage_of, "101%"),
        (policy.stage_of, "nan%"),
        (policy.stage_of, "1.5"),
        (policy.stage_of, "1%:"),
        (policy.stage_of, ":success=95%"),
        (policy.stage_of, "1%:success"),
        (policy.stage_of, "1%:success=95"),
        (policy.stage_of, "1%:success=95%,"),
        (policy.stage_of, "1%:success=95%,success=95%"),
        (policy.stage_of, "1%:minimum-executed=0"),
        (policy.stage_of, "1%:minimum-executed=50%"),
        (policy.stage_of, "1%:melts=1%"),
        (lambda text: policy.timers_of([text]), ""),
        (lambda text: policy.timers_of([text]), "online"),
        (lambda text: policy.timers_of([text]), "online="),
        (lambda text: policy.timers_of([text]), "online=0"),
        (lambda text: policy.timers_of([text]), "online=367d"),
        (lambda text: policy.timers_of([text]), "offline=1h"),
        (lambda text: policy.assumed_of(text, None, None), "59"),
        (lambda text: policy.assumed_of(text, None, None), "367d"),
        (lambda text: policy.assumed_of(None, text, None), "51%"),
        (lambda text: policy.assumed_of(None, None, text), "101%"),
        (policy.window_of, ""),
        (policy.window_of, "22:00"),
        (policy.window_of, "24:00-06:00"),
        (policy.window_of, "someday 22:00-06:00"),
        (policy.window_of, "mon- 22:00-06:00x"),
        (policy.zone_of, "Moon/Tycho"),
        (policy.zone_of, "../etc/passwd"),
        (policy.zone_of, ""),
        (policy.failures_of, "melts"),
        (lambda text: policy.retry_of([text]), "any"),
        (lambda text: policy.retry_of([text]), "any="),
        (lambda text: policy.retry_of([text]), "=1"),
        (lambda text: policy.retry_of([text]), "any=1@"),
        (lambda text: policy.retry_of([text]), "any=x@1h"),
        (lambda text: policy.retry_of([text]), "any=1@1y"),
        (lambda text: policy.retry_of([text]), "any=" + "9" * 5000),
        (lambda text: policy.seconds_of(text, "it"), "-1"),
        (lambda text: policy.share_of(text, "it"), "95"),
        (lambda text: policy.share_of(text, "it"), "nan"),
        (lambda text: policy.share_of(text, "it"), "-1%"),
        (lambda text: policy.start_of(text, None), "tomorrow"),
        (lambda text: policy.start_of(text, None), "+x"),
        (lambda text: policy.start_of(text, None), "0001-01-01"),  # before there was a local time
    ],
)
def test_what_is_none_is_wrong_usage(parse, text):
    """With what was wanted, and what came."""
    with pytest.raises(CommandError) as raised:
        parse(text)
    assert raised.value.exit_code == 2


@given(st.text())
def test_any_text_is_understood_or_refused(text):
    """No other exception for anything that a shell may pass."""
    for parse in (
        policy.stage_of,
        policy.window_of,
        policy.zone_of,
        policy.failures_of,
        lambda text: policy.retry_of([text]),
        lambda text: policy.retry_of([f"any={text}"]),
        lambda text: policy.start_of(text, "UTC", 0.0),
        lambda text: policy.share_of(text, "it"),
        lambda text: policy.stage_of(f"1%:{text}"),
        lambda text: policy.timers_of([text]),
        lambda text: policy.timers_of([f"online={text}"]),
        lambda text: policy.assumed_of(text, text, text),
    ):
        with suppress(CommandError):
            parse(text)


@pytest.mark.parametrize("failure", Failure)
def test_every_cause_has_a_short_name_and_its_text(failure):
    """The published text, in any case, or one word of it."""
    assert policy.failures_of(failure.value.upper()) == [failure.value]
    assert policy.failures_of(failure.name.lower().replace("_", "-")) == [failure.value]


def test_the_later_rule_for_a_cause_holds():
    """`any` first, then the one that is different."""
    rules = {each["failure"]: each for each in policy.retry_of(["any=1@1h", "invalid-uri=3"])}
    assert len(rules) == len(Failure)
    assert rules["Invalid URI"] == {"failure": "Invalid URI", "count": 3, "interval_s": 0.0}
    assert rules["Task Conflict"] == {"failure": "Task Conflict", "count": 1, "interval_s": 3600.0}


@pytest.mark.parametrize("timer", fields(Timers), ids=lambda timer: timer.name)
def test_every_timer_has_a_short_name_and_that_of_the_settings(timer):
    """One word, or as `timers.online_s` has it."""
    word = timer.name.removesuffix("_s").replace("_", "-")
    for name in (word, timer.name):
        assert policy.timers_of([f"{name}=90m"]) == {timer.name: 5400.0}


def test_what_a_gate_of_a_stage_leaves_out_is_as_for_all():
    """A stage without one has none of its own; of two timers for a step the later holds."""
    gate = {"success": 0.95, "error_threshold": 0.1}
    assert policy.stages_of(["1%:error-threshold=0", "5"], gate) == [
        {"percent": 1.0, "gate": {"success": 0.95, "error_threshold": 0.0}},
        {"count": 5},
    ]
    assert policy.timers_of(["online=1h", "online=2h"]) == {"online_s": 7200.0}


def test_days_are_ranges_and_lists():
    """Over the end of the week too; an empty list is every day."""
    assert policy.window_of("sat-mon 1:00-2:00")["days"] == ["mon", "sat", "sun"]
    assert policy.window_of("FRI,mon 1:00-2:00")["days"] == ["mon", "fri"]
    assert policy.window_of("1:00-2:00") == {"days": [], "begin": "01:00", "end": "02:00"}


def test_a_start_is_meant_where_the_campaign_is():
    """An offset that is written comes before the zone."""
    at = datetime(2026, 12, 1, 21, tzinfo=UTC).timestamp()
    assert policy.start_of("2026-12-01T22:00", "Europe/Berlin") == at
    assert policy.start_of("2026-12-01T23:00+02:00", "Europe/Berlin") == at
    assert policy.start_of("2026-12-01T21:00Z", None) == at
