"""The registration interface: LwM2M 1.1 core, 6.2; protocol 5.1 and the tolerances it asks for."""

from __future__ import annotations

import re

import pytest

from headgate.lwm2m.commands import Read
from headgate.lwm2m.happenings import Answered, Deregistered, Expired, Heard, Registered, Updated
from headgate.lwm2m.objects import ASSUMED
from headgate.lwm2m.registration import LIFETIME_MAX_S
from headgate.wire.resources import Path
from lwm2m_lines import ENDPOINT, LINKS, STATE, VERSION

REGISTER = bytes.fromhex(
    "4602658B514078A73366B272641128396C776D326D3D312E300D0565703D383636393731303330303030303031"
    "04623D5551086C743D3836343030FF"
)


def test_register_is_answered_after_its_commit(script):
    """2.01 with the location, when the caller has stored it; not before."""
    script.registers().tells(Registered, before=None).says_nothing()
    after = script.event.after
    assert (after.endpoint, after.version, after.lifetime_s) == (ENDPOINT, (1, 0), 86400)
    assert (after.binding, after.queue_mode, after.remote) == ("U", True, script.address)
    assert (after.registered_s, after.expires_s) == (script.now, script.now + 86400)
    assert after.objects.instances(19) == (0, 1)
    assert after.objects.version(5) == (1, 1)
    script.confirm().server("ACK 2.01", location=f"rd/{after.location}", numbers=[8, 8])


def test_published_register(script):
    """The example of protocol 5.1, byte by byte."""
    script.arrives(REGISTER + LINKS)
    script.tells(Registered, endpoint="866971030000001").confirm()
    assert script.leaves()[:10] == bytes.fromhex("6641658B514078A73366")


def test_location_is_short_and_not_guessed(make_script):
    """64 random bits in 11 characters that a URI need not escape: they travel with every Update."""
    seen = set()
    for seed in range(50):
        location = make_script(seed=seed).register().location
        assert re.fullmatch(r"[A-Za-z0-9_-]{11}", location)
        seen.add(location)
    assert len(seen) == 50


def test_location_is_not_given_twice(make_script):
    """However unlikely it is to be drawn twice."""

    class Chance:
        drawn = iter([7, 7, 8])

        def getrandbits(self, bits):
            return next(self.drawn)

    script = make_script(rng=Chance()).register()
    first = script.location
    script.registers(endpoint="other").tells(Registered, endpoint="other")
    assert script.event.after.location != first
    script.confirm().server("ACK 2.01")


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ((), (1, 0)),
        (("lwm2m=1.0",), (1, 0)),
        (("lwm2m=1.0.0",), (1, 0)),
        (("lwm2m=1.1",), (1, 1)),
        (("lwm2m=1.2",), (1, 2)),
        (("lwm2m=1.7",), (1, 2)),
        (("lwm2m=1.1", "lwm2m=1.0"), (1, 1)),
    ],
)
def test_versions(script, query, version):
    """None is 1.0; any 1.x is served as min(1.2, x) (T39: 1.0.0 too)."""
    assert script.register(query=query).registration.version == version


@pytest.mark.parametrize(
    ("query", "binding", "queue_mode"),
    [
        ((), "U", False),
        (("b=U",), "U", False),
        (("b=UQ",), "U", True),
        (("b=UQS",), "US", True),
        (("b=SQ",), "S", True),
        (("lwm2m=1.1", "b=UN", "Q"), "UN", True),
        (("lwm2m=1.1", "b=U"), "U", False),
        (("lwm2m=1.2", "b=MH", "Q="), "MH", True),
        (("b=?",), "U", False),
    ],
)
def test_bindings_and_queue_mode(script, query, binding, queue_mode):
    """A letter of `b` in LwM2M 1.0, a parameter of its own later."""
    registration = script.register(query=query).registration
    assert (registration.binding, registration.queue_mode) == (binding, queue_mode)


