"""What goes with a prompt beside its text: context and embedding, of decisions and of grades."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Make and change the tables."""
    for table in ("decisions", "outcomes"):
        for name in ("context", "embedding", "embedding_encoder"):
            op.add_column(table, sa.Column(name, sa.Text))
