"""The scale of costs follows prices: what everybody's price does alike changes no choice."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import graphrouter as gr
from graphrouter.features.channels import PRICE_COLUMNS
from graphrouter.features.recorded_prices import reprice_scale
from graphrouter.policy import PRESETS, CostScale, PresetName
from graphrouter.pool import ModelPool

NAN = float("nan")


def at_prices(router: gr.GraphRouter, factors: dict[str, float]) -> gr.GraphRouter:
    """The router with the prices of some models multiplied."""

    def change(changed: gr.GraphRouter, model: str) -> gr.GraphRouter:
        card = router.pool[model]
        assert card.input_usd_per_mtok is not None
        assert card.output_usd_per_mtok is not None
        return changed.set_price(
            model,
            input_usd_per_mtok=card.input_usd_per_mtok * factors[model],
            output_usd_per_mtok=card.output_usd_per_mtok * factors[model],
        )

    return reduce(change, factors, router)


def choices(router: gr.GraphRouter, prompts: list[str], preset: PresetName) -> list[str]:
    policy = gr.Policy.preset(preset)
    return [decision.model for decision in router.route_batch(prompts, policy=policy)]


@pytest.mark.parametrize("factor", [0.1, 1000.0])
def test_a_factor_on_all_prices_changes_no_choice(
    router: gr.GraphRouter, data: gr.RoutingDataset, factor: float
) -> None:
    prompts = data.queries["prompt"].tolist()
    changed = at_prices(router, dict.fromkeys(router.models, factor))
    np.testing.assert_allclose(changed.cost_scale, np.array(router.cost_scale) * factor)
    kinds = set()
    for preset in PRESETS:
        received = choices(changed, prompts, preset)
        assert received == choices(router, prompts, preset)
        kinds.add(tuple(received))
    assert len(kinds) == len(PRESETS)


def test_the_scale_stays_where_prices_do_and_when_models_come_or_go(
    router: gr.GraphRouter, tmp_path: Path
) -> None:
    learned = router.learned.transforms.cost
    assert router.cost_scale == learned
    first = router.models[0]
    dear = gr.ModelCard(model="dear", input_usd_per_mtok=1e4, output_usd_per_mtok=1e4)
    assert router.add_model(dear).cost_scale == learned
    assert router.remove_model(first).cost_scale == learned
    same = at_prices(router, {first: 1.0})
    assert same.cost_scale == learned
    there_and_back = at_prices(at_prices(router, {first: 4.0}), {first: 0.25})
    assert there_and_back.cost_scale == learned
    changed = at_prices(router, {first: 4.0})
    changed.save(tmp_path / "changed")
    assert gr.load_router(tmp_path / "changed").cost_scale == changed.cost_scale


def test_one_price_moves_the_scale_as_far_as_it_moves_the_percentiles() -> None:
    cheap, dear = np.arange(1, 100) / 1e6, np.array([0.5])
    frame = pd.DataFrame(
        {
            "model": ["cheap"] * 99 + ["dear"],
            "cost_usd": [*cheap, *dear],
            "input_tokens": NAN,
            "output_tokens": NAN,
            PRICE_COLUMNS[0]: [1.0] * 99 + [10.0],
            PRICE_COLUMNS[1]: [1.0] * 99 + [10.0],
        }
    )
    fitted = CostScale.fit(frame["cost_usd"].to_numpy(float))

    def repriced(cheap_usd: float, dear_usd: float) -> CostScale:
        pool = ModelPool.of(
            gr.ModelCard(model=name, input_usd_per_mtok=usd, output_usd_per_mtok=usd)
            for name, usd in (("cheap", cheap_usd), ("dear", dear_usd))
        )
        return reprice_scale(fitted, frame, pool)

    assert repriced(1.0, 10.0) == fitted
    expected = CostScale.fit(np.array([*(2 * cheap), *dear]))
    np.testing.assert_allclose(repriced(2.0, 10.0), expected)
    assert repriced(1.0, 1e-3).low_usd < fitted.low_usd * 1.001


def test_costs_are_repriced_by_their_tokens_and_dollars_without_prices_stay() -> None:
    frame = pd.DataFrame(
        {
            "model": ["a", "a", "unpriced", "free"],
            "cost_usd": [1.0, 1.0, 1.0, 1.0],
            "input_tokens": [100.0, 0.0, 10.0, 10.0],
            "output_tokens": [0.0, 100.0, 10.0, 10.0],
            PRICE_COLUMNS[0]: [1.0, 1.0, NAN, 0.0],
            PRICE_COLUMNS[1]: [2.0, 2.0, NAN, 0.0],
        }
    )
    pool = ModelPool.of(
        gr.ModelCard(model=name, input_usd_per_mtok=prompt, output_usd_per_mtok=answer)
        for name, prompt, answer in (("a", 3.0, 2.0), ("unpriced", 5.0, 5.0), ("free", 7.0, 7.0))
    )
    found = reprice_scale(CostScale(1.0, 1.0), frame, pool)
    assert found == pytest.approx(CostScale.fit(np.array([3.0, 1.0, 1.0, 1.0])))
    assert not reprice_scale(CostScale(NAN, NAN), frame, pool).is_known


def test_zeros_that_cannot_be_meant_move_neither_the_scale_nor_the_tokens_of_a_text(
    data: gr.RoutingDataset, quick_config: gr.TrainConfig
) -> None:
    doubted = np.random.default_rng(0).random(len(data.outcomes)) < 0.4

    def train_on(unknown: float) -> gr.GraphRouter:
        outcomes = data.outcomes.copy()
        columns = ["cost_usd", "input_tokens"]
        outcomes.loc[doubted, columns] = unknown
        changed = gr.RoutingDataset.from_frames(
            queries=data.queries, models=data.models, outcomes=outcomes, tasks=data.tasks
        )
        return gr.GraphRouter.fit(changed, quick_config)

    zeros, gaps = train_on(0.0), train_on(NAN)
    doubled = (at_prices(each, dict.fromkeys(each.models, 2.0)) for each in (zeros, gaps))
    np.testing.assert_array_equal(*(each.cost_scale for each in doubled))
    prompts = [prompt * 30 for prompt in data.queries["prompt"].head(5)]
    received, expected = (each.predict(prompts) for each in (zeros, gaps))
    np.testing.assert_array_equal(received.input_tokens, expected.input_tokens)
    np.testing.assert_array_equal(received.cost_usd, expected.cost_usd)


class TestPoolsOfDollars:
    """Costs were recorded without tokens."""

    def train_on_dollars(
        self, data: gr.RoutingDataset, config: gr.TrainConfig, *, unpriced: list[str]
    ) -> gr.GraphRouter:
        """A router on the dollars alone; some models have no list price."""
        models = data.models.copy()
        models.loc[models["model"].isin(unpriced), list(PRICE_COLUMNS)] = NAN
        outcomes = data.outcomes.drop(columns=["input_tokens", "output_tokens"])
        return gr.GraphRouter.fit(
            gr.RoutingDataset.from_frames(
                queries=data.queries, models=models, outcomes=outcomes, tasks=data.tasks
            ),
            config,
        )

    @pytest.mark.parametrize(("num_unpriced", "unit"), [(0, "price"), (3, "usd")])
    def test_a_price_change_scales_the_dollars_of_a_model_that_had_one(
        self,
        data: gr.RoutingDataset,
        quick_config: gr.TrainConfig,
        num_unpriced: int,
        unit: str,
    ) -> None:
        names = data.models["model"].tolist()
        last = names[len(names) - num_unpriced :]
        router = self.train_on_dollars(data, quick_config, unpriced=last)
        assert router.spend_unit.value == unit
        prompts = data.queries["prompt"].head(20).tolist()
        before, after = (
            each.predict(prompts).cost_usd for each in (router, at_prices(router, {names[0]: 3.0}))
        )
        np.testing.assert_allclose(after[:, 0], 3 * before[:, 0])
        np.testing.assert_array_equal(after[:, 1:], before[:, 1:])

    def test_a_price_where_there_was_none_is_refused(
        self, data: gr.RoutingDataset, quick_config: gr.TrainConfig
    ) -> None:
        names = data.models["model"].tolist()
        router = self.train_on_dollars(data, quick_config, unpriced=names)
        assert router.spend_unit.value == "usd"
        with pytest.raises(gr.GraphRouterError, match="a price enters no cost. Add outcomes of th"):
            router.set_price(names[0], input_usd_per_mtok=1.0, output_usd_per_mtok=1.0)

    def test_a_newcomer_whose_price_enters_no_cost_is_told_and_what_helps_helps(
        self,
        data: gr.RoutingDataset,
        quick_config: gr.TrainConfig,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        names = data.models["model"].tolist()
        router = self.train_on_dollars(data, quick_config, unpriced=names)
        prompts = data.queries["prompt"].head(20)
        graded = pd.DataFrame({"model": "fresh", "prompt": prompts, "effect": 1.0})
        priced = gr.ModelCard(model="fresh", input_usd_per_mtok=1.0, output_usd_per_mtok=2.0)
        new_price = {"input_usd_per_mtok": 2.0, "output_usd_per_mtok": 4.0}

        def cost_of(wider: gr.GraphRouter) -> float:
            return float(wider.predict(["Add 3 and 4."]).cost_usd[0, -1])

        plain = router.add_model(gr.ModelCard(model="fresh"))
        assert not caplog.messages
        for make in (
            lambda: router.add_model(priced),
            lambda: router.add_model(priced, outcomes=graded),
            lambda: plain.update_card(priced),
        ):
            caplog.clear()
            wider = make()
            assert np.isnan(cost_of(wider))
            [said] = caplog.messages
            assert said.startswith("fresh: the router has learned dollars from bills alone")
            with pytest.raises(gr.GraphRouterError, match="^fresh: the router has learned doll"):
                wider.set_price("fresh", **new_price)
        caplog.clear()
        billed = router.add_model(priced).add_outcomes(graded.assign(cost_usd=0.002))
        assert np.isfinite(cost_of(billed))
        assert cost_of(billed.set_price("fresh", **new_price)) == pytest.approx(2 * cost_of(billed))
        caplog.clear()
        router.add_model(priced, outcomes=graded.assign(cost_usd=0.002))
        assert not caplog.messages