@pytest.mark.parametrize(
    ("text", "lifetime_s"),
    [("60", 60), ("0", LIFETIME_MAX_S), ("9999999999", LIFETIME_MAX_S), ("00300", 300)],
)
def test_lifetimes(script, text, lifetime_s):
    """0 is without end in LwM2M 1.1; ours end after ten years."""
    assert script.register(query=(f"lt={text}",)).registration.lifetime_s == lifetime_s


@pytest.mark.parametrize(
    ("payload", "content_format"), [(b"", 40), (b"", 42), (b"", None), (b"\x00\x01", 42), (b"junk", None)]
)
def test_without_links_the_usual_objects_are_assumed(script, payload, content_format):
    """As a published Register does it, with Content-Format 42 and no payload: objects 1, 3, 4, 5 and 19."""
    script.register(payload=payload, content_format=content_format)
    assert script.registration.objects is ASSUMED


@pytest.mark.parametrize("content_format", [40, None, 42, 0, 50])
def test_links_are_read_whatever_the_format_says(script, content_format):
    """Some clients omit it, some send another."""
    assert script.register(content_format=content_format).registration.objects.has(19)


def test_only_a_root_is_no_reason_to_assume_another(script):
    """What is said of root and formats stays."""
    script.register(payload=b'</lwm2m>;rt="oma.lwm2m";ct=110')
    objects = script.registration.objects
    assert (objects.root, objects.content_formats, objects.paths) == (("lwm2m",), (110,), ASSUMED.paths)


def test_what_is_not_understood_is_passed_over(script):
    """T39: objects that are no numbers, flag attributes, queries nobody knows, bytes that are no text."""
    script.register(
        query=("lwm2m=1.0.0", "mac=00:11", "ip", "pid=7"),
        payload=b"</fwUpdate/0>,</3/0>;hb,</5/0>,</99999/0>",
        more=((15, b"x=\xff\xfe"), (15, b"sms=\xff"), (65000, b"?")),
    )
    assert script.registration.objects.paths == (Path(3, 0), Path(5, 0))
    assert script.registration.sms is None


def test_sms(script):
    """The MSISDN, where there is one."""
    assert script.register(query=("sms=8613800138000",)).registration.sms == "8613800138000"


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        (("lt=86400",), "4.00", "endpoint name missing"),
        (("ep=",), "4.00", "endpoint name not usable"),
        (("ep=a\tb",), "4.00", "endpoint name not usable"),
        (("ep=" + "x" * 256,), "4.02", "refused by 4.02"),
        (("ep=a", "lt=soon"), "4.00", "lifetime is no number"),
        (("ep=a", "lt=-1"), "4.00", "lifetime is no number"),
        (("ep=a", "lwm2m=new"), "4.00", "version is no number"),
        (("ep=a", "lwm2m=2.0"), "4.12", "version not supported"),
        (("ep=a", "lwm2m=0.9"), "4.12", "version not supported"),
    ],
)
def test_refused_registers(script, query, code, reason):
    """What a registration cannot do without, or cannot mean: at once, and counted."""
    script.device("CON POST", "rd", query=query).server(f"ACK {code}").quiet()
    assert script.lwm2m.counts[reason] == 1
    assert len(script.lwm2m) == 0


def test_endpoint_name_that_is_no_text(script):
    """It could not be stored."""
    script.device("CON POST", "rd", more=((15, b"ep=\xff\xfe"),)).server("ACK 4.00")


def test_malformed_links(script):
    """4.00 where they say that they are links."""
    script.registers(payload=b"</3/0>,<").server("ACK 4.00").counts(object_links_malformed=1)


def test_root_that_cannot_be_asked_for(script):
    """Its segments have to fit an option each."""
    root = b"/" + b"x" * 256
    script.registers(payload=b"<" + root + b'>;rt="oma.lwm2m"').server("ACK 4.00")
    script.registers(payload=b'</a/b/c/d/e>;rt="oma.lwm2m"').server("ACK 4.00")
    script.counts(alternate_root_not_usable=2)


