"""A simulated NB-IoT device: an LwM2M client without I/O, driven by datagrams, times and nothing else.

    device = Device(replace(LITEOS, endpoint="urn:imei:1"), random.Random(1), now=0.0)
    device.expire(now); for datagram in device.take(): ...       whenever next_timer() has come
    device.receive(datagram, now); for datagram in device.take(): ...

A device has one socket, MAIN, or a second one for its downloads (`Profile.own_socket`). `generation(socket)`
rises when the socket is another than before, with a new port: after a sleep, a reboot, for a new download.

It is switched on at `now` + `Profile.boot_after_s`, registers, and from then on sleeps, wakes, reports, and
does what it is asked. What it remembers of all this is in `log`.
"""

from __future__ import annotations

import random

from headgate.fleet.alarms import Alarms
from headgate.fleet.container import INITIAL, Container, DataContainer, Make
from headgate.fleet.firmware import Firmware
from headgate.fleet.messaging import Ended, Messaging, Refusal, Reply
from headgate.fleet.objects import (
    CANCEL,
    CELL_ID,
    CONNECTIVITY,
    CONTAINER,
    DATA_DOWN,
    DATA_UP,
    DEVICE,
    FIRMWARE,
    LIFETIME,
    PACKAGE,
    PACKAGE_URI,
    REBOOT,
    RESULT,
    SERVER,
    SIGNAL,
    STATE,
    UPDATE,
    UPDATE_TRIGGER,
    VERSION,
    Values,
    connectivity_values,
    device_values,
    server_values,
    type_of,
)
from headgate.fleet.observations import Observation, Observations
from headgate.fleet.outcome import Outcome
from headgate.fleet.pcp_container import PcpContainer
from headgate.fleet.profile import Moves, Profile, Report
from headgate.fleet.radio import UNKNOWN_CLASS
from headgate.fleet.registration import Registration, uint
from headgate.fleet.requests import Requests
from headgate.wire.coap import Message
from headgate.wire.formats import ContentFormat, encode
from headgate.wire.numbers import CHANGED, CONTENT_FORMAT, METHOD_NOT_ALLOWED, POST, RST, URI_PATH
from headgate.wire.resources import Path, Resources
from headgate.wire.values import Value

MAIN = 0
DOWNLOAD = 1
SOCKETS = (MAIN, DOWNLOAD)

REPORT_SPREAD = 0.2  # of the interval, so that a fleet does not wake as one


