"""Effects as commands, and what devices say to them as events: lenient, never a crash. Traps T20 to T23."""

from __future__ import annotations

import pytest

from headgate.engine.retransmission import DEFAULT, NB_CLASS_0, NB_CLASS_1, NB_CLASS_2, NB_CLASS_U
from headgate.lwm2m import commands
from headgate.lwm2m.commands import Execute, Observe, Read, Write
from headgate.lwm2m.happenings import Answered, Notified
from headgate.lwm2m.registration import Registration
from headgate.upgrade.asking import (
    answer_of,
    commands_of,
    instead_of,
    notified,
    profile_of,
    refusal_of,
)
from headgate.upgrade.events import (
    AnnounceOutcome,
    CellRefused,
    CellReported,
    DeviceHeard,
    ExecuteAccepted,
    ExecuteRefused,
    RadioRefused,
    RadioReported,
    ReadCell,
    ReadRadio,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.object5 import (
    CancelObservation,
    CancelUpdate,
    ClearRefused,
    ClearUri,
    ExecuteUpdate,
    ObservationEnded,
    ObserveRefused,
    ObserveState,
    PackageRefused,
    PackageReported,
    ReadPackage,
    ReadResult,
    ReadState,
    ReadVersion,
    ResultRefused,
    ResultReported,
    StateObserved,
    StateRefused,
    StateReported,
    UriAccepted,
    UriCleared,
    UriRefused,
    WriteUri,
)
from headgate.upgrade.radio import Measurement, RadioClass, RadioRules
from headgate.wire.links import parse_objects
from headgate.wire.resources import Path, Resources
from headgate.wire.values import Time

RULES = RadioRules()
URI = "coap://edge.example/k"


def registered(links: bytes = b"</5/0>", **how: object) -> Registration:
    """A registration with these links."""
    return Registration(
        endpoint="ep",
        location="x",
        registered_s=0.0,
        expires_s=1.0,
        objects=parse_objects(links),
        remote=(b"", b""),
        **how,
    )


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (ReadVersion(), [Read(path=Path(3, 0, 3), purpose="t")]),
        (ReadRadio(), [Read(path=Path(4, 0), purpose="t")]),
        (ReadCell(), [Read(path=Path(4, 0, 8), purpose="t")]),
        (ObserveState(), [Observe(path=Path(5, 0, 3), purpose="t")]),
        (ReadState(), [Read(path=Path(5, 0, 3), purpose="t")]),
        (ReadPackage(), [Read(path=Path(5, 0, 1), purpose="t"), Read(path=Path(5, 0, 7), purpose="t")]),
        (ClearUri(), [Write(path=Path(5, 0, 1), purpose="t", value="", content_format=0)]),
        (ClearUri(tlv=True), [Write(path=Path(5, 0, 1), purpose="t", value="", content_format=11542)]),
        (WriteUri(uri=URI), [Write(path=Path(5, 0, 1), purpose="t", value=URI, content_format=0)]),
        (
            WriteUri(uri=URI, tlv=True),
            [Write(path=Path(5, 0, 1), purpose="t", value=URI, content_format=11542)],
        ),
        (ExecuteUpdate(), [Execute(path=Path(5, 0, 2), purpose="t")]),
        (ReadResult(), [Read(path=Path(5, 0, 5), purpose="t")]),
        (CancelUpdate(), [Write(path=Path(5, 0, 1), purpose="t", value="", content_format=0)]),
        (
            CancelObservation(),
            [commands.CancelObservation(path=Path(5, 0, 3), purpose="t", token=b"token")],
        ),
    ],
    ids=str,
)
def test_each_effect_is_these_commands(effect, expected):
    """Protocol 3.3, column "sent by server"; Execute without payload, the URI as text or TLV (T42)."""
    asked = commands_of(effect, task_id="t", registration=registered(), token=b"token")
    assert list(asked) == expected


