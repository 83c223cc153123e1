"""A routing dataset: four checked tables, and the views that others take of them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from graphrouter.data.columns import KEYS, OUTCOME_NUMBERS, SPEEDS, TABLES, TableName, list_columns
from graphrouter.data.own_columns import list_own_columns, list_own_numbers
from graphrouter.data.table_files import TableFormat, write_tables
from graphrouter.data.validation import normalise_frames, pair_positions
from graphrouter.exceptions import DataError
from graphrouter.files import to_path
from graphrouter.lazy import pandas as pd
from graphrouter.notebook import render_table
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.types import FloatArray, IntArray
from graphrouter.wording import count_of, show_value

_CELLS_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False, repr=False)
class RoutingDataset:
    """Queries, models and what is known of their pairs.

    Make one with `from_frames` or `load_dataset`, which check it.

    Example:
        >>> prompts = [("a", "sums", "1 + 1?"), ("b", None, "Say hello.")]
        >>> runs = [("a", "nano", 0), ("a", "grand", 1), ("b", "grand", 0.5)]
        >>> queries = pd.DataFrame(prompts, columns=["query_id", "task", "prompt"])
        >>> models = pd.DataFrame({"model": ["nano", "grand"]})
        >>> outcomes = pd.DataFrame(runs, columns=["query_id", "model", "effect"])
        >>> data = RoutingDataset.from_frames(queries=queries, models=models, outcomes=outcomes)
        >>> data.outcome_matrix("effect").tolist()
        [[0.0, 1.0], [nan, 0.5]]
    """

    name: str
    queries: pd.DataFrame
    """query_id, task (NaN = unknown), prompt; optional split (train, validation, test), what goes
    with the query (`context`: a list of texts, `embedding`: an array in single precision with its
    `embedding_encoder`; None where there is none) and metadata."""
    models: pd.DataFrame
    """model, description, family, prices (US dollars per million tokens), context_tokens,
    num_params, capabilities, where given `base` and `parameters` (JSON text), and columns of your
    own, which become fields of the cards; NaN or None = not known."""
    outcomes: pd.DataFrame
    """query_id, model, effect in [0, 1] (NaN = nobody graded the answer), and float64 cost_usd,
    input_tokens, output_tokens, latency_s (NaN = not observed). Where given, `answer` holds what
    the model said (NaN = not recorded), and `ttft_s` and `output_tokens_per_s` how fast it came.
    Columns of numbers of the user's own are kept as metadata (NaN = not stated). A pair that was
    not run has no row."""
    tasks: pd.DataFrame
    """task, description (NaN = none); a row for every task of `queries`."""

    def __repr__(self) -> str:
        return (
            f"RoutingDataset({self.name!r}: {count_of(len(self.queries), 'query')}, "
            f"{len(self.models):,} "
            f"models, {count_of(len(self.outcomes), 'outcome')}, "
            f"{count_of(len(self.tasks), 'task')})"
        )

    def _repr_html_(self) -> str:
        by_model = self.outcomes.groupby("model")
        found = by_model.agg(number=("effect", "count"), effect=("effect", "mean"))
        rows = (
            (model, int(found["number"].get(model, 0)), float(found["effect"].get(model, math.nan)))
            for model in self.models["model"]
        )
        return render_table(repr(self), ("model", "graded", "mean effect"), rows)

    @classmethod
    def from_frames(
        cls,
        *,
        queries: pd.DataFrame,
        models: pd.DataFrame,
        outcomes: pd.DataFrame,
        tasks: pd.DataFrame | None = None,
        name: str = "dataset",
    ) -> RoutingDataset:
        """A dataset of the frames, checked and completed.

        The frames themselves are left as they are.

        Raises:
            DataError: A table breaks the contract; the message names the table, the row and the
                mending.
        """
        return build_dataset(
            {"queries": queries, "models": models, "outcomes": outcomes, "tasks": tasks}, name=name
        )

    @cached_property
    def pool(self) -> ModelPool:
        """The cards of the models, in the order of the models table."""
        known = [name for name in list_columns("models") if name in self.models.columns]
        known += list_own_columns(self.models)
        return ModelPool.of(
            _make_card(dict(zip(known, row, strict=True)))
            for row in self.models[known].itertuples(index=False, name=None)
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the contents.

        The same for any row order and file format, another for any other value.

        Metadata columns do not count, since nothing is learned from them; numbers of the models
        table do, since they are fields of the cards.
        """
        digest = hashlib.sha256()
        for table in TABLES:
            frame: pd.DataFrame = getattr(self, table)
            keys = frame[list(KEYS[table])].reset_index(drop=True)
            order = keys.sort_values(list(KEYS[table]), kind="stable").index.to_numpy()
            own = list_own_numbers(frame) if table == "models" else []
            for column in (*list_columns(table), *sorted(own)):
                if column in frame.columns:  # one at a time: a long log is not copied as a whole
                    digest.update(f"{table}.{column}:".encode())
                    for part in _encode_column(frame[column].take(order)):
                        digest.update(part)
        return digest.hexdigest()

    @cached_property
    def pair_positions(self) -> tuple[IntArray, IntArray]:
        """Row in `queries` and row in `models` of every outcome, (num_outcomes,) each."""
        return pair_positions(self.outcomes, self.queries, self.models)

    def select_queries(self, query_ids: Sequence[str]) -> RoutingDataset:
        """The dataset of these queries alone, in the order given, with their outcomes.

        Models and tasks stay.

        Raises:
            DataError: An id is unknown or occurs twice.
        """
        positions = self._query_positions(query_ids)
        if len(np.unique(positions)) < len(positions):
            twice = next(query for i, query in enumerate(query_ids) if query in query_ids[:i])
            raise DataError(
                f"select_queries received {twice!r} more than once; expected distinct ids. Drop "
                "the repetition."
            )
        chosen = np.zeros(len(self.queries), dtype=bool)
        chosen[positions] = True
        queries = self.queries.iloc[positions].reset_index(drop=True)
        outcomes = self.outcomes[chosen[self.pair_positions[0]]].reset_index(drop=True)
        return replace(self, queries=queries, outcomes=outcomes)

    def select_models(self, models: Sequence[str]) -> RoutingDataset:
        """The dataset of these models alone, in the order given, with their outcomes.

        Queries and tasks stay.

        Raises:
            UnknownModelError: The dataset has no such model.
            DataError: A model occurs twice.
        """
        positions = np.array([self.pool.position(model) for model in models], dtype=np.int64)
        if len(set(models)) < len(positions):
            raise DataError(
                f"select_models received {len(positions)} names, not all distinct. Drop the "
                "repetition."
            )
        chosen = np.zeros(len(self.models), dtype=bool)
        chosen[positions] = True
        frame = self.models.iloc[positions].reset_index(drop=True)
        outcomes = self.outcomes[chosen[self.pair_positions[1]]].reset_index(drop=True)
        return replace(self, models=frame, outcomes=outcomes)

    def outcome_matrix(self, column: str, query_ids: Sequence[str] | None = None) -> FloatArray:
        """One column of the outcomes as a matrix.

        Args:
            column: effect, cost_usd, input_tokens, output_tokens or latency_s, or ttft_s and
                output_tokens_per_s where they were logged.
            query_ids: Rows wanted, in this order; all queries by default.

        Returns:
            (num_queries, num_models), in the units of the column, NaN = not observed.

        Raises:
            DataError: The column or a query is unknown.
        """
        there = [
            *OUTCOME_NUMBERS,
            *(speed.name for speed in SPEEDS if speed.name in self.outcomes.columns),
        ]
        if column not in there:
            raise DataError(
                f"outcome_matrix received the column {column!r}; expected one of "
                f"{', '.join(there)}."
            )
        matrix = np.full((len(self.queries), len(self.models)), np.nan)
        rows, columns = self.pair_positions
        matrix[rows, columns] = self.outcomes[column].to_numpy(dtype=np.float64)
        return matrix if query_ids is None else matrix[self._query_positions(query_ids)]

    def save(self, folder: str | Path, *, format: TableFormat = "parquet") -> None:
        """Write the four tables as files of one format into `folder`.

        It is made when it is absent.

        Raises:
            DataError: The folder holds one of the tables in another format, or the format is
                unknown.
        """
        write_tables(
            {table: getattr(self, table) for table in TABLES},
            to_path(folder, "a dataset", DataError),
            format=format,
        )

    def _query_positions(self, query_ids: Sequence[str]) -> IntArray:
        known = pd.Index(self.queries["query_id"])
        positions: IntArray = known.get_indexer(pd.Index(list(query_ids), dtype="str")).astype(
            np.int64
        )
        if (positions < 0).any():
            unknown = query_ids[int(np.argmax(positions < 0))]
            raise DataError(
                f"Unknown query id {show_value(unknown)} in dataset {self.name!r} of "
                f"{count_of(len(self.queries), 'query')}."
            )
        return positions


