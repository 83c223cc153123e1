"""What a dataset can teach and what it cannot, and which graded answers it lacks."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd

from graphrouter.data.pair_choice import suggest_pairs
from graphrouter.data.schema import RoutingDataset, check_is_dataset
from graphrouter.wording import count_of, name_some

__all__ = [
    "ENOUGH_OUTCOMES",
    "Learnable",
    "count_missing_outcomes",
    "measure_learnable",
    "suggest_grades",
]

ENOUGH_OUTCOMES = 8
"""With so many graded answers of each model log loss and area are better than those of ten
baselines on the same rows, on average of the sets in experiments/few_outcomes."""
_ERROR, _POWER = 0.05, 0.8
_MOST_NEEDED = 100_000
_AMOUNTS = {"cost": "cost_usd", "output tokens": "output_tokens", "latency": "latency_s"}


@dataclass(frozen=True, slots=True)
class Learnable:
    """What the outcomes of a dataset can teach."""

    num_graded: int
    """Outcomes with a grade."""
    num_compared: int
    """Queries with graded answers of two models or more: on these choices can be compared."""
    num_missing: dict[str, int]
    """Graded answers that each model lacks until it has `ENOUGH_OUTCOMES`, by model."""
    amounts: dict[str, float]
    """Share of the calls that say their cost, output tokens and latency, by name."""
    leaders: tuple[str, str] | None
    """The two models of the highest mean effect among those with enough graded answers; None where
    fewer have enough."""
    num_to_decide: int | None
    """About how many graded answers of each of the two tell which is better, in four of five cases;
    None without leaders, or where it takes more than anybody would collect."""
    num_of_leaders: int
    """Graded answers that the one of the two with fewer has; 0 without leaders."""

    def describe(self) -> list[str]:
        """What can be learned and what cannot, a sentence each.

        Example:
            >>> from graphrouter.bench.simulate import simulate
            >>> for sentence in measure_learnable(simulate(num_queries=60).data).describe()[:2]:
            ...     print(sentence)
            Effects can be learned of all models.
            Choices can be compared on 60 queries with graded answers of two models or more.
        """
        lines = [self._describe_effects(), self._describe_choices()]
        for name, share in self.amounts.items():
            if share == 0:
                lines.append(f"{name.capitalize()} cannot be learned: no call says it.")
        if self.leaders is not None:
            first, second = self.leaders
            pair = f"Whether {first} or {second} is better on average"
            if self.num_to_decide is None:
                lines.append(f"{pair} will hardly show: their graded answers are as good.")
            elif self.num_to_decide > self.num_of_leaders:
                lines.append(
                    f"{pair} takes about {self.num_to_decide:,} graded answers of each; there are "
                    f"{self.num_of_leaders:,}."
                )
        return lines

    def _describe_effects(self) -> str:
        if not self.num_graded:
            return "Effects cannot be learned: no answer is graded. Costs and times can."
        if not self.num_missing:
            return "Effects can be learned of all models."
        lacking, named = sum(self.num_missing.values()), name_some(list(self.num_missing))
        return (
            f"Effects can hardly be learned of {named}: {lacking:,} graded "
            f"answers are missing until each has {ENOUGH_OUTCOMES}."
        )

    def _describe_choices(self) -> str:
        if not self.num_compared:
            return (
                "Choices cannot be compared: no query has graded answers of two models. Grade "
                "answers of a second model on some of the same queries."
            )
        return (
            f"Choices can be compared on {count_of(self.num_compared, 'query')} with graded "
            "answers of two models or more."
        )


def measure_learnable(data: RoutingDataset) -> Learnable:
    """What the outcomes of `data` can teach."""
    check_is_dataset(data, "measure_learnable")
    outcomes = data.outcomes
    graded = outcomes[outcomes["effect"].notna()]
    by_model = graded.groupby("model")["effect"].agg(["count", "mean", "var"])
    known = by_model.reindex(data.models["model"])
    counts = known["count"].fillna(0).astype(int)
    enough = known[counts >= ENOUGH_OUTCOMES].sort_values("mean", ascending=False, kind="stable")
    leaders = None
    if len(enough) > 1:
        leaders = (str(enough.index[0]), str(enough.index[1]))
    return Learnable(
        num_graded=len(graded),
        num_compared=int((graded["query_id"].value_counts() > 1).sum()),
        num_missing=count_missing_outcomes(data),
        amounts={name: float(outcomes[column].notna().mean()) for name, column in _AMOUNTS.items()},
        leaders=leaders,
        num_to_decide=None if leaders is None else _count_needed(enough.head(2)),
        num_of_leaders=0 if leaders is None else int(enough["count"].head(2).min()),
    )


def count_missing_outcomes(
    data: RoutingDataset, query_ids: Collection[str] | None = None
) -> dict[str, int]:
    """Graded answers that each model lacks until it has `ENOUGH_OUTCOMES`.

    Models with enough are left out.

    Args:
        data: The dataset.
        query_ids: The queries that count; all by default.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> data = simulate(num_queries=60, num_models=3).data
        >>> count_missing_outcomes(data)
        {}
        >>> sorted(count_missing_outcomes(data, []).values())
        [8, 8, 8]
    """
    outcomes = data.outcomes[data.outcomes["effect"].notna()]
    if query_ids is not None:
        outcomes = outcomes[outcomes["query_id"].isin(set(query_ids))]
    counts = outcomes["model"].value_counts().reindex(data.models["model"], fill_value=0)
    return {
        str(model): ENOUGH_OUTCOMES - int(count)
        for model, count in counts.items()
        if count < ENOUGH_OUTCOMES
    }


def suggest_grades(data: RoutingDataset, num: int, *, only_logged: bool = False) -> pd.DataFrame:
    """The pairs of a query and a model to grade next, in the order to grade them.

    Those of `suggest_pairs`, for which graded answers count as there. `is_answered` says whether a
    call was logged already, so that its answer needs a grade and no further call.

    Args:
        data: Queries and models are those that can be asked.
        num: How many, at least 1.
        only_logged: Choose from the calls that were logged, which need a grade alone.

    Raises:
        DataError: `num` is below 1.

    Example:
        >>> from graphrouter.bench.simulate import simulate
        >>> pairs = suggest_grades(simulate(num_queries=60, num_models=3).data, 2)
        >>> list(pairs), len(pairs)
        (['query_id', 'task', 'prompt', 'model', 'is_answered'], 2)
    """
    check_is_dataset(data, "suggest_grades")
    graded = data.outcomes[data.outcomes["effect"].notna()]
    among = data.outcomes if only_logged else None
    pairs = suggest_pairs(data.queries, data.pool.names, num, asked=graded, among=among)
    logged = pd.MultiIndex.from_frame(data.outcomes[["query_id", "model"]])
    there = pd.MultiIndex.from_frame(pairs[["query_id", "model"]]).isin(logged)
    return pairs.assign(is_answered=there)


def _count_needed(pair: pd.DataFrame) -> int | None:
    """Graded answers of each of two models that tell their means apart.

    The number for a two-sided test of two independent means at 5 % with a power of 80 % (Cohen
    1988, section 2.4): (z_.975 + z_.8)^2 (variance + variance) / difference^2.
    """
    normal = NormalDist()
    distance = normal.inv_cdf(1 - _ERROR / 2) + normal.inv_cdf(_POWER)
    difference = float(pair["mean"].iloc[0] - pair["mean"].iloc[1])
    spread = float(np.nan_to_num(pair["var"].to_numpy(dtype=np.float64)).sum())
    if difference <= 0:
        return None
    needed = max(math.ceil(distance**2 * spread / difference**2), 2)
    return needed if needed <= _MOST_NEEDED else None
