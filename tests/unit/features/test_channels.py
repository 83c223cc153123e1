"""From outcomes to channels and back, in every unit of spend; what the real data sets call for."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphrouter.config import SplitConfig
from graphrouter.data import load_dataset, split_dataset
from graphrouter.data.columns import OUTCOME_NUMBERS
from graphrouter.features.channels import (
    CHANNELS,
    EFFECT,
    INPUT_TOKENS,
    LATENCY,
    NUM_CHANNELS,
    PRICE_COLUMNS,
    SPEND,
    ChannelScaler,
    SpendUnit,
    Tariff,
    choose_spend_unit,
)
from graphrouter.features.recorded_prices import add_prices
from graphrouter.features.token_rates import TokenEstimate
from graphrouter.scoring.decoding import decode_channels
from graphrouter.types import FloatArray, Predictions

NAN = float("nan")
MODELS = ("nano", "grand")
PRICES = np.array([[1.0, 10.0], [2.0, 40.0]])
MODEL = np.array([0, 1, 0, 1])
TOKENS = {"input_tokens": [100.0, 200.0, 50.0, 400.0], "output_tokens": [10.0, 1000.0, 400.0, 30.0]}
COST = (
    np.array(TOKENS["input_tokens"]) * PRICES[0, MODEL]
    + np.array(TOKENS["output_tokens"]) * PRICES[1, MODEL]
) / 1e6


def columns(*, priced: bool = True, **known: FloatArray | list[float]) -> pd.DataFrame:
    """Four outcomes, of the models 0, 1, 0, 1; what is not given was not recorded."""

    def column(name: str) -> FloatArray:
        return np.array(known.get(name, [NAN] * 4), dtype=np.float64)

    prices = PRICES[:, MODEL] if priced else np.full((2, 4), NAN)
    return pd.DataFrame(
        {
            "model": [MODELS[i] for i in MODEL],
            "effect": [1.0, 0.0, 0.25, 1.0],
            **{name: column(name) for name in OUTCOME_NUMBERS if name != "effect"},
            PRICE_COLUMNS[0]: prices[0],
            PRICE_COLUMNS[1]: prices[1],
        }
    )


def as_expected(tokens: FloatArray, *, beyond: float = 0.0) -> TokenEstimate:
    """Prompts like those counted: as many tokens as the network expects."""
    known = np.nan_to_num(tokens)
    return TokenEstimate(known, 1.5 * known, np.full_like(known, beyond))


def decoded(
    scaler: ChannelScaler,
    channels: FloatArray,
    *,
    log_scale: float = -np.inf,
    prices: FloatArray = PRICES,
) -> Predictions:
    """Predictions of a network that is sure of `channels`, as a grid whose row i is outcome i under
    either model."""
    location = np.repeat(np.nan_to_num(channels)[:, :, None], 2, axis=2)
    return decode_channels(
        scaler,
        MODELS,
        location,
        np.full_like(location, log_scale),
        tariff=Tariff.of_list_prices(scaler.spend_unit, prices),
        count_tokens=as_expected,
    )


def of_model(matrix: FloatArray) -> FloatArray:
    """The entry of each outcome's own model: (4,)."""
    own: FloatArray = matrix[np.arange(4), MODEL]
    return own


