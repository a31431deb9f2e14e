"""Whole rows for tests of what is stored: each column has a value, those named have theirs."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def task(number: int, campaign: str = "c", **columns: Any) -> Row:
    """A task in the middle of its download."""
    row: Row = {
        "id": f"{campaign}-{number:08d}",
        "campaign_id": campaign,
        "endpoint": f"urn:imei:{number:015d}",
        "attempt": 1,
        "state": "downloading",
        "entered_s": 1_700_000_000.25 + number,
        "stage_s": 1_700_000_000.0,
        "deadline_s": 1_700_003_600.0,
        "uri": "coap://server/abcdefghijklmnop",
        "cell_id": 187654321,
        "smcc": 460,
        "smnc": 0,
        "rsrp_dbm": -98.3,
        "sinr_db": 9.0,
        "radio_class": "0",
        "measured_s": 1_700_000_000.0,
        "waiting_s": 0.0,
        "queued_s": 0.0,
        "version": "V1.0",
        "state_seen_s": 1_700_000_000.0,
        "reading": '{"result":null,"version":null,"state":1}',
        "refused": "",
        "marks": "granted observed",
        "failure": None,
        "detail_at": None,
        "detail_code": None,
        "detail_note": None,
        "created_s": 1_700_000_000.0,
        "ended_s": None,
        "active": True,
    }
    return row | columns


def device(number: int, **columns: Any) -> Row:
    """A registered device, of which the upgrade knows nothing yet."""
    row: Row = {
        "endpoint": f"urn:imei:{number:015d}",
        "location": f"l{number}",
        "registered_s": 1_700_000_000.0,
        "expires_s": 1_700_086_400.0,
        "lifetime_s": 86400,
        "lwm2m_version": "1.1",
        "binding": "UQ",
        "queue_mode": True,
        "sms": None,
        "links": "</1/0>,</3/0>,</5/0>",
        "address": b"\x02\0\x16\x33\x7f\0\0\1",
        "control": b"",
        "heard_s": 1_700_000_000.5,
        "formats": "",
        "version": None,
        "cell": None,
        "radio_class": None,
        "product": None,
        "group_name": None,
    }
    return row | columns


def effect(number: int, **columns: Any) -> Row:
    """A command that waits for its answer."""
    row: Row = {
        "id": number,
        "task_id": f"c-{number:08d}",
        "endpoint": f"urn:imei:{number:015d}",
        "effect": "ReadRadio",
        "arguments": "",
        "asked_s": 1_700_000_000.0,
        "due_s": None,
    }
    return row | columns


def event(number: int, **columns: Any) -> Row:
    """Something that happened to a device."""
    row: Row = {
        "at_s": 1_700_000_000.0 + number,
        "endpoint": f"urn:imei:{number:015d}",
        "task_id": f"c-{number:08d}",
        "campaign_id": "c",
        "step": 11,
        "what": "DownloadReported",
        "detail": "",
    }
    return row | columns
