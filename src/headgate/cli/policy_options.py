"""The options by which a campaign's policy is written, for a new one and for one that is there."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli import completing

POLICY = "How"
FORECAST = "What the forecast assumes"


Stage = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SIZE[:GATE]",
        help="A stage: 1% of the devices, or 500 of them; may be repeated. What is left is the last one. "
        "Where it must show something else than the others, its gate is behind a colon: 1%:success=99%, "
        "with success, error-threshold and minimum-executed, commas between them.",
        autocompletion=completing.stages,
        rich_help_panel=POLICY,
    ),
]
Timer = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=DURATION",
        help="How long a step may last, such as online=24h or download=90m; may be repeated (default: as the "
        "server is configured, [timers]).",
        autocompletion=completing.timers,
        rich_help_panel=POLICY,
    ),
]
ReportInterval = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="How often devices report, such as 15m (default: once in their lifetime).",
        rich_help_panel=FORECAST,
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE", help="Of messages, each way, that are lost (default: 2%).", rich_help_panel=FORECAST
    ),
]
Failures = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Of devices that fail on the way, and are not tried again (default: none).",
        rich_help_panel=FORECAST,
    ),
]


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
        autocompletion=completing.retries,
        rich_help_panel=POLICY,
    ),
]
