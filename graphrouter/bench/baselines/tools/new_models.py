"""New models as baselines see them: cards and outcomes in one checked form.

Every method extends itself by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from graphrouter.exceptions import DataError, UnknownModelError
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.router.protocol import check_frame, pool_with
from graphrouter.types import (
    QUANTITIES,
    FloatArray,
    ObservedOutcomes,
    QuantityArrays,
    Queries,
)

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

    from graphrouter.data import RoutingDataset

    _check_columns(outcomes, names)
    ids = _number_queries(outcomes)
    frame = outcomes.reset_index(drop=True).assign(query_id=ids)
    first = frame.drop_duplicates("query_id")
    data = RoutingDataset.from_frames(
        queries=pd.DataFrame(
            {"query_id": first["query_id"], "task": first.get("task"), "prompt": first["prompt"]}
        ),
        models=pd.DataFrame([card.model_dump(by_alias=True) for card in wider]),
        outcomes=frame.drop(columns=["prompt", "task", "answer"], errors="ignore"),
    )
    columns = [wider.index[name] for name in names]
    matrices = (data.outcome_matrix(name)[:, columns] for name in QUANTITIES)
    return Queries.of_frame(data.queries), ObservedOutcomes(names, *matrices)


def _check_columns(outcomes: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Refuse outcomes without rows, or that do not say of which model and on which prompt."""
    check_frame(outcomes)
    if outcomes.empty:
        raise DataError(
            "outcomes has no rows; expected at least one outcome. Leave outcomes out where "
            "nothing was observed."
        )
    missing = [column for column in ("model", "effect", "prompt") if column not in outcomes.columns]
    if missing:
        found = ", ".join(map(str, outcomes.columns))
        why = (
            " Baselines keep no prompts, so a query_id alone tells them nothing."
            if missing == ["prompt"]
            else ""
        )
        raise DataError(
            f"outcomes: column {missing[0]!r} is missing (found: {found}). Add it.{why}"
        )
    blank = next(
        (
            row
            for row, text in enumerate(outcomes["prompt"])
            if not isinstance(text, str) or not text.strip()
        ),
        None,
    )
    if blank is not None:
        received = outcomes["prompt"].iloc[blank]
        raise DataError(
            f"outcomes, row {blank + 1}: prompt is {received!r}; expected text. Write the prompt, "
            "or delete the row."
        )
    stranger = next(
        (row for row, model in enumerate(outcomes["model"]) if str(model) not in names), None
    )
    if stranger is not None:
        raise UnknownModelError(
            f"outcomes, row {stranger + 1}: model {outcomes['model'].iloc[stranger]!r} is not "
            "among the models to add "
            f"({', '.join(names)}). Give its card too, or delete the row."
        )


def _number_queries(outcomes: pd.DataFrame) -> list[str]:
    """An id for each row: equal prompts of one task are one query.

    Unless the rows have ids that tell them apart.
    """
    given = [
        outcomes[name].tolist() if name in outcomes.columns else [None] * len(outcomes)
        for name in ("query_id", "task")
    ]
    number: dict[tuple[str, str, str], str] = {}
    keys = zip(map(str, given[0]), map(str, given[1]), map(str, outcomes["prompt"]), strict=True)
    return [number.setdefault(key, f"query {len(number) + 1}") for key in keys]
