"""The command line: what each command takes. The work is done in the room that each one names."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from headgate.cli import campaigns, cells, configuration, devices, hooks, packages, tokens
from headgate.cli.doctor.command import doctor
from headgate.cli.saying import explained

app = typer.Typer(
    name="headgate",
    help="CoAP download edge and LwM2M upgrade orchestrator for NB-IoT fleets.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # fills the paragraphs of a help text
)


def run(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run `main` on uvloop, or on asyncio where uvloop is absent."""
    try:
        import uvloop
    except ImportError:
        import asyncio

        return asyncio.run(main())
    return uvloop.run(main())


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from importlib.metadata import version

        print(f"headgate {version('headgate')}")
        raise typer.Exit


for subject in (packages, campaigns, devices, cells, tokens, hooks):
    app.add_typer(subject.app, name=subject.__name__.rpartition(".")[2].removesuffix("s"))
app.add_typer(configuration.app, name="config")
app.command()(doctor)


@app.callback()
def headgate(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """CoAP download edge and LwM2M upgrade orchestrator for NB-IoT fleets."""


@app.command()
def edge(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders whose files are all served.")],
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; without it, every address of both families.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="UDP port; 0 takes a free one.")] = 5683,
    threads: Annotated[
        int, typer.Option(min=0, max=64, help="Native serving threads; 0 serves on the event loop.")
    ] = 0,
    prefix: Annotated[str, typer.Option(help="Put before every path, such as 'fw'.")] = "",
    smallest_block: Annotated[
        int,
        typer.Option(min=16, max=1024, help="Smallest block offered; packages have at most 2^20 of them."),
    ] = 16,
    largest_block: Annotated[int, typer.Option(min=16, max=1024, help="Largest block sent.")] = 1024,
    default_block: Annotated[
        int, typer.Option(min=16, max=1024, help="Block sent when the device names no size.")
    ] = 512,
    receive_buffer: Annotated[
        int, typer.Option(min=4096, max=1 << 30, help="SO_RCVBUF in bytes, as far as the kernel grants it.")
    ] = 4 << 20,
    spool: Annotated[
        Path | None, typer.Option(help="Where own copies of the files are kept (default /var/tmp).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line, for machines.")] = False,
) -> None:
    """Serve files or folders by CoAP Block2, nothing else.

    A file is served under its name, a folder's files (linked ones too) under their names relative to it.
    Each is copied first: replacing or truncating it afterwards does not touch what is served. SIGTERM and
    Ctrl-C answer what was received, then end.
    """
    from headgate.cli.serving import FileServer, collect

    with explained():
        server = FileServer(
            collect(paths, prefix),
            json=json,
            host=host,
            port=port,
            threads=threads,
            smallest_block=smallest_block,
            largest_block=largest_block,
            default_block=default_block,
            receive_buffer_bytes=receive_buffer,
            spool=spool,
        )
        raise typer.Exit(run(server.serve))


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Option(help="Settings, as TOML.", envvar="HEADGATE_CONFIG", dir_okay=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data directory: database, packages, secret (store.directory).")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on (coap.host).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="UDP port; 0 takes a free one (coap.port).")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, max=64, help="Native serving threads (coap.threads).")
    ] = None,
    http_host: Annotated[str | None, typer.Option(help="Address of the API (http.host).")] = None,
    http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="TCP port of the API (http.port).")
    ] = None,
) -> None:
    """Run the orchestrator: LwM2M registrations, package downloads and campaigns on one UDP port.

    People and programs use the HTTP API, on a TCP port. Settings are defaults, then the file, then the
    environment (HEADGATE_COAP__PORT), then these options. SIGTERM and Ctrl-C store and answer what was
    received, then end.
    """
    # This brings a database and more along, which the other commands need not wait for.
    from headgate.cli.serve import Serving

    with explained():
        settings = configuration.settings_of(
            config,
            data=data,
            host=host,
            port=port,
            threads=threads,
            http_host=http_host,
            http_port=http_port,
        )
        raise typer.Exit(run(Serving(settings).run))


