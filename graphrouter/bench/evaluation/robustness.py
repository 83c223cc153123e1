"""How often a router changes its mind when a prompt changes but asks the same.

And whether an addition makes it dearer.

After "How Robust Are Router-LLMs?" (Kassem, Schölkopf, Jin, 2025, arXiv:2504.07113), which asks
whether simple queries reach strong models for reasons other than their difficulty, and RouterArena
(arXiv:2510.00202), whose robustness score is the share of unchanged choices on perturbed queries.
No outcome of a perturbed prompt is needed: only choices and predictions are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from graphrouter.bench.evaluation.bootstrap import (
    Interval,
    Resampling,
    Sampled,
    Statistic,
    bootstrap,
)
from graphrouter.bench.evaluation.choices import Chooser
from graphrouter.bench.evaluation.perturbations import PERTURBATIONS, Kind, Perturbation
from graphrouter.exceptions import DataError, PolicyError
from graphrouter.policy import Policy
from graphrouter.router.protocol import Router
from graphrouter.types import BoolArray, FloatArray, IntArray, Predictions, Queries

SOLVED = 0.5
"""Effect from which the cheapest model counts as having solved a query."""
_WEIGHED = {"effect_weight", "cost_weight", "usd_per_effect"}
_NUM_COLUMNS = 9
_CHANGED, _FLIPPED, _COMPARABLE, _DEARER, _FORESEEN, _MOVED, _COSTED, _BEFORE, _AFTER = range(
    _NUM_COLUMNS
)
"""Columns of what each query adds: see `_parts`."""


@dataclass(frozen=True, slots=True)
class ChoiceShift:
    """What a perturbation does to the choices on a set of prompts.

    NaN where undefined, as all costs are without costs.
    """

    num_changed: int
    """Prompts that the perturbation really changed: all figures are over these."""
    flip_share: Interval
    """Share of the prompts that go to another model than before."""
    dearer_share: Interval
    """Share that go to a model of higher expected cost; both costs are those expected for the
    original prompt."""
    effect_change: Interval
    """Mean absolute change of the expected effect of the model that was chosen first, in [0, 1]."""
    cost_ratio: Interval
    """Expected cost of the new choices on the new prompts relative to the first ones on the
    original prompts; longer prompts cost more even where no choice flips."""
    mean_cost_usd_before: Interval
    """Mean expected US dollars a call of the first choices."""
    mean_cost_usd_after: Interval
    """Mean expected US dollars a call of the new choices."""


_RATIOS: dict[str, tuple[int, int]] = {
    "flip_share": (_FLIPPED, _CHANGED),
    "dearer_share": (_DEARER, _COMPARABLE),
    "effect_change": (_MOVED, _FORESEEN),
    "cost_ratio": (_AFTER, _BEFORE),
    "mean_cost_usd_before": (_BEFORE, _COSTED),
    "mean_cost_usd_after": (_AFTER, _COSTED),
}
"""The columns whose sums are divided for each figure."""


@dataclass(frozen=True, slots=True)
class PerturbationResult:
    """The shift that one perturbation brings."""

    title: str
    kind: Kind
    all: ChoiceShift
    """On all prompts."""
    easy: ChoiceShift | None
    """On the easy prompts alone; None for neutral perturbations, and where nobody said which
    prompts are easy."""


@dataclass(frozen=True, slots=True)
class RobustnessReport:
    """How a router's choices stand up to perturbed prompts."""

    num_queries: int
    num_easy: int | None
    """Easy prompts among them; None where nobody said which they are."""
    seed: int
    """Of the perturbations and of the bootstrap."""
    num_draws: int
    policy: Mapping[str, Any]
    """Settings of the policy that chose."""
    score: Interval
    """Share of unchanged choices over all prompts that neutral perturbations changed (RouterArena's
    robustness)."""
    results: Mapping[str, PerturbationResult]
    """By name of the perturbation."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; an undefined figure is None."""
        return {
            "num_queries": self.num_queries,
            "num_easy": self.num_easy,
            "seed": self.seed,
            "num_draws": self.num_draws,
            "policy": dict(self.policy),
            "score": self.score.to_json(),
            "perturbations": {
                name: {
                    "title": result.title,
                    "kind": result.kind,
                    "all": _plain_shift(result.all),
                    "easy": None if result.easy is None else _plain_shift(result.easy),
                }
                for name, result in self.results.items()
            },
        }


