"""Measures of predictions, on the pairs that were both observed and predicted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.deviations import (
    average_deviations,
    explained_share,
    sum_deviations,
)
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import (
    Measures,
    Unmeasured,
    average_pairs,
    divide_first_two,
)
from graphrouter.bench.evaluation.prediction_errors import (
    brier_of_pairs,
    kendall_tau_of_queries,
    log_error_of_pairs,
)
from graphrouter.bench.evaluation.router_output import RouterOutput
from graphrouter.training.effect_scores import (
    calibration_error_of_sums,
    calibration_sums,
    log_loss_of_pairs,
)
from graphrouter.types import BoolArray, Predictions, Quantity

CASCADE_PREDICTS_NOTHING = "a cascade looks at answers; it predicts nothing beforehand"
NO_LEVELS = "no query but the evaluated ones has an outcome to fit the levels of models on"
NO_DEVIATION = "no query has outcomes of two models that depart from their levels"
IS_EVALUATED = "it says what a baseline adds to the evaluated router"


def measure_effect(
    evaluation_set: EvaluationSet, predictions: Predictions, usable: BoolArray
) -> Measures:
    """Log loss, Brier score, calibration error and ranking of the expected effect."""
    expected, observed = (
        np.where(usable, predictions.effect, np.nan),
        evaluation_set.observed.effect,
    )
    return {
        "log_loss": average_pairs(log_loss_of_pairs(expected, observed)),
        "brier": average_pairs(brier_of_pairs(expected, observed)),
        "ece": Statistic(calibration_sums(expected, observed), calibration_error_of_sums),
        "kendall_tau": average_pairs(kendall_tau_of_queries(expected, observed)),
    }


def measure_log_rmse(
    evaluation_set: EvaluationSet,
    predictions: Predictions,
    usable: BoolArray,
    *,
    quantity: Quantity,
    name: str,
    floor: float,
) -> Measures:
    """Root mean square error of the log of a predicted amount."""
    expected = np.where(usable, getattr(predictions, quantity), np.nan)
    squares = average_pairs(
        log_error_of_pairs(expected, getattr(evaluation_set.observed, quantity), floor=floor) ** 2
    )
    return {name: Statistic(squares.parts, lambda sums: np.sqrt(squares.finish(sums)))}


def measure_deviation(
    evaluation_set: EvaluationSet, predictions: Predictions, usable: BoolArray
) -> Measures:
    """Share of what tells models apart on a query, beyond their levels, that is predicted."""
    level, observed = evaluation_set.level, evaluation_set.observed.effect
    if level is None:
        return {"deviation_r2": Unmeasured(NO_LEVELS)}
    sums = sum_deviations(np.where(usable, observed - level, np.nan), predictions.effect - level)
    return {"deviation_r2": Statistic(sums, explained_share)}


def measure_additions(
    evaluation_set: EvaluationSet, outputs: Mapping[str, RouterOutput]
) -> dict[str, Measures]:
    """What each baseline has that the evaluated router misses, by router.

    By how much the predictions of the evaluated router get better when their deviations are
    averaged with those of the baseline; level and ease stay its own.

    Args:
        evaluation_set: The queries and what was observed of them.
        outputs: Those compared, by name; the evaluated one first.
    """
    evaluated, *baselines = outputs
    mine = outputs[evaluated]
    own_reason = IS_EVALUATED if mine.replayed is None else CASCADE_PREDICTS_NOTHING
    return {
        evaluated: _explain_no_addition(evaluation_set, own_reason),
        **{name: _measure_addition(evaluation_set, mine, outputs[name]) for name in baselines},
    }


def _measure_addition(
    evaluation_set: EvaluationSet, mine: RouterOutput, theirs: RouterOutput
) -> Measures:
    """What one baseline adds, on the pairs that both predict."""
    if mine.replayed is not None or theirs.replayed is not None:
        return _explain_no_addition(evaluation_set, CASCADE_PREDICTS_NOTHING)
    observed, level = evaluation_set.observed.effect, evaluation_set.level
    own, other = mine.predictions.effect, theirs.predictions.effect
    usable = np.isfinite(observed) & np.isfinite(own) & np.isfinite(other)
    if usable.sum(axis=1).max() < 2:
        return _explain_no_addition(evaluation_set, NO_DEVIATION)
    own = np.where(usable, own, np.nan)
    averaged = average_deviations(own, other, usable)
    saved = log_loss_of_pairs(own, observed) - log_loss_of_pairs(averaged, observed)
    measures = {"added_log_loss": average_pairs(saved)}
    if level is None:
        return {"added_deviation_r2": Unmeasured(NO_LEVELS), **measures}
    alone, together = (
        sum_deviations(observed - level, predicted - level) for predicted in (own, averaged)
    )
    # The difference of the shares, as one sum: where nothing is added, it is 0 in every draw.
    added = np.column_stack([alone[:, 0] - together[:, 0], alone[:, 1]])
    return {"added_deviation_r2": Statistic(added, divide_first_two), **measures}


def _explain_no_addition(evaluation_set: EvaluationSet, reason: str) -> Measures:
    has_levels = evaluation_set.level is not None
    return {
        "added_deviation_r2": Unmeasured(reason if has_levels else NO_LEVELS),
        "added_log_loss": Unmeasured(reason),
    }
