"""What a PCP device remembers of its downloads and of 23: how a server is judged from outside."""

from __future__ import annotations

from dataclasses import replace

import pytest

from counterpart import CHANGED, GET, PUT, Counterpart
from headgate.fleet.pcp_client import Generation, PcpProfile, Phase
from headgate.wire.pcp import encode
from headgate.wire.pcp_messages import (
    ExecuteRequest,
    Message,
    SegmentAnswer,
    UpgradeAnswer,
    VersionNotification,
)

OPAQUE = 42
NOTIFICATION = VersionNotification(
    target_version="V2.0", segment_size=500, segment_count=3, version_check_code=0x4EA0
)
generations = pytest.mark.parametrize("generation", Generation)


@pytest.fixture
def pcp(attend):
    """A PCP device whose 19/0/0 is observed, and its server."""

    def attended(generation: Generation, **changes) -> Counterpart:
        return observed(attend("zephyr", pcp=PcpProfile(generation=generation), **changes))

    return attended


def observed(server: Counterpart) -> Counterpart:
    """The same, once it has registered."""
    server.until(lambda: server.device.registration.location is not None)
    server.ask(GET, "19/0/0", observe=0, accept=OPAQUE, token=b"%d" % server.device.log.registrations)
    server.run(0.0)
    return server


def writes(server: Counterpart, *messages: Message) -> None:
    """Each to 19/1/0."""
    for message in messages:
        answer = server.ask(PUT, "19/1/0", content_format=OPAQUE, payload=encode(message))
        assert answer is not None
        assert answer.code == CHANGED


def segments(*indexes: int) -> list[SegmentAnswer]:
    """These."""
    return [SegmentAnswer(segment_index=index, segment=bytes([index]) * 500) for index in indexes]


@generations
def test_a_whole_download(pcp, generation):
    """It begins once, takes each segment once, is told to upgrade once, and its slot ends with its report."""
    server = pcp(generation)
    log = server.device.log
    writes(server, NOTIFICATION, *segments(0, 1, 1, 2), ExecuteRequest())
    assert (log.starts_at_zero, log.forced_restarts, log.resumed_at) == (1, 0, [])
    assert (log.segments, log.executes, log.executes_after_confirmed) == (3, 1, 0)
    assert log.upgrades == []
    server.until(lambda: log.registrations == 2)
    observed(server)
    assert len(log.upgrades) == 1
    writes(server, UpgradeAnswer())
    assert server.device.container.client.phase is Phase.IDLE


@generations
def test_a_power_cut_is_no_forced_restart(pcp, generation):
    """The newer generation goes on with the segment that it waits for, the older begins anew."""
    server = pcp(generation, power_cuts=(2,))
    log = server.device.log
    writes(server, NOTIFICATION, *segments(0, 1))
    server.until(lambda: log.registrations == 2)
    observed(server)
    newer = generation is Generation.NEWER
    assert log.power_cuts == 1
    assert (log.starts_at_zero, log.resumed_at) == ((1, [1000]) if newer else (2, []))
    assert log.forced_restarts == 0
    writes(server, *segments(*([2] if newer else [0, 1, 2])), ExecuteRequest())
    assert log.segments == (3 if newer else 5)


@generations
def test_another_package_in_the_middle_is_a_forced_restart(pcp, generation):
    """And the same one told once more is not."""
    server = pcp(generation)
    writes(server, NOTIFICATION, *segments(0, 1), NOTIFICATION)
    assert server.device.log.forced_restarts == 0
    writes(server, replace(NOTIFICATION, version_check_code=1))
    assert (server.device.log.starts_at_zero, server.device.log.forced_restarts) == (1, 1)


def test_a_lost_task_is_a_forced_restart(pcp):
    """The older generation forgets its segments where a lone 80 says that there is no task."""
    server = pcp(Generation.OLDER)
    writes(server, NOTIFICATION, *segments(0, 1))
    stop = bytes.fromhex("FFFE01150000000180")
    server.ask(PUT, "19/1/0", content_format=OPAQUE, payload=stop)
    writes(server, NOTIFICATION)
    assert server.device.log.forced_restarts == 1


@generations
def test_a_23_after_a_confirmed_one_is_noticed(pcp, generation):
    """The check for a server that stores first and then acts can fail."""
    server = pcp(generation)
    log = server.device.log
    writes(server, NOTIFICATION, *segments(0, 1, 2), ExecuteRequest(), ExecuteRequest())
    assert (log.executes, log.executes_after_answer, log.executes_after_confirmed) == (2, 1, 1)


@generations
def test_a_23_whose_answer_was_lost_may_come_again(pcp, generation):
    """Nobody has acknowledged the answer."""
    server = pcp(generation)
    log = server.device.log
    writes(server, NOTIFICATION, *segments(0, 1, 2))
    server.hook = lambda came: [] if came.message.code == 0x45 else None
    writes(server, ExecuteRequest(), ExecuteRequest())
    assert (log.executes, log.executes_after_answer, log.executes_after_confirmed) == (2, 1, 0)
