"""Alarms of models that have changed; what a judge said of an answer, and how far to believe it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Make and change the tables."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "alarms",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("num_outcomes", sa.BigInteger, nullable=False),
        sa.Column("expected", sa.Double, nullable=False),
        sa.Column("observed", sa.Double, nullable=False),
        sa.Column("is_shared", sa.Boolean, nullable=False),
        sa.Column("forgets", sa.Boolean, nullable=False),
        sa.Column("closed", sa.Double),
        sqlite_autoincrement=True,
    )
    for name in ("score", "hit_rate", "false_alarm_rate", "chance"):
        op.add_column("outcomes", sa.Column(name, sa.Double))
