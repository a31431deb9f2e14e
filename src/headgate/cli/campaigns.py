"""`headgate campaign`: begin campaigns, look at them, and hold, go on with or end them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate.cli import completing
from headgate.cli.creating import PATH, create_campaign
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
    part,
    somebody_is_there,
)
from headgate.cli.policy_options import (
    ConfirmBefore,
    ErrorThreshold,
    GateSuccess,
    MinimumExecuted,
    Retry,
    Start,
    Timezone,
    Window,
)
from headgate.cli.saying import WRONG_USAGE, CommandError

if TYPE_CHECKING:
    from headgate.cli.client import Client

app = typer.Typer(help="Campaigns: a package for many devices.", no_args_is_help=True)
app.command("create")(create_campaign)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `headgate campaign list` shows it.")]


class TaskState(StrEnum):
    """How a task stands: over in one of these ways, or under way."""

    ACTIVE = "active"
    SUCCESS = "success"
    DONE_SAME = "done_same"
    FAILED = "failed"
    CANCELLED = "cancelled"


def one(campaign_id: str) -> str:
    """Where a campaign is."""
    return f"{PATH}/{part(campaign_id, 'campaign')}"


@app.command("list")
def list_campaigns(
    limit: Most = MOST, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """List the campaigns, the newest first."""
    from headgate.cli.tables import column, instant, show_list

    with asked(url, token, data) as client:
        columns = [
            column("id"),
            column("name"),
            column("state"),
            column("to", key="target_version"),
            column("package"),
            instant("created", "created_s"),
            instant("ended", "ended_s"),
        ]
        show_list(client.pages(PATH, most=limit), columns, json=json)


@app.command("show")
def show_campaign(
    campaign_id: Id, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Show a campaign: its policy, its stages, its tasks by state and by cause of failure."""
    with asked(url, token, data) as client:
        show(client.get(one(campaign_id)), json=json)


def show(status: dict[str, Any], *, json: bool) -> None:
    """A campaign as it stands."""
    from headgate.cli.status import show_status

    show_status(status, json=json)


