"""Measures of predictions, on the pairs that were both observed and predicted."""

from __future__ import annotations

import numpy as np

from graphrouter.bench.evaluation.bootstrap import Statistic
from graphrouter.bench.evaluation.evaluation_set import EvaluationSet
from graphrouter.bench.evaluation.measures import Measures, average_pairs
from graphrouter.bench.evaluation.prediction_errors import (
    brier_of_pairs,
    kendall_tau_of_queries,
    log_error_of_pairs,
)
from graphrouter.training.effect_scores import (
    calibration_error_of_sums,
    calibration_sums,
    log_loss_of_pairs,
)
from graphrouter.types import BoolArray, Predictions, Quantity


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
