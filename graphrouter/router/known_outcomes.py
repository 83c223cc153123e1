"""Predictions after answers to the very query have been graded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from graphrouter.grades import Grade, KnownOutcomes, believe
from graphrouter.router.outcome_covariance import OutcomeCovariance, condition, to_chance, to_logit
from graphrouter.types import FloatArray, IntArray, Predictions

_EFFECTS = ("effect", "effect_low", "effect_high")


def tell_outcomes(
    predictions: Predictions,
    known: Sequence[KnownOutcomes],
    named: Sequence[bool],
    covariance: OutcomeCovariance,
) -> Predictions:
    """The predictions for queries of which some answers are graded.

    The effect of a model that was graded is that of the answer in hand: the grade itself of a judge
    who is never wrong, and then its interval is a point. Rows of which nothing is known stay as
    they are, and rows do not influence one another.

    Args:
        predictions: Of B queries, with nothing told.
        known: B grades by model, each of a model of the predictions.
        named: B marks of queries whose task is named.
        covariance: Of the same models.
    """
    changed = {
        name: values.copy()
        for name in _EFFECTS
        if (values := getattr(predictions, name)) is not None
    }
    column = {model: i for i, model in enumerate(predictions.models)}
    for rows, shared in _group(known, named, covariance):
        models = np.array([[column[name] for name in known[row]] for row in rows])
        graded = spread([list(known[row].values()) for row in rows])
        logit = to_logit(predictions.effect[rows])
        told = condition(logit, shared, models, *graded)
        for values in changed.values():
            # Ends of intervals stay about the effect, nearer to it as doubt has shrunk.
            beside = to_logit(values[rows]) - logit
            values[rows] = to_chance(told.logit + beside * told.shrunk)
            # Of an answer in hand as much is doubted as its judge may err.
            own = to_logit(told.cavity) + np.take_along_axis(beside, models, axis=1)
            values[rows[:, None], models] = believe(to_chance(own), *graded)
    return replace(predictions, **changed)


def _group(
    known: Sequence[KnownOutcomes], named: Sequence[bool], covariance: OutcomeCovariance
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Queries with as many grades, named tasks or not, and the covariance that they share."""
    num_known, is_named = np.array([len(grades) for grades in known]), np.array(named, dtype=bool)
    for size in np.unique(num_known[num_known > 0]):
        for setting, shared in ((True, covariance.named), (False, covariance.hidden)):
            rows = np.flatnonzero((num_known == size) & (is_named == setting))
            if len(rows):
                yield rows, shared


def spread(grades: Sequence[Sequence[Grade]]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Effects, hit rates and false alarm rates, (B, K) each."""
    effect, hit_rate, false_alarm_rate = (
        np.array([[getattr(grade, name) for grade in row] for row in grades], dtype=np.float64)
        for name in ("effect", "hit_rate", "false_alarm_rate")
    )
    return effect, hit_rate, false_alarm_rate
