"""The firmware negotiation against one simulated device, in lockstep and by a virtual clock, nothing between.

What the table wants done is sent to the device as a careful server would, and what comes back is an event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from counterpart import (
    BLOCK2,
    CONTENT_FORMAT,
    DELETE,
    GET,
    PACKAGE_KEY,
    PACKAGE_URI,
    POST,
    PUT,
    RST,
    URI_PATH,
    Came,
    Counterpart,
    code,
    option,
    values,
)
from headgate.errors import FormatError
from headgate.fleet.device import Device
from headgate.fleet.objects import type_of
from headgate.upgrade import advance
from headgate.upgrade.events import (
    Activated,
    CellRefused,
    CellReported,
    CommandReset,
    DeadlinePassed,
    DeviceDeregistered,
    DeviceHeard,
    DeviceRegistered,
    DownloadProgressed,
    DownloadStarted,
    Effect,
    Event,
    ExecuteAccepted,
    ExecuteRefused,
    RadioRefused,
    RadioReported,
    ReadCell,
    ReadRadio,
    SlotGranted,
    VersionRefused,
    VersionReported,
)
from headgate.upgrade.object5 import (
    CancelObservation,
    ClearRefused,
    ClearUri,
    ExecuteUpdate,
    ObservationEnded,
    ObserveRefused,
    ObserveState,
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
from headgate.upgrade.radio import RadioReport, RadioRules, measured
from headgate.upgrade.task import Kind, Plan, State, Task
from headgate.wire.formats import decode, encode
from headgate.wire.resources import Path, Resources
from reference import block as block_reference
from reference.coap import Message

TEXT, JSON, CBOR, TLV, OLD_JSON = 0, 110, 112, 11542, 11543
SINGLE = (TEXT, JSON, CBOR, TLV, OLD_JSON, None)
MANY = (TLV, JSON, CBOR, OLD_JSON, None)
FORMAT_REFUSED = ("4.06", "5.00")
STEPS_MAX = 20_000
AGAIN_S = 5.0

READS = {
    ReadVersion: (Path(3, 0, 3), VersionRefused),
    ReadRadio: (Path(4, 0), RadioRefused),
    ReadCell: (Path(4, 0, 8), CellRefused),
    ReadState: (Path(5, 0, 3), StateRefused),
    ReadResult: (Path(5, 0, 5), ResultRefused),
    ObserveState: (Path(5, 0, 3), ObserveRefused),
}


@dataclass
class Asked:
    """A command under way."""

    effect: Effect
    formats: list[int | None]
    message_id: int = 0
    asked_s: float = 0.0
    payload: bytes = b""


class Negotiator:
    """One task of one device, from CREATED to its end."""

    def __init__(
        self, device: Device, package: bytes, target_version: str = "V2.0", now: float = 0.0
    ) -> None:
        plan = Plan(kind=Kind.FIRMWARE, target_version=target_version, pid=bytes(8))
        self.task = Task.created(
            id="1", endpoint=device.profile.endpoint, plan=plan, now=now, uri=PACKAGE_URI
        )
        self.device = device
        self.server = Counterpart(device, package, root=device.profile.root, now=now)
        self.queue: list[Effect] = []
        self.asked: dict[bytes, Asked] = {}
        self.observed: set[bytes] = set()
        self.unanswered: dict[type[Effect], int] = {}
        self.highest = -1
        self._tokens = 0
        self._seen = 0

    def run(self) -> Task:
        """Until the task has ended and nothing is asked any more."""
        self.fire(Activated())
        for _ in range(STEPS_MAX):
            self._hear()
            if self.task.state.terminal:
                return self.task
            if self.task.state is State.WAIT_SLOT:
                self.fire(SlotGranted(awake=self.device.powered and not self.device.asleep))
                continue
            due_s, deadline_s = self.device.next_timer(), self.task.deadline_s
            assert deadline_s is not None
            if due_s is None or due_s > deadline_s:
                self.server.now = deadline_s
                self.fire(DeadlinePassed())
            else:
                self.server.step()
        raise AssertionError(f"never ends: {self.task}")

    def fire(self, event: Event) -> None:
        """An event of the task, and what follows."""
        self.task, effects = advance(self.task, event, self.server.now)
        self.queue += [effect for effect in effects if effect not in self.queue]
        self._ask_next()

    # -- what the device says --

    def _hear(self) -> None:
        while self._seen < len(self.server.came):
            came = self.server.came[self._seen]
            self._seen += 1
            if self.task.state.terminal:
                return
            self._heard(came)
            self._ask_again()
            self._ask_next()

    def _ask_again(self) -> None:
        """The device shows a sign of life: what it left unanswered for long is asked in another format."""
        for token, each in list(self.asked.items()):
            if self.server.now - each.asked_s > AGAIN_S:
                del self.asked[token]
                self.unanswered[type(each.effect)] = self.unanswered.get(type(each.effect), 0) + 1

    def _heard(self, came: Came) -> None:
        message = came.message
        if message.type == RST:
            for token, each in list(self.asked.items()):
                if each.message_id == message.message_id:
                    self._done(token)
                    self.fire(CommandReset(command=str(each.effect)))
            return
        if message.code == 0:
            return
        path = values(message, URI_PATH)
        if message.code >> 5:
            self._answered(message)
        elif path == ["rd"]:
            self.fire(DeviceRegistered())
        elif message.code == DELETE:
            self.fire(DeviceDeregistered())
        elif path[:1] == [PACKAGE_KEY]:
            first = self.highest < 0
            self.highest += 1
            self.fire(DownloadStarted() if first else DownloadProgressed())
        else:
            self.fire(DeviceHeard())

    def _answered(self, message: Message) -> None:
        each = self.asked.get(message.token)
        if each is None:
            if message.token in self.observed:
                self.fire(StateReported(state=self._value(message, Path(5, 0, 3))))
            else:
                self.fire(DeviceHeard())
            return
        said = code(message)
        if said in FORMAT_REFUSED and len(each.formats) > 1:
            del each.formats[0]
            self._send(each)
            return
        block2 = option(message, BLOCK2)
        if block2 is not None and said == "2.05":
            block = block_reference.parse(block2)
            each.payload += message.payload
            if block.more:
                self._send(each, block.num + 1, block.szx)
                return
            message = replace(message, payload=each.payload)
        self._done(message.token)
        self.fire(self._event(each.effect, message, said))

    def _event(self, effect: Effect, message: Message, said: str) -> Event:
        ok = said.startswith("2.")
        kind = type(effect)
        if kind in READS:
            path, refused = READS[kind]
            if not ok:
                return refused(code=said)
            if kind is ReadRadio:
                found = self._values(message, path)
                numbers = {"rsrp": 2, "sinr": 11, "cell_id": 8, "smnc": 9, "smcc": 10}
                report = {name: found.get((4, 0, number)) for name, number in numbers.items()}
                return RadioReported(radio=measured(RadioReport(**report), RadioRules()))
            value = self._value(message, path)
            match effect:
                case ReadVersion():
                    return VersionReported(version=value)
                case ReadCell():
                    return CellReported(cell_id=value)
                case ReadResult():
                    return ResultReported(result=value)
                case ObserveState():
                    return StateObserved(state=value)
            return StateReported(state=value)
        match effect:
            case WriteUri():
                return UriAccepted() if ok else UriRefused(code=said)
            case ClearUri():
                return UriCleared() if ok else ClearRefused(code=said)
            case ExecuteUpdate():
                return ExecuteAccepted() if ok else ExecuteRefused(code=said)
        return ObservationEnded()

    def _values(self, message: Message, path: Path) -> Resources:
        number = option(message, CONTENT_FORMAT)
        content_format = None if number is None else int.from_bytes(number, "big")
        try:
            return decode(content_format, message.payload, path, type_of)
        except FormatError as error:
            raise AssertionError(f"{self.device.profile.style} wrote {message}: {error}") from error

    def _value(self, message: Message, path: Path) -> object:
        return self._values(message, path)[path]

    # -- what it is asked --

    def _ask_next(self) -> None:
        """One command at a time, while the device is awake."""
        while self.queue and not self.asked and self.device.powered and not self.device.asleep:
            effect = self.queue[0]
            if type(effect) in READS:
                formats = MANY if type(effect) is ReadRadio else SINGLE
                first = self.unanswered.get(type(effect), 0) % len(formats)
                self._send(Asked(effect, [*formats[first:], *formats[:first]]))
            elif isinstance(effect, WriteUri | ClearUri | ExecuteUpdate | CancelObservation):
                self._send(Asked(effect, [None]))
            else:
                del self.queue[0]  # the edge's, or the console's
                continue
            return

    def _done(self, token: bytes) -> None:
        self.queue.remove(self.asked.pop(token).effect)

    def _send(self, each: Asked, num: int = 0, szx: int = 0) -> None:
        """Send the command, in the next format where one was refused, or ask for its next block."""
        self.asked.clear()
        self._tokens += 1
        token = self._tokens.to_bytes(4, "big")
        each.message_id = 0x2000 + self._tokens
        each.asked_s = self.server.now
        self.asked[token] = each
        how: dict[str, object] = {"token": token, "message_id": each.message_id}
        effect = each.effect
        match effect:
            case WriteUri(uri=uri, tlv=tlv):
                self._write(uri, tlv, how)
            case ClearUri(tlv=tlv):
                self._write("", tlv, how)
            case ExecuteUpdate():
                self.server.ask(POST, "5/0/2", **how)
            case CancelObservation():
                self.server.ask(GET, "5/0/3", observe=1, accept=TEXT, **(how | {"token": max(self.observed)}))
                self.asked[max(self.observed)] = self.asked.pop(token)
            case _:
                path = READS[type(effect)][0]
                if num:
                    block = block_reference.Block(num, False, szx)
                    how["options"] = ((BLOCK2, block_reference.encode(block)),)
                elif isinstance(effect, ObserveState):
                    how["observe"] = 0
                    self.observed.add(token)
                self.server.ask(GET, str(path).strip("/"), accept=each.formats[0], **how)

    def _write(self, uri: str, tlv: bool, how: dict[str, object]) -> None:
        resources, path = Resources({(5, 0, 1): uri}), Path(5, 0, 1)
        content_format = TLV if tlv else TEXT
        payload = encode(content_format, resources, path, type_of)
        self.server.ask(PUT, "5/0/1", content_format=content_format, payload=payload, **how)
