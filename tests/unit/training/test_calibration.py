"""Calibrated effects: when something is corrected, and what the correction leaves alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

import graphrouter as gr
from graphrouter.encoders import create_encoder
from graphrouter.nn.network import RoutingGNN
from graphrouter.scoring.effects import EffectCalibration, LogitLine
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.training.calibration import (
    FEWEST_QUERIES,
    FittedCalibration,
    calibrate,
    fit_calibration,
)
from graphrouter.training.effect_intervals import fit_effect_interval
from graphrouter.training.effect_scores import expected_calibration_error, log_loss
from graphrouter.training.prepare import TrainingTables, prepare
from graphrouter.training.start import HeldEffects, build_network

DISTORTED = EffectCalibration(LogitLine(-0.4, 0.5), LogitLine(0.3, 2.0), (0.1, -0.2))


def settings(
    num_queries: int = 400,
    *,
    known: float = 1.0,
    hidden: float = 1.0,
    num_tasks: int = 2,
    seed: int = 0,
) -> tuple[HeldEffects, HeldEffects]:
    """The same queries with tasks known and hidden, by a network whose logits are the true ones
    over the given slopes."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, (num_queries, 1)) + rng.normal(0, 1, (num_queries, 6))
    observed = (rng.random(truth.shape) < expit(truth)).astype(float)
    task = np.arange(num_queries) % num_tasks
    return HeldEffects(truth / known, observed, task), HeldEffects(
        truth / hidden, observed, np.full(num_queries, -1)
    )


class TestCalibrate:
    def test_calibrated_already(self) -> None:
        for seed in range(3):
            found = calibrate(*settings(seed=seed), num_tasks=2)
            assert found.calibration.is_identity
            assert found.metrics["ece_before"] == found.metrics["ece_after"]

    def test_a_network_that_is_too_sure_is_corrected(self) -> None:
        named, hidden = settings(1500, known=0.5, hidden=0.5)
        calibration, metrics, _ = calibrate(named, hidden, num_tasks=2)
        for line in (calibration.task_known, calibration.task_hidden):
            assert line.slope == pytest.approx(0.5, abs=0.05)
            assert line.intercept == pytest.approx(0, abs=0.1)
        assert metrics["ece_after"] < 0.5 * metrics["ece_before"]
        assert metrics["ece_before"] == pytest.approx(
            expected_calibration_error(expit(named.logit), named.observed)
        )
        assert metrics["log_loss_calibrated"] < log_loss(expit(named.logit), named.observed)

    def test_each_setting_has_a_line_of_its_own(self) -> None:
        named, hidden = settings(800, hidden=0.5)
        calibration, metrics, _ = calibrate(named, hidden, num_tasks=2)
        assert calibration.task_known == LogitLine()
        assert calibration.offsets == ()
        assert calibration.task_hidden.slope < 0.65
        before = [
            expected_calibration_error(expit(setting.logit), setting.observed)
            for setting in (named, hidden)
        ]
        assert metrics["ece_before"] == pytest.approx(np.mean(before))
        assert metrics["ece_after"] > before[0] / 2

    def test_the_gain_is_judged_out_of_fold(self) -> None:
        named, hidden = settings(1500, known=0.5, hidden=0.5)
        calibration, metrics, _ = calibrate(named, hidden, num_tasks=2)
        level, slope = (part[:, None] for part in calibration.lines(named.task))
        in_sample = log_loss(expit(level + slope * named.logit), named.observed)
        assert in_sample < metrics["log_loss_calibrated"] < in_sample + 0.003

    def test_few_queries_correct_nothing(self) -> None:
        named, hidden = settings(FEWEST_QUERIES - 1, known=0.2, hidden=0.2)
        found = calibrate(named, hidden, num_tasks=2)
        assert found.calibration.is_identity
        assert set(found.metrics) == {"ece_before", "ece_after", "log_loss_calibrated"}
        assert not calibrate(
            *settings(FEWEST_QUERIES, known=0.2, hidden=0.2), num_tasks=2
        ).calibration.is_identity

    def test_queries_without_an_outcome_are_not_asked(self) -> None:
        named, hidden = settings(200, known=0.4, hidden=0.4)
        empty = [
            HeldEffects(setting.logit[:60], np.full((60, 6), np.nan), setting.task[:60])
            for setting in (named, hidden)
        ]
        assert calibrate(empty[0], empty[1], num_tasks=2) == FittedCalibration(
            EffectCalibration(), {}
        )

    def test_without_tasks_only_the_hidden_setting_is_judged(self) -> None:
        _, hidden = settings(400, hidden=0.5)
        calibration, metrics, _ = calibrate(hidden, hidden, num_tasks=0)
        assert calibration.task_known == LogitLine()
        assert calibration.task_hidden.slope < 0.75
        assert metrics["ece_before"] == pytest.approx(
            expected_calibration_error(expit(hidden.logit), hidden.observed)
        )

    def test_a_single_task_needs_no_offset(self) -> None:
        calibration, *_ = calibrate(*settings(400, known=0.5, hidden=0.5, num_tasks=1), num_tasks=1)
        assert calibration.task_known.slope < 0.75
        assert calibration.offsets == ()


