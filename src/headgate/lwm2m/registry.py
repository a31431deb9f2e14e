"""The registration interface and what else devices ask of us. LwM2M 1.1 core, 6.2; transport, 6.4.

    POST /rd            Register       2.01 with Location-Path      DELETE /rd/<location>   De-register   2.02
    POST /rd/<location> Update         2.04; some send it as PUT    POST /dp                Send          2.04

What went well is answered when it is confirmed, after its commit; a mistake at once, by its code.
"""

from __future__ import annotations

import random
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from headgate.engine.endpoints import Remote
from headgate.engine.exchange import Exchange
from headgate.errors import FormatError
from headgate.lwm2m.devices import Device, Devices, Owed
from headgate.lwm2m.happenings import Deregistered, Expired, Happening, Registered, Sent, Updated
from headgate.lwm2m.kinds import Kinds
from headgate.lwm2m.objects import ASSUMED, type_of
from headgate.lwm2m.parameters import Mistake, ParameterReader, Parameters, content_format_of
from headgate.lwm2m.registration import DEFAULT_LIFETIME_S, Registration
from headgate.lwm2m.settings import LwM2mSettings
from headgate.lwm2m.sharing import Sharing
from headgate.wire.coap import Message
from headgate.wire.formats import ContentFormat, records
from headgate.wire.links import RegisteredObjects
from headgate.wire.numbers import (
    BAD_REQUEST,
    CHANGED,
    CREATED,
    DELETE,
    DELETED,
    LOCATION_PATH,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    POST,
    PUT,
    SERVICE_UNAVAILABLE,
    UNSUPPORTED_CONTENT_FORMAT,
    URI_PATH,
)
from headgate.wire.resources import ROOT

LOCATION_BITS = 64  # whoever knows a location may update and end the registration
LOCATION_DEPTH = 2  # rd/<location>
FIRST_VERSION = (1, 0)
SENDS = {ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR, ContentFormat.LWM2M_CBOR}

REGISTER, SEND = b"rd", b"dp"

COMMON = ("lifetime_s", "version", "binding", "objects", "formats")  # what devices of a kind have alike
common = attrgetter(*COMMON)


