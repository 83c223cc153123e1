"""Decisions, calls, outcomes, keys, budgets and prices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.Column("key_id", sa.Text),
        sa.Column("session", sa.Text),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("route", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("prompt", sa.Text),
        sa.Column("prompt_hash", sa.String(64)),
        sa.Column("chosen", sa.Text),
        sa.Column("asked", sa.Text),
        sa.Column("is_observed", sa.Boolean, nullable=False),
        sa.Column("expected_nanousd", sa.BigInteger),
        sa.Column("candidates", sa.Text, nullable=False),
        sa.Column("artifact", sa.Text, nullable=False),
    )
    op.create_index("decisions_by_time", "decisions", ["time"])
    op.create_table(
        "calls",
        sa.Column("decision_id", sa.String(64), primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("num_attempts", sa.Integer, nullable=False),
        sa.Column("failures", sa.Text, nullable=False),
        sa.Column("latency_s", sa.Double, nullable=False),
        sa.Column("ttft_s", sa.Double),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("cached_input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cost_nanousd", sa.BigInteger),
    )
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "outcomes",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(200), nullable=False, unique=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("decision_id", sa.String(64)),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("effect", sa.Double, nullable=False),
        sa.Column("grader", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("task", sa.Text),
        sa.Column("prompt", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("outcomes_by_decision", "outcomes", ["decision_id"])
    op.create_table(
        "keys",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("revoked", sa.Double),
        sa.Column("nanousd_per_day", sa.BigInteger),
        sa.Column("over_budget", sa.Text, nullable=False),
    )
    op.create_table(
        "budgets",
        sa.Column("key_id", sa.String(16), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("spent_nanousd", sa.BigInteger, nullable=False),
        sa.Column("reserved_nanousd", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "prices",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("since", sa.Double, primary_key=True),
        sa.Column("input_nanousd_per_mtok", sa.BigInteger),
        sa.Column("cached_input_nanousd_per_mtok", sa.BigInteger),
        sa.Column("output_nanousd_per_mtok", sa.BigInteger),
    )
    op.create_table(
        "applied",
        sa.Column("artifact", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