def test_links_without_end(make_script):
    """4.13: they are kept with every device."""
    script = make_script(links_bytes_max=64)
    script.registers(payload=b",".join([b"</3/0>"] * 10)).server("ACK 4.13")
    script.counts(object_links_too_long=1)


def test_links_by_block1(script):
    """T37: some clients register block by block. The Exchange puts it together."""
    options = {"query": (f"ep={ENDPOINT}",), "content_format": 40}
    script.device("CON POST", "rd", payload=LINKS[:64], block1=(0, True, 2), **options)
    script.server("ACK 2.31").device("CON POST", "rd", payload=LINKS[64:], block1=(1, False, 2), **options)
    script.tells(Registered).confirm().server("ACK 2.01", block1=(1, False, 2))
    assert script.registration.objects.instances(19) == (0, 1)


def test_non_register(script):
    """A NON is answered by a NON."""
    script.device("NON POST", "rd", query=("ep=a",)).tells(Registered, endpoint="a")
    script.confirm().server("NON 2.01")


def test_full(make_script):
    """5.03 for newcomers; who is registered may register anew."""
    script = make_script(registrations_max=1).register()
    script.registers(endpoint="other").server("ACK 5.03").counts(registrations_full=1)
    script.register()
    assert len(script.lwm2m) == 1


@pytest.mark.parametrize(
    ("line", "path", "code", "reason"),
    [
        ("CON GET", "rd", "4.05", "method not allowed"),
        ("CON DELETE", "rd", "4.05", "method not allowed"),
        ("CON PUT", "rd", "4.05", "method not allowed"),
        ("CON GET", "dp", "4.05", "method not allowed"),
        ("CON POST", "rd/nobody", "4.04", "location not known"),
        ("CON DELETE", "rd/nobody", "4.04", "location not known"),
        ("CON POST", "rd/nobody/3", "4.04", "path not known"),
        ("CON POST", "bs", "4.04", "path not known"),
        ("CON GET", ".well-known/core", "4.04", "path not known"),
        ("CON GET", None, "4.04", "path not known"),
        ("NON GET", "x", "4.04", "path not known"),
    ],
)
def test_other_requests(script, line, path, code, reason):
    """Answered at once: nothing is changed, so nothing is to be stored first."""
    script.device(line, path).server(f"{'NON' if 'NON' in line else 'ACK'} {code}")
    assert script.lwm2m.counts[reason] == 1


def test_location_of_other_bytes(script):
    """No text, and no location."""
    script.device("CON POST", None, more=((11, b"rd"), (11, b"\xff"))).server("ACK 4.04")


def test_method_on_a_location(sleeper):
    """POST, PUT and DELETE are all it has."""
    sleeper.device("CON GET", f"rd/{sleeper.location}").server("ACK 4.05")


# -- Update --


def test_update_keeps_what_it_does_not_say(sleeper):
    """It begins the lifetime anew, and that is all."""
    before = sleeper.clock(3600.0).registration
    sleeper.updates().tells(Updated, before=before).says_nothing()
    assert sleeper.event.after == before.evolved(expires_s=sleeper.now + 86400)
    assert sleeper.event.after is sleeper.registration
    sleeper.confirm().server("ACK 2.04", numbers=[])


@pytest.mark.parametrize("line", ["CON POST", "CON PUT"])
def test_update_as_put(sleeper, line):
    """Early clients do."""
    sleeper.device(line, f"rd/{sleeper.location}").tells(Updated).confirm().server("ACK 2.04")


