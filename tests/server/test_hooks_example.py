"""The example of docs/hooks.md verifies what is sent."""

from __future__ import annotations

import re
from pathlib import Path

from headgate.config import Config
from headgate.server.hooks.outgoing import Patience
from headgate.server.hooks.signature import signature
from headgate.server.rooms import hooks_of
from headgate.upgrade.announcements import Announced

ROOT = Path(__file__).parent.parent.parent
HOOKS = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
SECRET, BODY = "a secret of ours", b'{"event": "task.ended"}'


def test_the_example_verifies_what_is_sent():
    """And refuses another body, another secret, and what was recorded long ago."""
    (example,) = re.findall(r"^```python\n(.*?)^```", HOOKS, flags=re.MULTILINE | re.DOTALL)
    names: dict = {}
    exec(example, names)
    verified = names["verified"]
    header = signature(SECRET, 1_700_000_000, BODY)
    assert verified(SECRET, header, BODY, now=1_700_000_010.5)
    assert not verified(SECRET, header, BODY + b" ", now=1_700_000_010)
    assert not verified(SECRET + "!", header, BODY, now=1_700_000_010)
    assert not verified(SECRET, header, BODY, now=1_700_000_301)
    assert not verified(SECRET, header.replace("t=1700000000", "t=1700000005"), BODY, now=1_700_000_010)


def test_every_event_is_told_of():
    """By its name, or by the end of it beside its fellows."""
    for event in Announced:
        assert f"`{event.value}`" in HOOKS or f"`.{event.value.partition('.')[2]}`" in HOOKS


def test_the_defaults_of_the_settings_are_those_of_the_room():
    """There is no second default."""
    assert hooks_of(Config()).patience == Patience()
    assert hooks_of(Config()) == type(hooks_of(Config()))()
