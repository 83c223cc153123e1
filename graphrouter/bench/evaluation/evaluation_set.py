"""What routers are evaluated on: queries, what was observed of them, and the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from graphrouter.bench.baselines.methods.cascades import Replayable
from graphrouter.bench.evaluation.deviations import Levels
from graphrouter.bench.evaluation.frontier import list_replay_trade_offs
from graphrouter.bench.evaluation.router_output import Replayed, RouterOutput
from graphrouter.bench.observations import Observations, ObservedOutcomes
from graphrouter.exceptions import DataError
from graphrouter.policy import CostScale
from graphrouter.router.protocol import Router
from graphrouter.types import FloatArray, Predictions, QuantityArrays, Queries
from graphrouter.wording import count_of

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset

Arrays = TypeVar("Arrays", bound=QuantityArrays)


@dataclass(frozen=True)
class EvaluationSet:
    """The evaluated queries in the order of their ids, the models in that of the dataset."""

    models: tuple[str, ...]
    query_ids: tuple[str, ...]
    queries: Queries
    observed: ObservedOutcomes
    """Outcomes of the queries, a column a model."""
    cost_scale: CostScale
    """Fitted on training outcomes."""
    best_single: Predictions | None
    """What the best single baseline predicts for these queries; None without that baseline."""
    level: FloatArray | None = None
    """(num_queries, num_models) effect that each model reaches in the task of the query, fitted on
    other queries (see `Levels`); None where no other query has an outcome."""

    @classmethod
    def of(
        cls,
        data: RoutingDataset,
        query_ids: Sequence[str],
        *,
        models: Sequence[str],
        best_single: Router | None,
        cost_scale: CostScale,
        level_ids: Sequence[str] | None = None,
    ) -> Self:
        """The evaluation set of the models that a router knows on the given queries.

        Args:
            data: Where the outcomes are.
            query_ids: The evaluated queries; their order does not matter.
            models: Models of the router; those that the dataset has are evaluated.
            best_single: The baseline of that name; None without it.
            cost_scale: Scale of the rewards, fitted on training outcomes.
            level_ids: Queries to fit the levels of the models on; those of them that are evaluated
                are left out. All queries of the dataset by default.

        Raises:
            DataError: The router shares no model with the dataset, or nothing was observed.
        """
        seen = Observations.of(data, sorted(query_ids))
        shared = tuple(name for name in seen.pool.names if name in models)
        if not shared:
            theirs, ours = _few(tuple(models)), _few(seen.pool.names)
            raise DataError(
                f"The router knows {theirs}; {data.name!r} has {ours}. Expected shared models; "
                "evaluate on its own data."
            )
        observed = align(seen.outcomes, shared, owner="the dataset")
        if not np.isfinite(observed.effect).any():
            raise DataError(
                f"None of the router's {count_of(len(shared), 'model')} has an outcome on the "
                f"{count_of(len(query_ids), 'query')}; "
                "expected at least one. Evaluate on queries with outcomes."
            )
        baseline = None
        if best_single is not None:  # it looks at neither prompt nor task
            baseline = align(best_single._predict(seen.queries), shared, owner="best_single")
        ids = data.queries["query_id"].tolist() if level_ids is None else level_ids
        evaluated = set(seen.query_ids)
        others = [query for query in ids if query not in evaluated]
        level = _fit_level(data, others, models=shared, tasks=seen.queries.tasks)
        return cls(shared, seen.query_ids, seen.queries, observed, cost_scale, baseline, level)

    @property
    def can_compare_choices(self) -> bool:
        """Whether any query has the outcomes of two models, so that a choice can matter."""
        return bool((np.isfinite(self.observed.effect).sum(axis=1) >= 2).any())

    def is_covered_by(self, output: RouterOutput) -> bool:
        """Whether an effect is expected of every pair that was observed.

        So it counts for a cascade, which is not scored by pairs.
        """
        return output.replayed is not None or bool(
            np.isfinite(output.predictions.effect[self.observed.mask]).all()
        )

    def collect_output(self, router: Router, *, task_known: bool, name: str) -> RouterOutput:
        """What the router says of these queries, with the queries' tasks given or hidden.

        A cascade is asked what it reaches at every trade-off; it sees the outcomes of the models
        that it calls, of no others.
        """
        queries = self.queries if task_known else self.queries.without_tasks()
        # Not `predict`: of a task that is held out nobody needs to be told that it is unknown.
        predictions = align(router._predict(queries), self.models, owner=name)
        if isinstance(router, Replayable):
            return RouterOutput(predictions, replayed=self._replay(router, queries))
        utilities = router.preset_utilities(queries)
        if utilities is None:
            return RouterOutput(predictions)
        columns = [router.models.index(model) for model in self.models]
        return RouterOutput(
            predictions,
            preset_utilities={preset: each[:, columns] for preset, each in utilities.items()},
        )

    def _replay(self, router: Replayable, queries: Queries) -> Replayed:
        replays = [
            router.replay(queries, self.observed, trade_off=float(trade_off))
            for trade_off in list_replay_trade_offs(self.cost_scale)
        ]
        cost, effect, num_calls = (
            np.column_stack([getattr(replay, part) for replay in replays])
            for part in ("cost_usd", "effect", "num_calls")
        )
        return Replayed(cost, effect, num_calls.astype(np.float64), replays[0].answered)


def align(arrays: Arrays, models: tuple[str, ...], *, owner: str) -> Arrays:
    """The columns of the given models, in their order.

    Raises:
        DataError: A model has no column; `owner` names whose arrays these are.
    """
    missing = [model for model in models if model not in arrays.models]
    if missing:
        raise DataError(
            f"{owner} does not predict {missing[0]!r} ({len(missing)} of "
            f"{count_of(len(models), 'model')}); "
            "fit it on the same pool."
        )
    return arrays.take(columns=np.array([arrays.models.index(model) for model in models]))


def _fit_level(
    data: RoutingDataset,
    query_ids: Sequence[str],
    *,
    models: tuple[str, ...],
    tasks: Sequence[str | None],
) -> FloatArray | None:
    """The level of every model on queries of the given tasks, (num_queries, num_models).

    Fitted on the queries of the given ids; None where none of these has an outcome.
    """
    columns = [data.pool.names.index(model) for model in models]
    effect = data.outcome_matrix("effect", query_ids=query_ids)[:, columns]
    if not np.isfinite(effect).any():
        return None
    rows = data.queries.set_index("query_id").loc[list(query_ids)]
    return Levels.fit(effect, Queries.of_frame(rows).tasks).of(tasks)


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