def test_cancel_where_the_device_has_it():
    """5/0/10 is of object version 1.1; refused, the empty URI does."""
    (execute,) = commands_of(
        CancelUpdate(), task_id="t", registration=registered(b"</5>;ver=1.1,</5/0>"), token=None
    )
    assert execute == Execute(path=Path(5, 0, 10), purpose="t")
    write = instead_of(CancelUpdate(), execute)
    assert write == Write(path=Path(5, 0, 1), purpose="t", value="", content_format=0)
    assert instead_of(CancelUpdate(), write) is None
    assert instead_of(ExecuteUpdate(), Execute(path=Path(5, 0, 2))) is None


def test_a_device_that_has_gone_is_asked_the_simplest():
    """It will register again; what it has then is not known."""
    asked = commands_of(CancelUpdate(), task_id="t", registration=None, token=None)
    assert isinstance(asked[0], Write)


def test_what_is_no_command_is_a_bug():
    """Grants and announcements are done by others."""
    with pytest.raises(AssertionError):
        commands_of(AnnounceOutcome(), task_id="t", registration=None, token=None)


def answered(effect, values):
    """The event of an answer with these values; None: no values at all."""
    resources = None if values is None else Resources(values)
    answer = Answered(endpoint="ep", command=Read(path=Path()), resources=resources)
    return answer_of(effect, {Path(): answer}, RULES)


@pytest.mark.parametrize(
    ("effect", "values", "event"),
    [
        (ReadVersion(), {(3, 0, 3): "V1.0"}, VersionReported(version="V1.0")),
        (ReadVersion(), {(3, 0, 3): b"V1.0\0\0"}, VersionReported(version="V1.0")),
        (ReadVersion(), {(3, 0, 3): "V1.0\0\0"}, VersionReported(version="V1.0")),
        (ReadVersion(), {(3, 0, 3): "V1\0x"}, VersionRefused(code="2.05")),
        (ReadVersion(), {(3, 0, 3): "v" * 256}, VersionRefused(code="2.05")),
        (ReadVersion(), {(3, 0, 3): 7}, VersionRefused(code="2.05")),
        (ReadVersion(), {(3, 0, 2): "serial"}, VersionRefused(code="2.05")),
        (ReadVersion(), {(3, 0, 3): b"\xff"}, VersionRefused(code="2.05")),
        (ReadVersion(), None, VersionRefused(code="2.05")),
        (ReadCell(), {(4, 0, 8): 7}, CellReported(cell_id=7)),
        (ReadCell(), {(4, 0, 8): "7"}, CellReported(cell_id=7)),
        (ReadCell(), {(4, 0, 8): "seven"}, CellRefused(code="2.05")),
        (ReadCell(), {(4, 0, 8): True}, CellRefused(code="2.05")),
        (ReadRadio(), None, RadioRefused(code="2.05")),
        (ReadRadio(), {}, RadioRefused(code="2.05")),
        (ReadRadio(), {(4, 0, 0): 7}, RadioReported(radio=Measurement())),
        (ReadRadio(), {(4, 0, 2): "strong", (4, 0, 8): Time(3)}, RadioReported(radio=Measurement())),
        (ObserveState(), {(5, 0, 3): 0}, StateObserved(state=0)),
        (ObserveState(), {(5, 0, 3): "0"}, StateObserved(state=0)),
        (ObserveState(), None, ObserveRefused(code="2.05")),
        (ReadState(), {(5, 0, 3): 2}, StateReported(state=2, asked=True)),
        (ReadState(), {(5, 0, 3): 2.0}, StateReported(state=2, asked=True)),
        (ReadState(), {(5, 0, 3): 2.5}, StateRefused(code="2.05")),
        (ReadResult(), {(5, 0, 5): 1}, ResultReported(result=1)),
        (ReadResult(), {(5, 0, 5): b"x"}, ResultRefused(code="2.05")),
        (ReadPackage(), {(5, 0, 1): URI, (5, 0, 7): "V1"}, PackageReported(uri=URI, version="V1")),
        (ReadPackage(), {(5, 0, 1): URI}, PackageRefused(code="2.05")),
        (ClearUri(), None, UriCleared()),
        (WriteUri(uri=URI), None, UriAccepted()),
        (ExecuteUpdate(), None, ExecuteAccepted()),
        (CancelObservation(), None, ObservationEnded()),
        (CancelUpdate(), None, DeviceHeard()),
    ],
    ids=str,
)
def test_answers(effect, values, event):
    """A value that is missing or of another type is a refusal with the code 2.05."""
    assert answered(effect, values) == event


