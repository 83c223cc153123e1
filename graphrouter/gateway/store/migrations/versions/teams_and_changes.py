"""Teams and policies of keys, changes of the pool by admins, the utility that was expected."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Make and change the tables."""
    op.create_table(
        "teams",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("nanousd_per_day", sa.BigInteger),
        sa.Column("over_budget", sa.Text, nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("artifact", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
    )
    for column in (
        sa.Column("team_id", sa.String(16)),
        sa.Column("policy", sa.Text),
        sa.Column("route", sa.Text),
        sa.Column("models", sa.Text),
    ):
        op.add_column("keys", column)
    op.add_column("decisions", sa.Column("expected_utility", sa.Double))
    op.alter_column("budgets", "key_id", new_column_name="owner_id")
