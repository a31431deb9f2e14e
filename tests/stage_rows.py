"""What the rows say of campaigns with one stage that were never resumed: campaign, counter and value."""

from __future__ import annotations

LAST = """t.ended_s IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM tasks AS later WHERE later.endpoint = t.endpoint
    AND later.campaign_id = t.campaign_id AND later.attempt > t.attempt)"""
GOOD, BAD = "t.state IN ('success', 'done_same')", "t.state = 'failed'"
COUNTED = {
    "begun": "t.attempt = 1 AND t.state <> 'created'",
    "ended": LAST,
    "succeeded": f"{GOOD} AND {LAST}",
    "failed": f"{BAD} AND {LAST}",
    "executed": f"({GOOD} OR {BAD})",
    "errors": BAD,
}
STAGES = " UNION ALL ".join(
    f"SELECT t.campaign_id, 'stage 1 {what}' AS name, count(*) AS value FROM tasks AS t WHERE {so} "
    "GROUP BY t.campaign_id"
    for what, so in COUNTED.items()
)
