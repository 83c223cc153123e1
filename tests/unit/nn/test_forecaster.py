"""Scores become predictions one way: calibrated, decoded, with intervals where there are any."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit

from graphrouter.features.channels import EFFECT, NUM_CHANNELS, ChannelScaler, SpendUnit
from graphrouter.features.token_rates import NUM_KINDS, TokenRates, fit_token_rates
from graphrouter.graph.routing_graph import RoutingGraph
from graphrouter.nn.network import RoutingGNN
from graphrouter.pool import ModelCard, ModelPool
from graphrouter.scoring.effects import Z_80, EffectCalibration, EffectInterval, LogitLine
from graphrouter.scoring.forecaster import EncodedQueries, Forecaster
from graphrouter.scoring.novelty import Familiarity
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.scoring.state import Targets

DISTORTED = EffectCalibration(LogitLine(-0.4, 0.5), LogitLine(0.3, 2.0), (0.1, -0.2))
NOTHING = torch.zeros(2, 3)
NO_SHARE = torch.tensor([[0.0, 0.0, 0.0, 1.0]] * 2)
CHANNELS = ChannelScaler(
    spend_unit=SpendUnit.TOKENS,
    mean=np.array([0.0, 4.0, 5.0, 0.0]),
    scale=np.array([1.0, 0.5, 0.5, 1.0]),
    observed=(True, True, True, False),
)


def pool_of(num_models: int) -> ModelPool:
    return ModelPool.of(
        ModelCard(model=f"model-{i}", input_usd_per_mtok=1.0, output_usd_per_mtok=2.0)
        for i in range(num_models)
    )


def tokens_of(num_models: int) -> TokenRates:
    """Rates that leave prompts of any length to the network."""
    none = np.zeros(0, dtype=np.int64)
    rates = fit_token_rates(
        np.ones((1, NUM_KINDS)),
        np.zeros(1, dtype=np.int64),
        none,
        none,
        np.zeros(0),
        num_models=num_models,
        num_tasks=3,
    )
    return rates._replace(most=np.full(NUM_KINDS, np.inf), usual=np.inf, longest=np.inf)


class TestForecaster:
    def test_scores_are_calibrated_decoded_and_given_an_interval(self, net: RoutingGNN) -> None:
        location = torch.zeros(NUM_CHANNELS, 2, 3, dtype=torch.float64)
        location[EFFECT] = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.5, 0.0]])
        log_scale = torch.full_like(location, -20.0)
        scored = PairPredictions(location, log_scale, torch.zeros(2, 1), NO_SHARE, NOTHING)
        nothing = torch.zeros(2, 1)
        targets = Targets(
            nothing, torch.tensor([0, -1]), nothing, nothing, torch.ones(2, NUM_KINDS)
        )
        plain = Forecaster(net, CHANNELS).read(scored, targets, pool_of(3), tokens_of(3))
        np.testing.assert_allclose(plain.effect, expit(location[EFFECT].numpy()), atol=1e-15)
        assert plain.models == ("model-0", "model-1", "model-2")
        np.testing.assert_allclose(plain.output_tokens, math.exp(5), rtol=1e-9)
        np.testing.assert_allclose(plain.cost_usd, (math.exp(4) + 2 * math.exp(5)) / 1e6, rtol=1e-9)
        assert np.isnan(plain.latency_s).all()
        assert plain.effect_low is None
        reader = Forecaster(net, CHANNELS, DISTORTED, EffectInterval(1.0, 0.3))
        found = reader.read(scored, targets, pool_of(3), tokens_of(3))
        logits = np.array([[0.2, -0.3, -0.8], [4.3, 1.3, 0.3]])
        np.testing.assert_allclose(found.effect, expit(logits), atol=1e-12)
        np.testing.assert_allclose(found.effect_low, expit(logits - Z_80 * 0.3), atol=1e-12)
        np.testing.assert_allclose(found.effect_high, expit(logits + Z_80 * 0.3), atol=1e-12)
        np.testing.assert_array_equal(found.cost_usd, plain.cost_usd)
        assert location[EFFECT, 0, 0] == 1  # what was given is as it was

    def test_a_forecast_does_not_depend_on_the_queries_beside_it(
        self, make_graph: Callable[..., RoutingGraph], net: RoutingGNN
    ) -> None:
        net = net.float()
        forecaster = Forecaster.in_double(net, CHANNELS, interval=EffectInterval())
        assert next(net.parameters()).dtype == torch.float32
        graph = make_graph()
        with torch.inference_mode():
            state = forecaster.net.encode_support(graph)
        text = graph.query_text[: len(graph.targets.task)].flip(0)  # any will do
        repeat = 12  # 72 queries: more than are scored at a time
        queries = EncodedQueries(
            text.repeat(repeat, 1),
            graph.targets.principal.repeat(repeat, 1),
            torch.arange(len(text) * repeat) % (len(state.task) + 1) - 1,
            torch.full((len(text) * repeat, NUM_KINDS), 100.0, dtype=torch.float64),
            torch.randn(len(text), 11, dtype=torch.float64).repeat(repeat, 1),
        )
        surface = torch.zeros(len(state.query_text), 11)
        known = Familiarity.of(
            state.query_text, surface.double(), torch.ones(len(surface), dtype=torch.bool), 8
        )
        pool, tokens = pool_of(len(state.model)), tokens_of(len(state.model))
        with torch.inference_mode():
            together = forecaster.forecast_queries(
                state, queries, pool, 8, tokens, familiarity=known
            )
        assert len(together.predictions) == len(queries.task)
        assert together.neighbours.shape == (len(queries.task), 8)
        for i in (0, 7, 65):
            alone = queries.split(1)[i]
            with torch.inference_mode():
                found = forecaster.forecast_queries(
                    state, alone, pool, 8, tokens, familiarity=known
                )
            for name in ("effect", "cost_usd", "effect_low", "effect_high", "familiarity"):
                np.testing.assert_allclose(
                    getattr(found.predictions, name)[0],
                    getattr(together.predictions, name)[i],
                    rtol=1e-12,
                )
            assert found.neighbours[0].tolist() == together.neighbours[i].tolist()

    def test_no_query_is_no_prediction(
        self, make_graph: Callable[..., RoutingGraph], net: RoutingGNN
    ) -> None:
        forecaster = Forecaster.in_double(net, CHANNELS, interval=EffectInterval())
        graph = make_graph()
        with torch.inference_mode():
            state = forecaster.net.encode_support(graph)
        queries = EncodedQueries(
            graph.query_text[:0],
            graph.query_principal[:0],
            torch.zeros(0, dtype=torch.int64),
            torch.zeros(0, NUM_KINDS, dtype=torch.float64),
            torch.zeros(0, 11, dtype=torch.float64),
        )
        count = len(state.model)
        found = forecaster.forecast_queries(state, queries, pool_of(count), 8, tokens_of(count))
        assert found.predictions.effect.shape == (0, len(state.model))
        assert found.predictions.effect_low is not None
        assert found.neighbours.shape[0] == 0


class TestEffectCalibration:
    def test_by_hand(self) -> None:
        task = torch.tensor([0, 1, 5, -1])
        location, log_scale = torch.zeros(4, 4, 2), torch.zeros(4, 4, 2)
        location[EFFECT] = torch.tensor([1.0, -2.0])
        location[EFFECT + 1] = 7.0
        found = DISTORTED.apply(
            PairPredictions(location, log_scale, torch.zeros(4, 3), NO_SHARE, NOTHING), task
        )
        expected = [
            [0.2, -1.3],
            [-0.1, -1.6],
            [0.1, -1.4],
            [2.3, -3.7],
        ]  # of a task that came later: no offset
        np.testing.assert_allclose(found.location[EFFECT], expected, atol=1e-6)
        np.testing.assert_allclose(
            np.exp(found.log_scale[EFFECT]), [[0.5, 0.5]] * 3 + [[2.0, 2.0]], atol=1e-6
        )
        assert (found.location[EFFECT + 1] == 7).all()
        assert (found.log_scale[EFFECT + 1 :] == 0).all()
        assert location[EFFECT, 0, 0] == 1  # what was given is as it was

    def test_the_identity_changes_no_bit(self) -> None:
        scored = PairPredictions(
            torch.rand(4, 3, 2), torch.rand(4, 3, 2), torch.zeros(3, 2), NO_SHARE, NOTHING
        )
        assert EffectCalibration().apply(scored, torch.tensor([0, 1, -1])) is scored

    @given(
        logits=arrays(np.float64, (3, 5), elements=st.floats(-15, 15)),
        intercept=st.floats(-2, 2),
        slope=st.floats(0.05, 4),
        offset=st.floats(-1, 1),
    )
    def test_models_keep_their_order(
        self, logits: np.ndarray, intercept: float, slope: float, offset: float
    ) -> None:
        calibration = EffectCalibration(
            LogitLine(intercept, slope), LogitLine(-intercept, 1 / slope), (offset,)
        )
        location = torch.from_numpy(logits).expand(4, 3, 5)
        scored = PairPredictions(
            location, torch.zeros(4, 3, 5), torch.zeros(3, 1), NO_SHARE, NOTHING
        )
        found = calibration.apply(scored, torch.tensor([0, 3, -1])).location[EFFECT]
        best = np.take_along_axis(found, logits.argmax(axis=1)[:, None], axis=1)[:, 0]
        np.testing.assert_array_equal(best, found.max(axis=1))
        order = np.sign(logits[:, :, None] - logits[:, None, :])
        assert (np.sign(found[:, :, None] - found[:, None, :]) * order >= 0).all()

    def test_to_json_and_back(self) -> None:
        assert (
            EffectCalibration.from_dict(json.loads(json.dumps(dataclasses.asdict(DISTORTED))))
            == DISTORTED
        )


class TestEffectInterval:
    def test_ends_by_hand(self) -> None:
        low, high = EffectInterval(scale=2.0, floor=0.3).bounds(
            torch.tensor([[0.5]]), torch.tensor([[math.log(0.2)]])
        )
        assert low.item() == pytest.approx(
            1 / (1 + math.exp(-(0.5 - Z_80 * 0.5)))
        )  # hypot(0.4, 0.3) = 0.5
        assert high.item() == pytest.approx(1 / (1 + math.exp(-(0.5 + Z_80 * 0.5))))

    @given(
        location=arrays(np.float64, (3, 2), elements=st.floats(-60, 60)),
        log_scale=arrays(np.float64, (3, 2), elements=st.floats(-14, 8)),
        scale=st.floats(0.01, 10),
        floor=st.floats(0, 2),
    )
    def test_the_expected_effect_lies_between_the_ends(
        self, location: np.ndarray, log_scale: np.ndarray, scale: float, floor: float
    ) -> None:
        middle = torch.sigmoid(torch.from_numpy(location))
        low, high = EffectInterval(scale, floor).bounds(
            torch.from_numpy(location), torch.from_numpy(log_scale)
        )
        assert ((low >= 0) & (low <= middle) & (middle <= high) & (high <= 1)).all()
        wider, higher = EffectInterval(scale, floor).bounds(
            torch.from_numpy(location), torch.from_numpy(log_scale) + 1
        )
        assert ((wider <= low) & (higher >= high)).all()
