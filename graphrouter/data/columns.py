"""The data contract in one place.

Which tables there are, their columns and the range of every number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TableName = Literal["queries", "models", "outcomes", "tasks"]
SplitName = Literal["train", "validation", "test"]

TABLES: tuple[TableName, ...] = ("queries", "models", "outcomes", "tasks")
OPTIONAL_TABLES: tuple[TableName, ...] = ("tasks",)
"""Tables that a dataset may come without."""
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")

REQUIRED: dict[TableName, tuple[str, ...]] = {
    "queries": ("query_id", "task", "prompt"),
    "models": ("model",),
    "outcomes": ("query_id", "model", "effect"),
    "tasks": ("task",),
}
KEYS: dict[TableName, tuple[str, ...]] = {
    "queries": ("query_id",),
    "models": ("model",),
    "outcomes": ("query_id", "model"),
    "tasks": ("task",),
}
TEXTS: dict[TableName, tuple[str, ...]] = {
    "queries": ("task",),
    "models": ("description", "family"),
    "outcomes": (),
    "tasks": ("description",),
}
PEOPLE = ("user", "team")
"""Columns of queries that say who asked: a person, and a group that the person belongs to."""
OPTIONAL_TEXTS: dict[TableName, tuple[str, ...]] = {
    "queries": ("split", *PEOPLE),
    "models": ("base", "parameters", "kind"),
    "outcomes": ("answer",),
    "tasks": (),
}
"""Text columns that a table has only when they were given: the side of a query and who asked it,
the model that a candidate is a setting of and what to send (JSON), what kind of candidate it is,
and what a model answered."""
VIEWS: tuple[str, ...] = ("context", "embedding", "embedding_encoder")
"""Columns of queries that hold what goes with a query beside its text. A table has them only when
they were given: documents (a list of texts), a vector (a list of numbers), and what made it."""
CAPABILITIES: tuple[str, ...] = ("tools", "vision", "json")


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of numbers and the range that its known values must lie in."""

    name: str
    what: str
    """What the column means, for messages."""
    at_most: float = float("inf")
    positive: bool = False
    """Zero is refused as well."""

    @property
    def is_share(self) -> bool:
        """Whether the values are shares from 0 to 1."""
        return self.at_most == 1

    @property
    def expected(self) -> str:
        """The accepted range in words."""
        if self.at_most < float("inf"):
            return f"a number from 0 to {self.at_most:g}"
        return "a finite number above 0" if self.positive else "a finite number of at least 0"


NUMBERS: dict[TableName, tuple[NumberColumn, ...]] = {
    "queries": (),
    "models": (
        NumberColumn("input_usd_per_mtok", "US dollars per million prompt tokens"),
        NumberColumn("output_usd_per_mtok", "US dollars per million completion tokens"),
        NumberColumn("context_tokens", "longest prompt plus completion", positive=True),
        NumberColumn("num_params", "number of parameters", positive=True),
    ),
    "outcomes": (
        NumberColumn("effect", "quality of the answer", at_most=1.0),
        NumberColumn("cost_usd", "US dollars of the call"),
        NumberColumn("input_tokens", "prompt tokens"),
        NumberColumn("output_tokens", "completion tokens"),
        NumberColumn("latency_s", "seconds to the end of the answer"),
    ),
    "tasks": (),
}
NUM_RUNS = NumberColumn("num_runs", "runs that the row is the mean of", positive=True)
"""Stands in outcomes that were averaged, and is absent where every row is one run."""
SPEEDS: tuple[NumberColumn, ...] = (
    NumberColumn("ttft_s", "seconds to the first token of the answer"),
    NumberColumn(
        "output_tokens_per_s", "output tokens a second from the first to the last", positive=True
    ),
)
"""Numbers of outcomes that are there only where they were logged."""
OUTCOME_NUMBERS: tuple[str, ...] = tuple(column.name for column in NUMBERS["outcomes"])
SHORT_NAMES = {"cost": "cost_usd", "tokens": "output_tokens", "latency": "latency_s"}
"""What columns of outcomes may be called for short where a table is not one of a dataset's four."""


def list_columns(table: TableName) -> tuple[str, ...]:
    """All columns of the contract for `table`, in the order in which they are saved."""
    named = [*REQUIRED[table], *TEXTS[table], *(column.name for column in NUMBERS[table])]
    if table == "models":
        named += CAPABILITIES
    if table == "queries":
        named += VIEWS
    named += OPTIONAL_TEXTS[table]
    if table == "outcomes":
        named += [NUM_RUNS.name, *(column.name for column in SPEEDS)]
    return tuple(dict.fromkeys(named))
