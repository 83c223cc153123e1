"""How spend that holds the prompt grows with the text: a line a model, for prompts beyond the seen.

Where dollars are what was recorded, a network says what calls like those seen come to, and stands
still beyond them. What a longer prompt adds is linear in its tokens.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from graphrouter.features.token_rates import (
    TokenRates,
    count_pooled,
    measure_overstep,
    take_differences,
)
from graphrouter.types import BoolArray, FloatArray, IntArray

_ANSWER_TOKENS = 1000.0
"""Tokens of a prompt that cost as much as a typical answer, where nothing tells: 250 tokens at four
times the price."""
_LEAST_ANSWER, _LARGEST_ANSWER = 10.0, 1e5
_ROUNDS = 3
_USUAL_SPREAD, _LEAST_SPREAD = 0.1, 0.02
"""Standard deviation of spends around their line, as a share."""
_SPREAD_ROWS = 10.0
"""So many outcomes' worth of belief in the usual spread."""
_LIST_DOUBT = 0.3
"""Standard deviation of what a token of the prompt is charged around its list price, as a share."""
_TASK_ROWS = 2.0
"""So many outcomes' worth of belief that a task is like the others."""
_FARTHEST = -30.0
"""Standard deviations below 0 at which what is above is still told from nothing."""
_LEAST = float(np.finfo(np.float64).tiny)


class SpendRows(NamedTuple):
    """Outcomes and what was spent on them. E outcomes."""

    num_chars: FloatArray
    """(E, NUM_KINDS) characters of the prompt by kind."""
    task: IntArray
    """(E,) position of the prompt's task; that after the last = unknown."""
    model: IntArray
    """(E,) position of the model."""
    spend: FloatArray
    """(E,) > 0, in units of the spend channel; NaN = not recorded."""
    output_tokens: FloatArray
    """(E,) of the answer; NaN = not recorded."""

    def take(self, rows: BoolArray | IntArray) -> SpendRows:
        """Some of the outcomes."""
        return SpendRows._make(column[rows] for column in self)


class TextSpend(NamedTuple):
    """Spend = beside + characters of each kind x rate, for M models and T tasks.

    In units of the spend channel: a new price changes it as it changes all spend.
    `fit_text_spend` fits it.
    """

    rates: FloatArray
    """(M, NUM_KINDS) spend a character, >= 0."""
    beside: FloatArray
    """(T + 1, M) spend beside the text, >= 0, such as an answer; last row: unknown task."""
    belief: FloatArray
    """(M,) how surely the rate is told from 0, in [0, 1]."""
    follows: BoolArray
    """(M,) whether the spend of a model holds its prompts."""
    pooled: FloatArray
    """(NUM_KINDS,) tokens a character, over models."""
    most: FloatArray
    """(NUM_KINDS,) most characters of each kind in a prompt whose spend was recorded."""
    usual: float
    """Tokens of the text, at the pooled rates, that nine of ten such prompts do not exceed."""
    longest: float
    """Tokens of the longest such text."""

    def follow(
        self, num_chars: FloatArray, task_share: FloatArray, expected: FloatArray
    ) -> FloatArray:
        """Spend of prompts: by the network among prompts like those seen, else by the line: (B, M).

        Args:
            num_chars: (B, NUM_KINDS) from `count_chars`.
            task_share: (B, T + 1) belief over tasks, last column: none of them.
            expected: (B, M) spend that the network expects, > 0; NaN stays.
        """
        tokens = count_pooled(num_chars, self.pooled)
        far = measure_overstep(num_chars, tokens, self.pooled, self.most, self.usual)[:, None]
        beyond = np.maximum(1 - self.longest / tokens, 0.0)[:, None]
        # One product a row: a row by itself is rounded the same.
        text = (num_chars[:, None, :] * self.rates).sum(axis=2)
        beside = np.matmul(task_share[:, None], self.beside)[:, 0]
        line = np.maximum(beside + text, _LEAST)
        carried = expected + text * beyond
        weight = far * self.belief * text / line
        return np.where(self.follows, carried * (line / carried) ** weight, expected)


def fit_text_spend(
    rows: SpendRows,
    tokens: TokenRates,
    *,
    follows: BoolArray,
    listed: FloatArray,
    num_tasks: int,
) -> TextSpend:
    """The lines that recorded spends show.

    The rate is a ridge regression (Hoerl and Kennard, 1970) a model, of spends over the model's
    mean, drawn to that of list prices where there are any, and to that of the pool. Errors count
    relative to the line, and only differences within a task: long prompts may be of a task with
    long answers. Where tokens of answers were recorded, their part is taken out first.

    Args:
        rows: Of the support, in an order that is the same for the same outcomes.
        tokens: From characters to tokens.
        follows: (M,) whether the spend of a model holds its prompts.
        listed: (M,) spend a token of the prompt by list prices, NaN = not known.
        num_tasks: T.
    """
    rows = rows.take(np.isfinite(rows.spend) & follows[rows.model])
    count = np.bincount(rows.model, minlength=len(follows))
    told = count > 0
    mean = np.bincount(rows.model, rows.spend, len(follows)) / np.maximum(count, 1)
    text = (rows.num_chars * tokens.rates[rows.model]).sum(axis=1)
    slope, belief = np.zeros(len(follows)), np.zeros(len(follows))
    scale, answer = np.ones(len(text)), _ANSWER_TOKENS
    for _ in range(_ROUNDS if len(text) else 0):
        scale = (answer + text.mean()) / (answer + text)
        pooled, slope, belief = _fit_slopes(rows, text, mean, listed, scale)
        answer = float(np.clip(1 / pooled - text.mean(), _LEAST_ANSWER, _LARGEST_ANSWER))
    rate = np.where(told, slope * mean, listed)
    known = np.isfinite(rate)
    rate = np.where(known, rate, rate[known].mean() if known.any() else 0.0)
    rest = rows.spend - text * rate[rows.model]
    beside = _average_by_task(rows, rest, scale**2, count, num_tasks)
    beside[:, ~told] = beside[:, told].mean(axis=1, keepdims=True) if told.any() else 0.0
    seen = rows.num_chars @ tokens.pooled
    return TextSpend(
        rates=tokens.rates * rate[:, None],
        beside=beside,
        belief=belief,
        follows=follows,
        pooled=tokens.pooled,
        most=rows.num_chars.max(axis=0, initial=0.0),
        usual=float(np.quantile(seen, 0.9)) if seen.size else 0.0,
        longest=float(seen.max(initial=0.0)),
    )


