"""A database as it is, looked at beside whoever uses it: nothing is made, migrated or locked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, NullPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from headgate.errors import StoreError
from headgate.store.schema import known_revisions

PATIENCE_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found."""

    place: str
    there: bool
    """Whether there is a database at all; a file is made when it is first needed."""
    revision: str | None
    """Of its schema; None where it has none yet."""
    newest: str
    """That this version of Headgate knows."""
    known: bool
    """Whether it knows the revision too."""


def examined(url: str) -> Examined:
    """The database of that URL. Raises StoreError where it does not answer, or is none of ours."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError("store.url is no database URL; sqlite:////path/file.db is one") from error
    place = parsed.render_as_string(hide_password=True)
    newest, *older = known_revisions()
    there, revision = True, None
    match parsed.get_backend_name():
        case "sqlite" if parsed.database:
            place = str(Path(parsed.database).resolve())
            if there := Path(place).exists():
                revision = revision_of(read_only(place), {"timeout": PATIENCE_S}, place)
        case "postgresql":
            try:
                target = parsed.set(drivername="postgresql+psycopg")
                revision = revision_of(target, {"connect_timeout": PATIENCE_S}, place)
            except ImportError as error:
                raise StoreError("PostgreSQL needs psycopg: pip install 'headgate[postgres]'") from error
        case other:
            raise StoreError(f"{other} is no database for us; use sqlite:////path/file.db or postgresql://")
    return Examined(
        place=place,
        there=there,
        revision=revision,
        newest=newest,
        known=revision in (None, newest, *older),
    )


def read_only(path: str) -> URL:
    """The file, of which nothing can be changed."""
    return URL.create("sqlite", database=f"file:{quote(path)}", query={"mode": "ro", "uri": "true"})


def revision_of(url: URL, connecting: dict[str, object], place: str) -> str | None:
    """The revision of its schema."""
    engine = create_engine(url, poolclass=NullPool, connect_args=connecting)
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except DBAPIError as error:
        raise StoreError(f"{place} does not answer: {' '.join(str(error.orig).split())}") from error
