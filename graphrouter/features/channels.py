"""What is predicted for a pair, as channels of one tensor, and the way from outcomes to channels.

Channel 0 is the effect (Bernoulli). The others are logarithms, standardised over training rows
(log-normal): input tokens, spend (output tokens, or cost where tokens do not explain it) and
latency. The way back is `nn.forecaster.decode_channels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from graphrouter.features.prompts import NUM_KINDS, TokenRates
from graphrouter.types import BoolArray, FloatArray, IntArray

CHANNELS = ("effect", "input_tokens", "spend", "latency")
NUM_CHANNELS = len(CHANNELS)
EFFECT, INPUT_TOKENS, SPEND, LATENCY = range(NUM_CHANNELS)

PRICE_COLUMNS = ("input_usd_per_mtok", "output_usd_per_mtok")
"""Columns of an outcome frame with the list prices of the model when it was recorded, US dollars
per million tokens."""

PRIOR_RATES = np.array([0.21, 0.35, 0.5, 0.75, 0.3, 0.1, 1.0, 0.7])
"""Tokens a character of each of `prompts.KINDS` where nothing was counted. English comes out at 4.2
characters a token (OpenAI's help pages say about 4), code at about 3. A Chinese character took 1.03
tokens of cl100k_base and 0.73 of o200k_base in OpenAI's example of May 2024; DeepSeek counts 0.6,
tokenizers made for English count 1 to 2. Digits come one to three a token. Other scripts: from 0.4
(Cyrillic) to more than 1 (Devanagari, emoji)."""
_PRIOR_DOUBT = np.array([0.25, 0.5, 0.5, 0.3, 0.5, 1.0, 0.35, 0.5])
"""Standard deviation of the same between tokenizers and texts, as a share."""
_MODEL_DOUBT = 0.15
"""Standard deviation of a model's rates around the pool's times its ratio, as a share."""
_RATIO_DOUBT = 0.3
_RATIO_ROUNDS = 3
_MOST_ROWS = 1000
"""Of a model; more would say the rates no better."""
_TEMPLATE_TOKENS = 10.0
_FREE_USD = 1e-9


class SpendUnit(StrEnum):
    """What the spend channel holds."""

    TOKENS = "tokens"
    """Output tokens; cost = (input tokens x input price + output tokens x output price) / 1e6."""
    PRICE = "price"
    """Cost in US dollars divided by the model's mean price a token: tokens were not recorded, or do
    not explain the recorded cost."""
    USD = "usd"
    """Cost in US dollars: there are no prices."""
    NONE = "none"
    """Nothing was recorded; cost cannot be predicted."""


class Tariff(NamedTuple):
    """What channels cost: cost = input tokens x `input_usd` + spend x `spend_usd`. M models.

    Example:
        >>> tariff = Tariff.of_list_prices(SpendUnit.TOKENS, np.array([[3.0], [15.0]]))
        >>> round(float(100 * tariff.input_usd[0] + 20 * tariff.spend_usd[0]), 6)
        0.0006
    """

    input_usd: FloatArray
    """(M,) US dollars an input token; NaN = not known."""
    spend_usd: FloatArray
    """(M,) US dollars a unit of the spend channel; NaN = not known."""
    counts_tokens: BoolArray
    """(M,) whether a unit of spend is an output token."""
    beyond_usd: FloatArray | float = 0.0
    """(M,) US dollars a token by which a prompt is longer than any that spend was recorded of: for
    spend that holds the prompt too."""

    @classmethod
    def of_list_prices(cls, unit: SpendUnit, prices: FloatArray) -> Tariff:
        """What is charged by list prices alone.

        Args:
            unit: Of the spend channel.
            prices: (2, M) input and output US dollars per million tokens, NaN = not known.
        """
        input_price, output_price = prices / 1e6
        nothing = np.zeros_like(input_price)
        input_usd, spend_usd, beyond_usd = {
            SpendUnit.TOKENS: (input_price, output_price, nothing),
            SpendUnit.PRICE: (nothing, (input_price + output_price) / 2, input_price),
            SpendUnit.USD: (nothing, nothing + 1.0, nothing),
            SpendUnit.NONE: (nothing, nothing + np.nan, nothing),
        }[unit]
        counts_tokens = np.full(nothing.shape, unit is SpendUnit.TOKENS)
        return cls(input_usd, spend_usd, counts_tokens, beyond_usd)


@dataclass(frozen=True)
class ChannelScaler:
    """Maps outcomes to channels; what it holds also maps predicted channels back.

    Fitted on training rows. Outcomes come as a frame with the columns `effect`, `cost_usd`,
    `input_tokens`, `output_tokens`, `latency_s` and `PRICE_COLUMNS`; NaN = not recorded.
    """

    spend_unit: SpendUnit
    mean: FloatArray
    """(NUM_CHANNELS,) mean of each channel over training rows; 0 for the effect."""
    scale: FloatArray
    """(NUM_CHANNELS,) standard deviation; 1 for the effect and for channels never observed."""
    observed: tuple[bool, ...]
    """Whether a channel was observed at all; one that was not is predicted as NaN."""

    @classmethod
    def fit(cls, outcomes: pd.DataFrame) -> ChannelScaler:
        """The scaler of training outcomes, which name their `model` too."""
        outcomes = outcomes.assign(cost_usd=outcomes["cost_usd"].where(outcomes["cost_usd"] > 0))
        unit = choose_spend_unit(outcomes)
        raw = _take_logarithms(outcomes, unit)
        mean, scale = np.zeros(NUM_CHANNELS), np.ones(NUM_CHANNELS)
        observed = [True]
        for channel in range(1, NUM_CHANNELS):
            known = raw[channel][np.isfinite(raw[channel])]
            observed.append(known.size > 0)
            if known.size:
                mean[channel] = known.mean()
                scale[channel] = max(float(known.std()), 1e-3)
        return cls(spend_unit=unit, mean=mean, scale=scale, observed=tuple(observed))

    def encode(self, outcomes: pd.DataFrame) -> FloatArray:
        """Channels of outcomes: (NUM_CHANNELS, num_outcomes), NaN = not observed."""
        raw = _take_logarithms(outcomes, self.spend_unit)
        channels: FloatArray = (raw - self.mean[:, None]) / self.scale[:, None]
        return channels

    def price_typical_call(self, prices: FloatArray) -> FloatArray:
        """US dollars of a call whose spend is the typical one of training rows: (n,).

        Args:
            prices: (2, n) input and output US dollars per million tokens.
        """
        observed = self.observed[INPUT_TOKENS:LATENCY]
        prompt, spend = np.exp(self.mean[[INPUT_TOKENS, SPEND]]) * observed
        cost: FloatArray = {
            SpendUnit.TOKENS: (prompt * prices[0] + spend * prices[1]) / 1e6,
            SpendUnit.PRICE: spend * prices.mean(axis=0) / 1e6,
        }.get(self.spend_unit, np.full(prices.shape[1], spend))
        return cost


def choose_spend_unit(outcomes: pd.DataFrame) -> SpendUnit:
    """What the spend channel should hold for these outcomes, a frame as in `ChannelScaler`.

    Tokens, if they and the prices reproduce the recorded costs up to a ratio a model (median error
    at most 10 %) or no cost is recorded; otherwise the cost over the model's price; otherwise the
    cost. A cost of 0 says nothing of that.
    """
    input_tokens, output_tokens = read_columns(outcomes, "input_tokens", "output_tokens")
    input_price, output_price = read_columns(outcomes, *PRICE_COLUMNS)
    (cost,) = read_columns(outcomes, "cost_usd")
    costed, priced = cost > 0, input_price + output_price > 0
    computed = (input_tokens * input_price + output_tokens * output_price) / 1e6
    both = costed & (computed > 0)
    if both.any() and both.mean() >= 0.5 * costed.mean():
        model = pd.factorize(outcomes["model"][both])[0]
        billed, expected = (np.bincount(model, amount[both]) for amount in (cost, computed))
        error = np.abs((billed / expected)[model] * computed[both] / cost[both] - 1)
        if np.median(error) <= 0.1:
            return SpendUnit.TOKENS
    if not costed.any():
        return SpendUnit.TOKENS if np.isfinite(output_tokens).any() else SpendUnit.NONE
    if (costed & priced).mean() >= 0.5 * costed.mean():
        return SpendUnit.PRICE
    return SpendUnit.USD


def _take_logarithms(outcomes: pd.DataFrame, unit: SpendUnit) -> FloatArray:
    """The channels before they are standardised: (NUM_CHANNELS, num_outcomes)."""
    effect, cost, prompt, answer, latency = read_columns(
        outcomes, "effect", "cost_usd", "input_tokens", "output_tokens", "latency_s"
    )
    spend = {
        SpendUnit.TOKENS: np.log(np.maximum(answer, 1.0)),
        SpendUnit.PRICE: np.log(np.maximum(cost, _FREE_USD)) - np.log(_average_price(outcomes)),
        SpendUnit.USD: np.log(np.maximum(cost, _FREE_USD)),
        SpendUnit.NONE: np.full_like(effect, np.nan),
    }[unit]
    by_channel = {
        "effect": effect,
        "input_tokens": np.log(np.maximum(prompt, 1.0)),
        "spend": spend,
        "latency": np.log(np.maximum(latency, 1e-4)),
    }
    return np.stack([by_channel[channel] for channel in CHANNELS])


def _average_price(outcomes: pd.DataFrame) -> FloatArray:
    """Mean price of a token of each outcome's model, NaN where free or not known: (n,)."""
    input_price, output_price = read_columns(outcomes, *PRICE_COLUMNS)
    mean_price = (input_price + output_price) / 2e6
    return np.where(mean_price > 0, mean_price, np.nan)


def read_columns(outcomes: pd.DataFrame, *columns: str) -> list[FloatArray]:
    """Columns as arrays, (num_outcomes,) each."""
    return [outcomes[column].to_numpy(float) for column in columns]


def fit_token_rates(
    num_chars: FloatArray,
    task: IntArray,
    query: IntArray,
    model: IntArray,
    tokens: FloatArray,
    *,
    num_models: int,
    num_tasks: int,
) -> TokenRates:
    """Tokens a character of each kind, from prompts whose tokens were counted.

    A ridge regression (Hoerl and Kennard, 1970) of the pool, drawn to `PRIOR_RATES`, and one a
    model, drawn to a ratio of the model times the pool's. Errors count relative to the length, and
    only differences within a task: a task may have examples that its prompts do not show.

    Args:
        num_chars: (Q, NUM_KINDS) characters of the prompts.
        task: (Q,) position of each prompt's task, -1 = unknown.
        query: (E,) prompt of each outcome.
        model: (E,) model of each outcome.
        tokens: (E,) prompt tokens, NaN = not counted.
        num_models: M.
        num_tasks: T.
    """
    known, every = np.flatnonzero(np.isfinite(tokens)), np.arange(num_models + 1)
    answered, distinct = np.unique(query), np.unique(query[known])
    known = known[np.lexsort((tokens[known], query[known], model[known]))]  # any order: same bits
    ends = np.searchsorted(model[known], every)
    known = known[_spread_rows(ends, _MOST_ROWS)]
    query, model, tokens = query[known], model[known], tokens[known]
    chars, group = num_chars[query], task[query] % (num_tasks + 1)
    scale = 1 / (chars @ PRIOR_RATES + _TEMPLATE_TOKENS)
    x, y = _take_differences(chars, tokens, scale, model * (num_tasks + 1) + group, model)
    # Models that read one prompt count it much alike.
    copies = max(len(query), 1) / max(len(np.unique(query)), 1)
    ends = np.searchsorted(model, every)
    own_rows = {i: slice(*ends[i : i + 2]) for i in range(num_models) if ends[i] < ends[i + 1]}
    ratio = np.ones(num_models)
    for _ in range(_RATIO_ROUNDS):
        doubt = np.diag((_PRIOR_DOUBT * PRIOR_RATES) ** 2)
        pooled, doubt, spread = _fit_ridge(
            x * ratio[model, None], y, PRIOR_RATES, doubt, copies=copies
        )
        told = (spread / _RATIO_DOUBT) ** 2
        for one, own in own_rows.items():
            likely = x[own] @ pooled
            ratio[one] = max(float((likely @ y[own] + told) / (likely @ likely + told)), 0.1)
    rates, doubts = np.tile(pooled, (num_models, 1)), np.tile(doubt, (num_models, 1, 1))
    spreads, offset = np.full(num_models, spread), np.full((num_tasks + 1, num_models), np.nan)
    for one, own in own_rows.items():
        start = ratio[one] * pooled
        apart = doubt + np.diag((_MODEL_DOUBT * start + 0.003) ** 2)
        rates[one], doubts[one], spreads[one] = _fit_ridge(x[own], y[own], start, apart)
        rest, weight = tokens[own] - chars[own] @ rates[one], scale[own] ** 2
        level = max(float(weight @ rest / weight.sum()), 0.0)
        sums = np.bincount(group[own], weight * (rest - level), num_tasks + 1)
        shrunk = sums / (np.bincount(group[own], weight, num_tasks + 1) + 2 * weight.mean())
        offset[:, one] = np.maximum(level + shrunk, 0.0)
        offset[num_tasks, one] = level
    others = np.isnan(offset).all(axis=0)
    offset[:, others] = offset[:, ~others].mean(axis=1, keepdims=True) if len(query) else 0.0
    text = num_chars[distinct] @ pooled
    return TokenRates(
        rates=rates,
        doubt=doubts,
        offset=offset,
        spread=spreads,
        pooled=pooled,
        most=num_chars[distinct].max(axis=0, initial=0.0),
        usual=float(np.quantile(text, 0.9)) if text.size else 0.0,
        longest=float((num_chars[answered] @ pooled).max(initial=0.0)),
    )


def _spread_rows(ends: IntArray, most: int) -> IntArray:
    """Positions of at most `most` rows a group, evenly spread; group i begins at ends[i]."""
    chosen = [
        np.unique(np.linspace(first, last - 1, min(last - first, most)).astype(np.int64))
        for first, last in pairwise(ends)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *chosen])


