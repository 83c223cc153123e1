"""Promises put to the test: made by one half of the graded queries, held against the other half.

Beside it, how often such a promise is broken where the truth is known: the calibrating half stands
for the world, samples of it for the graded queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from graphrouter.bench.evaluation.bootstrap import (
    UNDEFINED,
    Interval,
    Resampling,
    Statistic,
    bootstrap,
)
from graphrouter.bench.evaluation.evaluate import FEWEST_QUERIES
from graphrouter.bench.evaluation.measures import Unmeasured
from graphrouter.exceptions import DataError, PolicyError, PromiseError
from graphrouter.files import to_plain
from graphrouter.policy import Policy
from graphrouter.router.graded_trade_offs import GradedTradeOffs, grade_trade_offs
from graphrouter.router.policy_calibration import find_promise
from graphrouter.router.promise import Promise, Wish
from graphrouter.training.effect_scores import divide

if TYPE_CHECKING:
    from graphrouter.data import RoutingDataset
    from graphrouter.router.pool_changes import ChangeableRouter

KEPT_SHARES = (0.99, 0.95)
"""Shares of the best single model's effect that are promised."""
CONFIDENCE = 0.95
NUM_SAMPLES = 200
"""Samples by which the coverage of a promise is found."""
_FEWEST_COVERED = 0.8
"""Share of the best-covered model's graded queries that a model needs to be a candidate."""


@dataclass(frozen=True, slots=True)
class PromiseCoverage:
    """What became of a promise over samples of a world whose truth is known."""

    num_samples: int
    num_queries: int
    """Of each sample, drawn with replacement."""
    num_made: int
    """Samples that supported it."""
    num_broken: int
    """Promises that were made and are not true."""
    num_broken_untested: int
    """The same for the cheapest trade-off that keeps the share on the sample, without a test."""


