"""What the server has heard of PCP devices: who was never heard may end by a timer, though it is healthy.

A question is asked three times at most (protocol.md 1.10), and its answer by NON is not repeated unless it
is asked for. That of 23 is given once, for then the device is updating. So on a foul network, and where the
server may be dead, now and then a task ends by the timer of a question of which no answer came; and it may
not end so where one came to a server that lived to store it.
"""

from __future__ import annotations

from collections import Counter

from headgate.fleet.profile import Profile
from headgate.lwm2m.parameters import content_format_of
from headgate.upgrade.failure import Failure
from headgate.wire.coap import Message
from headgate.wire.numbers import OBSERVE
from headgate.wire.pcp import identify_uplink
from headgate.wire.pcp_messages import (
    DownloadReport,
    ExecuteAnswer,
    MessageCode,
    NotificationAnswer,
    ResultCode,
    SegmentRequest,
    UpgradeReport,
    VersionAnswer,
)

STORED_S = 1.0
"""After which what was heard is stored: a commit, and the one that it waits for."""
QUESTIONS = {
    Failure.VERSION_TIMEOUT.value: (MessageCode.VERSION, 3),
    Failure.DOWNLOAD_START_TIMEOUT.value: (MessageCode.NOTIFICATION, 3),
    Failure.UPDATE_START_TIMEOUT.value: (MessageCode.EXECUTE, 1),
}
"""By the failure that its silence means: the question, and how often it was answered in vain at least."""
RETURNS_NOT = {"hangs", "dies"}
"""Faults of devices that are not seen to return from their update. All others are asked what they run."""

Answer = tuple[str, MessageCode]
"""Whose, and to which question."""


class Hearing:
    """All answers."""

    def __init__(self) -> None:
        self._said: Counter[Answer] = Counter()
        self._heard: list[tuple[float, Answer]] = []

    def said(self, endpoint: str, datagram: bytes) -> None:
        """A PCP device sends this, perhaps not for the first time."""
        self._said.update(answers(endpoint, datagram))

    def heard(self, endpoint: str, datagram: bytes, now: float) -> None:
        """It has come to a server that lives."""
        self._heard += [(now, answer) for answer in answers(endpoint, datagram)]

    def died(self, now: float) -> None:
        """The server is dead, and may not have stored what it heard just now."""
        while self._heard and self._heard[-1][0] > now - STORED_S:
            self._heard.pop()

    def in_vain(self, profile: Profile, failure: str | None) -> bool:
        """Whether its task may have failed so because no answer of it was heard."""
        if failure not in QUESTIONS:
            return False
        question, often = QUESTIONS[failure]
        if question is MessageCode.EXECUTE and profile.fault not in RETURNS_NOT:
            return False
        answer = profile.endpoint, question
        return self._said[answer] >= often and all(each != answer for _, each in self._heard)


def answers(endpoint: str, datagram: bytes) -> list[Answer]:
    """What a datagram of a device answers."""
    message = Message.parse(datagram)
    if not message.payload or all(number != OBSERVE for number, _ in message.options):
        return []
    found = identify_uplink(content_format_of(message), message.payload)
    questions = [question_of(each.message) for each in found]
    return [(endpoint, question) for question in questions if question is not None]


def question_of(said: object) -> MessageCode | None:
    """The question that this answers, or is as good as an answer to."""
    match said:
        case VersionAnswer():
            return MessageCode.VERSION
        case NotificationAnswer() | SegmentRequest() | DownloadReport():
            return MessageCode.NOTIFICATION
        case ExecuteAnswer(result=result) if result != ResultCode.DOWNLOAD_TIMEOUT:
            return MessageCode.EXECUTE
        case UpgradeReport():
            return MessageCode.EXECUTE
    return None
