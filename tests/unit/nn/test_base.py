"""The Rasch base."""

from __future__ import annotations

import pytest
import torch

from graphrouter.graph.channels import NUM_CHANNELS
from graphrouter.nn.base import BaseState, RaschBase, SupportEdges


def _edges(effect: torch.Tensor) -> SupportEdges:
    """All pairs of a (num_queries, num_models) effect matrix, NaN = not observed; other channels unobserved."""
    query, model = torch.nonzero(torch.isfinite(effect), as_tuple=True)
    value = torch.zeros(NUM_CHANNELS, len(query), dtype=torch.float64)
    observed = torch.zeros_like(value)
    value[0], observed[0] = effect[query, model], 1.0
    return SupportEdges(query, model, value, observed)


@torch.no_grad()
def _run(
    effect: torch.Tensor, task: torch.Tensor, *, num_tasks: int = 1, prior: torch.Tensor | None = None
) -> tuple[RaschBase, BaseState]:
    base = RaschBase(60).double()
    ability_prior = torch.zeros(NUM_CHANNELS, effect.shape[1], dtype=torch.float64) if prior is None else prior
    return base, base(_edges(effect), task, num_tasks, ability_prior)


def _random_effects(num_queries: int, num_models: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    ability = torch.linspace(-1.5, 1.5, num_models)
    easiness = torch.randn(num_queries, 1, generator=generator)
    return (torch.rand(num_queries, num_models, generator=generator) < torch.sigmoid(ability + easiness)).double()


def test_after_enough_rounds_every_update_is_stationary() -> None:
    effect = _random_effects(200, 6)
    base, state = _run(effect, torch.zeros(200, dtype=torch.int64))
    gradient = torch.zeros(6, dtype=torch.float64).index_add(0, _edges(effect).model, state.residual[0])
    stationary = gradient - base.ability_mass()[0].detach() * state.ability[0]
    assert stationary.abs().max() < 0.05
    skill_gradient = gradient - base.skill_mass()[0].detach() * state.skill[0, 0]
    assert skill_gradient.abs().max() < 0.05


def test_abilities_come_out_in_the_true_order_and_size() -> None:
    _, state = _run(_random_effects(2000, 6), torch.zeros(2000, dtype=torch.int64))
    total = state.ability[0] + state.skill[0, 0]
    spread = total - total.mean()
    torch.testing.assert_close(spread, torch.linspace(-1.5, 1.5, 6).double(), atol=0.25, rtol=0)


def test_a_model_without_outcomes_keeps_its_prior() -> None:
    effect = _random_effects(50, 4)
    effect[:, 2] = torch.nan
    prior = torch.zeros(NUM_CHANNELS, 4, dtype=torch.float64)
    prior[:, 2] = 0.7
    _, state = _run(effect, torch.zeros(50, dtype=torch.int64), prior=prior)
    assert state.ability[0, 2] == pytest.approx(0.7)
    assert state.ability_information[0, 2] == 0


def test_few_outcomes_count_relative_to_how_hard_their_queries_were() -> None:
    effect = _random_effects(400, 6)
    easiest = effect[:, :5].mean(1).argsort(descending=True)
    on_easy, on_hard = effect.clone(), effect.clone()
    on_easy[:, 5], on_hard[:, 5] = torch.nan, torch.nan
    on_easy[easiest[:5], 5], on_hard[easiest[-5:], 5] = 1.0, 1.0
    task = torch.zeros(400, dtype=torch.int64)
    easy, hard = _run(on_easy, task)[1], _run(on_hard, task)[1]
    assert hard.ability[0, 5] > easy.ability[0, 5] + 0.3


def test_the_scale_of_an_ability_does_not_depend_on_the_number_of_outcomes() -> None:
    effect = _random_effects(2000, 6, seed=3)
    few = effect.clone()
    few[40:, 3] = torch.nan
    task = torch.zeros(2000, dtype=torch.int64)
    many, some = _run(effect, task)[1], _run(few, task)[1]
    assert (many.ability[0, 3] - some.ability[0, 3]).abs() < 0.8


def test_queries_of_unknown_task_have_no_skill_and_the_overall_easiness() -> None:
    task = torch.tensor([0] * 50 + [1] * 50 + [2] * 50)  # 2 = num_tasks: unknown
    _, state = _run(_random_effects(150, 4), task, num_tasks=2)
    assert (state.skill[:, 2] == 0).all()
    reliability = state.reliability[0]
    total = state.surprise[0] + state.task_easiness[0, task]
    assert state.task_easiness[0, 2] == pytest.approx(float((total * reliability).sum() / reliability.sum()), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_outcomes_stay_finite(value: float) -> None:
    _, state = _run(torch.full((30, 3), value, dtype=torch.float64), torch.zeros(30, dtype=torch.int64))
    assert all(torch.isfinite(part).all() for part in state)
