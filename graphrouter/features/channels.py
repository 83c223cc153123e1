"""What is predicted for a pair, as channels of one tensor, and the way from outcomes to channels.

Channel 0 is the effect (Bernoulli). The others are logarithms, standardised over training rows
(log-normal): input tokens, spend (output tokens, or cost where tokens do not explain it) and
latency. The way back is `scoring.decoding.decode_channels`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import numpy as np

from graphrouter.features.answer_tokens import AnswerTokens
from graphrouter.features.text_spend import TextSpend
from graphrouter.lazy import pandas as pd
from graphrouter.types import BoolArray, FloatArray

CHANNELS = ("effect", "input_tokens", "spend", "latency")
NUM_CHANNELS = len(CHANNELS)
EFFECT, INPUT_TOKENS, SPEND, LATENCY = range(NUM_CHANNELS)


class OutcomeColumns(Protocol):
    """Outcomes column by column: a data frame, or a table as it is stored."""

    def __getitem__(self, column: str, /) -> Any: ...


PRICE_COLUMNS = ("input_usd_per_mtok", "output_usd_per_mtok")
"""Columns of an outcome frame with the list prices of the model when it was recorded, US dollars
per million tokens."""

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

    And what spend says where it is no tokens: how it goes on with longer prompts, and how many
    tokens the answer has.

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
    """(M,) US dollars a token by which a prompt is longer than any that spend was recorded of, by
    list price: for spend that holds the prompt too and that `text` does not follow."""
    text: TextSpend | None = None
    """How spend that holds the prompt grows with it."""
    answers: AnswerTokens | None = None
    """Tokens of answers where a unit of spend is none; without it they are not known."""

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
        mean, scale = np.zeros(NUM_CHANNELS), np.ones(NUM_CHANNELS)
        observed = [True]
        for channel, raw in enumerate(_take_logarithms(outcomes, unit)):
            if channel == EFFECT:
                continue
            known = raw[np.isfinite(raw)]
            observed.append(known.size > 0)
            if known.size:
                mean[channel] = known.mean()
                scale[channel] = max(float(known.std()), 1e-3)
        return cls(spend_unit=unit, mean=mean, scale=scale, observed=tuple(observed))

    def encode(self, outcomes: OutcomeColumns) -> FloatArray:
        """Channels of outcomes: (NUM_CHANNELS, num_outcomes), NaN = not observed."""
        moments = zip(self.mean, self.scale, strict=True)
        raw = zip(_take_logarithms(outcomes, self.spend_unit), moments, strict=True)
        standardised: FloatArray = np.stack(
            [(values - mean) / scale for values, (mean, scale) in raw]
        )
        return standardised

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


def _take_logarithms(outcomes: OutcomeColumns, unit: SpendUnit) -> Iterator[FloatArray]:
    """The channels before they are standardised, (num_outcomes,) each, one after the other."""

    def read(column: str) -> FloatArray:
        return read_columns(outcomes, column)[0]

    def take(column: str, least: float) -> FloatArray:
        return np.asarray(np.log(np.maximum(read(column), least)))

    by_channel: dict[str, Callable[[], FloatArray]] = {
        "effect": lambda: read("effect"),
        "input_tokens": lambda: take("input_tokens", 1.0),
        "spend": {
            SpendUnit.TOKENS: lambda: take("output_tokens", 1.0),
            SpendUnit.PRICE: lambda: take("cost_usd", _FREE_USD) - np.log(_average_price(outcomes)),
            SpendUnit.USD: lambda: take("cost_usd", _FREE_USD),
            SpendUnit.NONE: lambda: np.full_like(read("effect"), np.nan),
        }[unit],
        "latency": lambda: take("latency_s", 1e-4),
    }
    return (by_channel[channel]() for channel in CHANNELS)


def _average_price(outcomes: OutcomeColumns) -> FloatArray:
    """Mean price of a token of each outcome's model, NaN where free or not known: (n,)."""
    input_price, output_price = read_columns(outcomes, *PRICE_COLUMNS)
    mean_price = (input_price + output_price) / 2e6
    return np.where(mean_price > 0, mean_price, np.nan)


def read_columns(outcomes: OutcomeColumns, *columns: str) -> list[FloatArray]:
    """Columns as arrays, (num_outcomes,) each."""
    return [np.asarray(outcomes[column], dtype=np.float64) for column in columns]
