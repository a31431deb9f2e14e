"""`headgate campaign create`: which devices, by which policy; asked whether it is meant, then made once."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli import completing
from headgate.cli.options import (
    MOST,
    URL,
    Data,
    Json,
    Most,
    Secret,
    Url,
    Yes,
    asked,
    confirmed,
    somebody_is_there,
)
from headgate.cli.policy_options import (
    POLICY,
    ConfirmBefore,
    ErrorThreshold,
    Failures,
    GateSuccess,
    Loss,
    MinimumExecuted,
    ReportInterval,
    Retry,
    Stage,
    Start,
    Timer,
    Timezone,
    Window,
)
from headgate.cli.saying import WRONG_USAGE, CommandError, complain, plain

if TYPE_CHECKING:
    from headgate.cli.client import Client

PATH = "/campaigns"
PAGE = 1000
PID = re.compile("[0-9a-f]{16}")

DEVICES = "Which devices: in one of these ways"
REGISTERED = "Which devices: the registered ones that pass all of these"


def create_campaign(
    package: Annotated[str, typer.Option(metavar="PID", help="What they are to run.")],
    name: Annotated[str, typer.Option(help="For people.")] = "",
    endpoints: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="These, one endpoint per line, registered or not; - for standard input.",
            rich_help_panel=DEVICES,
        ),
    ] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(help="This one; may be repeated.", rich_help_panel=DEVICES)
    ] = None,
    all: Annotated[
        bool, typer.Option("--all", help="Every registered device.", rich_help_panel=DEVICES)
    ] = False,
    failed_in: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Those that failed in this campaign.", rich_help_panel=DEVICES),
    ] = None,
    cause: Annotated[
        list[str] | None,
        typer.Option(
            help="With --failed-in: by this cause; may be repeated.",
            autocompletion=completing.causes,
            rich_help_panel=DEVICES,
        ),
    ] = None,
    group: Annotated[str | None, typer.Option(rich_help_panel=REGISTERED)] = None,
    product: Annotated[str | None, typer.Option(rich_help_panel=REGISTERED)] = None,
    version: Annotated[
        str | None, typer.Option(help="The last that they reported.", rich_help_panel=REGISTERED)
    ] = None,
    cell: Annotated[str | None, typer.Option(help="Such as 460-00-1A2B.", rich_help_panel=REGISTERED)] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Their endpoints begin so.", rich_help_panel=REGISTERED)
    ] = None,
    source_version: Annotated[
        list[str] | None,
        typer.Option(
            help="A version that may be upgraded from; may be repeated (default: those of the package).",
            rich_help_panel=POLICY,
        ),
    ] = None,
    stage: Stage = None,
    gate_success: GateSuccess = None,
    error_threshold: ErrorThreshold = None,
    minimum_executed: MinimumExecuted = None,
    confirm: ConfirmBefore = None,
    start: Start = None,
    window: Window = None,
    timezone: Timezone = None,
    retry: Retry = None,
    timer: Timer = None,
    skip_same_package: Annotated[
        bool,
        typer.Option(
            "--skip-same-package",
            help="Who holds this very package already does not download it again.",
            rich_help_panel=POLICY,
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Make nothing: list the devices that it would be for.")
    ] = False,
    report_interval: ReportInterval = None,
    loss: Loss = None,
    failures: Failures = None,
    yes: Yes = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="The same command with the same key, within a day, is done once (default: drawn)."),
    ] = None,
    limit: Most = MOST,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    r"""Make a campaign: a package for many devices.

    It says how many devices it is for and asks whether it is meant; without a terminal it takes --yes. On a
    pipe the answer is the id of the campaign alone. A lost answer is asked for again, and nothing is made
    twice.

    A small stage that must do well, then a quarter, then the rest; a week for devices that report daily:

        headgate campaign create --package $pid --group north --gate-success 95% \
            --stage 1%:success=99%,minimum-executed=5 --stage 25% \
            --timer online=7d --dry-run --report-interval 1d
    """
    from headgate.cli import policy

    with asked(url, token, data) as client:
        if not PID.fullmatch(package):
            raise policy.wrong("--package", "16 hexadecimal digits, see `headgate package list`", package)
        filters = {"group": group, "product": product, "version": version, "cell": cell}
        filters |= {"endpoint_prefix": prefix}
        body: dict[str, Any] = {
            "name": name,
            "package": package,
            "targets": targets_of(
                endpoints, endpoint, everyone=all, failed_in=failed_in, causes=cause, filters=filters
            ),
        }
        body |= policy.policy_of(
            gate_success=gate_success,
            error_threshold=error_threshold,
            minimum_executed=minimum_executed,
            confirm=confirm,
            start=start,
            window=window,
            timezone=timezone,
            retry=retry,
            timers=timer,
        )
        if stage:
            body["stages"] = policy.stages_of(stage, body.get("gate", {}))
        if source_version:
            body["source_versions"] = source_version
        if skip_same_package:
            body["skip_same_package"] = True
        assumed = policy.assumed_of(report_interval, loss, failures)
        if dry_run:
            show_dry_run(client, body, assumed, most=limit, json=json)
            return
        if assumed and yes:
            raise CommandError(
                "--report-interval, --loss and --failures are for the forecast, and --yes has none made: "
                "say --dry-run",
                exit_code=WRONG_USAGE,
            )
        if not yes:
            ask(client, body, assumed)
        create(client, body, idempotency_key or str(uuid.uuid4()), json=json)


def targets_of(
    file: str | None,
    endpoints: list[str] | None,
    *,
    everyone: bool,
    failed_in: str | None,
    causes: list[str] | None,
    filters: dict[str, str | None],
) -> dict[str, Any]:
    """The one way in which devices are named. Raises CommandError for none and for several."""
    from headgate.cli.policy import failures_of

    wanted = {name: value for name, value in filters.items() if value is not None}
    ways: list[dict[str, Any]] = []
    if file is not None or endpoints:
        ways.append({"endpoints": [*(endpoints or ()), *(() if file is None else endpoints_of(file))]})
    if everyone:
        ways.append({"all": True})
    if failed_in is not None:
        failures = [failure for each in causes or () for failure in failures_of(each)]
        ways.append({"failed_in": {"campaign": failed_in, "failures": failures}})
    elif causes:
        raise CommandError("--cause says which of --failed-in are meant", exit_code=WRONG_USAGE)
    if wanted:
        ways.append({"filter": wanted})
    if len(ways) != 1:
        raise CommandError(
            "which devices? Say one of --endpoints, --endpoint, --all and --failed-in, or a filter of "
            "--group, --product, --version, --cell and --prefix",
            exit_code=WRONG_USAGE,
        )
    return ways[0]


def endpoints_of(file: str) -> list[str]:
    """The lines of a file; empty ones do not count."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8", exit_code=WRONG_USAGE) from error
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}", exit_code=WRONG_USAGE) from error
    found = [line.removesuffix("\r") for line in text.split("\n")]
    found = [line for line in found if line.strip()]
    if not found:
        raise CommandError(f"{file} names no device", exit_code=WRONG_USAGE)
    return found