def test_update_says_what_changed(sleeper):
    """Lifetime, binding, SMS number, objects."""
    sleeper.updates(query=("lt=60", "b=U", "sms=1"), payload=b"</3/0>", content_format=40).tells(Updated)
    after = sleeper.event.after
    assert (after.lifetime_s, after.expires_s) == (60, sleeper.now + 60)
    assert (after.binding, after.queue_mode, after.sms) == ("U", False, "1")
    assert after.objects.paths == (Path(3, 0),)
    sleeper.confirm().server("ACK 2.04")


def test_binding_of_later_versions_says_nothing_of_queue_mode(script):
    """There Q is a parameter of its own, which an Update may leave out."""
    script.register(query=("lwm2m=1.1", "b=U", "Q"))
    script.updates(query=("b=UN",)).tells(Updated)
    assert (script.event.after.binding, script.event.after.queue_mode) == ("UN", True)
    script.confirm().server("ACK 2.04")


def test_update_from_a_new_address(sleeper):
    """T38: each message from a new port; the newest address counts, for what is under way too."""
    sleeper.ask(Read(path=VERSION)).server("CON GET", "3/0/3")
    sleeper.updates(remote="moved").tells(Updated)
    assert sleeper.registration.remote == "moved"
    sleeper.confirm().server("ACK 2.04", remote="moved")
    sleeper.clock(3.0).server_repeats(remote="moved").device("ACK 2.05", remote="moved", payload=b"V1")
    sleeper.tells(Answered).confirm()


def test_repeated_update(sleeper):
    """The same message id has the same answer, also before there is one."""
    sleeper.updates().tells(Updated).again().quiet().confirm().server("ACK 2.04").again().server("ACK 2.04")


def test_bad_update_changes_nothing(sleeper):
    """4.00, and the registration is as it was."""
    before = sleeper.registration
    sleeper.updates(query=("lt=x",)).server("ACK 4.00")
    assert sleeper.registration is before


def test_ep_in_an_update_is_passed_over(sleeper):
    """Who it is the location says."""
    sleeper.updates(query=("ep=someone-else",)).tells(Updated).confirm().server("ACK 2.04")


# -- registering again --


def test_register_again(sleeper):
    """T17: the old location dies; formats, queued commands and tokens are kept."""
    old = sleeper.location
    sleeper.clock(60.0).ask(Read(path=VERSION))
    sleeper.remember(STATE, b"before it")
    before = sleeper.registration
    sleeper.registers().tells(Registered, before=before)
    assert len(sleeper.lwm2m) == 1
    sleeper.confirm().server("ACK 2.01").server("CON GET", "3/0/3")
    sleeper.device("CON POST", f"rd/{old}", token=b"x").server("ACK 4.04")


def test_repeated_register(script):
    """T26: the same message id is the same registration, another one is a new one."""
    script.registers().tells(Registered).again().quiet().confirm().server("ACK 2.01").again()
    script.server("ACK 2.01")
    script.registers().tells(Registered).confirm().server("ACK 2.01")
    assert len(script.lwm2m) == 1


def test_formats_are_forgotten_by_another_device_under_the_name(sleeper):
    """What was learned of one kind says nothing of another."""
    sleeper.ask(Read(path=VERSION)).server("CON GET").device("ACK 2.05", payload=b"V1")
    sleeper.tells(Answered).confirm()
    assert sleeper.registration.formats == (("one", 0),)
    assert sleeper.register().registration.formats == (("one", 0),)
    assert sleeper.register(query=("lwm2m=1.1",)).registration.formats == ()


# -- the end --


def test_deregister(sleeper):
    """2.02 after the commit; the location is gone at once."""
    path = f"rd/{sleeper.location}"
    sleeper.device("CON DELETE", path).tells(Deregistered).says_nothing()
    assert len(sleeper.lwm2m) == 0
    sleeper.confirm().server("ACK 2.02").device("CON DELETE", path).server("ACK 4.04")
    assert sleeper.lwm2m.registration(ENDPOINT) is None


