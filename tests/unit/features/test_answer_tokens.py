"""Tokens of answers in pools of dollars: by what was spent, where tokens were recorded."""

from __future__ import annotations

import numpy as np
import pytest

from graphrouter.features.answer_tokens import AnswerTokens, fit_answer_tokens
from graphrouter.features.text_spend import SpendRows
from graphrouter.features.token_rates import NUM_KINDS, fit_token_rates
from graphrouter.types import FloatArray

NUM = 300
NAN = float("nan")


def letters(lengths: FloatArray) -> FloatArray:
    return np.column_stack([lengths, np.zeros((len(lengths), NUM_KINDS - 1))])


def learn(known: FloatArray | None = None) -> AnswerTokens | None:
    """What two models say whose log tokens are 5 or 7 and as much as their standardised spend."""
    rng = np.random.default_rng(0)
    model, spend = np.repeat([0, 1], NUM), rng.standard_normal(2 * NUM)
    tokens = np.exp(5 + 2 * model + spend + 0.3 * rng.standard_normal(2 * NUM))
    chars = letters(rng.uniform(20, 600, 2 * NUM))
    tokens = tokens if known is None else np.where(known, tokens, NAN)
    none = np.zeros(0, dtype=np.int64)
    rates = fit_token_rates(chars, 0 * model, none, none, np.zeros(0), num_models=2, num_tasks=1)
    return fit_answer_tokens(SpendRows(chars, 0 * model, model, spend, tokens), rates, 2)


def test_what_more_was_spent_is_a_longer_answer() -> None:
    fitted = learn()
    assert fitted is not None
    chars, spread = letters(np.array([200.0, 200.0])), np.zeros((2, 2))
    found = fitted.expect(chars, np.array([[0.0, 0.0], [1.0, 1.0]]), spread)
    mean = np.exp(0.3**2 / 2)  # of the log-normal
    np.testing.assert_allclose(found[0], np.exp([5, 7]) * mean, rtol=0.1)
    np.testing.assert_allclose(found[1], np.exp([6, 8]) * mean, rtol=0.1)
    # Of a spend that is known by its deviation the mean counts.
    wide = fitted.expect(chars, np.zeros((2, 2)), np.ones((2, 2)))
    np.testing.assert_allclose(wide[0] / found[0], np.exp(0.5), rtol=0.1)


def test_no_answer_is_longer_than_any_that_was_recorded() -> None:
    fitted = learn()
    assert fitted is not None
    found = fitted.expect(letters(np.array([1e7])), np.full((1, 2), 6.0), np.ones((1, 2)))
    np.testing.assert_allclose(found[0], np.exp(fitted.answer_range[1]))


def test_a_model_whose_answers_nobody_counted_is_unknown() -> None:
    fitted = learn(np.repeat([True, False], NUM))
    assert fitted is not None
    found = fitted.expect(letters(np.array([200.0])), np.zeros((1, 2)), np.zeros((1, 2)))
    assert np.isfinite(found[0]).tolist() == [True, False]
    assert learn(np.zeros(2 * NUM, dtype=bool)) is None


def test_one_answer_is_a_level() -> None:
    fitted = learn(np.arange(2 * NUM) % NUM == 0)
    assert fitted is not None
    assert np.isfinite(fitted.level).all()
    found = fitted.expect(letters(np.array([200.0])), np.zeros((1, 2)), np.zeros((1, 2)))
    np.testing.assert_allclose(np.log(found[0]), fitted.answer_range[0], atol=1e-9)


def test_a_prompt_alone_is_rounded_as_in_a_batch() -> None:
    fitted, rng = learn(), np.random.default_rng(1)
    assert fitted is not None
    chars = rng.uniform(0, 500, (40, NUM_KINDS))
    spend, spread = rng.standard_normal((40, 2)), rng.random((40, 2))
    together = fitted.expect(chars, spend, spread)
    for i in range(40):
        one = slice(i, i + 1)
        alone = fitted.expect(chars[one], spend[one], spread[one])
        np.testing.assert_array_equal(alone[0], together[i])


def test_shared_slopes_help_the_model_with_few() -> None:
    few = np.ones(2 * NUM, dtype=bool)
    few[NUM + 3 :] = False
    fitted = learn(few)
    assert fitted is not None
    assert fitted.slopes[1, 0] == pytest.approx(1, abs=0.35)