def test_the_spend_channel_holds_tokens_when_they_and_the_prices_explain_the_cost() -> None:
    assert choose_spend_unit(columns(**TOKENS, cost_usd=COST)) is SpendUnit.TOKENS
    assert choose_spend_unit(columns(**TOKENS, cost_usd=COST * 1.09)) is SpendUnit.TOKENS


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (columns(**TOKENS), SpendUnit.TOKENS),
        (columns(priced=False, **TOKENS), SpendUnit.TOKENS),
        (columns(**TOKENS, cost_usd=COST * 1.5), SpendUnit.TOKENS),
        (columns(**TOKENS, cost_usd=COST * [1, 3, 4, 0.2]), SpendUnit.PRICE),
        (columns(**TOKENS, cost_usd=[COST[0], 0, COST[2], 0]), SpendUnit.TOKENS),
        (columns(cost_usd=COST), SpendUnit.PRICE),
        (columns(output_tokens=TOKENS["output_tokens"], cost_usd=COST), SpendUnit.PRICE),
        (columns(priced=False, cost_usd=COST), SpendUnit.USD),
        (columns(priced=False, **TOKENS, cost_usd=COST), SpendUnit.USD),
        (columns(), SpendUnit.NONE),
        (columns(input_tokens=TOKENS["input_tokens"], latency_s=[1, 2, 3, 4]), SpendUnit.NONE),
    ],
    ids=[
        "tokens, no cost",
        "tokens, no prices",
        "a bill in a fixed ratio to tokens and prices",
        "tokens that do not explain the cost",
        "zeros say nothing",
        "cost and prices",
        "cost, prices, no prompt tokens",
        "cost alone",
        "cost and tokens, no prices",
        "nothing",
        "no answer tokens",
    ],
)
def test_the_spend_channel_otherwise(outcomes: pd.DataFrame, expected: SpendUnit) -> None:
    assert choose_spend_unit(outcomes) is expected


def test_tokens_of_few_outcomes_do_not_stand_for_costs_of_many() -> None:
    few = {name: [values[0], NAN, NAN, NAN] for name, values in TOKENS.items()}
    assert choose_spend_unit(columns(**few, cost_usd=COST)) is SpendUnit.PRICE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("zeroeval", SpendUnit.TOKENS),
        ("mmlu_pro", SpendUnit.TOKENS),
        ("bfcl_v1", SpendUnit.TOKENS),
        ("routerbench_subset", SpendUnit.PRICE),
        ("llmrouter_default", SpendUnit.NONE),
    ],
)
def test_the_spend_channel_of_real_outcomes(
    shared_data: Callable[[str], Path], name: str, expected: SpendUnit
) -> None:
    data = load_dataset(shared_data(name))
    train = data.outcomes["query_id"].isin(split_dataset(data, SplitConfig()).train)
    assert choose_spend_unit(add_prices(data.outcomes[train], data.pool)) is expected


def test_channels_by_hand() -> None:
    outcomes = columns(**TOKENS, latency_s=[math.e, 1.0, NAN, NAN])
    scaler = ChannelScaler.fit(outcomes)
    assert CHANNELS == ("effect", "input_tokens", "spend", "latency")
    assert scaler.observed == (True, True, True, True)
    assert (scaler.mean[EFFECT], scaler.scale[EFFECT]) == (0.0, 1.0)
    logs = np.log(TOKENS["output_tokens"])
    assert (scaler.mean[SPEND], scaler.scale[SPEND]) == (
        pytest.approx(logs.mean()),
        pytest.approx(logs.std()),
    )
    assert (scaler.mean[LATENCY], scaler.scale[LATENCY]) == (pytest.approx(0.5), pytest.approx(0.5))
    channels = scaler.encode(outcomes)
    assert channels.shape == (NUM_CHANNELS, 4)
    assert channels[EFFECT].tolist() == [1.0, 0.0, 0.25, 1.0]
    assert channels[SPEND] == pytest.approx((logs - logs.mean()) / logs.std())
    assert channels[LATENCY] == pytest.approx([1.0, -1.0, NAN, NAN], nan_ok=True)


def test_spend_in_units_of_the_price_by_hand() -> None:
    scaler = ChannelScaler.fit(columns(cost_usd=[3e-6, 25e-6, 3e-6, 25e-6]))
    assert scaler.spend_unit is SpendUnit.PRICE
    # mean prices a token are 1.5e-6 and 25e-6: the calls are as dear as 2, 1, 2 and 1 tokens
    assert scaler.mean[SPEND] == pytest.approx(math.log(2) / 2)
    assert scaler.scale[SPEND] == pytest.approx(math.log(2) / 2)


ROUND_TRIPS = {
    SpendUnit.TOKENS: columns(**TOKENS, cost_usd=COST, latency_s=[0.5, 2, 1, 30]),
    SpendUnit.PRICE: columns(
        cost_usd=COST * 3, input_tokens=TOKENS["input_tokens"], latency_s=[0.5, 2, 1, 30]
    ),
    SpendUnit.USD: columns(priced=False, cost_usd=COST, **TOKENS),
    SpendUnit.NONE: columns(priced=False, latency_s=[0.5, 2, 1, 30]),
}


