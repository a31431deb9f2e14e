"""The database: whether it answers, and which schema it has."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.cli.doctor.findings import Finding, fail, ok
from headgate.config import Config
from headgate.errors import StoreError
from headgate.server.directory import DATABASE
from headgate.store.examination import examined

NAME = "database"


def database(config: Config) -> Iterator[Finding]:
    """Everything of this file."""
    url = config.store.url or f"sqlite:///{config.store.directory.absolute() / DATABASE}"
    try:
        found = examined(url)
    except StoreError as error:
        yield fail(NAME, str(error), "bring it back, or set store.url")
        return
    where = f"{found.place} answers"
    if not found.there:
        yield ok(NAME, f"{found.place} is made at the first start")
    elif found.revision is None:
        yield ok(NAME, f"{where}; the schema {found.newest} is made at the first start")
    elif found.revision == found.newest:
        yield ok(NAME, f"{where}; schema {found.revision}")
    elif found.known:
        yield ok(
            NAME, f"{where}; schema {found.revision} becomes {found.newest} at the next start: back it up"
        )
    else:
        yield fail(
            NAME,
            f"{where}; its schema {found.revision} is of a newer Headgate, this one knows {found.newest}",
            "install the newer one, or restore a backup from before",
        )
