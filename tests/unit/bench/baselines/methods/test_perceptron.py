"""Perceptrons by hand, on exclusive or, and with gaps."""

from __future__ import annotations

import numpy as np
import torch

from graphrouter.bench.baselines.methods.perceptron import (
    UNVALIDATED_EPOCHS,
    Examples,
    Perceptron,
    adapt_descent,
    fit_perceptron,
    measure_squared_error,
    run_layers,
    start_layers,
    take_log_odds,
    to_leaf_tensor,
    to_perceptron,
)
from graphrouter.bench.baselines.tools.gradient import Descent
from graphrouter.bench.baselines.tools.rising_curve import sigmoid

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
EXCLUSIVE_OR = np.array([[0.0], [1.0], [1.0], [0.0]])
FAST = Descent(learning_rate=0.02, max_epochs=300, patience=300)


def test_two_layers_by_hand() -> None:
    net = Perceptron(
        (np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[1.0], [-2.0]])),
        (np.array([[0.0, -1.0]]), np.array([[0.0]])),
    )
    np.testing.assert_array_equal(net.apply(CORNERS), EXCLUSIVE_OR)


def test_networks_side_by_side_are_each_their_own() -> None:
    rng = np.random.default_rng(0)
    nets = Perceptron(
        (rng.normal(size=(3, 2, 5)), rng.normal(size=(3, 5, 1))),
        (rng.normal(size=(3, 1, 5)), np.zeros((3, 1, 1))),
    )
    together = nets.apply(CORNERS)
    assert together.shape == (4, 3)
    for i in range(3):
        alone = Perceptron(tuple(w[i] for w in nets.weights), tuple(b[i] for b in nets.biases))
        np.testing.assert_allclose(together[:, [i]], alone.apply(CORNERS))


def test_untrained_layers_say_the_start() -> None:
    start = np.array([0.5, -1.0, 2.0])
    for separate in (False, True):
        net = to_perceptron(*start_layers([2, 8, 4], start, seed=0, separate=separate))
        np.testing.assert_allclose(net.apply(CORNERS), np.tile(start, (4, 1)))
        assert np.abs(net.weights[0]).max() > 0.1


def test_training_and_prediction_run_the_same_layers() -> None:
    weights, biases = start_layers([2, 8], np.zeros(3), seed=1)
    weights[-1] = torch.ones_like(weights[-1])
    in_torch = run_layers(weights, biases, to_leaf_tensor(CORNERS)).detach().numpy()
    np.testing.assert_allclose(to_perceptron(weights, biases).apply(CORNERS), in_torch, rtol=1e-5)


def test_learns_exclusive_or() -> None:
    examples = Examples(CORNERS, EXCLUSIVE_OR)
    for separate in (False, True):
        start = np.zeros(1)
        net, loss = fit_perceptron(
            examples, start, hidden=(16,), held=examples, seed=0, separate=separate, settings=FAST
        )
        assert loss < 0.1
        assert (np.abs(sigmoid(net.apply(CORNERS)) - EXCLUSIVE_OR) < 0.2).all()
    line, loss = fit_perceptron(
        examples, np.zeros(1), hidden=(), held=examples, seed=0, settings=FAST
    )
    assert len(line.weights) == 1
    assert loss > 0.6  # no straight line tells it


def test_an_output_without_targets_keeps_its_start() -> None:
    targets = np.column_stack([EXCLUSIVE_OR, np.full((4, 1), np.nan)])
    for separate in (False, True):
        net, loss = fit_perceptron(
            Examples(CORNERS, targets),
            np.array([0.0, 0.7]),
            hidden=(16,),
            held=None,
            seed=0,
            separate=separate,
            settings=FAST,
        )
        assert np.isnan(loss)
        np.testing.assert_allclose(net.apply(CORNERS)[:, 1], 0.7, atol=1e-3)


def test_the_same_seed_gives_the_same_network() -> None:
    fits = [
        fit_perceptron(
            Examples(CORNERS, EXCLUSIVE_OR),
            np.zeros(1),
            hidden=(4,),
            held=None,
            seed=seed,
            settings=FAST,
        )[0]
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(fits[0].apply(CORNERS), fits[1].apply(CORNERS))
    assert not np.array_equal(fits[0].apply(CORNERS), fits[2].apply(CORNERS))


def test_batches_follow_the_number_of_rows() -> None:
    settings = Descent(batch_size=256, max_epochs=60)
    sizes = [
        adapt_descent(settings, num_rows=n, validated=True).batch_size for n in (3, 800, 100_000)
    ]
    assert sizes == [16, 50, 256]
    assert adapt_descent(settings, num_rows=3, validated=True).max_epochs == 60
    assert adapt_descent(settings, num_rows=3, validated=False).max_epochs == UNVALIDATED_EPOCHS


def test_squared_error_skips_what_was_not_observed() -> None:
    outputs = torch.tensor([[1.0, 5.0], [3.0, 0.0]])
    assert (
        measure_squared_error(
            outputs, torch.tensor([[0.0, float("nan")], [1.0, float("nan")]])
        ).item()
        == 2.5
    )
    assert measure_squared_error(outputs, torch.full((2, 2), float("nan"))).item() == 0.0


def test_log_odds_undo_the_sigmoid() -> None:
    logit = np.array([-3.0, 0.0, 2.0])
    np.testing.assert_allclose(take_log_odds(sigmoid(logit)), logit)
