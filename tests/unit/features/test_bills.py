"""What recorded dollars say beside tokens and list prices, and which zeros are not meant."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from graphrouter.features.bills import Bills
from graphrouter.features.channels import PRICE_COLUMNS, SPEND, ChannelScaler, SpendUnit
from graphrouter.features.suspect_zeros import hide_suspect_zeros
from graphrouter.types import FloatArray

NAN = float("nan")
NUM = 200


def make_outcomes(
    name: str, prices: tuple[float, float], *, factor: float = 1.0, usd: float | None = None
) -> pd.DataFrame:
    """Outcomes of a model that is billed `factor` times tokens and price, or about `usd` a call."""
    rng = np.random.default_rng(len(name))
    prompt, answer = (np.exp(rng.normal(mean, 0.6, NUM)) for mean in (5.0, 5.5))
    listed = (prompt * prices[0] + answer * prices[1]) / 1e6
    return pd.DataFrame(
        {
            "model": name,
            "effect": rng.random(NUM),
            "cost_usd": factor * listed if usd is None else usd * np.exp(rng.normal(0, 0.3, NUM)),
            "input_tokens": prompt,
            "output_tokens": answer,
            "latency_s": 1.0,
            PRICE_COLUMNS[0]: prices[0],
            PRICE_COLUMNS[1]: prices[1],
        }
    )


REST = [make_outcomes("nano", (1.0, 2.0)), make_outcomes("grand", (10.0, 40.0))]


def read(*parts: pd.DataFrame) -> tuple[Bills, FloatArray, pd.DataFrame]:
    """The bills of two ordinary models and of the given one, prices now, and all outcomes."""
    outcomes = pd.concat([*REST, *parts], ignore_index=True)
    scaler = ChannelScaler.fit(hide_suspect_zeros(pd.concat(REST)))
    models = list(dict.fromkeys(outcomes["model"]))
    prices = outcomes.groupby("model", sort=False)[list(PRICE_COLUMNS)].first().to_numpy().T
    return Bills.read(outcomes, models, scaler), prices, outcomes


def charge(bills: Bills, prices: FloatArray, outcomes: pd.DataFrame, name: str) -> float:
    """Mean cost of the outcomes of a model, by the tariff and by what the channels hold."""
    mine = hide_suspect_zeros(outcomes)
    mine = mine[mine["model"] == name].reset_index(drop=True)
    tariff, place = bills.charge(prices), bills.models.index(name)
    scaler = bills.scaler
    spend = np.exp(scaler.mean[SPEND] + scaler.scale[SPEND] * bills.encode(mine)[SPEND])
    prompt = np.nan_to_num(mine["input_tokens"].to_numpy())
    charged = np.where(tariff.spend_usd[place] == 0, 0.0, spend * tariff.spend_usd[place])
    return float(np.nanmean(prompt * tariff.input_usd[place] + charged))


@pytest.mark.parametrize(
    "mine",
    [
        make_outcomes("odd", (3.0, 15.0), factor=7.7),
        make_outcomes("odd", (3.0, 15.0), factor=0.095),
        make_outcomes("odd", (3.0, 15.0), usd=0.00002),
        make_outcomes("odd", (0.0, 0.0), usd=0.003),
        make_outcomes("odd", (NAN, NAN), usd=0.0044),
        make_outcomes("odd", (3.0, 15.0), factor=3).assign(input_tokens=NAN, output_tokens=NAN),
        make_outcomes("odd", (NAN, NAN), usd=0.01).assign(input_tokens=NAN, output_tokens=NAN),
    ],
    ids=["reasoning", "cache", "far below", "self-hosted", "no price", "no tokens", "neither"],
)
def test_a_model_is_charged_what_it_was_billed(mine: pd.DataFrame) -> None:
    bills, prices, outcomes = read(mine)
    assert bills.scaler.spend_unit is SpendUnit.TOKENS
    assert charge(bills, prices, outcomes, "odd") == pytest.approx(mine["cost_usd"].mean(), 0.02)


def test_a_new_price_is_multiplied_by_the_ratio_and_replaces_a_rate_without_price() -> None:
    bills, prices, outcomes = read(make_outcomes("odd", (3.0, 15.0), factor=7.7))
    before = charge(bills, prices, outcomes, "odd")
    dearer = prices * np.array([1, 1, 2])
    assert charge(bills, dearer, outcomes, "odd") == pytest.approx(2 * before)
    assert charge(bills, prices * np.array([1, 1, 0]), outcomes, "odd") == 0
    bills, prices, outcomes = read(make_outcomes("odd", (0.0, 0.0), usd=0.003))
    listed = np.where(np.arange(3) == 2, [[3.0], [15.0]], prices)
    tariff = bills.charge(listed)
    assert (tariff.input_usd[2], tariff.spend_usd[2]) == pytest.approx((3e-6, 15e-6))


def test_tokens_and_price_that_explain_the_bill_have_the_ratio_one() -> None:
    noisy = make_outcomes("odd", (3.0, 15.0))
    noisy["cost_usd"] *= np.exp(np.random.default_rng(1).normal(0, 0.5, NUM) - 0.125)
    bills, prices, _ = read(noisy)
    assert bills.charge(prices).spend_usd == pytest.approx(prices[1] / 1e6, 0.05)
    assert bills.describe(prices) == {}
    exact = make_outcomes("odd", (3.0, 15.0), factor=1 + 1e-6)
    assert read(exact)[0].charge(prices).spend_usd.tolist() == (prices[1] / 1e6).tolist()


def test_zeros_beside_bills_are_left_out_and_said_and_a_free_model_stays_free() -> None:
    streamed = make_outcomes("odd", (3.0, 15.0), factor=2.0)
    streamed.loc[: NUM * 4 // 10 - 1, ["cost_usd", "input_tokens", "output_tokens"]] = 0.0
    bills, prices, outcomes = read(streamed)
    expected = streamed["cost_usd"].iloc[NUM * 4 // 10 :].mean()
    assert charge(bills, prices, outcomes, "odd") == pytest.approx(expected, 0.02)
    assert bills.describe(prices)["odd"] == (
        "billed 2 x list price (120 outcomes)",
        "cost_usd of 0 is left out: 80 outcomes",
        "input_tokens of 0 is left out: 80 outcomes",
        "output_tokens of 0 is left out: 80 outcomes",
    )
    for price in (0.0, NAN):
        bills, prices, outcomes = read(make_outcomes("odd", (price, price)).assign(cost_usd=0.0))
        assert charge(bills, prices, outcomes, "odd") == 0
    bills, prices, _ = read(make_outcomes("odd", (3.0, 15.0)).assign(cost_usd=0.0))
    assert bills.charge(prices).spend_usd[2] == 15e-6
    assert "the list price is charged" in bills.describe(prices)["odd"][0]


def test_a_model_with_neither_price_nor_bill_stays_unknown_and_is_named() -> None:
    bills, prices, _ = read(make_outcomes("odd", (NAN, NAN)).assign(cost_usd=NAN))
    assert np.isnan(bills.charge(prices).spend_usd[2])
    assert bills.describe(prices) == {"odd": ("cost unknown: neither a list price nor a bill",)}


def test_the_price_that_is_lacking_beside_the_other_is_named() -> None:
    bills, prices, _ = read(make_outcomes("odd", (3.0, NAN)).assign(cost_usd=NAN))
    said = bills.describe(prices)["odd"]
    assert said == ("cost unknown: neither output_usd_per_mtok nor a bill",)


def test_without_a_bill_in_a_pool_of_dollars_a_list_price_does_not_help() -> None:
    rest = pd.concat(REST).assign(**dict.fromkeys([*PRICE_COLUMNS, "output_tokens"], NAN))
    scaler = ChannelScaler.fit(rest)
    assert scaler.spend_unit is SpendUnit.USD
    odd = make_outcomes("odd", (3.0, 15.0)).assign(cost_usd=NAN, output_tokens=NAN)
    models, prices = ["nano", "grand", "odd"], np.array([[NAN, NAN, 3.0], [NAN, NAN, 15.0]])
    bills = Bills.read(pd.concat([rest, odd], ignore_index=True), models, scaler)
    assert np.isnan(bills.charge(prices).spend_usd[2])
    (said,) = bills.describe(prices)["odd"]
    assert said == (
        "cost unknown: no bill, and in this pool dollars are learned from bills alone, not from "
        "its list price"
    )
    (said,) = bills.describe(prices * np.nan)["odd"]
    assert said == "cost unknown: no bill, and in this pool dollars are learned from bills alone"


def test_models_of_an_older_artifact_are_read_as_they_were() -> None:
    mine = make_outcomes("odd", (3.0, 15.0), factor=7.7)
    _, prices, outcomes = read(mine)
    scaler = ChannelScaler.fit(pd.concat(REST))
    old = Bills.read(outcomes, ["nano", "grand", "odd"], scaler, old_models=["odd"])
    assert old.charge(prices).spend_usd.tolist() == (prices[1] / 1e6).tolist()
    assert old.describe(prices) == {}
    assert old.encode(outcomes)[SPEND].tolist() == scaler.encode(outcomes)[SPEND].tolist()
