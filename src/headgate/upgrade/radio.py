"""How well a device hears its cell: from what it reports to the class that limits its cell.

Devices report RSRP in tenths, without a sign, as a constant, or not at all. What can be repaired is repaired
here, and what cannot is either "not available" (the question is then put another way) or "outside all ranges"
(an answer, and the weakest class).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

RSRP_WINDOW_DBM = (-156.0, -44.0)
SINR_WINDOW_DB = (-30.0, 40.0)
RSRP_IN_TENTHS_BEYOND = 200  # no RSRP in dBm is so large, so the value is in tenths
SINR_IN_TENTHS_BEYOND = 60
RSRP_WITHOUT_SIGN = (40.0, 160.0)
CELL_ID_NONE = {0, 0xFFFFFFFF}
CELL_ID_MAX = 0xFFFFFFFF
NETWORK_CODE_MAX = 999

WEAKEST_RANGE = 2
CE_LEVEL_RANGES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 2}  # 4/0/13 counts from "no CE used": level 0 is 1


class RadioClass(StrEnum):
    """How well a device hears: the ranges of RSRP and SINR together, or U where only its cell is known."""

    CLASS_0 = "0"
    CLASS_1 = "1"
    CLASS_2 = "2"
    UNKNOWN = "U"


CLASS_OF_RANGE = (RadioClass.CLASS_0, RadioClass.CLASS_1, RadioClass.CLASS_2)


class Cell(NamedTuple):
    """One cell of one network; the network is None where the device does not report it (4/0/9, 4/0/10).

    >>> str(Cell(0x1A2B, smcc=460, smnc=0)), str(Cell(0x1A2B))
    ('460-00-1A2B', '1A2B')
    """

    cell_id: int
    smcc: int | None = None
    smnc: int | None = None

    def __str__(self) -> str:
        if self.smcc is None or self.smnc is None:
            return f"{self.cell_id:X}"
        return f"{self.smcc:03d}-{self.smnc:02d}-{self.cell_id:X}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioReport:
    """Object 4 as the device gave it: None for a resource that was not there."""

    rsrp: float | None = None
    """4/0/2 Radio Signal Strength."""
    sinr: float | None = None
    """4/0/11 SignalSNR, from object version 1.1."""
    cell_id: int | None = None
    """4/0/8."""
    smnc: int | None = None
    """4/0/9."""
    smcc: int | None = None
    """4/0/10."""
    ce_level: int | None = None
    """4/0/13 Coverage Enhancement Level, from object version 1.3: 0 no CE used, 1 to 4 for levels 0 to 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioRules:
    """Where the ranges end, and the two switches. Networks differ: the figures are configuration.

    The defaults are the coupling losses 144, 154 and 164 dB that NB-IoT was designed for.
    """

    rsrp_dbm: tuple[float, float, float] = (-112.0, -122.0, -132.0)
    """Range 0 from the first upwards, range 1 from the second, range 2 from the third."""
    sinr_db: tuple[float, float, float] = (7.0, -3.0, -13.0)
    strict_english: bool = False
    """Only the two pairs that the English text lists leave class 2; otherwise the weaker level decides."""
    use_ce_level: bool = False
    """A missing SINR is replaced by the CE level, where the device has one."""

    def __post_init__(self) -> None:
        for bounds in (self.rsrp_dbm, self.sinr_db):
            if not bounds[0] > bounds[1] > bounds[2]:
                raise ValueError(f"three descending bounds were wanted, {bounds} came")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What is known of a device's radio. `radio_class` is None until RSRP, SINR and cell are all there."""

    cell: Cell | None = None
    rsrp_dbm: float | None = None
    sinr_db: float | None = None
    radio_class: RadioClass | None = None
    smcc: int | None = None
    """Kept without a cell too: the cell ID alone may follow, and belongs to this network."""
    smnc: int | None = None


