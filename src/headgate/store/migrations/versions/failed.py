"""Failed tasks are found by their campaign and their cause, however few of very many they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

FAILED = sa.text("failure IS NOT NULL")


def upgrade() -> None:
    """Add the indexes; of other tasks they hold nothing."""
    for name, columns in (
        ("tasks_failed", ["campaign_id", "id"]),
        ("tasks_failure", ["campaign_id", "failure", "id"]),
    ):
        op.create_index(name, "tasks", columns, sqlite_where=FAILED, postgresql_where=FAILED)
