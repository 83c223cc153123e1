"""Intervals of the expected effect: their ends, when they hold, and how they are calibrated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import graphrouter as gr
from graphrouter.data import Split
from graphrouter.encoders import create_encoder
from graphrouter.features.channels import EFFECT
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.effects import DEFAULT_FLOOR, EffectInterval
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.training.effect_intervals import (
    NOVELTY,
    LeaveOutStudy,
    LeftOutForecast,
    _calibrate,
    _draw_folds,
    _sort_queries,
    fit_effect_interval,
)
from graphrouter.training.effect_scores import Cells, group_queries
from graphrouter.training.prepare import TrainingTables, prepare
from graphrouter.training.start import build_network


@pytest.fixture(scope="module")
def config() -> gr.TrainConfig:
    return gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=32"])


@pytest.fixture(scope="module")
def tables(config: gr.TrainConfig) -> TrainingTables:
    return tables_of(gr.simulate(num_queries=400, num_models=9, seed=2).data, config)


def tables_of(data: gr.RoutingDataset, config: gr.TrainConfig) -> TrainingTables:
    return prepare(data, gr.split_dataset(data, config.split), create_encoder(config.encoder))


@pytest.fixture
def net(tables: TrainingTables, config: gr.TrainConfig) -> RoutingGNN:
    return build_network(tables, config).eval()


class TestCells:
    def test_means_and_noise_by_hand(self) -> None:
        observed = np.array([[1.0, np.nan], [0.0, 1.0], [1.0, np.nan], [1.0, np.nan]])
        expected = np.array([[0.8, 0.1], [0.2, 0.6], [0.5, 0.1], [0.5, 0.1]])
        cells = Cells.of(observed, expected, group_queries(["a", "a", "b", None]))
        np.testing.assert_array_equal(cells.num_outcomes, [[4, 1], [2, 1], [1, 0]])
        np.testing.assert_allclose(cells.observed, [[0.75, 1.0], [0.5, 1.0], [1.0, np.nan]])
        np.testing.assert_allclose(cells.expected, [[0.5, 0.6], [0.5, 0.6], [0.5, np.nan]])
        assert cells.noise[0, 0] == pytest.approx(math.sqrt(2 * 0.16 + 2 * 0.25) / 4)
        assert not cells.is_counted.any()

    @pytest.mark.parametrize(
        ("solved", "held"), [(50, True), (58, True), (59, False), (42, True), (41, False)]
    )
    def test_sampling_noise_is_no_ignorance(self, solved: int, held: bool) -> None:
        # noise 0.05, of which the interval holds 1.2816 x 0.05 = 0.064; ends 0.06 apart from the
        # middle: together 0.088
        observed = np.where(np.arange(100) < solved, 1.0, 0.0)[:, None]
        expected = np.full((100, 1), 0.5)
        cells = Cells.of(observed, expected, group_queries([None] * 100))
        assert cells.check_coverage(expected - 0.06, expected + 0.06).item() is held

    def test_an_interval_may_be_wider_on_one_side(self) -> None:
        expected, far = np.full((100, 1), 0.5), np.full((100, 1), 0.2)
        for solved, held in ((30, True), (70, False)):
            observed = np.where(np.arange(100) < solved, 1.0, 0.0)[:, None]
            assert (
                Cells.of(observed, expected, group_queries([1] * 100))
                .check_coverage(far, expected)
                .item()
                is held
            )

    def test_a_single_task_is_everything(self) -> None:
        assert group_queries(["a", "a"]).tolist() == [[True, True]]
        assert group_queries([-1, 3, -1, 4]).tolist() == [
            [True] * 4,
            [False, True, False, False],
            [False, False, False, True],
        ]


class TestCalibration:
    def test_twice_the_same(
        self, net: RoutingGNN, tables: TrainingTables, config: gr.TrainConfig
    ) -> None:
        first = fit_effect_interval(net, tables, config)
        assert fit_effect_interval(net, tables, config) == first
        assert 0.5 < first.scale < 2
        assert 0 <= first.floor < 0.4

    @pytest.mark.parametrize("factor", [4.0, 0.2])
    def test_a_network_that_misjudges_itself_is_corrected(
        self,
        net: RoutingGNN,
        tables: TrainingTables,
        config: gr.TrainConfig,
        monkeypatch: pytest.MonkeyPatch,
        factor: float,
    ) -> None:
        honest, score = fit_effect_interval(net, tables, config), net.score_in_parts

        def misjudge(*received: object) -> PairPredictions:
            found = score(*received)  # type: ignore[arg-type]
            return found._replace(log_scale=found.log_scale + math.log(factor))

        monkeypatch.setattr(net, "score_in_parts", misjudge)
        corrected = fit_effect_interval(net, tables, config)
        assert (
            (corrected.scale < 0.9 * honest.scale)
            if factor > 1
            else (corrected.scale > 1.1 * honest.scale)
        )

    def test_folds_that_keep_all_their_outcomes_are_scored_once(
        self,
        net: RoutingGNN,
        tables: TrainingTables,
        config: gr.TrainConfig,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        asked, encode = [], net.encode_support
        monkeypatch.setattr(net, "encode_support", lambda graph: asked.append(1) or encode(graph))
        folds = np.arange(len(tables.pool)) % 3
        with torch.inference_mode():
            study = LeaveOutStudy.of(net, tables, config, np.random.default_rng(0))
            whole = study.forecast_left_out(folds, len(study.rank))
            assert len(asked) == 1
            one = study.forecast_left_out(np.zeros_like(folds), len(study.rank))
            assert len(asked) == 1
            study.forecast_left_out(folds, 1)
        assert len(asked) == 4
        torch.testing.assert_close(whole.location, one.location, rtol=0, atol=0)

    def test_the_calibrated_interval_covers_what_it_was_calibrated_on(
        self, net: RoutingGNN, tables: TrainingTables, config: gr.TrainConfig
    ) -> None:
        rng = np.random.default_rng(0)
        with torch.inference_mode():
            study = LeaveOutStudy.of(net, tables, config, rng)
            forecast = study.forecast_left_out(_draw_folds(tables.model_family.numpy(), rng), 0)
        scales = np.geomspace(0.05, 20, 200).tolist()
        scale, trust = _calibrate([forecast], scales, lambda value: EffectInterval(value, 0.0))
        shares = [
            float(
                (forecast.weight * forecast.check_coverage(EffectInterval(each, 0.0))).sum()
                / forecast.weight.sum()
            )
            for each in (scale, 0.95 * scale)
        ]
        assert shares[0] >= 0.8 > shares[1]
        assert 0 < trust < 9 / 29

    def test_a_model_that_is_left_out_keeps_no_other_outcomes(
        self, net: RoutingGNN, tables: TrainingTables, config: gr.TrainConfig
    ) -> None:
        rng = np.random.default_rng(0)
        with torch.inference_mode():
            study = LeaveOutStudy.of(net, tables, config, rng)
            folds = np.arange(9) % 2
            blind, few, whole = (study.forecast_left_out(folds, shots) for shots in (0, 20, 10_000))
            flipped = dataclasses.replace(study.support, channels=study.support.channels.clone())
            mine = study.support.model == 0
            flipped.channels[EFFECT, mine] = 1 - flipped.channels[EFFECT, mine]
            other = dataclasses.replace(study, support=flipped)
            np.testing.assert_array_equal(
                other.forecast_left_out(folds, 0).location[:, 0], blind.location[:, 0]
            )
            assert not np.allclose(
                other.forecast_left_out(folds, 20).location[:, 0], few.location[:, 0]
            )
        width = [float(forecast.log_scale.mean()) for forecast in (blind, few, whole)]
        assert width == sorted(width, reverse=True)

    def test_families_stay_together(self) -> None:
        family = np.array([0, 0, 1, 2, 2, 2, 3, 4, 5])
        folds = _draw_folds(family, np.random.default_rng(1))
        assert all(len(set(folds[family == name])) == 1 for name in range(6))
        assert set(folds) == {0, 1, 2, 3}
        assert len(set(_draw_folds(np.zeros(5, dtype=np.int64), np.random.default_rng(1)))) == 4

    @pytest.mark.parametrize("num_models", [2, 3])
    def test_little_to_compare_leaves_the_interval_of_the_network(
        self, num_models: int, config: gr.TrainConfig
    ) -> None:
        small = tables_of(gr.simulate(num_queries=40, num_models=num_models, seed=1).data, config)
        found = fit_effect_interval(build_network(small, config).eval(), small, config)
        assert found == EffectInterval(
            1.0, DEFAULT_FLOOR, NOVELTY, few_tasks=True
        )  # four validation queries: no mean is worth a comparison

    def test_models_without_an_outcome_are_no_obstacle(self, config: gr.TrainConfig) -> None:
        data = gr.simulate(num_queries=250, num_models=4, seed=1).data
        alone = data.outcomes["model"] == data.pool.names[0]
        single = gr.RoutingDataset.from_frames(
            queries=data.queries,
            models=data.models,
            outcomes=data.outcomes[alone],
            tasks=data.tasks,
        )
        lonely = tables_of(single, config)
        found = fit_effect_interval(build_network(lonely, config).eval(), lonely, config)
        assert math.isfinite(found.scale)
        assert math.isfinite(found.floor)


class TestNewTasks:
    """Whole tasks leave the support, and what is expected on their queries is held against them."""

    @pytest.fixture
    def study(
        self, net: RoutingGNN, tables: TrainingTables, config: gr.TrainConfig
    ) -> LeaveOutStudy:
        return LeaveOutStudy.of(net, tables, config, np.random.default_rng(0))

    def forecast(self, study: LeaveOutStudy) -> LeftOutForecast:
        with torch.inference_mode():
            found = study.forecast_new_tasks(np.random.default_rng(1))
        assert found is not None
        return found

    def test_a_task_that_has_left_has_no_say_in_what_is_expected_on_it(
        self, study: LeaveOutStudy, tables: TrainingTables
    ) -> None:
        before = self.forecast(study)
        task = tables.nodes.query_task[tables.train.query]
        train = dataclasses.replace(tables.train, channels=tables.train.channels.clone())
        first = int(task.min().clamp_min(0))
        train.channels[EFFECT, task == first] = 1 - train.channels[EFFECT, task == first]
        other = dataclasses.replace(study, tables=dataclasses.replace(tables, train=train))
        after = self.forecast(other)
        flipped = ~np.isclose(after.cells.observed, before.cells.observed, equal_nan=True)
        mine = before.cells.share[flipped.any(axis=1)].astype(bool)
        assert len(mine) == 1  # the outcomes of one task changed
        np.testing.assert_array_equal(after.location[mine[0]], before.location[mine[0]])
        assert not np.allclose(after.location[~mine[0]], before.location[~mine[0]])

    def test_the_interval_is_wide_enough_for_four_in_five_tasks_left_out_and_one_more(
        self, study: LeaveOutStudy
    ) -> None:
        found, wanted = self.forecast(study), 0.84
        novelties = np.geomspace(0.05, 20, 200).tolist()
        chosen, trust = _calibrate(
            [found], novelties, lambda value: EffectInterval(novelty=value), of_tasks=True
        )
        shares = [
            float((found.weight * found.check_coverage(EffectInterval(novelty=each))).sum())
            / float(found.weight.sum())
            for each in (0.0, 0.95 * chosen, chosen)
        ]
        assert shares[0] < wanted <= shares[2]
        assert shares[1] < wanted
        assert 0 < trust < len(found.cells.share) / (len(found.cells.share) + 2)

    def test_without_tasks_clusters_of_prompts_are_left_out(
        self, tables: TrainingTables, config: gr.TrainConfig
    ) -> None:
        nodes = dataclasses.replace(
            tables.nodes, query_task=torch.full_like(tables.nodes.query_task, -1)
        )
        bare = dataclasses.replace(tables, nodes=nodes)
        kind = _sort_queries(bare, tables.train_queries)
        assert len(np.unique(kind)) > 1
        np.testing.assert_array_equal(kind, _sort_queries(bare, tables.train_queries))
        found = fit_effect_interval(build_network(bare, config).eval(), bare, config)
        assert 0.2 < found.novelty < 5

    def test_few_queries_leave_nothing_out(self, config: gr.TrainConfig) -> None:
        small = tables_of(gr.simulate(num_queries=40, num_models=3, seed=1).data, config)
        net = build_network(small, config).eval()
        study = LeaveOutStudy.of(net, small, config, np.random.default_rng(0))
        with torch.inference_mode():
            assert study.forecast_new_tasks(np.random.default_rng(0)) is None


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_intervals_hold_on_real_tasks_that_nobody_was_trained_on(
    shared_data: Callable[[str], Path],
) -> None:
    held = []
    for name in ("bfcl_v1", "helm_mmlu"):
        data = gr.load_dataset(shared_data(name))
        tasks = sorted(data.queries["task"].dropna().unique())
        for fold in range(3):
            is_left = data.queries["task"].isin(tasks[fold::3]).to_numpy()
            ids = data.queries["query_id"].to_numpy()
            rest = np.random.default_rng(fold).permutation(ids[~is_left])
            split = Split(
                train=tuple(rest[len(rest) // 10 :]),
                validation=tuple(rest[: len(rest) // 10]),
                test=tuple(ids[is_left]),
            )
            quick = ["training.max_epochs=2", "training.steps_per_epoch=8"]
            router = gr.GraphRouter.fit(data, gr.load_config(overrides=quick), split=split)
            theirs = data.queries[is_left]
            found = router.predict(theirs["prompt"].tolist())
            assert found.effect_low is not None
            assert found.effect_high is not None
            observed = data.outcome_matrix("effect")[is_left]
            cells = Cells.of(observed, found.effect, group_queries(theirs["task"].tolist()))
            counted = cells.is_counted & (np.arange(len(cells.share)) > 0)[:, None]
            held.append(cells.check_coverage(found.effect_low, found.effect_high)[counted].mean())
    assert 0.65 < np.mean(held) < 0.9
