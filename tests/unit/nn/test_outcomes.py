"""Sums over the outcomes of a support: what was not observed is in none of them."""

from __future__ import annotations

import math

import pytest
import torch

from graphrouter.features.channels import EFFECT, NUM_CHANNELS, SPEND
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.nn.outcomes import SupportOutcomes, estimate_excess, split_common

NAN = float("nan")


@pytest.fixture
def outcomes() -> SupportOutcomes:
    """Two queries, the second of unknown task, and two models; spend is observed twice."""
    channels = torch.full((NUM_CHANNELS, 3), NAN, dtype=torch.float64)
    channels[EFFECT] = torch.tensor([1.0, 0.0, 1.0])
    channels[SPEND] = torch.tensor([0.5, NAN, -0.5])
    edges = OutcomeEdges(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 0]), channels)
    return SupportOutcomes(edges, torch.tensor([0, 1]), num_tasks=1, num_models=2)


def test_residual_and_information_by_hand(outcomes: SupportOutcomes) -> None:
    level, easiness = outcomes.zeros.clone(), torch.zeros(NUM_CHANNELS, 2, dtype=torch.float64)
    level[EFFECT, 0, 1] = math.log(3)  # the second model in the known task: 3/4
    residual, information = outcomes.compare(level, easiness)
    assert residual[EFFECT].tolist() == pytest.approx([0.5, -0.75, 0.5])
    assert information[EFFECT].tolist() == pytest.approx([0.25, 0.1875, 0.25])
    assert residual[SPEND].tolist() == [0.5, 0.0, -0.5]
    assert information[SPEND].tolist() == [1.0, 0.0, 1.0]
    assert not residual[1].any()  # input tokens were never observed
    assert not information[1].any()


def test_sums_by_query_and_by_cell(outcomes: SupportOutcomes) -> None:
    values = torch.arange(1.0, 4.0).expand(NUM_CHANNELS, -1)
    assert outcomes.sum_by_query(values)[EFFECT].tolist() == [3.0, 3.0]
    assert outcomes.sum_by_cell(values)[EFFECT].tolist() == [[1.0, 2.0], [3.0, 0.0]]
    assert outcomes.spread_models(torch.tensor([[5.0, 7.0]])).tolist() == [[5.0, 7.0, 5.0]]
    assert outcomes.spread_queries(torch.tensor([[5.0, 7.0]])).tolist() == [[5.0, 5.0, 7.0]]


def test_the_mean_level_starts_from_half_an_outcome_of_either_kind(
    outcomes: SupportOutcomes,
) -> None:
    level = outcomes.mean_level.flatten().tolist()
    assert level == pytest.approx([math.log(2.5 / 1.5), *[0.0] * (NUM_CHANNELS - 1)])


def test_the_excess_is_that_of_the_pool_where_a_model_has_no_amounts(
    outcomes: SupportOutcomes,
) -> None:
    residual = torch.zeros(NUM_CHANNELS, 3, dtype=torch.float64)
    residual[SPEND] = torch.tensor([0.5, 0.0, -0.5])
    excess = estimate_excess(outcomes, residual, torch.ones(NUM_CHANNELS, 1))
    pool = math.log(math.cosh(0.5))
    assert excess[SPEND].tolist() == pytest.approx([pool, pool])


def test_what_models_have_in_common_moves_to_the_queries() -> None:
    generator = torch.Generator().manual_seed(0)
    ability, skill, information = (
        torch.rand(NUM_CHANNELS, tasks, 5, generator=generator, dtype=torch.float64)
        for tasks in (1, 4, 4)
    )
    skill[:, -1] = 0
    common, left_ability, left_skill = split_common(ability, skill, information)
    moved = common.unsqueeze(2) + left_ability + left_skill
    torch.testing.assert_close(moved, ability + skill)
    assert not left_skill[:, -1].any()
    for task in range(3):
        assert (information * left_skill)[:, task].sum(1).abs().max() < 1e-12
