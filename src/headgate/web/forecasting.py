"""The forecast of a campaign, as a dry run tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from sqlalchemy import Select

from headgate.store import tables
from headgate.store.database import Database
from headgate.upgrade.airtime import Cargo
from headgate.upgrade.forecast import Forecast, forecast
from headgate.upgrade.premises import Wish
from headgate.upgrade.radio import RadioClass
from headgate.upgrade.task import Kind, Timers
from headgate.upgrade.windows import Windows
from headgate.web.desk import Desk
from headgate.web.known import Reports, listed_parts, occupied, paces, stored_parts
from headgate.web.problems import Problem
from headgate.web.reading import Reader

SOON_S = 60.0
"""A campaign that begins within this meets those who hold slots now."""
AWAKE_S = 20.0
WAITING_MAX = 8
"""Forecasts that are made or waited for: dry runs that wait for minutes would keep all others out."""

Interval = Annotated[
    float | None,
    Query(
        ge=60,
        le=366 * 86_400,
        allow_inf_nan=False,
        description="For the forecast: how often devices report. Without it, once in their lifetime.",
    ),
]
LossSaid = Annotated[
    float, Query(ge=0, le=0.5, description="For the forecast: the share of messages lost, each way.")
]
FailuresSaid = Annotated[
    float, Query(ge=0, le=1, description="For the forecast: the share of devices that fail on the way.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What an operator says of a fleet."""

    report_interval_s: float | None = None
    loss: float = 0.02
    failures: float = 0.0


class QuantilesSaid(BaseModel):
    """Seconds from `begin_s`, by which that share is through."""

    p10: float
    p50: float
    p90: float
    p99: float
    max: float


class ClassSaid(BaseModel):
    """The devices of a radio class."""

    radio_class: RadioClass
    devices: int = Field(description="Those whose class is not known are in that which they are taken for.")
    finish_s: QuantilesSaid
    goodput_bytes_s: float
    held_s: float = Field(description="For how long each holds its slot, on average.")
    measured: int = Field(description="By how many devices of campaigns before; 0 for an assumption.")


class CellSaid(BaseModel):
    """A cell."""

    cell: str
    devices: int
    finish_s: float = Field(description="When its last device is through, in seconds from `begin_s`.")


class LostSaid(BaseModel):
    """Devices that are not upgraded, by why."""

    online: int = Field(0, description="They do not report within T_online.")
    slot: int = Field(0, description="Their turn does not come within T_online.")
    download: int = Field(0, description="Their download takes longer than T_download.")
    failed: int = Field(0, description="By the share that was given.")
    late: int = Field(0, description="A year is not enough, or is more than can be played.")


class BytesSaid(BaseModel):
    """Over the air, both ways."""

    payload: int = Field(description="Of the package.")
    headers: int = Field(description="CoAP, PCP, UDP and IP of what carries it and asks for it.")
    commands: int = Field(description="All other exchanges.")
    retransmissions: int
    total: int


class ForecastSaid(BaseModel):
    """What a campaign would be like: its devices before the scheduler itself, in virtual time."""

    devices: int
    devices_unknown_cell: int = Field(description="Of which no cell has been measured.")
    begin_s: float = Field(description="When it begins, in seconds since the epoch.")
    device_s: QuantilesSaid = Field(description="When single devices are through.")
    campaign_s: QuantilesSaid = Field(description="When all are, over the runs.")
    stages_s: list[float] = Field(description="When each stage is through, on average.")
    classes: list[ClassSaid]
    slowest_cells: list[CellSaid] = Field(description="Ten at most, the slowest first.")
    lost: LostSaid
    bytes: BytesSaid
    played: int = Field(description="Devices that were played, in each run.")
    runs: int
    exact: bool = Field(description="Whether all were played; else these stand for the others.")
    assumptions: list[str] = Field(description="What it rests on, in sentences.")


def said(found: Forecast) -> ForecastSaid:
    """As the API says it."""
    values = asdict(found)
    values["lost"] = LostSaid(**{loss.value: count for loss, count in found.lost.items()})
    values["bytes"] = {name: round(count) for name, count in asdict(found.bytes).items()}
    values["bytes"]["total"] = sum(values["bytes"].values())
    return ForecastSaid.model_validate(values)


class Forecasts:
    """Made in a thread that reads, one at a time, whoever asks: each takes a core for some seconds."""

    def __init__(self, desk: Desk, reader: Reader) -> None:
        self._desk = desk
        self._reader = reader
        self._one = asyncio.Lock()
        self._wanted = 0

    async def of(
        self,
        devices: Sequence[str] | Select[Any],
        stages: Sequence[int],
        *,
        package: str,
        timers: Timers | None,
        windows: Windows,
        start_s: float | None,
        assumed: Assumed,
    ) -> ForecastSaid | None:
        """That of a list of endpoints, or of those that a query finds; None where the package has gone.

        Problem 503 where too many wait for one.
        """
        desk, reader = self._desk, self._reader
        row = await reader.row(tables.packages, package)
        if row is None:
            return None
        now, timers = desk.now(), timers or desk.timers
        begin_s = max(now, start_s or now)
        awake_s = next((each.value for each in desk.settings() if each.key == "presence.awake_s"), AWAKE_S)
        wish: dict[str, Any] = {
            "cargo": Cargo(
                kind=Kind(row["kind"]),
                size_bytes=row["size_bytes"],
                segment_size_bytes=row["segment_size_bytes"],
            ),
            "begin_s": begin_s,
            "limits": desk.limits,
            "timers": timers,
            "windows": windows,
            "loss": assumed.loss,
            "failures": assumed.failures,
            "awake_s": awake_s,
        }
        reports = Reports(now_s=begin_s, interval_s=assumed.report_interval_s, online_s=timers.online_s)
        if self._wanted >= WAITING_MAX:
            raise Problem(503, "too many forecasts are waited for", headers={"Retry-After": "10"})
        self._wanted += 1
        try:
            async with self._one:
                return await reader.call(foretold, reader.database, devices, stages, reports, wish, now)
        finally:
            self._wanted -= 1


def foretold(
    database: Database,
    devices: Sequence[str] | Select[Any],
    stages: Sequence[int],
    reports: Reports,
    wish: dict[str, Any],
    now: float,
) -> ForecastSaid:
    """The same, blocking."""
    others = occupied(database, wish["limits"]) if wish["begin_s"] - now < SOON_S else ()
    measured = paces(database, wish["cargo"].kind)
    if isinstance(devices, Select):
        parts = stored_parts(database, devices, stages, reports)
    else:
        parts = listed_parts(database, devices, stages, reports)
    return said(forecast(Wish(**wish, others=others, paces=measured), parts))
