"""The configuration: defaults < file < environment < flags, and no typing error unnoticed."""

from __future__ import annotations

import os
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from pydantic import ValidationError

from headgate import config
from headgate.config import Config
from headgate.engine.bounds import Bounds
from headgate.errors import ConfigError
from headgate.lwm2m.settings import LwM2mSettings
from headgate.upgrade.admission import Limits
from headgate.upgrade.radio import RadioRules
from headgate.upgrade.task import Timers


@pytest.fixture
def toml(tmp_path: Path):
    """A configuration file with this text."""

    def make(text: str) -> Path:
        path = tmp_path / "headgate.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return make


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """What is set where the tests run is none of theirs."""
    for variable in list(os.environ):
        if variable.startswith(config.PREFIX):
            monkeypatch.delenv(variable)


def test_later_layers_win_and_each_setting_knows_its_origin(toml, monkeypatch):
    """Defaults < file < environment < flags, name by name: one layer does not hide a whole section."""
    file = toml("[coap]\nport = 1\nthreads = 1\nhost = '::1'\n[limits]\nclass_0 = 7\n")
    monkeypatch.setenv("HEADGATE_COAP__THREADS", "2")
    monkeypatch.setenv("HEADGATE_COAP__HOST", "127.0.0.1")
    settings = config.read(file, {"coap": {"host": "127.0.0.2", "port": None}})
    coap = settings.config.coap
    assert (coap.port, coap.threads, coap.host, coap.default_block) == (1, 2, "127.0.0.2", 512)
    assert [settings.origin(f"coap.{name}") for name in ("port", "threads", "host", "default_block")] == [
        str(file),
        config.ENVIRONMENT,
        config.FLAG,
        config.DEFAULT,
    ]
    assert settings.config.limits.class_0 == 7
    shown = {each.key: each for each in settings}
    assert (shown["coap.host"].value, shown["coap.host"].origin) == ("127.0.0.2", config.FLAG)
    with pytest.raises(KeyError):
        settings.origin("coap.prot")


def test_in_python_nothing_is_read_around(monkeypatch):
    """An embedder says what he wants; the environment of his process is his."""
    monkeypatch.setenv("HEADGATE_COAP__PORT", "1")
    assert Config().coap.port == 5683
    assert Config(coap={"port": 7}).coap.port == 7
    with pytest.raises(ValidationError):
        Config().coap.port = 1


def test_lists_in_the_environment_are_json(monkeypatch):
    """And an empty variable is one that is not set."""
    monkeypatch.setenv("HEADGATE_RADIO__RSRP_DBM", "[-1, -2, -3]")
    monkeypatch.setenv("HEADGATE_STORE__URL", "")
    monkeypatch.setenv("HEADGATE_CONFIG", "not a setting")
    settings = config.read()
    assert settings.config.radio.rsrp_dbm == (-1.0, -2.0, -3.0)
    assert settings.origin("store.url") == config.DEFAULT
    monkeypatch.setenv("HEADGATE_RADIO__RSRP_DBM", "-1, -2, -3")
    with pytest.raises(ConfigError, match=r"is JSON, such as .* HEADGATE_RADIO__RSRP_DBM"):
        config.read()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[coap]\nprot = 1", r"no setting coap\.prot \(.*headgate\.toml\); did you mean coap\.port\?"),
        ("[koap]\nport = 1", r"no setting koap \(.*headgate\.toml\); did you mean coap\?"),
        ("port = 1", r"no setting port \(.*headgate\.toml\)"),
        ("[coap]\nport = 65536", r"coap\.port \(.*headgate\.toml\): input should be less than .*, not 65536"),
        ("[coap]\nport = 'x'", r"coap\.port \(.*headgate\.toml\): .*not 'x'"),
        ("[limits]\nscope = 'x'", r"limits\.scope .*'class' or 'cell', not 'x'"),
        ("[timers]\nonline_s = inf", r"timers\.online_s"),
        ("[timers]\nonline_s = 0", r"timers\.online_s"),
        ("[radio]\nrsrp_dbm = [1, 2]", r"radio\.rsrp_dbm"),
        ("[coap]\nprot = 1\nport = -1", r"coap\.port.*; .*no setting coap\.prot"),
        ("coap = 3", r"coap \(.*\) is a section, whose settings follow \[coap\]"),
        ("[[coap]]\nport = 1", r"coap \(.*\) is a section"),
        ("koap = 3", r"no setting koap \(.*\); did you mean coap"),
        ("[presence.awake_s_of]\nmeter = 0", r"presence\.awake_s_of\.meter \(.*\): .*not 0"),
        ("[presence]\nawake_s_of = 3", r"presence\.awake_s_of \(.*\): .*not 3"),
        ("[coap", "is not TOML"),
        ("\0", "is not TOML"),
    ],
)
def test_what_is_unknown_or_impossible_is_named(toml, text, said):
    """With the place where it was set, in one line, and with what was probably meant."""
    with pytest.raises(ConfigError, match=said) as caught:
        config.read(toml(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("HEADGATE_COAP__PROT", r"no setting coap\.prot \(environment\); did you mean coap\.port"),
        ("HEADGATE_KOAP__PORT", r"no setting koap \(environment: HEADGATE_KOAP__PORT\)"),
        ("headgate_koap__port", r"no setting koap"),
        ("HEADGATE_COAP__PORT", r"coap\.port \(environment\): .*not 'x'"),
    ],
)
def test_the_environment_is_no_place_for_typing_errors_either(monkeypatch, variable, said):
    """A variable with two underscores after our prefix is a setting, or a mistake."""
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError, match=said):
        config.read()


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """Asked for, and not there: not the same as not asked for."""
    with pytest.raises(ConfigError, match=r"cannot read .*missing\.toml: No such file"):
        config.read(tmp_path / "missing.toml")


def test_every_setting_says_what_it_is_and_its_unit():
    """A person reads it in `config show`; names with a unit say the same one."""
    endings = {"_s": "s", "_bytes": "bytes", "_bytes_max": "bytes", "_dbm": "dBm", "_db": "dB"}
    for each in config.read():
        assert each.description.endswith("."), each
        assert len(each.description) < 110, each
        wanted = next((unit for ending, unit in endings.items() if each.key.endswith(ending)), None)
        assert wanted in (None, each.unit), each


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("limits", Limits),
        ("radio", RadioRules),
        ("timers", Timers),
        ("exchange", Bounds),
        ("lwm2m presence", LwM2mSettings),
    ],
)
def test_defaults_are_those_of_the_rooms(section, value):
    """All of a room's settings can be set, and none has a second default."""
    here: dict[str, object] = {}
    for name in section.split():
        here |= dict(getattr(Config(), name))
    here = {name: value for name, value in here.items() if not name.endswith("_of")}  # of single products
    there = {field.name: field.default for field in fields(value) if field.default is not MISSING}
    assert here == there
