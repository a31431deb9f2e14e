"""`python -m headgate` and the `headgate` command."""

from __future__ import annotations

import importlib.util
import os
import sys

STDERR_FILENO = 2
NEEDED = ("typer", "rich", "pydantic_settings", "structlog", "sqlalchemy", "alembic", "httpx")


def main() -> None:
    """Run the command line, or say in one line what it needs."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"headgate: the command line needs {', '.join(missing)}: pip install 'headgate[server]'",
            file=sys.stderr,
        )
        raise SystemExit(1)
    # A socket must not get the number of a standard stream that is closed: libuv aborts when it closes that.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR_FILENO:
        pass
    os.close(descriptor)
    from headgate.cli import app

    app()


if __name__ == "__main__":
    main()
