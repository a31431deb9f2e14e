"""Web hooks, and the outbox of what they are to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STRING = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "hooks",
        sa.Column("id", STRING, nullable=False),
        sa.Column("url", STRING, nullable=False),
        sa.Column("events", STRING, nullable=False),
        sa.Column("secret", STRING, nullable=False),
        sa.Column("created_s", sa.Double(), nullable=False),
        sa.Column("lost", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("overflowed_s", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "outbox",
        sa.Column("hook_id", STRING, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", STRING, nullable=False),
        sa.Column("event", STRING, nullable=False),
        sa.Column("endpoint", STRING, nullable=False),
        sa.Column("campaign_id", STRING, nullable=False),
        sa.Column("body", STRING, nullable=False),
        sa.Column("at_s", sa.Double(), nullable=False),
        sa.Column("since_s", sa.Double(), nullable=False),
        sa.Column("state", STRING, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", STRING, nullable=True),
        sa.PrimaryKeyConstraint("hook_id", "number"),
    )
    op.create_index("outbox_state", "outbox", ["hook_id", "state", "number"], unique=False)
