"""What queries that a router has not seen say of it: figures, and promises that they keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from graphrouter.policy import Policy
from graphrouter.router.pool_changes import ChangeableRouter
from graphrouter.router.promise import Promise, Wish
from graphrouter.upward_imports import load_part

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset


class HeldToData(ChangeableRouter):
    """A router that can be judged, and promise something, by outcomes that it has not seen."""

    def evaluate(
        self,
        data: RoutingDataset,
        *,
        side: Literal["test", "validation"] = "test",
        baselines: Sequence[str] | None = None,
        num_draws: int = 1000,
        seed: int = 0,
        judge: str | None = None,
    ) -> Any:
        """How well this router does, beside baselines and the oracle: an `Evaluation`.

        On queries that it has not learned from: those of one side of its split in the data that it
        was trained on; in other data all queries whose prompt is new to it. Baselines learn from
        what it has learned from. To choose queries and routers yourself:
        `graphrouter.bench.evaluation.evaluate`.

        Args:
            data: Where the outcomes are.
            side: Which queries; early stopping has seen those of validation.
            baselines: Names of whom to compare with, beside best_single and task_mean; rasch and
                knn without a choice.
            num_draws: Bootstrap draws.
            seed: Seed of the bootstrap and of what baselines draw.
            judge: Also replay plans of several calls and all cascades, with one judge: simulated,
                `exact` or `auc:0.8`, or recorded, `column:NAME` of the outcomes of `data`.

        Raises:
            ConfigError: There is no baseline of such a name, or no such judge.
            DataError: No query is left, or the router knows none of the models.

        Example:
            >>> import graphrouter as gr
            >>> data = gr.simulate(num_queries=100, num_models=3).data
            >>> router = gr.GraphRouter.fit(data, instant=True)
            >>> found = router.evaluate(data, baselines=["rasch"], num_draws=20)
            >>> list(found.settings["task_hidden"].routers)
            ['graphrouter', 'best_single', 'task_mean', 'rasch', 'oracle']
        """
        return load_part("evaluation").evaluate_held_out(
            self,
            data,
            side=side,
            baselines=baselines,
            num_draws=num_draws,
            seed=seed,
            judge=judge,
        )

    def calibrate_policy(
        self,
        data: RoutingDataset,
        *,
        keep: float | None = None,
        of: str | None = None,
        confidence: float = 0.95,
        max_mean_cost_usd: float | None = None,
        beats: str | None = None,
        within: Policy | None = None,
        task_known: bool = True,
    ) -> Promise:
        """The cheapest trade-off that keeps a promise on held-out queries, with a guarantee.

        By Learn then Test on queries of `data` that the router has not seen; docs/promises.md.

        Args:
            data: Graded queries, drawn as those to come.
            keep: Share of the mean effect of `of` to keep; 0.99 where nothing else is asked for.
            of: A model, or best_single: the best by what the router has learned from; the default.
            confidence: Chance that all that is promised holds.
            max_mean_cost_usd: Most US dollars a call on average.
            beats: Model to beat at least as often as not.
            within: Limits that every trade-off respects.
            task_known: False where the tasks of the queries to come are not given.

        Raises:
            ConfigError: A share, confidence or budget is out of range.
            DataError: There are no costs, or no query can be used.
            PromiseError: The queries do not support the promise; it says how many would.
        """
        from graphrouter.router.policy_calibration import calibrate_policy  # loads parts of SciPy

        wish = Wish.read(keep, of, confidence, max_mean_cost_usd=max_mean_cost_usd, beats=beats)
        return calibrate_policy(self, data, wish, within=within, task_known=task_known)
