"""What calls of new models cost, by hand: promises of the pool and the models' own calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from graphrouter.bench.baselines.tools.amounts import Amounts
from graphrouter.bench.baselines.tools.levels import (
    LEVEL_OUTCOMES,
    place_amounts_in_cells,
    place_levels,
    price_by_list,
    stack_amounts,
    take_geometric_mean,
)
from graphrouter.bench.baselines.tools.new_models import NewModels
from graphrouter.bench.baselines.tools.vectors import scale_to_unit
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.types import FloatArray, Predictions

NAN = float("nan")


def card(name: str, price: float | None = None) -> ModelCard:
    return ModelCard(model=name, input_usd_per_mtok=price, output_usd_per_mtok=price)


POOL = ModelPool.of([card("one", 1.0), card("ten", 10.0)])


def joining(*cards: ModelCard, outcomes: pd.DataFrame | None = None) -> NewModels:
    return NewModels.of(POOL, cards, outcomes)


def calls(model: str, **columns: Any) -> pd.DataFrame:
    frame = pd.DataFrame(columns).assign(model=model, effect=1.0)
    return frame.assign(prompt=[f"prompt {i}" for i in range(len(frame))])


def levels(
    *, tokens: tuple[float, float] = (NAN, NAN), cost: tuple[float, float] = (NAN, NAN)
) -> FloatArray:
    return np.array([cost, tokens, tokens, (NAN, NAN)])


def test_cost_is_the_pools_tokens_times_the_prices() -> None:
    """The pool pays twice its list price for 100 + 100 tokens, whoever answers; so does a newcomer
    at half of the price."""
    old = levels(tokens=(100.0, 100.0), cost=(4e-4, 4e-3))
    new = joining(card("half", 0.5), card("unpriced"))
    promised = price_by_list(old, np.full((4, 2), 100.0), new)
    np.testing.assert_allclose(promised, [2e-4, NAN])


def test_cost_goes_by_price_alone_where_tokens_tell_nothing() -> None:
    """Costs are a thousandth of the sum of the prices, though the tokens that were recorded are ten
    times apart."""
    old = levels(tokens=(1000.0, 100.0), cost=(2e-3, 2e-2))
    np.testing.assert_allclose(
        price_by_list(old, np.full((4, 1), 300.0), joining(card("four", 4.0))), [8e-3]
    )
    np.testing.assert_allclose(
        price_by_list(levels(cost=(2e-3, 2e-2)), np.full((4, 1), NAN), joining(card("four", 4.0))),
        [8e-3],
    )


def test_without_costs_in_the_pool_nothing_is_promised() -> None:
    assert np.isnan(
        price_by_list(
            levels(tokens=(100.0, 100.0)), np.full((4, 1), 100.0), joining(card("four", 4.0))
        )
    ).all()
    assert price_by_list(levels(cost=(1.0, 1.0)), np.full((4, 1), NAN), joining(card("free", 0.0)))[
        0
    ] == pytest.approx(1e-9)


def test_levels_are_shrunk_to_the_promise() -> None:
    frame = calls("four", output_tokens=[300.0, 500.0], latency_s=[1.0, 3.0])
    new = joining(card("four", 4.0), outcomes=frame)
    placed = place_levels(levels(tokens=(50.0, 200.0)), stack_amounts(new.outcomes), new)[:, 0]
    shrunk = (800.0 + LEVEL_OUTCOMES * 100.0) / (
        2 + LEVEL_OUTCOMES
    )  # the pool's geometric mean is 100
    np.testing.assert_allclose(
        placed, [NAN, 100.0, shrunk, 2.0]
    )  # no promise of a latency: a plain mean


def test_cells_follow_the_pools_profile() -> None:
    """Outputs are four times as long in the second cell; two short ones in the first tell about
    both."""
    output = np.array([[10.0, 20.0], [40.0, 80.0]])
    table = Predictions.from_arrays(("one", "ten"), np.full((2, 2), 0.5), output_tokens=output)
    blind = place_amounts_in_cells(table, np.empty(0, dtype=int), joining(card("new")))
    np.testing.assert_allclose(blind[2, :, 0], [np.sqrt(200.0), np.sqrt(3200.0)])
    assert np.isnan(blind[[0, 1, 3]]).all()
    new = joining(card("new"), outcomes=calls("new", output_tokens=[1.0, 1.0]))
    informed = place_amounts_in_cells(table, np.array([0, 0]), new)
    assert informed[2, 0, 0] < blind[2, 0, 0]
    assert informed[2, 1, 0] < blind[2, 1, 0]


def test_geometric_means_skip_what_is_not_known() -> None:
    np.testing.assert_allclose(
        take_geometric_mean(np.array([[1.0, 4.0, NAN], [NAN, NAN, NAN]]), axis=1), [2.0, NAN]
    )


def regression_world(num_queries: int) -> tuple[FloatArray, list[str], FloatArray]:
    """Vectors, prompts, and output tokens that follow the first direction."""
    rng = np.random.default_rng(0)
    vectors = scale_to_unit(rng.normal(size=(num_queries, 8)))
    tokens = 100 * np.exp(2 * vectors[:, 0] + rng.normal(0, 0.1, num_queries))
    return vectors, [f"prompt {i}" for i in range(num_queries)], tokens


@pytest.fixture(scope="module")
def fitted() -> Amounts:
    vectors, prompts, tokens = regression_world(300)
    both = np.column_stack([tokens, 4 * tokens])
    cost = both * 2 * np.array([1.0, 10.0]) / 1e6
    outcomes = Predictions.from_arrays(
        ("one", "ten"), np.full((300, 2), 0.5), cost_usd=cost, input_tokens=both, output_tokens=both
    )
    return Amounts.fit(vectors, prompts, outcomes)


def test_a_regression_joins_by_its_price(fitted: Amounts) -> None:
    vectors, prompts, tokens = regression_world(300)
    wider = fitted.extended(np.empty((0, 8)), [], joining(card("four", 4.0), card("unpriced")))
    cost, _, output, latency = wider.predict(vectors, prompts)
    np.testing.assert_allclose(
        output[:, 2:].mean(axis=0), 2 * tokens.mean(), rtol=0.1
    )  # between one and four times
    assert cost[:, 2].mean() == pytest.approx(2 * 2 * 4 * tokens.mean() / 1e6, rel=0.1)
    assert np.isnan(cost[:, 3]).all()
    assert np.isnan(latency).all()
    assert np.corrcoef(np.log(output[:, 2]), np.log(tokens))[0, 1] > 0.9, (
        "it varies with the prompt as the pool does"
    )
    before = fitted.predict(vectors, prompts)
    for name, values in zip(
        ("cost", "input", "output", "latency"), wider.predict(vectors, prompts), strict=True
    ):
        np.testing.assert_allclose(
            values[:, :2], before[("cost", "input", "output", "latency").index(name)]
        )


def test_a_regression_comes_to_what_the_model_itself_does(fitted: Amounts) -> None:
    vectors, prompts, tokens = regression_world(300)
    frame = calls("own", output_tokens=30 * tokens, cost_usd=tokens, latency_s=tokens).assign(
        prompt=prompts
    )
    wider = fitted.extended(vectors, prompts, joining(card("own"), outcomes=frame))
    cost, _, output, latency = wider.predict(vectors, prompts)
    for predicted, truth in ((output, 30 * tokens), (cost, tokens), (latency, tokens)):
        np.testing.assert_allclose(predicted[:, 2].mean(), truth.mean(), rtol=0.1)
        assert np.corrcoef(np.log(predicted[:, 2]), np.log(truth))[0, 1] > 0.9
