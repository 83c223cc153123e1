"""What is measured on request alone: budgets over a batch, and promises put to the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphrouter.bench.evaluation.budget_curves import BudgetCurve, trace_budgets
from graphrouter.bench.evaluation.evaluate import SeedRun
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.bench.evaluation.promise_trials import PromiseTrial, try_promises
from graphrouter.bench.evaluation.results import SettingName

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.router.pool_changes import ChangeableRouter


@dataclass(frozen=True)
class OnRequest:
    """What was asked for, by setting; empty where it was not."""

    budgets: Mapping[SettingName, BudgetCurve | Unmeasured] = field(default_factory=dict)
    promises: Mapping[SettingName, tuple[PromiseTrial, ...] | Unmeasured] = field(
        default_factory=dict
    )

    def to_json(self) -> dict[str, Any]:
        """Plain values under `budgets` and `promises`, each where it was asked for."""
        plain: dict[str, Any] = {}
        if self.budgets:
            plain["budgets"] = {
                setting: {"unmeasured": each.reason}
                if isinstance(each, Unmeasured)
                else each.to_json()
                for setting, each in self.budgets.items()
            }
        if self.promises:
            plain["promises"] = {
                setting: {"unmeasured": each.reason}
                if isinstance(each, Unmeasured)
                else [trial.to_json() for trial in each]
                for setting, each in self.promises.items()
            }
        return plain


def measure_on_request(
    router: ChangeableRouter,
    data: RoutingDataset,
    run: SeedRun,
    *,
    budgets: bool,
    promises: bool,
    num_draws: int = 1000,
    seed: int = 0,
) -> OnRequest:
    """What is asked for, in every setting of a run.

    Args:
        router: The evaluated router.
        data: Where the outcomes are.
        run: The router and its baselines on queries that it has not learned from; for promises
            neither validated on.
        budgets: Whether to trace budgets.
        promises: Whether to put promises to the test.
        num_draws: Bootstrap draws of the intervals.
        seed: Seed of all that is drawn.
    """
    ids = run.evaluation_set.query_ids
    return OnRequest(
        budgets={
            setting: trace_budgets(run, setting, num_draws=num_draws, seed=seed)
            for setting in (run.outputs if budgets else ())
        },
        promises={
            setting: try_promises(
                router,
                data,
                ids,
                task_known=setting == "task_known",
                num_draws=num_draws,
                seed=seed,
            )
            for setting in (run.outputs if promises else ())
        },
    )
