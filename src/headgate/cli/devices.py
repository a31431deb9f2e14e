"""`headgate device`: who is registered, what happened to each, and why it does not move."""

from __future__ import annotations

from typing import Annotated, Any

import typer

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
from headgate.cli.saying import WRONG_USAGE, CommandError

PATH = "/devices"

app = typer.Typer(help="Devices: who is registered, and why it does not move.", no_args_is_help=True)

Endpoint = Annotated[str, typer.Argument(help="Its endpoint name.")]


@app.command("list")
def list_devices(
    prefix: Annotated[str | None, typer.Option(help="Those whose endpoint begins so.")] = None,
    product: Annotated[str | None, typer.Option(help="Those of this product.")] = None,
    version: Annotated[str | None, typer.Option(help="Those that reported this version.")] = None,
    cell: Annotated[str | None, typer.Option(help="Those in this cell, such as 460-00-1A2B.")] = None,
    group: Annotated[str | None, typer.Option(help="Those in this group.")] = None,
    limit: Most = MOST,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List the registered devices."""
    from headgate.cli.tables import column, instant, show_list

    with asked(url, token, data) as client:
        wanted = {
            "endpoint_prefix": prefix,
            "product": product,
            "version": version,
            "cell": cell,
            "group": group,
        }
        columns = [
            column("endpoint"),
            column("version"),
            column("cell"),
            column("class", key="radio_class"),
            column("product"),
            column("group"),
            instant("heard", "heard_s"),
        ]
        show_list(client.pages(PATH, wanted, most=limit), columns, json=json)


@app.command("show")
def show_device(
    endpoint: Endpoint, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Show a registered device."""
    from headgate.cli.tables import column, instant, show_one

    with asked(url, token, data) as client:
        columns = [
            column("endpoint"),
            column("version"),
            column("cell"),
            column("class", key="radio_class"),
            column("product"),
            column("group"),
            instant("heard", "heard_s"),
            instant("registered", "registered_s"),
            instant("expires", "expires_s"),
            column("lifetime in s", key="lifetime_s"),
            column("LwM2M", key="lwm2m_version"),
            column("binding"),
            column("queue mode", key="queue_mode"),
            column("objects", key="links"),
        ]
        show_one(client.get(f"{PATH}/{part(endpoint, 'endpoint')}"), columns, json=json)


@app.command("explain")
def explain_device(
    endpoint: Endpoint, url: Url = URL, token: Secret = None, data: Data = None, json: Json = False
) -> None:
    """Say in one sentence why a device stands where it stands."""
    from headgate.cli.saying import plain
    from headgate.cli.tables import say_json

    with asked(url, token, data) as client:
        said = client.get(f"{PATH}/{part(endpoint, 'endpoint')}/explain")
        if json:
            say_json(said)
            return
        print(plain(said["sentence"]))
        if said["task"] is not None:
            print(plain(f"task {said['task']['id']}: {said['task']['state']}"))
        if said["served"] is not None:
            print(served_of(said["served"]))


def served_of(served: dict[str, Any]) -> str:
    """How far a download is.

    >>> served_of({"offset_bytes": 512, "length_bytes": 1024, "blocks": 1, "repeats": 0})
    'served: 512 of 1,024 bytes (50 %) in 1 blocks, 0 of them again'
    """
    length = served["length_bytes"]
    share = f" ({served['offset_bytes'] / length:.0%})".replace("%", " %") if length else ""
    return (
        f"served: {served['offset_bytes']:,} of {length:,} bytes{share} in {served['blocks']:,} blocks, "
        f"{served['repeats']:,} of them again"
    )


@app.command("timeline")
def device_timeline(
    endpoint: Endpoint,
    limit: Most = MOST,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List what happened to a device, the newest first, whether it is registered or not."""
    from headgate.cli.tables import column, instant, show_list

    with asked(url, token, data) as client:
        columns = [
            instant("at", "at_s"),
            column("step", right=True),
            column("what"),
            column("detail"),
            column("task", key="task_id"),
        ]
        pages = client.pages(f"{PATH}/{part(endpoint, 'endpoint')}/timeline", most=limit)
        show_list(pages, columns, json=json)


@app.command("label")
def label_device(
    endpoint: Endpoint,
    product: Annotated[str | None, typer.Option(help="Of which product it is; empty for none.")] = None,
    group: Annotated[str | None, typer.Option(help="In which group it is; empty for none.")] = None,
    url: Url = URL,
    token: Secret = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say of which product a device is, and in which group; what is left out stays as it is.

    It is kept as long as the device stays registered.
    """
    from headgate.cli.tables import column, show_one

    with asked(url, token, data) as client:
        if product is None and group is None:
            raise CommandError("--product or --group says what is to be said of it", exit_code=WRONG_USAGE)
        path = f"{PATH}/{part(endpoint, 'endpoint')}/labels"
        there = client.ask("GET", path)
        labels = dict(there.json())
        if product is not None:
            labels["product"] = product or None
        if group is not None:
            labels["group"] = group or None
        kept = client.ask("PUT", path, json=labels, headers={"If-Match": there.headers["ETag"]})
        show_one(kept.json(), [column("product"), column("group")], json=json)


@app.command("remove")
def remove_device(
    endpoint: Endpoint, yes: Yes = False, url: Url = URL, token: Secret = None, data: Data = None
) -> None:
    """End a registration, as of a device that will not come back; without a terminal it takes --yes.

    Its labels go, its timeline stays. A device that is there after all registers again. One that has an
    active task is not removed.
    """
    with asked(url, token, data) as client:
        path = f"{PATH}/{part(endpoint, 'endpoint')}"
        if not yes:
            somebody_is_there()
            if not confirmed(f"End the registration of {endpoint}?"):
                raise CommandError("nothing was removed")
        client.delete(path)
