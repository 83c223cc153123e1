"""New models as baselines see them: cards and outcomes in one checked form.

Every method extends itself by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from graphrouter.bench.observations import ObservedOutcomes
from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.new_cards import check_frame, pool_with
from graphrouter.types import QUANTITIES, FloatArray, QuantityArrays, Queries

if TYPE_CHECKING:
    import pandas as pd

Arrays = TypeVar("Arrays", bound=QuantityArrays)


@dataclass(frozen=True, eq=False)
class NewModels:
    """Models that join a fitted baseline, with what was observed of them.

    Example:
        >>> import pandas as pd
        >>> outcomes = pd.DataFrame({"model": ["new"], "prompt": ["1 + 1?"], "effect": [1.0]})
        >>> pool = ModelPool.of([ModelCard(model="old")])
        >>> new = NewModels.of(pool, [ModelCard(model="new")], outcomes)
        >>> new.pool.names, new.effect.tolist()
        (('old', 'new'), [[1.0]])
    """

    pool: ModelPool
    """The whole pool, the new models last."""
    queries: Queries
    """What any of them was asked, each query once."""
    outcomes: ObservedOutcomes
    """What was observed, (num_queries, num_new) each."""

    @classmethod
    def of(cls, pool: ModelPool, cards: Sequence[ModelCard], outcomes: pd.DataFrame | None) -> Self:
        """The cards and outcomes, checked.

        Args:
            pool: The models that the baseline knows.
            cards: The new models.
            outcomes: See `Router.add_models`; None where nothing was observed.

        Raises:
            DataError: There is no card, two share a name, a name is in the pool, or the outcomes
                break the contract.
            UnknownModelError: An outcome is of a model that is not among the cards.
        """
        wider = pool_with(pool, cards)
        names = tuple(card.model for card in cards)
        if outcomes is None:
            return cls(wider, Queries.of([]), ObservedOutcomes.none(names))
        return cls(wider, *_read_outcomes(outcomes, wider, names))

    @property
    def num_new(self) -> int:
        """How many models join."""
        return len(self.outcomes.models)

    @property
    def effect(self) -> FloatArray:
        """Observed effects, (num_queries, num_new), NaN = not observed."""
        return self.outcomes.effect

    @property
    def counts(self) -> FloatArray:
        """(num_new,) number of outcomes of each."""
        return np.asarray(np.isfinite(self.effect).sum(axis=0), dtype=np.float64)


def join_columns(table: Arrays, columns: Arrays) -> Arrays:
    """The table with further columns on its right; both have the same rows."""
    joined = (np.hstack([getattr(table, name), getattr(columns, name)]) for name in QUANTITIES)
    return type(table)((*table.models, *columns.models), *joined)


def _read_outcomes(
    outcomes: pd.DataFrame, wider: ModelPool, names: tuple[str, ...]
) -> tuple[Queries, ObservedOutcomes]:
    """Queries and outcomes; see the fields of `NewModels`."""
    import pandas as pd  # a router that only predicts needs no tables

    from graphrouter.data.schema import build_dataset

    clean = _check_rows(outcomes, names)
    ids = _number_queries(clean)
    frame = clean.assign(query_id=ids)
    first = frame.drop_duplicates("query_id")
    data = build_dataset(
        {
            "queries": first[["query_id", "task", "prompt"]],
            "models": pd.DataFrame([card.model_dump(by_alias=True) for card in wider]),
            "outcomes": frame.drop(columns=["prompt", "task"]),
        },
        name="outcomes",
        sources={"outcomes": "outcomes"},
    )
    columns = [wider.index[name] for name in names]
    matrices = (data.outcome_matrix(name)[:, columns] for name in QUANTITIES)
    return Queries.of_frame(data.queries), ObservedOutcomes(names, *matrices)


def _check_rows(outcomes: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """The outcomes, clean; refuses those that do not say of which model and on which prompt."""
    from graphrouter.data.new_outcomes import read_new_outcomes
    from graphrouter.data.values import make_row_error

    check_frame(outcomes)
    if outcomes.empty:
        raise DataError(
            "outcomes has no rows; expected at least one outcome. Leave outcomes out where "
            "nothing was observed."
        )
    named = {str(name).strip() for name in outcomes.columns}
    if {"model", "effect"} <= named and "prompt" not in named:
        found = ", ".join(map(str, outcomes.columns))
        raise DataError(
            f"outcomes: column 'prompt' is missing (found: {found}). Add it. Baselines keep no "
            "prompts, so a query_id alone tells them nothing."
        )
    clean = read_new_outcomes(outcomes, "outcomes", models=names)
    blank = clean["prompt"].isna().to_numpy(dtype=bool).nonzero()[0]
    if len(blank):
        raise make_row_error(
            "outcomes",
            blank.tolist(),
            "prompt is empty; expected text",
            "Write the prompt, or delete the row.",
        )
    strangers = (~clean["model"].isin(names)).to_numpy(dtype=bool).nonzero()[0]
    if len(strangers):
        row = int(strangers[0])
        raise UnknownModelError(
            f"outcomes, row {row + 1}: model {clean['model'].iloc[row]!r} is not "
            "among the models to add "
            f"({', '.join(names)}). Give its card too, or delete the row."
        )
    return clean


def _number_queries(outcomes: pd.DataFrame) -> list[str]:
    """An id for each row: equal prompts of one task are one query, whatever their ids."""
    number: dict[tuple[str, str], str] = {}
    keys = zip(map(str, outcomes["task"]), outcomes["prompt"].str.strip(), strict=True)
    return [number.setdefault(key, f"query {len(number) + 1}") for key in keys]
