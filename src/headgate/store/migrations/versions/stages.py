"""Stages, gates, schedules, windows and pauses of campaigns. Older ones have one stage of all devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STRING = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# The last attempt of each device in a campaign.
LAST = """
    FROM tasks AS t WHERE NOT EXISTS (
        SELECT 1 FROM tasks AS later WHERE later.endpoint = t.endpoint
        AND later.campaign_id = t.campaign_id AND later.attempt > t.attempt)
"""
COUNTED = {
    "begun": "FROM tasks AS t WHERE t.attempt = 1 AND t.state <> 'created'",
    "ended": f"{LAST} AND t.ended_s IS NOT NULL",
    "succeeded": f"{LAST} AND t.state IN ('success', 'done_same')",
    "failed": f"{LAST} AND t.state = 'failed'",
    "executed": "FROM tasks AS t WHERE t.state IN ('success', 'done_same', 'failed')",
    "errors": "FROM tasks AS t WHERE t.state = 'failed'",
}


def upgrade() -> None:
    """Add the columns, and count what the counters have not said up to now."""
    for column in (
        sa.Column("stages", STRING, server_default="", nullable=False),
        sa.Column("gate", STRING, server_default="", nullable=False),
        sa.Column("confirm", STRING, server_default="none", nullable=False),
        sa.Column("start_s", sa.Double(), nullable=True),
        sa.Column("windows", STRING, server_default="", nullable=False),
        sa.Column("timezone", STRING, server_default="UTC", nullable=False),
        sa.Column("stage", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("confirmed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("hold", STRING, nullable=True),
        sa.Column("reason", STRING, server_default="", nullable=False),
        sa.Column("released_s", sa.Double(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
    ):
        op.add_column("campaigns", column)
    op.execute(
        "UPDATE campaigns SET stages = '[[' || (SELECT count(*) FROM tasks AS t"
        " WHERE t.campaign_id = campaigns.id AND t.attempt = 1) || ', null]]'"
    )
    op.execute("UPDATE campaigns SET stage = 1 WHERE started_s IS NOT NULL")
    for what, rows in COUNTED.items():
        op.execute(
            "INSERT INTO counters (campaign_id, name, value)"
            f" SELECT t.campaign_id, 'stage 1 {what}', count(*) {rows} GROUP BY t.campaign_id"
        )
