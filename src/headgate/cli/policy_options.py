"""The options by which a campaign's policy is written, for a new one and for one that is there."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

POLICY = "How"


class Confirm(StrEnum):
    """What an operator must say yes to."""

    NONE = "none"
    START = "start"
    STAGES = "stages"


GateSuccess = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="The next stage begins when this share of one has succeeded, such as 95%; else it pauses.",
        rich_help_panel=POLICY,
    ),
]
ErrorThreshold = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="It pauses when more than this failed.", rich_help_panel=POLICY),
]
MinimumExecuted = Annotated[
    int | None, typer.Option(min=1, help="But not before so many are over.", rich_help_panel=POLICY)
]
ConfirmBefore = Annotated[
    Confirm | None,
    typer.Option(
        help="Wait for `headgate campaign confirm` before it starts, or before each stage.",
        rich_help_panel=POLICY,
    ),
]
Start = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="2026-12-01T22:00, or +2h from now.", rich_help_panel=POLICY),
]
Window = Annotated[
    list[str] | None,
    typer.Option(
        help="Devices begin at these times alone, such as 'mon-fri 22:00-06:00'; may be repeated.",
        rich_help_panel=POLICY,
    ),
]
Timezone = Annotated[
    str | None, typer.Option(help="Of --window and --start, such as Europe/Berlin.", rich_help_panel=POLICY)
]
Retry = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CAUSE=COUNT@INTERVAL",
        help="Who is tried again, such as connection-lost=2@10m or any=1@1h; may be repeated.",
        rich_help_panel=POLICY,
    ),
]