def test_a_radio_report_is_measured():
    """Text and integers alike (T21)."""
    event = answered(
        ReadRadio(),
        {(4, 0, 2): "-98", (4, 0, 11): 9, (4, 0, 8): 0x1A2B, (4, 0, 9): 0, (4, 0, 10): 460},
    )
    assert event.radio.radio_class is RadioClass.CLASS_0
    assert str(event.radio.cell) == "460-00-1A2B"


@pytest.mark.parametrize(
    ("effect", "event"),
    [
        (ReadVersion(), VersionRefused(code="4.04")),
        (ReadRadio(), RadioRefused(code="4.04")),
        (ReadCell(), CellRefused(code="4.04")),
        (ObserveState(), ObserveRefused(code="4.04")),
        (ReadState(), StateRefused(code="4.04")),
        (ReadPackage(), PackageRefused(code="4.04")),
        (ClearUri(), ClearRefused(code="4.04")),
        (WriteUri(uri=URI), UriRefused(code="4.04")),
        (ExecuteUpdate(), ExecuteRefused(code="4.04")),
        (ReadResult(), ResultRefused(code="4.04")),
        (CancelObservation(), ObservationEnded()),
        (CancelUpdate(), DeviceHeard()),
    ],
    ids=str,
)
def test_refusals(effect, event):
    """By effect; the ends of what was begun are best effort."""
    assert refusal_of(effect, "4.04") == event


@pytest.mark.parametrize(
    ("path", "content_format", "payload", "stale", "event"),
    [
        ((5, 0, 3), 0, b"2", False, StateReported(state=2)),
        ((5, 0, 3), None, b"2", False, StateReported(state=2)),
        ((5, 0, 3), 11542, bytes.fromhex("C10302"), False, StateReported(state=2)),
        ((5, 0, 3), 0, b"2", True, DeviceHeard()),
        ((5, 0, 5), 0, b"8", False, ResultReported(result=8)),
        ((5, 0, 3), 0, b"two", False, DeviceHeard()),
        ((5, 0, 3), 11542, b"\xff", False, DeviceHeard()),
        ((5, 0, 3), 4711, b"2", False, DeviceHeard()),
        ((3, 0, 9), 0, b"2", False, DeviceHeard()),
    ],
)
def test_notifications(path, content_format, payload, stale, event):
    """5/0/3 and 5/0/5 are news, in any format, unless a newer one came before."""
    happening = Notified(
        endpoint="ep",
        path=Path(*path),
        token=b"t",
        content_format=content_format,
        payload=payload,
        stale=stale,
    )
    assert notified(happening) == event


@pytest.mark.parametrize(
    ("radio_class", "queue_mode", "profile"),
    [
        (RadioClass.CLASS_0, True, NB_CLASS_0),
        (RadioClass.CLASS_1, False, NB_CLASS_1),
        (RadioClass.CLASS_2, False, NB_CLASS_2),
        (RadioClass.UNKNOWN, False, NB_CLASS_U),
        (None, True, NB_CLASS_1),
        (None, False, DEFAULT),
    ],
)
def test_profiles(radio_class, queue_mode, profile):
    """By class; before it is known by whether the device sleeps. Protocol 6.7."""
    assert profile_of(Measurement(radio_class=radio_class), registered(queue_mode=queue_mode)) == profile
    assert profile_of(None, None) == DEFAULT