def find_easy_queries(effect: FloatArray, cost_usd: FloatArray) -> BoolArray:
    """Which queries the cheapest model solved, (num_queries,).

    Sending these to a dear model is waste.

    The cheapest model has the smallest mean known cost, the earlier one of equals. A query that it
    was not run on is not known to be easy, and without any cost no query is.

    Args:
        effect: (num_queries, num_models) observed effects, in [0, 1], NaN = not observed.
        cost_usd: (num_queries, num_models) observed US dollars a call, NaN = not observed.

    Raises:
        DataError: The arrays differ in shape or have not two dimensions.

    Example:
        >>> effect = np.array([[1.0, 1.0], [0.0, 1.0], [np.nan, 1.0]])
        >>> find_easy_queries(effect, np.array([[0.1, 0.9], [0.1, 0.9], [np.nan, 0.9]])).tolist()
        [True, False, False]
    """
    if effect.ndim != 2 or effect.shape != cost_usd.shape:
        raise DataError(
            f"effect has shape {effect.shape} and cost_usd {cost_usd.shape}; expected "
            "(num_queries, num_models) for both."
        )
    count = np.isfinite(cost_usd).sum(axis=0)
    if not count.any():
        return np.zeros(len(effect), dtype=np.bool_)
    mean = np.where(count > 0, np.nansum(cost_usd, axis=0) / np.maximum(count, 1), np.inf)
    return np.asarray(np.nan_to_num(effect[:, int(np.argmin(mean))], nan=0.0) >= SOLVED)


def measure_robustness(
    router: Router,
    queries: Queries | Sequence[str],
    *,
    tasks: Sequence[str | None] | None = None,
    policy: Policy | None = None,
    is_easy: BoolArray | None = None,
    seed: int = 0,
    num_draws: int = 1000,
    perturbations: Sequence[Perturbation] | None = None,
) -> RobustnessReport:
    """What perturbations do to a router's choices, with 95 % bootstrap intervals over queries.

    All models of the pool are in the running. A perturbed prompt keeps its task.

    Args:
        router: Any router; it is asked once for the original prompts and once for each
            perturbation.
        queries: Prompts, or `Queries`; best ones that the router was not fitted on.
        tasks: Task of each prompt where known.
        policy: The weights, or `usd_per_effect`; without it, those that `Router.route` takes.
        is_easy: (num_queries,) queries that the cheapest model solves, as `find_easy_queries` finds
            them.
        seed: Of the perturbations and of the bootstrap.
        num_draws: Bootstrap draws of prompts, equal texts together; 0 gives undefined intervals.
        perturbations: All of `PERTURBATIONS` by default.

    Raises:
        DataError: There is no prompt, or `tasks` or `is_easy` do not fit the prompts.
        PolicyError: The policy sets a limit, or needs a cost that the router does not predict.

    Example:
        >>> import graphrouter as gr
        >>> from graphrouter.encoders.hashing import HashingEncoder
        >>> from graphrouter.bench.baselines.methods.means import BestSingle
        >>> data = gr.simulate(num_queries=60, num_models=3).data
        >>> router = BestSingle.fit(data, encoder=HashingEncoder(64))
        >>> measure_robustness(router, ["Who wrote Faust?", "Is 91 prime?"], num_draws=20).score
        Interval(value=1.0, low=1.0, high=1.0)
    """
    asked = Queries.of(queries, tasks)
    prompts = asked.prompts
    easy = _check_easy(is_easy, len(prompts))
    weights = _check_policy(policy or Policy()).resolve(router.cost_scale)
    wanted = tuple(PERTURBATIONS.values() if perturbations is None else perturbations)
    before = _route(router, asked, weights)
    parts: dict[str, FloatArray] = {}
    for p in wanted:
        texts = tuple(p.apply(prompt, seed=seed) for prompt in prompts)
        changed = np.array([new != old for new, old in zip(texts, prompts, strict=True)])
        parts[p.name] = _parts(
            before, _route(router, replace(asked, prompts=texts), weights), changed
        )
    # A text is its own id: the draws, and so the intervals, do not depend on the order of the
    # prompts.
    score, results = _summarize(wanted, parts, easy, Resampling((prompts,), num_draws, seed))
    return RobustnessReport(
        num_queries=len(prompts),
        num_easy=None if easy is None else int(easy.sum()),
        seed=seed,
        num_draws=num_draws,
        policy=weights.settings,
        score=score,
        results=results,
    )


class _Routing(NamedTuple):
    """What a router expects of the prompts and where it sends them."""

    predictions: Predictions
    choice: IntArray
    """(num_queries,) column of the chosen model."""


def _check_easy(is_easy: BoolArray | None, num_queries: int) -> BoolArray | None:
    if num_queries == 0:
        raise DataError("There is no prompt to perturb; expected at least one.")
    if is_easy is None:
        return None
    easy = np.asarray(is_easy)
    if easy.shape != (num_queries,) or easy.dtype != np.bool_:
        raise DataError(
            f"is_easy has shape {easy.shape} and type {easy.dtype}; expected ({num_queries},) and "
            "bool."
        )
    return easy


