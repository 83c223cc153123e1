"""The tables of a store, as they are in its newest version.

Money is a whole number of nanodollars: 1,000,000,000 of them are one US dollar. Times are seconds
since 1970, UTC. The migrations beside this file make the tables.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

__all__ = [
    "METADATA",
    "alarms",
    "applied",
    "budgets",
    "calls",
    "changes",
    "decisions",
    "keys",
    "outcomes",
    "prices",
    "settings",
    "teams",
]

METADATA = MetaData()

decisions = Table(
    "decisions",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("time", Double, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("request_id", Text),
    Column("key_id", Text),
    Column("session", Text),
    Column("policy", Text, nullable=False),
    Column("route", Text),
    Column("task", Text),
    Column("prompt", Text),
    Column("prompt_hash", String(64)),
    Column("chosen", Text),  # by the router; NULL where the client named a model
    Column("asked", Text),  # the model that was asked first; NULL where nobody was to be asked
    Column("is_observed", Boolean, nullable=False),
    Column("expected_nanousd", BigInteger),  # of the model that was asked first
    Column("expected_utility", Double),  # of the same, by the policy
    Column("candidates", Text, nullable=False),  # JSON, see `call_store.list_candidates`
    Column("artifact", Text, nullable=False),
    Column("context", Text),  # JSON, a list of documents; kept where the prompt is, as these are:
    Column("embedding", Text),  # JSON, a list of numbers
    Column("embedding_encoder", Text),
    Index("decisions_by_time", "time"),
)
calls = Table(
    "calls",
    METADATA,
    Column("decision_id", String(64), primary_key=True),
    Column("time", Double, nullable=False),
    Column("model", Text),  # who answered; NULL where nobody did
    Column("status", Integer, nullable=False),
    Column("num_attempts", Integer, nullable=False),
    Column("failures", Text, nullable=False),
    Column("latency_s", Double, nullable=False),
    Column("ttft_s", Double),
    Column("input_tokens", BigInteger),
    Column("cached_input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost_nanousd", BigInteger),  # NULL where the tokens or the price are unknown
)
outcomes = Table(
    "outcomes",
    METADATA,
    Column(
        "number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("id", String(200), nullable=False, unique=True),
    Column("time", Double, nullable=False),
    Column("decision_id", String(64)),
    Column("model", Text, nullable=False),
    Column("effect", Double, nullable=False),
    Column("grader", Text, nullable=False),
    Column("key_id", Text),
    Column("task", Text),
    Column("prompt", Text),  # NULL where nobody has given it: such a grade teaches no router
    Column("score", Double),  # what a judge said, of which `effect` is what is believed
    Column("hit_rate", Double),  # of that judge, as `graphrouter.Judge` has it
    Column("false_alarm_rate", Double),
    Column("chance", Double),  # with which the judge was asked
    Column("user", Text),  # whose grade it is, where the client says so
    Column("team", Text),
    Column("context", Text),  # as of decisions
    Column("embedding", Text),
    Column("embedding_encoder", Text),
    Index("outcomes_by_decision", "decision_id"),
    sqlite_autoincrement=True,
)
alarms = Table(  # models whose grades are not what was expected
    "alarms",
    METADATA,
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    Column("time", Double, nullable=False),
    Column("model", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("since", BigInteger, nullable=False),  # numbers of outcomes
    Column("number", BigInteger, nullable=False),
    Column("num_outcomes", BigInteger, nullable=False),
    Column("expected", Double, nullable=False),
    Column("observed", Double, nullable=False),
    Column("is_shared", Boolean, nullable=False),
    Column("forgets", Boolean, nullable=False),
    Column("closed", Double),  # NULL while it is open
    sqlite_autoincrement=True,
)
keys = Table(
    "keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("revoked", Double),
    Column("nanousd_per_day", BigInteger),
    Column("over_budget", Text, nullable=False),
    Column("team_id", String(16)),
    Column("policy", Text),  # JSON, or the name of a preset, as `read_stated_policy` reads it
    Column("route", Text),
    Column("models", Text),  # JSON, a list of names; NULL for all
)
teams = Table(
    "teams",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created", Double, nullable=False),
    Column("nanousd_per_day", BigInteger),
    Column("over_budget", Text, nullable=False),
)
budgets = Table(
    "budgets",
    METADATA,
    Column("owner_id", String(16), primary_key=True),  # a key or a team
    Column("day", String(10), primary_key=True),  # of UTC, such as 2026-05-01
    Column("spent_nanousd", BigInteger, nullable=False),
    Column("reserved_nanousd", BigInteger, nullable=False),  # by calls that have not ended
)
prices = Table(
    "prices",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("since", Double, primary_key=True),
    Column("input_nanousd_per_mtok", BigInteger),
    Column("cached_input_nanousd_per_mtok", BigInteger),
    Column("output_nanousd_per_mtok", BigInteger),
)
applied = Table(  # up to which outcome an artifact has learned from this store
    "applied",
    METADATA,
    Column("artifact", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
)
changes = Table(  # of what gateways serve, by their admins
    "changes",
    METADATA,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("key_id", Text),
    Column("artifact", Text, nullable=False),  # that served then
    Column("kind", Text, nullable=False),
    Column("name", Text),
    Column("body", Text, nullable=False),  # JSON
)
settings = Table(
    "settings",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
