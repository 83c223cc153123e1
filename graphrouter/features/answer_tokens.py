"""Tokens of answers where spend is dollars: what tokens were recorded beside what was spent.

In closed form, from the outcomes of the support: a newcomer has it with its first recorded answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from graphrouter.features.text_spend import SpendRows
from graphrouter.features.token_rates import TokenRates
from graphrouter.types import FloatArray

_TEMPLATE_TOKENS = 10.0
_SLOPE_VARIANCE, _MODEL_VARIANCE = 1.0, 0.25
"""Of the pool's slopes around 0, and of a model's around the pool's."""
_USUAL_VARIANCE, _VARIANCE_ROWS = 0.1, 10.0
"""Of log tokens around their line, and so many outcomes' worth of belief in it."""


class AnswerTokens(NamedTuple):
    """Log tokens = level + slopes of standardised spend and of the log text, for M models.

    `fit_answer_tokens` fits it.
    """

    level: FloatArray
    """(M,) with what brings the mean of tokens out right (Duan 1983); NaN = never recorded."""
    slopes: FloatArray
    """(M, 2) by standardised spend and by log tokens of the text."""
    rates: FloatArray
    """(M, NUM_KINDS) tokens of the text a character."""
    text_range: FloatArray
    """(2,) smallest and largest log tokens of the text with recorded answers."""
    answer_range: FloatArray
    """(2, M) smallest and largest log tokens of an answer."""

    def expect(self, num_chars: FloatArray, spend: FloatArray, spread: FloatArray) -> FloatArray:
        """Mean tokens of an answer, (B, M), within what was recorded of the model.

        Args:
            num_chars: (B, NUM_KINDS) from `count_chars`.
            spend: (B, M) expected standardised spend.
            spread: (B, M) its standard deviation.
        """
        text = np.log((num_chars[:, None, :] * self.rates).sum(axis=2) + _TEMPLATE_TOKENS)
        by_spend, by_text = self.slopes.T
        log = self.level + by_spend * spend + by_text * np.clip(text, *self.text_range)
        return np.asarray(np.exp(np.clip(log + (by_spend * spread) ** 2 / 2, *self.answer_range)))


def fit_answer_tokens(rows: SpendRows, tokens: TokenRates, num_models: int) -> AnswerTokens | None:
    """How many tokens answers have, by what was spent on them; None where none were recorded.

    A ridge regression (Hoerl and Kennard, 1970) of the pool, drawn to 0, and one a model, drawn to
    the pool's; of differences within a model, whose level is its own.

    Args:
        rows: With spend as the standardised channel; of the support, in an order that is the same
            for the same outcomes.
        tokens: From characters to tokens.
        num_models: M.
    """
    rows = rows.take(np.isfinite(rows.output_tokens))
    if not rows.model.size:
        return None
    model = rows.model
    count = np.bincount(model, minlength=num_models)
    told = count > 0

    def average(values: FloatArray) -> FloatArray:
        return np.bincount(model, values, num_models) / np.maximum(count, 1)

    text = np.log((rows.num_chars * tokens.rates[model]).sum(axis=1) + _TEMPLATE_TOKENS)
    answer = np.log(np.maximum(rows.output_tokens, 1.0))
    known = np.isfinite(rows.spend)
    spend = np.where(known, rows.spend, 0.0)
    total = np.bincount(model, known, num_models)
    typical = np.bincount(model, spend, num_models) / np.maximum(total, 1)
    spend = np.where(known, spend, typical[model])
    x = np.column_stack([spend, text])
    centre = np.column_stack([average(column) for column in x.T])
    apart, y = x - centre[model], answer - average(answer)[model]
    square = np.zeros((num_models, 2, 2))
    np.add.at(square, model, apart[:, :, None] * apart[:, None, :])
    product = np.column_stack([np.bincount(model, column * y, num_models) for column in apart.T])
    prior = np.eye(2) * _USUAL_VARIANCE / _SLOPE_VARIANCE
    pooled = np.linalg.solve(square.sum(axis=0) + prior, product.sum(axis=0))
    left = np.bincount(model, (y - apart @ pooled) ** 2, num_models)
    variance = (left + _VARIANCE_ROWS * _USUAL_VARIANCE) / (count + _VARIANCE_ROWS)
    prior = variance[:, None, None] * np.eye(2) / _MODEL_VARIANCE
    slopes = np.linalg.solve(square + prior, (product + prior @ pooled)[..., None])[..., 0]
    fitted = np.exp((x * slopes[model]).sum(axis=1))
    level = np.log(
        np.where(told, average(np.exp(answer)), 1.0) / np.where(told, average(fitted), 1)
    )
    ends = np.full((2, num_models), [[np.inf], [-np.inf]])
    np.minimum.at(ends[0], model, answer)
    np.maximum.at(ends[1], model, answer)
    return AnswerTokens(
        level=np.where(told, level, np.nan),
        slopes=np.asarray(slopes, np.float64),
        rates=tokens.rates,
        text_range=np.array([text.min(), np.quantile(text, 0.9)]),
        answer_range=np.where(told, ends, 0.0),
    )