def build_dataset(
    frames: Mapping[TableName, pd.DataFrame | None],
    *,
    name: str,
    sources: Mapping[TableName, str] | None = None,
) -> RoutingDataset:
    """A dataset of raw frames; `sources` says what to call each table in messages.

    Raises:
        DataError: A table breaks the contract.
    """
    clean = normalise_frames(frames, sources)
    return RoutingDataset(
        name=name,
        queries=clean["queries"],
        models=clean["models"],
        outcomes=clean["outcomes"],
        tasks=clean["tasks"],
    )


def _make_card(row: dict[str, object]) -> ModelCard:
    known = {name: value for name, value in row.items() if not pd.isna(value)}  # type: ignore[call-overload]
    if "context_tokens" in known:
        known["context_tokens"] = max(1, int(known["context_tokens"]))  # type: ignore[call-overload]
    return ModelCard.model_validate(known)


def _encode_column(column: pd.Series) -> Iterator[bytes]:
    """Bytes that two columns share if and only if they hold the same values, part after part."""
    if column.dtype == np.float64:
        values = column.to_numpy(dtype="<f8") + 0.0  # -0.0 becomes 0.0
        yield np.where(np.isnan(values), np.nan, values).tobytes()
        return
    # One list in JSON, written some cells at a time.
    yield b"["
    for first in range(0, len(column), _CELLS_AT_ONCE):
        some = column.iloc[first : first + _CELLS_AT_ONCE].tolist()
        cells = [x.tolist() if isinstance(x, np.ndarray) else x for x in some]
        known = [None if value is None or value != value else value for value in cells]
        yield (", " if first else "").encode() + json.dumps(known)[1:-1].encode()
    yield b"]"


def check_is_dataset(data: object, name: str) -> None:
    """Refuse what is no dataset where `name`, a function, expects one.

    Raises:
        DataError: It is something else; says how to make one of it.
    """
    if isinstance(data, RoutingDataset):
        return
    is_table = isinstance(data, pd.DataFrame | Mapping)
    mending = (
        "Make one with graphrouter.data.read_answers(table)"
        if is_table
        else ("Load one with graphrouter.load_dataset(PATH)")
    )
    raise DataError(f"{name} received a {type(data).__name__}; expected a dataset. {mending}.")