def test_commands_and_tokens_outlive_a_registration(sleeper):
    """Polite devices deregister before they reboot; what is wanted of them is wanted still (T15, T17)."""
    sleeper.clock(60.0).ask(Read(path=VERSION)).remember(STATE, b"pre-boot")
    sleeper.device("CON DELETE", f"rd/{sleeper.location}").tells(Deregistered).confirm().server("ACK 2.02")
    assert not sleeper.awake
    sleeper.register().server("CON GET", "3/0/3")
    assert sleeper.lwm2m.sizes()["observations"] == 1


def test_a_registration_that_we_end(make_script):
    """The device is told nothing before it asks: 4.04 to its next Update, and 2.01 to its next Register.

    Where it never comes back there is room for another.
    """
    script = make_script(registrations_max=1).register()
    script.registers(endpoint="other").server("ACK 5.03")
    assert script.lwm2m.deregister("other", script.now) is None
    assert script.lwm2m.deregister("nobody", script.now) is None
    before = script.registration
    happening = script.lwm2m.deregister(ENDPOINT, script.now)
    assert (happening.endpoint, happening.before, happening.owed) == (ENDPOINT, before, None)
    script.confirm(happening).quiet()
    assert script.lwm2m.deregister(ENDPOINT, script.now) is None
    assert len(script.lwm2m) == script.lwm2m.sizes()["devices known"] == 0
    script.updates().server("ACK 4.04")
    script.register()
    assert script.registration.location != before.location


def test_a_registration_that_we_end_while_its_answer_is_owed(script):
    """A Register whose commit is under way: it is answered, and its location is gone."""
    script.registers().tells(Registered)
    assert script.lwm2m.deregister(ENDPOINT, script.now) is not None
    script.confirm().server("ACK 2.01")
    assert len(script.lwm2m) == 0
    assert not script.awake


def test_expiry(make_script):
    """The lifetime, and a grace for an Update that is on its way."""
    script = make_script(grace_s=300.0).register(query=("lt=60",))
    script.clock(359.0).quiet().clock(1.0).tells(Expired)
    assert script.event.before.lifetime_s == 60
    assert script.event.owed is None
    script.confirm().updates().server("ACK 4.04")
    assert len(script.lwm2m) == 0
    assert script.lwm2m.next_timer() is None


def test_update_puts_the_end_off(make_script):
    """By a lifetime from its arrival, also when that comes within the grace."""
    script = make_script(grace_s=300.0).register(query=("lt=60",))
    script.clock(350.0).updates().tells(Updated).confirm().server("ACK 2.04")
    script.clock(359.0).quiet().clock(1.0).tells(Expired)


def test_many_expire_at_once(make_script):
    """So many in one call, the rest at once after it: others get their turn in between."""
    script = make_script(expired_at_once=10, grace_s=0.0)
    for number in range(25):
        script.registers(endpoint=f"{number}", query=("lt=60",)).tells(Registered, endpoint=f"{number}")
        script.confirm().server("ACK 2.01")
    script.now += 100.0
    assert [len(script.lwm2m.expire(script.now)) for _ in range(4)] == [10, 10, 5, 0]


def test_forgotten_wholly(sleeper):
    """A device that goes and of which nothing is wanted leaves nothing behind."""
    sleeper.device("CON DELETE", f"rd/{sleeper.location}").tells(Deregistered).confirm().server("ACK 2.02")
    assert sleeper.lwm2m.sizes()["devices known"] == 0


def test_answer_after_the_end(sleeper):
    """The device went while its answer was on the way."""
    sleeper.ask(Read(path=VERSION)).server("CON GET")
    asked = sleeper.asked
    sleeper.device("CON DELETE", f"rd/{sleeper.location}").tells(Deregistered).confirm().server("ACK 2.02")
    sleeper.drop(Read(path=VERSION))
    sleeper.device("ACK 2.05", message_id=asked.message.message_id, token=asked.message.token)
    sleeper.tells(Heard).confirm()
    assert sleeper.lwm2m.sizes()["devices known"] == 0
