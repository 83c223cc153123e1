"""Losses, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from graphrouter.features.channels import LATENCY, NUM_CHANNELS, SPEND
from graphrouter.scoring.pair_scores import PairPredictions
from graphrouter.training.episode_losses import (
    Labels,
    amount_loss,
    effect_log_loss,
    episode_losses,
    soft_regret,
)

NAN = math.nan


def _predictions(
    effect_logit: list[list[float]], *, others: float = 0.0, log_scale: float = 0.0
) -> PairPredictions:
    logit = torch.tensor(effect_logit)
    location = torch.full((NUM_CHANNELS, *logit.shape), others)
    location[0] = logit
    return PairPredictions(
        location,
        torch.full_like(location, log_scale),
        torch.zeros(len(effect_logit), 0),
        torch.ones(len(effect_logit), 1),
        torch.zeros_like(location[0]),
    )


def _labels(
    effect: list[list[float]], *, others: float = NAN, cost: list[list[float]] | None = None
) -> Labels:
    values = torch.tensor(effect)
    channels = torch.full((NUM_CHANNELS, *values.shape), others)
    channels[0] = values
    return Labels(channels, torch.full_like(values, NAN) if cost is None else torch.tensor(cost))


def test_log_loss_skips_what_was_not_observed_and_takes_soft_labels() -> None:
    logit = math.log(0.8 / 0.2)
    loss = effect_log_loss(
        _predictions([[logit, 5.0], [logit, -3.0]]), _labels([[1.0, NAN], [0.25, NAN]])
    )
    assert float(loss) == pytest.approx(
        (-math.log(0.8) - 0.25 * math.log(0.8) - 0.75 * math.log(0.2)) / 2
    )


def test_log_loss_without_labels_is_zero() -> None:
    assert float(effect_log_loss(_predictions([[1.0]]), _labels([[NAN]]))) == 0


def test_amount_loss_by_hand() -> None:
    labels = _labels([[1.0, 1.0]], others=2.0)
    loss = amount_loss(
        _predictions([[0.0, 0.0]], others=1.0, log_scale=math.log(0.5)), labels, SPEND, 3.0
    )
    half_variance = (3.0 * 0.5) ** 2 / 2
    assert float(loss) == pytest.approx(
        0.5 * (2.0 - 1.0) ** 2 + math.exp(3.0 - half_variance) + half_variance
    )


@pytest.mark.parametrize("channels", [[0.0, 0.0, 0.0, 3.0], [1.0, -1.0, 1.0, -1.0]])
def test_amount_loss_is_least_where_the_mean_is_that_of_the_amounts(channels: list[float]) -> None:
    labels = _labels([[1.0] * 4])
    labels.channels[SPEND] = torch.tensor([channels])
    centre, mean = sum(channels) / 4, math.log(sum(math.exp(0.5 * x) for x in channels) / 4)
    best = 0.5 * math.log(2 * (mean - 0.5 * centre)) - math.log(0.5)
    losses = [
        float(
            amount_loss(
                _predictions([[0.0] * 4], others=centre, log_scale=best + off), labels, SPEND, 0.5
            )
        )
        for off in (-0.05, 0.0, 0.05)
    ]
    assert min(losses) == losses[1]


def test_a_channel_never_observed_costs_nothing() -> None:
    assert float(amount_loss(_predictions([[0.0]]), _labels([[1.0]]), LATENCY, 1.0)) == 0


def test_regret_is_zero_for_a_sure_right_choice_and_the_gap_for_a_sure_wrong_one() -> None:
    labels, trade_off = _labels([[1.0, 0.0]]), torch.zeros(1)
    assert float(
        soft_regret(_predictions([[9.0, -9.0]]), labels, trade_off, 0.01)
    ) == pytest.approx(0, abs=1e-6)
    assert float(
        soft_regret(_predictions([[-9.0, 9.0]]), labels, trade_off, 0.01)
    ) == pytest.approx(1, abs=1e-6)


def test_regret_counts_cost_at_the_trade_off() -> None:
    labels = _labels([[1.0, 1.0]], cost=[[0.8, 0.2]])
    regret = soft_regret(
        _predictions([[0.0, 0.0]]), labels, torch.tensor([0.5]), 100.0
    )  # indifferent: half of the time the dear one
    assert float(regret) == pytest.approx(0.5 * 0.5 * 0.6, abs=1e-3)


def test_regret_ignores_unobserved_models_and_queries_with_a_single_one() -> None:
    labels = _labels([[0.0, NAN], [1.0, 0.0]])
    regret = soft_regret(_predictions([[0.0, 9.0], [9.0, -9.0]]), labels, torch.zeros(2), 0.01)
    assert float(regret) == pytest.approx(0, abs=1e-6)


def test_all_losses_have_gradients_where_labels_are_missing() -> None:
    predictions = _predictions([[0.3, -0.2]])
    predictions.location.requires_grad_()
    losses = episode_losses(
        predictions,
        _labels([[1.0, NAN]]),
        torch.tensor([-1]),
        torch.ones(1),
        scale=[1.0] * NUM_CHANNELS,
    )
    sum(losses).backward()
    assert torch.isfinite(predictions.location.grad).all()
    assert float(losses.task) == 0


def test_every_channel_learns_from_its_labels() -> None:
    predictions = _predictions([[0.3, -0.2]])
    predictions.location.requires_grad_()
    losses = episode_losses(
        predictions,
        _labels([[1.0, 0.0]], others=1.0),
        torch.tensor([-1]),
        torch.zeros(1),
        scale=[1.0] * NUM_CHANNELS,
    )
    sum(losses).backward()
    assert (predictions.location.grad != 0).all()


def test_a_model_whose_cost_is_not_known_is_not_free() -> None:
    labels = _labels([[1.0, 1.0]], cost=[[NAN, 0.4]])
    sure_of_the_costed_one = _predictions([[-9.0, 9.0]])
    assert float(soft_regret(sure_of_the_costed_one, labels, torch.ones(1), 0.01)) == pytest.approx(
        0, abs=1e-6
    )
    costless = _labels([[1.0, 0.0]])
    assert float(
        soft_regret(_predictions([[-9.0, 9.0]]), costless, torch.ones(1), 0.01)
    ) == pytest.approx(1, abs=1e-6)