@pytest.fixture(scope="module")
def config() -> gr.TrainConfig:
    return gr.load_config(overrides=["encoder.name=hashing", "encoder.dimension=32"])


@pytest.fixture(scope="module")
def tables(config: gr.TrainConfig) -> TrainingTables:
    data = gr.simulate(num_queries=900, num_models=6, seed=2).data
    return prepare(data, gr.split_dataset(data, config.split), create_encoder(config.encoder))


@pytest.fixture
def net(tables: TrainingTables, config: gr.TrainConfig) -> RoutingGNN:
    return build_network(tables, config).eval()


def test_a_network_that_exaggerates_is_corrected(
    net: RoutingGNN, tables: TrainingTables, config: gr.TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = net.score_in_parts

    def exaggerate(*received: object) -> PairPredictions:
        found = score(*received)  # type: ignore[arg-type]
        return found._replace(location=found.location * 4)

    monkeypatch.setattr(net, "score_in_parts", exaggerate)
    first, amounts = fit_calibration(net, tables, config)
    assert (first, amounts) == fit_calibration(net, tables, config)
    assert first.calibration.task_known.slope < 0.7
    assert first.calibration.task_hidden.slope < 0.7
    assert first.metrics["ece_after"] < first.metrics["ece_before"]


def test_the_interval_is_about_the_calibrated_effect(
    net: RoutingGNN, tables: TrainingTables, config: gr.TrainConfig
) -> None:
    plain = fit_effect_interval(net, tables, config)
    assert fit_effect_interval(net, tables, config, calibration=EffectCalibration()) == plain
    wrong = EffectCalibration(task_known=LogitLine(1.5, 1.0))
    assert fit_effect_interval(net, tables, config, calibration=wrong).floor > plain.floor


class TestRouter:
    @pytest.fixture
    def calibrated(self, router: gr.GraphRouter) -> gr.GraphRouter:
        learned = dataclasses.replace(router.learned, calibration=DISTORTED)
        return gr.GraphRouter(learned, router.support, router.provenance, router.encoder)

    def test_predictions_are_corrected_and_choices_stay(
        self, router: gr.GraphRouter, calibrated: gr.GraphRouter
    ) -> None:
        prompts, tasks = (
            ["Prove that 7 is prime.", "Translate bread.", "Sum these."],
            [*router.known_tasks[:2], None],
        )
        before, after = (
            router.predict(prompts, tasks=tasks),
            calibrated.predict(prompts, tasks=tasks),
        )
        raw = router.learned.calibration
        assert raw.is_identity  # 16 validation queries
        logits = np.log(before.effect / (1 - before.effect))
        level, slope = (part[:, None] for part in DISTORTED.lines(torch.tensor([0, 1, -1])))
        np.testing.assert_allclose(after.effect, expit(level + slope * logits), atol=1e-12)
        np.testing.assert_array_equal(after.cost_usd, before.cost_usd)
        np.testing.assert_array_equal(
            np.argsort(after.effect, axis=1), np.argsort(before.effect, axis=1)
        )
        assert after.effect_low is not None
        assert after.effect_high is not None
        assert ((after.effect_low <= after.effect) & (after.effect <= after.effect_high)).all()
        best = gr.Policy(effect_weight=1, cost_weight=0)
        chosen = [
            each.route_batch(prompts, tasks=tasks, policy=best) for each in (router, calibrated)
        ]
        assert [decision.model for decision in chosen[0]] == [
            decision.model for decision in chosen[1]
        ]

    def test_saved_and_loaded(self, calibrated: gr.GraphRouter, tmp_path: Path) -> None:
        calibrated.save(tmp_path / "a")
        loaded = gr.load_router(tmp_path / "a")
        assert isinstance(loaded, gr.GraphRouter)
        assert loaded.learned.calibration == DISTORTED
        manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
        assert manifest["effect_calibration"]["task_known"] == {"intercept": -0.4, "slope": 0.5}
        np.testing.assert_array_equal(
            loaded.predict(["Sum."]).effect, calibrated.predict(["Sum."]).effect
        )

    def test_metrics_tell_before_and_after(self, router: gr.GraphRouter) -> None:
        metrics = router.provenance.metrics
        assert metrics["ece_before"] == metrics["ece_after"]
        assert 0 <= metrics["ece_before"] <= 1
        assert metrics["log_loss_calibrated"] == pytest.approx(metrics["log_loss"], abs=1e-4)
