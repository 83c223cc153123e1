"""Dollars of prompts longer than any that was billed: by a line a model, in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from graphrouter.features.text_spend import (
    SpendRows,
    TextSpend,
    _average_positive,
    fit_text_spend,
)
from graphrouter.features.token_rates import NUM_KINDS, TokenRates, fit_token_rates
from graphrouter.types import FloatArray

NAN = float("nan")
NUM = 200
PRICES = np.array([[0.1, 0.4], [1.0, 4.0], [10.0, 40.0]])
ANSWERS = np.array([100.0, 2000.0, 200.0])
"""Tokens of the answers of three models."""
UNKNOWN = np.array([[0.0, 1.0]])


def letters(lengths: FloatArray) -> FloatArray:
    """Characters by kind of texts of Latin letters alone."""
    return np.column_stack([lengths, np.zeros((len(lengths), NUM_KINDS - 1))])


def rates_of(num_models: int = 3) -> TokenRates:
    """Rates that nobody counted: 0.21 tokens a letter."""
    none = np.zeros(0, dtype=np.int64)
    return fit_token_rates(
        letters(np.ones(1)), none[:1], none, none, np.zeros(0), num_models=num_models, num_tasks=1
    )


def bill(text_tokens: FloatArray, model: int, answers: FloatArray | None = None) -> FloatArray:
    tokens = ANSWERS[model] if answers is None else answers
    return np.asarray(text_tokens * PRICES[model, 0] + tokens * PRICES[model, 1]) / 1e6


def learn(
    *, noise: float = 0.0, tells_answers: bool = False, lengths: FloatArray | None = None
) -> TextSpend:
    """What three models say that were billed for the same prompts of up to 660 letters."""
    rng = np.random.default_rng(0)
    lengths = rng.uniform(20, 660, NUM) if lengths is None else lengths
    parts = []
    for model in range(3):
        answers = ANSWERS[model] * np.exp(noise * rng.standard_normal(len(lengths)))
        spend = bill(0.21 * lengths, model, answers)
        known = answers if tells_answers else np.full(len(lengths), NAN)
        same = np.full(len(lengths), model)
        parts.append(SpendRows(letters(lengths), 0 * same, same, spend, known))
    rows = SpendRows._make(np.concatenate(column) for column in zip(*parts, strict=True))
    return fit_text_spend(
        rows, rates_of(), follows=np.ones(3, dtype=bool), listed=np.full(3, NAN), num_tasks=1
    )


def ask(fitted: TextSpend, length: float, expected: FloatArray) -> FloatArray:
    return fitted.follow(letters(np.array([length])), UNKNOWN, expected[None])[0]


STUCK = np.array([float(bill(np.array(70.0), model)) for model in range(3)])
"""What a network says that has never seen more than it has."""


class TestFollow:
    @pytest.mark.parametrize("times", [2, 10, 100, 1000])
    def test_what_is_linear_in_the_text_goes_on_so(self, times: int) -> None:
        found = ask(learn(), 660.0 * times, STUCK)
        true = np.array([bill(np.array(0.21 * 660 * times), model) for model in range(3)])
        np.testing.assert_allclose(found / true, 1, atol=0.12)

    def test_among_prompts_like_those_seen_the_network_is_heard(self) -> None:
        expected = np.array([1.0, 2.0, 3.0])
        assert ask(learn(), 300.0, expected).tolist() == expected.tolist()

    def test_there_is_no_step_and_a_longer_prompt_never_costs_less(self) -> None:
        fitted = learn()
        spends = np.stack([ask(fitted, length, STUCK) for length in np.geomspace(100, 1e6, 400)])
        assert (np.diff(spends, axis=0) >= 0).all()
        assert (spends[1:] / spends[:-1]).max() < 1.1

    def test_a_prompt_alone_is_rounded_as_in_a_batch(self) -> None:
        fitted, rng = learn(noise=0.5), np.random.default_rng(1)
        chars = rng.uniform(0, 3000, (50, NUM_KINDS))
        share = rng.dirichlet(np.ones(2), 50)
        expected = rng.uniform(1e-5, 1e-3, (50, 3))
        together = fitted.follow(chars, share, expected)
        for i in range(50):
            one = slice(i, i + 1)
            alone = fitted.follow(chars[one], share[one], expected[one])
            np.testing.assert_array_equal(alone[0], together[i])

    def test_what_is_not_known_stays_so(self) -> None:
        found = ask(learn(), 1e5, np.full(3, NAN))
        assert np.isnan(found).all()

    def test_a_model_whose_spend_holds_no_prompt_is_left_alone(self) -> None:
        fitted = learn()._replace(follows=np.array([True, False, True]))
        assert ask(fitted, 1e5, STUCK)[1] == STUCK[1]


class TestFit:
    def test_answers_that_were_counted_take_their_noise_with_them(self) -> None:
        true = PRICES[:, 0] * 0.21 / 1e6
        told = learn(noise=0.8, tells_answers=True).rates[:, 0] / true
        untold = learn(noise=0.8).rates[:, 0] / true
        np.testing.assert_allclose(told, 1, atol=0.1)
        assert np.abs(np.log(told)).max() < np.abs(np.log(untold)).max()

    @pytest.mark.parametrize("billed", [1.0, 0.0125])
    def test_a_list_price_is_believed_unless_the_bills_say_other(self, billed: float) -> None:
        lengths = np.random.default_rng(0).uniform(20, 660, NUM)
        same, spend = np.zeros(NUM, dtype=np.int64), billed * bill(0.21 * lengths, 0)
        rows = SpendRows(letters(lengths), same, same, spend, np.full(NUM, NAN))
        follows, listed = np.ones(2, dtype=bool), np.array([1e-7, 5e-7])
        fitted = fit_text_spend(rows, rates_of(2), follows=follows, listed=listed, num_tasks=1)
        np.testing.assert_allclose(fitted.rates[:, 0], 0.21 * listed * [billed, 1], rtol=0.1)
        # A newcomer without outcomes has beside the text what the others have.
        assert fitted.beside[-1, 1] == fitted.beside[-1, 0]

    def test_prompts_of_one_length_say_that_a_longer_one_costs_more(self) -> None:
        fitted = learn(lengths=np.full(NUM, 400.0))
        assert (fitted.rates[:, 0] > 0).all()
        assert (ask(fitted, 1e5, STUCK) > 2 * STUCK).all()

    def test_a_price_a_call_hardly_grows(self) -> None:
        lengths = np.random.default_rng(0).uniform(20, 6600, NUM)
        same = np.zeros(NUM, dtype=np.int64)
        rows = SpendRows(letters(lengths), same, same, np.full(NUM, 0.01), np.full(NUM, NAN))
        fitted = fit_text_spend(
            rows, rates_of(1), follows=np.ones(1, dtype=bool), listed=np.array([NAN]), num_tasks=1
        )
        assert ask(fitted, 13_200.0, np.array([0.01]))[0] == pytest.approx(0.01, rel=0.05)

    def test_long_answers_of_a_task_with_long_prompts_are_no_rate(self) -> None:
        rng = np.random.default_rng(0)
        task = np.arange(NUM) % 2
        lengths = rng.uniform(20, 300, NUM) + 360 * task
        spend = (0.21 * lengths + 400 + 4000 * task) / 1e6
        same = np.zeros(NUM, dtype=np.int64)
        rows = SpendRows(letters(lengths), task, same, spend, np.full(NUM, NAN))
        fitted = fit_text_spend(
            rows, rates_of(1), follows=np.ones(1, dtype=bool), listed=np.array([NAN]), num_tasks=2
        )
        assert fitted.rates[0, 0] == pytest.approx(0.21e-6, rel=0.1)
        np.testing.assert_allclose(fitted.beside[:2, 0], [400e-6, 4400e-6], rtol=0.1)


@pytest.mark.parametrize("away", [-50.0, -20.0, -3.0, 0.0, 4.0, 40.0])
def test_means_above_zero_are_those_of_the_cut_normal(away: float) -> None:
    found = _average_positive(np.array([2 * away]), np.array([2.0]))[0]
    assert found > 0
    grid = np.linspace(0, max(away, 0) + 12, 400_001)
    weight = np.exp(-((grid - away) ** 2) / 2 + min(away, 0) ** 2 / 2)
    if away > -30:
        assert found == pytest.approx(2 * (grid @ weight) / weight.sum(), rel=2e-3)
    assert math.isfinite(found)