class Device:
    """One device, from its first boot on."""

    def __init__(
        self, profile: Profile, rng: random.Random, now: float, *, container: Make | None = None
    ) -> None:
        """`container` is what object 19 is for, where the profile does not say it."""
        self.profile = profile
        self.log = Outcome()
        self.alarms = Alarms()
        self.asleep = False
        self.download_address: tuple[str, int] | None = None
        """Host and port of the package URI: where the DOWNLOAD socket sends to."""
        self.unheard = 0
        """Datagrams that came while the device was off or asleep."""
        self._rng = rng
        self._generations = [0, 0]
        self._kept: Observation | None = None  # of 5/0/3, from before a reboot
        self._on = False
        self._requests = Requests(self)
        self._begin_messaging()
        self.firmware = Firmware(self)
        self.container: Container
        if profile.pcp is not None and container is None:
            self.container = PcpContainer(self, profile.pcp)
        else:
            self.container = (container or DataContainer)(self)
        if not profile.misbehaviour.never_boots:
            self.alarms.set("boot", now + profile.boot_after_s, self._boot)

    def _begin_messaging(self) -> None:
        """New sockets' worth of messaging, with nothing under way."""
        profile, rng = self.profile, self._rng
        self.main = Messaging(rng, profile.timing, self._requested, first_id=profile.first_message_id)
        self._download = Messaging(rng, profile.timing, first_id=profile.first_message_id)
        self.observations = Observations(profile, self.alarms)
        self.registration = Registration(self)

    # -- what drives it --

    def receive(self, datagram: bytes, now: float, socket: int = MAIN) -> None:
        """A datagram has come in at the socket."""
        if not self._on or self.asleep:
            self.unheard += 1
            return
        (self._download if socket == DOWNLOAD else self.main).receive(datagram, now)
        self._stay_awake(now)

    def expire(self, now: float) -> None:
        """Do what is due."""
        self.alarms.expire(now)
        if self._on and not self.asleep:
            self.main.expire(now)
            self._download.expire(now)

    def next_timer(self) -> float | None:
        """When to call `expire`; None when the device waits for nothing, which is when it is dead."""
        due = [self.alarms.next()]
        if self._on and not self.asleep:
            due += [self.main.next_timer(), self._download.next_timer()]
        return min([each for each in due if each is not None], default=None)

    def take(self, socket: int = MAIN) -> list[bytes]:
        """The datagrams to send from the socket, in this order; to be called after every other call."""
        messaging = self._download if socket == DOWNLOAD else self.main
        outbox, messaging.outbox = messaging.outbox, []
        return outbox

    def generation(self, socket: int = MAIN) -> int:
        """How often the socket was replaced by one with another port."""
        return self._generations[socket]

    @property
    def port_generation(self) -> int:
        """The generation of the MAIN socket."""
        return self._generations[MAIN]

    @property
    def version(self) -> str:
        """What runs, of what is upgraded: the software of a PCP device, else the firmware (3/0/3)."""
        return self.container.version or self.firmware.version

    @property
    def powered(self) -> bool:
        """Whether the device is on, be it asleep."""
        return self._on

    # -- power, sleep and reports --

    def power_cut(self, now: float) -> None:
        """Lose power, whatever is under way; it is back after `Profile.power_cut_s`."""
        self.log.power_cuts += 1
        self._off(now + self.profile.power_cut_s)

    def reboot(self, now: float) -> None:
        """Go down, and come up again with the version that the update machine holds."""
        self.log.reboots += 1
        self._off(now + self.profile.reboot_s)

    def leave(self, now: float, *, goodbye: bool) -> None:
        """Never be heard again: after a De-register, or in the middle of something."""
        if goodbye:
            self.registration.deregister(now, self._gone)
            self.log.ended(now)
            self.alarms.clear()
        else:
            self._gone(None, now)

    def _gone(self, message: Message | None, now: float) -> None:
        self._on = False
        self.alarms.clear()

    def _off(self, boot_s: float) -> None:
        if self.profile.keeps_token:
            self._kept = self.observations.get(STATE) or self._kept
        self._on = False
        self.alarms.clear()
        self.firmware.lost_power()
        self.alarms.set("boot", boot_s, self._boot)

    def _boot(self, now: float) -> None:
        self._on = True
        self.asleep = False
        self._begin_messaging()
        self._generations[MAIN] += 1
        if self._kept is not None:
            self.observations.restore(STATE, self._kept)
        self.firmware.booted(now)
        self.container.booted(now)
        self.registration.register(now)
        self._stay_awake(now)

    def _stay_awake(self, now: float) -> None:
        if self.profile.queue_mode:
            self.alarms.set("sleep", now + self.profile.awake_s, self._sleep)

    def _sleep(self, now: float) -> None:
        if self.main.busy or self._download.busy or self.firmware.active or self.container.active:
            self._stay_awake(now)
        else:
            self.asleep = True

    def wake(self, now: float) -> None:
        """Be there to hear the answer to what is about to be sent."""
        if self.asleep:
            self.asleep = False
            if self.profile.moves is Moves.WAKE:
                self._generations[MAIN] += 1
        self._stay_awake(now)

    def moves_for_update(self, now: float) -> None:
        """An Update or De-register is about to be sent."""
        self.wake(now)
        if self.profile.moves is Moves.UPDATE:
            self._generations[MAIN] += 1

    def registered(self, now: float) -> None:
        """The server has taken a Register."""
        self._report_later(now)
        self.container.registered(now)
        self.firmware.registered(now)

    def _report_later(self, now: float) -> None:
        spread = self._rng.uniform(1.0 - REPORT_SPREAD, 1.0 + REPORT_SPREAD)
        self.alarms.set("report", now + self.profile.report_interval_s * spread, self._report)

    def _report(self, now: float) -> None:
        """What the device wakes for."""
        self.wake(now)
        self._report_later(now)
        if self.profile.report is Report.SEND and self.registration.location is not None:
            self._send(now)
        elif self.profile.report is not Report.DATA or not self.tell(self.container.ordinary(), now):
            self.registration.update(now)

    def _send(self, now: float) -> None:
        """POST /dp with the signal strength. LwM2M 1.1 core, 6.4.6."""
        values = self._requests.read(Path(CONNECTIVITY, 0)) or Resources({DATA_UP: INITIAL})
        payload = encode(ContentFormat.SENML_CBOR, values, Path(), type_of)
        options = [(URI_PATH, b"dp"), (CONTENT_FORMAT, uint(ContentFormat.SENML_CBOR))]

        def ended(message: Message | None, now: float) -> None:
            if message is None or message.type == RST or message.code != CHANGED:
                self.registration.update(now)

        self.main.request(POST, options, payload, now=now, ended=ended)

    # -- notifications --

    def notify(self, path: Path, now: float, ended: Ended | None = None, *, as_before: bool = False) -> bool:
        """Tell who observes `path`, or did so before the boot; False where nobody does, and nothing ends."""
        self.wake(now)
        kept = self._kept if as_before else None

        def again(now: float) -> None:
            self.notify(path, now, ended, as_before=as_before)

        def payload_of(accept: int | None) -> tuple[int | None, bytes]:
            resources = self._requests.read(path)
            assert resources is not None
            return self._requests.written(path, resources, accept)

        return self.observations.notify(path, self.main, payload_of, now, ended, again, kept)

    def tell(self, data: bytes, now: float, ended: Ended | None = None) -> bool:
        """Notify 19/0/0 with `data`; False where nobody observes it."""
        self.wake(now)

        def again(now: float) -> None:
            self.tell(data, now, ended)

        def payload_of(accept: int | None) -> tuple[int | None, bytes]:
            if accept is None or accept == ContentFormat.OPAQUE:
                return int(ContentFormat.OPAQUE), data
            return self._requests.written(DATA_UP, Resources({DATA_UP: data}), accept)

        return self.observations.notify(DATA_UP, self.main, payload_of, now, ended, again)

    # -- what the server asks --

    def _requested(self, message: Message, now: float) -> Reply | Refusal:
        self.log.requests += 1
        return self._requests.answer(message, now)

    def values(self, object: int) -> Values:
        """All values of an object that can be read."""
        match object:
            case code if code == SERVER:
                return server_values(self.profile, self.registration.lifetime_s)
            case code if code == DEVICE:
                return device_values(self.profile, self.firmware.version)
            case code if code == CONNECTIVITY:
                return connectivity_values(self.profile)
            case code if code == FIRMWARE:
                return self.firmware.values()
            case code if code == CONTAINER:
                return {DATA_UP: INITIAL}
        return {}

    def was_read(self, resources: Resources, now: float) -> None:
        """These values were told: the radio's, or the end of an upgrade, may be among them."""
        if CELL_ID in resources:
            whole = SIGNAL in resources
            self.log.radio_class = self.profile.radio.radio_class if whole else UNKNOWN_CLASS
        if self.log.upgrading_since_s is None:
            return
        if resources.get(RESULT) or (self.firmware.is_new and VERSION in resources):
            self.log.ended(now)

    def observe(self, path: Path, token: bytes, accept: int | None, now: float) -> int:
        """Begin an observation; its number."""
        number = self.observations.add(path, token, accept, now)
        if path == DATA_UP:
            self.container.observed(now)
        return number

    def observe_no_more(self, path: Path, now: float) -> None:
        """End an observation; that of the State is given up when its task is over."""
        self.observations.remove(path)
        if path == STATE:
            self._kept = None
            self.log.ended(now)

    def write(self, path: Path, value: Value, now: float) -> Reply:
        """Replace a resource."""
        if path == PACKAGE_URI and isinstance(value, str):
            return self.firmware.write_uri(value, now)
        if path == PACKAGE:
            return self.firmware.write_uri("", now)
        if path == DATA_DOWN and isinstance(value, bytes):
            return Reply(CHANGED, then=lambda now: self.container.written(value, now))
        if path == LIFETIME and isinstance(value, int) and value > 0:
            self.registration.lifetime_s = value
            return Reply(CHANGED, then=self.registration.update)
        return Reply(METHOD_NOT_ALLOWED)

    def execute(self, path: Path, arguments: bytes, now: float) -> Reply:
        """Execute a resource."""
        match path:
            case code if code == UPDATE:
                return self.firmware.execute(arguments)
            case code if code == CANCEL and self.profile.has_cancel:
                return self.firmware.cancel()
            case code if code == UPDATE_TRIGGER:
                return Reply(CHANGED, then=self.registration.update)
            case code if code == REBOOT:
                return Reply(CHANGED, then=self.reboot)
        return Reply(METHOD_NOT_ALLOWED)

    # -- downloads --

    def download_messaging(self, host: str, port: int) -> Messaging:
        """The socket that the download uses: for a device with two of them, a new one."""
        if not self.profile.own_socket:
            return self.main
        self.download_address = (host, port)
        self._generations[DOWNLOAD] += 1
        profile = self.profile
        self._download = Messaging(self._rng, profile.timing, first_id=profile.first_message_id)
        return self._download
