"""What commands say of themselves: one line for what is wrong, and the exit code that belongs to it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from headgate.errors import HeadgateError, StoreError

FAILED = 1
WRONG_USAGE = 2


class CommandError(HeadgateError):
    """A command cannot be done; the message says what to do."""

    def __init__(self, reason: str, *, exit_code: int = FAILED) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def plain(text: object) -> str:
    r"""The text in one line, with what a terminal takes for a command escaped.

    A file or a device may be named with a line feed in it, or with what clears a screen.

    >>> print(plain("meter\n\x1b[2J"))
    meter\n\x1b[2J
    """
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(text))


def complain(reason: object) -> None:
    """Say in one line what is wrong, or what one should know, where it does not mix with results."""
    print(f"headgate: {plain(reason)}", file=sys.stderr)


@contextmanager
def explained() -> Iterator[None]:
    """What goes wrong inside ends the command with one line: exit code 2 for what we refuse, else 1."""
    try:
        yield
    except CommandError as error:
        complain(error)
        raise typer.Exit(error.exit_code) from error
    except StoreError as error:
        complain(error)
        raise typer.Exit(FAILED) from error
    except HeadgateError as error:
        complain(error)
        raise typer.Exit(WRONG_USAGE) from error
    except BrokenPipeError:
        raise  # who read our lines has enough of them: Typer ends with exit code 1, and says nothing
    except OSError as error:
        complain(error.strerror or error)
        raise typer.Exit(FAILED) from error