@app.command("watch")
def watch_campaign(
    campaign_id: Id, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Follow a campaign until it is through: live on a terminal, elsewhere a line for each change.

    Exit code 0: it ended, and no device is left whose last attempt failed. 1: some are, or it was stopped.
    While it is paused, or waits to be confirmed, it is followed on; Ctrl-C ends that, and changes nothing.
    A server that restarts is waited for.
    """
    from headgate.cli.commands import run
    from headgate.cli.watch import Watch

    with asked(url, token, data) as client:
        watch = Watch(client, one(campaign_id), campaign_id, json=json)
        raise typer.Exit(run(watch.run))


@app.command("report")
def report_campaign(
    campaign_id: Id,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Where to write the page; - for standard output."
        ),
    ] = None,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Write how a campaign went: one page with charts, that needs nothing else; --json: its numbers.

    Progress of each stage, cells against their limits, time to finish by class, and causes of failure with
    what to do about them. Of a campaign that is under way, as far as it is.
    """
    from headgate.cli.report import REPORT_S, write_page
    from headgate.cli.tables import say_json

    with asked(url, token, data) as client:
        if (output is None) != json:
            raise CommandError("say -o report.html, or --json for its numbers", exit_code=WRONG_USAGE)
        report = client.get(f"{one(campaign_id)}/report", answer_s=REPORT_S)
        if output is None:
            say_json(report)
        else:
            write_page(report, output)


@app.command("edit")
def edit_campaign(
    campaign_id: Id,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    gate_success: GateSuccess = None,
    error_threshold: ErrorThreshold = None,
    minimum_executed: MinimumExecuted = None,
    confirm: ConfirmBefore = None,
    start: Start = None,
    window: Window = None,
    timezone: Timezone = None,
    retry: Retry = None,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Change a campaign that is not through; what is left out stays as it is.

    Of --window and --retry, those that are given take the place of all that there were. A start can be moved
    while nothing has begun. Exit code 1 where somebody else has changed it in the same moment.
    """
    from headgate.cli.policy import policy_of

    with asked(url, token, data) as client:
        there = client.ask("GET", one(campaign_id))
        status = client.object_of(there)
        changes = policy_of(
            gate_success=gate_success,
            error_threshold=error_threshold,
            minimum_executed=minimum_executed,
            confirm=confirm,
            start=start,
            window=window,
            timezone=timezone or (status["timezone"] if start is not None else None),
            retry=retry,
        )
        if "gate" in changes:
            changes["gate"] = status["gate"] | changes["gate"]
        if name is not None:
            changes["name"] = name
        if not changes:
            raise CommandError("nothing is said that would change", exit_code=WRONG_USAGE)
        match = {"If-Match": there.headers["ETag"]}
        show(client.object_of(client.ask("PATCH", one(campaign_id), json=changes, headers=match)), json=json)


@app.command("pause")
def pause_campaign(
    campaign_id: Id,
    reason: Annotated[str, typer.Option(help="For whoever looks at it.")] = "",
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Have no device begin, nor get a slot; who holds one goes on to the end."""
    with asked(url, token, data) as client:
        tell(client, campaign_id, "pause", {"reason": reason}, json=json)


@app.command("resume")
def resume_campaign(
    campaign_id: Id, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Go on with a campaign that is paused, or that a gate has held."""
    with asked(url, token, data) as client:
        tell(client, campaign_id, "resume", None, json=json)


@app.command("confirm")
def confirm_campaign(
    campaign_id: Id, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Say yes to the start, or to the next stage, of a campaign that waits for that."""
    with asked(url, token, data) as client:
        tell(client, campaign_id, "confirm", None, json=json)


@app.command("stop")
def stop_campaign(
    campaign_id: Id,
    yes: Yes = False,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Cancel what is left of a campaign. It cannot be begun again; without a terminal it takes --yes."""
    with asked(url, token, data) as client:
        if not yes:
            sure(campaign_id)
        tell(client, campaign_id, "stop", None, json=json)


def sure(campaign_id: str) -> None:
    """Whether it is meant. Raises CommandError where nobody can answer, or says no."""
    somebody_is_there()
    if not confirmed(f"Cancel what is left of campaign {campaign_id}?"):
        raise CommandError("nothing was stopped")


def tell(client: Client, campaign_id: str, verb: str, body: Any, *, json: bool) -> None:
    """Have it do that, and say how it stands then."""
    status = client.post(f"{one(campaign_id)}/{verb}", body)
    from headgate.cli.saying import plain
    from headgate.cli.tables import say_json

    if json:
        say_json(status)
        return
    print(plain(f"campaign {status['id']} is {status.get('reason') or status['state']}"))


@app.command("retry")
def retry_campaign(
    campaign_id: Id,
    task: Annotated[list[str] | None, typer.Option(metavar="ID", help="This task; may be repeated.")] = None,
    cause: Annotated[
        list[str] | None,
        typer.Option(
            help="Those that failed so, such as invalid-uri; may be repeated.",
            autocompletion=completing.causes,
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="All that failed.")] = False,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Try devices again whose last attempt in a campaign failed."""
    from headgate.cli.policy import failures_of
    from headgate.cli.tables import say_json

    with asked(url, token, data) as client:
        ways: list[dict[str, Any]] = []
        if task:
            ways.append({"tasks": task})
        if cause:
            ways.append({"failures": [failure for each in cause for failure in failures_of(each)]})
        if all:
            ways.append({"all": True})
        if len(ways) != 1:
            raise CommandError("which of them? Say one of --task, --cause and --all", exit_code=WRONG_USAGE)
        said = client.post(f"{one(campaign_id)}/retry", ways[0])
        if json:
            say_json(said)
        else:
            print(f"{said['retried']:,} devices are tried again")


@app.command("tasks")
def list_tasks(
    campaign_id: Id,
    state: Annotated[TaskState | None, typer.Option(help="Those that stand so.")] = None,
    cause: Annotated[
        str | None,
        typer.Option(help="Those that failed so, such as invalid-uri.", autocompletion=completing.causes),
    ] = None,
    cell: Annotated[str | None, typer.Option(help="Those in this cell, such as 460-00-1A2B.")] = None,
    limit: Most = MOST,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List the tasks of a campaign: one device in one attempt each."""
    from headgate.cli.policy import ANY, failures_of
    from headgate.cli.tables import column, instant, show_list

    with asked(url, token, data) as client:
        one(campaign_id)
        wanted: dict[str, Any] = {"campaign": campaign_id, "cell": cell}
        if state is TaskState.ACTIVE:
            wanted["active"] = True
        elif state is not None:
            wanted["state"] = state
        if cause is not None and cause.lower() == ANY:
            wanted["state"] = TaskState.FAILED
        elif cause is not None:
            (wanted["failure"],) = failures_of(cause)
        columns = [
            column("task", key="id"),
            column("endpoint"),
            column("attempt", right=True),
            column("state"),
            column("cell"),
            column("class", key="radio_class"),
            instant("since", "entered_s"),
            column("failure"),
            column("said", key="detail_note"),
        ]
        show_list(client.pages("/tasks", wanted, most=limit), columns, json=json)
