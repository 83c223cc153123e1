"""Define a router of your own, and hold it against what every router promises."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

import graphrouter as gr
from graphrouter.data import Split
from graphrouter.encoders import TextEncoder
from graphrouter.policy import CostScale
from graphrouter.router import Router, TrainingView
from graphrouter.testing import check_router
from graphrouter.types import Predictions, Queries


class MeanRouter(Router):
    """Expects of each model what it did on average; it declares no capability beyond that."""

    name: ClassVar[str] = "mean"

    @classmethod
    def fit(
        cls,
        data: gr.RoutingDataset | TrainingView,
        config: gr.TrainConfig | None = None,
        *,
        split: Split | None = None,
        encoder: TextEncoder | None = None,
        progress: bool = False,
    ) -> Self:
        """A router of the training queries; test queries are not looked at."""
        view, router = TrainingView.of(data, config, split=split, encoder=encoder), cls()
        effect = view.data.outcome_matrix("effect", view.split.train)
        count = np.isfinite(effect).sum(axis=0)  # what was not run is NaN, and no failure
        router.effect = (np.nansum(effect, axis=0) + 1) / (count + 2)
        router.pool = view.data.pool
        router.cost_scale = CostScale.fit(view.data.outcome_matrix("cost_usd", view.split.train))
        return router

    def _predict(self, queries: Queries) -> Predictions:
        return Predictions.from_arrays(self.models, np.tile(self.effect, (len(queries), 1)))


checks = check_router(MeanRouter)  # or a ConformanceError that names the broken promise
print(f"{len(checks)} checks   {checks[0]} to {checks[-1]}")
router = MeanRouter.fit(gr.simulate(num_queries=200).data)
decision = router.route("Add 3 and 4.", policy=gr.Policy(cost_weight=0))
print(f"chosen      {decision.model}\nexpected    {decision.effect:.2f}")
