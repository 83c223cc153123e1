"""A line through logits: what it finds in simulated outcomes, and how far it trusts few of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import t

from graphrouter.training.calibration import PRIOR_SCALE, design_effect, fit_line
from graphrouter.training.start import HeldEffects


def simulated(
    num_queries: int,
    *,
    intercept: float = 0.0,
    slope: float = 1.0,
    by_task: tuple[float, ...] = (),
    shared: float = 0.0,
    num_models: int = 8,
    seed: int = 0,
) -> HeldEffects:
    """Outcomes of probability sigmoid(intercept + offset of the task + slope * logit).

    A share of the queries have one outcome for all models.

    Args:
        num_queries: B.
        intercept: Of the truth.
        slope: Of the truth.
        by_task: Offsets of the tasks, which queries have in turn.
        shared: Share of queries on which one die decides for all models.
        num_models: M.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (num_queries, 1)) + rng.normal(0, 1, (num_queries, num_models))
    task = np.arange(num_queries) % max(len(by_task), 1)
    truth = intercept + np.asarray(by_task or (0.0,))[task][:, None] + slope * logits
    own, common = rng.random(truth.shape), rng.random((num_queries, 1))
    die = np.where(rng.random((num_queries, 1)) < shared, common, own)
    return HeldEffects(logits, (die < expit(truth)).astype(float), task)


def test_a_known_distortion_is_found() -> None:
    line, offsets = fit_line(simulated(6000, intercept=0.4, slope=0.6), 1)
    assert line.intercept == pytest.approx(0.4, abs=0.05)
    assert line.slope == pytest.approx(0.6, abs=0.03)
    assert offsets == ()


@pytest.mark.parametrize("slope", [0.3, 2.5])
def test_a_slope_far_off_is_found_too(slope: float) -> None:
    assert fit_line(simulated(6000, slope=slope), 1).line.slope == pytest.approx(slope, rel=0.06)


def test_offsets_of_tasks_are_found() -> None:
    line, offsets = fit_line(simulated(9000, by_task=(0.3, -0.3, 0.0)), 4)
    found = np.array(offsets) + line.intercept
    np.testing.assert_allclose(found[:3], [0.3, -0.3, 0.0], atol=0.08)
    assert offsets[3] == 0  # no query of it


def test_a_task_with_few_queries_has_no_offset() -> None:
    setting = simulated(300, by_task=(0.0, 1.0))
    rare = setting._replace(task=np.where(np.arange(300) < 19, 2, setting.task))
    assert fit_line(rare, 3).offsets[2] == 0
    assert (
        fit_line(setting._replace(task=np.where(np.arange(300) < 20, 2, setting.task)), 3).offsets[
            2
        ]
        != 0
    )
    assert fit_line(rare.take(np.arange(19)), 3).offsets == ()


def test_it_is_the_posterior_mode() -> None:
    setting = simulated(150, intercept=0.5, slope=0.7, num_models=5, shared=0.5)
    row, model = np.nonzero(np.isfinite(setting.observed))
    y, z = setting.observed[row, model], setting.logit[row, model]
    line = fit_line(setting, 1).line
    p = expit(line.intercept + line.slope * z)
    trust = 1 / design_effect(y - p, p * (1 - p), z, row)
    assert trust < 0.9

    def penalised(theta: np.ndarray) -> float:
        x = theta[0] + math.exp(theta[1]) * z
        prior = t.logpdf(theta, df=4, scale=PRIOR_SCALE).sum()
        return float(trust * (np.logaddexp(0, x) - y * x).sum() - prior)

    best = minimize(penalised, [0.0, 0.0]).x
    assert (line.intercept, math.log(line.slope)) == pytest.approx(tuple(best), abs=1e-5)


def test_missing_outcomes_are_no_outcomes() -> None:
    setting = simulated(400, intercept=0.3, slope=0.8)
    gaps = np.random.default_rng(1).random(setting.observed.shape) < 0.5
    gaps[:, 0] = False
    holes = HeldEffects(
        np.where(gaps, 5.0, setting.logit), np.where(gaps, np.nan, setting.observed), setting.task
    )
    other = HeldEffects(np.where(gaps, -5.0, setting.logit), holes.observed, setting.task)
    assert fit_line(holes, 1) == fit_line(other, 1)
    assert fit_line(holes, 1) != fit_line(setting, 1)


def test_few_queries_say_little() -> None:
    few, many = (fit_line(simulated(n, intercept=1.0, slope=0.5), 1).line for n in (20, 2000))
    assert 0 < few.intercept < 0.5 * many.intercept
    assert 0.45 < many.slope < 0.55 < 0.75 < few.slope < 1


def test_outcomes_that_come_together_count_less() -> None:
    alone, together = (simulated(4000, shared=share, num_models=10) for share in (0.0, 1.0))
    found = []
    for setting in (alone, together):
        p = expit(setting.logit).ravel()
        rows = np.repeat(np.arange(4000), 10)
        found.append(
            design_effect(setting.observed.ravel() - p, p * (1 - p), setting.logit.ravel(), rows)
        )
    assert found[0] == pytest.approx(1.0, abs=0.1)
    assert found[1] > 4


def test_a_copy_of_every_model_adds_nothing() -> None:
    setting = simulated(300, intercept=0.3, slope=0.7, num_models=3, shared=0.5)
    twice = HeldEffects(np.tile(setting.logit, 2), np.tile(setting.observed, 2), setting.task)
    first, second = fit_line(setting, 1).line, fit_line(twice, 1).line
    assert first.intercept == pytest.approx(second.intercept, abs=1e-6)
    assert first.slope == pytest.approx(second.slope, abs=1e-6)


def test_soft_effects_count_as_probabilities() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (4000, 6))
    soft = HeldEffects(logits, expit(-0.2 + 0.7 * logits), np.zeros(4000, dtype=np.int64))
    line = fit_line(soft, 1).line
    assert line.intercept == pytest.approx(-0.2, abs=0.02)
    assert line.slope == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("solved", [0.5, 1.0])
def test_a_network_that_knows_nothing_ends_in_the_mean(solved: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (1500, 6))
    line = fit_line(
        HeldEffects(
            logits,
            (rng.random(logits.shape) < solved).astype(float),
            np.zeros(1500, dtype=np.int64),
        ),
        1,
    ).line
    assert 0 < line.slope < 1
    assert np.abs(expit(line.intercept + line.slope * logits) - solved).max() < 0.1


def test_one_logit_for_all_leaves_a_finite_line() -> None:
    setting = HeldEffects(
        np.full((100, 4), logit(0.5)), np.ones((100, 4)), np.zeros(100, dtype=np.int64)
    )
    line = fit_line(setting, 1).line
    assert math.isfinite(line.intercept)
    assert line.intercept > 0
    assert line.slope == 1


@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-9])
def test_logits_that_are_all_alike_have_no_slope(spread: float) -> None:
    generator = np.random.default_rng(0)
    logit = 1.5 + spread * generator.standard_normal(60)
    residual, query = generator.standard_normal(60), np.arange(60) // 3
    intercept = float((np.bincount(query, weights=residual - residual.mean()) ** 2).sum())
    received = design_effect(residual, np.full(60, 0.2), logit, query)
    assert received == pytest.approx(max(1.0, intercept / 12.0 / 2))