@pytest.mark.parametrize("unit", SpendUnit)
def test_decode_gives_back_what_was_encoded(unit: SpendUnit) -> None:
    outcomes = ROUND_TRIPS[unit]
    scaler = ChannelScaler.fit(outcomes)
    assert scaler.spend_unit is unit
    prices = np.full((2, 2), NAN) if outcomes[PRICE_COLUMNS[0]].isna().all() else PRICES
    received = decoded(scaler, scaler.encode(outcomes), prices=prices)
    assert of_model(received.effect).tolist() == outcomes["effect"].tolist()
    assert of_model(received.cost_usd) == pytest.approx(
        outcomes["cost_usd"].to_numpy(), rel=1e-9, nan_ok=True
    )
    assert of_model(received.latency_s) == pytest.approx(
        outcomes["latency_s"].to_numpy(), rel=1e-9, nan_ok=True
    )
    if scaler.observed[INPUT_TOKENS]:
        assert of_model(received.input_tokens) == pytest.approx(
            outcomes["input_tokens"].to_numpy(), rel=1e-9
        )
    expected = outcomes["output_tokens"].to_numpy() if unit is SpendUnit.TOKENS else np.full(4, NAN)
    assert of_model(received.output_tokens) == pytest.approx(expected, rel=1e-9, nan_ok=True)


@given(
    st.lists(
        st.tuples(st.floats(1, 1e5), st.floats(1, 1e5), st.floats(1e-3, 1e3)),
        min_size=4,
        max_size=4,
    )
)
def test_any_tokens_and_latencies_survive_the_round_trip(
    rows: list[tuple[float, float, float]],
) -> None:
    prompt, answer, latency = (list(values) for values in zip(*rows, strict=True))
    outcomes = columns(input_tokens=prompt, output_tokens=answer, latency_s=latency)
    scaler = ChannelScaler.fit(outcomes)
    received = decoded(scaler, scaler.encode(outcomes))
    assert of_model(received.input_tokens) == pytest.approx(prompt, rel=1e-6)
    assert of_model(received.output_tokens) == pytest.approx(answer, rel=1e-6)
    assert of_model(received.latency_s) == pytest.approx(latency, rel=1e-6)


def scaler_of(
    unit: SpendUnit, *, mean: float = 2.0, scale: float = 0.5, observed: bool = True
) -> ChannelScaler:
    return ChannelScaler(
        spend_unit=unit,
        mean=np.array([0.0, mean, mean, mean]),
        scale=np.array([1.0, scale, scale, scale]),
        observed=(True, observed, observed, observed),
    )


def single(
    location: float,
    log_scale: float,
    scaler: ChannelScaler,
    *,
    count_tokens: Callable[[FloatArray], TokenEstimate] = as_expected,
) -> Predictions:
    """Predictions of one pair, all channels of which have the same location and scale; prices 3 and
    5."""
    shape = (NUM_CHANNELS, 1, 1)
    return decode_channels(
        scaler,
        ("nano",),
        np.full(shape, location),
        np.full(shape, log_scale),
        tariff=Tariff.of_list_prices(scaler.spend_unit, np.array([[3.0], [5.0]])),
        count_tokens=count_tokens,
    )


def test_expectations_are_means_of_the_log_normal() -> None:
    received = single(0.8, math.log(0.6), scaler_of(SpendUnit.TOKENS))
    # mu = 2 + 0.5 * 0.8, sigma = 0.5 * 0.6
    expected = math.exp(2.4 + 0.3**2 / 2)
    assert received.effect.item() == 0.8
    assert received.output_tokens.item() == pytest.approx(expected)
    assert received.input_tokens.item() == pytest.approx(expected)
    assert received.latency_s.item() == pytest.approx(expected)
    assert received.cost_usd.item() == pytest.approx(expected * (3 + 5) / 1e6)