def normal_rsrp_dbm(value: float | None) -> float | None:
    """The RSRP in dBm, or None where it is not available.

    >>> normal_rsrp_dbm(-98), normal_rsrp_dbm(-983), normal_rsrp_dbm(80), normal_rsrp_dbm(0)
    (-98, -98.3, -80, None)
    """
    if value is None or math.isnan(value) or value == 0:
        return None
    if abs(value) > RSRP_IN_TENTHS_BEYOND:
        value /= 10
    low, high = RSRP_WITHOUT_SIGN
    return -value if low <= value <= high else value


def normal_sinr_db(value: float | None) -> float | None:
    """The SINR in dB, or None where it is not available. 0 dB is a value like any other.

    >>> normal_sinr_db(9), normal_sinr_db(-126), normal_sinr_db(None)
    (9, -12.6, None)
    """
    if value is None or math.isnan(value):
        return None
    return value / 10 if abs(value) > SINR_IN_TENTHS_BEYOND else value


def cell_of(cell_id: int | None, *, smcc: int | None, smnc: int | None) -> Cell | None:
    """The cell, or None where the device does not know it. Half a network code is none.

    >>> str(cell_of(187654321, smcc=460, smnc=None)), cell_of(0, smcc=460, smnc=0)
    ('B2F60B1', None)
    """
    if cell_id is None or cell_id in CELL_ID_NONE or not 0 < cell_id <= CELL_ID_MAX:
        return None
    if not network_known(smcc, smnc):
        return Cell(cell_id)
    return Cell(cell_id, smcc, smnc)


def network_known(smcc: int | None, smnc: int | None) -> bool:
    """Whether both codes are there and possible."""
    return all(code is not None and 0 <= code <= NETWORK_CODE_MAX for code in (smcc, smnc))


def range_of(value: float, bounds: tuple[float, float, float], window: tuple[float, float]) -> int:
    """The range 0, 1 or 2 of a value. What is in none of them, or impossible, counts as the weakest."""
    if not window[0] <= value <= window[1]:
        return WEAKEST_RANGE
    return next((index for index, bound in enumerate(bounds) if value >= bound), WEAKEST_RANGE)


def class_of(rsrp_range: int, sinr_range: int, *, strict_english: bool = False) -> RadioClass:
    """The class of two ranges: the weaker decides.

    >>> [class_of(*ranges).value for ranges in ((0, 0), (0, 1), (1, 1), (1, 2), (2, 0))]
    ['0', '1', '1', '2', '2']
    >>> class_of(1, 1, strict_english=True).value
    '2'
    """
    if strict_english and (rsrp_range, sinr_range) not in {(0, 0), (0, 1)}:
        return RadioClass.CLASS_2
    return CLASS_OF_RANGE[max(rsrp_range, sinr_range)]


def measured(report: RadioReport, rules: RadioRules) -> Measurement:
    """What a reading of object 4 says, as far as it says anything.

    >>> measured(RadioReport(rsrp=-98, sinr=9, cell_id=187654321), RadioRules()).radio_class
    <RadioClass.CLASS_0: '0'>
    """
    rsrp_dbm, sinr_db = normal_rsrp_dbm(report.rsrp), normal_sinr_db(report.sinr)
    cell = cell_of(report.cell_id, smcc=report.smcc, smnc=report.smnc)
    sinr_range: int | None = None
    if sinr_db is not None:
        sinr_range = range_of(sinr_db, rules.sinr_db, SINR_WINDOW_DB)
    elif rules.use_ce_level and report.ce_level is not None:
        sinr_range = CE_LEVEL_RANGES.get(report.ce_level)
    radio_class: RadioClass | None = None
    if cell is not None and rsrp_dbm is not None and sinr_range is not None:
        rsrp_range = range_of(rsrp_dbm, rules.rsrp_dbm, RSRP_WINDOW_DBM)
        radio_class = class_of(rsrp_range, sinr_range, strict_english=rules.strict_english)
    known = network_known(report.smcc, report.smnc)
    return Measurement(
        cell=cell,
        rsrp_dbm=rsrp_dbm,
        sinr_db=sinr_db,
        radio_class=radio_class,
        smcc=report.smcc if known else None,
        smnc=report.smnc if known else None,
    )
