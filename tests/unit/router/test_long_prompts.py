"""What a router says of prompts far longer than those it was trained on, from end to end."""

from __future__ import annotations

import pytest

import graphrouter as gr
from graphrouter.bench.simulate.simulated_pairs import CHARS_PER_TOKEN

WORDS = "Explain how the garden of the old house was laid out and who planted its first tree. "


def test_long_prompts_have_the_tokens_and_the_cost_of_their_length(router: gr.GraphRouter) -> None:
    model = router.models[0]
    for length in (7_600, 76_000):
        prompt = (WORDS * (length // len(WORDS) + 1))[:length]
        predictions = router.predict([prompt])
        # Families of the simulation count up to 1.3 times as many.
        assert (predictions.input_tokens > 0.75 * length / CHARS_PER_TOKEN).all()
        assert (predictions.input_tokens < 1.6 * length / CHARS_PER_TOKEN).all()
        price = router.pool[model].input_usd_per_mtok
        assert price is not None
        assert predictions.cost_usd[0, 0] > predictions.input_tokens[0, 0] * price / 1e6
        assert predictions.most_input_tokens is not None
        assert (predictions.most_input_tokens > predictions.input_tokens).all()
    chinese = router.predict(["的一是不了人我在有他" * 4_000]).input_tokens
    assert (chinese > 0.75 * 40_042).all()
    assert (chinese < 1.3 * 40_042).all()


def test_a_context_that_a_long_prompt_may_exceed_rules_a_model_out(router: gr.GraphRouter) -> None:
    model = router.models[0]
    card = router.pool[model].model_copy(update={"context_tokens": 8_192})
    small = router.update_card(card)
    policy = gr.Policy.preset("performance_first")
    long = (WORDS * 500)[:36_000]
    said = small.route(long, policy=policy).rejected[model]
    assert said.startswith("context of 8192 tokens is shorter than the ")
    assert "that prompt and answer may take" in said
    assert model not in small.route(long[:8_000], policy=policy).rejected


def test_half_of_a_surrogate_pair_is_counted(router: gr.GraphRouter) -> None:
    assert router.predict(["a\ud800" * 5_000]).input_tokens.min() > 1_000


@pytest.mark.parametrize("prompt", ["", " " * 100_000])
def test_prompts_without_words_have_a_finite_cost(router: gr.GraphRouter, prompt: str) -> None:
    assert (router.predict([prompt]).cost_usd > 0).all()