def dry_run_page(
    client: Client,
    body: dict[str, Any],
    assumed: Mapping[str, float],
    *,
    limit: int = 1,
    after: str | None = None,
) -> dict[str, Any]:
    """How many devices it would be for, some of them, and with the first page what is foretold."""
    params = {"dry_run": True, "limit": limit, "after": after, **assumed}
    said: dict[str, Any] = client.post(PATH, body, params)
    return said


def show_dry_run(
    client: Client, body: dict[str, Any], assumed: Mapping[str, float], *, most: int, json: bool
) -> None:
    """The devices that it would be for."""
    from headgate.cli.forecasting import forecast_lines
    from headgate.cli.tables import say_json

    page = dry_run_page(client, body, assumed, limit=min(most or PAGE, PAGE))
    count, forecast = page["devices"], page.get("forecast")
    if json:
        say_json({name: value for name, value in page.items() if name not in ("endpoints", "next")})
    else:
        complain(f"it would be for {count:,} devices; nothing is made")
        if len(page.get("stages") or ()) > 1:
            complain(f"in stages of {', '.join(f'{each:,}' for each in page['stages'])} devices")
        for line in forecast_lines(forecast):
            complain(line)
    told = 0
    while True:
        for endpoint in page["endpoints"]:
            if json:
                say_json({"endpoint": endpoint})
            else:
                print(plain(endpoint))
        told += len(page["endpoints"])
        left = (most or count) - told
        if page["next"] is None or left <= 0:
            break
        page = dry_run_page(client, body, assumed, limit=min(left, PAGE), after=page["next"])
    if page["next"] is not None and not json:
        complain("there are more: --limit says how many to list, 0 for all")


def ask(client: Client, body: dict[str, Any], assumed: Mapping[str, float]) -> None:
    """Whether it is meant. Raises CommandError where nobody can answer, or says no."""
    somebody_is_there()
    page = dry_run_page(client, body, assumed)
    count = page["devices"]
    if not count:
        raise CommandError("no device is so: there is nobody to upgrade", exit_code=WRONG_USAGE)
    if page.get("forecast"):
        from headgate.cli.forecasting import forecast_line

        complain(forecast_line(page["forecast"]))
    version = client.get(f"/packages/{body['package']}")["version"]
    if not confirmed(f"Upgrade {count:,} devices to {version}?"):
        raise CommandError("nothing was made")


def create(client: Client, body: dict[str, Any], key: str, *, json: bool) -> None:
    """Make it, once."""
    from headgate.cli.tables import show_made

    made = client.post_once(PATH, body, key)
    show_made(made, "id", f"campaign {made['id']}: `headgate campaign watch {made['id']}`", json=json)