def _take_differences(
    chars: FloatArray, tokens: FloatArray, scale: FloatArray, group: IntArray, wider: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Characters and tokens less their means in a group, times `scale`: (E, NUM_KINDS) and (E,).

    Rows of a group of fewer than three are compared with all such of the wider group.
    """
    group = np.unique(group, return_inverse=True)[1]
    lonely = np.bincount(group)[group] < 3 if group.size else group > 0
    group = np.unique(np.where(lonely, -1 - wider, group), return_inverse=True)[1]
    columns = np.column_stack([chars, tokens])
    weight = np.bincount(group, scale**2)
    for column in columns.T:
        column -= (np.bincount(group, scale**2 * column) / weight)[group]
    columns *= scale[:, None]
    return columns[:, :-1], columns[:, -1]


def _fit_ridge(
    x: FloatArray, y: FloatArray, start: FloatArray, doubt: FloatArray, *, copies: float = 1.0
) -> tuple[FloatArray, FloatArray, float]:
    """Rates >= 0 around `start`, their covariance, and the spread of what they leave.

    Args:
        x: (n, NUM_KINDS).
        y: (n,).
        start: (NUM_KINDS,) what is expected before.
        doubt: (NUM_KINDS, NUM_KINDS) covariance of the same.
        copies: Rows that say the same.
    """
    told, square, spread = np.linalg.inv(doubt), x.T @ x / copies, 0.1
    for _ in range(3):
        precision = square / spread**2 + told
        free = np.ones(NUM_KINDS, dtype=bool)
        rates = np.zeros(NUM_KINDS)
        while free.any():
            right = (x.T @ y / copies / spread**2 + told @ start)[free]
            rates[free] = np.linalg.solve(precision[np.ix_(free, free)], right)
            if (rates >= 0).all():
                break
            free &= rates > 0
            rates[~free] = 0.0
        left = y - x @ rates
        spread = max(float(np.sqrt((left @ left + 0.1) / (len(y) + 10))), 0.02)
    return rates, np.linalg.inv(precision), spread
