"""The queue against a model of it, seen from outside: what leaves, and what is told.

1. What leaves new does so while the device is awake, and never between an uplink and its confirmation.
2. At most one command is under way: the next new one leaves after an answer, a loss, a drop or a Register.
3. A command is answered once, while it is wanted, and each that is wanted is answered in the end.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headgate.lwm2m.commands import Execute, Observe, Read, Write
from headgate.lwm2m.happenings import Answered, Deregistered, Heard, Observed, Registered, Unanswered, Updated
from headgate.wire.resources import Path
from lwm2m_lines import STATE, UPDATE, URI, VERSION, DeviceLines
from reference import coap

COMMANDS = [
    Read(path=VERSION),
    Read(path=STATE),
    Write(path=URI, value="u", content_format=0),
    Execute(path=UPDATE),
    Observe(path=STATE),
    Execute(path=Path(1, 0, 8)),
]
AWAKE_S = 20.0
METHODS = {Read: 1, Observe: 1, Write: 3, Execute: 2}

actions = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, len(COMMANDS) - 1)),
    st.tuples(st.just("drop"), st.integers(0, len(COMMANDS) - 1)),
    st.tuples(st.just("answer"), st.integers(0, 3)),
    st.tuples(st.just("acknowledge"), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 5.0, 30.0, 200.0])),
    st.tuples(st.sampled_from(["update", "register", "deregister"]), st.just(0)),
)


class Model:
    """One device in queue mode, and what we expect of the server."""

    def __init__(self) -> None:
        self.script = DeviceLines()
        self.registered = False
        self.heard_s = float("-inf")
        self.silent = False
        self.wanted: list = []
        self.answered: list = []
        self.sent: dict[bytes, coap.Message] = {}
        self.ids: set[int] = set()
        self.under_way: bytes | None = None

    # -- what the test does --

    def act(self, name: str, argument: float) -> None:
        """One of the actions."""
        getattr(self, name)(argument)
        self.read()

    def ask(self, number: int) -> None:
        """A command is wanted."""
        if COMMANDS[number] not in self.wanted:
            self.wanted.append(COMMANDS[number])
        self.script.ask(COMMANDS[number])

    def drop(self, number: int) -> None:
        """It is not any more."""
        if COMMANDS[number] in self.wanted:
            if self.wanted[0] == COMMANDS[number]:
                self.under_way = None
            self.wanted.remove(COMMANDS[number])
        self.script.drop(COMMANDS[number])

    def answer(self, back: int) -> None:
        """The device answers one of the last requests, whenever that came."""
        tokens = list(self.sent)
        if len(tokens) > back:
            message = self.sent.pop(tokens[-1 - back])
            payload = b"1" if message.code == 1 else b""
            observe = 1 if any(number == 6 for number, _ in message.options) else None
            code = "2.05" if message.code == 1 else "2.04"
            self.script.device(f"NON {code}", token=message.token, payload=payload, observe=observe)
            self.uplink()

    def acknowledge(self, back: int) -> None:
        """The device acknowledges one, and may answer later."""
        tokens = list(self.sent)
        if len(tokens) > back:
            message = self.sent[tokens[-1 - back]]
            self.script.device("ACK", message_id=message.message_id)
            # An uplink without a happening, if anybody waits for it; a lost command is under way again.
            if self.script.awake:
                self.heard_s, self.silent = self.script.now, False
                if "is under way" in self.script.explained:
                    self.under_way = self.under_way or message.token

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.script.clock(seconds)

    def update(self, _: int) -> None:
        """An Update."""
        if self.registered:
            self.script.updates()
            self.uplink()

    def register(self, _: int) -> None:
        """A Register."""
        self.script.registers()
        self.registered = True
        self.uplink()

    def deregister(self, _: int) -> None:
        """A De-register."""
        if self.registered:
            self.script.device("CON DELETE", f"rd/{self.script.location}")
            self.registered = False
            self.uplink()

    # -- what it expects --

    def uplink(self) -> None:
        """Nothing leaves until it is confirmed; then what is owed, then the next command."""
        script = self.script
        if not script._events:
            return  # nobody knows the token any more, nor the address: a Reset
        script.says_nothing()
        [event] = script._events
        script._events.clear()
        self.heard_s, self.silent = script.now, False
        if isinstance(event, Registered):
            script.location = event.after.location
        elif isinstance(event, Answered | Observed):
            if event.command in self.wanted:
                assert event.command == self.wanted[0], "they are sent in order"
                self.wanted.remove(event.command)
                self.answered.append(event.command)
                self.under_way = None
            else:
                assert isinstance(event, Observed), "what is not wanted is not answered"
        else:
            assert isinstance(event, Heard | Updated | Deregistered), event
        if isinstance(event, Registered) and "is under way" not in script.explained:
            self.under_way = None
        if self.wanted:
            script.ask(self.wanted[0]).says_nothing()
        script.confirm(event)
        self.read()

    def read(self) -> None:
        """What left and what was told since."""
        script = self.script
        for event in script._events:
            assert isinstance(event, Unanswered), event
            assert event.command == self.wanted[0]
            self.under_way, self.silent = None, True
        script._events.clear()
        for sent in script._leaving:
            message = sent.message
            if message.type != 0 or message.message_id in self.ids:
                continue
            self.ids.add(message.message_id)
            assert self.registered
            assert not self.silent
            assert sent.at_s < self.heard_s + AWAKE_S, "it sleeps"
            assert self.under_way is None, "one at a time"
            assert message.code == METHODS[type(self.wanted[0])], "the first is first"
            self.under_way = message.token
            self.sent[message.token] = message
        script._leaving.clear()


@given(st.lists(actions, max_size=60))
def test_queue_keeps_its_word(steps):
    """Any history, and then a device that answers everything."""
    model = Model()
    for name, argument in steps:
        model.act(name, argument)
    for _ in range(10 * len(COMMANDS)):
        if not model.wanted:
            break
        if not model.registered:
            model.act("register", 0)
        model.act("update", 0)
        if model.under_way in model.sent:
            model.act("answer", list(model.sent)[::-1].index(model.under_way))
        else:
            model.act("wait", 300.0)
    assert model.wanted == []
    assert "no command waits" in model.script.explained or not model.registered
