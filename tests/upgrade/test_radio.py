"""From what devices report of their radio to the class that limits their cell. Protocol 4.1 to 4.4."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.upgrade.radio import (
    Cell,
    RadioClass,
    RadioReport,
    RadioRules,
    cell_of,
    class_of,
    measured,
    normal_rsrp_dbm,
    normal_sinr_db,
)

NUMBERS = st.none() | st.integers(-(2**40), 2**40) | st.floats()


def report(**changes):
    """A good report of cell 6699, but for the changes."""
    return RadioReport(**({"rsrp": -98, "sinr": 9, "cell_id": 0x1A2B} | changes))


def class_by(rules=None, **changes):
    """The class of such a report, "-" where it is not complete."""
    return measured(report(**changes), rules or RadioRules()).radio_class or "-"


@pytest.mark.parametrize(
    ("reported", "dbm"),
    [
        (-98, -98),
        (-1123, -112.3),  # tenths leaked from the module's own tools
        (-200, -200),
        (-201, -20.1),
        (80, -80),  # the LiteOS sample's constant: the sign was dropped
        (40, -40),
        (160, -160),
        (39, 39),
        (161, 161),
        (983, -98.3),  # both at once
        (0, None),
        (None, None),
        (math.nan, None),
    ],
)
def test_rsrp_is_repaired_where_it_can_be(reported, dbm):
    """Tenths, a lost sign; 0 and nothing are not available."""
    assert normal_rsrp_dbm(reported) == dbm


@pytest.mark.parametrize(
    ("reported", "db"),
    [(9, 9), (0, 0), (-13, -13), (60, 60), (61, 6.1), (-126, -12.6), (None, None), (math.nan, None)],
)
def test_sinr_is_repaired_where_it_can_be(reported, db):
    """Tenths; 0 dB is a value like any other."""
    assert normal_sinr_db(reported) == db


@pytest.mark.parametrize(
    ("cell_id", "smcc", "smnc", "cell"),
    [
        (187654321, 460, 0, Cell(187654321, 460, 0)),
        (187654321, None, None, Cell(187654321)),
        (187654321, 460, None, Cell(187654321)),
        (187654321, None, 0, Cell(187654321)),
        (187654321, 1000, 0, Cell(187654321)),
        (0xFFFFFFFE, 460, 11, Cell(0xFFFFFFFE, 460, 11)),
        (0, 460, 0, None),
        (0xFFFFFFFF, 460, 0, None),
        (-1, 460, 0, None),  # the same in four bytes with a sign
        (2**32, 460, 0, None),
        (None, 460, 0, None),
    ],
)
def test_a_cell_is_named_with_its_network(cell_id, smcc, smnc, cell):
    """(SMCC, SMNC, cell ID), or the cell ID alone; 0 and all ones are none."""
    assert cell_of(cell_id, smcc=smcc, smnc=smnc) == cell


@pytest.mark.parametrize(
    ("rsrp", "expected"),
    [
        (-44, "0"),
        (-43, "2"),  # impossible: queried, but outside all ranges
        (-112, "0"),
        (-112.1, "1"),
        (-122, "1"),
        (-122.1, "2"),
        (-132, "2"),
        (-132.1, "2"),
        (-156, "2"),
        (-157, "2"),
        (20, "2"),
    ],
)
def test_ranges_of_rsrp(rsrp, expected):
    """Each bound belongs to the better range; below all ranges, and outside the window, is the weakest."""
    assert class_by(rsrp=rsrp) == expected


@pytest.mark.parametrize(
    ("sinr", "expected"),
    [(40, "0"), (41, "2"), (7, "0"), (6.9, "1"), (-3, "1"), (-3.1, "2"), (-13, "2"), (-14, "2"), (-31, "2")],
)
def test_ranges_of_sinr(sinr, expected):
    """The same for SINR."""
    assert class_by(sinr=sinr) == expected


@pytest.mark.parametrize(
    ("ranges", "ours", "english"),
    [
        ((0, 0), "0", "0"),
        ((0, 1), "1", "1"),
        ((0, 2), "2", "2"),
        ((1, 0), "1", "2"),
        ((1, 1), "1", "2"),
        ((1, 2), "2", "2"),
        ((2, 0), "2", "2"),
        ((2, 1), "2", "2"),
        ((2, 2), "2", "2"),
    ],
)
def test_the_weaker_level_decides(ranges, ours, english):
    """All nine pairs; read literally, the English text knows only two that are not class 2."""
    assert class_of(*ranges) == ours
    assert class_of(*ranges, strict_english=True) == english


@pytest.mark.parametrize("absent", ["rsrp", "sinr", "cell_id"])
def test_a_report_is_complete_or_has_no_class(absent):
    """RSRP, SINR and cell ID: where one is missing the cell ID is asked for by itself."""
    assert class_by(**{absent: None}) == "-"


def test_a_plain_lwm2m_10_device_has_no_class():
    """Object 4 version 1.0 has no SINR: by design, not an error."""
    measurement = measured(RadioReport(rsrp=-98, cell_id=187654321), RadioRules())
    assert measurement.radio_class is None
    assert measurement.cell == Cell(187654321)


@pytest.mark.parametrize(
    ("ce_level", "expected"),
    [(0, "0"), (1, "0"), (2, "1"), (3, "2"), (4, "2"), (5, "-"), (-1, "-"), (None, "-")],
)
def test_ce_level_stands_in_for_sinr_where_wanted(ce_level, expected):
    """4/0/13 counts from "no CE used": 1 is level 0."""
    assert class_by(RadioRules(use_ce_level=True), sinr=None, ce_level=ce_level) == expected
    assert class_by(sinr=None, ce_level=ce_level) == "-"


def test_a_measured_sinr_is_better_than_a_ce_level():
    """The level is asked only where SINR is missing."""
    assert class_by(RadioRules(use_ce_level=True), sinr=9, ce_level=4) == "0"


def test_the_network_is_kept_without_a_cell():
    """The cell ID alone may follow, and belongs to it."""
    measurement = measured(report(cell_id=None, smcc=460, smnc=1), RadioRules())
    assert (measurement.cell, measurement.smcc, measurement.smnc) == (None, 460, 1)


def test_thresholds_are_configuration():
    """Networks differ: in-band carriers have 8 dB less."""
    assert class_by(RadioRules(rsrp_dbm=(-120, -130, -140)), rsrp=-118) == "0"


@pytest.mark.parametrize("bounds", [(-122, -112, -132), (-112, -112, -132)])
def test_thresholds_that_do_not_descend_are_refused(bounds):
    """Ranges would overlap."""
    with pytest.raises(ValueError, match="descending"):
        RadioRules(rsrp_dbm=bounds)


@given(
    st.builds(RadioReport, **dict.fromkeys(["rsrp", "sinr"], NUMBERS))
    | st.builds(
        RadioReport,
        rsrp=NUMBERS,
        sinr=NUMBERS,
        cell_id=st.none() | st.integers(),
        smnc=st.none() | st.integers(),
        smcc=st.none() | st.integers(),
        ce_level=st.none() | st.integers(),
    ),
    st.booleans(),
    st.booleans(),
)
def test_whatever_is_reported_has_a_class_or_is_incomplete(reported, strict_english, use_ce_level):
    """No report is an error, and one that has it all has a class."""
    rules = RadioRules(strict_english=strict_english, use_ce_level=use_ce_level)
    measurement = measured(reported, rules)
    whole = None not in (measurement.cell, measurement.rsrp_dbm, measurement.sinr_db)
    assert measurement.radio_class in {None, *RadioClass}
    assert (measurement.radio_class is not None) >= whole
    assert measurement.radio_class is not RadioClass.UNKNOWN