@app.command()
def demo(
    devices: Annotated[int, typer.Option(min=1, max=30_000, help="Simulated devices.")] = 2000,
    cells: Annotated[int, typer.Option(min=1, max=10_000, help="Radio cells they are in.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 1,
    speed: Annotated[
        float,
        typer.Option(
            min=1, max=10_000, help="How much faster than life time goes, at most: it waits for this machine."
        ),
    ] = 200.0,
    loss: Annotated[float, typer.Option(min=0, max=0.2, help="Share of datagrams lost, each way.")] = 0.02,
    faulty: Annotated[
        float, typer.Option(min=0, max=1, help="Share of faulty devices; every fault has its turn.")
    ] = 0.05,
    software: Annotated[
        float, typer.Option(min=0, max=1, help="Share of devices upgraded by PCP, others by LwM2M.")
    ] = 0.5,
    size: Annotated[int, typer.Option(min=64, max=1 << 20, help="Bytes of the package.")] = 16 << 10,
    threads: Annotated[int, typer.Option(min=0, max=64, help="As of `headgate serve`.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line, for machines.")] = False,
    exit: Annotated[
        bool,
        typer.Option("--exit", help="Unattended: leave nothing to a person, end when all is over."),
    ] = False,
    bad_batch: Annotated[
        bool, typer.Option(help="Firmware in stages, with a batch of devices that makes it pause itself.")
    ] = True,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="TCP port of console and API; 0 takes a free one.")
    ] = 0,
) -> None:
    """Upgrade a simulated fleet: server, devices and campaigns of both kinds, in a temporary directory.

    Half of the devices are upgraded in their firmware (LwM2M object 5), half in their software (PCP, object
    19), by two campaigns that share the cells. 60, 30 and 10 % of the devices are in radio classes 0, 1 and
    2; a fifth changes its port, a third has some oddity, a few lose power in mid-download. Ten minutes after
    its end a device is switched off.

    The firmware goes in stages of 5 %, 25 % and the rest. A quarter of the second is a bad batch, whose
    update fails: the campaign pauses itself, and says why. On a terminal you have 45 s to resume it, in the
    console or by `headgate campaign resume`; then the demo does, and with --exit at once.

    At the end stands who ended how: exit code 0 if every healthy device holds the new version, each fault
    and the batch ended in their published causes, the campaign paused itself once, in its second stage, and
    nobody of the third began before it was resumed, no cell held more devices than its limit and no slot
    lay idle while someone waited; else 1, and what does not hold is named. On a terminal the server stays
    for a look.

    All simulated times pass alike, for the server too: its 60 min and 24 h are those of `headgate serve`.
    """
    # These bring a database and more along, which the other commands need not wait for.
    from headgate.cli.demo import Demo

    shown = Demo(
        devices=devices,
        cells=cells,
        seed=seed,
        speed=speed,
        loss=loss,
        faulty=faulty,
        software=software,
        size_bytes=size,
        threads=threads,
        json=json,
        exit=exit,
        bad_batch=bad_batch,
        http_port=http_port,
    )
    with explained():
        raise typer.Exit(run(shown.run))


def known_faults(names: list[str] | None) -> list[str] | None:
    """The names, if there are such faults of either kind of device."""
    from headgate.fleet.faults import FAULTS
    from headgate.fleet.pcp_faults import PCP_FAULTS

    known = list(dict.fromkeys([*FAULTS, *PCP_FAULTS]))
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"there is no fault {name!r}; there are {', '.join(known)}")
    return names


@app.command()
def fleet(
    server: Annotated[str, typer.Option(help="The LwM2M server, coap://host[:port].")],
    devices: Annotated[int, typer.Option(min=1, max=30_000, help="Simulated devices.")] = 100,
    cells: Annotated[int, typer.Option(min=1, max=10_000, help="Radio cells they are in.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of everything that is random.")] = 1,
    loss: Annotated[
        float | None,
        typer.Option(min=0, max=0.5, help="Share of datagrams lost, each way; without it as the coverage."),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="How much faster than life their time goes.")
    ] = 1.0,
    moving: Annotated[
        float, typer.Option(min=0, max=1, help="Share of devices whose port changes in between.")
    ] = 0.2,
    quirky: Annotated[
        float, typer.Option(min=0, max=1, help="Share of devices with one oddity more than their style has.")
    ] = 0.3,
    faulty: Annotated[float, typer.Option(min=0, max=1, help="Share of faulty devices.")] = 0.0,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault of theirs; may be repeated. All in turn without it. Each goes to the devices whose "
            "kind has it.",
            callback=known_faults,
        ),
    ] = None,
    software: Annotated[
        float, typer.Option(min=0, max=1, help="Share of devices upgraded by PCP, others by LwM2M.")
    ] = 0.0,
    version: Annotated[str, typer.Option(help="What they run.")] = "V1.0",
    target_version: Annotated[
        str, typer.Option(help="What they run after an update, where the package does not say it.")
    ] = "V2.0",
    report: Annotated[float, typer.Option(min=1, help="Seconds between a device's reports.")] = 60.0,
    awake: Annotated[
        float, typer.Option(min=1, help="Seconds of theirs that they listen after a message.")
    ] = 20.0,
    prefix: Annotated[str, typer.Option(help="Before the number in their names.")] = "urn:dev:headgate-",
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line, for machines.")] = False,
) -> None:
    """Run simulated NB-IoT devices against an LwM2M server, until Ctrl-C.

    They register, report, sleep and wake, and go through upgrades, each in the way of its style: of firmware
    by LwM2M object 5, a share of them of software by PCP over object 19, in both generations.
    """
    from headgate.cli.fleet import FleetRun
    from headgate.fleet.faults import FAULTS
    from headgate.fleet.pcp_faults import PCP_FAULTS
    from headgate.fleet.population import Population
    from headgate.fleet.radio import LinkSettings

    population = Population(
        devices=devices,
        cells=cells,
        seed=seed,
        moving=moving,
        quirky=quirky,
        faulty=faulty,
        faults=tuple(name for name in faults or FAULTS if name in FAULTS),
        software=software,
        pcp_faults=tuple(name for name in faults or PCP_FAULTS if name in PCP_FAULTS),
        version=version,
        target_version=target_version,
        report_interval_s=report,
        awake_s=awake,
        prefix=prefix,
    )
    shown = FleetRun(
        server=server, population=population, link=LinkSettings(loss=loss), speed=speed, json=json
    )
    with explained():
        raise typer.Exit(run(shown.run))
