"""Which prompts to run on a newcomer so that few outcomes tell much, and are a fair sample.

A greedy Bayesian experimental design on random prompts of tasks that come by their share.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import block_diag
from scipy.special import expit

from graphrouter.data.view_columns import question_keys
from graphrouter.exceptions import DataError
from graphrouter.features.channels import EFFECT
from graphrouter.router.parts import Support
from graphrouter.scoring.operations import to_numpy
from graphrouter.scoring.state import SupportState
from graphrouter.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from graphrouter.nn.rasch import RaschBase

_COLUMNS = ["query_id", "task", "prompt"]
_AMONG = 3
"""Each probe is the best of so many, drawn at random of one task. What seems to tell most of all
is, by and large, what is overestimated most."""


@dataclass(frozen=True)
class ProbeDesign:
    """What is known before probes are chosen. D features.

    The logit of a model is linear in the features of a query.
    """

    features: FloatArray
    """(num_queries, D) of each support query."""
    typical: FloatArray
    """(num_queries, D) the same without what makes this query special: what a new query like it
    has."""
    information: FloatArray
    """(num_queries,) Fisher information of one outcome about the logit, in (0, 0.25]."""
    covariance: FloatArray
    """(D, D) of the coefficients, given all outcomes of the model so far; on the logit scale."""


def suggest_probes(
    support: Support, base: RaschBase, state: SupportState, num: int, model: str | None = None
) -> pd.DataFrame:
    """Queries of the support to run on a model, in the order to run them.

    Columns `query_id`, `task`, `prompt`. The first n of more probes are the n probes. No prompt
    occurs twice, nor one on which an answer of the model was graded.

    Args:
        support: What the router has seen.
        base: Of the network; it holds the learned prior masses.
        state: Of the support.
        num: How many.
        model: A model of the pool that is to be placed better, by what its card and its outcomes
            say so far; a model that nothing is known of, without it.

    Raises:
        UnknownModelError: The pool has no such model.
        DataError: `num` is below 1, or larger than the number of prompts that are left, or the
            router was saved without its prompts.
    """
    if support.withholds_prompts:
        raise DataError(
            "Probes were asked for, but the router was saved without the text of its prompts "
            "(evidence=False), so there is nothing to run. Ask where they are kept, or run prompts "
            "of your own and pass their outcomes."
        )
    place = None if model is None else support.pool.position(model)
    is_theirs = (support.outcomes["model"] == model) & support.outcomes["effect"].notna()
    theirs = support.outcomes.loc[is_theirs, "query_id"]
    answered = support.queries["query_id"].isin(theirs).to_numpy(dtype=bool)
    open_rows = _open_rows(support.queries, answered)
    if not isinstance(num, Integral) or not 1 <= num <= len(open_rows):
        whose = "" if model is None else f" that {model!r} has not answered"
        raise DataError(
            f"{num} probes were asked for; expected 1 to {len(open_rows)}, the number of distinct "
            f"prompts of the support{whose}. "
            "Ask for as many, or add outcomes on other prompts."
        )
    chosen = choose_probes(
        derive_design(base, state, place),
        num,
        candidates=open_rows,
        sample=FairSample(state.task_of_query[open_rows], _AMONG),
    )
    return support.queries[_COLUMNS].iloc[chosen].reset_index(drop=True)


def derive_design(base: RaschBase, state: SupportState, model: int | None) -> ProbeDesign:
    """The choice as the router's own base sees it.

    There is a feature for each factor that models share, and one for the skill in each task. A
    query that tells strong models from weak ones has a larger first feature (see `RaschBase`).

    Args:
        base: Of the network; it holds the learned prior masses.
        state: Of the support.
        model: Position in the pool; a model that nothing is known of, without it.
    """
    known, task = state.base, state.task_of_query
    levels = known.ability[EFFECT] + known.skill[EFFECT]  # (T + 1, M)
    num_factors = known.basis.shape[2]
    if model is None:
        level, factors = levels.mean(1), np.zeros(num_factors)
        shared = np.eye(num_factors) / to_numpy(base.prior_mass())[EFFECT]
        own = np.ones_like(level) / to_numpy(base.skill_mass())[EFFECT]
    else:
        level, factors = levels[:, model], known.factors[EFFECT, :, model]
        shared, own = known.factor_covariance[EFFECT, model], known.own_variance[EFFECT, :, model]
    slope = known.slope[EFFECT]
    membership = np.eye(len(state.task) + 1)[task][:, : len(state.task)]
    typical = np.concatenate([known.basis[EFFECT][task], membership], axis=1)
    features = typical.copy()
    features[:, 0] += slope
    logit = (
        level[task]
        + known.task_easiness[EFFECT][task]
        + known.surprise[EFFECT]
        + slope * factors[0]
    )
    uncertainty = (1 - known.reliability[EFFECT]) / to_numpy(base.easiness_mass())[EFFECT]
    return ProbeDesign(
        features=features,
        typical=typical,
        information=outcome_information(logit, uncertainty),
        covariance=block_diag(shared, np.diag(own[: len(state.task)])),
    )


def outcome_information(logit: FloatArray, easiness_variance: FloatArray) -> FloatArray:
    """Fisher information of one outcome about a model's logit on each query.

    (num_queries,), in (0, 0.25]: p (1 - p) where the easiness is known (Rasch 1960). Where it is
    not, its variance adds to that of the outcome, so that a query which few models have answered
    says little.

    Args:
        logit: (num_queries,) expected logit.
        easiness_variance: (num_queries,) variance of the easiness, >= 0.

    Example:
        >>> outcome_information(np.array([0.0, 0.0, 3.0]), np.array([0.0, 2.0, 0.0])).round(3)
        array([0.25 , 0.167, 0.045])
    """
    chance = expit(logit)
    information = chance * (1 - chance)
    return np.asarray(information / (1 + information * easiness_variance))


class FairSample:
    """Which candidates a step looks at: a few random ones of the task that is asked least.

    Least for its share of the candidates (proportional allocation: Cochran 1977, section 5.5), so
    that the outcomes are a fair sample of what the model will be asked. The same candidates in the
    same order of steps give the same draws.
    """

    def __init__(self, task: IntArray, among: int) -> None:
        """A sample of which nothing is drawn yet.

        Args:
            task: (num_candidates,) int64 >= 0 of each candidate.
            among: Most candidates that a step looks at.
        """
        self._task, self._among = task, among
        self._share = np.bincount(task) / len(task)
        self._asked = np.zeros(len(self._share))
        self._rng = np.random.default_rng(len(task))

    def draw(self, is_free: BoolArray) -> BoolArray:
        """The candidates of the next step, at least one where any is free: (num_candidates,)."""
        has_free = np.bincount(self._task[is_free], minlength=len(self._share)) > 0
        wanted = self._share * (self._asked.sum() + 1) - self._asked
        task = int(np.argmax(np.where(has_free, wanted, -np.inf)))
        self._asked[task] += 1
        is_drawn = np.zeros_like(is_free)
        theirs = np.flatnonzero(is_free & (self._task == task))
        is_drawn[self._rng.permutation(theirs)[: self._among]] = True
        return is_drawn


def choose_probes(
    design: ProbeDesign, num: int, *, candidates: IntArray, sample: FairSample | None = None
) -> IntArray:
    """Positions of the `num` queries that tell most, most useful first, each at most once.

    Each step takes the query that lowers the expected excess log loss on new queries like those of
    the support most: the mean of information x posterior variance of the logit, halved. That is
    Bayesian A-optimality, weighted by the moments of the support (Chaloner and Verdinelli 1995,
    section 2), one query at a time; a choice does not depend on how many more follow.

    Args:
        design: The features, what an outcome tells, and what is known.
        num: At most the number of candidates.
        candidates: Positions of queries to choose from; of equal ones the first is taken.
        sample: Which of them each step looks at; at all by default.
    """
    moments = (design.typical.T * design.information) @ design.typical / len(design.typical)
    covariance = design.covariance
    # Of each candidate: the variance of its logit, and by how much its direction weighs in the mean
    # over new queries.
    features, information = design.features[candidates], design.information[candidates]
    spread = features @ covariance
    variance = (spread * features).sum(axis=1)
    weight = ((spread @ moments) * spread).sum(axis=1)
    is_free = np.ones(len(candidates), dtype=bool)
    chosen = np.empty(num, dtype=np.int64)
    for step in range(num):
        gain = information * weight / (1 + information * variance)
        is_drawn = is_free if sample is None else sample.draw(is_free)
        best = int(np.argmax(np.where(is_drawn, gain, -np.inf)))
        chosen[step], is_free[best] = candidates[best], False
        # One more outcome changes the covariance by a matrix of rank one (Sherman and Morrison
        # 1950).
        direction = covariance @ features[best]
        shrinkage = information[best] / (1 + information[best] * variance[best])
        along = features @ direction
        overlap = shrinkage * along
        pull = moments @ direction
        weight = (
            weight
            - 2 * overlap * (features @ (covariance @ pull))
            + overlap**2 * float(direction @ pull)
        )
        variance = variance - overlap * along
        covariance = covariance - shrinkage * np.outer(direction, direction)
    return chosen


def _open_rows(queries: pd.DataFrame, answered: BoolArray) -> IntArray:
    """Positions of the queries that may be asked, in order.

    The first of each prompt of which the model has answered no copy.
    """
    keys = pd.Series(question_keys(queries), index=queries.index, dtype="str")
    done = keys.isin(keys[answered]) | keys.duplicated()
    return np.flatnonzero(~done.to_numpy(dtype=bool))
