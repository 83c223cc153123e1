"""What the pool says of a model: likeness of cards, the Gaussian process, principal components, the
mixture of priors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from torch import Tensor

from graphrouter.exceptions import TrainingError
from graphrouter.nn import card_regression, population
from graphrouter.nn.card_likeness import compare_cards
from graphrouter.nn.card_regression import CARD_SHARES, predict_from_others
from graphrouter.nn.population import (
    CARD_TEMPER,
    PSEUDO_MODELS,
    RESEMBLANCE_VARIANCE,
    Likelihood,
    Population,
    estimate_prior,
    update_factors,
)


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cards(numbers: Tensor) -> Tensor:
    """Scaled numbers (M, n), NaN = missing, as the network gets them."""
    missing = torch.isnan(numbers)
    return torch.cat([numbers.nan_to_num(), missing.double()], dim=1)


def _text(seed: int, num_models: int) -> Tensor:
    return torch.nn.functional.normalize(_draw(seed, num_models, 6), dim=1)


ALL = torch.ones(5, dtype=torch.bool)


class TestCardLikeness:
    def test_it_is_the_sum_of_three_kernels(self) -> None:
        text, numbers = (
            _text(0, 3),
            torch.tensor([[1.0, -1.0], [2.0, float("nan")], [9.0, 0.5]], dtype=torch.float64),
        )
        received = compare_cards(text, _cards(numbers), ALL[:3])
        x = np.array([[1.0, -1.0], [2.0, 0.0], [3.0, 0.5]])  # missing = 0, at most 3
        expected = np.empty((3, 3))
        for i in range(3):
            for j in range(3):
                cosine = float(text[i] @ text[j])
                linear = (x[i] * x[j]).sum() / 2
                gaussian = math.exp(-((x[i] - x[j]) ** 2).sum() / 2 / 2)
                expected[i, j] = cosine + linear + gaussian
        expected /= np.diag(expected).mean()
        np.fill_diagonal(expected, np.maximum(np.diag(expected), 1.0))
        assert received.numpy() == pytest.approx(expected, abs=1e-12)

    @settings(max_examples=40)
    @given(seed=st.integers(0, 10_000), blank=st.integers(0, 5), known=st.integers(0, 5))
    def test_it_is_positive_semi_definite_with_a_diagonal_of_at_least_one(
        self, seed: int, blank: int, known: int
    ) -> None:
        text, numbers = _text(seed, 5), 2 * _draw(seed + 1, 5, 3)
        text[:blank], numbers[:blank] = 0.0, torch.nan
        numbers[_draw(seed + 2, 5, 3) > 0.8] = torch.nan
        received = compare_cards(text, _cards(numbers), torch.arange(5) >= 5 - known)
        torch.testing.assert_close(received, received.T, rtol=0, atol=1e-14)
        assert torch.linalg.eigvalsh(received).min() > -1e-10
        assert received.diagonal().min() > 1 - 1e-12

    def test_a_model_of_which_nothing_is_said_is_like_nobody(self) -> None:
        text, numbers = _text(3, 5), 1.5 * _draw(4, 5, 3)
        text[4], numbers[4] = 0.0, torch.nan
        text[1], numbers[1] = text[0], numbers[0]
        received = compare_cards(text, _cards(numbers), ALL)
        assert received[0, 1] == pytest.approx(float(received[0, 0]))
        assert received[4, 4] == 1.0
        # What remains is that its numbers might be the mean ones: less than a third of what it is
        # like itself.
        assert received[4, :4].max() < 1 / 3
        assert received[4, :4].min() > 0

    def test_numbers_that_no_known_model_states_say_nothing(self) -> None:
        text, numbers = _text(5, 5), _draw(6, 5, 3)
        numbers[:3, 1] = torch.nan  # stated by the newcomers alone
        is_known = torch.tensor([True, True, True, False, False])
        other = numbers.clone()
        other[3:, 1] = torch.tensor([2.0, -2.0])
        without = numbers[:, [0, 2]]
        received = [compare_cards(text, _cards(n), is_known) for n in (numbers, other, without)]
        assert torch.equal(received[0], received[1])
        torch.testing.assert_close(received[0], received[2], rtol=0, atol=1e-12)
        heard = compare_cards(text, _cards(other), ALL)
        assert not torch.allclose(heard, received[1])

    def test_a_newcomer_does_not_change_how_others_are_alike(self) -> None:
        text, numbers = _text(7, 5), _draw(8, 5, 3)
        is_known = torch.arange(5) < 4
        larger = compare_cards(text, _cards(numbers), is_known)
        smaller = compare_cards(text[:4], _cards(numbers[:4]), is_known[:4])
        torch.testing.assert_close(larger[:4, :4], smaller, rtol=0, atol=1e-14)


def _leave_one_out(
    kernel: np.ndarray, noise: np.ndarray, score: np.ndarray, own: int
) -> tuple[float, float]:
    """Gaussian process prediction of one model from all others that something is known of."""
    others = [i for i in range(len(score)) if i != own and np.isfinite(noise[i])]
    matrix = kernel[np.ix_(others, others)] + np.diag(noise[others])
    gain = np.linalg.solve(matrix, kernel[others, own])
    return float(gain @ score[others]), float(kernel[own, own] - gain @ kernel[others, own])


def _world(seed: int, num_models: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Scores and precisions (1, 2, M) of models, some of which nothing is known of, and their
    likeness."""
    numbers = _draw(seed, num_models, 2)
    likeness = compare_cards(
        _text(seed + 1, num_models), _cards(numbers), torch.ones(num_models, dtype=torch.bool)
    )
    precision = 5 * _draw(seed + 2, 1, 2, num_models).square() + 0.1
    precision[0, :, -1] = 0.0
    return _draw(seed + 3, 1, 2, num_models), precision, likeness


