"""From effects to commands of LwM2M, and from what came of a command back to an event.

A value that is missing, or not of its type, is no answer: it counts as a refusal with the code 2.05. What can
be understood is: an integer that came as text, a version that came as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from headgate.engine.retransmission import (
    DEFAULT,
    NB_CLASS_0,
    NB_CLASS_1,
    NB_CLASS_2,
    NB_CLASS_U,
    Retransmission,
)
from headgate.errors import FormatError
from headgate.lwm2m import commands
from headgate.lwm2m.commands import Command, Execute, Observe, Read, Write
from headgate.lwm2m.happenings import Answered, Notified, Observed
from headgate.lwm2m.registration import Registration
from headgate.upgrade.events import (
    CellRefused,
    CellReported,
    DeviceHeard,
    Effect,
    Event,
    ExecuteAccepted,
    ExecuteRefused,
    RadioRefused,
    RadioReported,
    ReadCell,
    ReadRadio,
    Refusal,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.frames import QUESTIONS, SAID, Body, saying, subscribed, subscribing
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
from headgate.upgrade.object19 import (
    ANSWERS,
    ExecuteUpgrade,
    FrameDelivered,
    NotificationRefused,
    NotifyVersion,
    QueryVersion,
    QuestionDelivered,
    SubscribeData,
    SubscriptionRefused,
)
from headgate.upgrade.radio import Measurement, RadioClass, RadioReport, RadioRules, measured
from headgate.upgrade.task import Plan
from headgate.wire.formats import ContentFormat, decode
from headgate.wire.pcp import UPLINK
from headgate.wire.resources import Path
from headgate.wire.values import DataType, Value

VERSION = Path(3, 0, 3)
RADIO = Path(4, 0)
CELL_ID = Path(4, 0, 8)
PACKAGE_URI = Path(5, 0, 1)
UPDATE = Path(5, 0, 2)
STATE = Path(5, 0, 3)
RESULT = Path(5, 0, 5)
PACKAGE_VERSION = Path(5, 0, 7)
CANCEL = Path(5, 0, 10)

FIRMWARE_OBJECT = 5
CANCEL_SINCE = (1, 1)  # the version of object 5 that has 5/0/10
UNREADABLE = "2.05"
TEXT_MAX = 255  # characters of a version or a URI: RFC 7252 section 5.10 has as many in an option
NOT_A_DIGIT_MAX = 24  # characters of a number that came as text

Numbers = int | float
NO_RESOURCES: Mapping[tuple[int, ...], Value] = MappingProxyType({})

# -- effects to commands --


def commands_of(
    effect: Effect,
    *,
    task_id: str,
    registration: Registration | None,
    token: bytes | None = None,
    drawn: bytes | None = None,
    plan: Plan | None = None,
    body: Body | None = None,
) -> tuple[Command, ...]:
    """What is asked of the device, in this order.

    `token` is that of the task's last observation of its State, and `drawn` for a new one; `plan` is the
    task's, and `body` the bytes of its package. A segment is not said while those are not at hand: there is
    nothing to ask then.
    """
    if type(effect) in SAID:
        said = saying(effect, task_id, plan, body)
        return () if said is None else (said,)
    match effect:
        case ReadVersion():
            return (Read(path=VERSION, purpose=task_id),)
        case ReadRadio():
            return (Read(path=RADIO, purpose=task_id),)
        case ReadCell():
            return (Read(path=CELL_ID, purpose=task_id),)
        case ObserveState():
            return (Observe(path=STATE, purpose=task_id, token=drawn),)
        case ReadState():
            return (Read(path=STATE, purpose=task_id),)
        case ReadPackage():
            return Read(path=PACKAGE_URI, purpose=task_id), Read(path=PACKAGE_VERSION, purpose=task_id)
        case ClearUri(tlv=tlv):
            return (uri_written("", tlv=tlv, task_id=task_id),)
        case WriteUri(uri=uri, tlv=tlv):
            return (uri_written(uri, tlv=tlv, task_id=task_id),)
        case ExecuteUpdate():
            return (Execute(path=UPDATE, purpose=task_id),)
        case ReadResult():
            return (Read(path=RESULT, purpose=task_id),)
        case SubscribeData():
            return (subscribing(task_id, drawn),)
        case CancelUpdate():
            version = None if registration is None else registration.objects.version(FIRMWARE_OBJECT)
            if version is not None and version >= CANCEL_SINCE:
                return (Execute(path=CANCEL, purpose=task_id),)
            return (uri_written("", tlv=False, task_id=task_id),)
        case CancelObservation():
            assert token is not None, "there is an observation to cancel"
            return (commands.CancelObservation(path=STATE, purpose=task_id, token=token),)
    raise AssertionError(f"{effect} is not asked of a device")


def uri_written(uri: str, *, tlv: bool, task_id: str) -> Write:
    """A Write of 5/0/1: some clients begin only on text (LiteOS_Lab), some take only TLV."""
    content_format = ContentFormat.TLV if tlv else ContentFormat.TEXT
    return Write(path=PACKAGE_URI, purpose=task_id, value=uri, content_format=content_format)


def instead_of(effect: Effect, command: Command) -> Command | None:
    """What to try where the device refused the command; None: nothing."""
    if isinstance(effect, CancelUpdate) and isinstance(command, Execute):
        return uri_written("", tlv=False, task_id=command.purpose)
    return None


PROFILES: Mapping[RadioClass, Retransmission] = {
    RadioClass.CLASS_0: NB_CLASS_0,
    RadioClass.CLASS_1: NB_CLASS_1,
    RadioClass.CLASS_2: NB_CLASS_2,
    RadioClass.UNKNOWN: NB_CLASS_U,
}


def profile_of(radio: Measurement | None, registration: Registration | None) -> Retransmission:
    """How patiently a device is asked: by its class, and before that is known by whether it sleeps."""
    if radio is not None and radio.radio_class is not None:
        return PROFILES[radio.radio_class]
    return NB_CLASS_1 if registration is not None and registration.queue_mode else DEFAULT


# -- answers to events --


def answer_of(effect: Effect, answers: Mapping[Path, Answered | Observed], rules: RadioRules) -> Event:
    """The event that the answers to all commands of an effect are."""
    found: dict[tuple[int, ...], Value] = {}
    for each in answers.values():
        found.update(each.resources or NO_RESOURCES)
    match effect:
        case SubscribeData():
            observed = answers[UPLINK]
            assert isinstance(observed, Observed)
            return subscribed(observed)
        case ReadVersion():
            version = text_of(found.get(VERSION))
            return refusal_of(effect, UNREADABLE) if version is None else VersionReported(version=version)
        case ReadRadio():
            radio = measured(radio_report(found), rules)
            return refusal_of(effect, UNREADABLE) if not found else RadioReported(radio=radio)
        case ReadCell():
            cell_id = integer_of(found.get(CELL_ID))
            return refusal_of(effect, UNREADABLE) if cell_id is None else CellReported(cell_id=cell_id)
        case ObserveState():
            state = integer_of(found.get(STATE))
            return refusal_of(effect, UNREADABLE) if state is None else StateObserved(state=state)
        case ReadState():
            state = integer_of(found.get(STATE))
            return refusal_of(effect, UNREADABLE) if state is None else StateReported(state=state, asked=True)
        case ReadResult():
            result = integer_of(found.get(RESULT))
            return refusal_of(effect, UNREADABLE) if result is None else ResultReported(result=result)
        case ReadPackage():
            uri, version = text_of(found.get(PACKAGE_URI)), text_of(found.get(PACKAGE_VERSION))
            if uri is None or version is None:
                return refusal_of(effect, UNREADABLE)
            return PackageReported(uri=uri, version=version)
    return DONE[type(effect)]


DONE: Mapping[type[Effect], Event] = {
    ClearUri: UriCleared(),
    WriteUri: UriAccepted(),
    ExecuteUpdate: ExecuteAccepted(),
    CancelObservation: ObservationEnded(),
    CancelUpdate: DeviceHeard(),
    **dict.fromkeys(QUESTIONS, QuestionDelivered()),
    **dict.fromkeys(ANSWERS, FrameDelivered()),
}
"""Commands that are done when the device took them."""
REFUSALS: Mapping[type[Effect], type[Refusal]] = {
    ReadVersion: VersionRefused,
    ReadRadio: RadioRefused,
    ReadCell: CellRefused,
    ObserveState: ObserveRefused,
    ReadState: StateRefused,
    ReadPackage: PackageRefused,
    ClearUri: ClearRefused,
    WriteUri: UriRefused,
    ExecuteUpdate: ExecuteRefused,
    ReadResult: ResultRefused,
    SubscribeData: SubscriptionRefused,
    QueryVersion: VersionRefused,
    NotifyVersion: NotificationRefused,
    ExecuteUpgrade: ExecuteRefused,
}


def refusal_of(effect: Effect, code: str) -> Event:
    """The event that an error is; the ends of what was begun are best effort, and over either way.

    An answer of ours that was refused is over too: the device asks again, or does without.
    """
    if type(effect) in ANSWERS:
        return DeviceHeard()
    refusal = REFUSALS.get(type(effect))
    return DONE[type(effect)] if refusal is None else refusal(code=code)  # type: ignore[call-arg]


def notified(happening: Notified) -> Event:
    """The event that a notification is. A stale State is no news, and neither is any other resource."""
    wanted = {STATE: StateReported, RESULT: ResultReported}.get(happening.path)
    if wanted is None or happening.stale:
        return DeviceHeard()
    value = integer_of(value_of(happening))
    if value is None:
        return DeviceHeard()
    return StateReported(state=value) if wanted is StateReported else ResultReported(result=value)


def value_of(happening: Notified) -> Value | None:
    """The value of the resource that a notification is about, None where it cannot be read."""
    try:
        found = decode(happening.content_format, happening.payload, happening.path, integers)
    except FormatError:
        return None
    return found.get(happening.path)


def integers(object: int, resource: int) -> DataType:
    """The type of what is notified to us."""
    return DataType.INTEGER


# -- lenient values --


def integer_of(value: Value | None) -> int | None:
    """The integer that a value is: as itself, as a whole float, or in decimal digits.

    >>> integer_of(3), integer_of(3.0), integer_of("3"), integer_of(b"3"), integer_of(True), integer_of("x")
    (3, 3, 3, 3, None, None)
    """
    number = number_of(value)
    return int(number) if number is not None and number == int(number) else None


def number_of(value: Value | None) -> Numbers | None:
    """The number that a value is, in digits too.

    >>> number_of(-98.5), number_of("-98.5"), number_of("1e999"), number_of(None)
    (-98.5, -98.5, None, None)
    """
    if type(value) is int or type(value) is float:
        return value
    text = text_of(value)
    if text is None or not 0 < len(text) <= NOT_A_DIGIT_MAX:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def text_of(value: Value | None) -> str | None:
    r"""The string that a value is. Devices pad versions with zero bytes.

    A longer one than TEXT_MAX is of no use, and a database may store none with a zero inside.

    >>> text_of("V1.0"), text_of(b"V1.0\x00\x00"), text_of(7), text_of(b"\xff"), text_of("V1\0x")
    ('V1.0', 'V1.0', None, None, None)
    """
    if type(value) is bytes:
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None
    if type(value) is not str:
        return None
    text = value.rstrip("\0")
    return text if len(text) <= TEXT_MAX and "\0" not in text else None


def radio_report(found: Mapping[tuple[int, ...], Value]) -> RadioReport:
    """Object 4 as far as it can be read."""
    return RadioReport(
        rsrp=number_of(found.get((4, 0, 2))),
        sinr=number_of(found.get((4, 0, 11))),
        cell_id=integer_of(found.get((4, 0, 8))),
        smnc=integer_of(found.get((4, 0, 9))),
        smcc=integer_of(found.get((4, 0, 10))),
        ce_level=integer_of(found.get((4, 0, 13))),
    )
