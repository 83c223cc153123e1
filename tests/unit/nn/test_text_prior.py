"""What texts promise of queries: the model that was sent the hard ones is not mistaken for weak."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from graphrouter.features.channels import EFFECT, NUM_CHANNELS
from graphrouter.features.outcome_edges import OutcomeEdges
from graphrouter.nn.outcomes import EasinessStart, SupportOutcomes
from graphrouter.nn.text_prior import TextPrior

NUM_QUERIES = 2000
STRONGER = 1.3
"""Logits between the two models."""


def ask_one_model_a_query(
    share: float, *, seed: int = 0, num_queries: int = NUM_QUERIES, num_coordinates: int = 8
) -> tuple[SupportOutcomes, Tensor]:
    """Outcomes and coordinates of the queries; of the hard half `share` went to the strong one.

    The first coordinate tells the hard queries, the others nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    hard = torch.rand(num_queries, generator=generator) < 0.5
    chance = torch.where(hard, share, 1 - share)
    strong = torch.rand(num_queries, generator=generator) < chance
    logit = torch.where(hard, -1.5, 1.5) + STRONGER * (strong.double() - 0.5)
    channels = torch.full((NUM_CHANNELS, num_queries), torch.nan, dtype=torch.float64)
    channels[EFFECT] = (torch.rand(num_queries, generator=generator) < logit.sigmoid()).double()
    edges = OutcomeEdges(torch.arange(num_queries), strong.long(), channels)
    principal = torch.randn(num_queries, num_coordinates, generator=generator, dtype=torch.float64)
    principal *= 0.3 * (8 / num_coordinates) ** 0.5
    principal[:, 0] += torch.where(hard, -1.0, 1.0)
    return SupportOutcomes(edges, torch.zeros(num_queries).long(), 1, 2), principal


def start(outcomes: SupportOutcomes, principal: Tensor) -> EasinessStart:
    mass = torch.ones(NUM_CHANNELS, 1, dtype=torch.float64)
    return TextPrior()(outcomes, principal, mass, mass, mass)


@pytest.mark.parametrize("share", [0.9, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_models_differ_as_by_a_regression_that_draws_nothing_to_0(share: float, seed: int) -> None:
    outcomes, principal = ask_one_model_a_query(share, seed=seed)
    weak, strong = start(outcomes, principal).ability[EFFECT, 0].tolist()
    known = np.column_stack([outcomes.model.numpy(), principal.numpy()])
    free = LogisticRegression(C=1e6).fit(known, outcomes.value[EFFECT].numpy())
    assert strong - weak == pytest.approx(free.coef_[0, 0], abs=0.1)


def test_coordinates_that_say_nothing_do_not_hide_who_was_asked_what() -> None:
    # Of 400 assignments a regression on 128 coordinates fits each one, if it may: the models then
    # differ by .15 too little.
    missed = []
    for seed in range(20):
        outcomes, principal = ask_one_model_a_query(
            0.9, seed=seed, num_queries=400, num_coordinates=128
        )
        weak, strong = start(outcomes, principal).ability[EFFECT, 0].tolist()
        # Difficulty known and drawn to nothing, models drawn together as much as there.
        known = np.column_stack([outcomes.model.numpy(), 100 * principal[:, 0].sign().numpy()])
        free = LogisticRegression(C=2).fit(known, outcomes.value[EFFECT].numpy())
        missed.append(strong - weak - free.coef_[0, 0])
    assert abs(np.mean(missed)) < 0.07


def test_who_was_sent_the_hard_prompts_is_found_stronger() -> None:
    outcomes, principal = ask_one_model_a_query(0.9)
    won = [float(outcomes.value[EFFECT, outcomes.model == model].mean()) for model in (0, 1)]
    assert won[1] < won[0]  # as the logs are, the strong model looks weak
    weak, strong = start(outcomes, principal).ability[EFFECT, 0].tolist()
    assert strong > weak


def test_who_was_asked_says_nothing_where_all_were_asked_all() -> None:
    one, principal = ask_one_model_a_query(0.5)
    query = torch.arange(NUM_QUERIES).repeat_interleave(2)
    channels = one.value.repeat_interleave(2, dim=1)
    channels[1:] = torch.nan
    both = SupportOutcomes(
        OutcomeEdges(query, torch.tensor([0, 1]).repeat(NUM_QUERIES), channels), one.task, 1, 2
    )
    found = start(both, principal)
    # Equal outcomes of both: neither is better, and nothing of it lies in who was asked.
    assert float((found.ability[EFFECT, 0, 0] - found.ability[EFFECT, 0, 1]).abs()) < 1e-9
    turned = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    assert torch.isfinite(start(both, principal @ turned).easiness).all()


@pytest.mark.parametrize("seed", range(3))
def test_of_few_queries_asked_at_random_each_model_keeps_what_it_reached(seed: int) -> None:
    # 8 answers a model, each to a query of its own, and more coordinates than queries can fill: a
    # regression of who was asked fits these very queries, and must not be believed.
    generator = torch.Generator().manual_seed(seed)
    num_models, num_queries = 10, 80
    model = torch.arange(num_queries) % num_models
    channels = torch.full((NUM_CHANNELS, num_queries), torch.nan, dtype=torch.float64)
    channels[EFFECT] = (
        torch.rand(num_queries, generator=generator) < torch.where(model < 5, 0.9, 0.2)
    ).double()
    principal = torch.randn(num_queries, 100, generator=generator, dtype=torch.float64)
    edges = OutcomeEdges(torch.arange(num_queries), model, channels)
    outcomes = SupportOutcomes(edges, torch.zeros(num_queries).long(), 1, num_models)
    ability = start(outcomes, principal).ability[EFFECT, 0]
    assert float(ability[:5].mean() - ability[5:].mean()) > 1.5  # 2.9 logits without shrinkage
    won = torch.stack([outcomes.value[EFFECT, model == i].mean() for i in range(num_models)])
    assert np.corrcoef(ability.numpy(), won.numpy())[0, 1] > 0.95
