"""`import headgate` alone stays light: an embedder of the Edge needs no database, and pays for none."""

from __future__ import annotations

import subprocess
import sys

import pytest

import headgate
from headgate.server import Config, Server

HEAVY = "pydantic", "pydantic_settings", "structlog", "sqlalchemy", "alembic", "typer", "rich"


def run_alone(program: str) -> str:
    """What a Python process of its own prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_library_alone_brings_nothing_of_the_server():
    """Neither ours nor other people's."""
    loaded = run_alone("import headgate, sys; headgate.Edge; print(*sorted(sys.modules))").split()
    assert not set(HEAVY) & set(loaded)
    assert not [
        name for name in loaded if name.startswith(("headgate.server", "headgate.config", "headgate.upgrade"))
    ]


def test_the_server_is_there_when_it_is_asked_for():
    """By attribute, by import, and in `__all__`."""
    assert headgate.Server is Server
    assert headgate.Config is Config
    assert set(headgate.__all__) >= {"Config", "Edge", "Server"}
    with pytest.raises(AttributeError, match="no attribute 'Sever'"):
        headgate.Sever  # noqa: B018


def test_without_the_extra_it_says_what_to_install():
    """In one line, as the command does."""
    program = (
        "import sys; sys.modules['structlog'] = None\n"
        "import headgate\n"
        "try:\n    from headgate import Server\n"
        "except ImportError as error:\n    print(error)"
    )
    assert run_alone(program) == "headgate.Server needs structlog: pip install 'headgate[server]'"
