"""What routers are judged on: the queries, what was observed on them, and the predictions brought into the same columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from graphrouter.exceptions import DataError
from graphrouter.policy import CostScale
from graphrouter.routers.base import Router
from graphrouter.routers.observations import QUANTITIES, Observations
from graphrouter.types import Predictions

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset


@dataclass(frozen=True)
class Trial:
    """The evaluated queries, in the order of their ids, and the evaluated models, in the order of the dataset."""

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    tasks: tuple[str | None, ...]
    observed: Predictions
    """Outcomes in the shape of predictions, (num_queries, num_models) each, NaN = not observed."""
    cost_scale: CostScale
    """Fitted on training outcomes."""
    best_single: Predictions | None
    """What the best single reference predicts for these queries; None without that reference."""

    @classmethod
    def of(
        cls,
        data: RoutingDataset,
        query_ids: Sequence[str],
        *,
        router: Router,
        best_single: Router | None,
        cost_scale: CostScale,
    ) -> Self:
        """The trial of the router's models on the given queries; the order of the ids does not matter.

        Raises:
            DataError: The router shares no model with the dataset, or nothing was observed.
        """
        seen = Observations.of(data, sorted(query_ids))
        models = tuple(name for name in seen.pool.names if name in router.pool.index)
        if not models:
            theirs, ours = _few(router.models), _few(seen.pool.names)
            raise DataError(
                f"The router knows {theirs}; {data.name!r} has {ours}. Expected shared models; evaluate on its own data."
            )
        observed = align(seen.outcomes, models, owner="the dataset")
        if not np.isfinite(observed.effect).any():
            raise DataError(
                f"None of the router's {len(models)} models has an outcome on the {len(query_ids)} queries; "
                "expected at least one. Evaluate on queries with outcomes."
            )
        reference = None
        if best_single is not None:  # it looks at neither prompt nor task
            reference = align(best_single.predict(seen.prompts), models, owner="best_single")
        return cls(models, seen.prompts, seen.tasks, observed, cost_scale, reference)

    def predict(self, router: Router, *, task_known: bool, owner: str) -> Predictions:
        """What the router predicts of the evaluated pairs, with the queries' tasks given or hidden."""
        tasks = self.tasks if task_known else None
        return align(router.predict(self.prompts, tasks=tasks), self.models, owner=owner)


def align(predictions: Predictions, models: tuple[str, ...], *, owner: str) -> Predictions:
    """The columns of the given models, in their order.

    Raises:
        DataError: A model has no column; `owner` names whose predictions these are.
    """
    missing = [model for model in models if model not in predictions.models]
    if missing:
        raise DataError(
            f"{owner} does not predict {missing[0]!r} ({len(missing)} of {len(models)} models); fit it on the same pool."
        )
    columns = [predictions.models.index(model) for model in models]
    return Predictions(models, *(getattr(predictions, name)[:, columns] for name in QUANTITIES))


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