@dataclass(frozen=True, slots=True)
class PromiseTrial:
    """A share of the best single model's effect that was to be promised, and what came of it."""

    keep: float
    confidence: float
    reference: str
    """The best single model, by what the router has learned from."""
    excluded: tuple[str, ...]
    """Models that were ruled out since few queries have an outcome of them with a cost."""
    promise: Promise | None
    """By the calibrating half; None where it was refused."""
    refusal: str | None
    """Why it was refused."""
    num_tested: int
    """Queries of the other half."""
    share: Interval
    """Share of the reference's effect that was kept there; NaN where nothing was promised."""
    saving: Interval
    """Share of the reference's cost that was saved there."""
    coverage: PromiseCoverage

    @property
    def is_held(self) -> bool | None:
        """Whether the share was kept on the other half; None where nothing was promised."""
        return None if self.promise is None else bool(self.share.value >= self.keep)

    @property
    def is_surely_broken(self) -> bool:
        """Whether less was kept there, and not by chance."""
        return self.share.high < self.keep

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; an undefined figure is None."""
        return {
            **to_plain(self),
            "promise": None if self.promise is None else self.promise.to_json(),
            "share": self.share.to_json(),
            "saving": self.saving.to_json(),
            "is_held": self.is_held,
            "is_surely_broken": self.is_surely_broken,
        }


def rule_out_sparse(data: RoutingDataset, models: Sequence[str]) -> tuple[str, ...]:
    """Those of the models with outcomes and costs on far fewer queries than the best-covered one.

    A promise rests on queries on which every candidate was graded, and they would leave few.

    Example:
        >>> import graphrouter as gr
        >>> data = gr.simulate(num_queries=60, num_models=3, missing=0).data
        >>> rule_out_sparse(data, [*data.pool.names, "nobody-ran-it"])
        ('nobody-ran-it',)
    """
    known = np.isfinite(data.outcome_matrix("effect") + data.outcome_matrix("cost_usd"))
    covered = dict(zip(data.pool.names, known.mean(axis=0), strict=True))
    most = max(covered.get(name, 0.0) for name in models)
    return tuple(name for name in models if covered.get(name, 0.0) < _FEWEST_COVERED * most)


def try_promises(
    router: ChangeableRouter,
    data: RoutingDataset,
    query_ids: Sequence[str],
    *,
    task_known: bool = True,
    num_draws: int = 1000,
    num_samples: int = NUM_SAMPLES,
    seed: int = 0,
) -> tuple[PromiseTrial, ...] | Unmeasured:
    """What can be promised by one half of the queries, and whether the other half bears it out.

    Halves are drawn by a hash of the prompts, so copies of a prompt stand in one of them.

    Args:
        router: Whose policy is calibrated.
        data: Where the outcomes are.
        query_ids: Queries that the router has not learned from.
        task_known: Whether their tasks are given.
        num_draws: Bootstrap draws of the intervals.
        num_samples: Samples by which the coverage is found.
        seed: Of the bootstrap and of the samples.
    """
    shown = data.select_queries(query_ids)
    excluded = rule_out_sparse(shown, router.models)
    within = Policy(excluded=excluded) if excluded else None
    wishes = [Wish.read(keep, None, CONFIDENCE) for keep in KEPT_SHARES]
    try:
        graded = grade_trade_offs(router, shown, wishes[0], within=within, task_known=task_known)
    except (DataError, PolicyError) as error:
        return Unmeasured(str(error).rstrip("."))
    if len(graded) < 2 * FEWEST_QUERIES:
        return Unmeasured(
            f"{len(graded)} queries have all the outcomes that are needed, and at least "
            f"{2 * FEWEST_QUERIES} are wanted, half to promise and half to test"
        )
    middle = len(graded) // 2
    calibrating, tested = (
        graded.take(np.arange(start, end)) for start, end in ((0, middle), (middle, len(graded)))
    )
    trials = []
    for wish in wishes:
        tried = _try(calibrating, tested, wish, num_draws=num_draws, seed=seed)
        trials.append(
            PromiseTrial(
                keep=float(wish.keep or 0),
                confidence=wish.confidence,
                reference=graded.reference,
                excluded=excluded,
                promise=tried.promise,
                refusal=tried.refusal,
                num_tested=len(tested),
                share=tried.share,
                saving=tried.saving,
                coverage=cover_promises(calibrating, wish, num_samples=num_samples, seed=seed),
            )
        )
    return tuple(trials)


def cover_promises(
    world: GradedTradeOffs,
    wish: Wish,
    *,
    num_samples: int = NUM_SAMPLES,
    num_queries: int | None = None,
    seed: int = 0,
) -> PromiseCoverage:
    """How often a promise is broken, by samples of queries that stand for all there are.

    Args:
        world: Its means are the truth.
        wish: What is promised; a share to keep.
        num_samples: How many samples are drawn.
        num_queries: Of each; as many as there are without it.
        seed: Of the draws.
    """
    keep = float(wish.keep or 0)
    holds = world.effect.mean(axis=0) >= keep * world.reference_effect.mean()
    rng = np.random.default_rng(seed)
    size = len(world) if num_queries is None else num_queries
    made = broken = untested = 0
    for _ in range(num_samples):
        drawn = world.take(rng.integers(len(world), size=size))
        reached = drawn.effect.mean(axis=0) >= keep * drawn.reference_effect.mean()
        cheapest = int(np.argmin(np.where(reached, drawn.cost_usd.mean(axis=0), np.inf)))
        untested += bool(reached.any()) and not holds[cheapest]
        try:
            found = find_promise(drawn, wish)
        except PromiseError:
            continue
        made += 1
        broken += not holds[world.policies.index(found.policy)]
    return PromiseCoverage(num_samples, size, made, broken, untested)


class _Tried(NamedTuple):
    """What came of a wish."""

    promise: Promise | None
    refusal: str | None
    share: Interval
    saving: Interval


def _try(
    calibrating: GradedTradeOffs,
    tested: GradedTradeOffs,
    wish: Wish,
    *,
    num_draws: int,
    seed: int,
) -> _Tried:
    try:
        promise = find_promise(calibrating, wish)
    except PromiseError as error:
        return _Tried(None, str(error), UNDEFINED, UNDEFINED)
    column = tested.policies.index(promise.policy)
    return _Tried(promise, None, *_measure(tested, column, num_draws=num_draws, seed=seed))


def _measure(
    tested: GradedTradeOffs, column: int, *, num_draws: int, seed: int
) -> tuple[Interval, Interval]:
    """Shares of the reference: of its effect that a trade-off keeps, of its cost that it saves."""
    effects = np.column_stack([tested.effect[:, column], tested.reference_effect])
    costs = np.column_stack([tested.cost_usd[:, column], tested.reference_cost_usd])
    ids = (tuple(map(str, range(len(tested)))),)
    found = bootstrap(
        [
            Statistic(effects, lambda sums: divide(sums[:, 0], sums[:, 1])),
            Statistic(costs, lambda sums: 1 - divide(sums[:, 0], sums[:, 1])),
        ],
        Resampling(ids, num_draws, seed).counts(0),
    )
    share, saving = (each.interval() for each in found)
    return share, saving