@pytest.mark.parametrize(
    ("unit", "usd"),
    [
        (SpendUnit.PRICE, math.exp(2.0) * (3 + 5) / 2e6),
        (SpendUnit.USD, math.exp(2.0)),
        (SpendUnit.NONE, NAN),
    ],
)
def test_cost_without_tokens(unit: SpendUnit, usd: float) -> None:
    received = single(0.0, -np.inf, scaler_of(unit, observed=unit is not SpendUnit.NONE))
    assert received.cost_usd.item() == pytest.approx(usd, nan_ok=True)
    assert math.isnan(received.output_tokens.item())


def test_a_wild_network_cannot_predict_a_wild_sum() -> None:
    far, farther = (
        single(location, 50.0, scaler_of(SpendUnit.USD)).cost_usd.item() for location in (6.0, 1e6)
    )
    assert far == farther == pytest.approx(math.exp(2 + 0.5 * 6 + 1.5**2 / 2))
    assert single(-1e6, -np.inf, scaler_of(SpendUnit.USD)).cost_usd.item() == pytest.approx(
        math.exp(2 - 0.5 * 6)
    )


def test_channels_never_observed_are_unknown_and_prompt_tokens_come_from_the_text() -> None:
    def count(tokens: FloatArray) -> TokenEstimate:
        assert np.isnan(tokens).all()
        return TokenEstimate(*np.array([[[100.0]], [[130.0]], [[0.0]]]))

    received = single(0.3, 0.0, scaler_of(SpendUnit.TOKENS, observed=False), count_tokens=count)
    assert math.isnan(received.cost_usd.item())
    assert math.isnan(received.latency_s.item())
    assert received.input_tokens.item() == 100.0
    assert received.most_input_tokens is not None
    assert received.most_input_tokens.item() == 130.0


def test_what_a_prompt_is_longer_than_any_seen_is_charged_by_the_token() -> None:
    longer = partial(as_expected, beyond=1e6)
    usual = single(0.0, -np.inf, scaler_of(SpendUnit.PRICE)).cost_usd.item()
    long = single(0.0, -np.inf, scaler_of(SpendUnit.PRICE), count_tokens=longer).cost_usd.item()
    assert long == pytest.approx(usual + 3.0)  # a million tokens at 3 USD
    # Tokens hold them already, and dollars without prices cannot say.
    for unit in (SpendUnit.TOKENS, SpendUnit.USD):
        assert (
            single(0.0, -np.inf, scaler_of(unit), count_tokens=longer).cost_usd
            == single(0.0, -np.inf, scaler_of(unit)).cost_usd
        )


def test_zero_tokens_and_zero_latency_are_observed() -> None:
    outcomes = columns(
        input_tokens=[0, 1, 1, 1], output_tokens=[0.0, 10.0, 100.0, 1000.0], latency_s=[0, 1, 1, 1]
    )
    scaler = ChannelScaler.fit(outcomes)
    channels = scaler.encode(outcomes)
    assert np.isfinite(channels).all()
    assert channels[SPEND, 0] == channels[SPEND].min()
    assert of_model(decoded(scaler, channels).output_tokens) == pytest.approx([1, 10, 100, 1000])


def test_a_free_model_is_predicted_to_cost_nothing_and_teaches_nothing_of_the_price() -> None:
    prices = np.array([[0.0, 10.0], [0.0, 40.0]])
    outcomes = columns(cost_usd=[0.0, 25e-6, 0.0, 50e-6]).assign(
        **dict(zip(PRICE_COLUMNS, prices[:, MODEL], strict=True))
    )
    scaler = ChannelScaler.fit(outcomes)
    assert scaler.spend_unit is SpendUnit.PRICE
    channels = scaler.encode(outcomes)
    assert np.isnan(channels[SPEND]).tolist() == [True, False, True, False]
    assert of_model(decoded(scaler, channels, prices=prices).cost_usd) == pytest.approx(
        [0, 25e-6, 0, 50e-6]
    )


def test_equal_values_have_a_scale() -> None:
    scaler = ChannelScaler.fit(columns(output_tokens=[7.0] * 4))
    assert scaler.scale[SPEND] == 1e-3
    assert np.abs(scaler.encode(columns(output_tokens=[7.0] * 4))[SPEND]).max() < 1e-9
