"""Whose taste a grade is, where clients say so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Make and change the tables."""
    for name in ("user", "team"):
        op.add_column("outcomes", sa.Column(name, sa.Text))