def _check_policy(policy: Policy) -> Policy:
    """The policy, if it has no limits.

    A model that a limit lets in or out would count as a flip of the router.
    """
    limits = sorted(set(policy.model_dump(exclude_defaults=True)) - _WEIGHED)
    if limits:
        raise PolicyError(
            f"The policy sets {limits[0]}; robustness is measured with all models in the running. "
            f"Use effect_weight and cost_weight, or usd_per_effect, alone."
        )
    return policy


def _route(router: Router, queries: Queries, policy: Policy) -> _Routing:
    predictions = router.predict(queries)
    utility = policy.utility(predictions.effect, predictions.cost_usd, router.cost_scale)
    lost = np.flatnonzero(~np.isfinite(utility).any(axis=1))
    if lost.size:
        raise PolicyError(
            "The policy weighs what this router predicts for no model, first of "
            f"prompts[{lost[0]}] (usually the cost). "
            f"Use the preset performance_first, or a router of outcomes with costs."
        )
    return _Routing(
        predictions, Chooser(predictions, np.ones(utility.shape, dtype=np.bool_)).choose(utility)
    )


def _parts(before: _Routing, after: _Routing, changed: BoolArray) -> FloatArray:
    """What each query adds to the sums, (num_queries, _NUM_COLUMNS); 0 for an unchanged prompt."""
    rows = np.arange(len(changed))
    old_cost, new_cost = before.predictions.cost_usd, after.predictions.cost_usd
    paid, rival, due = (
        old_cost[rows, before.choice],
        old_cost[rows, after.choice],
        new_cost[rows, after.choice],
    )
    moved = np.abs(
        after.predictions.effect[rows, before.choice]
        - before.predictions.effect[rows, before.choice]
    )
    comparable, foreseen = (
        changed & np.isfinite(paid) & np.isfinite(rival),
        changed & np.isfinite(moved),
    )
    costed = changed & np.isfinite(paid) & np.isfinite(due)
    return np.column_stack(
        [
            changed,
            changed & (after.choice != before.choice),
            comparable,
            comparable & (rival > paid),
            foreseen,
            np.where(foreseen, moved, 0.0),
            costed,
            np.where(costed, paid, 0.0),
            np.where(costed, due, 0.0),
        ]
    ).astype(np.float64)


def _summarize(
    wanted: Sequence[Perturbation],
    parts: Mapping[str, FloatArray],
    easy: BoolArray | None,
    resampling: Resampling,
) -> tuple[Interval, dict[str, PerturbationResult]]:
    """The score and the result of each perturbation, all over the same draws of queries."""
    nothing = np.zeros((len(resampling.query_ids[0]), _NUM_COLUMNS))
    neutral = sum((parts[p.name] for p in wanted if p.kind == "neutral"), nothing)
    plan = {(p.name, False): _figures(parts[p.name]) for p in wanted}
    if easy is not None:
        plan |= {
            (p.name, True): _figures(parts[p.name] * easy[:, None])
            for p in wanted
            if p.kind == "adversarial"
        }
    flips = _ratio(*_RATIOS["flip_share"])
    score = Statistic(neutral, lambda sums: 1 - flips(sums))
    flat = [score, *(statistic for figures in plan.values() for statistic in figures.values())]
    samples = dict(zip(map(id, flat), bootstrap(flat, resampling.counts(0)), strict=True))
    shifts = {key: _shift(figures, samples) for key, figures in plan.items()}
    results = {
        p.name: PerturbationResult(
            p.title, p.kind, shifts[p.name, False], shifts.get((p.name, True))
        )
        for p in wanted
    }
    return samples[id(score)].interval(), results


def _figures(parts: FloatArray) -> dict[str, Statistic]:
    """The figures of one perturbation."""
    return {name: Statistic(parts, _ratio(*columns)) for name, columns in _RATIOS.items()}


def _ratio(numerator: int, denominator: int) -> Callable[[FloatArray], FloatArray]:
    def divide(sums: FloatArray) -> FloatArray:
        known = sums[:, denominator] > 0
        return np.where(
            known, sums[:, numerator] / np.where(known, sums[:, denominator], 1.0), np.nan
        )

    return divide


def _shift(figures: Mapping[str, Statistic], samples: Mapping[int, Sampled]) -> ChoiceShift:
    num_changed = int(figures["flip_share"].parts[:, _CHANGED].sum())
    return ChoiceShift(
        num_changed,
        **{name: samples[id(statistic)].interval() for name, statistic in figures.items()},
    )


def _plain_shift(shift: ChoiceShift) -> dict[str, Any]:
    return {
        "num_changed": shift.num_changed,
        **{name: getattr(shift, name).to_json() for name in _RATIOS},
    }
