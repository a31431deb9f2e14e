"""The devices that are meant: by a filter over what the store knows of them. All of it blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Select, and_, exists, func, select, true

from headgate.store.database import Database
from headgate.store.tables import devices, tasks
from headgate.upgrade.campaign import CheckedEndpoints, checked_endpoints
from headgate.upgrade.failure import Failure
from headgate.upgrade.task import State
from headgate.web.paging import Text, looked_to

LAST = "\U0010ffff"  # sorts behind every other character, in UTF-8 too
CHUNK = 5_000


class DeviceFilter(BaseModel):
    """What is asked of a registered device; all that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    endpoint_prefix: Text | None = Field(default=None, description="Its endpoint begins so.")
    product: Text | None = None
    version: Text | None = Field(default=None, description="The last that it reported.")
    cell: Text | None = Field(default=None, description="Where it was measured last, such as `460-00-1A2B`.")
    group: Text | None = None

    @property
    def empty(self) -> bool:
        """Whether every device passes."""
        return not self.model_fields_set or all(value is None for _, value in self)

    def found(self) -> ColumnElement[bool]:
        """The part of the condition that an index answers."""
        return type(self)(
            endpoint_prefix=self.endpoint_prefix, product=self.product, group=self.group
        ).condition()

    def condition(self) -> ColumnElement[bool]:
        """The same in the words of the database."""
        columns = {
            devices.c.product: self.product,
            devices.c.version: self.version,
            devices.c.cell: self.cell,
            devices.c.group_name: self.group,
        }
        wanted = [column == value for column, value in columns.items() if value is not None]
        if self.endpoint_prefix:
            # A range, not LIKE: the index on endpoints answers it, and no sign in it has a meaning.
            wanted += [
                devices.c.endpoint >= self.endpoint_prefix,
                devices.c.endpoint < self.endpoint_prefix + LAST,
            ]
        return and_(true(), *wanted)


class DeviceQuery(DeviceFilter):
    """The same as parameters of a URL, with the page that is wanted."""

    after: Text | None = Field(None, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=1000, description="Most items of the page.")


Filtered = Annotated[DeviceQuery, Query()]


def device_page(
    database: Database, wanted: DeviceFilter, *, after: str | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """The devices that pass, by endpoint, behind one of them; and up to where it was looked. Blocking."""
    found = wanted.found() if after is None else wanted.found() & (devices.c.endpoint > after)
    query = select(devices).where(found, wanted.condition()).order_by(devices.c.endpoint).limit(limit)
    looked = None
    with database.reading() as reader:
        if wanted.version is not None or wanted.cell is not None:
            looked = looked_to(reader, devices.c.endpoint, found)
            query = query if looked is None else query.where(devices.c.endpoint <= looked)
        return [dict(row._mapping) for row in reader.execute(query)], looked


def filtered(wanted: DeviceFilter) -> Select[Any]:
    """The endpoints of the devices that pass, in order."""
    return select(devices.c.endpoint).where(wanted.condition()).order_by(devices.c.endpoint)


def failed_in(campaign_id: str, failures: Sequence[Failure]) -> Select[Any]:
    """The endpoints whose last attempt in a campaign failed, by one of these causes or by any."""
    later = tasks.alias()
    query = select(tasks.c.endpoint).where(
        tasks.c.campaign_id == campaign_id,
        tasks.c.state == State.FAILED.value,
        ~exists().where(
            later.c.endpoint == tasks.c.endpoint,
            later.c.campaign_id == tasks.c.campaign_id,
            later.c.attempt > tasks.c.attempt,
        ),
    )
    if failures:
        query = query.where(tasks.c.failure.in_([each.value for each in failures]))
    return query.order_by(tasks.c.endpoint)


def counted(database: Database, wanted: Select[Any]) -> int:
    """How many they are."""
    with database.reading() as reader:
        count: int = reader.execute(
            select(func.count()).select_from(wanted.order_by(None).subquery())
        ).scalar_one()
        return count


def endpoint_page(database: Database, wanted: Select[Any], *, after: str | None, limit: int) -> list[str]:
    """Some of them, behind one of them."""
    (column,) = wanted.selected_columns
    query = wanted.limit(limit) if after is None else wanted.where(column > after).limit(limit)
    with database.reading() as reader:
        return [str(each) for each in reader.execute(query).scalars()]


def all_of(database: Database, wanted: Select[Any], *, most: int) -> CheckedEndpoints | None:
    """All of them; None where they are more than that. In pieces, between which other threads may run."""
    found: list[str] = []
    with database.reading() as reader:
        result = reader.execution_options(yield_per=CHUNK).execute(wanted).scalars()
        for chunk in result.partitions():
            found += chunk
            if len(found) > most:
                return None
    return checked_endpoints(found)


def listed(endpoints: Iterable[str], *, after: str | None, limit: int) -> Iterator[str]:
    """A page of a list that was given, in its order."""
    beyond = after is None
    for endpoint in endpoints:
        if beyond:
            if limit == 0:
                return
            limit -= 1
            yield endpoint
        beyond = beyond or endpoint == after
