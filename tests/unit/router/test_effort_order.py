"""Amounts of settings of one model follow their effort; the rest of the pool stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphrouter as gr
from graphrouter.pool import ModelPool
from graphrouter.router.effort_order import EffortOrder
from graphrouter.types import Predictions

NAN = float("nan")


def setting(effort: str, **more: float) -> gr.ModelCard:
    return gr.ModelCard(
        model=f"x-{effort}",
        base="x",
        parameters={"reasoning_effort": effort},
        **({"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 2.0} | more),
    )


def predict(pool: ModelPool, tokens: list[float]) -> Predictions:
    row = np.array([tokens], dtype=float)
    return Predictions.from_arrays(
        pool.names, np.full_like(row, 0.5), cost_usd=row / 1e6, output_tokens=row
    )


def test_an_untried_setting_is_kept_between_its_siblings() -> None:
    pool = ModelPool.of([setting("low"), setting("medium"), setting("high")])
    order = EffortOrder.of(pool, np.array([True, False, True]))
    for tokens, kept in (([10, 5, 30], 10), ([10, 50, 30], 30), ([10, 20, 30], 20)):
        found = order.keep(predict(pool, tokens))
        assert found.output_tokens.tolist() == [[tokens[0], kept, tokens[2]]]
        assert found.cost_usd[0, 1] == pytest.approx(kept / 1e6)
        assert np.isnan(found.latency_s).all()


def test_untried_settings_rise_with_effort_and_what_was_seen_stays() -> None:
    pool = ModelPool.of([setting("high"), setting("low"), setting("medium")])
    untried = EffortOrder.of(pool, np.array([False, True, False]))
    assert untried.keep(predict(pool, [5, 10, 20])).output_tokens.tolist() == [[20, 10, 20]]
    tried = EffortOrder.of(pool, np.ones(3, dtype=bool))
    assert tried.keep(predict(pool, [5, 10, 20])).output_tokens.tolist() == [[5, 10, 20]]
    # Siblings that were seen out of order bound it from below.
    crossed = EffortOrder.of(pool, np.array([True, True, False]))
    assert crossed.keep(predict(pool, [5, 10, 7])).output_tokens.tolist() == [[5, 10, 10]]


def test_dollars_follow_only_where_prices_are_the_same() -> None:
    pool = ModelPool.of([setting("low"), setting("high", output_usd_per_mtok=1.0)])
    found = EffortOrder.of(pool, np.array([True, False])).keep(predict(pool, [10, 5]))
    assert found.output_tokens.tolist() == [[10, 10]]
    assert found.cost_usd[0, 1] == pytest.approx(5e-6)


def test_unknown_amounts_bound_nothing_and_stay_unknown() -> None:
    pool = ModelPool.of([setting("low"), setting("high")])
    order = EffortOrder.of(pool, np.array([True, False]))
    assert np.isnan(order.keep(predict(pool, [10, NAN])).output_tokens[0, 1])
    assert order.keep(predict(pool, [NAN, 5])).output_tokens[0, 1] == 5


def test_without_settings_predictions_are_the_same_object() -> None:
    pool = ModelPool.of([gr.ModelCard(model="a"), gr.ModelCard(model="b")])
    predictions = predict(pool, [1, 2])
    assert EffortOrder.of(pool, np.zeros(2, dtype=bool)).keep(predictions) is predictions


def test_a_setting_gains_by_naming_its_base(tmp_path: Path) -> None:
    """In a simulated world: high effort joins a pool that knows low and medium."""
    world = gr.simulate(500, 6, seed=1, num_efforts=3)
    known = [name for name in world.data.pool.names if name != "tarn-grand-high"]
    router = gr.GraphRouter.fit(world.data.select_models(known), instant=True)
    card = gr.ModelCard(
        model="tarn-grand-high", base="tarn-grand", parameters={"reasoning_effort": "high"}
    )
    bare = card.model_copy(update={"base": None, "parameters": None})
    queries, missed = world.data.queries, {}
    truth = world.truth.effect[:, world.truth.models.index("tarn-grand-high")]
    for each in (card, bare):
        placed = router.add_model(each)
        found = placed.predict(queries["prompt"].tolist(), tasks=queries["task"].tolist())
        missed[each.base] = np.abs(found.effect[:, -1] - truth).mean()
        if each is card:
            medium = placed.models.index("tarn-grand-medium")
            assert (found.output_tokens[:, -1] >= found.output_tokens[:, medium]).all()
            assert (found.cost_usd[:, -1] >= found.cost_usd[:, medium]).all()
            placed.save(tmp_path / "router")
            loaded = gr.load_router(tmp_path / "router")
            assert loaded.pool["tarn-grand-high"] == placed.pool["tarn-grand-high"]
            again = loaded.predict(queries["prompt"].tolist(), tasks=queries["task"].tolist())
            np.testing.assert_array_equal(again.cost_usd, found.cost_usd)
        else:
            assert np.isnan(found.cost_usd[:, -1]).all()
    assert missed["tarn-grand"] < 0.6 * missed[None]
