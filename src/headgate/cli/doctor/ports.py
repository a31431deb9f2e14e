"""Whether the ports are free; those that a running server of ours has taken are as they should be."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.cli.doctor.findings import Finding, fail, ok
from headgate.config import Config
from headgate.errors import AddressError
from headgate.server.http import listening
from headgate.transport.sockets import bind

SET = "stop what listens there, or set {}.host and {}.port"
SAID_ALREADY = (": stop what listens there", "; set http.host")
"""Of an error, what to do about it: here it is an advice of its own."""


def ports(config: Config, *, running: bool) -> Iterator[Finding]:
    """Everything of this file. `running`: a server uses the data directory, and has them presumably."""
    name = f"UDP port {config.coap.port}"
    try:
        (bound,) = bind(config.coap.host, config.coap.port, count=1, receive_buffer_bytes=4096)
        bound.socket.close()
        yield ok(name, "can be used")
    except AddressError as error:
        yield taken(name, error, "coap", config.coap.host, running=running)
    if not config.http.enabled:
        return
    name = f"TCP port {config.http.port}"
    try:
        listening(config.http.host, config.http.port).close()
        yield ok(name, "can be used")
    except AddressError as error:
        yield taken(name, error, "http", config.http.host, running=running)


def taken(name: str, error: AddressError, section: str, host: str | None, *, running: bool) -> Finding:
    """What it means that it cannot be used."""
    if running:
        return ok(name, "is taken, as it should be while a server runs")
    why = str(error).removeprefix(name).removeprefix(f" of {host}").strip()
    for advice in SAID_ALREADY:
        why = why.partition(advice)[0]
    return fail(name, why, SET.format(section, section))
