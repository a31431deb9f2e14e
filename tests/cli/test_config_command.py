"""`headgate config show`: what a server here would be told, and by whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_asking import Operator
from headgate.config import Config


@pytest.fixture
def operator() -> Operator:
    """Somebody without a server."""
    return Operator("http://127.0.0.1:1", "t", Path())


def test_every_setting_is_shown_with_its_origin(operator, tmp_path, monkeypatch):
    """Defaults < file < environment < options; JSON says what each is for."""
    monkeypatch.delenv("HEADGATE_HTTP__PORT", raising=False)
    file = tmp_path / "headgate.toml"
    file.write_text("[limits]\nclass_1 = 5\n[coap]\nthreads = 1\n")
    show = ("config", "show", "--config", file, "--port", 9)
    shown = {
        each["setting"]: each for each in operator.get(*show, "--json", HEADGATE_COAP__THREADS="2").jsons
    }
    wanted = {
        "limits.class_1": (5, str(file)),
        "coap.threads": (2, "environment"),
        "coap.port": (9, "option"),
        "limits.class_2": (1, "default"),
        "radio.rsrp_dbm": ([-112.0, -122.0, -132.0], "default"),
    }
    assert {key: (shown[key]["value"], shown[key]["origin"]) for key in wanted} == wanted
    assert all(each["description"] for each in shown.values())
    assert len(shown) == sum(len(type(section).model_fields) for _, section in Config())
    lines = {fields[0]: fields for fields in operator.get(*show).fields}
    assert lines["limits.class_1"] == ["limits.class_1", "5", "slots", str(file)]
    assert lines["radio.rsrp_dbm"][1] == "-112.0, -122.0, -132.0"


def test_some_settings_are_shown(operator):
    """By their names, or all of a section; what is none is told with what may have been meant."""
    said = operator.get("config", "show", "limits.class_1", "coap")
    keys = [fields[0] for fields in said.fields]
    assert {key.partition(".")[0] for key in keys} == {"coap", "limits"}
    assert keys.count("coap.port") == keys.count("limits.class_1") == 1
    assert "limits.class_2" not in keys
    assert "did you mean coap.port?" in operator.refused("config", "show", "coap.prot", code=2)
    assert "sections are" in operator.refused("config", "show", "42", code=2)


def test_a_password_is_masked(operator):
    """In lines as in JSON."""
    url = "postgresql://headgate:s3cr@t@db.example/headgate"
    for more in ((), ("--json",)):
        said = operator.get("config", "show", *more, HEADGATE_STORE__URL=url)
        assert "s3cr" not in said.out
        assert "postgresql://headgate:***@db.example/headgate" in said.out


def test_a_setting_that_is_none_is_told_in_one_line(operator):
    """As `headgate serve` would."""
    said = operator.refused("config", "show", code=2, HEADGATE_COAP__PROT="1")
    assert "did you mean coap.port?" in said