class Registry:
    """Who is registered, as devices ask for it."""

    def __init__(
        self,
        exchange: Exchange,
        devices: Devices,
        kinds: Kinds,
        sharing: Sharing,
        rng: random.Random,
        settings: LwM2mSettings,
    ) -> None:
        self._exchange = exchange
        self._devices = devices
        self._rng = rng
        self._settings = settings
        self._kinds = kinds
        self._sharing = sharing
        self._reader = ParameterReader(
            sharing, links_bytes_max=settings.links_bytes_max, links_max=settings.shared_links_max
        )

    # -- requests --

    def requested(self, message: Message, remote: Remote, now: float) -> tuple[Happening, Owed] | Mistake:
        """What a device asks for, and what it deserves for that."""
        path = [value for number, value in message.options if number == URI_PATH]
        code = message.code
        if path == [REGISTER]:
            return self._register(message, remote, now) if code == POST else METHOD
        if path == [SEND]:
            return self._send(message, remote) if code == POST else METHOD
        if len(path) != LOCATION_DEPTH or path[0] != REGISTER:
            return Mistake(NOT_FOUND, "path not known")
        device = self._devices.at_location(path[1].decode("latin-1"))
        if device is None:
            return Mistake(NOT_FOUND, "location not known")
        if code in (POST, PUT):
            return self._update(device, message, remote, now)
        return self._deregister(device) if code == DELETE else METHOD

    def _register(self, message: Message, remote: Remote, now: float) -> tuple[Happening, Owed] | Mistake:
        said = self._reader.read(message)
        if isinstance(said, Mistake):
            return said
        if said.endpoint is None:
            return Mistake(BAD_REQUEST, "endpoint name missing")
        known = self._devices.find(said.endpoint)
        before = known.registration if known is not None else None
        if before is None and len(self._devices) >= self._settings.registrations_max:
            return Mistake(SERVICE_UNAVAILABLE, "registrations full")
        device = self._devices.make(said.endpoint)
        after = self._registration(device.endpoint, said, remote, before, now)
        self._devices.place(device, after)
        self._exchange.move(device.endpoint, remote)
        location = ((LOCATION_PATH, REGISTER), (LOCATION_PATH, after.location.encode()))
        owed = Owed(device, None, CREATED, location)
        return Registered(endpoint=device.endpoint, owed=owed, before=before, after=after), owed

    def _update(
        self, device: Device, message: Message, remote: Remote, now: float
    ) -> tuple[Happening, Owed] | Mistake:
        said = self._reader.read(message)
        if isinstance(said, Mistake):
            return said
        before = device.registration
        assert before is not None, "it has a location"
        lifetime_s = said.lifetime_s or before.lifetime_s
        queue_mode = said.queue_mode
        if queue_mode is False and before.version > FIRST_VERSION:
            queue_mode = None  # in later versions the letters of `b` say nothing of it
        after = before.evolved(
            expires_s=now + lifetime_s,
            lifetime_s=lifetime_s,
            binding=said.binding or before.binding,
            queue_mode=before.queue_mode if queue_mode is None else queue_mode,
            sms=said.sms or before.sms,
            objects=before.objects if said.objects is None else self._kinds.kept(said.objects),
            remote=before.remote if before.remote == remote else remote,
        )
        self._devices.place(device, after)
        if before.remote != remote:
            self._exchange.move(device.endpoint, remote)
        owed = Owed(device, None, CHANGED)
        return Updated(endpoint=device.endpoint, owed=owed, before=before, after=after), owed

    def _deregister(self, device: Device) -> tuple[Happening, Owed]:
        before = self._devices.displace(device)
        owed = Owed(device, None, DELETED)
        return Deregistered(endpoint=device.endpoint, owed=owed, before=before), owed

    def _send(self, message: Message, remote: Remote) -> tuple[Happening, Owed] | Mistake:
        device = self._devices.at_remote(remote)
        if device is None:
            return Mistake(NOT_FOUND, "send from unknown address")
        content_format = content_format_of(message)
        if content_format is None:
            return Mistake(BAD_REQUEST, "send without content format")
        if content_format not in SENDS:
            return Mistake(UNSUPPORTED_CONTENT_FORMAT, "send in another format")
        try:
            found = records(content_format, message.payload, ROOT, type_of)
        except FormatError:
            return Mistake(BAD_REQUEST, "send malformed")
        owed = Owed(device, None, CHANGED)
        return Sent(endpoint=device.endpoint, owed=owed, records=tuple(found)), owed

    # -- lifetimes --

    def restore(self, registrations: Iterable[Registration], now: float) -> None:
        """Know the registrations that an earlier process knew, and wait for each for a while at least."""
        self._devices.restore(self._shared(registrations), until_s=now + self._settings.grace_s)

    def _shared(self, registrations: Iterable[Registration]) -> Iterator[Registration]:
        """The same with equal values shared. What is to be changed for that is looked up once for the same
        values: to hash object links takes long.
        """
        known: dict[tuple[int, ...], tuple[Any, dict[str, Any]]] = {}
        for registration in registrations:
            values = common(registration)
            identities = tuple(map(id, values))
            if identities not in known:
                kept = zip(COMMON, values, map(self._kept, values), strict=True)
                changes = {name: shared for name, value, shared in kept if shared is not value}
                known[identities] = values, changes  # the values too, or others might have their identities
            _, changes = known[identities]
            yield registration.evolved(**changes) if changes else registration

    def _kept(self, value: Any) -> Any:
        return (self._kinds.kept if type(value) is RegisteredObjects else self._sharing.share)(value)

    def expire(self, now: float) -> list[Happening]:
        """The registrations that end at `now`."""
        ended: list[Happening] = []
        while len(ended) < self._settings.expired_at_once:
            device = self._devices.take_ended(now)
            if device is None:
                break
            ended.append(Expired(endpoint=device.endpoint, before=self._devices.displace(device)))
        return ended

    # -- helpers --

    def _registration(
        self, endpoint: str, said: Parameters, remote: Remote, before: Registration | None, now: float
    ) -> Registration:
        lifetime_s = said.lifetime_s or DEFAULT_LIFETIME_S
        version = said.version or FIRST_VERSION
        objects = self._kinds.kept(said.objects or ASSUMED)
        same = before is not None and (before.version, before.objects) == (version, objects)
        return Registration(
            endpoint=endpoint,
            location=self._new_location(),
            registered_s=now,
            expires_s=now + lifetime_s,
            lifetime_s=lifetime_s,
            version=version,
            binding=said.binding or "U",
            queue_mode=bool(said.queue_mode),
            sms=said.sms,
            objects=objects,
            remote=remote,
            formats=before.formats if before is not None and same else (),
        )

    def _new_location(self) -> str:
        while True:
            drawn = self._rng.getrandbits(LOCATION_BITS).to_bytes(LOCATION_BITS // 8)
            location = urlsafe_b64encode(drawn).rstrip(b"=").decode()
            if self._devices.at_location(location) is None:
                return location


METHOD = Mistake(METHOD_NOT_ALLOWED, "method not allowed")