class TestFromTheOthers:
    @pytest.mark.parametrize("share", [0.3, 0.9])
    def test_it_is_leave_one_out_prediction(
        self, share: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(card_regression, "CARD_SHARES", (share,))
        scores, precision, likeness = _world(10)
        mean, variance = predict_from_others(scores, precision, likeness)
        kernel = share * likeness.numpy() + (1 - share) * np.eye(7)
        with np.errstate(divide="ignore"):
            noise = 1 / precision.numpy()
        for factor in range(2):
            for model in range(7):
                expected = _leave_one_out(
                    kernel, noise[0, factor], scores[0, factor].numpy(), model
                )
                assert (
                    float(mean[0, factor, model]),
                    float(variance[0, factor, model]),
                ) == pytest.approx(expected, abs=1e-9)

    def test_shares_are_averaged_by_marginal_likelihood(self) -> None:
        scores, precision, likeness = _world(20)
        mean, variance = predict_from_others(scores, precision, likeness)
        for factor in range(2):
            y, noise = scores[0, factor].numpy(), 1 / precision[0, factor, :6].numpy()
            logs, each = [], []
            for share in CARD_SHARES:
                kernel = share * likeness.numpy() + (1 - share) * np.eye(7)
                logs.append(
                    multivariate_normal.logpdf(y[:6], np.zeros(6), kernel[:6, :6] + np.diag(noise))
                )
                each.append(
                    [
                        _leave_one_out(kernel, np.append(noise, np.inf), y, model)
                        for model in range(7)
                    ]
                )
            belief = np.exp(np.array(logs) - max(logs))
            belief /= belief.sum()
            means, variances = np.moveaxis(np.array(each), 2, 0)
            expected = belief @ means
            assert mean[0, factor].numpy() == pytest.approx(expected, abs=1e-9)
            assert variance[0, factor].numpy() == pytest.approx(
                belief @ (variances + (means - expected) ** 2), abs=1e-9
            )

    def test_without_cards_the_others_say_nothing_but_the_mean(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(card_regression, "CARD_SHARES", (0.0,))
        mean, variance = predict_from_others(*_world(30))
        assert mean.abs().max() < 1e-12
        torch.testing.assert_close(variance, torch.ones_like(variance), rtol=0, atol=1e-12)

    def test_a_model_of_which_nothing_is_known_changes_nothing_for_the_others(self) -> None:
        scores, precision, likeness = _world(40)
        scores[0, :, -1] = 100.0  # of precision 0: means nothing
        larger = predict_from_others(scores, precision, likeness)
        smaller = predict_from_others(scores[:, :, :-1], precision[:, :, :-1], likeness[:-1, :-1])
        for some, same in zip(larger, smaller, strict=True):
            torch.testing.assert_close(some[:, :, :-1], same, rtol=0, atol=1e-12)

    def test_cards_that_explain_the_scores_are_believed_and_others_are_not(self) -> None:
        numbers = torch.linspace(-2, 2, 21, dtype=torch.float64).unsqueeze(1)
        likeness = compare_cards(
            torch.zeros(21, 4, dtype=torch.float64),
            _cards(numbers),
            torch.ones(21, dtype=torch.bool),
        )
        explained = (numbers[:, 0] / numbers.std()).view(1, 1, -1)
        precision = torch.full_like(explained, 100.0)
        mean, variance = predict_from_others(explained, precision, likeness)
        assert (mean - explained).abs().max() < 0.5
        assert variance.median() < 0.5
        by_chance = explained[:, :, torch.randperm(21, generator=torch.Generator().manual_seed(0))]
        mean, variance = predict_from_others(by_chance, precision, likeness)
        assert mean.abs().mean() < 0.3
        assert variance.median() > 0.7


def _levels(seed: int, num_tasks: int, num_models: int) -> Tensor:
    """(1, T + 1, M) levels of models that differ by a strength of their own and by task."""
    strength, own = (
        1.2 * _draw(seed, 1, 1, num_models),
        0.6 * _draw(seed + 1, 1, num_tasks + 1, num_models),
    )
    return strength + own


class TestPopulationPrior:
    mass = torch.tensor([[2.0]], dtype=torch.float64)

    def test_the_basis_reproduces_the_weighted_covariance_and_the_scores_the_levels(self) -> None:
        level = _levels(0, 3, 30)
        information = _draw(2, 1, 4, 30).square() + 0.5
        prior = estimate_prior(level, information, torch.eye(30).double(), self.mass)
        known = information[0].sum(0).numpy()
        weight, x = known / (known + 2.0), level[0].numpy()
        centre = (x * weight).sum(1) / weight.sum()
        off = x - centre[:, None]
        # PSEUDO_MODELS models that differ in strength alone, with the variance 1 / mass that the
        # prior of abilities promises
        expected = ((off * weight) @ off.T + PSEUDO_MODELS / 2.0) / (weight.sum() + PSEUDO_MODELS)
        assert prior.centre[0].numpy() == pytest.approx(centre, abs=1e-8)
        assert (prior.basis[0] @ prior.basis[0].T).numpy() == pytest.approx(expected, abs=1e-8)
        torch.testing.assert_close(prior.level(prior.scores), level, rtol=0, atol=1e-6)

    def test_factors_come_by_falling_variance_and_are_orthogonal(self) -> None:
        prior = estimate_prior(
            _levels(5, 4, 40), torch.ones(1, 5, 40).double(), torch.eye(40).double(), self.mass
        )
        products = prior.basis[0].T @ prior.basis[0]
        assert (products - torch.diag(products.diagonal())).abs().max() < 1e-10
        assert (products.diagonal().diff() <= 0).all()

    def test_there_are_no_more_factors_than_can_be_told_apart(self) -> None:
        prior = estimate_prior(
            _levels(6, 19, 40), torch.ones(1, 20, 40).double(), torch.eye(40).double(), self.mass
        )
        assert prior.basis.shape == (1, 20, population.MAX_FACTORS)
        assert (
            prior.mean.shape
            == prior.variance.shape
            == prior.scores.shape
            == (1, population.MAX_FACTORS, 40)
        )

    def test_directions_without_variance_are_zero(self) -> None:
        level = _draw(7, 1, 1, 12).expand(1, 4, 12)  # equally strong in all tasks
        prior = estimate_prior(
            level, torch.ones(1, 4, 12).double(), torch.eye(12).double(), self.mass
        )
        assert prior.basis[0, :, 0].abs().min() > 0.3
        assert (prior.basis[0, :, 1:] == 0).all()
        assert (prior.scores[0, 1:] == 0).all()
        assert (prior.mean[0, 1:] == 0).all()

    def test_a_model_of_which_nothing_is_known_changes_nothing_for_the_others(self) -> None:
        level, information = _levels(8, 3, 9), _draw(9, 1, 4, 9).square()
        information[:, :, -1] = 0.0
        likeness = compare_cards(_text(1, 9), _cards(_draw(2, 9, 2)), torch.arange(9) < 8)
        larger = estimate_prior(level, information, likeness, self.mass)
        smaller = estimate_prior(
            level[:, :, :-1], information[:, :, :-1], likeness[:-1, :-1], self.mass
        )
        for name in ("centre", "basis"):
            torch.testing.assert_close(
                getattr(larger, name), getattr(smaller, name), rtol=0, atol=1e-12
            )
        for name in ("mean", "variance", "scores"):
            torch.testing.assert_close(
                getattr(larger, name)[:, :, :-1], getattr(smaller, name), rtol=0, atol=1e-12
            )

    def test_without_any_outcome_it_is_finite_and_says_nothing(self) -> None:
        nothing = torch.zeros(1, 3, 4).double()
        prior = estimate_prior(nothing, nothing, torch.eye(4).double(), self.mass)
        assert all(part.isfinite().all() for part in prior)
        assert (prior.centre == 0).all()
        torch.testing.assert_close(prior.variance, torch.ones_like(prior.variance))


def _two_models(num_tasks: int, seed: int) -> tuple[Tensor, Tensor]:
    """Levels and information (1, T + 1, 2) of two models with two and seven outcomes."""
    generator = torch.Generator().manual_seed(seed)
    information = torch.zeros(1, num_tasks + 1, 2)
    task = torch.randperm(num_tasks, generator=generator)[:9]
    information[0, task[:2], 0] = information[0, task[2:], 1] = 1.0
    level = torch.randn(1, 1, 2, generator=generator).repeat(1, num_tasks + 1, 1)
    level[0, task] += 0.3 * torch.randn(9, 2, generator=generator) * information[0, task]
    return (level * 100).round() / 100, information


class TestDegeneratePools:
    @settings(max_examples=40, deadline=None)
    @given(num_tasks=st.integers(30, 100), seed=st.integers(0, 1000))
    @example(num_tasks=58, seed=0)
    @example(num_tasks=37, seed=370)
    def test_two_models_over_many_tasks_have_a_prior_in_single_precision(
        self, num_tasks: int, seed: int
    ) -> None:
        level, information = _two_models(num_tasks, seed)
        likeness, mass = torch.eye(2), torch.tensor([[2.0]])
        single = estimate_prior(level, information, likeness, mass)
        double = estimate_prior(
            level.double(), information.double(), likeness.double(), mass.double()
        )
        assert single.basis.shape == (1, num_tasks + 1, population.MAX_FACTORS)
        torch.testing.assert_close(
            (single.basis @ single.basis.mT).double(),
            double.basis @ double.basis.mT,
            rtol=0,
            atol=1e-4,
        )
        assert all(part.isfinite().all() for part in single)

    @pytest.mark.parametrize("num_models", [2, 4, 5, 12])
    def test_the_smaller_of_tasks_and_models_gives_the_covariance_of_both(
        self, num_models: int
    ) -> None:
        level, information = _levels(3, 4, num_models), _draw(4, 1, 5, num_models).square()
        information[:, 1] = 0.0  # a task that nobody has answered
        mass = torch.tensor([[2.0]], dtype=torch.float64)
        prior = estimate_prior(level, information, torch.eye(num_models).double(), mass)
        known, rows = information[0].sum(0), [0, 2, 3, 4]
        weight, x = known / (known + 2.0), level[0, rows]
        off = x - (x * weight).sum(1, keepdim=True) / weight.sum()
        expected = ((off * weight) @ off.T + PSEUDO_MODELS / 2.0) / (weight.sum() + PSEUDO_MODELS)
        values, vectors = torch.linalg.eigh(expected)
        values = torch.where(values > 1e-4 * values[-1], values, 0.0)
        received = prior.basis[0, rows] @ prior.basis[0, rows].T
        torch.testing.assert_close(
            received, vectors @ torch.diag(values) @ vectors.T, rtol=0, atol=1e-8
        )

    @pytest.mark.parametrize("precision", [0.0, 1e-8, 1.0, 1e4, 1e8, 1e12])
    def test_a_model_is_predicted_by_the_others_however_well_it_is_known(
        self, precision: float
    ) -> None:
        scores, likeness = _draw(0, 1, 1, 5), torch.full((5, 5), 0.4).double()
        likeness.fill_diagonal_(1.0)
        known = torch.full((1, 1, 5), 3.0).double()
        known[..., 0] = precision
        mean, variance = predict_from_others(scores, known, likeness)
        # The same without its own score: how likely each share is then comes from all models.
        means, variances, evidence = [], [], []
        for share in CARD_SHARES:
            kernel = (share * likeness + (1 - share) * torch.eye(5)).numpy()
            noisy = kernel[1:, 1:] + np.eye(4) / 3.0
            gain = np.linalg.solve(noisy, kernel[1:, 0])
            means.append(float(gain @ scores[0, 0, 1:].numpy()))
            variances.append(1.0 - float(gain @ kernel[1:, 0]))
            rows = slice(0 if precision else 1, None)
            noise = np.diag(1 / known[0, 0].numpy()[rows])
            evidence.append(
                multivariate_normal(cov=kernel[rows, rows] + noise).logpdf(
                    scores[0, 0].numpy()[rows]
                )
            )
        belief = np.exp(np.array(evidence) - max(evidence))
        belief /= belief.sum()
        expected = float(belief @ means)
        spread = float(belief @ (np.array(variances) + (np.array(means) - expected) ** 2))
        assert float(mean[0, 0, 0]) == pytest.approx(expected, abs=1e-6)
        assert float(variance[0, 0, 0]) == pytest.approx(spread, abs=1e-6)

    def test_sums_that_rounding_made_impossible_still_have_a_posterior(self) -> None:
        """A million outcomes of one slope: the mean square is the square of the mean, at least."""
        blank = torch.zeros(1, 2, 1)
        prior = Population(
            torch.zeros(1, 2), torch.tensor([[[1.0, 1e-3]] * 2]), blank, blank + 1, blank
        )
        sums = [torch.full((1, 2, 1), value) for value in (1e6, 1e6)]
        likelihood = prior.likelihood(
            torch.zeros(1, 2, 1), sums[0], torch.zeros(1, 1), sums[1], 0.99 * sums[1]
        )
        assert torch.linalg.eigvalsh(likelihood.information).min() > -1e-6
        assert prior.newton_step(blank, likelihood).isfinite().all()
        posterior = update_factors(prior, blank, likelihood, torch.ones(1, 1))
        assert posterior.factors.isfinite().all()
        assert (torch.linalg.eigvalsh(posterior.covariance) > 0).all()

    def test_a_failure_names_its_place_and_the_shape(self) -> None:
        level = torch.full((4, 3, 2), float("nan"))
        with pytest.raises(TrainingError, match="how levels vary together: a matrix of 4 x 3 x 3"):
            estimate_prior(level, torch.ones(4, 3, 2), torch.eye(2), torch.ones(4, 1))
        scores = torch.zeros(4, 3, 2)
        with pytest.raises(TrainingError, match="what cards say .* 4 of its numbers are not"):
            predict_from_others(scores[:1, :1], scores[:1, :1] + torch.nan, torch.eye(2))


def _prior(*, mean: list[float], variance: list[float], scores: list[float]) -> Population:
    """One channel, one task and one factor."""
    parts = [
        torch.tensor(values, dtype=torch.float64).view(1, 1, -1)
        for values in (mean, variance, scores)
    ]
    return Population(torch.zeros(1, 1).double(), torch.ones(1, 1, 1).double(), *parts)


def _likelihood(gradient: list[float], information: list[float]) -> Likelihood:
    rows = torch.tensor([gradient, information], dtype=torch.float64)
    return Likelihood(rows[0].view(1, -1, 1), rows[1].view(1, -1, 1, 1))


class TestLikelihood:
    def test_it_is_the_gradient_and_information_of_every_outcome_added_up(self) -> None:
        num_tasks, num_models, num_factors = 2, 3, 2
        generator = np.random.default_rng(0)
        basis = generator.normal(size=(num_tasks + 1, num_factors))
        cell = np.zeros((5, num_tasks + 1, num_models))
        gradient, information = np.zeros((num_models, 2)), np.zeros((num_models, 2, 2))
        for _ in range(40):
            task, model = generator.integers(num_tasks + 1), generator.integers(num_models)
            residual, curvature, slope = generator.normal(), generator.random(), generator.normal()
            loading = basis[task] + [
                slope,
                0.0,
            ]  # how the logit of the outcome moves with the factors
            gradient[model] += residual * loading
            information[model] += curvature * np.outer(loading, loading)
            cell[:, task, model] += (
                residual,
                curvature,
                residual * slope,
                curvature * slope,
                curvature * slope**2,
            )
        sums = torch.from_numpy(cell).unsqueeze(1)
        blank = torch.zeros(1, num_factors, num_models).double()
        prior = Population(
            torch.zeros(1, 3).double(),
            torch.from_numpy(basis).unsqueeze(0),
            blank,
            blank + 1,
            blank,
        )
        received = prior.likelihood(sums[0], sums[1], sums[2].sum(1), sums[3], sums[4])
        assert received.gradient[0].numpy() == pytest.approx(gradient, abs=1e-12)
        assert received.information[0].numpy() == pytest.approx(information, abs=1e-12)

    def test_a_newton_step_ends_at_the_posterior_mean_of_a_normal_likelihood(self) -> None:
        prior = _prior(mean=[0.5, 0.0], variance=[0.4, 1.0], scores=[0.0, 0.0])
        factors = torch.tensor([[[2.0, -1.0]]], dtype=torch.float64)
        observed, information = torch.tensor([1.5, -3.0]).double(), [6.0, 0.5]
        gradient = [information[i] * float(observed[i] - factors[0, 0, i]) for i in range(2)]
        received = factors + prior.newton_step(factors, _likelihood(gradient, information))
        expected = [(0.5 / 0.4 + 6.0 * 1.5) / (1 / 0.4 + 6.0), (0.5 * -3.0) / 1.5]
        assert received[0, 0].tolist() == pytest.approx(expected)


class TestFactorPosterior:
    prior = _prior(mean=[0.8, -0.3, 0.1], variance=[0.5, 0.9, 1.0], scores=[0.0, 1.9, -1.2])
    weight = torch.tensor([[0.0, 0.9, 0.6]], dtype=torch.float64)

    @pytest.mark.parametrize(
        ("gradient", "information"), [(0.0, 0.0), (1.0, 0.5), (-6.0, 4.0), (3.0, 2.0)]
    )
    def test_it_is_the_mixture_of_priors_times_the_likelihood(
        self, gradient: float, information: float
    ) -> None:
        here = 0.4
        factors = torch.full((1, 1, 3), here, dtype=torch.float64)
        received = update_factors(
            self.prior, factors, _likelihood([gradient, 0, 0], [information, 0, 0]), self.weight
        )

        grid = np.linspace(-12, 12, 200_001)

        def normal(mean: float, variance: float) -> np.ndarray:
            return np.exp(-0.5 * (grid - mean) ** 2 / variance) / math.sqrt(2 * math.pi * variance)

        density = normal(0.8, 0.5)  # what the card says
        for score, share in (
            (1.9, 0.9 / 1.5),
            (-1.2, 0.6 / 1.5),
        ):  # much like one of the known models
            centre = math.sqrt(1 - RESEMBLANCE_VARIANCE) * score
            belief = share * math.exp(-0.5 * CARD_TEMPER * (centre - 0.8) ** 2 / 0.5)
            density = density + belief * normal(centre, RESEMBLANCE_VARIANCE)
        density = density * np.exp(
            gradient * (grid - here) - 0.5 * information * (grid - here) ** 2
        )
        density /= density.sum()
        mean = float(density @ grid)
        assert float(received.factors[0, 0, 0]) == pytest.approx(mean, abs=1e-5)
        assert float(received.covariance[0, 0, 0, 0]) == pytest.approx(
            float(density @ (grid - mean) ** 2), abs=1e-5
        )

    def test_a_model_with_many_outcomes_stays_where_they_are(self) -> None:
        factors = torch.tensor([[[3.0, -2.5, 0.7]]], dtype=torch.float64)
        received = update_factors(
            self.prior, factors, _likelihood([0.0] * 3, [1e5] * 3), self.weight
        )
        torch.testing.assert_close(received.factors, factors, rtol=0, atol=1e-3)
        torch.testing.assert_close(
            received.covariance, torch.full_like(received.covariance, 1e-5), rtol=0.01, atol=0
        )

    def test_only_known_models_are_resembled_and_none_resembles_itself(self) -> None:
        factors = torch.zeros(1, 1, 3).double()
        nothing = _likelihood([0.0] * 3, [0.0] * 3)
        alone = update_factors(
            self.prior, factors, nothing, torch.tensor([[0.9, 0.0, 0.0]]).double()
        )
        assert float(alone.factors[0, 0, 0]) == pytest.approx(
            0.8
        )  # the one known model: nobody else to be like
        assert float(alone.covariance[0, 0, 0, 0]) == pytest.approx(0.5)
        nobody = update_factors(self.prior, factors, nothing, torch.zeros(1, 3).double())
        torch.testing.assert_close(nobody.factors, self.prior.mean)
        torch.testing.assert_close(nobody.covariance.flatten(), self.prior.variance.flatten())

    def test_covariances_of_several_factors_are_positive_definite(self) -> None:
        prior = estimate_prior(
            _levels(3, 4, 10),
            torch.ones(1, 5, 10).double(),
            torch.eye(10).double(),
            TestPopulationPrior.mass,
        )
        size = prior.basis.shape[2]
        root = _draw(4, 1, 10, size, size)
        likelihood = Likelihood(_draw(5, 1, 10, size), root @ root.mT)
        received = update_factors(
            prior, prior.scores, likelihood, torch.full((1, 10), 0.8).double()
        )
        torch.testing.assert_close(received.covariance, received.covariance.mT)
        assert torch.linalg.eigvalsh(received.covariance).min() > 0