def _fit_slopes(
    rows: SpendRows, text: FloatArray, mean: FloatArray, listed: FloatArray, scale: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """What a token of the text adds to spend over a model's mean: in the pool, and of each (M,).

    And how surely the latter is told from 0, (M,) in [0, 1].

    Args:
        rows: E outcomes.
        text: (E,) tokens of their prompts.
        mean: (M,) spend of each model.
        listed: (M,) spend a token of the prompt by list prices, NaN = not known.
        scale: (E,) by what errors count.
    """
    num_models, ratio = len(mean), rows.spend / mean[rows.model]
    count = np.bincount(rows.model, minlength=num_models)
    counted = np.isfinite(rows.output_tokens)
    has_answers = (2 * np.bincount(rows.model, counted, num_models) >= count)[rows.model]
    used = counted | ~has_answers
    answers = np.where(has_answers, np.nan_to_num(rows.output_tokens), 0.0)
    model = rows.model[used]
    group = model * (rows.task.max() + 1) + rows.task[used]
    columns = np.column_stack([text, answers])[used]
    x, y = take_differences(columns, ratio[used], scale[used], group, model)

    def add_up(values: FloatArray) -> FloatArray:
        return np.bincount(model, values, num_models).astype(np.float64)

    def divide(above: FloatArray, below: FloatArray) -> FloatArray:
        return np.divide(above, below, out=np.zeros(num_models), where=below > 0)

    # What answers explain is partialled out of both (Frisch and Waugh, 1933).
    answer = x[:, 1]
    t, y = (
        each - answer * divide(add_up(answer * each), add_up(answer**2))[model]
        for each in (x[:, 0], y)
    )
    square, product = add_up(t**2), add_up(t * y)
    left = add_up((y - t * divide(product, square)[model]) ** 2)
    variance = (left + _SPREAD_ROWS * _USUAL_SPREAD**2) / (add_up(np.ones(len(t))) + _SPREAD_ROWS)
    square, product = (part / np.maximum(variance, _LEAST_SPREAD**2) for part in (square, product))
    # A slope is doubted by as much as it is expected to be.
    start = 1 / (_ANSWER_TOKENS + text.mean())
    pooled = (product.sum() + 1 / start) / (square.sum() + 1 / start**2)
    pooled = max(float(pooled), start / 1000)
    has_list = np.isfinite(listed) & (mean > 0)
    expected = np.divide(listed, mean, out=np.full(num_models, pooled), where=has_list)
    doubt = np.where(has_list, _LIST_DOUBT, 1.0) * expected
    spread = 1 / np.sqrt(square + 1 / doubt**2)
    own = _average_positive((product + expected / doubt**2) * spread**2, spread)
    return pooled, own, own**2 / (own**2 + spread**2)


def _average_positive(mean: FloatArray, spread: FloatArray) -> FloatArray:
    """Means of normal distributions of which only what is above 0 can be, (n,) each: > 0."""
    away = np.maximum(mean / spread, _FARTHEST)
    density = np.exp(-(away**2) / 2) / math.sqrt(2 * math.pi)
    above = np.array([math.erfc(-each / math.sqrt(2)) / 2 for each in away.tolist()])
    return np.asarray(spread * (away + density / above))


def _average_by_task(
    rows: SpendRows, rest: FloatArray, weight: FloatArray, count: IntArray, num_tasks: int
) -> FloatArray:
    """Weighted means of what is beside the text, tasks drawn to the model's: (T + 1, M), >= 0."""
    total = np.bincount(rows.model, weight, len(count))
    level = np.bincount(rows.model, weight * rest, len(count)) / np.maximum(total, _LEAST)
    shape = (num_tasks + 1, len(count))
    cell = rows.task * len(count) + rows.model
    apart, known = (
        np.bincount(cell, values, shape[0] * shape[1]).reshape(shape)
        for values in (weight * (rest - level[rows.model]), weight)
    )
    prior = _TASK_ROWS * total / np.maximum(count, 1)
    beside = level + apart / np.maximum(known + prior, _LEAST)
    beside[-1] = level
    return np.asarray(np.maximum(beside, 0.0))
