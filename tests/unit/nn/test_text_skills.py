"""Skills a task and slopes along the text: one joint regression a model, variances by evidence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.nn import text_skills
from graphrouter.nn.outcomes import SupportOutcomes
from graphrouter.nn.text_skills import SolvedSkills, TextSkills, promise_levels, spread_slopes
from graphrouter.types import FloatArray

NUM_MODELS, NUM_TASKS, NUM_TEXTS = 4, 6, 5
MASS = torch.full((NUM_CHANNELS, 1), 0.5, dtype=torch.float64)


def make_outcomes(
    num_queries: int, *, task_sd: float, text_sd: float, seed: int = 0, num_models: int = NUM_MODELS
) -> tuple[SupportOutcomes, Tensor, FloatArray, FloatArray]:
    """Outcomes of all models on all queries, coordinates, true skills and true slopes."""
    rng = np.random.default_rng(seed)
    task = rng.integers(NUM_TASKS, size=num_queries)
    text = rng.normal(size=(num_queries, NUM_TEXTS)) / np.sqrt(NUM_TEXTS)
    skill = rng.normal(size=(NUM_TASKS, num_models)) * task_sd
    slope = rng.normal(size=(num_models, NUM_TEXTS)) * text_sd
    logit = skill[task] + text @ slope.T
    channels = np.full((NUM_CHANNELS, num_queries * num_models), np.nan)
    channels[EFFECT] = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).ravel()
    query = np.repeat(np.arange(num_queries), num_models)
    model = np.tile(np.arange(num_models), num_queries)
    edges = OutcomeEdges(*map(torch.from_numpy, (query, model, channels)))
    outcomes = SupportOutcomes(edges, torch.from_numpy(task), NUM_TASKS, num_models)
    return outcomes, torch.from_numpy(text), skill, slope


def solve(
    outcomes: SupportOutcomes, text: Tensor, level: Tensor | None = None, promised: float = 0.0
) -> SolvedSkills:
    """The skills from a level, 0 by default, where the pool promises the same for all."""
    easiness = text.new_zeros(NUM_CHANNELS, len(text))
    start = outcomes.zeros if level is None else level
    return TextSkills()(
        outcomes, text, easiness, start, torch.full_like(outcomes.zeros, promised), MASS
    )


def test_it_is_the_ridge_regression_of_tasks_and_texts_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes, text, _, _ = make_outcomes(300, task_sd=0.5, text_sd=0.5)
    monkeypatch.setattr(text_skills, "_VARIANCES", (0.3,))
    monkeypatch.setattr(text_skills, "_LEAST_DISPERSION", 1.0)
    monkeypatch.setattr(text_skills, "_MOST_DISPERSION", 1.0)
    found = solve(outcomes, text)
    in_task = np.eye(NUM_TASKS)[outcomes.task.numpy()]
    scale = float(text.square().sum(1).mean().sqrt())
    design = np.hstack([in_task, text.numpy() / scale])
    information = 0.25 * (1 - 0.25 / (0.25 * NUM_MODELS + 0.5))
    for model in range(NUM_MODELS):
        theirs = outcomes.model.numpy() == model
        residual = outcomes.value[EFFECT].numpy()[theirs] - 0.5
        matrix = information * design.T @ design + np.eye(design.shape[1]) / 0.3
        expected = np.linalg.solve(matrix, design.T @ residual)
        np.testing.assert_allclose(found.level[EFFECT, :-1, model], expected[:NUM_TASKS])
        np.testing.assert_allclose(found.slopes[0, model], expected[NUM_TASKS:] / scale)


@pytest.mark.parametrize(("task_sd", "text_sd"), [(0.0, 1.2), (1.2, 0.0)])
def test_what_explains_nothing_is_left_alone(task_sd: float, text_sd: float) -> None:
    outcomes, text, skill, slope = make_outcomes(1500, task_sd=task_sd, text_sd=text_sd)
    found = solve(outcomes, text)
    skill_error = found.level[EFFECT, :-1].numpy() - skill
    slope_error = found.slopes[0].numpy() - slope
    assert np.sqrt(np.square(skill_error).mean()) < (0.45 if task_sd else 0.1)
    assert np.sqrt(np.square(slope_error).mean()) < (0.45 if text_sd else 0.15)
    if task_sd:
        assert np.corrcoef(found.level[EFFECT, :-1].numpy().ravel(), skill.ravel())[0, 1] > 0.95
    else:
        assert np.corrcoef(found.slopes.numpy().ravel(), slope.ravel())[0, 1] > 0.95


def test_a_model_without_outcomes_has_what_the_pool_promises_and_changes_nobody() -> None:
    outcomes, text, _, _ = make_outcomes(200, task_sd=0.5, text_sd=0.5)
    edges = OutcomeEdges(outcomes.query, outcomes.model, outcomes.value)
    more = SupportOutcomes(edges, outcomes.task, NUM_TASKS, NUM_MODELS + 1)
    alone, beside = solve(outcomes, text), solve(more, text)
    assert torch.equal(beside.level[EFFECT, :, :NUM_MODELS], alone.level[EFFECT])
    assert torch.equal(beside.slopes[:, :NUM_MODELS], alone.slopes)
    assert not beside.slopes[0, NUM_MODELS].any()
    assert not beside.level[EFFECT, :, NUM_MODELS].any()


def test_a_task_without_queries_and_no_tasks_at_all() -> None:
    outcomes, text, _, _ = make_outcomes(200, task_sd=0.5, text_sd=0.5)
    edges = OutcomeEdges(outcomes.query, outcomes.model, outcomes.value)
    wider = SupportOutcomes(
        edges,
        torch.where(outcomes.task == NUM_TASKS, NUM_TASKS + 1, outcomes.task),
        NUM_TASKS + 1,
        NUM_MODELS,
    )
    narrow, wide = solve(outcomes, text), solve(wider, text)
    np.testing.assert_allclose(
        wide.level[:, :NUM_TASKS], narrow.level[:, :NUM_TASKS], rtol=0, atol=1e-12
    )
    assert not wide.level[EFFECT, NUM_TASKS].any()
    none = SupportOutcomes(edges, torch.zeros_like(outcomes.task), 0, NUM_MODELS)
    assert solve(none, text).slopes.isfinite().all()
    untold = SupportOutcomes(
        edges, torch.full_like(outcomes.task, NUM_TASKS), NUM_TASKS, NUM_MODELS
    )
    assert not solve(untold, text).level[EFFECT].any()


def test_means_of_several_answers_count_for_more() -> None:
    outcomes, text, skill, _ = make_outcomes(400, task_sd=1.0, text_sd=0.0)
    chance = torch.from_numpy(1 / (1 + np.exp(-skill)))[outcomes.task[outcomes.query]]
    exact = outcomes.value.clone()
    exact[EFFECT] = chance.gather(1, outcomes.model.unsqueeze(1)).squeeze(1)
    means = SupportOutcomes(
        OutcomeEdges(outcomes.query, outcomes.model, exact), outcomes.task, NUM_TASKS, NUM_MODELS
    )
    once, often = (solve(each, text).level[EFFECT, :-1].numpy() for each in (outcomes, means))
    aim = 4 * (1 / (1 + np.exp(-skill)) - 0.5)  # one step from 0 is linear in the effect
    assert np.abs(often - aim).max() < np.abs(once - aim).max()


def test_the_gradient_goes_through_ability_and_promise_alone() -> None:
    outcomes, text, _, _ = make_outcomes(100, task_sd=0.5, text_sd=0.5)
    level = outcomes.zeros.requires_grad_()
    promised = outcomes.zeros.requires_grad_()
    easiness = text.new_zeros(NUM_CHANNELS, len(text))
    found = TextSkills()(outcomes, text, easiness, level, promised, MASS)
    found.level[EFFECT, 0].sum().backward()
    assert level.grad is not None
    assert promised.grad is not None
    assert level.grad[EFFECT, -1].tolist() == [1.0] * NUM_MODELS
    assert not level.grad[EFFECT, :-1].any()
    assert promised.grad[EFFECT, 0].tolist() == [1.0] * NUM_MODELS
    assert not found.slopes.requires_grad


def test_the_better_a_model_is_known_the_less_its_own_outcomes_promise() -> None:
    shape = (NUM_CHANNELS, NUM_TASKS + 1, 3)
    by_others, by_all = torch.zeros(shape), torch.ones(shape)
    information = torch.zeros(shape)
    information[:, 0] = torch.tensor([0.0, 30.0, 1e6])
    promised = promise_levels(by_others, by_all, information)
    np.testing.assert_allclose(promised[0, 0], [1.0, 0.5, 0.0], atol=1e-4)


@pytest.mark.parametrize("pairs_at_once", [1, 12, 35, 1000])
def test_slopes_are_told_to_each_outcome_whatever_fits_into_memory(
    pairs_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.tensor([0, 0, 2, 3, 3, 3, 7, 8])  # some of ten were answered by nobody
    model = torch.randint(5, query.shape, generator=generator)
    text = torch.randn(10, 3, dtype=torch.float64, generator=generator)
    slopes = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    edges = OutcomeEdges(query, model, torch.zeros(NUM_CHANNELS, len(query)))
    outcomes = SupportOutcomes(edges, torch.zeros(10, dtype=torch.int64), 1, 5)
    monkeypatch.setattr(text_skills, "_PAIRS_AT_ONCE", pairs_at_once)
    told = spread_slopes(outcomes, text, slopes)
    torch.testing.assert_close(told, (text[query] * slopes[model]).sum(1))
